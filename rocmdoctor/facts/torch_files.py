"""The torch of an environment, read from its files: nothing is imported."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, ClassVar

from rocmdoctor.facts.base import Evidence, Fact, Table
from rocmdoctor.facts.python_env import VARIABLES, other_sites
from rocmdoctor.frozen import frozen
from rocmdoctor.model import Glob, Query

# torch/version.py as tools/generate_torch_version.py writes it; annotations came with later releases.
_KEEP = r"^(?:__version__|hip|cuda|rocm)[ \t]*(?::[ \t\w\[\].|]{0,40})?=[ \t]*(?:None|'[\w.+-]{0,80}'|\"[\w.+-]{0,80}\")"
VERSION_FILE = "torch/version.py"


@frozen
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


@frozen
class OtherTorches(Fact):
    """Every torch in environments that are there but not judged: the system's, the user's, conda's, pyenv's."""

    torches: tuple[Torch, ...]

    templates: ClassVar[tuple[str, ...]] = (f"glob:<site of other environments>/{VERSION_FILE}",)

    @classmethod
    def queries(cls) -> Mapping[str, Query]:
        return {"env": VARIABLES}

    @classmethod
    def follow_up(cls, ev: Evidence) -> Mapping[str, Query]:
        return {site: version_question(site) for site in other_sites(ev)}

    @classmethod
    def parse(cls, ev: Evidence) -> OtherTorches:
        found = [
            torch
            for site in other_sites(ev)
            for path, text in sorted(ev[site].files.items(), reverse=True)
            for torch in (torch_of(path, text),)
            if torch is not None
        ]
        return cls(tuple(found))


def version_question(site: str) -> Glob:
    """The question for the version files below the folders that a pattern names."""
    return Glob(f"{site}/{VERSION_FILE}", keep=_KEEP, limit=8192)


def torch_of(path: str, text: str) -> Torch | None:
    """The torch whose version file this is; None when it names no version."""
    values: dict[str, str | None] = {}
    for name, value in re.findall(r"^(\w+)[^=\n]*=[ \t]*(None|'[^'\n]*'|\"[^\"\n]*\")", text, re.MULTILINE):
        values[name] = None if value == "None" else value[1:-1]
    version = values.get("__version__")
    if not version:
        return None
    return Torch(
        path.rpartition("/torch/")[0], version, values.get("hip") or None, values.get("cuda") or None
    )


@frozen
class WheelIndex:
    """A package index with ROCm builds of torch, and the gfx targets that those have code for."""

    torch: str
    rocm: str
    url: str
    targets: tuple[str, ...]
    glibc: tuple[int, int]


@frozen
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
