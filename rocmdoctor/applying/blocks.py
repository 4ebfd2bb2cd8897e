"""Marked lines in a file that is somebody else's: every other byte stays as it is. Works on bytes and touches nothing."""

from __future__ import annotations

import re

from rocmdoctor.frozen import frozen
from rocmdoctor.ops.ground import BEGIN, END

# Stands below the block when the file had no newline at its end, so that taking the block away brings that back.
_NO_NEWLINE = "# rocmdoctor: there was no newline at the end of this file"
_BEGIN = re.compile(rb"^" + re.escape(BEGIN.encode()) + rb"[ \t]*\r?(?:\n|\Z)", re.MULTILINE)
_END = re.compile(rb"^" + re.escape(END.encode()) + rb"[ \t]*\r?(?:\n|\Z)", re.MULTILINE)
_NOTE = re.compile(re.escape(_NO_NEWLINE.encode()) + rb"\r?(?:\n|\Z)")


class BlockError(Exception):
    """A file whose marks do not make sense."""


@frozen
class _Place:
    """Where the block lies: from its first mark to after its last, and what stands between the marks."""

    start: int
    stop: int
    text: bytes
    note: bool


def block(data: bytes) -> bytes | None:
    """What stands between the marks, None when they are not there. Raises BlockError."""
    place = _place(data)
    return place.text if place else None


def with_block(data: bytes, text: str) -> bytes:
    """The bytes with this block in place of the former one, else at the end. Raises BlockError."""
    lines = text if text.endswith("\n") or not text else f"{text}\n"
    made = f"{BEGIN}\n{lines}{END}\n".encode("utf-8", "surrogateescape")
    place = _place(data)
    if place is not None:
        note = f"{_NO_NEWLINE}\n".encode() if place.note else b""
        return data[: place.start] + made + note + data[place.stop :]
    if data and not data.endswith(b"\n"):
        return data + b"\n" + made + f"{_NO_NEWLINE}\n".encode()
    return data + made


def without_block(data: bytes) -> bytes:
    """The bytes as they were before there was a block. Raises BlockError."""
    place = _place(data)
    if place is None:
        return data
    before, after = data[: place.start], data[place.stop :]
    # What was added below the block meanwhile would run into the last line before it.
    if place.note and not after and before.endswith(b"\n"):
        before = before[:-1]
    return before + after


def _place(data: bytes) -> _Place | None:
    begins, ends = list(_BEGIN.finditer(data)), list(_END.finditer(data))
    if not begins and not ends:
        return None
    if len(begins) != 1 or len(ends) != 1 or begins[0].end() > ends[0].start():
        lines = [f"'{mark}' in line {number}" for mark, number in _lines(data, begins, ends)]
        raise BlockError(f"holds {', '.join(lines)}; wanted is one '{BEGIN}' and after it one '{END}'")
    note = _NOTE.match(data, ends[0].end())
    stop = note.end() if note else ends[0].end()
    return _Place(begins[0].start(), stop, data[begins[0].end() : ends[0].start()], note is not None)


def _lines(data: bytes, begins: list[re.Match[bytes]], ends: list[re.Match[bytes]]) -> list[tuple[str, int]]:
    marks = [(m.start(), BEGIN) for m in begins] + [(m.start(), END) for m in ends]
    return [(mark, data.count(b"\n", 0, start) + 1) for start, mark in sorted(marks)]
