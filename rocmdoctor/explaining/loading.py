"""Files of known errors: YAML, read strictly, with the place of everything that is wrong."""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Collection, Mapping
from typing import Any

from rocmdoctor.explaining.templates import TYPES, BadTemplateError, Hole, fill, parts
from rocmdoctor.explaining.values import CONFIDENCES
from rocmdoctor.frozen import frozen
from rocmdoctor.model import STATUSES
from rocmdoctor.recipe.page import Page, Path, Scalar, read
from rocmdoctor.recipe.values import BadRecipeError, Place, Problem

_ID = re.compile(r"[a-z0-9]+(?:-[a-z0-9]+)*")
# Words of the log go into commands that people paste, so only holes that cannot hold a surprise may.
_SAFE = {"path", "version", "gfx", "name", "number", "hex", "words"}

Found = list[Problem]


class BadKnownErrorError(BadRecipeError):
    """Files of known errors that cannot be used: all that is wrong in them, sorted by place."""


@frozen
class Names:
    """The names that files may refer to; None where they are not looked up."""

    faults: Collection[str] | None = None
    checks: Collection[str] | None = None
    kinds: Collection[str] | None = None


class _File:
    """One file that is being read: the page, what is wrong so far, and the names that it may refer to."""

    def __init__(self, page: Page, names: Names) -> None:
        self.page = page
        self.faults, self.checks, self.kinds = names.faults, names.checks, names.kinds
        self.problems: Found = []

    def wrong(self, path: Path, message: str, *, at_key: bool = False) -> None:
        self.problems.append(self.page.problem(path, message, at_key=at_key))

    # ---- values of one kind each; None where it is wrong and said

    def text(self, path: Path, value: object) -> str | None:
        if isinstance(value, Scalar) and str(value).strip():
            return str(value)
        self.wrong(path, f"found {_shown(value)}, wanted a text")
        return None

    def number(self, path: Path, value: object) -> int | None:
        if isinstance(value, Scalar) and value.plain and re.fullmatch(r"-?\d{1,6}", value):
            return int(value)
        self.wrong(path, f"found {_shown(value)}, wanted a whole number without quotes")
        return None

    def one_of(self, words: Collection[str] | None, what: str) -> Reader:
        def reads(path: Path, value: object) -> str | None:
            text = self.text(path, value)
            if text is not None and words is not None and text not in words:
                self.wrong(path, f"'{text[:60]}' is no {what}{_near(text, words)}")
                return None
            return text

        return reads

    def many(self, reads: Reader, least: int = 1) -> Reader:
        def reads_all(path: Path, value: object) -> list[Any] | None:
            if not isinstance(value, list):
                self.wrong(path, f"found {_shown(value)}, wanted a list")
                return None
            if len(value) < least:
                self.wrong(path, f"the list is empty, wanted at least {least}")
            made = [reads((*path, n), item) for n, item in enumerate(value)]
            return [item for item in made if item is not None]

        return reads_all

    def record(
        self, path: Path, value: object, fields: Mapping[str, Reader], needed: Collection[str]
    ) -> dict[str, Any] | None:
        """A mapping with known keys; None where it is none or a needed key is missing."""
        if not isinstance(value, dict):
            self.wrong(path, f"found {_shown(value)}, wanted a mapping")
            return None
        made: dict[str, Any] = {}
        for key, item in value.items():
            if key not in fields:
                self.wrong((*path, key), f"unknown key{_near(key, fields)}", at_key=True)
                continue
            read_item = fields[key]((*path, key), item)
            if read_item is not None:
                made[key] = read_item
        missing = [name for name in needed if name not in value]
        if missing:
            self.wrong(path, f"'{missing[0]}' is missing")
        return made if all(name in made for name in needed) else None

    # ---- what an error is made of

    def says(self, path: Path, value: object) -> dict[str, Any] | None:
        words = self.many(self.text)
        made = self.record(
            path,
            value,
            {"text": self.text, "printed_by": self.text, "where": self.table(words), "within": self.number},
            ("text", "printed_by"),
        )
        if made is None:
            return None
        try:
            parts(made["text"], {k: tuple(v) for k, v in made.get("where", {}).items()})
        except BadTemplateError as error:
            self.wrong((*path, "text"), str(error))
            return None
        return made

    def table(self, reads: Reader) -> Reader:
        def reads_table(path: Path, value: object) -> dict[str, Any] | None:
            if not isinstance(value, dict):
                self.wrong(path, f"found {_shown(value)}, wanted a mapping")
                return None
            return {
                key: made for key, item in value.items() if (made := reads((*path, key), item)) is not None
            }

        return reads_table

    def remedy(self, path: Path, value: object) -> dict[str, Any] | None:
        words = self.many(self.many(self.text))
        return self.record(
            path, value, {"text": self.text, "commands": words, "recipe": self.text}, ("text",)
        )

    def look_at(self, path: Path, value: object) -> dict[str, Any] | None:
        words = self.many(self.many(self.text))
        return self.record(path, value, {"text": self.text, "commands": words}, ("text",))

    def decider(self, path: Path, value: object) -> dict[str, Any] | None:
        statuses: dict[str, Reader] = dict.fromkeys(STATUSES, self.effect)
        made = self.record(path, value, {"check": self.one_of(self.checks, "check"), **statuses}, ("check",))
        if made is not None and len(made) == 1:
            self.wrong(path, f"says for no status what it means; statuses are {', '.join(STATUSES)}")
        return made

    def effect(self, path: Path, value: object) -> dict[str, Any] | None:
        truth = self.one_of(("true",), "value here; 'true' is")
        level = self.one_of(CONFIDENCES, "confidence")
        made = self.record(path, value, {"confidence": level, "drop": truth}, ())
        if made is not None and isinstance(value, dict) and len(value) != 1:
            self.wrong(path, "wanted 'confidence' or 'drop: true', and only one of them")
            return None
        return {"drop": True} if made and "drop" in made else made or None

    def sample(self, path: Path, value: object) -> dict[str, Any] | None:
        return self.record(path, value, {"text": self.text, "source": self.text}, ("text", "source"))

    def error(self, path: Path, value: object) -> dict[str, Any] | None:
        lines = self.many(self.says)
        fields: dict[str, Reader] = {
            "id": self.id,
            "fault": self.one_of(self.faults, "fault"),
            "title": self.text,
            "says": lines,
            "near": lines,
            "unless": lines,
            "within": self.number,
            "differ": self.many(self.text, 2),
            "in": self.many(self.one_of(self.kinds, "kind of text")),
            "program": self.text,
            "rank": self.number,
            "instead_of": self.many(self.text),
            "cause": self.text,
            "confidence": self.one_of(CONFIDENCES, "confidence"),
            "decided_by": self.many(self.decider),
            "look_at": self.look_at,
            "remedy": self.remedy,
            "versions": self.text,
            "samples": self.many(self.sample),
        }
        needed = ("id", "fault", "title", "says", "cause", "confidence", "remedy", "samples")
        made = self.record(path, value, fields, needed)
        if made is not None and len(made["says"]) == len(value["says"]):  # type: ignore[index]
            self.holes(path, made)
        return made

    def id(self, path: Path, value: object) -> str | None:
        text = self.text(path, value)
        if text is not None and not _ID.fullmatch(text):
            self.wrong(
                path, f"found '{text[:60]}', wanted small letters and digits with hyphens between them"
            )
            return None
        return text

    def holes(self, path: Path, made: Mapping[str, Any]) -> None:
        """What is filled in must be in every line that may be the one seen."""
        each = [_holes_of(line) for line in made["says"]]
        near = [_holes_of(line) for line in made.get("near", ())]
        common = {n: k for n, k in each[0].items() if all(n in other for other in each)} if each else {}
        for more in near if len(near) == 1 else ():
            common |= more
        everywhere = {**common}
        self._filled((*path, "cause"), made["cause"], everywhere)
        self._filled((*path, "title"), made["title"], everywhere)
        for key in ("remedy", "look_at"):
            if key in made:
                self._filled((*path, key, "text"), made[key]["text"], everywhere)
                for n, words in enumerate(made[key].get("commands", ())):
                    for m, word in enumerate(words):
                        self._filled((*path, key, "commands", n, m), word, everywhere, _SAFE)
        for name in made.get("differ", ()):
            if not any(name in one for one in (*each, *near)):
                self.wrong((*path, "differ"), f"no line has a hole {{{name}}}")

    def _filled(self, path: Path, text: str, holes: Mapping[str, str], types: Collection[str] = ()) -> None:
        try:
            fill(text, dict.fromkeys(holes, ""))
        except KeyError as error:
            have = (
                f"; holes of all lines are {', '.join(sorted(holes))}"
                if holes
                else "; no hole is in all of its lines"
            )
            self.wrong(path, f"{{{error.args[0]}}} is no hole of every line of 'says'{have}")
            return
        for name, kind in holes.items() if types else ():
            if f"{{{name}}}" in text and kind not in types:
                self.wrong(
                    path,
                    f"{{{name}:{kind}}} may hold anything, and commands are pasted; types here are {', '.join(sorted(_SAFE))}",
                )


Reader = Callable[[Path, object], Any]


def _holes_of(line: Mapping[str, Any]) -> dict[str, str]:
    made = parts(line["text"], {k: tuple(v) for k, v in line.get("where", {}).items()})
    return {p.name: p.type for p in made if isinstance(p, Hole) and p.type not in ("start", "end")}


def _near(word: str, words: Collection[str]) -> str:
    close = difflib.get_close_matches(word[:60], words, n=1, cutoff=0.6)
    return (
        f", did you mean '{close[0]}'?"
        if close
        else f"; known are {', '.join(sorted(words))}"
        if len(words) < 30
        else ""
    )


def _shown(value: object) -> str:
    if isinstance(value, str):
        return f"'{value[:40]}'"
    return "nothing" if value is None else "a list" if isinstance(value, list) else "a mapping"


def read_errors(text: str, file: str, names: Names) -> list[dict[str, Any]]:
    """The errors of a file as plain data, for `error_of`. Raises BadKnownErrorError with all that is wrong."""
    try:
        page = read(text, file)
    except BadRecipeError as error:
        raise BadKnownErrorError(error.problems) from error
    reader = _File(page, names)
    schema = reader.one_of(("1",), "schema that this release reads; 1 is")
    made = reader.record(
        (), page.data, {"schema": schema, "errors": reader.many(reader.error)}, ("schema", "errors")
    )
    if reader.problems or made is None:
        raise BadKnownErrorError(reader.problems or [Problem(Place(file, 1, 1), "", "holds no errors")])
    for item in made["errors"]:
        item["file"] = file.rpartition("/")[2]
    return list(made["errors"])


def check_together(errors: Collection[Mapping[str, Any]]) -> list[str]:
    """What is wrong between files: ids that stand twice, and `instead_of` of ids that are nowhere."""
    wrong: list[str] = []
    seen: dict[str, str] = {}
    for item in errors:
        if item["id"] in seen:
            wrong.append(f"{item['file']}: the id '{item['id']}' stands in {seen[item['id']]}, too")
        seen[item["id"]] = item["file"]
    for item in errors:
        wrong += [
            f"{item['file']}: {item['id']}: instead_of names '{name}'{_near(name, seen) or ', which does not exist'}"
            for name in item.get("instead_of", ())
            if name not in seen
        ]
    return wrong


__all__ = ["TYPES", "BadKnownErrorError", "Names", "check_together", "read_errors"]
