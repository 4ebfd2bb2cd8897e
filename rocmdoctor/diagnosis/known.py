"""Facts and tables on demand: each is read once, and what cannot be read stays unknown."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from functools import cache
from types import UnionType
from typing import Any, TypeVar, Union, get_args, get_origin, get_type_hints

from rocmdoctor.facts.base import Fact, Table, UnknownError, read
from rocmdoctor.model import Answer

T = TypeVar("T")
Tables = Callable[[type[Table]], Any]


@cache
def wanted(function: Callable[..., Any]) -> tuple[tuple[type, bool], ...]:
    """The types of a function's parameters, each with whether None will do (`Kind | None`)."""
    hints = get_type_hints(function)
    return tuple(_wanted(hints[name]) for name in inspect.signature(function).parameters)


def _wanted(hint: Any) -> tuple[type, bool]:
    if get_origin(hint) in (Union, UnionType):
        return next(kind for kind in get_args(hint) if kind is not type(None)), True
    return hint, False


class Known:
    """All that one snapshot can tell. `values` are given as they are, such as the user's wish."""

    def __init__(self, answers: Mapping[str, Answer], tables: Tables, *values: Any) -> None:
        self._answers = answers
        self._tables = tables
        self._known: dict[type, Any] = {type(value): value for value in values}

    def get(self, kind: type[T]) -> T:
        """A fact, table or given value. Raises UnknownError, every time anew."""
        if kind not in self._known:
            try:
                self._known[kind] = self._make(kind)
            except UnknownError as unknown:
                self._known[kind] = unknown
        value = self._known[kind]
        if isinstance(value, UnknownError):
            raise value
        return value  # type: ignore[no-any-return]

    def maybe(self, kind: type[T]) -> T | None:
        """The same, with None for what is unknown."""
        try:
            return self.get(kind)
        except UnknownError:
            return None

    def why(self, kind: type) -> str:
        """Why it is unknown: which questions failed and how. "" for what is known."""
        try:
            self.get(kind)
        except UnknownError as error:
            derive = getattr(kind, "derive", None)
            # What can do without some fact does not say why it had none.
            missed = [k for k, optional in wanted(derive) if optional] if derive else []
            below = dict.fromkeys(why for k in missed if (why := self.why(k)))
            return ": ".join([str(error), *(["; ".join(below)] if below else [])])
        return ""

    def call(self, function: Callable[..., T]) -> T:
        """Calls a function with what its parameter types name."""
        return function(*(self.maybe(k) if optional else self.get(k) for k, optional in wanted(function)))

    def _make(self, kind: type) -> Any:
        if issubclass(kind, Table):
            return self._tables(kind)
        if not issubclass(kind, Fact):
            raise TypeError(f"{kind.__name__} is neither a fact nor a table")
        derive = getattr(kind, "derive", None)
        return read(kind, self._answers) if derive is None else self.call(derive)
