"""Programs of a chore: their output passes through, and what went wrong in it is kept for the end."""

from __future__ import annotations

import errno
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
from collections import deque
from collections.abc import Mapping, Sequence
from pathlib import Path

SAID = "rocmdoctor: "
_SHOWN = 100
_KEPT = 5
_LONG = 500
# Lines of compilers and linkers that tell what went wrong; those that follow only repeat that something did.
_TELLING = re.compile(
    r"(?:^|[ :])(?:fatal )?error: |\bKilled\b|No space left on device|Cannot allocate memory|undefined reference"
    r"|^CMake Error|Error: |No module named"
)


class ChoreError(Exception):
    """What could not be done, why, and what to do."""


class ProgramFailedError(ChoreError):
    """A program that did not end well. `killed`: the system ended it, or one that it had started."""

    def __init__(self, message: str, *, killed: bool) -> None:
        super().__init__(message)
        self.killed = killed


def say(text: str) -> None:
    """A line that tells what is being done."""
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def run(argv: Sequence[str], cwd: Path | str, env: Mapping[str, str] | None = None, what: str = "") -> None:
    """A program whose output passes through. Raises ProgramFailedError.

    The lines that tell what went wrong are printed once more at the end: others stand behind them by the hundred.
    """
    say(f"$ {shlex.join(argv)}")
    told: dict[str, None] = {}
    last: deque[str] = deque(maxlen=_KEPT)
    with _started(argv, cwd, env) as child:
        for raw in child.stdout or ():
            sys.stdout.buffer.write(raw)
            sys.stdout.buffer.flush()
            line = raw.decode("utf-8", "backslashreplace").strip()[:_LONG]
            if _TELLING.search(line) and len(told) < _KEPT:
                told.setdefault(line)
            if line:
                last.append(line)
        code = child.wait()
    if code == 0:
        return
    if told and not set(told) <= set(last):
        say("The lines that tell what went wrong:")
        for line in told:
            say(line)
    killed = code == -signal.SIGKILL or any(re.search(r"\bKilled\b|signal 9", line) for line in told)
    how = f"was ended by signal {-code}" if code < 0 else f"ended with exit code {code}"
    raise ProgramFailedError(f"{what or _short(argv)} {how}", killed=killed)


def _started(argv: Sequence[str], cwd: Path | str, env: Mapping[str, str] | None) -> subprocess.Popen[bytes]:
    try:
        return subprocess.Popen(
            list(argv),
            cwd=cwd,
            env={**os.environ, **(env or {})},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )
    except OSError as error:
        raise ChoreError(f"{argv[0]} cannot be started in {cwd}: {error.strerror}") from error


def output(argv: Sequence[str], cwd: Path | str = "/", seconds: float = 30.0) -> str | None:
    """What a short program prints; None when it is not there or did not end well."""
    try:
        done = subprocess.run(
            list(argv), cwd=cwd, stdin=subprocess.DEVNULL, capture_output=True, timeout=seconds, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.decode("utf-8", "backslashreplace") if done.returncode == 0 else None


def remove(folder: Path) -> None:
    """Takes a folder of ours away, as far as it is there. Raises OSError."""
    if folder.is_symlink() or folder.is_file():
        folder.unlink()
    elif folder.exists():
        shutil.rmtree(folder)


def in_words(error: OSError) -> str:
    """What the system would not do, and what to do."""
    place = str(error.filename or "")
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        why = "the disk is full" if error.errno == errno.ENOSPC else "the disk quota is used up"
        return f"{place}: {why}; make room there, then resume".removeprefix(": ")
    return f"{place}: {error.strerror or error}".removeprefix(": ")


def _short(argv: Sequence[str]) -> str:
    text = shlex.join(argv)
    return f"'{text if len(text) <= _SHOWN else text[:_SHOWN] + '…'}'"
