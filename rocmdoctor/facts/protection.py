"""What rocmdoctor installed into an environment and protects there, and how what lies there now differs from it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import field
from typing import Any, ClassVar

from rocmdoctor import protection
from rocmdoctor.facts.base import Evidence, Fact, Table, UnknownError
from rocmdoctor.facts.distributions import Dist, Dists, normalized
from rocmdoctor.facts.python_env import SYSTEM, VARIABLES, chosen
from rocmdoctor.frozen import frozen
from rocmdoctor.model import Env, Query, Read, Run


@frozen
class Kept:
    """A row of the table: names and patterns, the recipe that puts them back, and what tells the right build.

    `file` is one whose text has `pattern`, `libraries` are patterns of paths of which one must be there; none: any build is.
    """

    names: tuple[str, ...]
    recipe: str
    file: str = ""
    pattern: str = ""
    libraries: tuple[str, ...] = ()


@frozen
class ProtectionTable(Table):
    """What is held, what is kept out (name to why), and what may come (name to specifier and why)."""

    file: ClassVar[str] = "protection.toml"
    keep: tuple[Kept, ...]
    out: Mapping[str, str]
    bounds: Mapping[str, tuple[str, str]]

    @classmethod
    def load(cls, data: Mapping[str, Any]) -> ProtectionTable:
        for row in data["keep"]:
            re.compile(row.get("pattern", ""))
        return cls(
            tuple(
                Kept(
                    names=tuple(row["names"]),
                    recipe=row["recipe"],
                    file=row.get("file", ""),
                    pattern=row.get("pattern", ""),
                    libraries=tuple(row.get("libraries", ())),
                )
                for row in data["keep"]
            ),
            {row["name"]: row["why"] for row in data["out"]},
            {row["name"]: (row["specifier"], row["why"]) for row in data["bound"]},
        )

    def rows(self) -> list[dict[str, Any]]:
        """What is held, as the work of a step is given it."""
        return [
            {
                "names": list(row.names),
                "file": row.file,
                "pattern": row.pattern,
                "libraries": list(row.libraries),
            }
            for row in self.keep
        ]

    def recipe(self, name: str) -> str | None:
        """The recipe that puts a distribution back; None for one that is not held."""
        return next((row.recipe for row in self.keep if protection.matches(name, row.names)), None)


def record_question(env: str) -> Read:
    """The question for the record of an environment."""
    return Read(f"{env}/{protection.RECORD}", limit=1 << 17)


def dates_question(env: str) -> Run:
    """When each distribution came, how large its list of files is, and whether somebody asked for it by name.

    One program that reads no file; folders of modules are not entered.
    """
    return Run(
        (
            "find", f"{env}/lib", "-mindepth", "3", "-maxdepth", "4",
            "-path", "*/site-packages/*", "-type", "d", "!", "-name", "*.dist-info", "-prune",
            "-o", "(", "-name", "RECORD", "-o", "-name", "REQUESTED", ")", "-printf", "%s %T@ %p\\n",
        ),
        limit=1 << 20,
    )  # fmt: skip


@frozen
class Protected(Fact):
    """The record of the environment that is judged: name to version, and to the size in bytes of its list of files.

    Empty where rocmdoctor protects nothing there. `uv` are the files that UV_CONSTRAINT names, None where nobody could ask.
    """

    env: str
    versions: Mapping[str, str]
    sizes: Mapping[str, int]
    uv: tuple[str, ...] | None = None

    templates: ClassVar[tuple[str, ...]] = (f"read:<environment>/{protection.RECORD}",)

    @classmethod
    def queries(cls) -> Mapping[str, Query]:
        return {"env": VARIABLES, "uv": Env(("UV_CONSTRAINT",))}

    @classmethod
    def follow_up(cls, ev: Evidence) -> Mapping[str, Query]:
        prefix, _ = chosen(ev)
        return {"record": record_question(prefix)} if prefix != SYSTEM else {}

    @classmethod
    def parse(cls, ev: Evidence) -> Protected:
        prefix, _ = chosen(ev)
        if prefix == SYSTEM:
            return cls(prefix, {}, {})
        text = ev.text("record", absent="")
        rows = protection.record_of(text) if text else {}
        if rows is None:
            raise UnknownError(f"{ev.key('record')}: it is no record that this release reads")
        said = ev["uv"]
        return cls(
            prefix,
            {normalized(name): row["version"] for name, row in rows.items()},
            {normalized(name): row["size"] for name, row in rows.items() if isinstance(row.get("size"), int)},
            tuple(said.text.split()) if said.ok or said.why == "absent" else None,
        )

    @property
    def constraints(self) -> str:
        """The file that pip and uv are held by."""
        return f"{self.env}/{protection.CONSTRAINTS}"

    @property
    def can_be_held(self) -> bool:
        """pip.conf and uv's variables can name files below the environment's folder."""
        return protection.can_be_named(self.env)


@frozen
class Came(Fact):
    """By the folder of a distribution: when it came (seconds since 1970), and the size in bytes of its list of files.

    `requested`: folders of those that were asked for by name. Source: PEP 376, REQUESTED; pip and uv write it.
    """

    when: Mapping[str, float]
    sizes: Mapping[str, int]
    requested: frozenset[str]

    templates: ClassVar[tuple[str, ...]] = ("run:find <environment>/lib ... -printf ...",)

    @classmethod
    def queries(cls) -> Mapping[str, Query]:
        return {"env": VARIABLES}

    @classmethod
    def follow_up(cls, ev: Evidence) -> Mapping[str, Query]:
        prefix, _ = chosen(ev)
        return {"dates": dates_question(prefix)} if prefix != SYSTEM else {}

    @classmethod
    def parse(cls, ev: Evidence) -> Came:
        if "dates" not in ev or not ev["dates"].ok or ev["dates"].exit_code != 0:
            raise UnknownError("when what came into the environment was not told")
        rows = re.findall(r"^(\d+) (\d+)\S* (/.*)/(RECORD|REQUESTED)$", ev["dates"].stdout, re.MULTILINE)
        lists = [row for row in rows if row[3] == "RECORD"]
        return cls(
            {folder: float(seconds) for _, seconds, folder, _ in lists},
            {folder: int(size) for size, _, folder, _ in lists},
            frozenset(folder for _, _, folder, name in rows if name == "REQUESTED"),
        )


@frozen
class Change:
    """One protected distribution that is no more what was installed. `there` is None where it is gone.

    `how`: version, files (the same version with another list of files) or gone.
    """

    name: str
    version: str
    there: Dist | None
    how: str

    def __str__(self) -> str:
        if self.there is None:
            return f"{self.name} {self.version} is gone"
        if self.how == "files":
            return f"{self.name} {self.version} is another build of that version"
        return f"{self.there} is there in place of {self.version}"


@frozen
class Drift(Fact):
    """How an environment differs from what rocmdoctor put into it; nothing where there is no record."""

    env: str
    changes: tuple[Change, ...] = field(default=())
    recorded: bool = False

    @classmethod
    def derive(cls, record: Protected, dists: Dists, came: Came | None) -> Drift:
        changes = []
        for name, version in record.versions.items():
            there = dists.get(name)
            if there is None:
                changes.append(Change(name, version, None, "gone"))
            elif there.version != version:
                changes.append(Change(name, version, there, "version"))
            elif came is not None and _another(record.sizes.get(name), came.sizes.get(there.folder)):
                changes.append(Change(name, version, there, "files"))
        return cls(record.env, tuple(changes), bool(record.versions))


def _another(before: int | None, now: int | None) -> bool:
    return bool(before) and bool(now) and before != now
