"""Tells our own reports in a log, which quote lines of other logs, from what programs print."""

from __future__ import annotations

import re

# The lines that begin a part of a report: `check`, `verify` and `explain`. What is indented below them belongs to them.
_HEADS = re.compile(
    rb"(?:Root cause(?: \d+ of \d+)?|Diagnosis(?: \d+ of \d+)?|Not known|Also seen): |"
    rb"(?:\xe2\x9c\x93|\xe2\x9c\x97|\xc2\xb7|[!?#x+-]) [a-z]+\.[a-z0-9-]+: |"
    rb"(?:Machine|GPUs|Ready) {2,}\S"
)
# A report in JSON is one line.
_ENVELOPE = re.compile(rb'[ \t]*\{"schema": \d+, "tool": "rocmdoctor ')
PAGE_BEGINS = b"| | |\n| --- | --- |\n| machine | "
PAGE_ENDS = b"Made with `rocmdoctor "
PAGE_LENGTH = 60_000


def begins_envelope(text: bytes, first: int) -> bool:
    """Whether a line that begins there is a report in JSON."""
    return _ENVELOPE.match(text, first) is not None


def is_own(text: bytes, first: int, last: int) -> bool:
    """Whether the line between these places of the text is one of a report of ours."""
    if _HEADS.match(text, first, last) or begins_envelope(text, first):
        return True
    if not text[first : first + 2].isspace():
        return False
    at = first
    for _ in range(200):
        begin = text.rfind(b"\n", 0, max(at - 1, 0)) + 1
        if at - 1 > begin and not text[begin : begin + 1].isspace():
            return _HEADS.match(text, begin, at) is not None
        if begin == 0:
            return False
        at = begin
    return False
