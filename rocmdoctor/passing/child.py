"""Starts a program: which streams it gets, and why it could not be started."""

from __future__ import annotations

import difflib
import errno
import fcntl
import os
import signal
import stat
import termios
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

NOT_FOUND, NOT_STARTED = 127, 126
_NAMES = 20_000
# More than we ever have open.
_FILES = 256


class NotStartedError(Exception):
    """The program could not be started. `code` is what a shell ends with: 127 not found, 126 found and not started."""

    def __init__(self, code: int, message: str) -> None:
        super().__init__(message)
        self.code = code


@dataclass(frozen=True)
class Wiring:
    """The files that become the program's streams 0, 1 and 2; those that are not named stay as ours are.

    `closed` are streams that we were started without. With `session` the program gets a session of its own, whose terminal
    its stream 1 is.
    """

    streams: Mapping[int, int]
    closed: tuple[int, ...] = ()
    session: bool = False


@dataclass(frozen=True)
class Started:
    """A program that runs.

    In a session, `told` is a file with a line for each change of its state, its wait status, and `leader` the process that
    writes them and ends with the program.
    """

    pid: int
    told: int = -1
    leader: int = 0


def start(argv: Sequence[str], wiring: Wiring, release: Callable[[], None]) -> Started:
    """Starts it. `release` lets signals through. Raises NotStartedError."""
    told, tell = os.pipe()
    pid = os.fork()
    if pid == 0:
        if wiring.session:
            _watch_over(argv, wiring, release, tell)
        _become(argv, wiring, release, tell)
    os.close(tell)
    return _led(argv[0], told, pid) if wiring.session else _alone(argv[0], told, pid)


def _alone(name: str, told: int, pid: int) -> Started:
    """In our own group: its pipe closes when it becomes the program."""
    said = b""
    while piece := os.read(told, 64):
        said += piece
    os.close(told)
    if said:
        os.waitpid(pid, 0)
        raise _why(name, int(said))
    return Started(pid)


def _led(name: str, told: int, pid: int) -> Started:
    """In a session: the first line is its process id, or minus what kept it from starting."""
    first = line(told)
    number = int(first or -errno.EIO)
    if number < 0:
        os.close(told)
        os.waitpid(pid, 0)
        raise _why(name, -number)
    return Started(number, told, pid)


def line(file: int) -> bytes:
    """The next line, empty at the end. Lines are few and short."""
    said = b""
    while (letter := os.read(file, 1)) not in (b"", b"\n"):
        said += letter
    return said


def _watch_over(argv: Sequence[str], wiring: Wiring, release: Callable[[], None], tell: int) -> None:
    """In the leader of the new session: never returns.

    A group whose parent is in another session is orphaned, and the kernel then lets no key stop it. So the program needs a
    parent in its own session, which tells us what becomes of it.
    """
    _close_all_but({*wiring.streams.values(), tell})
    with suppress(OSError):
        os.setsid()
        fcntl.ioctl(wiring.streams[1], termios.TIOCSCTTY, 0)
        # Whoever is not in the foreground, and changes it, is asked by these; the leader must not be.
        for number in (signal.SIGTTOU, signal.SIGTTIN, signal.SIGTSTP):
            signal.signal(number, signal.SIG_IGN)
        failed, fails = os.pipe()
        pid = os.fork()
        if pid == 0:
            os.setpgid(0, 0)
            os.tcsetpgrp(wiring.streams[1], os.getpid())
            for number in (signal.SIGTTOU, signal.SIGTTIN, signal.SIGTSTP):
                signal.signal(number, signal.SIG_DFL)
            _become(argv, wiring, release, fails)
        os.close(fails)
        said = line(failed)
        os.write(tell, b"-%s\n" % said if said else b"%d\n" % pid)
        status = 0x7F
        while not said and os.WIFSTOPPED(status):
            _, status = os.waitpid(pid, os.WUNTRACED)
            os.write(tell, b"%d\n" % status)
        # What the program left behind is not to be hung up on when its leader ends.
        os.tcsetpgrp(wiring.streams[1], os.getpgrp())
    os._exit(0)


def _close_all_but(kept: set[int]) -> None:
    """The ends that are ours: the program's terminal is hung up on when we are gone, whoever else is left."""
    for file in range(3, _FILES):
        if file not in kept:
            with suppress(OSError):
                os.close(file)


def _become(argv: Sequence[str], wiring: Wiring, release: Callable[[], None], tell: int) -> None:
    """In the child: never returns."""
    number = errno.EIO
    try:
        for stream, file in wiring.streams.items():
            os.dup2(file, stream)
        for stream in wiring.closed:
            with suppress(OSError):
                os.close(stream)
        # Python ignores these two for itself, and programs expect them.
        for name in (signal.SIGPIPE, signal.SIGXFSZ):
            signal.signal(name, signal.SIG_DFL)
        release()
        os.execvp(argv[0], list(argv))  # noqa: S606 - the words of the command line, as they are
    except OSError as error:
        number = error.errno or number
    finally:
        os.write(tell, str(number).encode())
        os._exit(NOT_STARTED)


# ---------------------------------------------------------------- why not


def _why(name: str, number: int) -> NotStartedError:
    place = _found(name)
    if number in (errno.ENOENT, errno.ENOTDIR) and place is None:
        return NotStartedError(NOT_FOUND, f"{_missing(name)}{_near(name)}")
    where = place or name
    if number == errno.ENOENT:
        return NotStartedError(
            NOT_STARTED, f"{where} names an interpreter in its first line that is not there"
        )
    if number == errno.ENOEXEC:
        return NotStartedError(
            NOT_STARTED,
            f"{where} is no program that the kernel can start: a script needs a first line such as #!/bin/sh",
        )
    if number == errno.EACCES:
        return NotStartedError(NOT_STARTED, _closed(where))
    return NotStartedError(NOT_STARTED, f"{where} could not be started: {os.strerror(number)}")


def _missing(name: str) -> str:
    return f"{name} is not there" if "/" in name else f"no program '{name}' is on PATH"


def _closed(where: str) -> str:
    try:
        mode = Path(where).stat().st_mode
    except OSError as error:
        return f"{where} cannot be looked at: {error.strerror}"
    if stat.S_ISDIR(mode):
        return f"{where} is a folder, not a program"
    return f"{where} is not executable for this user (mode {stat.S_IMODE(mode):04o}); 'chmod +x {where}' makes it so"


def _folders() -> list[str]:
    return [folder or "." for folder in os.environ.get("PATH", os.defpath).split(":")]


def _found(name: str) -> str | None:
    """The file that was meant, whether or not it can be started."""
    places: Iterable[str] = [name] if "/" in name else (f"{folder}/{name}" for folder in _folders())
    return next((place for place in places if os.path.lexists(place)), None)


def _near(name: str) -> str:
    """A hint at a program of a similar name."""
    folder, _, last = name.rpartition("/")
    names: set[str] = set()
    for place in [folder] if folder else _folders():
        with suppress(OSError), os.scandir(place) as entries:
            names.update(entry.name for entry in entries if len(names) < _NAMES)
    near = difflib.get_close_matches(last, names, n=1, cutoff=0.6)
    if not near:
        return ""
    return f", did you mean '{folder}/{near[0]}'?" if folder else f", did you mean '{near[0]}'?"
