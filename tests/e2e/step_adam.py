"""Run by itself, in an environment with torch for processors: makes steps with the cpu_adam of the DeepSpeed below TREE.

`built TREE`: with what setup.py built there. `rocm TREE CUDA`: compiled with the flags that its builder names where torch is one for
ROCm and finds a CUDA toolkit at CUDA; of torch only these two answers are pretended, the compiler and what it makes are real. deepspeed
itself is not imported: releases of 2024 do not go with torch of today. Prints one line of JSON.
"""

from __future__ import annotations

import importlib.util
import json
import os
import sys
from pathlib import Path
from typing import Any

import torch
from torch.utils import cpp_extension


def built(tree: str) -> dict[str, Any]:
    """The library that setup.py made."""
    (library,) = Path(tree, "deepspeed", "ops", "adam").glob("cpu_adam_op*.so")
    spec = importlib.util.spec_from_file_location("cpu_adam_op", library)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return compared(module)


def rocm(tree: str, cuda: str) -> dict[str, Any]:
    """The flags of a machine with ROCm and CUDA, given to the compiler here."""
    sys.path.insert(0, tree)
    sys.modules["deepspeed"] = None  # type: ignore[assignment]
    real = torch.version.hip, cpp_extension.CUDA_HOME, cpp_extension.ROCM_HOME
    torch.version.hip, cpp_extension.CUDA_HOME, cpp_extension.ROCM_HOME = "6.0.32830", cuda, "/opt/rocm"
    try:
        from op_builder.cpu_adam import CPUAdamBuilder

        flags = CPUAdamBuilder().cxx_args()
    except Exception as error:  # noqa: BLE001 - whatever it raises ends a build
        return {"raised": type(error).__name__}
    finally:
        torch.version.hip, cpp_extension.CUDA_HOME, cpp_extension.ROCM_HOME = real
    # Libraries of a ROCm that is not here; what is compiled depends on none of them.
    kept = [flag for flag in flags if not flag.startswith(("-L", "-l"))]
    sources = [f"{tree}/csrc/adam/{name}" for name in ("cpu_adam.cpp", "cpu_adam_impl.cpp")]
    includes = [f"{tree}/csrc/includes"]
    try:
        module = cpp_extension.load(
            "cpu_adam_of_rocm", sources, kept, extra_include_paths=includes, extra_ldflags=["-fopenmp"]
        )
    except Exception as error:  # noqa: BLE001
        return {"flags": kept, "failed": str(error)[-4000:]}
    return {"flags": kept, **compared(module)}


def compared(module: Any) -> dict[str, Any]:
    """Ten steps beside torch's own AdamW: the largest difference."""
    torch.manual_seed(0)
    mine = torch.randn(10_007)
    theirs = torch.nn.Parameter(mine.clone())
    start = mine.clone()
    first, second = torch.zeros_like(mine), torch.zeros_like(mine)
    module.create_adam(0, 1e-3, 0.9, 0.999, 1e-8, 0.01, True, False)
    other = torch.optim.AdamW([theirs], lr=1e-3, weight_decay=0.01)
    for count in range(1, 11):
        gradient = torch.randn(10_007)
        theirs.grad = gradient.clone()
        module.adam_update(0, count, 1e-3, 0.9, 0.999, 1e-8, 0.01, True, mine, gradient, first, second)
        other.step()
    module.destroy_adam(0)
    return {
        "difference": float((mine - theirs.detach()).abs().max()),
        "moved": float((mine - start).abs().max()),
        "torch": torch.__version__,
    }


if __name__ == "__main__":
    kept = os.dup(1)
    os.dup2(2, 1)
    answer = {"built": built, "rocm": rocm}[sys.argv[1]](*sys.argv[2:])
    os.write(kept, json.dumps(answer).encode() + b"\n")
