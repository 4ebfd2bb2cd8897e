"""How much the person wants a run to stop. Ctrl-C once lets a package transaction finish, twice ends it."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

GO_ON, AFTER_THIS, AT_ONCE = 0, 1, 2
# Nobody's wish: such a run goes on after the next start of the machine, as after a power cut.
GOING_DOWN = "by SIGTERM, as when the machine goes down"


class Stop:
    """The wish to stop, as far as it has got: GO_ON, AFTER_THIS or AT_ONCE.

    `said` is told of each new wish, not by the signal's handler, which may have cut off a line that is being written,
    but when the wish is next looked at.
    """

    def __init__(self, said: Callable[[int], None] = lambda _wish: None) -> None:
        self._wish = self._told = GO_ON
        self._said = said
        self.why = ""

    def ask(self, wish: int, why: str = "") -> None:
        """Never takes a wish back. May be called by a signal's handler. `why` is what stands in the history."""
        self._wish = max(self._wish, min(wish, AT_ONCE))
        self.why = why if why == GOING_DOWN else self.why or why

    def once_more(self) -> None:
        """One step more urgent than before."""
        self.ask(self._wish + 1, "by Ctrl-C")

    def wish(self) -> int:
        """The wish by now."""
        wish = self._wish
        if wish != self._told:
            self._told = wish
            self._said(wish)
        return wish


@contextmanager
def listening(stop: Stop) -> Iterator[None]:
    """Turns signals into wishes: Ctrl-C one more each time, SIGTERM at once, a terminal that is gone like one Ctrl-C."""

    def heard(number: int, _frame: FrameType | None) -> None:
        if number == signal.SIGINT:
            stop.once_more()
        elif number == signal.SIGHUP:
            stop.ask(AFTER_THIS, "the terminal was gone")
        else:
            stop.ask(AT_ONCE, GOING_DOWN)

    former = {n: signal.signal(n, heard) for n in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)}
    try:
        yield
    finally:
        for number, handler in former.items():
            signal.signal(number, handler)
