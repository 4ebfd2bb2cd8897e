"""What is seen while a plan is carried out: one live line on a terminal, plain lines anywhere else."""

from __future__ import annotations

import contextlib
import time
import unicodedata
from collections.abc import Callable
from typing import TextIO

from rocmdoctor.applying.counting import counted
from rocmdoctor.applying.events import Event
from rocmdoctor.applying.output import plain

EVERY = 30.0  # seconds between lines about one step where there is no terminal
_MARKS = {"done": "✓", "skipped": "-", "failed": "✗"}
_WORDS = {"done": "ok", "skipped": "-", "failed": "FAILED"}
_CLEAR = "\r\x1b[K"


class Progress:
    """Shows events. On a terminal a step is one line that ends as a plain line; `clock` is given by tests."""

    def __init__(
        self,
        stream: TextIO,
        *,
        width: int = 80,
        terminal: bool = False,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._stream, self._width, self._terminal, self._clock = stream, max(width, 20), terminal, clock
        self._begun = self._told = clock()
        self._live = ""
        # The last count of a build stays in sight while its compilers print warnings.
        self._count = ""
        self._encoding = stream.encoding or "utf-8"
        self._marks = _MARKS if self._known("".join(_MARKS.values())) else _WORDS

    def _known(self, text: str) -> bool:
        try:
            text.encode(self._encoding)
        except UnicodeEncodeError:
            return False
        return True

    def __call__(self, event: Event) -> None:
        """Never raises for a stream that is gone: the work is worth more than being seen."""
        with contextlib.suppress(OSError, ValueError):
            self._show(event)
            self._stream.flush()

    def _show(self, event: Event) -> None:
        head = f"[{event.number}/{event.total}] {plain(event.says)}"
        if event.kind == "begin":
            self._begun = self._told = self._clock()
            self._count = ""
            self._draw(head) if self._terminal else self._line(head)
        elif event.kind == "line":
            self._working(head, plain(event.text))
        elif event.kind in ("done", "skipped", "failed"):
            mark = self._marks[event.kind]
            more = f" ({plain(event.text)})" if event.kind == "skipped" and event.text else ""
            elapsed = "" if event.kind == "skipped" else f"  {duration(self._clock() - self._begun)}"
            self._line(f"{mark} {head}{more}{elapsed}")
        elif event.text:
            self._note(plain(event.text))

    def _working(self, head: str, text: str) -> None:
        now = self._clock()
        self._count = counted(text) or self._count
        count = f"  {self._count}" if self._count else ""
        line = f"{head}  {duration(now - self._begun)}{count}  {text}".rstrip()
        if self._terminal:
            self._draw(line)
        elif now >= self._told + EVERY:
            self._told = now
            self._line(line)

    def _note(self, text: str) -> None:
        if not self._terminal:
            now = self._clock()
            if text.startswith("waits for ") and now < self._told + EVERY and self._live == text:
                return
            self._told, self._live = now, text
        self._line(text)

    def _draw(self, text: str) -> None:
        self._live = shorten(text, self._width - 1)
        self._write(f"{_CLEAR}{self._live}")

    def _line(self, text: str) -> None:
        clear = _CLEAR if self._terminal else ""
        self._write(f"{clear}{text}\n")

    def _write(self, text: str) -> None:
        self._stream.write(text.encode(self._encoding, "replace").decode(self._encoding))


def shorten(text: str, width: int) -> str:
    """Cut so that it fits into columns."""
    columns = 0
    for position, character in enumerate(text):
        columns += _columns(character)
        if columns > width or (columns == width and position + 1 < len(text)):
            return f"{text[:position]}…"
    return text


def _columns(character: str) -> int:
    if unicodedata.combining(character):
        return 0
    return 2 if unicodedata.east_asian_width(character) in "WF" else 1


def duration(seconds: float) -> str:
    """7 s, 3:05 or 1:02:03."""
    whole = max(0, int(seconds))
    if whole < 60:
        return f"{whole} s"
    hours, rest = divmod(whole, 3600)
    return f"{hours}:{rest // 60:02}:{rest % 60:02}" if hours else f"{rest // 60}:{rest % 60:02}"
