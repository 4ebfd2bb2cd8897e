"""The torch of an environment, read from its files."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rocmdoctor.facts.base import UnknownError, read
from rocmdoctor.facts.torch_build import LibStdCxx, TorchParts, target_of_override
from rocmdoctor.facts.torch_files import _KEEP, OtherTorches, torch_of
from rocmdoctor.hosts.collector import _kept
from rocmdoctor.model import Answer

_SITE = "/home/ann/ft/lib/python3.11/site-packages"
_PATTERN = "/home/ann/ft/lib/python3*/site-packages"
_VERSION_FILES = {
    "old": "__version__ = '1.13.1'\ndebug = False\ncuda = None\ngit_version = 'abc'\nhip = None\n",
    "annotated": (
        "from typing import Optional\n\n__all__ = ['__version__', 'debug', 'cuda', 'git_version', 'hip']\n"
        "__version__ = '2.9.1+rocm6.4'\ndebug = False\ncuda: Optional[str] = None\ngit_version = 'abc'\n"
        "hip: Optional[str] = '6.4.43484-123eb5128'\nrocm: Optional[str] = '6.4.0'\nxpu: Optional[str] = None\n"
    ),
}


@pytest.mark.parametrize(
    ("name", "version", "build"),
    [("old", "1.13.1", "processors only"), ("annotated", "2.9.1+rocm6.4", "ROCm (HIP 6.4.43484-123eb5128)")],
)
def test_version_files(name: str, version: str, build: str) -> None:
    kept = _kept(_VERSION_FILES[name], _KEEP)
    assert "git_version" not in kept
    torch = torch_of("/usr/lib/python3/dist-packages/torch/version.py", kept)
    assert torch is not None
    assert (torch.version, torch.build, torch.site) == (version, build, "/usr/lib/python3/dist-packages")


@given(st.text(max_size=300))
def test_any_version_file(text: str) -> None:
    torch = torch_of("/x/torch/version.py", text)
    assert torch is None or torch.version


def test_torches_of_others_are_found_and_told_apart() -> None:
    def found(site: str, version: str) -> Answer:
        return Answer(True, files={f"{site}/torch/version.py": f"__version__ = '{version}'\nhip = None\n"})

    answers = {
        "env:ROCMDOCTOR_ENV": Answer(True, text="/home/ann/ft"),
        "env:HOME": Answer(True, text="/home/ann"),
        f"glob:{_PATTERN}/torch/version.py": found(_SITE, "9.0"),
        "glob:/usr/lib/python3/dist-packages/torch/version.py": found(
            "/usr/lib/python3/dist-packages", "1.0"
        ),
        "glob:/home/ann/.local/lib/python3*/site-packages/torch/version.py": found(
            "/home/ann/.local/lib/python3.10/site-packages", "2.0"
        ),
        "glob:/opt/conda/envs/*/lib/python3*/site-packages/torch/version.py": found(
            "/opt/conda/envs/x/lib/python3.10/site-packages", "3.0"
        ),
    }
    assert [t.version for t in read(OtherTorches, answers).torches] == ["2.0", "1.0", "3.0"]


def test_targets_by_the_names_of_kernel_files() -> None:
    names = (
        "torch/lib/rocblas/library/TensileLibrary_lazy_gfx90a.dat",
        "torch/lib/rocblas/library/gfx1100/TensileLibrary_lazy_gfx1100.dat.zlib",
        "_rocm_sdk_libraries_gfx94X_dcgpu/lib/rocblas/library/TensileLibrary_lazy_gfx942.dat",
        "torch/lib/rocblas/library/TensileLibrary_lazy_gfxnone.dat",
    )
    patterns = (
        "torch/lib/rocblas/library/TensileLibrary_lazy_gfx*",
        "torch/lib/rocblas/library/gfx*/TensileLibrary_lazy_gfx*",
        "_rocm_sdk_libraries*/lib/rocblas/library/TensileLibrary_lazy_gfx*",
    )
    answers = {
        "env:VIRTUAL_ENV": Answer(True, text="/home/ann/ft"),
        f"glob:{_PATTERN}/torch/__init__.py": Answer(True, files={f"{_SITE}/torch/__init__.py": ""}),
        f"glob:{_PATTERN}/torch/version.py": Answer(True),
    }
    for pattern, name in zip(patterns, names, strict=False):
        answers[f"glob:{_PATTERN}/{pattern}"] = Answer(True, files={f"{_SITE}/{name}": ""})
    answers[f"glob:{_PATTERN}/{patterns[0]}"] = Answer(
        True, files={f"{_SITE}/{names[0]}": "", f"{_SITE}/{names[3]}": ""}
    )
    parts = read(TorchParts, answers)
    assert parts.kernels["rocblas"] == {_SITE: frozenset({"gfx90a", "gfx1100", "gfx942"})}
    assert parts.packages == (_SITE,)


def test_what_nobody_asked_is_unknown() -> None:
    with pytest.raises(UnknownError):
        read(TorchParts, {})


@pytest.mark.parametrize(
    ("value", "target"),
    [("10.3.0", "gfx1030"), ("9.0.10", "gfx90a"), ("11.0", ""), ("", ""), ("9.0.10 ", "")],
)
def test_targets_of_overrides(value: str, target: str) -> None:
    assert target_of_override(value) == target


def test_the_newest_cxx_library_counts() -> None:
    folder = "/usr/lib/x86_64-linux-gnu/libstdc++.so.6.0"
    answers = {
        "env:CONDA_PREFIX": Answer(True, text="/opt/conda"),
        "glob:/usr/lib/x86_64-linux-gnu/libstdc++.so.6.0.*": Answer(
            True, files={f"{folder}.9": "", f"{folder}.30": "", f"{folder}.30-gdb.py": ""}
        ),
        "glob:/opt/conda/lib/libstdc++.so.6.0.*": Answer(
            True, files={"/opt/conda/lib/libstdc++.so.6.0.29": ""}
        ),
    }
    assert read(LibStdCxx, answers) == LibStdCxx(29, 30)
