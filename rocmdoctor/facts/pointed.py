"""Where variables lead: roots of ROCm, library folders, preloaded files, caches."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import ClassVar

from rocmdoctor.facts.base import Evidence, Fact, UnknownError
from rocmdoctor.facts.host import home_of, plain_path
from rocmdoctor.frozen import frozen
from rocmdoctor.model import Env, Glob, Link, Query, Stat

_ROOTS = ("ROCM_PATH", "ROCM_HOME", "HIP_PATH", "CUDA_HOME", "CUDA_PATH")
_LIBRARIES = ("libamdhip64.so*", "libhsa-runtime64.so*", "libcudart.so*", "libstdc++.so*")
_MAX_ENTRIES = 16


@frozen
class Pointed(Fact):
    """Where variables lead: `folders` to whether they are there, `links` to their targets, libraries by folder."""

    folders: Mapping[str, bool]
    links: Mapping[str, str]
    libraries: Mapping[str, tuple[str, ...]]
    preloads: Mapping[str, bool]

    templates: ClassVar[tuple[str, ...]] = (
        "stat:<ROCM_PATH, ROCM_HOME, HIP_PATH, CUDA_HOME, CUDA_PATH>",
        "link:<the same>",
        "stat:<entry of LD_PRELOAD>",
        "stat:<entry of LD_LIBRARY_PATH>",
        *(f"glob:<entry of LD_LIBRARY_PATH>/{name}" for name in _LIBRARIES),
    )

    @classmethod
    def queries(cls) -> Mapping[str, Query]:
        return {
            "env": Env((*_ROOTS, "LD_LIBRARY_PATH", "LD_PRELOAD")),
            "link /opt/rocm": Link("/opt/rocm"),
            "link /etc/alternatives/rocm": Link("/etc/alternatives/rocm"),
        }

    @classmethod
    def follow_up(cls, ev: Evidence) -> Mapping[str, Query]:
        more: dict[str, Query] = {}
        for path in _roots(ev):
            more[f"folder {path}"] = Stat(path)
            more[f"link {path}"] = Link(path)
        for path in _entries(ev, "LD_LIBRARY_PATH"):
            more[f"folder {path}"] = Stat(path)
            for name in _LIBRARIES:
                more[f"library {path} {name}"] = Glob(f"{path}/{name}", keep="(?!)", limit=16)
        for path in _entries(ev, "LD_PRELOAD"):
            more[f"preload {path}"] = Stat(path)
        return more

    @classmethod
    def parse(cls, ev: Evidence) -> Pointed:
        folders: dict[str, bool] = {}
        links: dict[str, str] = {}
        libraries: dict[str, tuple[str, ...]] = {}
        preloads: dict[str, bool] = {}
        for name in ev.names():
            kind, _, path = name.partition(" ")
            answer = ev[name] if kind != "env" else None
            if answer is None or (not answer.ok and answer.why != "absent"):
                continue
            if kind == "folder":
                folders[path] = answer.ok
            elif kind == "preload":
                preloads[path] = answer.ok
            elif kind == "link" and answer.ok:
                links[path] = answer.text
            elif kind == "library":
                path = path.rpartition(" ")[0]
                libraries[path] = libraries.get(path, ()) + tuple(p.rpartition("/")[2] for p in answer.files)
        return cls(folders, links, libraries, preloads)

    def real(self, path: str) -> str:
        """The path with the links that are known followed."""
        seen: set[str] = set()
        path = path.rstrip("/") or "/"
        while path in self.links and path not in seen:
            seen.add(path)
            target = self.links[path]
            path = (target if target.startswith("/") else path.rpartition("/")[0] + "/" + target).rstrip("/")
        return path


def _roots(ev: Evidence) -> list[str]:
    paths = (plain_path(_get(ev, name)) for name in _ROOTS)
    return list(dict.fromkeys(p for p in paths if p))


def _entries(ev: Evidence, name: str) -> list[str]:
    parts = re.split(r"[:;]" if name == "LD_LIBRARY_PATH" else r"[:\s]+", _get(ev, name) or "")
    paths = (plain_path(part) for part in parts)
    return list(dict.fromkeys(p for p in paths if p))[:_MAX_ENTRIES]


def _get(ev: Evidence, name: str) -> str | None:
    try:
        return ev.env(name)
    except UnknownError:
        return None


@frozen
class Writable:
    """A folder with its mode and owner, `there` False when it is missing."""

    path: str
    there: bool
    text: str


@frozen
class KernelCaches(Fact):
    """Folders in which MIOpen keeps tuned kernels, with mode and owner as a `Stat` says them."""

    folders: tuple[Writable, ...]

    templates: ClassVar[tuple[str, ...]] = (
        "stat:<HOME>/.config/miopen",
        "stat:<HOME>/.cache/miopen",
        "stat:<MIOPEN_USER_DB_PATH, MIOPEN_CUSTOM_CACHE_DIR>",
    )

    @classmethod
    def queries(cls) -> Mapping[str, Query]:
        return {"env": Env(("HOME", "MIOPEN_USER_DB_PATH", "MIOPEN_CUSTOM_CACHE_DIR"))}

    @classmethod
    def follow_up(cls, ev: Evidence) -> Mapping[str, Query]:
        home = home_of(ev)
        database = plain_path(_get(ev, "MIOPEN_USER_DB_PATH")) or (home and f"{home}/.config/miopen")
        binaries = plain_path(_get(ev, "MIOPEN_CUSTOM_CACHE_DIR")) or (home and f"{home}/.cache/miopen")
        return {path: Stat(path) for path in (home, database, binaries) if path}

    @classmethod
    def parse(cls, ev: Evidence) -> KernelCaches:
        names = [name for name in ev.names() if name != "env"]
        if not names:
            ev.env("HOME")
            raise UnknownError("env:HOME: names no folder")
        return cls(
            tuple(
                Writable(name, ev[name].ok, ev[name].text)
                for name in names
                if ev[name].ok or ev[name].why == "absent"
            )
        )
