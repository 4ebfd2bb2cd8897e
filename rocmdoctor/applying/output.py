"""What a program prints: all of it to a log that cannot grow without end, its last lines for people."""

from __future__ import annotations

import codecs
import contextlib
import os
import re
import stat
from collections import deque
from pathlib import Path

from rocmdoctor.hosts.words import without_secrets

LOG_BYTES = 32 << 20  # of one program: what comes after that is counted, and its end kept
END_BYTES = 64 << 10
TAIL_LINES = 30
LINE_CHARACTERS = 1000
_CONTROLS = re.compile(
    r"\x1b\[[0-?]*[ -/]*[@-~]|\x1b\][^\x07\x1b]*(?:\x07|\x1b\\)?|\x1b.|[\x00-\x1f\x7f-\x9f]"
)
_BEGUN = re.compile(r"(?<!\S)\S*:\S*\Z")


def plain(line: str) -> str:
    """A line as it may be shown: without colours, cursor movements and other control characters."""
    return _CONTROLS.sub("", line.replace("\t", " ")).strip()


class Output:
    """Takes bytes as they come. `last` is the last line that says something, also one that is still being redrawn."""

    def __init__(self, log: Path | None, keep: int = 0) -> None:
        self.last = ""
        self._fresh = False
        self._lines: deque[str] = deque(maxlen=TAIL_LINES)
        self._part = ""
        self._decoder = codecs.getincrementaldecoder("utf-8")("backslashreplace")
        self._word = ""
        self._keep = keep
        self._kept: list[str] = []
        self._written = 0
        self._end = bytearray()
        self._left_out = 0
        self._file: int | None = None
        self._broken = ""
        if log is not None:
            try:
                flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC | os.O_NOFOLLOW
                self._file = os.open(log, flags, 0o644)
                if stat.S_ISREG(os.fstat(self._file).st_mode):
                    os.fchmod(self._file, 0o644)
            except OSError as error:
                self._broken = f"{log} cannot be written: {error.strerror}"

    def note(self, text: str) -> None:
        """A line of ours in the log."""
        self._flush_end()
        self._write(f"{without_secrets(text)}\n".encode("utf-8", "backslashreplace"))

    def add(self, data: bytes, *, final: bool = False) -> None:
        """What the program printed next."""
        text = self._told(self._decoder.decode(data, final=final), final=final)
        encoded = text.encode("utf-8", "backslashreplace")
        room = max(0, LOG_BYTES - self._written)
        self._written += len(encoded)
        self._write(encoded[:room])
        if rest := encoded[room:]:
            self._hold_back(rest)
        if self._keep > 0:
            self._kept.append(text[: self._keep])
            self._keep -= len(text)
        self._split(text)

    def _told(self, text: str, *, final: bool) -> str:
        """Without the passwords of URLs. A word that may be a URL waits for its end: only that tells what was a password."""
        text = self._word + text
        begun = None if final else _BEGUN.search(text, max(0, len(text) - LINE_CHARACTERS))
        self._word = begun.group() if begun else ""
        return without_secrets(text[: begun.start()] if begun else text)

    def _hold_back(self, data: bytes) -> None:
        self._left_out += len(data)
        self._end += data
        if len(self._end) > 4 * END_BYTES:
            del self._end[:-END_BYTES]

    def _split(self, text: str) -> None:
        *whole, self._part = (self._part + text).split("\n")
        for line in whole[-TAIL_LINES:]:
            shown = _redrawn(line)
            self._lines.append(shown)
            self._say(shown)
        self._part = self._part[-4 * LINE_CHARACTERS :]
        self._say(_redrawn(self._part))

    def _say(self, line: str) -> None:
        if line and line != self.last:
            self.last = line
            self._fresh = True

    def fresh(self) -> bool:
        """There is another last line than when this was asked before."""
        fresh, self._fresh = self._fresh, False
        return fresh

    def tail(self) -> tuple[str, ...]:
        """The last lines, with what was wrong with the log."""
        part = _redrawn(self._part)
        lines = [*self._lines, *([part] if part else [])][-TAIL_LINES:]
        return (*lines, *([f"({self._broken})"] if self._broken else []))

    def kept(self) -> str:
        """The beginning of everything, as much as was asked for."""
        return "".join(self._kept)

    def close(self) -> None:
        """Puts the end of a long output to the log."""
        self._flush_end()
        if self._file is not None:
            os.close(self._file)
            self._file = None

    def _flush_end(self) -> None:
        if self._end:
            end = bytes(self._end[-END_BYTES:])
            cut = self._left_out - len(end)
            self._write(f"\n# cut: {cut} bytes are left out here, {len(end)} follow\n".encode() + end + b"\n")
            self._end.clear()
            self._left_out = 0

    def _write(self, data: bytes) -> None:
        """A log that cannot be written ends no program."""
        if self._file is None:
            return
        try:
            while data:
                data = data[os.write(self._file, data) :]
        except OSError as error:
            self._broken = f"the log cannot be written: {error.strerror}"
            with contextlib.suppress(OSError):
                os.close(self._file)
            self._file = None


def _redrawn(line: str) -> str:
    """What stands last where a progress bar drew one state over the other."""
    states = [plain(state) for state in line.split("\r")]
    return next((state for state in reversed(states) if state), "")[:LINE_CHARACTERS]
