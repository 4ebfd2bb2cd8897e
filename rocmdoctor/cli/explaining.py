"""Logs to diagnoses: what `explain` and `run` share. Reads files, and asks a machine only when there is something to decide."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import re
import sys
import zlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from rocmdoctor.cli.errors import PlacedError
from rocmdoctor.content import ContentError, bundled
from rocmdoctor.explaining import Explained, Explainer, judged
from rocmdoctor.log_content import load_lines, where_to_ask

if TYPE_CHECKING:
    from rocmdoctor.cli.running import Outcome
    from rocmdoctor.model import Snapshot
    from rocmdoctor.reports.text import Paint

_PIECE = 1 << 17
_MAGIC: tuple[tuple[bytes, Callable[[Any], Any]], ...] = (
    (b"\x1f\x8b", lambda file: gzip.GzipFile(fileobj=file)),
    (b"\xfd7zXZ\x00", lzma.LZMAFile),
    (b"BZh", bz2.BZ2File),
)
_START = 256
_SNAPSHOT = re.compile(rb'\{\s*"schema": \d+,\s*(?:"tool": "[^"]*",\s*)?"(?:taken_at|host|answers)"')


@dataclass(frozen=True)
class Told:
    """What a log came down to. `notes` say what limits it; `size` is in bytes, after unpacking."""

    explained: Explained
    notes: tuple[str, ...] = ()
    names: tuple[str, ...] = ()
    lines: int = 0
    size: int = 0
    machine: str = "none"

    @property
    def exit_code(self) -> int:
        """As of `explain`: 0, 1 or 6."""
        return self.explained.exit_code

    def text(self, paint: Paint, width: int) -> str:
        """The report for people."""
        from rocmdoctor.reports.explain_text import explain_text

        return explain_text(self.explained, self.names, self.lines, self.notes, where_to_ask(), paint, width)

    def data(self) -> dict[str, Any]:
        """`data` of the envelope."""
        from rocmdoctor.reports.explain_text import explain_data

        return explain_data(self.explained, self.lines, self.size, self.notes, where_to_ask(), self.machine)


def reader(content: Iterable[Path] = ()) -> Explainer:
    """A reader of logs with all known errors. Raises PlacedError for files of known errors that cannot be used."""
    try:
        return Explainer(load_lines((bundled(), *content)))
    except ContentError as error:
        raise PlacedError(error.where, str(error)) from error


def told(
    explainer: Explainer,
    names: tuple[str, ...] = (),
    take: Callable[[], Snapshot] | None = None,
    content: tuple[Path, ...] = (),
    machine: str = "this machine",
    notes: tuple[str, ...] = (),
    *,
    sure: bool = False,
) -> Told:
    """Closes the reader and says what it found. `take` asks the machine that the log is from; only called when it can decide.

    `sure`: somebody said that the log is of that machine, or it was made there just now. Else it is only likely.
    """
    findings = explainer.close()
    counts = {"lines": explainer.lines, "size": explainer.size}
    if not findings.observed or take is None:
        return Told(judged(findings), notes, names, machine="none", **counts)
    from rocmdoctor.cli.running import Judge
    from rocmdoctor.model import Wish

    outcome = Judge(content, Wish()).judge(take())
    explained = judged(findings, {v.id: v for v in outcome.diagnosis.verdicts})
    foreign = "" if sure else _foreign(explained, outcome, machine)
    if foreign:
        return Told(judged(findings), (*notes, foreign), names, machine="another", **counts)
    return Told(explained, (*notes, *_unsure(explained, machine)), names, machine=machine, **counts)


def _foreign(explained: Explained, outcome: Outcome, machine: str) -> str:
    """Why the log seems to be of another machine than the one that was asked; nothing where it may be of this one."""
    from rocmdoctor.facts.gpus import Gpus
    from rocmdoctor.facts.system import Inside

    gpus, inside = outcome.known.maybe(Gpus), outcome.known.maybe(Inside)
    if gpus is None or (inside is not None and inside.wsl):
        return ""
    how = "Where it is from here, say so with --here; else give a snapshot of its machine with --snapshot."
    if not gpus.all:
        return f"{machine[:1].upper()}{machine[1:]} has no AMD GPU: the log seems to be from another one, so no fact of it decided. {how}"
    here = {gpu.gfx for gpu in gpus.all if gpu.gfx}
    if not explained.gfx or not here or here & set(explained.gfx):
        return ""
    return (
        f"The log speaks of {', '.join(explained.gfx[:4])} and {machine} has {', '.join(sorted(here))}: it seems to be from "
        f"another one, so no fact of it decided. {how}"
    )


def _unsure(explained: Explained, machine: str) -> tuple[str, ...]:
    first = explained.diagnoses[0] if explained.diagnoses else None
    if first is None or first.best.why or not first.others:
        return ()
    return (f"Nothing of {machine} decides between the causes; look at what stands with them.",)


# ---------------------------------------------------------------- files


def read_all(explainer: Explainer, logs: Iterable[str]) -> tuple[str, ...]:
    """Feeds the files, or stdin for `-`, to the reader; returns what limits them. Raises PlacedError for what cannot be read."""
    notes = []
    for log in logs:
        name = "stdin" if log == "-" else log
        explainer.begin(name)
        try:
            if log == "-":
                cut = _feed(explainer, sys.stdin.buffer, name)
            else:
                with Path(log).open("rb") as file:
                    cut = _feed(explainer, file, name)
        except OSError as error:
            raise PlacedError(name, f"cannot be read: {error.strerror or error}") from error
        if cut:
            notes.append(f"{name} is damaged: {cut}. What could be unpacked was read.")
    return tuple(notes)


def _feed(explainer: Explainer, file: IO[bytes], name: str) -> str:
    """Why a packed file ended before its end; nothing where all was read."""
    start = _start(file)
    if _SNAPSHOT.match(start):
        said = f"is a snapshot of a machine and no log; judge it with: rocmdoctor check --snapshot {name}"
        raise PlacedError(name, said)
    whole: Any = _Again(start, file)
    for magic, opened in _MAGIC:
        if start.startswith(magic):
            whole = opened(io.BufferedReader(whole))
    try:
        while data := whole.read(_PIECE):
            explainer.feed(data)
    except (EOFError, zlib.error, lzma.LZMAError, gzip.BadGzipFile) as error:
        return str(error)
    return ""


def _start(file: IO[bytes]) -> bytes:
    """The first bytes: a pipe may give them one by one."""
    start = b""
    while len(start) < _START and (more := file.read(_START - len(start))):
        start += more
    return start


class _Again(io.RawIOBase):
    """A file whose first bytes were read already, from its beginning."""

    def __init__(self, start: bytes, rest: IO[bytes]) -> None:
        self._start, self._rest = start, rest

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        data, self._start = self._start[: len(buffer)], self._start[len(buffer) :]
        data = data or self._rest.read(len(buffer))
        buffer[: len(data)] = data
        return len(data)
