"""Pseudonyms: the same for the same, different for the different, and themselves for themselves."""

from __future__ import annotations

import re
from collections.abc import Iterable

SMALL = 1 << 16  # no board's number is smaller: those below are masked already


class Pseudonyms:
    """One kind of name: `before`, a number, `after`. Numbers that stand in `everything` like this are not given."""

    def __init__(self, everything: str, before: str, after: str = "", width: int = 0) -> None:
        shape = rf"{re.escape(before)}(\d{{{width or '1,12'}}}){re.escape(after)}"
        self._before, self._after, self._width = before, after, width
        self._own = re.compile(shape)
        self._taken = {int(n) for n in re.findall(rf"(?<![A-Za-z0-9]){shape}(?![A-Za-z0-9])", everything)}
        self._next = 0
        self.known: dict[str, str] = {}

    def number(self, name: str) -> int:
        """The number in the pseudonym of a name."""
        return int(self._own.fullmatch(self.of(name)).group(1))  # type: ignore[union-attr]

    def of(self, name: str) -> str:
        """The pseudonym of a name; of a pseudonym, itself."""
        if self._own.fullmatch(name):
            return name
        if name not in self.known:
            self._next += 1
            while self._next in self._taken:
                self._next += 1
            self.known[name] = f"{self._before}{self._next:0{self._width}d}{self._after}"
        return self.known[name]


class Numbers:
    """Ids of boards, the same small number for the same id however it is written."""

    def __init__(self) -> None:
        self._taken: set[int] = set()
        self.known: dict[int, int] = {}

    def see(self, values: Iterable[int]) -> None:
        """Gives numbers; small ids stay as they are."""
        seen = list(values)
        self._taken.update(v for v in seen if v < SMALL)
        for value in seen:
            if value >= SMALL and value not in self.known:
                fresh = next(n for n in range(1, SMALL) if n not in self._taken)
                self._taken.add(fresh)
                self.known[value] = fresh

    def forms(self) -> dict[str, str]:
        """How each id may stand in a text, and what stands there instead, equally long where it is hex."""
        found = {}
        for value, number in self.known.items():
            found[str(value)] = str(number)
            for width in {len(f"{value:x}"), 8, 16}:
                if value >= 1 << 24:
                    found[f"{value:0{width}x}"] = f"{number:0{width}x}"
        return found
