"""The torch of an environment, read from its files: nothing is imported."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from rocmdoctor.facts.base import Evidence, Fact, Table, UnknownError
from rocmdoctor.facts.host import home_of, plain_path
from rocmdoctor.model import Env, Glob, Query

# torch/version.py as tools/generate_torch_version.py writes it; annotations came with later releases.
_KEEP = r"^(?:__version__|hip|cuda|rocm)[ \t]*(?::[ \t\w\[\].|]{0,40})?=[ \t]*(?:None|'[\w.+-]{0,80}'|\"[\w.+-]{0,80}\")"
_SITE = "lib/python3*/site-packages"
_SYSTEM = (
    "/usr/local/lib/python3*/dist-packages",
    "/usr/local/lib/python3*/site-packages",
    "/usr/lib/python3/dist-packages",
    "/usr/lib/python3*/site-packages",
)
_LIBRARIES = ("transformers", "peft", "accelerate")


@dataclass(frozen=True)
class Torch:
    """One torch. `hip` and `cuda` are the versions it was built for, None without."""

    site: str
    version: str
    hip: str | None
    cuda: str | None

    @property
    def build(self) -> str:
        """What it was built for, in words."""
        if self.hip:
            return f"ROCm (HIP {self.hip})"
        return f"CUDA {self.cuda}" if self.cuda else "processors only"


@dataclass(frozen=True)
class TorchFiles(Fact):
    """Every torch found, that of the active environment first. `where`: the environment that was looked at first.

    `libraries` maps a site-packages folder to those of the training libraries that lie in it.
    """

    torches: tuple[Torch, ...]
    libraries: Mapping[str, tuple[str, ...]]
    where: str

    templates: ClassVar[tuple[str, ...]] = tuple(
        f"glob:<{root}>/{_SITE}/{file}"
        for root in ("VIRTUAL_ENV", "CONDA_PREFIX", "HOME>/<.local")
        for file in ("torch/version.py", *(f"{name}/__init__.py" for name in _LIBRARIES))
    )

    @property
    def first(self) -> Torch | None:
        """The one that `import torch` finds."""
        return self.torches[0] if self.torches else None

    @classmethod
    def queries(cls) -> Mapping[str, Query]:
        return {"env": Env(("VIRTUAL_ENV", "CONDA_PREFIX", "HOME")), **_questions(_SYSTEM)}

    @classmethod
    def follow_up(cls, ev: Evidence) -> Mapping[str, Query]:
        return _questions(_own_sites(ev))

    @classmethod
    def parse(cls, ev: Evidence) -> TorchFiles:
        if all(ev[f"torch {site}"].why == "not-asked" for site in _SYSTEM):
            raise UnknownError(f"{ev.key(f'torch {_SYSTEM[0]}')}: not asked")
        torches = []
        for site in _order(ev):
            for path, text in sorted(_files(ev, f"torch {site}").items(), reverse=True):
                torch = _torch(path, text)
                if torch is not None:
                    torches.append(torch)
        libraries: dict[str, tuple[str, ...]] = {}
        for name in _LIBRARIES:
            for site in _order(ev):
                for path in _files(ev, f"{name} {site}"):
                    folder = path.rpartition(f"/{name}/")[0]
                    libraries[folder] = (*libraries.get(folder, ()), name)
        own = _own_sites(ev)
        return cls(tuple(torches), libraries, own[0].partition("/lib/")[0] if own else "")


def _questions(sites: tuple[str, ...]) -> dict[str, Query]:
    asked: dict[str, Query] = {}
    for site in sites:
        asked[f"torch {site}"] = Glob(f"{site}/torch/version.py", keep=_KEEP, limit=8192)
        for name in _LIBRARIES:
            asked[f"{name} {site}"] = Glob(f"{site}/{name}/__init__.py", keep="(?!)", limit=16)
    return asked


def _own_sites(ev: Evidence) -> tuple[str, ...]:
    """The sites of the active environment, then the user's own, as Python looks through them."""
    roots = []
    for name in ("VIRTUAL_ENV", "CONDA_PREFIX"):
        try:
            roots.append(plain_path(ev.env(name)))
        except UnknownError:
            continue
    home = home_of(ev)
    roots.append(f"{home}/.local" if home else None)
    return tuple(dict.fromkeys(f"{root}/{_SITE}" for root in roots if root))


def _order(ev: Evidence) -> tuple[str, ...]:
    return tuple(
        dict.fromkeys(
            name[6:] for name in (*map(_torch_site, _own_sites(ev)), *ev.names()) if name[:6] == "torch "
        )
    )


def _torch_site(site: str) -> str:
    return f"torch {site}"


def _files(ev: Evidence, name: str) -> Mapping[str, str]:
    return ev[name].files if name in ev and ev[name].ok else {}


def _torch(path: str, text: str) -> Torch | None:
    values: dict[str, str | None] = {}
    for name, value in re.findall(r"^(\w+)[^=\n]*=[ \t]*(None|'[^'\n]*'|\"[^\"\n]*\")", text, re.MULTILINE):
        values[name] = None if value == "None" else value[1:-1]
    version = values.get("__version__")
    if not version:
        return None
    return Torch(
        path.rpartition("/torch/")[0], version, values.get("hip") or None, values.get("cuda") or None
    )


@dataclass(frozen=True)
class WheelIndex:
    """A package index with ROCm builds of torch, and the gfx targets that those have code for."""

    torch: str
    rocm: str
    url: str
    targets: tuple[str, ...]
    glibc: tuple[int, int]


@dataclass(frozen=True)
class TorchTable(Table):
    """Indexes of torch builds, the one to prefer first."""

    file: ClassVar[str] = "torch.toml"
    indexes: tuple[WheelIndex, ...]

    @classmethod
    def load(cls, data: Mapping[str, Any]) -> TorchTable:
        return cls(
            tuple(
                WheelIndex(
                    row["torch"],
                    row["rocm"],
                    row["url"],
                    tuple(row["targets"]),
                    (row["glibc"][0], row["glibc"][1]),
                )
                for row in data["index"]
            )
        )

    def best(self, targets: set[str]) -> WheelIndex | None:
        """The first index whose builds serve all of these targets."""
        return next((i for i in self.indexes if targets <= set(i.targets)), None)
