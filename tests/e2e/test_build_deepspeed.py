"""cpu_adam of DeepSpeed 0.14.0, patched: built, loaded and stepping, with and without an nvcc in sight.

Against torch for processors, since a torch for ROCm takes gigabytes. With the flags that the builder names beside a torch for ROCm and
a CUDA toolkit the same sources are compiled once more: there the release stops, and with the change of 2024 it asks for CUDA's headers.
"""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import CHECKOUT
from tests.e2e.here import doctor
from tests.e2e.processes import bounded, good
from tests.e2e.sdists import unpacked
from tests.e2e.simulate import NVCC
from tests.patching.trees import FALSE

pytestmark = [pytest.mark.e2e, pytest.mark.slow, pytest.mark.timeout(1800)]
_STEPS = CHECKOUT / "tests" / "e2e" / "step_adam.py"
# What torch's way to build extensions and DeepSpeed's setup.py import.
_WITH = (
    "setuptools<81",
    "wheel",
    "ninja",
    "numpy",
    "packaging",
    "psutil",
    "py-cpuinfo",
    "pydantic",
    "hjson",
    "tqdm",
)


@pytest.fixture(scope="module")
def env(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """An environment with torch for processors."""
    if shutil.which("g++") is None:
        pytest.skip("needs g++")
    folder = tmp_path_factory.mktemp("torch") / "env"
    good([sys.executable, "-m", "venv", folder], 120)
    python = folder / "bin" / "python"
    done = bounded([python, "-m", "pip", "install", "-q", "torch==2.13.0+cpu", *_WITH], 1200)
    if done.returncode:
        pytest.skip(f"pip cannot install torch for processors: {done.stderr.strip()[-200:]}")
    yield folder
    shutil.rmtree(folder)


@pytest.fixture(scope="module")
def cuda(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with an nvcc that says which one it is, and nothing else."""
    folder = tmp_path_factory.mktemp("cuda")
    (folder / "bin").mkdir()
    (folder / "bin" / "nvcc").write_text(NVCC, encoding="ascii")
    (folder / "bin" / "nvcc").chmod(0o755)
    return folder


def settings(env: Path, folder: Path, nvcc: Path | None) -> dict[str, str]:
    first = [str(env / "bin"), *([f"{nvcc}/bin"] if nvcc else [])]
    return {
        "PATH": ":".join([*first, "/usr/bin", "/bin"]), "HOME": str(folder), "MAX_JOBS": "1", "DS_ACCELERATOR": "cuda",
        "DS_BUILD_OPS": "0", "DS_BUILD_CPU_ADAM": "1", "TORCH_EXTENSIONS_DIR": str(folder / "extensions"), "LANG": "C.UTF-8",
    }  # fmt: skip


def patched(folder: Path) -> Path:
    top = unpacked("deepspeed", "0.14.0", folder)
    assert doctor(folder, "patch", "apply", "deepspeed", top, "--tree-only").returncode == 0
    return top


def steps(env: Path, folder: Path, nvcc: Path | None, *words: str | Path) -> dict[str, Any]:
    argv = ["nice", env / "bin" / "python", _STEPS, *words]
    return json.loads(good(argv, 900, env=settings(env, folder, nvcc), cwd=folder).splitlines()[-1])


def right(said: dict[str, Any]) -> None:
    assert said["moved"] > 5e-3
    assert said["difference"] < 1e-5


@pytest.mark.parametrize("nvcc", [False, True])
def test_setup_builds_it(env: Path, cuda: Path, tmp_path: Path, nvcc: bool) -> None:
    top = patched(tmp_path)
    seen = cuda if nvcc else None
    argv = ["nice", env / "bin" / "python", "setup.py", "build_ext", "--inplace"]
    done = bounded(argv, 900, env=settings(env, tmp_path, seen), cwd=top)
    assert done.returncode == 0, done.stderr[-3000:]
    assert "-D__DISABLE_CUDA__" in done.stdout + done.stderr
    right(steps(env, tmp_path, seen, "built", top))


def test_it_is_built_as_for_rocm_beside_cuda(env: Path, cuda: Path, tmp_path: Path) -> None:
    said = steps(env, tmp_path, cuda, "rocm", patched(tmp_path), cuda)
    assert "-D__DISABLE_CUDA__" in said["flags"]
    right(said)


def test_without_the_patch_it_stops(env: Path, cuda: Path, tmp_path: Path) -> None:
    top = unpacked("deepspeed", "0.14.0", tmp_path)
    assert steps(env, tmp_path, cuda, "rocm", top, cuda) == {"raised": "AttributeError"}


def test_with_the_change_of_2024_it_asks_for_cudas_headers(env: Path, cuda: Path, tmp_path: Path) -> None:
    top = unpacked("deepspeed", "0.14.0", tmp_path)
    path = top / "op_builder" / "builder.py"
    text = path.read_text(encoding="utf-8")
    begin, end = text.index("def assert_no_cuda_mismatch"), text.index("class OpBuilder")
    # It asks whether torch sees a GPU, which none here does.
    wrong = FALSE.replace("torch.cuda.is_available()", "True")
    path.write_text(f"{text[:begin]}{wrong}\n\n{text[end:]}", encoding="utf-8")
    said = steps(env, tmp_path, cuda, "rocm", top, cuda)
    assert "-D__ENABLE_CUDA__" in said["flags"]
    assert "cuda_fp16.h" in said["failed"]
