"""Known errors once they are read: frozen values, made from plain data, without yaml."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field
from typing import Any

from rocmdoctor.frozen import frozen

CONFIDENCES = ("high", "medium", "low")
"""How sure a cause is, best first."""

WITHIN = 200
"""Lines around a line in which `near` is looked for, where a file does not say."""


@frozen
class Says:
    """A line as a program prints it: a template, the upstream file that prints it, and what its holes may hold."""

    text: str
    printed_by: str = ""
    where: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    within: int | None = None


@frozen
class Decider:
    """A check whose verdict on this machine decides: status to confidence, or to `drop`."""

    check: str
    by_status: Mapping[str, str]


@frozen
class Cure:
    """What to do. A command is shown and never run by us; `recipe` is what `fix` can carry out."""

    text: str
    commands: tuple[tuple[str, ...], ...] = ()
    recipe: str = ""


@frozen
class LookAt:
    """What tells this cause from the others with the same text."""

    text: str
    commands: tuple[tuple[str, ...], ...] = ()


@frozen
class Sample:
    """A text that this error explains, and where it comes from."""

    text: str
    source: str


@frozen
class KnownError:
    """One cause of lines in logs. The fields are those of the files; `kinds` is their `in`."""

    id: str
    fault: str
    title: str
    says: tuple[Says, ...]
    cause: str
    confidence: str
    remedy: Cure
    near: tuple[Says, ...] = ()
    unless: tuple[Says, ...] = ()
    within: int = WITHIN
    differ: tuple[str, ...] = ()
    kinds: tuple[str, ...] = ()
    program: str = ""
    rank: int = 0
    instead_of: tuple[str, ...] = ()
    decided_by: tuple[Decider, ...] = ()
    look_at: LookAt | None = None
    versions: str = ""
    samples: tuple[Sample, ...] = ()
    file: str = ""


@frozen
class Sign:
    """A line that says that something failed, and not what. Where `unless` fits the same line, nothing failed."""

    says: Says
    unless: tuple[Says, ...] = ()


def error_of(plain: Mapping[str, Any]) -> KnownError:
    """A known error from its plain form, which has passed the loader."""
    data = dict(plain)
    for name in ("says", "near", "unless"):
        data[name] = tuple(says_of(item) for item in data.get(name, ()))
    data["kinds"] = tuple(data.pop("in", ()))
    for name in ("differ", "instead_of"):
        data[name] = tuple(data.get(name, ()))
    data["decided_by"] = tuple(_decider(item) for item in data.get("decided_by", ()))
    data["samples"] = tuple(Sample(item["text"], item["source"]) for item in data.get("samples", ()))
    data["remedy"] = Cure(**_with_commands(data["remedy"]))
    if "look_at" in data:
        data["look_at"] = LookAt(**_with_commands(data["look_at"]))
    return KnownError(**data)


def says_of(plain: Mapping[str, Any]) -> Says:
    """A line from its plain form."""
    where = {name: tuple(words) for name, words in plain.get("where", {}).items()}
    return Says(plain["text"], plain.get("printed_by", ""), where, plain.get("within"))


def _with_commands(plain: Mapping[str, Any]) -> dict[str, Any]:
    return {**plain, "commands": tuple(tuple(words) for words in plain.get("commands", ()))}


def _decider(plain: Mapping[str, Any]) -> Decider:
    effects = {k: v for k, v in plain.items() if k != "check"}
    return Decider(
        plain["check"], {k: "drop" if v.get("drop") else v["confidence"] for k, v in effects.items()}
    )
