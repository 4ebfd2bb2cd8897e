"""A step's `with:` against the operation's parameters: what is missing, what is too much, what is of the wrong kind."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Mapping
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from rocmdoctor.frozen import frozen
from rocmdoctor.ops.arguments import Shape
from rocmdoctor.recipe.names import BadNameError, alone, used

Path = tuple[str | int, ...]
Wrong = Callable[[Path, object, str], None]
_WHOLE = re.compile(r"-?(?:0|[1-9][0-9]{0,14})")
_TRUTHS = {"true": True, "false": False}


def found(value: object) -> str:
    """How a value that was found is told."""
    if value is None:
        return "nothing"
    if isinstance(value, str):
        return repr(str(value)[:60])
    if isinstance(value, Mapping):
        return "a mapping" if value else "an empty mapping"
    if isinstance(value, list | tuple):
        return "a list" if value else "an empty list"
    return repr(value)


@frozen
class Taking:
    """How values are taken: `wrong` is told of each that cannot be. `lists` are the names that have several words.

    A text that holds `${...}` passes as text of any shape and as a number: what it will be is not known yet.
    """

    wrong: Wrong
    lists: Collection[str] = ()

    def take(self, kind: Any, value: Any, path: Path) -> Any:
        """The value as an operation takes it, or as it is where it is wrong."""
        origin = get_origin(kind)
        if origin in (Union, UnionType):
            return None if value is None else self.take(_without_none(kind), value, path)
        if origin is Annotated:
            return self._shaped(kind, value, path)
        if origin is Literal:
            return self._one_of(get_args(kind), value, path)
        if origin is list:
            return self._list(get_args(kind)[0], value, path)
        if origin is dict:
            return self._dict(get_args(kind), value, path)
        return self._scalar(kind, value, path)

    def _shaped(self, kind: Any, value: Any, path: Path) -> Any:
        base, *shapes = get_args(kind)
        taken = self.take(base, value, path)
        if isinstance(taken, str) and not _later(value):
            for shape in shapes:
                if isinstance(shape, Shape) and not shape.fits(taken):
                    self.wrong(path, taken, shape.wanted)
        return taken

    def _one_of(self, words: tuple[Any, ...], value: Any, path: Path) -> Any:
        if value in words or _later(value):
            return str(value) if isinstance(value, str) else value
        self.wrong(path, value, "one of " + ", ".join(repr(word) for word in words))
        return value

    def _list(self, kind: Any, value: Any, path: Path) -> Any:
        if alone(value):
            if alone(value) not in self.lists:
                self.wrong(path, value, "a list, and this is one text; write [" + str(value) + "]")
            return str(value)
        if not isinstance(value, list | tuple):
            self.wrong(path, value, "a list")
            return value
        return [
            str(item) if alone(item) in self.lists else self.take(kind, item, (*path, number))
            for number, item in enumerate(value)
        ]

    def _dict(self, kinds: tuple[Any, ...], value: Any, path: Path) -> Any:
        if not isinstance(value, Mapping):
            self.wrong(path, value, "a mapping")
            return value
        for key in value:
            if _later(key):
                self.wrong(
                    (*path, key), key, "a key without '${...}': only values have their names filled in"
                )
        return {
            self.take(kinds[0], key, (*path, key)): self.take(kinds[1], item, (*path, key))
            for key, item in value.items()
        }

    def _scalar(self, kind: Any, value: Any, path: Path) -> Any:
        if kind is str:
            return self._text(value, path)
        read: bool | int | None = None
        if isinstance(value, str):
            read = _TRUTHS.get(value) if kind is bool else _whole(value)
        if read is not None and getattr(value, "plain", False):
            return read
        if kind is not int or not _later(value):
            wanted = {bool: "true or false", int: "a whole number"}[kind]
            self.wrong(path, value, wanted if read is None else f"{wanted}, without quotes")
        return value

    def _text(self, value: Any, path: Path) -> Any:
        if not isinstance(value, str):
            self.wrong(path, value, "a text")
            return value
        several = next((name for name in _used(value) if name in self.lists), "")
        if several:
            self.wrong(path, value, f"one text, and ${{{several}}} is a list")
        return str(value)


def _whole(text: str) -> int | None:
    return int(text) if _WHOLE.fullmatch(text) else None


def _later(value: object) -> bool:
    return isinstance(value, str) and "${" in value


def _used(text: str) -> list[str]:
    try:
        return list(used(text))
    except BadNameError:
        return []


def _without_none(kind: Any) -> Any:
    return next(part for part in get_args(kind) if part is not NoneType)
