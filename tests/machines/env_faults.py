"""Faults of the Python environment, planted by building another environment in the place of the healthy one."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from tests.machines.faults import ABSENT, Answers, Spec, fault, files, ran, text, without
from tests.machines.python_env import DISTS, HEALTHY_ENV, TRITON, EnvSpec, bnb_library, environment

ON = ("mi210-training",)
Dists = dict[str, tuple[str, tuple[str, ...]]]


def become(answers: Answers, spec: Spec, env: EnvSpec) -> None:
    """Puts this environment where the healthy one was."""
    without(answers, re.escape(HEALTHY_ENV.prefix))
    fresh = environment(replace(spec, extra={**spec.extra, "env": env}))
    answers.update(
        {k: v for k, v in fresh.items() if k not in answers or env.prefix in k or k.startswith("env:")}
    )


def changed(**values: Any) -> Callable[[Answers, Spec], None]:
    """The healthy environment with other values."""

    def plant(answers: Answers, spec: Spec) -> None:
        become(answers, spec, replace(HEALTHY_ENV, **values))

    return plant


def with_dist(name: str, version: str, requires: tuple[str, ...] = ("torch",)) -> Dists:
    """The healthy environment's distributions and one more, or one in another version."""
    return {**DISTS, name: (version, requires)}


def planting(
    name: str, label: str, cause: str, plant: Callable[[Answers, Spec], None], level: str = "fail"
) -> None:
    """Registers a fault that is planted by other values alone."""
    plant.__name__ = label.replace("-", "_")
    fault(name, cause, ON, level)(plant)


def _without_triton(torch: tuple[str, tuple[str, ...]]) -> Dists:
    return {**{k: v for k, v in DISTS.items() if k != "pytorch-triton-rocm"}, "torch": torch}


_NO_ROCM: dict[str, Any] = {"hip": None, "blas": (), "blaslt": ()}
_CUDA_DISTS: Dists = {
    **_without_triton(
        ("2.7.1", ("filelock", 'nvidia-cuda-runtime-cu12==12.6.77; platform_system == "Linux"'))
    ),
    "triton": ("3.3.1", ()),
    "nvidia-cuda-runtime-cu12": ("12.6.77", ()),
}
_CPU_LIBRARIES = ("libtorch_cpu.so", "libtorch_python.so")

planting(
    "cuda-torch-installed", "cuda-torch", "torch.rocm-build",
    changed(
        torch="2.7.1+cu126", cuda="12.6", dists=_CUDA_DISTS, owners=("triton-3.3.1",),
        libraries=("libtorch_cpu.so", "libtorch_cuda.so"), **_NO_ROCM,
    ),
)  # fmt: skip
planting(
    "torch-overwritten-by-pip", "cpu-torch-over-a-rocm-one", "torch.rocm-build",
    changed(torch="2.7.1+cpu", dists={**DISTS, "torch": ("2.7.1+cpu", TRITON)}, libraries=_CPU_LIBRARIES, **_NO_ROCM),
)  # fmt: skip
planting(
    "python-version-no-wheel", "python-without-wheels", "torch.python",
    changed(
        python="3.15", torch="2.7.1+cpu", dists=_without_triton(("2.7.1+cpu", ())), owners=(), triton="",
        libraries=_CPU_LIBRARIES, tags=("cp315-cp315-manylinux_2_28_x86_64",), **_NO_ROCM,
    ),
)  # fmt: skip
planting(
    "torch-rocm-mismatch", "torch-for-another-rocm", "torch.rocm-match",
    changed(
        torch="2.7.1+rocm6.4.1.lw.git4e7ae583", hip="6.4.43483",
        dists={**DISTS, "torch": ("2.7.1+rocm6.4.1.lw.git4e7ae583", TRITON)},
        libraries=("libtorch_cpu.so", "libtorch_hip.so"),
    ),
)  # fmt: skip
planting(
    "triton-mismatch", "triton-of-pypi", "torch.triton",
    changed(
        triton="3.4.0", owners=("pytorch_triton_rocm-3.3.1", "triton-3.4.0"), dists=with_dist("triton", "3.4.0", ()),
    ),
)  # fmt: skip
planting(
    "missing-device-wheel", "no-device-wheel", "torch.device-wheel",
    changed(
        dists=with_dist("amd-torch-device-gfx942", "2.7.1+rocm6.2.4", ()),
        more={"torch": "Provides-Extra: device-gfx90a\nProvides-Extra: device-gfx942\n"},
    ),
)  # fmt: skip
planting(
    "unsupported-gfx",
    "torch-without-this-gpu",
    "torch.gpu-code",
    changed(blas=("gfx1030", "gfx1100"), blaslt=()),
)
planting(
    "glibc-too-old",
    "wheel-for-a-newer-glibc",
    "torch.glibc",
    changed(tags=("cp311-cp311-manylinux_2_38_x86_64",)),
)


@fault("hipblaslt-arch", "torch.hipblaslt", ON)
def _hipblaslt_without_this_gpu(answers: Answers, spec: Spec) -> None:
    become(answers, spec, replace(HEALTHY_ENV, blaslt=("gfx942",)))
    answers["env:TORCH_BLAS_PREFER_HIPBLASLT"] = text("1")


# ---------------------------------------------------------------- what training needs

planting(
    "bnb-cuda-build", "bnb-for-cuda", "training.bitsandbytes-build",
    changed(dists=with_dist("bitsandbytes", "0.45.5"), bnb={"cpu": "", "cuda124": "", "cuda128": ""}),
)  # fmt: skip
planting(
    "bnb-missing-rocm-lib", "bnb-without-this-rocm", "training.bitsandbytes-library",
    changed(dists=with_dist("bitsandbytes", "0.49.1"), bnb={"rocm63": bnb_library(), "rocm71": bnb_library(blas="3")}),
)  # fmt: skip
planting(
    "bnb-rocm-mismatch", "bnb-built-with-another-rocm", "training.bitsandbytes-rocm",
    changed(bnb={"rocm62": bnb_library(blas="3")}),
)  # fmt: skip
planting(
    "bnb-wave32", "bnb-for-narrow-wavefronts", "training.bitsandbytes-wavefront",
    changed(
        dists=with_dist("bitsandbytes", "0.42.0", ()), bnb={"hip_nohipblaslt": bnb_library(("gfx90a",)), "cpu": ""}
    ),
)  # fmt: skip
planting(
    "bnb-stale-branch", "bnb-from-a-branch", "training.bitsandbytes-fork",
    changed(
        dists={**with_dist("bitsandbytes", "0.43.3.dev0", ()), "transformers": ("5.0.0", ())},
        bnb={"rocm62": bnb_library(("gfx90a",))},
    ),
)  # fmt: skip


@fault("flash-attn-arch", "training.flash-attention", ON)
def _flash_attention_for_another_gpu(answers: Answers, spec: Spec) -> None:
    become(answers, spec, replace(HEALTHY_ENV, dists=with_dist("flash-attn", "2.8.3", ("torch", "einops"))))
    library = f"{HEALTHY_ENV.site}/flash_attn_2_cuda.cpython-311-x86_64-linux-gnu.so"
    pattern = f"{HEALTHY_ENV.pattern}/flash_attn_2_cuda*.so"
    answers[f"glob:{pattern}"] = files({library: ""})
    answers[f"elf:{pattern}"] = files({library: "needed libc.so.6\ngfx gfx942\n"})


planting(
    "deepspeed-nvcc",
    "deepspeed-that-wants-nvcc",
    "training.deepspeed",
    changed(dists=with_dist("deepspeed", "0.17.5")),
)
planting(
    "deepspeed-rocm-detect", "deepspeed-that-misreads-rocm", "training.deepspeed",
    changed(dists=with_dist("deepspeed", "0.15.0")),
)  # fmt: skip


@fault("xformers-hip", "training.xformers", ON)
def _xformers_of_pypi(answers: Answers, spec: Spec) -> None:
    become(answers, spec, replace(HEALTHY_ENV, dists=with_dist("xformers", "0.0.31", ("torch==2.7.1",))))
    said = '"version": {"cuda": 1208, "hip": null, "torch": "2.7.1+cu128", "python": "3.10.19"}'
    answers[f"glob:{HEALTHY_ENV.pattern}/xformers/cpp_lib.json"] = files(
        {f"{HEALTHY_ENV.site}/xformers/cpp_lib.json": said}
    )


@fault("compiler-failure", "rocm.hipcc", ("mi210", "rx7900xtx-with-igpu", "debian12", "container"))
def _hipcc_without_clang(answers: Answers, spec: Spec) -> None:
    path = answers["run:hipcc --version"].get("path", "")
    answers["run:hipcc --version"] = ran("", 127, "sh: 1: /opt/rocm/llvm/bin/clang++: not found\n", path=path)


@fault("conda-libstdcxx", "environment.conda-libstdcxx", ON, "warn")
def _old_libstdcxx_of_conda(answers: Answers, spec: Spec) -> None:
    prefix = "/home/ann/miniconda3/envs/ft"
    become(answers, spec, replace(HEALTHY_ENV, prefix=prefix, kind="conda"))
    answers["env:ROCMDOCTOR_ENV"] = ABSENT
    answers["env:CONDA_PREFIX"] = text(prefix)
    for key in [k for k in answers if "libstdc++.so.6.0." in k and prefix in k]:
        answers[key] = files({f"{prefix}/lib/libstdc++.so.6.0.29": ""})


# These leave their traces in the logs of programs, which `explain` reads, and none in a machine's answers.
UNSEEN = {
    "flash-attn-oom-build": "seen in the log of a build",
    "hip-out-of-memory": "seen in the log of a run",
    "gpu-memory-access-fault": "seen in the log of a run",
    "rccl": "seen in the log of a run",
    "wrong-numbers": "seen by what verify lets libraries compute; its figures are cases of their own",
}
