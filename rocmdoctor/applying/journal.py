"""The journal of a run: one JSON object a line, only ever added to, on the disk before the next thing is done.

The order of the lines is `n`; the clock may go backwards. A last line without its end was being written when the
machine stopped: it never counted, and is cut off before the next one. `state` reads lines and touches nothing.
"""

from __future__ import annotations

import contextlib
import errno
import json
import os
from collections.abc import Callable, Iterable, Mapping
from dataclasses import field
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from rocmdoctor.frozen import frozen

EVENTS = (
    "run-begin", "begin", "done", "skipped", "failed", "stopped", "resumed", "reboot-asked", "verified", "end",
    "undo-begin", "undone",
)  # fmt: skip
FILE = "journal.jsonl"
_KEYS = {"n": int, "t": str, "boot": str, "event": str, "action": str}


class JournalError(Exception):
    """A journal that cannot be read or written."""


@frozen
class Line:
    """One event. `action` is the id of an action, empty where it is about the run; `more` depends on the event."""

    n: int
    t: str
    boot: str
    event: str
    action: str = ""
    more: Mapping[str, Any] = field(default_factory=dict)


@frozen
class State:
    """What the lines of a journal come to. The mappings go from the id of an action to the line that says so.

    `begun`: begun and not done, the failed ones among them, with the first `begin`. `asked`: reboots that were asked for.
    """

    done: Mapping[str, Line]
    begun: Mapping[str, Line]
    failed: Mapping[str, Line]
    skipped: Mapping[str, Line]
    undone: Mapping[str, Line]
    asked: Mapping[str, Line]
    undoing: bool
    last: Line | None

    @property
    def ended(self) -> bool:
        """The run came to its end, whatever was noted after it."""
        return self.last is not None and self.last.event in ("end", "verified") and not self.begun


def encode(line: Line) -> bytes:
    """One line of the file."""
    kept = {"n": line.n, "t": line.t, "boot": line.boot, "event": line.event, "action": line.action}
    return json.dumps({**kept, **line.more}, separators=(",", ":"), allow_nan=False).encode("ascii") + b"\n"


def decode(data: bytes, where: str) -> list[Line]:
    """The whole lines of a journal's bytes. Raises JournalError."""
    *whole, _torn = data.split(b"\n")
    return [_line(text, number, where) for number, text in enumerate(whole, 1)]


def _line(text: bytes, number: int, where: str) -> Line:
    try:
        said = json.loads(text)
    except (ValueError, RecursionError):
        said = None
    if not isinstance(said, dict):
        raise JournalError(f"{where}: line {number} is {_shown(text)}, a JSON object is wanted; {_MEANS}")
    for key, kind in _KEYS.items():
        if type(said.get(key)) is not kind:
            raise JournalError(
                f"{where}: line {number}: {key} is {said.get(key)!r}, {_WORDS[kind]} is wanted; {_MEANS}"
            )
    if said["n"] != number:
        raise JournalError(
            f"{where}: line {number}: n is {said['n']}, {number} is wanted: a line is missing; {_MEANS}"
        )
    if said["event"] not in EVENTS:
        raise JournalError(f"{where}: line {number}: {said['event']!r} is no event of a journal; {_MEANS}")
    more = {key: value for key, value in said.items() if key not in _KEYS}
    return Line(number, said["t"], said["boot"], said["event"], said["action"], more)


_WORDS: Mapping[type[Any], str] = {int: "a whole number", str: "a text"}
_MEANS = "what was done there is not known, so nothing is done from it"


def _shown(text: bytes) -> str:
    return repr(text[:40].decode("utf-8", "backslashreplace")) + ("…" if len(text) > 40 else "")


def state(lines: Iterable[Line]) -> State:
    """What is done, begun, failed, skipped and undone after these lines."""
    done: dict[str, Line] = {}
    begun: dict[str, Line] = {}
    failed: dict[str, Line] = {}
    skipped: dict[str, Line] = {}
    undone: dict[str, Line] = {}
    asked: dict[str, Line] = {}
    undoing = False
    last = None
    for line in lines:
        last = line
        undoing = undoing or line.event == "undo-begin"
        if line.more.get("undo"):
            continue  # how an undo fared with an action changes nothing about what was done
        if line.event == "begin":
            begun.setdefault(line.action, line)
            failed.pop(line.action, None)
        elif line.event in ("done", "skipped"):
            (done if line.event == "done" else skipped)[line.action] = line
            begun.pop(line.action, None)
            failed.pop(line.action, None)
        elif line.event == "failed" and line.action:
            failed[line.action] = line
        elif line.event == "reboot-asked":
            asked[line.action] = line
        elif line.event == "undone" and line.action:
            undone[line.action] = line
            done.pop(line.action, None)
            begun.pop(line.action, None)
    return State(done, begun, failed, skipped, undone, asked, undoing, last)


def read(path: Path) -> list[Line]:
    """The lines of a journal that may be growing; none when there is no file. Raises JournalError."""
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        return []
    except OSError as error:
        raise JournalError(f"{path} cannot be read: {error.strerror}") from error
    return decode(data, str(path))


def boot_id() -> str:
    """What the kernel made up when it started: another one means that the machine was started anew."""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
    except OSError:
        return "unknown"


def _now() -> str:
    return datetime.now(timezone.utc).isoformat(timespec="milliseconds").replace("+00:00", "Z")


class Journal:
    """A journal open for writing; only the holder of the lock has one. Raises JournalError.

    `boot` and `now` are given by tests.
    """

    def __init__(self, path: Path, *, boot: str | None = None, now: Callable[[], str] = _now) -> None:
        self.path = path
        self.boot = boot if boot is not None else boot_id()
        self._now = now
        new = not path.exists()
        try:
            flags = os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC | os.O_NOFOLLOW
            self._file = os.open(path, flags, 0o644)
            if new:
                os.fchmod(self._file, 0o644)
                sync_folder(path.parent)
            data = _all(self._file)
            self.lines = decode(data, str(path))
            self._size = data.rfind(b"\n") + 1
            if self._size != len(data):
                os.ftruncate(self._file, self._size)
        except OSError as error:
            raise JournalError(f"{path} cannot be written: {error.strerror}") from error

    def write(self, event: str, action: str = "", **more: Any) -> Line:
        """Adds a line and returns once it is on the disk. Raises JournalError; then the file is as it was."""
        line = Line(len(self.lines) + 1, self._now(), self.boot, event, action, more)
        data = encode(line)
        try:
            written = 0
            while written < len(data):
                written += os.write(self._file, data[written:])
            os.fsync(self._file)
        except OSError as error:
            with contextlib.suppress(OSError):
                os.ftruncate(self._file, self._size)
            cure = "; make room on that disk, then resume" if error.errno == errno.ENOSPC else ""
            raise JournalError(
                f"{self.path} cannot be written: {error.strerror}, so '{event} {action}'".rstrip()
                + f" is not noted and the run stops{cure}"
            ) from error
        self._size += len(data)
        self.lines.append(line)
        return line

    @property
    def state(self) -> State:
        """What the lines so far come to."""
        return state(self.lines)

    def close(self) -> None:
        """No line can be added after this."""
        os.close(self._file)


def _all(file: int) -> bytes:
    read = b""
    while data := os.pread(file, 1 << 20, len(read)):
        read += data
    return read


def sync_folder(folder: Path) -> None:
    """A new name is on the disk only when its folder is."""
    file = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(file)
    finally:
        os.close(file)
