from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rocmdoctor.cli.taking import take
from rocmdoctor.reports.sharing import share
from tests.captures import tree_of
from tests.judging import judge
from tests.machines.healthy import HEALTHY, machine
from tests.machines.parts import ABSENT, Answers, files, ran, text

BOARD, OTHER_BOARD, HIVE = 0x18F68E602B8A790F, 0x28F68E602B8A790F, 0x9137FA2B3C4D5E6F
UUID = "3f0c1a52-9d2e-4b7a-8c11-5d6e7f809a1b"
SERIAL = "692304000142"
# Everything that names a person or a machine below; none of it may be left.
PLANTED = (
    "marlenka", "otakar", "skladnik7", "zahrada", "klokan", str(BOARD), f"{BOARD:x}", str(OTHER_BOARD), str(HIVE), f"{HIVE:x}", UUID,
    SERIAL, "10.20.30.41", "10.20.30.42", "fd12:3456:789a::7", "52:54:00:ab:cd:ef", "ABCD-12EF", "vg--skladnik7",
)  # fmt: skip


def shared(answers: Answers) -> Answers:
    return share({"schema": 1, "answers": answers})["answers"]


def planted() -> Answers:
    """A machine's answers, and saved reports of other programs, full of names."""
    nodes = "/sys/class/kfd/kfd/topology/nodes"
    return {
        "env:HOME": text("/home/marlenka"),
        "env:PATH": text("/home/marlenka/bin:/home/otakar/shared:/usr/bin:/mnt/c/Users/Marie Klokan/bin"),
        "env:HSA_OVERRIDE_GFX_VERSION": ABSENT,
        "read:/home/marlenka/.bashrc": text("export ROCM_PATH=/home/marlenka/rocm\n# for marlenka, ask otakar\n"),
        "glob:/home/marlenka/.config/environment.d/*.conf": files(
            {"/home/marlenka/.config/environment.d/a.conf": "A=/scratch/marlenka/x\n"}
        ),
        "stat:/home/marlenka": text("dir 0750 marlenka marlenka", uid=1000, gid=1000),
        "stat:/proc/self": text("dir 0555 marlenka marlenka", uid=1000, gid=1000),
        "stat:/dev/kfd": text("char 0660 root render", uid=0, gid=110),
        "read:/etc/group": text("\n27\nmarlenka\nvideo\n44\nmarlenka\notakar\nrender\n110\n"),
        "read:/proc/self/mountinfo": text(
            "29 1 8:2 / / rw shared:1 - ext4 /dev/mapper/vg--skladnik7-root rw\n"
            "30 1 0:50 / /data rw - nfs4 zahrada:/export/marlenka rw,addr=10.20.30.41\n"
            "31 1 0:51 / /x rw - overlay overlay rw\n"
        ),
        "read:/proc/cmdline": text(f"root=UUID={UUID} resume=UUID=ABCD-12EF ip=10.20.30.42::: amdgpu.ppfeaturemask=0xffffffff quiet\n"),
        "run:journalctl -k": ran(
            "Nov 22 03:00:01 skladnik7 kernel: amdgpu 0000:63:00.0: amdgpu: ring timeout\n"
            "Nov 22 03:00:02 skladnik7 kernel: e1000: 52:54:00:ab:cd:ef inet6 fd12:3456:789a::7 up\n"
        ),
        "run:uname -a": ran("Linux skladnik7 5.15.0-119-generic #129-Ubuntu SMP x86_64 GNU/Linux\n"),
        f"glob:{nodes}/*/properties": files(
            {
                f"{nodes}/1/properties": f"unique_id {BOARD}\nhive_id {HIVE}\ngfx_target_version 90010\n",
                f"{nodes}/2/properties": f"unique_id {BOARD}\nhive_id {HIVE}\ngfx_target_version 90010\n",
                f"{nodes}/3/properties": f"unique_id {OTHER_BOARD}\nhive_id {HIVE}\ngfx_target_version 90010\n",
                f"{nodes}/0/properties": "unique_id 0\nhive_id 0\n",
            }
        ),
        "run:rocminfo": ran(f"  Name:                    gfx90a\n  Uuid:                    GPU-{BOARD:016x}\n  Uuid: CPU-XX\n"),
        "run:rocm-smi": ran(f"GPU[0]\t\t: Unique ID: 0x{BOARD:x}\nGPU[0]\t\t: Serial Number: {SERIAL}\n"),
        "run:amd-smi static": ran(f"        ASIC_SERIAL: 0x{BOARD:016X}\n        BDF: 0000:63:00.0\n"),
        "glob:/etc/apt/sources.list.d/*.list": files(
            {"/etc/apt/sources.list.d/own.list": "deb http://zahrada.lan/apt jammy main # otakar@klokan.example.com\n"}
        ),
        "list:/scratch": text("marlenka/\nrocm-6.2.4/\n"),
    }  # fmt: skip


def test_nothing_that_names_anyone_is_left() -> None:
    said = json.dumps(shared(planted())).lower()
    assert [word for word in PLANTED if word.lower() in said] == []


def test_the_same_name_has_the_same_pseudonym_everywhere() -> None:
    answers = shared(planted())
    assert answers["env:HOME"]["text"] == "/home/user1"
    assert answers["stat:/home/user1"]["text"] == "dir 0750 user1 user1"
    assert (
        answers["read:/home/user1/.bashrc"]["text"]
        == "export ROCM_PATH=/home/user1/rocm\n# for user1, ask user2\n"
    )
    assert answers["read:/etc/group"]["text"] == "\n27\nuser1\nvideo\n44\nuser1\nuser2\nrender\n110\n"
    assert answers["run:uname -a"]["stdout"].split()[1] == "host1"
    assert answers["run:journalctl -k"]["stdout"].count(" host1 kernel: ") == 2


def test_a_board_is_still_the_same_board_and_another_one_is_not() -> None:
    answers = shared(planted())
    nodes = answers["glob:/sys/class/kfd/kfd/topology/nodes/*/properties"]["files"]
    ids = [re.findall(r"_id (\d+)", said) for said in nodes.values()]
    assert ids[0] == ids[1] != ids[2]
    assert ids[0][1] == ids[2][1]
    assert ids[3] == ["0", "0"]
    number = int(ids[0][0])
    assert f"GPU-{number:016x}\n" in answers["run:rocminfo"]["stdout"]
    assert f"ASIC_SERIAL: 0x{number:016x}\n" in answers["run:amd-smi static"]["stdout"]
    assert f"Unique ID: 0x{number:016x}\n" in answers["run:rocm-smi"]["stdout"]


KEPT = (
    "Package: hip-runtime-amd\nVersion: 6.2.41134.60204-139~22.04\n",
    "Version: 10.3.5.147-1\n",
    "curand==10.3.5.147",
    "AMDSMI Tool: 24.6.3+9578815 | AMDSMI Library version: 24.6.3.0 | ROCm version: 6.2.4",
    "amdgpu 0000:63:00.0: [drm] ring gfx_0.0.0 timeout",
    "c10::hip::add ad::be::cd std::abs",
    "127.0.0.1 0.0.0.0 ::1 fe",
    "/opt/rocm-6.2.4/lib/libamdhip64.so.6.2.41134",
    "https://repo.radeon.com/rocm/apt/6.2.4 git+https://github.com/ROCm/aotriton@0f1e2d3c4b5a69788796a5b4c3d2e1f001234567",
    "PCI_ID=1002:740F PCI_SLOT_NAME=0000:63:00.0 0000:c1:00.1",
    "modprobe@dm_mod.service getty@tty1.service",
    "Uid:\t1000\t1000\t1000\t1000\nGroups:\t27 44 110 1000 \n",
    "8250 serial driver, serial: none, UUID: N/A, Uuid: GPU-XX",
)


@pytest.mark.parametrize("said", KEPT)
def test_what_checks_read_stays(said: str) -> None:
    assert shared({"run:x": ran(said)})["run:x"]["stdout"] == said


def test_the_name_of_a_firmware_variable_stays_and_another_uuid_does_not() -> None:
    variable = "read:/sys/firmware/efi/efivars/SecureBoot-8be4df61-93ca-11d2-aa0d-00e098032b8c"
    assert list(shared({variable: text("x")})) == [variable]
    assert "8be4df61" not in json.dumps(shared({"run:x": ran("8be4df61-93ca-11d2-aa0d-00e098032b8c")}))


@pytest.mark.parametrize("user", ["ubuntu", "rocm", "ok", "text", "dev", "amdgpu"])
def test_a_user_with_the_name_of_something_else_costs_no_fact(user: str) -> None:
    answers = machine("mi210")
    said = json.loads(json.dumps(answers).replace("/home/ann", f"/home/{user}"))
    said["stat:/proc/self"] = text(f"dir 0555 {user} {user}", uid=1000, gid=1000)
    said["read:/etc/group"] = text(answers["read:/etc/group"]["text"].replace("ann", user))
    after = shared(said)
    assert after["read:/etc/os-release"] == said["read:/etc/os-release"]
    assert after["stat:/dev/kfd"] == said["stat:/dev/kfd"]
    assert f"/home/{user}" not in json.dumps(after)
    # The owner of the process is still who stands in the groups.
    assert after["stat:/proc/self"]["text"] == "dir 0555 user1 user1"
    assert after["read:/etc/group"]["text"].splitlines().count("user1") == 3
    assert verdicts(after) == verdicts(said)


def test_a_home_folder_elsewhere_moves_to_home() -> None:
    answers = shared(
        {
            "env:HOME": text("/lab/klokan/marlenka"),
            "read:/lab/klokan/marlenka/.bashrc": text("/lab/klokan/otakar/x /opt/klokanium"),
        }
    )
    assert answers["read:/home/user1/.bashrc"]["text"] == "/home/user2/x /opt/klokanium"


def test_an_ordinary_home_that_is_a_system_folder_stays() -> None:
    assert shared({"env:HOME": text("/root"), "disk:/root": text("1 2")}) == {
        "env:HOME": text("/root"),
        "disk:/root": text("1 2"),
    }


def test_keys_that_this_release_does_not_know_are_kept_and_masked() -> None:
    raw = {
        "schema": 1,
        "host": {"kind": "live", "nodename": "skladnik7"},
        "answers": {},
        "later": [{"who": "marlenka@klokan.example.com", "n": 3}],
    }
    after = share(raw)
    assert after["host"] == {"kind": "live", "nodename": "host1"}
    assert after["later"] == [{"who": "user1@example.org", "n": 3}]


def verdicts(answers: Answers) -> Any:
    diagnosis = judge(answers).diagnosis
    return [(v.id, v.status, v.fault) for v in diagnosis.verdicts], diagnosis.root_causes


@pytest.mark.parametrize("name", HEALTHY)
def test_healthy_machines_stay_healthy(name: str) -> None:
    answers = machine(name)
    after = shared(answers)
    assert verdicts(after) == verdicts(answers)
    assert "/ann" not in json.dumps(after)
    assert '"ann' not in json.dumps(after)


def test_captured_machines_are_judged_alike(corpus: Path, tmp_path: Path) -> None:
    folders = sorted(p.parent for p in (corpus / "kfd").glob("*/expect.toml"))
    assert folders
    for folder in folders:
        root = tree_of(folder, tmp_path / folder.name)
        raw = take(str(root)).raw
        after = share(raw)
        assert verdicts(after["answers"]) == verdicts(raw["answers"]), folder
        said = json.dumps(after)
        ids = {n for n in re.findall(r"(?:unique_id|hive_id) (\d+)", json.dumps(raw)) if len(n) > 5}
        assert not [n for n in ids if n in said], folder


NAMES = st.from_regex(r"[a-z][a-z0-9_-]{5,14}[a-z]", fullmatch=True).filter(lambda n: "user" not in n)
TEMPLATES = (
    "/home/{}/x", "{}", "see /scratch/{}/y and {}", "drwx {} {}", "({}:x)", "--prefix=/home/{}", "'{}'", "{}@",
)  # fmt: skip


@given(NAMES, st.lists(st.sampled_from(TEMPLATES), min_size=1, max_size=5), st.text(max_size=30))
@settings(max_examples=150, deadline=None)
def test_a_planted_name_never_stays_and_masking_twice_changes_nothing(
    name: str, templates: list[str], around: str
) -> None:
    answers: Answers = {
        "env:HOME": text(f"/home/{name}"),
        "stat:/proc/self": text(f"dir 0555 {name} {name}", uid=1000),
    }
    for number, template in enumerate(templates):
        answers[f"run:program {number}"] = ran(f"{around}\n{template.replace('{}', name)}\n")
    raw = {"schema": 1, "answers": answers}
    once = share(raw)
    if name not in around:
        assert not re.search(rf"(?<![a-z0-9]){re.escape(name)}(?![a-z0-9])", json.dumps(once["answers"]))
    assert share(once) == once


IDS = st.integers(1 << 40, (1 << 64) - 1)
ADDRESSES = st.ip_addresses(v=4).filter(
    lambda a: not a.is_loopback and a.packed[0] not in (0, 255) and not a.is_reserved
)


@given(st.lists(IDS, min_size=1, max_size=6), ADDRESSES, st.binary(min_size=6, max_size=6), st.uuids())
@settings(max_examples=150, deadline=None)
def test_ids_and_addresses_never_stay(ids: list[int], address: Any, mac: bytes, uuid: Any) -> None:
    lines = [f"unique_id {n}" for n in ids] + [f"Unique ID: 0x{n:x}" for n in ids]
    said = f"inet {address}/24 ether {mac.hex(':')} peer {uuid}\n"
    raw = {"schema": 1, "answers": {"run:a": ran("\n".join(lines)), "run:b": ran(said)}}
    once = share(raw)
    after = json.dumps(once)
    assert not [n for n in ids if str(n) in after or f"{n:x}" in after]
    fresh = re.findall(r"unique_id (\d+)", once["answers"]["run:a"]["stdout"])
    assert len(set(fresh)) == len(set(ids))
    kept = {bytes(6), b"\xff" * 6}
    assert str(uuid) not in after
    assert mac in kept or mac[:5] == b"\0\0\x5e\0\x53" or mac.hex(":") not in after
    assert str(address).startswith(("192.0.2.", "198.51.100.")) or f" {address}/" not in after
    assert share(once) == once


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(max_size=20),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=20), inner, max_size=3),
        max_leaves=15,
    )
)
@settings(max_examples=100, deadline=None)
def test_any_document_can_be_masked(value: Any) -> None:
    raw = {"schema": 1, "answers": {"read:/x": {"ok": True, "text": "t", "later": value}}, "more": value}
    assert share(share(raw)) == share(raw)
