"""Wheels of PyPI, installed by pip into environments with a stand-in for a ROCm torch, as the collector reads them.

The stand-in has the files that a ROCm wheel of torch is told by, and nothing that runs: the wheel takes gigabytes. The
machine around it is a healthy one with an MI210, since there is no GPU here.
"""

from __future__ import annotations

import json
import os
import re
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.here import check, doctor
from tests.e2e.processes import bounded, good
from tests.machines.healthy import machine
from tests.machines.python_env import EnvSpec, built

pytestmark = pytest.mark.slow
_NUMBER = f"{sys.version_info.major}.{sys.version_info.minor}"
_TAG = f"cp{_NUMBER.replace('.', '')}"
_UNREACHED = re.compile(r"Could not find a version|ConnectionError|Max retries|timed out|Could not fetch URL")


def _stand_in(prefix: Path) -> EnvSpec:
    """torch 2.9.1 for ROCm 6.4 and its triton, by what their files tell."""
    return EnvSpec(
        prefix=str(prefix),
        python=_NUMBER,
        torch="2.9.1+rocm6.4",
        hip="6.4.43484-123eb5128",
        tags=(f"{_TAG}-{_TAG}-manylinux_2_28_x86_64",),
        dists={
            "torch": ("2.9.1+rocm6.4", ("pytorch-triton-rocm==3.5.1",)),
            "pytorch-triton-rocm": ("3.5.1", ()),
        },
        triton="3.5.1",
        owners=("pytorch_triton_rocm-3.5.1",),
    )


def _environment(prefix: Path, *wanted: str) -> Path:
    """A venv with the stand-in, and then what pip installs over it."""
    good([sys.executable, "-m", "venv", prefix], 120)
    for answer in built(_stand_in(prefix)).values():
        for name, text in answer.get("files", {}).items():
            path = Path(name)
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
    pip = [prefix / "bin" / "python", "-m", "pip", "install", "--quiet", "--no-deps", *wanted]
    done = bounded(pip, 900, env={**os.environ, "PIP_DISABLE_PIP_VERSION_CHECK": "1"})
    if done.returncode and _UNREACHED.search(done.stderr):
        pytest.skip(f"pip cannot download {', '.join(wanted)}: {done.stderr.strip().splitlines()[-1][:200]}")
    assert done.returncode == 0, done.stderr[-3000:]
    return prefix


class Seen:
    """What is collected of an environment, and what is said of it on a machine with an MI210."""

    def __init__(self, prefix: Path, folder: Path) -> None:
        saved = folder / "snapshot.json"
        doctor(folder, "collect", "--env", prefix, "-o", saved)
        document = json.loads(saved.read_text(encoding="utf-8"))
        self.prefix = prefix
        self.own: dict[str, Any] = {
            k: v for k, v in document["answers"].items() if str(prefix) in k or k == "env:ROCMDOCTOR_ENV"
        }
        assert [k for k, v in self.own.items() if v.get("why") == "timeout"] == []
        document["answers"] = {**machine("mi210"), **self.own}
        saved.write_text(json.dumps(document), encoding="utf-8")
        data = check(folder, "--snapshot", saved)["data"]
        self.verdicts = {v["id"]: v for v in data["verdicts"]}
        self.root_causes = data["root_causes"]

    def says(self, name: str) -> tuple[str, str | None, str]:
        """Status, fault, and why with the evidence and the commands of the cure."""
        verdict = self.verdicts[name]
        commands = (verdict["remedy"] or {"commands": []})["commands"]
        return (
            verdict["status"],
            verdict["fault"],
            "\n".join([verdict["why"], *verdict["evidence"], *commands]),
        )

    def targets(self, library: str) -> set[str]:
        """The GPU targets that the collector read from a library."""
        (text,) = (
            text
            for key, answer in self.own.items()
            if key.startswith("elf:")
            for path, text in answer.get("files", {}).items()
            if path.endswith(f"/{library}")
        )
        return set(re.findall(r"^gfx (\S+)$", text, re.MULTILINE))


@pytest.fixture(scope="module")
def old(tmp_path_factory: pytest.TempPathFactory) -> Seen:
    """An environment with bitsandbytes 0.45.5."""
    folder = tmp_path_factory.mktemp("old")
    return Seen(_environment(folder / "env", "bitsandbytes==0.45.5"), folder)


@pytest.fixture(scope="module")
def new(tmp_path_factory: pytest.TempPathFactory) -> Seen:
    """An environment with bitsandbytes 0.50.2, PyPI's triton and xformers."""
    folder = tmp_path_factory.mktemp("new")
    wanted = ("bitsandbytes==0.50.2", "triton==3.5.1", "xformers==0.0.35")
    return Seen(_environment(folder / "env", *wanted), folder)


def test_the_stand_in_is_taken_for_a_rocm_torch(old: Seen, new: Seen) -> None:
    for seen in (old, new):
        assert seen.says("torch.rocm-build")[:2] == ("ok", None)
        assert "torch 2.9.1+rocm6.4 for ROCm" in seen.says("torch.rocm-build")[2]
        assert [v["id"] for v in seen.verdicts.values() if v["status"] in ("unknown", "broken")] == []


def test_bitsandbytes_before_rocm_has_no_library(old: Seen) -> None:
    status, fault, said = old.says("training.bitsandbytes-build")
    assert (status, fault) == ("fail", "bnb-cuda-build")
    assert "bitsandbytes 0.45.5 holds libraries for" in said
    assert "none for ROCm" in said
    assert f"{old.prefix}/bin/python -m pip install --upgrade 'bitsandbytes==0.50.2'" in said
    assert old.root_causes == ["training.bitsandbytes-build"]


def test_bitsandbytes_with_rocm_serves_the_gpu(new: Seen) -> None:
    assert new.says("training.bitsandbytes-build")[0] == "ok"
    status, fault, said = new.says("training.bitsandbytes-library")
    assert (status, fault) == ("ok", None)
    assert "bitsandbytes 0.50.2: libbitsandbytes_rocm64.so for HIP 6.4" in said
    assert {"gfx90a", "gfx1100"} <= new.targets("libbitsandbytes_rocm64.so")
    assert new.says("training.bitsandbytes-rocm")[0] == "ok"


def test_xformers_is_a_build_for_cuda(new: Seen) -> None:
    status, fault, said = new.says("training.xformers")
    assert (status, fault) == ("fail", "xformers-hip")
    assert "xformers 0.0.35 is a build for CUDA 12.8" in said
    assert "asks for torch>=2.10" in said
    assert new.root_causes == ["training.xformers"]


def test_the_culprit_beside_torchs_own_triton_is_named(new: Seen, old: Seen) -> None:
    assert old.says("torch.triton")[0] == "ok"
    status, fault, said = new.says("torch.triton")
    assert (status, fault) == ("warn", "triton-mismatch")
    assert "triton/ has two owners, pytorch-triton-rocm 3.5.1 and triton 3.5.1" in said
    assert f"{new.prefix}/bin/python -m pip uninstall -y triton" in said


def test_removing_pypis_triton_takes_that_of_torch_along(new: Seen, tmp_path: Path) -> None:
    """Runs last: it changes the environment."""
    python = new.prefix / "bin" / "python"
    good([python, "-m", "pip", "uninstall", "--quiet", "--yes", "triton"], 120, env=dict(os.environ))
    status, fault, said = Seen(new.prefix, tmp_path).says("torch.triton")
    assert (status, fault) == ("fail", "triton-mismatch")
    assert "pytorch-triton-rocm 3.5.1 is recorded, but triton/__init__.py is not in" in said
