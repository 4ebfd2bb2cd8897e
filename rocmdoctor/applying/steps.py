"""What a step needs around it, and what it says when it cannot be done."""

from __future__ import annotations

import errno
import shutil
from collections.abc import Callable, Mapping
from dataclasses import field
from pathlib import Path

from rocmdoctor.actions import Person
from rocmdoctor.applying.failures import Failure
from rocmdoctor.applying.lock import PACKAGE_LOCKS
from rocmdoctor.applying.stopping import Stop
from rocmdoctor.frozen import frozen
from rocmdoctor.hosts.words import without_secrets

LOCK_SECONDS = 600.0


class StepError(Exception):
    """A step that could not be done. `log` is the file that holds what its programs printed, `tail` its last lines."""

    def __init__(self, message: str, log: Path | None = None, tail: tuple[str, ...] = ()) -> None:
        # Commands and addresses stand in it, and it goes into a journal that everybody may read.
        self.message = without_secrets(message)
        super().__init__(self.message)
        self.log = log
        self.tail = tail

    def __str__(self) -> str:
        lines = [self.message, *(f"  {line}" for line in self.tail)]
        return "\n".join([*lines, f"the whole log: {self.log}"] if self.log else lines)


class StoppedError(Exception):
    """The person wanted the run to stop, and the step was ended for it."""


def _nothing(_text: str) -> None:
    pass


@frozen
class Context:
    """Where a step is done and for whom. `number` counts the plan's actions from 1 and names the step's files.

    `person` is whom to become for the user's steps, None when that is who we are.
    """

    folder: Path
    person: Person | None
    number: int
    log: Path
    stop: Stop = field(default_factory=Stop)
    on_line: Callable[[str], None] = _nothing
    failures: tuple[Failure, ...] = ()
    locks: tuple[str, ...] = PACKAGE_LOCKS
    lock_seconds: float = LOCK_SECONDS

    @property
    def backup(self) -> Path:
        """What the file was before this step."""
        return self.folder / "backup" / f"{self.number:03}.json"

    @property
    def packages(self) -> Path:
        """Which packages were there before this step."""
        return self.folder / "backup" / f"{self.number:03}.packages.json"


_CAUSES: Mapping[int, str] = {
    errno.ENOSPC: "the disk is full; make room on it, then resume",
    errno.EDQUOT: "the disk quota is used up; make room, then resume",
    errno.EROFS: "the file system is mounted read-only; mount it writable, then resume (after errors of the disk the kernel"
    " does that by itself: look at dmesg)",
    errno.EACCES: "permission denied; look at the owner and mode of the file and its folders",
    errno.EPERM: "the system does not permit it; look at the owner, and with lsattr whether it was made immutable",
    errno.EISDIR: "it is a folder, a file is wanted",
    errno.ENOTDIR: "a part of the path is a file, a folder is wanted",
    errno.ELOOP: "its symbolic links lead in a circle",
    errno.EBUSY: "it is in use, as a mounted file is in a container",
}


def refused(path: str, error: OSError) -> str:
    """What the system would not do, why, and what to do."""
    number = error.errno or 0
    cause = _CAUSES.get(number, error.strerror or str(error))
    room = f" ({_room(path)})" if number == errno.ENOSPC else ""
    return f"{path}: {cause}{room}"


def _room(path: str) -> str:
    for folder in Path(path).parents:
        try:
            return f"{shutil.disk_usage(folder).free >> 20} MiB free at {folder}"
        except OSError:
            continue
    return "nothing free"
