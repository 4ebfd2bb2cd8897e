"""Which variables this machine needs in its shells, and why the others are left out. Pure."""

from __future__ import annotations

import fnmatch
import textwrap
from collections.abc import Iterator, Mapping
from string import Template
from typing import Any, ClassVar

from rocmdoctor.actions import Action
from rocmdoctor.diagnosis.known import Known
from rocmdoctor.facts.base import Table, UnknownError
from rocmdoctor.facts.gpus import Gpus
from rocmdoctor.facts.rocm import RocmInstalls
from rocmdoctor.facts.shell import VariableTable
from rocmdoctor.frozen import frozen
from rocmdoctor.model import Query
from rocmdoctor.ops.ahead import NOTHING, Ahead, shell_ahead, shell_questions_ahead
from rocmdoctor.ops.ground import Ground
from rocmdoctor.ops.registry import operation
from rocmdoctor.ops.shell_env import shell_env, shell_questions
from rocmdoctor.ops.traits import TRAITS, rocm_bin


@frozen
class Condition:
    """What must hold: traits that the machine has and lacks, patterns of which a target matches one. Empty: always."""

    has: tuple[str, ...] = ()
    lacks: tuple[str, ...] = ()
    gfx: tuple[str, ...] = ()


@frozen
class Row:
    """One variable of the table. `value` is None for those that are never written."""

    name: str
    value: str | None
    path: bool
    when: Condition
    why: str
    left: tuple[tuple[Condition, str], ...]
    readers: tuple[str, ...]
    source: str


@frozen
class ExportTable(Table):
    """The variables that may be written, and those that are often set and never written."""

    file: ClassVar[str] = "exports.toml"
    rows: tuple[Row, ...]

    @classmethod
    def load(cls, data: Mapping[str, Any]) -> ExportTable:
        return cls(tuple(_row(row) for row in data["export"]))


def _row(row: Mapping[str, Any]) -> Row:
    return Row(
        row["name"],
        row.get("value"),
        row.get("path", False),
        _condition(row.get("when", {})),
        row.get("why", ""),
        tuple((_condition(left.get("when", {})), left["why"]) for left in row["left"]),
        tuple(row.get("readers", ())),
        row["source"],
    )


def _condition(row: Mapping[str, Any]) -> Condition:
    has, lacks, gfx = (tuple(row.get(key, ())) for key in ("has", "lacks", "gfx"))
    for name in (*has, *lacks):
        if name not in TRAITS:
            raise ValueError(f"no trait is called {name!r}")
    return Condition(has, lacks, gfx)


# ---------------------------------------------------------------- deciding


@frozen
class Export:
    """A variable that is written. `path`: the value is a folder that is appended to it."""

    name: str
    value: str
    path: bool
    why: str
    readers: tuple[str, ...]
    source: str

    @property
    def note(self) -> str:
        """Why it is there and who reads it, as the lines of a comment."""
        said = f"{self.why}. Read by: {', '.join(self.readers)}."
        return "\n".join(textwrap.wrap(said, 110, break_on_hyphens=False, break_long_words=False))


@frozen
class LeftOut:
    """A variable that is not written, and why not."""

    name: str
    why: str
    readers: tuple[str, ...]
    source: str


@frozen
class Exports:
    """The decision about every variable of the table."""

    written: tuple[Export, ...]
    left: tuple[LeftOut, ...]

    @property
    def variables(self) -> dict[str, str]:
        """Name to value of those that are set as a whole."""
        return {e.name: e.value for e in self.written if not e.path}

    @property
    def folders(self) -> list[str]:
        """The folders that are appended to PATH."""
        return [e.value for e in self.written if e.path]

    @property
    def notes(self) -> dict[str, str]:
        """The comment of each variable and folder."""
        return {e.value if e.path else e.name: e.note for e in self.written}


def decide(known: Known, gfx: tuple[str, ...], ahead: Ahead = NOTHING) -> Exports:
    """What to write for this machine and these targets. What cannot be told is left out, and said.

    `ahead` is what the steps of a plan change before the shells are set up.
    """
    variables = known.get(VariableTable).variables
    written: list[Export] = []
    left: list[LeftOut] = []
    for row in known.get(ExportTable).rows:
        about = variables.get(row.name)
        readers = row.readers or (about.readers if about else ()) or ("nothing that is known",)
        try:
            found = _written(row, known, gfx, ahead)
            why = _why_left(row, known, gfx, ahead)
        except UnknownError as error:
            found, why = None, f"whether it is needed cannot be told: {error}"
        if found is not None:
            written.append(Export(row.name, found[0], row.path, found[1], readers, row.source))
        else:
            left.append(LeftOut(row.name, why, readers, row.source))
    return Exports(tuple(written), tuple(left))


def _written(row: Row, known: Known, gfx: tuple[str, ...], ahead: Ahead) -> tuple[str, str] | None:
    """Value and reason, None where the variable is left out. Raises UnknownError."""
    if row.value is None or not _holds(row.when, known, gfx, ahead):
        return None
    value, why = (Template(text).substitute(_names(known, gfx, ahead)) for text in (row.value, row.why))
    if not value:
        raise UnknownError("the driver shows none of the GPUs yet")
    return value, why


def _holds(condition: Condition, known: Known, gfx: tuple[str, ...], ahead: Ahead) -> bool:
    """Raises UnknownError."""

    def will(name: str) -> bool:
        return ahead.holds[name] if name in ahead.holds else TRAITS[name].holds(known)

    if condition.gfx and not any(fnmatch.fnmatchcase(name, p) for name in gfx for p in condition.gfx):
        return False
    return all(will(name) for name in condition.has) and not any(will(name) for name in condition.lacks)


def _why_left(row: Row, known: Known, gfx: tuple[str, ...], ahead: Ahead) -> str:
    for condition, why in row.left:
        try:
            if _holds(condition, known, gfx, ahead):
                return why
        except UnknownError:
            continue
    return row.left[-1][1]


def _names(known: Known, gfx: tuple[str, ...], ahead: Ahead) -> Mapping[str, str]:
    """What a value may name. Those that this machine does not have are empty."""
    gpus = known.maybe(Gpus)
    nodes = sorted(
        (g for g in (gpus.capable if gpus else ()) if g.node is not None), key=lambda g: g.node or 0
    )
    wanted = [g for g in nodes if g.gfx in gfx] or [g for g in nodes if not g.integrated]
    # ROCr counts the GPU nodes of the driver from 0.
    numbers = [str(number) for number, gpu in enumerate(nodes) if gpu in wanted]
    return {
        "rocm": ahead.rocm_bin or (rocm_bin(known) if known.maybe(RocmInstalls) else None) or "",
        "devices": ",".join(numbers),
    }


# ---------------------------------------------------------------- the operation


def _asks(ground: Ground) -> Iterator[Query]:
    yield from shell_questions(ground)
    yield from shell_questions_ahead()


@operation("shell.exports", asks=_asks)
def shell_exports(ground: Ground) -> Iterator[Action]:
    """Export the variables that this machine needs, in every shell of the user's, by `shell.env`.

    Which ones is decided by checks/data/exports.toml. With none to export, what an earlier run wrote is removed.
    """
    exports = decide(ground.known, ground.gfx, shell_ahead(ground))
    for export in exports.written:
        ground.claim(f"export {export.name}", export.value)
    yield from shell_env(
        ground, variables=exports.variables, notes=exports.notes, path_append=exports.folders
    )
