"""Run by itself, in a tree of somebody else's: what its code does on a machine that is only said to be there.

`flags FOLDER`: which flags DeepSpeed's op_builder below FOLDER compiles cpu_adam with, on a ROCm torch, as JSON: for each of six
machines the flags, or the name of the exception. `requirements TREE`: what setup.py of axolotl asks for, for each version of torch
that it may find. torch is a stand-in; nothing is compiled, and no state.py of ours has a say.
"""

from __future__ import annotations

import contextlib
import importlib
import importlib.metadata
import io
import json
import os
import runpy
import sys
import tempfile
import types
from pathlib import Path
from typing import Any
from unittest import mock

NVCC = "#!/bin/sh\necho 'Cuda compilation tools, release 12.2, V12.2.140'\necho 'Build cuda_12.2.r12.2/compiler.33191640_0'\n"
TORCHES = ("", "2.1.2+rocm5.6", "2.2.2+rocm6.0", "2.3.1+rocm6.0", "2.4.0+rocm6.1", "2.4.1+rocm6.1", "2.5.1+rocm6.2", "2.6.0+rocm6.2.4",
           "2.7.1+rocm6.3", "2.8.0+rocm6.4", "2.9.1+rocm6.4")  # fmt: skip


def stand_in(cuda_home: str | None, *, gpu: bool) -> dict[str, Any]:
    """Modules that look like a torch for ROCm."""
    extension = types.SimpleNamespace(
        CUDA_HOME=cuda_home, ROCM_HOME="/opt/rocm", BuildExtension=mock.MagicMock(), CppExtension=mock.MagicMock(),
        CUDAExtension=mock.MagicMock(), load=mock.MagicMock(),
    )  # fmt: skip
    torch = mock.MagicMock()
    torch.__version__ = "2.7.1+rocm6.3"
    torch.version.hip, torch.version.cuda = "6.3.42131", None
    torch.cuda.is_available.return_value = gpu
    torch.cuda.device_count.return_value = int(gpu)
    torch.cuda.get_device_properties.return_value.major = 9
    torch.utils.cpp_extension = extension
    accelerator = mock.MagicMock()
    accelerator.get_accelerator.return_value.op_builder_dir.return_value = "op_builder"
    accelerator.get_accelerator.return_value._name = "cuda"
    # Where deepspeed itself cannot be imported, its builders take what lies beside them.
    return {
        "torch": torch, "torch.cuda": torch.cuda, "torch.utils": torch.utils, "torch.utils.cpp_extension": extension,
        "torch.version": torch.version, "deepspeed": None, "accelerator": accelerator,
    }  # fmt: skip


def flags(folder: str, cuda_home: str | None, *, gpu: bool) -> list[str] | str:
    """What cpu_adam is compiled with, or the name of what is raised."""
    for name in [n for n in sys.modules if n.partition(".")[0] == "op_builder"]:
        del sys.modules[name]
    with (
        mock.patch.dict(sys.modules, stand_in(cuda_home, gpu=gpu)),
        mock.patch.object(sys, "path", [folder, *sys.path]),
    ):
        try:
            try:
                module = importlib.import_module("op_builder.cpu_adam")
            except ModuleNotFoundError:
                # Where it went after 0.19.7.
                module = importlib.import_module("op_builder.cpu.cpu_adam")
            found = module.CPUAdamBuilder().cxx_args()
            if None in found:
                return "None"
            return sorted({flag for flag in found if "ABLE_CUDA" in flag})
        except Exception as error:  # noqa: BLE001 - whatever a builder raises ends a build
            return type(error).__name__


def all_flags(folder: str) -> dict[str, Any]:
    """For each of six machines."""
    with tempfile.TemporaryDirectory() as made:
        (Path(made) / "cuda" / "bin").mkdir(parents=True)
        nvcc = Path(made) / "cuda" / "bin" / "nvcc"
        nvcc.write_text(NVCC, encoding="ascii")
        nvcc.chmod(0o755)
        homes = {"no CUDA": None, "nvcc": f"{made}/cuda", "CUDA without nvcc": f"{made}/none"}
        found = {}
        for name, home in homes.items():
            for gpu in (True, False):
                found[f"{name}, {'a' if gpu else 'no'} GPU"] = flags(folder, home, gpu=gpu)
        return found


def requirements(tree: str, found: str) -> dict[str, Any]:
    """What both lists of axolotl ask for beside this torch ("" for none that it sees)."""
    real = importlib.metadata.version

    def version(name: str) -> str:
        if name != "torch":
            return real(name)
        if not found:
            raise importlib.metadata.PackageNotFoundError(name)
        return found

    said: dict[str, Any] = {}
    os.chdir(tree)
    with mock.patch("importlib.metadata.version", version), mock.patch("setuptools.setup") as setup:
        try:
            runpy.run_path("setup.py", run_name="__main__")
            said["setup.py"] = setup.call_args.kwargs["install_requires"]
        except Exception as error:  # noqa: BLE001
            said["setup.py"] = type(error).__name__
        more = Path("src/setuptools_axolotl_dynamic_dependencies.py")
        if more.is_file():
            try:
                said[str(more)] = runpy.run_path(str(more))["parse_requirements"]()[0]
            except Exception as error:  # noqa: BLE001
                said[str(more)] = type(error).__name__
    return said


if __name__ == "__main__":
    verb, where = sys.argv[1:]
    quiet = io.StringIO()
    with contextlib.redirect_stdout(quiet):
        answer = (
            all_flags(where) if verb == "flags" else {torch: requirements(where, torch) for torch in TORCHES}
        )
    sys.stdout.write(json.dumps(answer))
