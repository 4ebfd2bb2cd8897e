"""Libraries beside torch: names, targets, and the one that bitsandbytes would take."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rocmdoctor.facts.base import UnknownError, read
from rocmdoctor.facts.training import BnbLibraries, CudaHome, Library, XformersBuild, bnb_choice, kind_of
from rocmdoctor.model import Answer

_SITE = "/v/lib/python3.11/site-packages"
_PATTERN = "/v/lib/python3*/site-packages"
_OLD = ("62", "63", "64", "70", "71")  # names in the wheel of 0.49.1
_NEW = ("64", "70", "71", "72", "714", "715")  # and in that of 0.50.2


def _libraries(digits: tuple[str, ...]) -> tuple[Library, ...]:
    names = (*(f"rocm{d}" for d in digits), "cuda128", "cpu")
    return tuple(Library(f"{_SITE}/bitsandbytes/libbitsandbytes_{n}.so", None, None) for n in names)


@pytest.mark.parametrize(
    ("digits", "hip", "override", "fallback", "name"),
    [
        (_OLD, (6, 4), "", False, "rocm64"),
        (_OLD, (7, 2), "", False, "!rocm72"),
        (_OLD, (7, 2), "71", False, "!rocm72"),  # older releases read no override
        (_OLD, (7, 14), "", False, "!rocm84"),
        (_NEW, (7, 14), "", True, "rocm714"),
        (_NEW, (7, 2), "", True, "rocm72"),
        (_NEW, (7, 13), "", True, "rocm72"),  # the highest lower one, as numbers
        (_NEW, (6, 2), "", True, "rocm64"),  # else the lowest higher one
        (_NEW, (5, 7), "", True, "!rocm57"),  # never another major release
        (_NEW, (7, 2), "70", True, "rocm70"),
        (_NEW, (7, 2), "69", True, "!rocm69"),
        ((), (7, 2), "", True, "!rocm72"),
    ],
)
def test_choice(
    digits: tuple[str, ...], hip: tuple[int, int], override: str, fallback: bool, name: str
) -> None:
    found = bnb_choice(_libraries(digits), hip, override, fallback=fallback)
    said = f"!{found[16:-3]}" if isinstance(found, str) else found.name[16:-3]
    assert said == name


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("libbitsandbytes_rocm714.so", ("rocm", "714", "")),
        ("libbitsandbytes_hip_nohipblaslt.so", ("hip", "", "_nohipblaslt")),
        ("libbitsandbytes_rocm60_nohipblaslt.so", ("rocm", "60", "_nohipblaslt")),
        ("libbitsandbytes_cuda118.so", ("cuda", "118", "")),
        ("other.so", ("", "", "")),
    ],
)
def test_names(name: str, kind: tuple[str, str, str]) -> None:
    assert kind_of(Library(f"/x/{name}", None, None)) == kind


def test_targets_count_whatever_their_features() -> None:
    library = Library("/x.so", ("gfx90a:sramecc+:xnack-", "gfx1030"), ())
    assert library.serves("gfx90a") is True
    assert library.serves("gfx90") is False
    assert Library("/x.so", (), ()).serves("gfx90a") is None
    assert Library("/x.so", None, None).serves("gfx90a") is None


def test_a_library_that_nobody_looked_into() -> None:
    paths = [f"{_SITE}/bitsandbytes/libbitsandbytes_{n}.so" for n in ("rocm64", "rocm70")]
    answers = {
        "env:VIRTUAL_ENV": Answer(True, text="/v"),
        f"glob:{_PATTERN}/bitsandbytes/libbitsandbytes_*.so": Answer(True, files=dict.fromkeys(paths, "")),
        f"elf:{_PATTERN}/bitsandbytes/libbitsandbytes_[hr]*.so": Answer(
            True, files={paths[0]: "needed libhipblas.so.2\nrunpath /opt/rocm/lib\ngfx gfx90a\n"}
        ),
    }
    first, second = read(BnbLibraries, answers).rocm
    assert (first.gfx, first.needed) == (("gfx90a",), ("libhipblas.so.2",))
    assert (second.gfx, second.needed) == (None, None)


# Written by xformers' setup.py: CUDA as a number, HIP as hipcc's text.
@pytest.mark.parametrize(
    ("text", "cuda", "hip"),
    [
        ('"version": {"cuda": 1208, "hip": null, "torch": "2.10.0+cu128", "python": "3.10.19"}', 1208, None),
        (
            '"version": {"cuda": null, "hip": "6.4.43482-0f2d60242", "torch": "2.8.0+rocm6.4"}',
            None,
            "6.4.43482-0f2d60242",
        ),
        ('"version": {"cuda": null, "hip": null, "torch": "2.8.0+cpu"}', None, None),
    ],
)
def test_xformers(text: str, cuda: int | None, hip: str | None) -> None:
    path = f"{_SITE}/xformers/cpp_lib.json"
    answers = {
        "env:VIRTUAL_ENV": Answer(True, text="/v"),
        f"glob:{_PATTERN}/xformers/cpp_lib.json": Answer(True, files={path: text}),
    }
    build = read(XformersBuild, answers)
    assert (build.cuda, build.hip) == (cuda, hip)


@given(st.text(max_size=200))
def test_any_xformers(text: str) -> None:
    path = f"{_SITE}/xformers/cpp_lib.json"
    answers = {
        "env:VIRTUAL_ENV": Answer(True, text="/v"),
        f"glob:{_PATTERN}/xformers/cpp_lib.json": Answer(True, files={path: text}),
    }
    read(XformersBuild, answers)


def test_the_cuda_toolkit_that_torch_finds() -> None:
    absent = Answer(False, "absent")
    none = {"env:CUDA_HOME": absent, "env:CUDA_PATH": absent, "stat:/usr/local/cuda": absent}
    there = Answer(True, text="dir 0755 root root")
    assert read(CudaHome, none) == CudaHome("", "")
    assert read(CudaHome, {**none, "stat:/usr/local/cuda": there}).path == "/usr/local/cuda"
    nvcc = Answer(True, path="/opt/cuda/bin/nvcc", exit_code=0)
    on_path = {**none, "stat:/usr/local/cuda": there, "run:nvcc --version": nvcc}
    assert read(CudaHome, on_path) == CudaHome("/opt/cuda", "nvcc on PATH")
    assert read(CudaHome, {**on_path, "env:CUDA_HOME": Answer(True, text="/x")}) == CudaHome(
        "/x", "CUDA_HOME"
    )
    with pytest.raises(UnknownError):
        read(CudaHome, {})
