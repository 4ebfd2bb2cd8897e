"""What was seen of each known error, as lines come: constant memory, first sights kept, repeats counted."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import TypeVar

from rocmdoctor.explaining.kinds import Kind, kinds_of
from rocmdoctor.explaining.values import WITHIN, KnownError, Says
from rocmdoctor.frozen import frozen

T = TypeVar("T")
_KEPT = 8
_NUMBERS = re.compile(r"\d+")


@frozen
class Seen:
    """A line that matched: file, line number from 1, its text made printable, what the holes held.

    `position`: its place in all that was read, in bytes; `template`: the number of the template.
    """

    file: str
    line: int
    text: str
    holes: Mapping[str, str]
    position: int
    template: int


@frozen
class Observed:
    """A known error that was seen: its first line, how often, and the line that had to be near it."""

    error: KnownError
    first: Seen
    count: int = 1
    beside: Seen | None = None


@frozen
class Findings:
    """What a log shows: known errors in the order of their first lines, and the first line that tells of any failure."""

    observed: tuple[Observed, ...] = ()
    failure: Seen | None = None
    failures: int = 0
    last_failure: Seen | None = None


class _One:
    """One error while lines come."""

    def __init__(self, error: KnownError) -> None:
        self.error = error
        self.hits: list[tuple[Seen, Seen | None]] = []
        self.count = 0
        self.waiting: list[Seen] = []
        self.near: list[tuple[Seen, int]] = []
        self.unless: list[tuple[Seen, int | None]] = []

    def says(self, seen: Seen) -> None:
        if not self.error.near:
            self._hit(seen, None)
            return
        for near, within in reversed(self.near):
            if self._together(seen, near, within):
                self._hit(seen, near)
                return
        _keep(self.waiting, seen)

    def saw_near(self, near: Seen, within: int | None) -> None:
        reach = self.error.within if within is None else within
        _keep(self.near, (near, reach))
        still = []
        for seen in self.waiting:
            if self._together(seen, near, reach):
                self._hit(seen, near)
            else:
                still.append(seen)
        self.waiting = still

    def _together(self, seen: Seen, near: Seen, within: int) -> bool:
        if abs(near.line - seen.line) > within and near.file == seen.file:
            return False
        if not self.error.differ:
            return True
        held = {**near.holes, **seen.holes}
        values = [tuple(_NUMBERS.findall(held.get(name, ""))[:2]) for name in self.error.differ]
        return len(set(values)) > 1 and all(values)

    def _hit(self, seen: Seen, near: Seen | None) -> None:
        self.count += 1
        if len(self.hits) < _KEPT:
            self.hits.append((seen, near))

    def reaches(self, line: int, file: str) -> bool:
        """Whether a line from here on may still be near one that waits. Of another file it always is."""
        reach = max([self.error.within, *(says.within or 0 for says in self.error.near)])
        return any(seen.file != file or seen.line + reach >= line for seen in self.waiting)

    def full(self) -> bool:
        """Whether more of the same tells nothing but how often."""
        return not self.error.near and len(self.hits) == _KEPT

    def observed(self) -> Observed | None:
        if any(within is None for _, within in self.unless):
            return None
        for seen, near in self.hits:
            if not any(abs(no.line - seen.line) <= (within or WITHIN) for no, within in self.unless):
                return Observed(self.error, seen, self.count, near)
        return None


def _keep(kept: list[T], seen: T) -> None:
    """The first and the latest: what stands between is of no use."""
    if len(kept) >= 2 * _KEPT:
        del kept[_KEPT]
    kept.append(seen)


class State:
    """All errors and signs while lines come."""

    def __init__(self, errors: Sequence[KnownError], kinds: Sequence[Kind]) -> None:
        self._errors = [_One(error) for error in errors]
        self._kinds = tuple(kinds)
        self._failures: list[Seen] = []
        self._failed = 0
        self._spared: tuple[int, str] = (-1, "")

    def saw(self, number: int, role: str, says: Says, seen: Seen, around: Callable[[], bytes]) -> None:
        """A template matched, for the error or sign of that number, in that role."""
        if role in ("sign", "no-sign"):
            self._sign(role, seen)
            return
        one = self._errors[number]
        if role == "says":
            if one.full():
                one.count += 1
            elif not one.error.kinds or set(one.error.kinds) & kinds_of(around(), self._kinds):
                one.says(seen)
        elif role == "near":
            one.saw_near(seen, says.within)
        else:
            one.unless.append((seen, says.within)) if len(one.unless) < 64 else None

    def _sign(self, role: str, seen: Seen) -> None:
        if role == "no-sign":
            self._spared = (seen.position, seen.file)
            if self._failures and self._failures[-1].position == seen.position:
                self._failures.pop()
                self._failed -= 1
        elif self._spared != (seen.position, seen.file):
            self._failed += 1
            self._failures[1:] = [seen] if self._failures else []
            self._failures = self._failures or [seen]

    def waiting(self, line: int, file: str) -> list[int]:
        """The errors of which a line was seen that wants another near it, not further above this line than that may be."""
        return [n for n, one in enumerate(self._errors) if one.waiting and one.reaches(line, file)]

    def findings(self) -> Findings:
        """What was found until now."""
        observed = [o for one in self._errors if (o := one.observed()) is not None]
        observed.sort(key=lambda o: o.first.position)
        first = self._failures[0] if self._failures else None
        return Findings(tuple(observed), first, self._failed, self._failures[-1] if self._failures else None)
