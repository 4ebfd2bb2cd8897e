"""One run at a time, and who it is that is in the way."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import json
import os
import shlex
import struct
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from rocmdoctor.frozen import frozen

# apt takes these in turn; whoever holds the first is about to take the others.
PACKAGE_LOCKS = (
    "/var/lib/dpkg/lock-frontend",
    "/var/lib/dpkg/lock",
    "/var/lib/apt/lists/lock",
    "/var/cache/apt/archives/lock",
)
_SHOWN = 200  # characters of a command
_FLOCK = "@hhqqi4x"  # struct flock of 64-bit Linux: type, whence, start, length, pid


@frozen
class Holder:
    """A process. `since` is when it began, UTC; empty fields could not be read."""

    pid: int
    command: str = ""
    user: str = ""
    since: str = ""

    def __str__(self) -> str:
        known = [
            self.command and f"'{self.command}'",
            self.user and f"of {self.user}",
            self.since and f"since {self.since}",
        ]
        return f"process {self.pid}" + "".join(f" {word}" for word in known if word)


class LockedError(Exception):
    """Another run has the lock."""

    def __init__(self, path: Path, holder: Holder | None) -> None:
        by = str(holder) if holder else "another process that did not say who it is"
        super().__init__(
            f"{path} is held by {by}: one run at a time changes this machine; wait for it to end, then try again"
        )
        self.holder = holder


@contextmanager
def locked(state: Path) -> Iterator[None]:
    """Holds `<state>/lock`. Raises LockedError when it is taken, OSError when the folder cannot be used.

    Only the owner may open the file: a lock can be taken by anybody who may read.
    """
    state.mkdir(parents=True, exist_ok=True)
    path = state / "lock"
    file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    try:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise LockedError(path, _written(os.pread(file, 1 << 16, 0))) from None
        os.ftruncate(file, 0)
        os.pwrite(file, json.dumps({"pid": os.getpid(), "since": _utc(time.time())}).encode(), 0)
        yield
        with contextlib.suppress(OSError):
            os.ftruncate(file, 0)
    finally:
        os.close(file)


def _written(data: bytes) -> Holder | None:
    try:
        said: Any = json.loads(data)
        pid, since = int(said["pid"]), str(said["since"])
    except (ValueError, TypeError, KeyError):
        return None
    found = process(pid)
    return Holder(pid, found.command, found.user, since)


def _utc(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, timezone.utc).isoformat(timespec="seconds").replace("+00:00", "Z")


def process(pid: int) -> Holder:
    """What can be told about a process."""
    import psutil  # noqa: PLC0415 - most runs never ask

    try:
        one = psutil.Process(pid)
        with one.oneshot():
            command = shlex.join(one.cmdline()) or one.name()
            return Holder(pid, _cut(command), one.username(), _utc(one.create_time()))
    except (psutil.Error, OSError):
        return Holder(pid)


def _cut(command: str) -> str:
    line = " ".join(command.split())
    return line if len(line) <= _SHOWN else f"{line[:_SHOWN]}…"


def who_holds(path: str) -> tuple[Holder, ...]:
    """Processes that have a file or device open, as far as the caller may see. This one is left out."""
    import psutil  # noqa: PLC0415

    try:
        wanted = Path(path).stat()
    except OSError:
        return ()
    others = (pid for pid in psutil.pids() if pid != os.getpid())
    return tuple(process(pid) for pid in others if _has_open(pid, wanted))


def _has_open(pid: int, wanted: os.stat_result) -> bool:
    # psutil's open_files() lists regular files only, and /dev/kfd is a device.
    try:
        for link in Path(f"/proc/{pid}/fd").iterdir():
            with contextlib.suppress(OSError):
                found = link.stat()
                if (found.st_dev, found.st_ino) == (wanted.st_dev, wanted.st_ino):
                    return True
    except OSError:
        return False
    return False


def lock_holder(path: str) -> Holder | None:
    """Who holds a lock of the kind that dpkg and apt take; None when it is free or cannot be looked at.

    Asks without taking it: a lock that is only tried would make a package manager fail that starts in that moment.
    """
    try:
        file = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
    except OSError:
        return None
    try:
        asked = struct.pack(_FLOCK, fcntl.F_WRLCK, os.SEEK_SET, 0, 0, 0)
        kind, _, _, _, pid = struct.unpack(_FLOCK, fcntl.fcntl(file, fcntl.F_GETLK, asked))
    except OSError as error:
        if error.errno in (errno.EINVAL, errno.ENOTSUP):
            return None
        raise
    finally:
        os.close(file)
    if kind == fcntl.F_UNLCK:
        return None
    if pid > 0:
        return process(pid)
    # Held in another namespace of process numbers, as in a container.
    return next(iter(who_holds(path)), Holder(0, "of another container"))


def dpkg_lock_holder(paths: tuple[str, ...] = PACKAGE_LOCKS) -> Holder | None:
    """Who is changing packages now, None when nobody is."""
    return next((h for h in map(lock_holder, paths) if h is not None), None)


def dpkg_lock_free(paths: tuple[str, ...] = PACKAGE_LOCKS) -> bool:
    """Packages can be changed now, as far as can be seen."""
    return dpkg_lock_holder(paths) is None
