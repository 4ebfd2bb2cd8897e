"""How much the person wants a run to stop. Ctrl-C once lets a package transaction finish, twice ends it."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

GO_ON, AFTER_THIS, AT_ONCE = 0, 1, 2


class Stop:
    """The wish to stop, as far as it has got: GO_ON, AFTER_THIS or AT_ONCE."""

    def __init__(self) -> None:
        self.level = GO_ON

    def ask(self, level: int) -> None:
        """Never takes a wish back."""
        self.level = max(self.level, min(level, AT_ONCE))


@contextmanager
def listening(stop: Stop, said: Callable[[int], None] = lambda _level: None) -> Iterator[None]:
    """Turns signals into wishes: Ctrl-C one more each time, SIGTERM at once, a terminal that is gone like one Ctrl-C.

    `said` is called with the new level, from within the signal handler.
    """

    def heard(number: int, _frame: FrameType | None) -> None:
        step = {signal.SIGINT: stop.level + 1, signal.SIGHUP: AFTER_THIS}.get(signal.Signals(number), AT_ONCE)
        before = stop.level
        stop.ask(step)
        if stop.level != before:
            said(stop.level)

    former = {n: signal.signal(n, heard) for n in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)}
    try:
        yield
    finally:
        for number, handler in former.items():
            signal.signal(number, handler)
