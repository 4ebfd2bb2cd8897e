"""The libraries beside torch that hold code for GPUs: which files they brought, for which targets."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, ClassVar

from rocmdoctor.facts.base import Evidence, Fact, Table, UnknownError
from rocmdoctor.facts.gpus import Gpu, Gpus
from rocmdoctor.facts.python_env import VARIABLES, own_sites
from rocmdoctor.facts.shell import Environment
from rocmdoctor.frozen import frozen
from rocmdoctor.model import Elf, Env, Glob, Link, Query, Stat

_NAMES = "(?!)"  # only the names of files are of interest


@frozen
class Library:
    """A shared library. `gfx` and `needed` are None where it could not be looked into."""

    path: str
    gfx: tuple[str, ...] | None
    needed: tuple[str, ...] | None

    @property
    def name(self) -> str:
        return self.path.rpartition("/")[2]

    @property
    def site(self) -> str:
        return self.path.partition("-packages/")[0] + "-packages"

    def serves(self, gfx: str) -> bool | None:
        """Whether it has code for a target, whatever its features; None where nobody could look.

        A library without any target is unknown too: a bundle that could not be unpacked looks like that.
        """
        return any(target_of(t) == gfx for t in self.gfx) if self.gfx else None


def targets_of(gpus: Gpus) -> list[Gpu]:
    """One GPU of each target that training would use."""
    found: dict[str, Gpu] = {}
    for gpu in gpus.discrete:
        if gpu.gfx:
            found.setdefault(gpu.gfx, gpu)
    return list(found.values())


def value_of(shell: Environment | None, name: str) -> str:
    """A variable of the asking process, "" when it is unset or nobody could ask."""
    return shell.values.get(name, "") if shell else ""


def target_of(target: str) -> str:
    """The target without features such as `:xnack-`."""
    return target.partition(":")[0]


def _libraries(ev: Evidence, names: str, looked: str) -> list[Library]:
    found = []
    for site in own_sites(ev):
        inside = ev[f"{looked}@{site}"]
        for path in ev[f"{names}@{site}"].files:
            text = inside.files.get(path) if inside.ok else None
            found.append(_library(path, text))
    return found


def _library(path: str, text: str | None) -> Library:
    if text is None:
        return Library(path, None, None)
    said: dict[str, list[str]] = {}
    for line in text.splitlines():
        kind, _, value = line.partition(" ")
        said.setdefault(kind, []).append(value)
    return Library(path, tuple(said.get("gfx", ())), tuple(said.get("needed", ())))


_BNB = re.compile(r"libbitsandbytes_(?P<kind>[a-z]+)(?P<digits>\d*)(?P<rest>\w*)\.so")


@frozen
class BnbLibraries(Fact):
    """The libraries of bitsandbytes, of which those for ROCm were looked into. Names: `rocm714`, `hip`, `cuda130`."""

    libraries: tuple[Library, ...]

    templates: ClassVar[tuple[str, ...]] = (
        "glob:<site>/bitsandbytes/libbitsandbytes_*.so",
        "elf:<site>/bitsandbytes/libbitsandbytes_[hr]*.so",
    )

    @property
    def rocm(self) -> tuple[Library, ...]:
        """Those for AMD GPUs."""
        return tuple(lib for lib in self.libraries if kind_of(lib)[0] in ("rocm", "hip"))

    @classmethod
    def queries(cls) -> Mapping[str, Query]:
        return {"env": VARIABLES}

    @classmethod
    def follow_up(cls, ev: Evidence) -> Mapping[str, Query]:
        asked: dict[str, Query] = {}
        for site in own_sites(ev):
            folder = f"{site}/bitsandbytes"
            asked[f"names@{site}"] = Glob(f"{folder}/libbitsandbytes_*.so", keep=_NAMES, limit=16)
            asked[f"inside@{site}"] = Elf(f"{folder}/libbitsandbytes_[hr]*.so")
        return asked

    @classmethod
    def parse(cls, ev: Evidence) -> BnbLibraries:
        sites = own_sites(ev)
        if all(ev[f"names@{site}"].why == "not-asked" for site in sites):
            raise UnknownError(f"{ev.key(f'names@{sites[-1]}')}: not asked")
        return cls(tuple(_libraries(ev, "names", "inside")))


def kind_of(library: Library) -> tuple[str, str, str]:
    """Of `libbitsandbytes_rocm714.so`: `rocm`, `714` and what follows."""
    match = _BNB.fullmatch(library.name)
    return (match.group("kind"), match.group("digits"), match.group("rest")) if match else ("", "", "")


def bnb_digits(hip: tuple[int, int], *, added: bool) -> str:
    """How bitsandbytes writes a release into a file name: 10 * major + minor in older releases, side by side in newer.

    Source: bitsandbytes cuda_specs.py, get_cuda_version_string.
    """
    return str(hip[0] * 10 + hip[1]) if added else f"{hip[0]}{hip[1]}"


def bnb_choice(
    libraries: tuple[Library, ...], hip: tuple[int, int], override: str | None, *, fallback: bool
) -> Library | str:
    """The library that bitsandbytes loads, or the name of the one that it misses.

    `fallback`: the release takes a near one of the same major release, and reads an override.
    Source: bitsandbytes cextension.py, get_cuda_bnb_library_path.
    """
    there = {kind_of(lib)[1]: lib for lib in libraries if kind_of(lib)[0] == "rocm" and not kind_of(lib)[2]}
    if not fallback:
        digits = bnb_digits(hip, added=True)
        return there.get(digits, f"libbitsandbytes_rocm{digits}.so")
    if override:
        return there.get(override, f"libbitsandbytes_rocm{override}.so")
    # The first digit is the major number (cextension.py, _split_cuda_version).
    known = {(int(d[0]), int(d[1:])): lib for d, lib in there.items() if len(d) > 1}
    same = [v for v in known if v[0] == hip[0]]
    lower, higher = [v for v in same if v <= hip], [v for v in same if v > hip]
    if lower:
        return known[max(lower)]
    return known[min(higher)] if higher else f"libbitsandbytes_rocm{bnb_digits(hip, added=False)}.so"


@frozen
class FlashLibraries(Fact):
    """The compiled part of flash-attention, where it has one."""

    libraries: tuple[Library, ...]

    templates: ClassVar[tuple[str, ...]] = (
        "glob:<site>/flash_attn_2_cuda*.so",
        "elf:<site>/flash_attn_2_cuda*.so",
    )

    @classmethod
    def queries(cls) -> Mapping[str, Query]:
        return {"env": VARIABLES}

    @classmethod
    def follow_up(cls, ev: Evidence) -> Mapping[str, Query]:
        asked: dict[str, Query] = {}
        for site in own_sites(ev):
            asked[f"names@{site}"] = Glob(f"{site}/flash_attn_2_cuda*.so", keep=_NAMES, limit=16)
            asked[f"inside@{site}"] = Elf(f"{site}/flash_attn_2_cuda*.so")
        return asked

    @classmethod
    def parse(cls, ev: Evidence) -> FlashLibraries:
        return cls(tuple(_libraries(ev, "names", "inside")))


@frozen
class XformersBuild(Fact):
    """What xformers says that it was built for: CUDA as a number such as 1208, HIP as its text; None where neither.

    Source: xformers setup.py writes cpp_lib.json.
    """

    cuda: int | None
    hip: str | None
    torch: str

    templates: ClassVar[tuple[str, ...]] = ("glob:<site>/xformers/cpp_lib.json",)

    @classmethod
    def queries(cls) -> Mapping[str, Query]:
        return {"env": VARIABLES}

    @classmethod
    def follow_up(cls, ev: Evidence) -> Mapping[str, Query]:
        keep = r'"version": \{[^{}\n]{0,200}\}'
        return {f"json@{s}": Glob(f"{s}/xformers/cpp_lib.json", keep=keep, limit=4096) for s in own_sites(ev)}

    @classmethod
    def parse(cls, ev: Evidence) -> XformersBuild:
        for site in own_sites(ev):
            for text in ev[f"json@{site}"].files.values():
                said = dict(re.findall(r'"(cuda|hip|torch)":\s*"?([^",}\s]+)', text))
                hip = said.get("hip", "null")
                cuda = said.get("cuda", "")
                return cls(
                    int(cuda) if cuda.isdigit() else None,
                    None if hip == "null" else hip,
                    said.get("torch", ""),
                )
        raise UnknownError("xformers says nowhere what it was built for")


@frozen
class CudaHome(Fact):
    """Where tools that build extensions find a CUDA toolkit, and by what; "" where they find none.

    Source: pytorch torch/utils/cpp_extension.py, _find_cuda_home: CUDA_HOME, CUDA_PATH, nvcc on PATH, /usr/local/cuda.
    """

    path: str
    by: str

    @classmethod
    def queries(cls) -> Mapping[str, Query]:
        return {
            "env": Env(("CUDA_HOME", "CUDA_PATH")),
            "nvcc": Stat("/usr/local/cuda/bin/nvcc"),
            "cuda": Link("/usr/local/cuda"),
            "folder": Stat("/usr/local/cuda"),
        }

    @classmethod
    def parse(cls, ev: Evidence) -> CudaHome:
        for name in ("CUDA_HOME", "CUDA_PATH"):
            value = ev.env(name)
            if value:
                return cls(value, name)
        for _, answer in ev.runs("nvcc"):
            if answer.path:
                return cls(answer.path.rpartition("/bin/")[0] or "/", "nvcc on PATH")
        if ev["folder"].why == "not-asked":
            raise UnknownError(f"{ev.key('folder')}: not asked")
        return cls("/usr/local/cuda", "that folder") if ev["folder"].ok else cls("", "")


@frozen
class VersionDev(Fact):
    """Whether /opt/rocm has the file that old releases of DeepSpeed read ROCm's version from."""

    there: bool

    @classmethod
    def queries(cls) -> Mapping[str, Query]:
        return {"file": Stat("/opt/rocm/.info/version-dev")}

    @classmethod
    def parse(cls, ev: Evidence) -> VersionDev:
        if not ev["file"].ok and ev["file"].why != "absent":
            raise UnknownError(f"{ev.key('file')}: {ev['file'].why}")
        return cls(ev["file"].ok)


@frozen
class TrainingTable(Table):
    """Which releases of the training libraries behave how, and what they have code for."""

    file: ClassVar[str] = "training.toml"
    bnb_first_rocm: str
    bnb_fallback: str
    bnb_forks: str
    bnb_libraries: Mapping[str, tuple[str, ...]]
    bnb_wanted_by: tuple[tuple[str, str, str], ...]
    flash: tuple[tuple[str, tuple[str, ...]], ...]
    flash_triton: str
    looks_for_cuda: str
    deepspeed: tuple[Mapping[str, str], ...]
    not_made: Mapping[str, str]

    @classmethod
    def load(cls, data: Mapping[str, Any]) -> TrainingTable:
        bnb = data["bitsandbytes"]
        return cls(
            bnb_first_rocm=bnb["first_rocm"],
            bnb_fallback=bnb["fallback"],
            bnb_forks=bnb["forks"],
            bnb_libraries={name: tuple(row) for name, row in bnb["libraries"].items()},
            bnb_wanted_by=tuple((row["name"], row["versions"], row["wants"]) for row in bnb["wanted_by"]),
            flash=tuple(
                (row["versions"], tuple(row["targets"])) for row in data["flash_attention"]["compiled"]
            ),
            flash_triton=data["flash_attention"]["triton"],
            looks_for_cuda=data["torch"]["looks_for_cuda"],
            deepspeed=tuple(data["deepspeed"]["broken"]),
            not_made={row["id"]: row["reason"] for row in data["not_made"]},
        )
