"""The distributions of an environment, as pip recorded them, and what they ask of each other."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import ClassVar

from rocmdoctor.facts.base import Evidence, Fact, UnknownError
from rocmdoctor.facts.python_env import VARIABLES, PythonEnv, fits, own_sites
from rocmdoctor.frozen import frozen
from rocmdoctor.model import Glob, Query

# Requirements behind an extra are left out: nothing records which extras were asked for. `device-` extras are kept,
# since they say that a distribution leaves the code for each GPU to another one.
_KEEP = (
    r"^(?:(?:Name|Version|Requires-Python): [^\n]{1,200}|Provides-Extra: device-[^\n]{1,40}"
    r"|Requires-Dist: (?![^\n]*\bextra\s*==)[^\n]{1,300})"
)
_RECORD = r"^triton/__init__\.py,[^\n]{0,120}"
# Contenders for one module: only their own lists of files tell which of them lay claim to it.
_WATCHED = ("triton", "pytorch_triton", "pytorch_triton_rocm", "triton_rocm")


def normalized(name: str) -> str:
    """A project's name as the index spells it (packaging.python.org, name normalization)."""
    return re.sub(r"[-_.]+", "-", name).lower()


@frozen
class Dist:
    """One distribution. `devices`: the GPU targets that it offers separately; `leftover`: pip failed to remove it."""

    name: str
    version: str
    requires: tuple[str, ...]
    requires_python: str
    devices: tuple[str, ...]
    site: str
    folder: str
    leftover: bool

    @property
    def local(self) -> str:
        """What follows the plus sign in its version."""
        return self.version.partition("+")[2]

    def __str__(self) -> str:
        return f"{self.name} {self.version}"


@frozen
class InstalledDists(Fact):
    """All distributions of the environment, those that its Python finds first in front.

    `files`: RECORD lines of the distributions that contend for the same modules, by their folder.
    """

    dists: tuple[Dist, ...]
    files: Mapping[str, tuple[str, ...]]
    unreadable: tuple[str, ...]

    templates: ClassVar[tuple[str, ...]] = (
        "glob:<site>/*.dist-info/METADATA",
        "glob:<site>/*.egg-info/PKG-INFO",
        *(f"glob:<site>/{name}-*.dist-info/RECORD" for name in _WATCHED),
    )

    @classmethod
    def queries(cls) -> Mapping[str, Query]:
        return {"env": VARIABLES}

    @classmethod
    def follow_up(cls, ev: Evidence) -> Mapping[str, Query]:
        asked: dict[str, Query] = {}
        for site in own_sites(ev):
            asked[f"dist {site}"] = Glob(f"{site}/*.dist-info/METADATA", keep=_KEEP)
            asked[f"egg {site}"] = Glob(f"{site}/*.egg-info/PKG-INFO", keep=_KEEP)
            for name in _WATCHED:
                path = f"{site}/{name}-*.dist-info/RECORD"
                asked[f"record {site} {name}"] = Glob(path, keep=_RECORD, limit=1 << 21)
        return asked

    @classmethod
    def parse(cls, ev: Evidence) -> InstalledDists:
        sites = own_sites(ev)
        if all(ev[f"dist {site}"].why == "not-asked" for site in sites):
            raise UnknownError(f"{ev.key(f'dist {sites[-1]}')}: not asked")
        found: list[Dist] = []
        unreadable: list[str] = []
        files: dict[str, tuple[str, ...]] = {}
        for site in sites:
            for kind in ("dist", "egg"):
                answer = ev[f"{kind} {site}"]
                if not answer.ok and answer.why not in ("absent", "not-asked"):
                    raise UnknownError(f"{ev.key(f'{kind} {site}')}: {answer.why}")
                found += _dists(answer.files)
                unreadable += answer.unreadable
            for name in _WATCHED:
                for path, text in ev[f"record {site} {name}"].files.items():
                    files[path.rpartition("/")[0]] = tuple(text.splitlines())
        return cls(tuple(found), files, tuple(unreadable))


def _dists(texts: Mapping[str, str]) -> Iterator[Dist]:
    for path, text in texts.items():
        fields: dict[str, list[str]] = {}
        for line in text.splitlines():
            name, _, value = line.partition(": ")
            fields.setdefault(name, []).append(value.strip())
        folder = path.rpartition("/")[0]
        site, _, base = folder.rpartition("/")
        stem = base.rpartition(".")[0].split("-")
        named = fields.get("Name", [stem[0]])[0]
        yield Dist(
            name=normalized(named.lstrip("~")),
            version=fields.get("Version", [stem[1] if len(stem) > 1 else ""])[0],
            requires=tuple(fields.get("Requires-Dist", ())),
            requires_python=fields.get("Requires-Python", [""])[0],
            devices=tuple(v[len("device-") :] for v in fields.get("Provides-Extra", ())),
            site=site,
            folder=folder,
            # pip renames what it is about to remove: site-packages/~orch-2.9.1.dist-info (pip/_internal/utils/temp_dir.py).
            leftover=base.startswith("~"),
        )


@frozen
class Dists(Fact):
    """The distributions that the environment's Python can import, and that Python's environment."""

    env: PythonEnv
    dists: tuple[Dist, ...]
    files: Mapping[str, tuple[str, ...]]

    @classmethod
    def derive(cls, env: PythonEnv, installed: InstalledDists) -> Dists:
        return cls(env, tuple(d for d in installed.dists if fits(d.site, env)), installed.files)

    def get(self, name: str) -> Dist | None:
        """The distribution of that name that Python finds."""
        return next((d for d in self.dists if d.name == name and not d.leftover), None)

    def all(self, name: str) -> tuple[Dist, ...]:
        """Every one of that name, leftovers included."""
        return tuple(d for d in self.dists if d.name == name)

    def owners(self, file: str) -> tuple[Dist, ...]:
        """The distributions whose RECORD claims a file, such as `triton/__init__.py`."""
        claims = {
            folder for folder, lines in self.files.items() if any(ln.startswith(f"{file},") for ln in lines)
        }
        return tuple(d for d in self.dists if d.folder in claims)


def named(requirement: str) -> str:
    """The project that a requirement names."""
    match = re.match(r"[A-Za-z0-9][A-Za-z0-9._-]*", requirement)
    return normalized(match.group()) if match else ""
