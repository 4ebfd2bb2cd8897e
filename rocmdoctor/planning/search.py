"""One value for each of several variables so that all go together, the first of each as far as they do. Pure.

A value that goes with none of what is left of another variable is passed over at once (forward checking), and where a
variable has nothing left, the search goes back to the last one that took something from it and not merely to the one
before it (conflict-directed backjumping). With both, choices among fifty releases of ten components take milliseconds
also where nothing fits; plain backtracking tries all combinations of what has no part in the conflict.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Generic, TypeVar

from rocmdoctor.frozen import frozen

T = TypeVar("T")
# Why a value does not go with those that are taken, None where it does. The last argument is the one taken last.
Clashes = Callable[[str, T, Mapping[str, T], str], "Clash | None"]
# The values of a variable, those that are wanted most first.
Order = Callable[[str, Sequence[T], Mapping[str, T]], Iterable[T]]


@frozen
class Clash:
    """Why something does not go with others, and which these are."""

    why: str
    others: tuple[str, ...] = ()


class Search(Generic[T]):
    """One search. `stuck` is, after one that failed, the variable that had nothing left after the most were taken."""

    def __init__(self, domains: Mapping[str, Sequence[T]], clashes: Clashes[T], order: Order[T]) -> None:
        self.names = tuple(domains)
        self.clashes = clashes
        self.order = order
        self.stuck = ""
        self.tried = 0
        self._left = {name: list(values) for name, values in domains.items()}
        # For each variable what was taken out of its values, by the variables that took it.
        self._taken_out: dict[str, list[tuple[T, frozenset[str]]]] = {name: [] for name in domains}
        self._deepest = -1

    def solve(self) -> dict[str, T] | None:
        """The values; None where there are none that go together."""
        empty = next((name for name in self.names if not self._left[name]), None)
        if empty is not None:
            self.stuck = empty
            return None
        found = self._from(0, {})
        return found if isinstance(found, dict) else None

    def _from(self, depth: int, taken: dict[str, T]) -> dict[str, T] | frozenset[str]:
        """The rest of the values, or the variables that are to blame that there are none."""
        if depth == len(self.names):
            return dict(taken)
        name = self.names[depth]
        blamed = self._blamed(name)
        for value in list(self.order(name, self._left[name], taken)):
            self.tried += 1
            taken[name] = value
            removed, empty = self._forward(depth, taken)
            if empty:
                self._note(depth, empty)
                found: dict[str, T] | frozenset[str] = self._blamed(empty)
            else:
                found = self._from(depth + 1, taken)
            self._restore(removed)
            del taken[name]
            if isinstance(found, dict):
                return found
            if name not in found:
                return found
            blamed |= found - {name}
        return blamed

    def _forward(self, depth: int, taken: dict[str, T]) -> tuple[list[tuple[str, T]], str]:
        """Takes out of the later variables what does not go with the value taken last; the one that is empty then."""
        name = self.names[depth]
        removed: list[tuple[str, T]] = []
        for other in self.names[depth + 1 :]:
            kept: list[T] = []
            for value in self._left[other]:
                clash = self.clashes(other, value, taken, name)
                if clash is None:
                    kept.append(value)
                else:
                    self._taken_out[other].append((value, frozenset((*clash.others, name))))
                    removed.append((other, value))
            self._left[other] = kept
            if not kept:
                return removed, other
        return removed, ""

    def _restore(self, removed: list[tuple[str, T]]) -> None:
        gone: dict[str, int] = {}
        for other, _ in removed:
            gone[other] = gone.get(other, 0) + 1
        for other, count in gone.items():
            back = [value for value, _ in self._taken_out[other][-count:]]
            del self._taken_out[other][-count:]
            self._left[other] = self._left[other] + back

    def _blamed(self, name: str) -> frozenset[str]:
        return frozenset().union(*(who for _, who in self._taken_out[name]))

    def _note(self, depth: int, empty: str) -> None:
        if depth > self._deepest:
            self._deepest, self.stuck = depth, empty
