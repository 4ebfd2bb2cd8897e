"""What programs print, read: texts of our own, any text, and the real captures."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rocmdoctor.content import DataTables, bundled
from rocmdoctor.diagnosis.known import Known
from rocmdoctor.facts import texts
from rocmdoctor.facts.base import Evidence, UnknownError
from rocmdoctor.facts.gpus import GpuTable
from rocmdoctor.facts.hip import HipConfigs
from rocmdoctor.facts.tools import QUESTIONS, ToolAnswers, Tools
from rocmdoctor.hosts.replay import from_raw
from tests.judging import judge
from tests.machines.healthy import machine

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

TABLES = DataTables(bundled())
GPUS = TABLES(GpuTable)


def _known(answers: dict[str, Any]) -> Known:
    return Known(from_raw({"schema": 1, "answers": answers}).answers, TABLES)


def _ran(stdout: str, code: int = 0, **more: Any) -> dict[str, Any]:
    return {"ok": True, "exit_code": code, "stdout": stdout, "stderr": "", **more}


@pytest.mark.parametrize(
    ("program", "text", "found"),
    [
        ("rocm-smi", "GPU[0]\t\t: Device ID: \t\t0x740f\nGPU[0]\t\t: Device Rev: \t\t0x02\n", ("gfx90a",)),
        ("rocm-smi", "GPU[0]\t\t: GPU ID: 0x738c\n", ("gfx908",)),
        ("rocm-smi", "GPU[0]\t\t: Card Series: \t\tAMD Instinct MI210\n", ("gfx90a",)),
        ("rocm-smi", "GPU[0]\t\t: GFX Version: \t\tgfx942\n", ("gfx942",)),
        ("amd-smi", "GPU: 0\n    BDF: 0000:05:00.0\n    UUID: afff74a1-0000-1000-8054-e92b0a5d57c8\n", ("gfx942",)),
        ("amd-smi", "        TARGET_GRAPHICS_VERSION: gfx90a\n", ("gfx90a",)),
        ("rocm_agent_enumerator", "gfx000\ngfx90a\ngfx90a\n", ("gfx90a",)),
        ("lspci", "63:00.0 Display controller [0380]: Advanced Micro Devices, Inc. [AMD/ATI] Aldebaran/MI200 [1002:740f] (rev 02)\n", ("gfx90a",)),
        ("lspci", "01:00.1 Audio device [0403]: Advanced Micro Devices, Inc. [AMD/ATI] Navi 31 [1002:ab30]\n", ()),
        ("dmesg", "[drm] initializing kernel modesetting (IP DISCOVERY 0x1002:0x744C 0x1EAE:0x7901 0xC8).\n", ("gfx1100",)),
        ("matmul", "Bundled Code Objects:\n    hipv4-amdgcn-amd-amdhsa--gfx1030 - [code object targetID is x]\n", ()),
    ],
)  # fmt: skip
def test_targets_of_devices(program: str, text: str, found: tuple[str, ...]) -> None:
    assert texts.targets(program, text, GPUS) == found


def test_isas_are_no_agents() -> None:
    text = "HSA Agents\n*******\nAgent 1\n*******\n  Name:  AMD EPYC\n  ISA Info:\n    Name: gfx900\n"
    assert texts.agents(text) == ()


@given(st.sampled_from([*QUESTIONS, "lspci", "anything"]), st.text())
def test_any_text_is_read(program: str, text: str) -> None:
    texts.targets(program, text, GPUS)
    texts.recognised(program, text)
    texts.version(program, text)


@given(st.text(alphabet="Agent 0123456789\n*:NameChipID()xgf", max_size=400))
def test_any_list_of_agents_is_read(text: str) -> None:
    texts.agents(text)


@pytest.mark.parametrize(
    ("answer", "state"),
    [
        ({"ok": False, "why": "absent"}, "absent"),
        ({"ok": False, "why": "timeout", "path": "/usr/bin/rocminfo"}, "hangs"),
        (_ran("I am fine\n"), "failed"),
        (_ran(""), "failed"),
        (_ran("\x1b[31mROCk module is NOT loaded, possibly no GPU devices\x1b[0m\n", 1), "failed"),
        (_ran("HSA System Attributes\nHSA Agents\n"), "ok"),
    ],
)
def test_states(answer: dict[str, Any], state: str) -> None:
    assert _known({"run:rocminfo": answer}).get(Tools).get("rocminfo").state == state


def test_a_lie_is_quoted() -> None:
    tool = _known({"run:rocminfo": _ran("I am fine\nreally\n")}).get(Tools).get("rocminfo")
    assert tool.said == "I am fine"


def test_nobody_asked() -> None:
    with pytest.raises(UnknownError):
        _known({}).get(Tools)


def _asked(answers: dict[str, Any]) -> set[str]:
    evidence = Evidence(from_raw({"schema": 1, "answers": answers}).answers, ToolAnswers.queries())
    return {" ".join(q.argv) for q in ToolAnswers.follow_up(evidence).values()}  # type: ignore[attr-defined]


def test_what_is_on_path_is_not_asked_again() -> None:
    assert _asked(machine("mi210")) == {"/opt/rocm/bin/clinfo -l"}


def test_programs_that_are_not_on_path_are_asked_where_they_lie() -> None:
    answers = machine("mi210")
    for name in ("rocminfo", "hipconfig --full"):
        answers[f"run:{name}"] = {"ok": False, "why": "absent"}
    answers["list:/opt"] = {"ok": True, "text": "rocm@\nrocm-5.7.1/\nrocm-6.2.4/\n"}
    assert {
        "/opt/rocm/bin/rocminfo",
        "/opt/rocm/bin/hipconfig --full",
        "/opt/rocm-5.7.1/bin/hipconfig --full",
    } <= _asked(answers)


def test_hipconfig_says_which_platform() -> None:
    text = "HIP version  : 5.2.21153-0\n\n== hipconfig\nHIP_PATH     : /usr\nROCM_PATH    : /usr\nHIP_PLATFORM : nvcc\n"
    config = _known({"run:hipconfig --full": _ran(text)}).get(HipConfigs).main
    assert config is not None
    assert (config.platform, config.version, config.values["HIP_PATH"]) == ("nvidia", "5.2.21153", "/usr")


# The captures whose text names no GPU, and what it holds instead.
WITHOUT_GPU = {
    "amd-smi-banner-6.2.2.txt": "help and versions",
    "amd-smi-monitor-8x-mi300x.txt": "columns of sensors, no names",
    "amd-smi-topology-8x-mi300x.txt": "PCI addresses only",
    "apt-dkms-build-fails-6.11.txt": "apt's log",
    "apt-dkms-builds-for-second-kernel.txt": "apt's log",
    "apt-install-amdgpu-dkms-ok-6.5.5.txt": "apt's log",
    "apt-show-rocm-libs-5.3.3-mixed.txt": "a package",
    "apt-show-rocm-libs-5.7.txt": "a package",
    "apt-unmet-jammy-rocm-on-noble.txt": "apt's log",
    "apt-unmet-ubuntu-hipcc-7.2.4.txt": "apt's log",
    "build-rocsolver-relocation-truncated.txt": "a linker's log",
    "build-rocwmma-gfx1035-dpp.txt": "a compiler's log; the target stands in its source's name only",
    "clinfo-zero-devices.txt": "no device",
    "dkms-make-log-assign-str.txt": "a compiler's log",
    "dkms-status-and-remove-stale.txt": "module versions",
    "dpkg-L-amdgpu-install-6.0.2.txt": "file names",
    "hipconfig-full-4.2-enumerator-missing.txt": "a compiler's settings",
    "hipconfig-full-5.4.3.txt": "a compiler's settings",
    "ls-dev-kfd-rootless-mapped.txt": "a device node",
    "rocminfo-fail-kfd-cannot-allocate.txt": "it failed before the list",
    "rocminfo-fail-module-not-loaded-wsl2.txt": "it failed before the list",
    "rocminfo-fail-permission-denied-member-of-render.txt": "it failed before the list",
    "rocminfo-fail-rootless-container-video-group.txt": "it failed before the list",
    "runtime-bnb-rocm80-missing.txt": "a library's name",
}


def _captures(corpus: Path) -> list[tuple[dict[str, Any], str]]:
    folder = corpus / "outputs"
    index = tomllib.loads((folder / "index.toml").read_text(encoding="utf-8"))["output"]
    found = []
    for entry in index:
        lines = (folder / entry["file"]).read_text(encoding="utf-8").splitlines(keepends=True)
        assert lines[0].startswith("# source:"), entry["file"]
        assert lines[1].startswith("# command:"), entry["file"]
        found.append((entry, "".join(lines[2:])))
    return found


@pytest.mark.parametrize("code", [0, 1])
def test_every_capture_gives_its_targets(corpus: Path, code: int) -> None:
    captures = _captures(corpus)
    assert {e["file"] for e, _ in captures} >= set(WITHOUT_GPU)
    for entry, text in captures:
        tools = _known({f"run:{entry['command']}": _ran(text, code)}).maybe(Tools)
        found = {gfx for tool in tools.tools.values() for gfx in tool.gfx} if tools else set()
        wanted = set() if entry["file"] in WITHOUT_GPU else {g for g in entry["gfx"].split(",") if g}
        assert found == wanted, entry["file"]


@pytest.mark.parametrize("code", [0, 1])
def test_no_healthy_capture_raises_an_alarm(corpus: Path, code: int) -> None:
    for entry, text in _captures(corpus):
        if entry["healthy"]:
            verdicts = judge({f"run:{entry['command']}": _ran(text, code)}).diagnosis.verdicts
            alarms = [(v.id, v.why) for v in verdicts if v.status in ("fail", "broken")]
            assert alarms == [], entry["file"]


def test_the_chip_betrays_an_override(corpus: Path) -> None:
    texts_ = {e["file"]: text for e, text in _captures(corpus)}
    verdict = judge({"run:rocminfo": _ran(texts_["rocminfo-rx6700xt-as-gfx1030.txt"])}).diagnosis.verdict(
        "rocm.rocminfo"
    )
    assert (verdict.status, verdict.fault) == ("warn", "hsa-override-wrong")
    assert "gfx1031" in verdict.why


def test_mixed_versions_in_two_pasted_texts(corpus: Path) -> None:
    by_name = {e["file"]: (e["command"], text) for e, text in _captures(corpus)}
    pasted = [by_name[n] for n in ("hipconfig-full-5.4.3.txt", "apt-show-rocm-libs-5.3.3-mixed.txt")]
    answers = {f"run:{command}": _ran(text) for command, text in pasted}
    verdict = judge(answers).diagnosis.verdict("packages.one-rocm")
    assert (verdict.status, verdict.fault) == ("fail", "mixed-rocm-versions")
