"""YAML text to plain values with the place of each: what recipes need of YAML, and nothing else of it.

Every scalar is text, so that `3.10` is not 3.1 and `no` is not false. Anchors, aliases, merge keys, tags and several
documents are refused: each makes a file say something other than what is seen in it.
"""

from __future__ import annotations

import re
from typing import Any

import yaml

from rocmdoctor.frozen import frozen
from rocmdoctor.recipe.values import BadRecipeError, Place, Problem

MAX_BYTES = 1 << 20
MAX_DEPTH = 16
MAX_ENTRIES = 1000

Path = tuple[str | int, ...]
_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
# YAML 1.2 section 5.1: characters that a stream may hold.
_UNPRINTABLE = re.compile("[^\t\n\r\x20-\x7e\x85\xa0-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


class Scalar(str):
    """A text as it stands in the file; `plain` when it is not quoted, so that it may be read as a number or a truth."""

    __slots__ = ("plain",)
    plain: bool


def scalar(text: str, *, plain: bool) -> Scalar:
    """A text of a file."""
    made = Scalar(text)
    made.plain = plain
    return made


def dotted(path: Path) -> str:
    """The path as people read it: lists count from 1."""
    return ".".join(str(part + 1) if isinstance(part, int) else _key(part) for part in path)


def _key(text: str) -> str:
    return text if re.fullmatch(r"[\w./-]{1,60}", text) else repr(text[:60])


@frozen
class Page:
    """A file: its `data`, and where the keys and the values stand."""

    file: str
    data: Any
    keys: dict[Path, Place]
    values: dict[Path, Place]

    def key(self, path: Path) -> Place:
        """The place of a key, else of the nearest thing around it."""
        return self.keys.get(path) or self.value(path)

    def value(self, path: Path) -> Place:
        """The place of a value, else of the nearest thing around it."""
        while path and path not in self.values:
            path = path[:-1]
        return self.values.get(path) or Place(self.file, 1, 1)

    def problem(self, path: Path, message: str, *, at_key: bool = False) -> Problem:
        """Something wrong at a path."""
        return Problem(self.key(path) if at_key else self.value(path), dotted(path), message)


class _Stop(Exception):  # noqa: N818 - ends the reading, is no error of its own
    """Enough is known: reading on would only cost time."""


class _Reader:
    """Builds the values from the parser's events, without recursion."""

    def __init__(self, file: str) -> None:
        self.page = Page(file, None, {}, {})
        self.data: Any = None
        self.problems: list[Problem] = []
        self._documents = 0
        # Each open list or mapping with its path, and beside it the key that waits for its value.
        self._open: list[tuple[Path, Any]] = []
        self._waiting: list[str | None] = []

    def take(self, event: Any) -> None:
        """Raises _Stop."""
        if isinstance(event, yaml.DocumentStartEvent):
            self._document(event)
        elif isinstance(event, yaml.AliasEvent):
            path = self._add(event, None)
            self._wrong(event, path, f"the alias '*{event.anchor}' is not read; write the value out")
        elif isinstance(event, yaml.ScalarEvent):
            self._scalar(event)
        elif isinstance(event, yaml.SequenceStartEvent):
            self._enter(event, [])
        elif isinstance(event, yaml.MappingStartEvent):
            self._enter(event, {})
        elif isinstance(event, yaml.CollectionEndEvent):
            self._open.pop()
            self._waiting.pop()

    def _wrong(self, event: Any, path: Path, message: str) -> None:
        self.problems.append(Problem(self._place(event), dotted(path), message))

    def _place(self, event: Any) -> Place:
        return Place(self.page.file, event.start_mark.line + 1, event.start_mark.column + 1)

    def _document(self, event: Any) -> None:
        self._documents += 1
        if self._documents > 1:
            self._wrong(event, (), "a second document begins here; one file holds one")
            raise _Stop
        if event.version or event.tags:
            self._wrong(event, (), "directives ('%YAML', '%TAG') are not read; leave the line out")

    def _enter(self, event: Any, made: Any) -> None:
        path = self._add(event, made)
        self._decorated(event, path)
        if len(self._open) >= MAX_DEPTH:
            self._wrong(event, (), f"is nested deeper than {MAX_DEPTH} levels; no recipe is")
            raise _Stop
        self._open.append((path, made))
        self._waiting.append(None)

    def _scalar(self, event: Any) -> None:
        plain = not event.style
        if self._open and isinstance(self._open[-1][1], dict) and self._waiting[-1] is None:
            self._key(event, plain=plain)
            return
        nothing = plain and event.value in ("", "null", "~")
        self._decorated(event, self._add(event, None if nothing else scalar(event.value, plain=plain)))

    def _key(self, event: Any, *, plain: bool) -> None:
        above, holder = self._open[-1]
        path = (*above, event.value)
        self._decorated(event, above)
        if plain and event.value == "<<":
            self._wrong(event, above, "merge keys ('<<') are not read; write the keys out")
        elif event.value in holder:
            first = self.page.keys[path].line
            self._wrong(event, path, f"the key stands here twice, first in line {first}")
        else:
            self.page.keys[path] = self._place(event)
        self._waiting[-1] = event.value

    def _decorated(self, event: Any, path: Path) -> None:
        if event.anchor:
            self._wrong(event, path, f"the anchor '&{event.anchor}' is not read; leave it out")
        if event.tag:
            self._wrong(event, path, f"the tag '{event.tag}' is not read; leave it out")

    def _add(self, event: Any, value: Any) -> Path:
        if not self._open:
            self.data = value
            path: Path = ()
        else:
            above, holder = self._open[-1]
            if len(holder) >= MAX_ENTRIES:
                said = f"more than {MAX_ENTRIES} entries; no recipe needs so many, split it"
                self._wrong(event, above, said)
                raise _Stop
            path = (*above, self._put(event, above, holder, value))
        self.page.values.setdefault(path, self._place(event))
        return path

    def _put(self, event: Any, above: Path, holder: Any, value: Any) -> str | int:
        if isinstance(holder, list):
            holder.append(value)
            return len(holder) - 1
        key = self._waiting[-1]
        if key is None:
            self._wrong(event, above, "a key must be one word, and this is a list, a mapping or an alias")
            raise _Stop
        self._waiting[-1] = None
        holder.setdefault(key, value)
        return key


def read(text: str, file: str) -> Page:
    """The values of a file. Raises BadRecipeError for what is no YAML, and for what of YAML is not read here."""
    if len(text) > MAX_BYTES:
        raise BadRecipeError([Problem(Place(file, 1, 1), "", "is larger than 1 MiB; no recipe is")])
    found = _UNPRINTABLE.search(text)
    if found is not None:
        raise BadRecipeError([_unprintable(text, file, found.start())])
    reader = _Reader(file)
    try:
        for event in yaml.parse(text, Loader=_LOADER):
            reader.take(event)
    except _Stop:
        pass
    except yaml.YAMLError as error:
        reader.problems.append(_syntax(text, file, error))
    if reader.problems:
        raise BadRecipeError(reader.problems)
    return Page(file, reader.data, reader.page.keys, reader.page.values)


def _unprintable(text: str, file: str, at: int) -> Problem:
    line = text.count("\n", 0, at) + 1
    column = at - (text.rfind("\n", 0, at) + 1) + 1
    return Problem(
        Place(file, line, column), "", f"holds the character U+{ord(text[at]):04X}, which YAML does not allow"
    )


def _syntax(text: str, file: str, error: yaml.YAMLError) -> Problem:
    if "nesting" in str(error):
        return Problem(_place_of(error, file), "", f"is nested deeper than {MAX_DEPTH} levels; no recipe is")
    # As the parser in Python words it where that takes no time: the words of libyaml differ from version to version.
    if len(text) < 1 << 16:
        try:
            for _ in yaml.parse(text, Loader=yaml.SafeLoader):
                pass
        except yaml.YAMLError as plain:
            error = plain
    words = getattr(error, "problem", None) or str(error).partition("\n")[0]
    context = getattr(error, "context", None)
    place = _place_of(error, file)
    return Problem(place, "", f"is not YAML: {words} ({context})" if context else f"is not YAML: {words}")


def _place_of(error: yaml.YAMLError, file: str) -> Place:
    mark = getattr(error, "problem_mark", None)
    return Place(file, 1, 1) if mark is None else Place(file, mark.line + 1, mark.column + 1)
