"""Which variables each machine gets, and the reasons: checks/data/exports.toml against the machines that people have."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import pytest

from rocmdoctor.content import DataTables, bundled
from rocmdoctor.diagnosis.known import Known
from rocmdoctor.facts.base import UnknownError
from rocmdoctor.facts.gpus import Gpus
from rocmdoctor.facts.own import ENV_FILE, OwnExports
from rocmdoctor.facts.shell import VariableTable
from rocmdoctor.hosts.replay import from_raw
from rocmdoctor.model import Wish
from rocmdoctor.ops.exports import Exports, ExportTable, decide
from rocmdoctor.ops.shell_env import ENV_FILE as WRITTEN
from rocmdoctor.ops.shell_env import env_text
from tests.machines.families import FAMILIES, family
from tests.machines.healthy import build, machine
from tests.machines.parts import ABSENT, GpuSpec, Spec, files, ran, text

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

TABLES = DataTables(bundled())
FLASH = "FLASH_ATTENTION_TRITON_AMD_ENABLE"
NVCC = {"run:nvcc --version": ran("Cuda compilation tools, release 12.4\n", path="/usr/local/cuda/bin/nvcc")}
OFF_PATH = {"run:hipcc --version": ABSENT}
# The eight of the procedure that people follow by hand, and the one that every forum recommends.
POST = (
    "GPU_ARCHS", "ROCM_TARGET", "HIP_PATH", "ROCM_PATH", "ROCM_HOME", "HIP_PLATFORM", "DS_BUILD_CPU_ADAM",
    "TORCH_HIP_ARCH_LIST",
)  # fmt: skip
_RX6800 = GpuSpec(100300, "73bf", "c1", "0000:03:00.0", 128, 72, 2, vram=17_163_091_968, pci_class="30000")


@dataclass(frozen=True)
class Case:
    """A machine, what differs on it, and what it gets; `left` are words of the reasons of some others."""

    name: str
    machine: str
    written: Mapping[str, str]
    set: Mapping[str, Any] = field(default_factory=dict)
    arch: str = ""
    left: Mapping[str, str] = field(default_factory=dict)


def _env(*names: str, **values: str) -> dict[str, Any]:
    return {**{f"env:{n}": text(v) for n, v in values.items()}, **dict.fromkeys(names, ABSENT)}


_OWN = "export ROCR_VISIBLE_DEVICES=0\n*:/opt/rocm/bin:*) ;;\nexport PATH\n"
CASES = (
    Case("MI210", "mi210", {}, left={FLASH: "CK kernels are made for this GPU", "HSA_OVERRIDE_GFX_VERSION": "ROCm supports this GPU"}),
    Case(
        "7900 XTX with the GPU of its Ryzen", "rx7900xtx-with-igpu", {FLASH: "TRUE", "ROCR_VISIBLE_DEVICES": "0"},
        left={"HSA_OVERRIDE_GFX_VERSION": "ROCm supports this GPU"},
    ),
    Case("the integrated one comes first", "igpu-first", {FLASH: "TRUE", "ROCR_VISIBLE_DEVICES": "1"}),
    Case("an integrated one alone", "igpu-only", {FLASH: "TRUE"}, left={"ROCR_VISIBLE_DEVICES": "No integrated GPU stands"}),
    Case("the integrated one is meant", "rx7900xtx-with-igpu", {FLASH: "TRUE", "ROCR_VISIBLE_DEVICES": "1"}, arch="gfx1036"),
    Case(
        "the user chooses already", "rx7900xtx-with-igpu", {FLASH: "TRUE"}, _env(HIP_VISIBLE_DEVICES="0"),
        left={"ROCR_VISIBLE_DEVICES": "is set already"},
    ),
    Case(
        "a file of the user's chooses already", "rx7900xtx-with-igpu", {FLASH: "TRUE"},
        {"read:/home/ann/.bashrc": text("export\nROCR_VISIBLE_DEVICES=1\n")}, left={"ROCR_VISIBLE_DEVICES": "is set already"},
    ),
    Case(
        "our own choice is no choice of the user's", "rx7900xtx-with-igpu", {FLASH: "TRUE", "ROCR_VISIBLE_DEVICES": "0"},
        {
            **_env(ROCR_VISIBLE_DEVICES="0"),
            f"read:/home/ann/{ENV_FILE}": text("export\nROCR_VISIBLE_DEVICES=0\n"),
            f"glob:/home/ann/{ENV_FILE}": files(
                {f"/home/ann/{ENV_FILE}": "export ROCR_VISIBLE_DEVICES=0\n"}
            ),
        },
    ),
    Case("an nvcc beside an MI210", "mi210", {"HIP_PLATFORM": "amd"}, NVCC),
    Case("two MI210", "mi210-2x", {}),
    Case("a 6800", "rx6800", {FLASH: "TRUE"}, left={"HSA_OVERRIDE_GFX_VERSION": "ROCm supports this GPU"}),
    Case("a 6600 XT, which ROCm does not support", "rx6600xt", {FLASH: "TRUE"}, left={"HSA_OVERRIDE_GFX_VERSION": "every program"}),
    Case("a container", "container", {}),
    Case("no GPU, and none is meant", "no-gpu", {}),
    Case("no GPU, built for an MI210", "no-gpu", {}, arch="gfx90a", left={FLASH: "CK kernels"}),
    Case("no GPU, built for RDNA 4", "no-gpu", {FLASH: "TRUE"}, arch="gfx1201"),
    Case("ROCm that is not on PATH", "mi210", {"PATH": "/opt/rocm/bin"}, OFF_PATH),
    Case("ROCm on PATH", "mi210", {}, {**OFF_PATH, **_env(PATH="/usr/bin:/opt/rocm/bin")}, left={"PATH": "on PATH as it is"}),
    Case(
        "ROCm on PATH by our own file", "mi210", {"PATH": "/opt/rocm/bin"},
        {**_env(PATH="/usr/bin:/opt/rocm/bin"), f"glob:/home/ann/{ENV_FILE}": files({f"/home/ann/{ENV_FILE}": _OWN})},
    ),
    Case("Debian's ROCm lies where every PATH leads", "debian12", {}, OFF_PATH),
    Case("no ROCm yet", "mi210-no-rocm", {}, left={"PATH": "no ROCm is installed yet"}),
    Case(
        "whether an nvcc is here cannot be told", "mi210", {},
        {"run:nvcc --version": {"ok": False, "why": "timeout"}, "stat:/usr/local/cuda/bin/nvcc": ABSENT},
    ),
    Case("the environment could not be asked", "rx7900xtx-with-igpu", {FLASH: "TRUE"},
        {"env:HIP_VISIBLE_DEVICES": {"ok": False, "why": "not-asked"}}, left={"ROCR_VISIBLE_DEVICES": "cannot be told"}),
)  # fmt: skip


def _answers(name: str) -> dict[str, Any]:
    if name == "rx6800":
        return build(Spec("rx6800", gpus=(_RX6800,), kernel="6.8.0-45-generic"))
    return family(name) if name in FAMILIES else machine(name)


def _known(answers: Mapping[str, Any]) -> Known:
    return Known(from_raw({"schema": 1, "answers": dict(answers)}).answers, TABLES, Wish())


def decided(answers: Mapping[str, Any], arch: str = "") -> Exports:
    known = _known(answers)
    here = tuple(g.gfx for g in known.get(Gpus).discrete if g.gfx)
    return decide(known, (arch,) if arch else here)


@pytest.mark.parametrize("case", [pytest.param(c, id=c.name) for c in CASES])
def test_machine(case: Case) -> None:
    found = decided({**_answers(case.machine), **case.set}, case.arch)
    assert {e.name: e.value for e in found.written} == case.written
    reasons = {one.name: one.why for one in found.left}
    assert set(reasons) == {row.name for row in TABLES(ExportTable).rows} - set(case.written)
    for name, words in case.left.items():
        assert words in reasons[name]


@pytest.mark.parametrize("name", [*FAMILIES, "mi210-2x", "igpu-first", "mi300a", "rx6600xt"])
def test_what_is_often_set_by_hand_is_never_written(name: str) -> None:
    answers = {**_answers(name), **NVCC}
    written = {e.name for e in decided(answers).written}
    assert not written & {*POST, "HSA_OVERRIDE_GFX_VERSION"} - {"HIP_PLATFORM"}


def test_each_of_the_eight_has_its_row() -> None:
    rows = {row.name: row for row in TABLES(ExportTable).rows}
    assert set(POST) <= set(rows)
    assert len(TABLES(ExportTable).rows) == len(rows)


@pytest.mark.parametrize("row", TABLES(ExportTable).rows, ids=lambda row: row.name)
def test_every_row_explains_itself(row: Any) -> None:
    assert row.source
    assert row.left[-1][0].has == row.left[-1][0].lacks == row.left[-1][0].gfx == (), (
        "the last reason holds always"
    )
    for why in filter(None, (row.why, *(why for _, why in row.left))):
        assert not why.endswith("."), "the sentence is closed where it is shown"
    assert (row.value is None) == (not row.why)
    about = TABLES(VariableTable).variables.get(row.name)
    assert row.readers or about is not None


def test_a_trait_that_is_none_is_refused() -> None:
    raw = {
        "export": [
            {
                "name": "X",
                "value": "1",
                "why": "w",
                "source": "s",
                "when": {"has": ["nvc"]},
                "left": [{"why": "l"}],
            }
        ]
    }
    with pytest.raises(ValueError, match="no trait is called 'nvc'"):
        ExportTable.load(raw)


def test_a_driver_that_shows_no_gpu_never_hides_all_of_them() -> None:
    answers = machine("rx7900xtx-with-igpu")
    for key in list(answers):
        if "/sys/class/kfd" in key:
            answers[key] = ABSENT
    found = decided(answers)
    assert "ROCR_VISIBLE_DEVICES" not in found.variables
    reasons = {one.name: one.why for one in found.left}
    assert "the driver shows none of the GPUs yet" in reasons["ROCR_VISIBLE_DEVICES"]


def test_comments_name_readers_and_reason() -> None:
    found = decided({**machine("mi210"), **NVCC})
    page = env_text(found.variables, found.notes, path_append=found.folders)
    assert page.endswith(
        "# An nvcc is installed here too; where HIP's tools cannot start their own clang++, they would choose NVIDIA\n"
        "# because of it. Read by: hipcc / hipconfig.\nexport HIP_PLATFORM=amd\n"
    )


# ---------------------------------------------------------------- our own file, read again


def _own(page: str) -> OwnExports:
    """What the question's pattern lets through of our file, read as the fact reads it."""
    question = OwnExports.follow_up(_evidence({})).get("file")
    kept = "".join(m.group(0) + "\n" for m in re.finditer(question.keep, page, re.MULTILINE))
    return OwnExports.parse(_evidence({f"glob:/home/ann/{ENV_FILE}": files({f"/home/ann/{ENV_FILE}": kept})}))


def _evidence(answers: Mapping[str, Any]) -> Any:
    from rocmdoctor.facts.base import Evidence

    read = from_raw({"schema": 1, "answers": {"env:HOME": text("/home/ann"), **answers}}).answers
    first = dict(OwnExports.queries())
    try:
        more = dict(OwnExports.follow_up(Evidence(read, first)))
    except UnknownError:
        more = {}
    return Evidence(read, {**first, **more})


def test_what_is_written_is_read_again() -> None:
    assert ENV_FILE == WRITTEN
    page = env_text(
        {"HIP_PLATFORM": "amd", "B": "it's two words"},
        {"B": "# export C=1"},
        path_append=["/opt/rocm/bin", "/opt/a b"],
    )
    found = _own(page)
    assert found.variables == {"HIP_PLATFORM": "amd", "B": "it's two words"}
    assert found.folders == ("/opt/rocm/bin", "/opt/a b")
    assert found.path == f"/home/ann/{ENV_FILE}"


def test_words_that_a_shell_would_compute_are_not_taken() -> None:
    assert _own("export A=$(reboot)\nexport B=`x`\nexport C='open\nexport D=a b\n").variables == {}


@pytest.mark.touches_machine
@pytest.mark.parametrize("shell", ["sh", "bash", "zsh"])
def test_shells_read_the_file(shell: str) -> None:
    if shutil.which(shell) is None:
        pytest.skip(f"no {shell} here; tests/e2e/test_verify.py installs one")
    answers = {**machine("rx7900xtx-with-igpu"), **NVCC, **OFF_PATH}
    found = decided(answers)
    page = env_text(found.variables, found.notes, path_append=found.folders)
    script = f'{page}\n{page}\necho "$PATH|$HIP_PLATFORM|${FLASH}|$ROCR_VISIBLE_DEVICES"'
    done = subprocess.run(
        [shell, "-euc", script],
        env={"PATH": "/usr/bin:/bin"},
        capture_output=True,
        text=True,
        timeout=20,
        check=True,
    )
    assert done.stdout == "/usr/bin:/bin:/opt/rocm/bin|amd|TRUE|0\n"


def test_the_table_is_what_its_head_says() -> None:
    data = tomllib.loads((bundled() / "checks" / "data" / "exports.toml").read_text(encoding="utf-8"))
    keys = {key for row in data["export"] for key in row}
    assert keys <= {"name", "value", "path", "when", "why", "left", "readers", "source"}
