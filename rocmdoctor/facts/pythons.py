"""Interpreters of Python that an environment could be made with."""

from __future__ import annotations

import re
from collections.abc import Mapping

from rocmdoctor.facts.base import Evidence, Fact, UnknownError
from rocmdoctor.frozen import frozen
from rocmdoctor.model import Glob, Link, Query, Run

FOLDERS = ("/usr/bin", "/usr/local/bin")
_NAME = re.compile(r"python(\d+)\.(\d+)")


@frozen
class Pythons(Fact):
    """`interpreters`: version to path, those of the system first. `default` is what `python3` starts. `uv`: it is here."""

    interpreters: Mapping[str, str]
    default: str | None
    uv: bool

    @classmethod
    def queries(cls) -> Mapping[str, Query]:
        # Of the files only the names are of interest.
        found: dict[str, Query] = {
            folder: Glob(f"{folder}/python3.[0-9]*", keep="(?!)", limit=16) for folder in FOLDERS
        }
        return {**found, "default": Link("/usr/bin/python3"), "uv": Run(("uv", "--version"), limit=256)}

    @classmethod
    def parse(cls, ev: Evidence) -> Pythons:
        found: dict[str, str] = {}
        for folder in FOLDERS:
            for path in sorted(ev[folder].files if ev[folder].ok else ()):
                match = _NAME.fullmatch(path.rpartition("/")[2])
                if match:
                    found.setdefault(f"{match[1]}.{match[2]}", path)
        match = _NAME.search(ev["default"].text) if ev["default"].ok else None
        default = f"{match[1]}.{match[2]}" if match else None
        if default:
            found.setdefault(default, f"/usr/bin/python{default}")
        if not found and ev[FOLDERS[0]].why == "not-asked":
            raise UnknownError(f"{ev.key(FOLDERS[0])}: not asked")
        return cls(found, default, ev["uv"].ok and ev["uv"].exit_code == 0)
