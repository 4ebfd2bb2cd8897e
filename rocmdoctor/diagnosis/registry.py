"""`@check` and the registry that content is loaded into."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from graphlib import CycleError, TopologicalSorter
from typing import Any

from rocmdoctor.model import RUNGS, Verdict

CheckFunction = Callable[..., Verdict]


class BadCheckError(Exception):
    """A check that cannot be registered; names the check and what is wrong with it."""


@dataclass(frozen=True)
class Check:
    """A check as declared. `rung`: its verdict says whether that rung of the ladder is there."""

    id: str
    title: str
    function: CheckFunction
    fault: str | None = None
    after: tuple[str, ...] = ()
    explained_by: tuple[str, ...] = ()
    rung: str | None = None
    required: bool = False
    note: str = ""

    @property
    def group(self) -> str:
        """The part of the id before the point."""
        return self.id.partition(".")[0]


class Registry:
    """Checks by id, in an order in which each stands behind all that it names."""

    def __init__(self) -> None:
        self.checks: dict[str, Check] = {}

    def add(self, item: Check) -> None:
        """Raises BadCheckError for an id that is taken."""
        if item.id in self.checks:
            raise BadCheckError(f"check {item.id}: the id is taken")
        self.checks[item.id] = item

    def ordered(self) -> list[Check]:
        """Raises BadCheckError for names that do not exist and for cycles."""
        graph: dict[str, tuple[str, ...]] = {}
        for item in self.checks.values():
            graph[item.id] = item.after + item.explained_by
            for name in graph[item.id]:
                if name not in self.checks:
                    raise BadCheckError(f"check {item.id}: names {name}, which does not exist")
        try:
            order = tuple(TopologicalSorter(graph).static_order())
        except CycleError as error:
            raise BadCheckError(f"checks wait for each other: {' -> '.join(error.args[1])}") from error
        return [self.checks[name] for name in order]

    @contextmanager
    def loading(self) -> Iterator[None]:
        """Within this, `@check` registers here."""
        token = _LOADING.set(self)
        try:
            yield
        finally:
            _LOADING.reset(token)


_LOADING: ContextVar[Registry | None] = ContextVar("loading", default=None)


def check(
    id: str,  # noqa: A002 - the word the contract uses
    *,
    fault: str | None = None,
    after: tuple[str, ...] = (),
    explained_by: tuple[str, ...] = (),
    rung: str | None = None,
    required: bool = False,
) -> Callable[[CheckFunction], CheckFunction]:
    """Declares a check. The parameters' types are what it needs; the docstring's first line is its title.

    `after`: checks that must hold for the question to make sense (else it is skipped). `explained_by`: checks whose
    failure would explain a failure of this one (it is then no root cause). `required`: an unknown here means that
    the machine could not be assessed.
    """

    def declare(function: CheckFunction) -> CheckFunction:
        lines = (function.__doc__ or "").strip().splitlines()
        if not lines:
            raise BadCheckError(
                f"check {id}: its function needs a docstring that states the healthy condition"
            )
        if rung is not None and rung not in RUNGS:
            raise BadCheckError(f"check {id}: rung {rung!r} is none of {', '.join(RUNGS)}")
        note = " ".join(line.strip() for line in lines[1:]).strip()
        names: dict[str, Any] = {"after": tuple(after), "explained_by": tuple(explained_by)}
        item = Check(
            id, lines[0].rstrip("."), function, fault, rung=rung, required=required, note=note, **names
        )
        registry = _LOADING.get()
        if registry is not None:
            registry.add(item)
        return function

    return declare
