"""Our patches, on the sources that DeepSpeed and axolotl published, by the verb; what comes of it is asked of their own code.

The quick tier takes the releases at which something changes; the slow one all from DeepSpeed 0.10 and axolotl 0.5 on.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from packaging.specifiers import SpecifierSet

from tests.conftest import CHECKOUT
from tests.e2e.here import doctor
from tests.e2e.processes import good
from tests.e2e.sdists import DIGESTS, texts, unpacked
from tests.patching.trees import FALSE

pytestmark = [
    pytest.mark.e2e,
    pytest.mark.skipif(shutil.which("git") is None, reason="needs git, which applies patches"),
]
FLAG = "0001-leave-cuda-out-on-rocm"
OFF = ["-D__DISABLE_CUDA__"]
_EDGES = {
    "deepspeed": ("0.12.3", "0.12.4", "0.15.0", "0.16.2", "0.16.3", "0.17.5", "0.19.8"),
    "axolotl": ("0.5.0", "0.6.0", "0.7.0", "0.8.0", "0.16.1", "0.17.0"),
}  # fmt: skip


def releases(name: str) -> list[Any]:
    """All, of which the quick tier takes some."""
    return [
        pytest.param(version, marks=() if version in _EDGES[name] else pytest.mark.slow)
        for version in DIGESTS[name]
    ]


def asked(tmp_path: Path, *words: str | Path) -> tuple[int, dict[str, Any]]:
    """Exit code and data of `patch`."""
    done = doctor(tmp_path, "patch", *words, "--json", "--tree-only")
    return done.returncode, json.loads(done.stdout)["data"]


def simulated(verb: str, place: Path) -> dict[str, Any]:
    """What the sources themselves do, in a process of their own."""
    argv = [sys.executable, CHECKOUT / "tests" / "e2e" / "simulate.py", verb, place]
    env = {"PATH": os.environ["PATH"], "HOME": "/nonexistent", "PYTHONDONTWRITEBYTECODE": "1"}
    return json.loads(good(argv, 120, env=env))


# ---------------------------------------------------------------- DeepSpeed


def wanted_of_deepspeed(version: str) -> str:
    """From the history of the project, not from the sources at hand."""
    if version in ("0.15.0", "0.17.5") or SpecifierSet("<0.12.4").contains(version):
        return "not-for-this-version"
    return "needed" if SpecifierSet("<0.16.3").contains(version) else "fixed-upstream"


@pytest.mark.parametrize("version", releases("deepspeed"))
def test_deepspeed(version: str, tmp_path: Path) -> None:
    top = unpacked("deepspeed", version, tmp_path)
    code, data = asked(tmp_path, "status", "deepspeed", top)
    (item,) = data["patches"]
    assert (data["version"], item["state"]) == (version, wanted_of_deepspeed(version)), item["why"]
    needed = item["state"] == "needed"
    assert code == int(needed)
    before = {name: simulated("flags", top / name) for name in ("", "deepspeed/ops")}
    if needed:
        for flags in before.values():
            assert flags["nvcc, a GPU"] == flags["nvcc, no GPU"] == "AttributeError"
    code, data = asked(tmp_path, "apply", "deepspeed", top)
    assert (code, data["applied"]) == (0, [FLAG] if needed else [])
    after = {name: simulated("flags", top / name) for name in before} if needed else before
    for flags in after.values():
        if version == "0.17.5":
            assert set(flags.values()) == {"None"}
        elif version == "0.15.0":
            assert flags["nvcc, a GPU"] == "AttributeError"
        else:
            # Since 0.19.8 there is no such flag at all.
            none = [] if SpecifierSet(">=0.19.8").contains(version) else OFF
            assert all(found == none for found in flags.values()), flags
    assert asked(tmp_path, "status", "deepspeed", top)[0] == 0


def test_the_change_of_2024_on_the_real_source(tmp_path: Path) -> None:
    """The wrong cure: it ends the exception, and compiles the CUDA part in."""
    top = unpacked("deepspeed", "0.14.0", tmp_path)
    text = (top / "op_builder/builder.py").read_text(encoding="utf-8")
    begin, end = text.index("def assert_no_cuda_mismatch"), text.index("class OpBuilder")
    (top / "op_builder/builder.py").write_text(f"{text[:begin]}{FALSE}\n\n{text[end:]}", encoding="utf-8")
    assert simulated("flags", top)["nvcc, a GPU"] == ["-D__ENABLE_CUDA__"]
    code, data = asked(tmp_path, "status", "deepspeed", top)
    assert (code, data["patches"][0]["state"]) == (1, "conflict")
    assert "a post of March 2024 made" in data["patches"][0]["why"]
    assert asked(tmp_path, "apply", "deepspeed", top)[0] == 4


def test_the_patch_would_fit_a_release_that_needs_none(tmp_path: Path) -> None:
    top = unpacked("deepspeed", "0.12.3", tmp_path)
    patch = CHECKOUT / "patches" / "deepspeed" / f"{FLAG}.patch"
    good(["git", "apply", "--check", patch], cwd=top)
    assert asked(tmp_path, "apply", "deepspeed", top)[1]["applied"] == []


# ---------------------------------------------------------------- axolotl


def wanted_of_axolotl(version: str) -> str:
    """The number of the patch, "" for none."""
    for number, versions in (("0002", "<0.7"), ("0003", "<0.8"), ("0004", "<0.17")):
        if SpecifierSet(versions).contains(version):
            return number
    return ""


@pytest.mark.parametrize("version", releases("axolotl"))
def test_axolotl(version: str, tmp_path: Path) -> None:
    top = unpacked("axolotl", version, tmp_path)
    number = wanted_of_axolotl(version)
    code, data = asked(tmp_path, "status", "axolotl", top)
    assert data["version"] == version
    needed = [item["id"][:4] for item in data["patches"] if item["state"] == "needed"]
    assert (code, needed) == ((1, [number]) if number else (0, []))
    if not number:
        return
    # Two sdists came without the requirements that their setup.py reads, so that they cannot be installed at all.
    runs = (top / "requirements.txt").is_file()
    before = simulated("requirements", top)
    assert any(_asks(said) for said in before.values()) == runs
    assert asked(tmp_path, "apply", "axolotl", top)[0] == 0
    after = simulated("requirements", top)
    assert [torch for torch, said in after.items() if _asks(said)] == []
    assert _without(after) == _without(before)
    assert asked(tmp_path, "status", "axolotl", top)[0] == 0


def _asks(said: dict[str, Any]) -> bool:
    return any("xformers" in line for lines in said.values() if isinstance(lines, list) for line in lines)


def _without(all_said: dict[str, dict[str, Any]]) -> Any:
    """All but xformers, which is all that is to change."""
    return {
        torch: {
            place: [line for line in lines if "xformers" not in line] if isinstance(lines, list) else lines
            for place, lines in said.items()
        }
        for torch, said in all_said.items()
    }


@pytest.mark.slow
@pytest.mark.parametrize("version", ["0.6.0", "0.7.0", "0.16.1"])
def test_what_the_wheel_of_axolotl_asks_for(version: str, tmp_path: Path) -> None:
    """The last word: the metadata of the wheel that pip builds beside a torch for ROCm."""
    env = tmp_path / "env"
    good([sys.executable, "-m", "venv", env], 120)
    pip = [env / "bin" / "python", "-m", "pip"]
    done = doctor_pip(
        [*pip, "install", "-q", "setuptools>=64,<81", "wheel", "setuptools_scm>=8", "packaging"]
    )
    if done.returncode:
        pytest.skip(f"pip cannot install setuptools: {done.stderr.strip()[-200:]}")
    (site,) = (env / "lib").glob("python3*/site-packages")
    info = site / "torch-2.9.1+rocm6.4.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(
        "Metadata-Version: 2.1\nName: torch\nVersion: 2.9.1+rocm6.4\n", encoding="utf-8"
    )
    top = unpacked("axolotl", version, tmp_path)
    assert asked(tmp_path, "apply", "axolotl", top)[1]["applied"]
    done = doctor_pip(
        [*pip, "wheel", "-q", "--no-deps", "--no-build-isolation", "-w", tmp_path / "wheels", "."], cwd=top
    )
    assert done.returncode == 0, done.stderr[-3000:]
    (wheel,) = (tmp_path / "wheels").glob("*.whl")
    import zipfile

    with zipfile.ZipFile(wheel) as archive:
        (name,) = (n for n in archive.namelist() if n.endswith(".dist-info/METADATA"))
        metadata = archive.read(name).decode("utf-8")
    assert "Requires-Dist: torch==2.9.1+rocm6.4\n" in metadata
    assert "xformers" not in metadata.partition("\n\n")[0]


def doctor_pip(argv: list[Any], cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    env = {"PATH": os.environ["PATH"], "HOME": os.environ["HOME"], "PIP_DISABLE_PIP_VERSION_CHECK": "1"}
    from tests.e2e.processes import bounded

    return bounded(argv, 600, env=env, cwd=cwd)


def test_every_release_was_looked_at() -> None:
    """The tables name what the histories know; the sources agree about the first and the last with the fault."""
    paths = ("op_builder/builder.py",)
    assert "def is_cuda_enable" in texts("deepspeed", "0.16.2", paths)[paths[0]]
    assert "def is_cuda_enable" not in texts("deepspeed", "0.16.3", paths)[paths[0]]
    assert set(_EDGES["deepspeed"]) <= set(DIGESTS["deepspeed"])
    assert set(_EDGES["axolotl"]) <= set(DIGESTS["axolotl"])
