"""What a program printed and nobody has read yet, in bounded memory: the beginning, and the end."""

from __future__ import annotations

from collections import deque

HEAD, TAIL = 4 << 20, 32 << 20


class Kept:
    """Pieces in their order. Where they pile up, those between the first `head` and the last `tail` bytes are dropped.

    `dropped` counts their bytes.
    """

    def __init__(self, head: int = HEAD, tail: int = TAIL) -> None:
        self._room = head
        self._tail = tail
        self._first: deque[bytes] = deque()
        self._last: deque[bytes] = deque()
        self._size = 0
        self._gap = False
        self.dropped = 0

    def add(self, data: bytes) -> None:
        """One more. A piece is kept whole or dropped whole, so that nothing is copied."""
        if self._room > 0:
            self._first.append(data)
            self._room -= len(data)
            return
        self._last.append(data)
        self._size += len(data)
        while self._size - len(self._last[0]) >= self._tail:
            gone = len(self._last.popleft())
            self._size -= gone
            self.dropped += gone
            self._gap = True

    def take(self, most: int = 1 << 16) -> bytes | None:
        """So many of the next bytes to read, None where there are none. Where some were dropped, a line ends."""
        if self._first:
            return _cut(self._first, most)
        if self._gap:
            self._gap = False
            return b"\n"
        if not self._last:
            return None
        data = _cut(self._last, most)
        self._size -= len(data)
        return data


def _cut(pieces: deque[bytes], most: int) -> bytes:
    """The beginning of the first piece; the rest of it stays."""
    data = pieces.popleft()
    if len(data) > most:
        pieces.appendleft(data[most:])
    return data[:most]
