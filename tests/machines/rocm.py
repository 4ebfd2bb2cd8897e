"""Folders and programs of ROCm: AMD's below /opt, its programs on PATH, seeing the machine's GPUs."""

from __future__ import annotations

from rocmdoctor.facts.gpus import gfx_name
from tests.machines.parts import ABSENT, Answers, Spec, files, ran, text

_HIP = "41134"


def hip_version(rocm: str) -> str:
    """HIP's version of a ROCm release."""
    return ".".join([*rocm.split(".")[:2], _HIP])


def folders(spec: Spec) -> Answers:
    """One release below /opt, with /opt/rocm leading to it by way of the alternatives."""
    root = f"/opt/rocm-{spec.rocm}"
    there = bool(spec.rocm)
    major, minor, _ = (spec.rocm or "0.0.0").split(".")
    hip = f"HIP_VERSION_MAJOR={major}\nHIP_VERSION_MINOR={minor}\nHIP_VERSION_PATCH={_HIP}\n"
    names = ".info/\nbin/\ninclude/\nlib/\nllvm@\nshare/\n"
    answers: Answers = {
        "list:/opt": text(f"rocm@\nrocm-{spec.rocm}/\n" if there else ""),
        "list:/opt/rocm": text(names) if there else ABSENT,
        "link:/opt/rocm": text("/etc/alternatives/rocm") if there else ABSENT,
        "stat:/opt/rocm": text("dir 0755 root root") if there else ABSENT,
        "link:/etc/alternatives/rocm": text(root) if there else ABSENT,
        "glob:/opt/rocm*/.info/version": files(
            {f"{r}/.info/version": f"{spec.rocm}-139\n" for r in ("/opt/rocm", root)} if there else {}
        ),
        "glob:/opt/rocm*/share/hip/version": files({f"{root}/share/hip/version": hip} if there else {}),
        "glob:/opt/rocm/core-*/.info/version": files({}),
        "glob:/opt/rocm/core-*/share/hip/version": files({}),
        "read:/usr/share/hip/version": ABSENT,
        "stat:/usr/bin/hipconfig": ABSENT,
    }
    if there:
        answers[f"link:{root}"] = {"ok": False, "why": "error", "detail": "EINVAL"}
        answers[f"list:{root}"] = text(names)
        answers[f"list:{root}/bin"] = text(
            "amd-smi\nhipcc\nhipconfig\nrocm-smi\nrocm_agent_enumerator\nrocminfo\n"
        )
        answers[f"list:{root}/lib"] = text("libamdhip64.so@\nlibamdhip64.so.6@\nlibhsa-runtime64.so.1@\n")
    return answers


def compilers(spec: Spec) -> Answers:
    """GCC with its headers; no clang++ and no CUDA outside ROCm."""
    return {
        "list:/usr/lib/gcc/x86_64-linux-gnu": text("12/\n"),
        "stat:/usr/lib/gcc/x86_64-linux-gnu/12/crtbegin.o": text("file 0644 root root"),
        "list:/usr/include/c++": text("12/\n"),
        "run:clang++ --version": ABSENT,
        "run:nvcc --version": ABSENT,
        "stat:/usr/local/cuda/bin/nvcc": ABSENT,
        "link:/usr/local/cuda": ABSENT,
    }


def rocminfo(gpus: list[tuple[str, str, str]]) -> str:
    """What rocminfo prints; each GPU as target, PCI device id and name."""
    head = "ROCk module is loaded\n=====\nHSA System Attributes\n=====\nRuntime Version:         1.14\n\n"
    text_ = (
        head
        + "==========\nHSA Agents\n==========\n"
        + _agent(1, "AMD EPYC 7543", "CPU", "0", "AMD EPYC 7543")
    )
    for number, (gfx, device, name) in enumerate(gpus, 2):
        text_ += _agent(number, gfx, "GPU", device, name)
        text_ += f"  ISA Info:\n    ISA 1\n      Name:                    amdgcn-amd-amdhsa--{gfx}\n"
    return text_ + "*** Done ***\n"


def _agent(number: int, name: str, kind: str, device: str, marketing: str) -> str:
    return (
        f"*******\nAgent {number}\n*******\n  Name:                    {name}\n"
        f"  Marketing Name:          {marketing}\n  Device Type:             {kind}\n"
        f"  Chip ID:                 {int(device, 16)}(0x{int(device, 16):x})\n"
    )


def tools(spec: Spec) -> Answers:
    """Programs as a shell finds them in /opt/rocm/bin."""
    keys = (
        "rocminfo", "hipconfig --full", "hipcc --version", "rocm-smi --showid", "amd-smi version",
        "rocm_agent_enumerator", "clinfo -l",
    )  # fmt: skip
    if not spec.rocm:
        return {f"run:{key}": ABSENT for key in keys}
    gfx = [gfx_name(g.gfx_target_version) for g in spec.gpus]
    hip = hip_version(spec.rocm)
    config = (
        f"HIP version  : {hip}-65d174c3e\nHIP_PATH     : /opt/rocm-{spec.rocm}\nROCM_PATH    : /opt/rocm-{spec.rocm}\n"
        "HIP_COMPILER : clang\nHIP_PLATFORM : amd\nHIP_RUNTIME  : rocclr\n"
        f"HIP_CLANG_PATH   : /opt/rocm-{spec.rocm}/lib/llvm/bin\n"
    )
    ids = "".join(f"GPU[{n}]\t\t: Device ID: \t\t0x{g.device}\n" for n, g in enumerate(spec.gpus))
    said = {
        "rocminfo": rocminfo([(name, g.device, "") for name, g in zip(gfx, spec.gpus, strict=True)]),
        "hipconfig --full": config,
        "hipcc --version": f"HIP version: {hip}-65d174c3e\nAMD clang version 18.0.0git\n",
        "rocm-smi --showid": f"===== ROCm System Management Interface =====\n{ids}",
        "amd-smi version": f"AMDSMI Tool: 24.6.3+9578815 | AMDSMI Library version: 24.6.3.0 | ROCm version: {spec.rocm}\n",
        "rocm_agent_enumerator": "".join(f"{name}\n" for name in ["gfx000", *gfx]),
    }
    answers = {
        f"run:{key}": ran(value, path=f"/opt/rocm/bin/{key.split()[0]}") for key, value in said.items()
    }
    return {**answers, "run:clinfo -l": ABSENT, "run:/opt/rocm/bin/clinfo -l": ABSENT}


PARTS = (folders, compilers, tools)
