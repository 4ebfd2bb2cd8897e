"""Lines of logs as they are compared and shown: without colours and prefixes, with nothing that a terminal obeys."""

from __future__ import annotations

import re

from rocmdoctor.explaining.templates import even

# ECMA-48: CSI and OSC sequences, and the two-character ones.
ESCAPES = re.compile(
    rb"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b\n]{0,2000}(?:\x07|\x1b\\)|[PX^_][^\x1b\n]{0,2000}\x1b\\|[ -/]*[0-Z\\^-~])"
)
# The beginning of such a sequence at the end of a block: the rest may come with the next.
OPEN_ESCAPE = re.compile(
    rb"\x1b(?:\[[0-?]*[ -/]*|\][^\x07\x1b\n]{0,2000}|[PX^_][^\x1b\n]{0,2000}\x1b?|[ -/]*)$"
)
SPACED = bytes.maketrans(b"\x00\x0b\x0c", b"   ")

_BEFORE = (
    r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(?:[.,]\d+)?(?:Z|[+-]\d\d:?\d\d)?\s",  # GitHub, Kubernetes, logging
    r"(?:[A-Z][a-z]{2} {1,2}\d{1,2}|\d{4}-\d\d-\d\d) \d\d:\d\d:\d\d(?:\.\d+)? \S+ [\w./@-]+(?:\[\d+\])?: ",  # journalctl
    r"\[[A-Z][a-z]{2} [A-Z][a-z]{2} [ \d]\d \d\d:\d\d:\d\d \d{4}\] ?",  # dmesg -T
    r"\[ *\d+\.\d+\] ?",  # dmesg
    r"\[\d{2,4}[-/]\d\d[-/]\d\d[ T]\d\d:\d\d:\d\d(?:[.,]\d+)?\] ?",  # accelerate, transformers
    r"\d\d:\d\d:\d\d(?:[.,]\d+)? ",
    r"#\d+ (?:\d+\.\d+ )?",  # BuildKit
    r"=> (?:=> )?",
    r"\[(?:rank|default|host|worker|local_rank)?_?\d+\]:? ?",  # torchrun, mpirun
    r"\[[\w.:@-]{1,60}\]: ",
    r"\((?:rank|pid|RayWorker\w*|\w{1,40} pid)[ =]\d+(?:, ip=[\d.]+)?\) ",  # ray
    r"<[0-7]>",
    r"[>|│┃║] ?",  # quotations and boxes
    r"(?:std(?:out|err)) [FP] ",  # CRI
    r"(?:INFO|WARNING|ERROR|DEBUG|CRITICAL)[:\]] {0,3}(?=\S)",
    r"[×╰╭─▶•]+>? ?",  # pip
)
_PREFIXES = re.compile("|".join(_BEFORE))


def text_of(line: bytes) -> str:
    """The text of a line; bytes that are no UTF-8 are written out in base 16."""
    return line.decode("utf-8", "backslashreplace")


def bare(line: str) -> str:
    """The line without what logs put before it: times, ranks, build steps, quotation marks."""
    line = line.strip()
    for _ in range(5):
        found = _PREFIXES.match(line)
        if found is None or found.end() == len(line):
            break
        line = line[found.end() :].lstrip()
    return line


def compared(line: str) -> str:
    """The line as it is compared with templates."""
    return even(line).strip()


def printable(text: str, most: int = 400) -> str:
    """The text with nothing that a terminal obeys or that hides or turns other text; cut at `most` characters."""
    shown = text[:most]
    if not shown.isprintable():
        shown = "".join(c if c.isprintable() else _escaped(c) for c in shown)
    return shown + (" ..." if len(text) > most else "")


def _escaped(character: str) -> str:
    return " " if character == "\t" else character.encode("unicode_escape").decode()
