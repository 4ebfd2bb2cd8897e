"""What HIP's compiler driver stands on: the choice between AMD and NVIDIA, C++ headers, and where ROCm is looked for."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import ClassVar

from rocmdoctor.facts.base import Evidence, Fact, UnknownError
from rocmdoctor.facts.tools import ToolAnswers
from rocmdoctor.frozen import frozen
from rocmdoctor.model import Env, Link, List, Query, Run, Stat

_LINE = re.compile(
    r"^(HIP_PATH|ROCM_PATH|HIP_COMPILER|HIP_PLATFORM|HIP_RUNTIME|HIP_CLANG_PATH)\s*:\s*(.*?)\s*$"
)
_VARIABLES = ("HIP_PLATFORM", "HIP_PATH", "ROCM_PATH", "ROCM_HOME", "CUDA_PATH", "HIP_CLANG_PATH")
_GCC = "/usr/lib/gcc/x86_64-linux-gnu"
_CXX = "/usr/include/c++"


@frozen
class HipConfig:
    """One answer of `hipconfig --full`. `enumerator_missing`: it could not start rocm_agent_enumerator."""

    root: str
    values: Mapping[str, str]
    version: str | None
    enumerator_missing: bool

    @property
    def platform(self) -> str | None:
        """`amd`, `nvidia` or None; old releases say hcc and nvcc."""
        said = self.values.get("HIP_PLATFORM")
        return {"hcc": "amd", "nvcc": "nvidia"}.get(said or "", said)


@frozen
class HipConfigs(Fact):
    """The answers of every hipconfig; `main` is the one that a user's shell finds."""

    main: HipConfig | None
    others: tuple[HipConfig, ...]

    @classmethod
    def derive(cls, answers: ToolAnswers) -> HipConfigs:
        best = answers.best.get("hipconfig")
        main = _config("", best.stdout, best.stderr) if best is not None and best.ok else None
        others = [_config(root, a.stdout, a.stderr) for root, a in answers.by_root.items() if root and a.ok]
        return cls(main, tuple(others))


def _config(root: str, stdout: str, stderr: str) -> HipConfig:
    values: dict[str, str] = {}
    for line in stdout.splitlines():
        match = _LINE.match(line)
        if match:
            values.setdefault(match.group(1), match.group(2))
    version = re.search(r"^HIP version\s*:\s*(\d+(?:\.\d+)+)", stdout, re.MULTILINE)
    missing = re.search(
        r"(?:Can't exec|cannot find|not found:?) \S*rocm_agent_enumerator|rocm_agent_enumerator\S*: (?:No such|not found)",
        stdout + stderr,
    )
    return HipConfig(root, values, version.group(1) if version else None, missing is not None)


@frozen
class Compilers(Fact):
    """What HIP looks for when it chooses a platform, in its order: a clang++, then an nvcc.

    Source: ROCm/llvm-project amd/hipcc/bin/hipvars.pm and amd/hipcc/src/hipBin_amd.h; both start `clang++ --version`
    below HIP_CLANG_PATH (and on PATH in all but the newest releases), then `nvcc --version` below CUDA_PATH and on PATH.
    """

    clang: str | None
    nvcc: str | None
    cuda: str | None
    variables: Mapping[str, str]

    @classmethod
    def queries(cls) -> Mapping[str, Query]:
        return {
            "clang": Run(("clang++", "--version"), keep=r"^.*clang version [^\n]{1,80}"),
            "nvcc": Run(("nvcc", "--version"), keep=r"^Cuda compilation tools[^\n]*"),
            "cuda nvcc": Stat("/usr/local/cuda/bin/nvcc"),
            "cuda": Link("/usr/local/cuda"),
            "environment": Env(_VARIABLES),
        }

    @classmethod
    def parse(cls, ev: Evidence) -> Compilers:
        values = {name: _env(ev, name) for name in _VARIABLES}
        nvcc = ev["nvcc"].path if ev["nvcc"].ok else ""
        if ev["cuda nvcc"].ok:
            nvcc = nvcc or "/usr/local/cuda/bin/nvcc"
        return cls(
            clang=(ev["clang"].path or "clang++") if ev["clang"].ok and ev["clang"].exit_code == 0 else None,
            nvcc=nvcc or ("nvcc" if ev["nvcc"].ok else None),
            cuda=ev["cuda"].text.strip() if ev["cuda"].ok else None,
            variables={name: value for name, value in values.items() if value},
        )


@frozen
class CxxHeaders(Fact):
    """GCC versions that clang may choose from, and those whose C++ headers are there.

    Source: llvm-project clang/lib/Driver/ToolChains/Gnu.cpp: the highest version folder that holds crtbegin.o.
    """

    gcc: tuple[int, ...]
    headers: tuple[int, ...]
    templates: ClassVar[tuple[str, ...]] = (f"stat:{_GCC}/<version>/crtbegin.o",)

    @property
    def chosen(self) -> int | None:
        return max(self.gcc, default=None)

    @classmethod
    def queries(cls) -> Mapping[str, Query]:
        return {"gcc": List(_GCC), "headers": List(_CXX)}

    @classmethod
    def follow_up(cls, ev: Evidence) -> Mapping[str, Query]:
        return {f"crt {n}": Stat(f"{_GCC}/{n}/crtbegin.o") for n in _numbers(ev["gcc"].text)}

    @classmethod
    def parse(cls, ev: Evidence) -> CxxHeaders:
        folders = _numbers(ev.text("gcc", absent=""))
        return cls(
            gcc=tuple(n for n in folders if ev[f"crt {n}"].ok),
            headers=tuple(_numbers(ev.text("headers", absent=""))),
        )


def _numbers(names: str) -> list[int]:
    return sorted(int(n.rstrip("/@")) for n in names.split() if re.fullmatch(r"\d{1,2}[/@]", n))


@frozen
class Looked(Fact):
    """Where tools that build extensions look for ROCm, in their order, with the folder that each place gives.

    `complete`: the environment could be read too.

    Source: pytorch torch/utils/cpp_extension.py, _find_rocm_home: ROCM_HOME, ROCM_PATH, hipcc on PATH, /opt/rocm.
    """

    places: tuple[tuple[str, str], ...]
    complete: bool

    @classmethod
    def queries(cls) -> Mapping[str, Query]:
        return {
            "environment": Env(("ROCM_HOME", "ROCM_PATH")),
            "hipcc": Run(("hipcc", "--version")),
            "opt": Stat("/opt/rocm"),
        }

    @classmethod
    def parse(cls, ev: Evidence) -> Looked:
        if ev["hipcc"].why == "not-asked":
            raise UnknownError(f"{ev.key('hipcc')}: not asked")
        values = {name: _env(ev, name) for name in ("ROCM_HOME", "ROCM_PATH")}
        places = [(name, value) for name, value in values.items() if value]
        if ev["hipcc"].path:
            places.append(("hipcc on PATH", ev["hipcc"].path.rpartition("/bin/")[0] or "/"))
        if ev["opt"].ok:
            places.append(("/opt/rocm", "/opt/rocm"))
        return cls(tuple(places), complete=None not in values.values())


def _env(ev: Evidence, name: str) -> str | None:
    """A variable's value, "" when unset, None when nobody could ask."""
    try:
        return ev.env(name) or ""
    except UnknownError:
        return None
