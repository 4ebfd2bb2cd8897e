"""The cache of built wheels: `<cache>/wheels/<key>/{*.whl,about.json}`. Standard library only.

An entry is written aside and renamed, so that it is there wholly or not at all; whoever uses it compares its digest
first. Nothing is taken from a folder that others than its owner can write.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import os
import shutil
import stat
import tempfile
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rocmdoctor.wheel_key import KEY, digest

ABOUT = "about.json"
SCHEMA = 1
DAMAGED = ".damaged"


class CacheError(Exception):
    """What is wrong with the cache or an entry, and what was done about it."""


class DamagedError(CacheError):
    """An entry that is not what it was when it was kept."""


@dataclass(frozen=True)
class Entry:
    """A wheel that is kept. `parts` is everything that shaped it; `wheel` the name of its file, `size` in bytes.

    `targets` are the GPU targets by library. `made` is when it was built, in seconds since 1970.
    """

    key: str
    name: str
    version: str
    wheel: str
    sha256: str
    size: int
    made: float
    parts: Mapping[str, Any]
    targets: Mapping[str, list[str]]
    seconds: float = 0.0

    @property
    def gfx(self) -> list[str]:
        """The targets that it was built for."""
        return [str(name) for name in self.parts.get("gfx", [])]

    def as_json(self) -> dict[str, Any]:
        """As it is kept and shown."""
        return {"schema": SCHEMA, **{name: getattr(self, name) for name in self.__dataclass_fields__}}


def folder_of(cache: str | Path) -> Path:
    """Where the wheels lie."""
    return Path(cache) / "wheels"


def digest_of(path: Path) -> str:
    """The sha256 of a file. Raises OSError."""
    found = hashlib.sha256()
    with path.open("rb") as file:
        while data := file.read(1 << 20):
            found.update(data)
    return found.hexdigest()


def read(folder: Path) -> Entry:
    """The entry of a folder, without a look at its wheel. Raises DamagedError."""
    try:
        said = json.loads((folder / ABOUT).read_text(encoding="utf-8"))
        entry = Entry(
            **{name: said[name] for name in ("key", "name", "version", "wheel", "sha256", "size", "made")},
            parts=dict(said["parts"]),
            targets=dict(said["targets"]),
            seconds=float(said.get("seconds", 0)),
        )
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise DamagedError(f"{folder / ABOUT} cannot be read ({_cause(error)})") from error
    if entry.key != folder.name or digest(entry.parts) != entry.key:
        raise DamagedError(f"{folder / ABOUT} is not about {folder.name}")
    if not _plain_name(entry.wheel):
        raise DamagedError(f"{folder / ABOUT} names the file {entry.wheel!r}")
    return entry


def _cause(error: Exception) -> str:
    return error.strerror or str(error) if isinstance(error, OSError) else f"{type(error).__name__}: {error}"


def _plain_name(name: str) -> bool:
    return isinstance(name, str) and name.endswith(".whl") and "/" not in name and not name.startswith(".")


def verified(folder: Path) -> Entry:
    """The entry, once its wheel has been compared with its digest. Raises DamagedError, CacheError."""
    entry = read(folder)
    wheel = folder / entry.wheel
    try:
        found = digest_of(wheel)
    except OSError as error:
        raise DamagedError(f"{wheel} cannot be read ({error.strerror})") from error
    if found != entry.sha256:
        raise DamagedError(f"{wheel} is damaged: its sha256 is {found}, it was kept with {entry.sha256}")
    _own(folder)
    return entry


def _own(folder: Path) -> None:
    """Raises CacheError where others could have put something else there."""
    for path in (folder, folder.parent):
        found = path.stat()
        if found.st_mode & stat.S_IWOTH or found.st_uid not in (0, os.geteuid()):
            raise CacheError(
                f"{path} (owner {found.st_uid}, mode {stat.S_IMODE(found.st_mode):04o}) can be written by others, so that"
                f" no wheel is taken from it: 'chmod go-w {path}', or remove it"
            )


def find(cache: str | Path, key: str) -> Entry | None:
    """The entry of a key, None where there is none. Raises DamagedError, CacheError."""
    folder = folder_of(cache) / key
    return verified(folder) if folder.is_dir() else None


def entries(cache: str | Path) -> Iterator[tuple[Path, Entry | DamagedError]]:
    """Every entry, by key, without a look at the wheels. Raises OSError."""
    folder = folder_of(cache)
    for path in sorted(folder.iterdir()) if folder.is_dir() else ():
        if KEY.fullmatch(path.name) and path.is_dir():
            try:
                yield path, read(path)
            except DamagedError as error:
                yield path, error


def used(folder: Path) -> None:
    """Notes that an entry was of use just now: clearing away asks for that."""
    with contextlib.suppress(OSError):
        os.utime(folder)


def set_aside(cache: str | Path, key: str) -> Path:
    """Moves a damaged entry out of the way and says where to. Raises OSError."""
    folder = folder_of(cache) / key
    for number in range(1, 1000):
        aside = folder.with_name(f"{key}{DAMAGED}-{number}")
        if not aside.exists():
            return folder.rename(aside)
    raise CacheError(f"{folder_of(cache)} holds a thousand damaged copies of {key}; remove them")


def keep(cache: str | Path, wheel: Path, entry: Entry) -> Entry:
    """Puts a wheel into the cache, wholly or not at all; one that is there already stays. Raises OSError."""
    folder = folder_of(cache)
    folder.mkdir(parents=True, exist_ok=True, mode=0o755)
    aside = Path(tempfile.mkdtemp(prefix=f".{entry.key}.", dir=folder))
    try:
        copied = aside / entry.wheel
        shutil.copyfile(wheel, copied)
        text = json.dumps(entry.as_json(), indent=1, sort_keys=True)
        (aside / ABOUT).write_text(f"{text}\n", encoding="utf-8")
        for path in (copied, aside / ABOUT):
            path.chmod(0o644)
            _synced(path)
        aside.chmod(0o755)
        with contextlib.suppress(FileExistsError, OSError):
            aside.rename(folder / entry.key)
        if not (folder / entry.key).is_dir():
            raise CacheError(f"{folder / entry.key} could not be put there")
    finally:
        shutil.rmtree(aside, ignore_errors=True)
    return entry


def _synced(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def add(cache: str | Path, source: Path) -> bool:
    """Takes an entry over from another folder, once its digest is right. False when it is there already.

    Raises DamagedError, CacheError, OSError.
    """
    entry = read(source)
    wheel = source / entry.wheel
    if not wheel.is_file() or wheel.is_symlink():
        raise DamagedError(f"{wheel} is not a regular file")
    found = digest_of(wheel)
    if found != entry.sha256:
        raise DamagedError(
            f"{wheel} is damaged: its sha256 is {found}, wanted is {entry.sha256}; it was not taken"
        )
    if (folder_of(cache) / entry.key).is_dir():
        return False
    keep(cache, wheel, entry)
    return True


@contextlib.contextmanager
def alone(cache: str | Path, key: str, waiting: Any) -> Iterator[None]:
    """Nobody else builds this wheel meanwhile; `waiting` is told who does. Raises OSError."""
    folder = folder_of(cache)
    folder.mkdir(parents=True, exist_ok=True, mode=0o755)
    path = folder / f".{key}.lock"
    handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o644)
    try:
        while True:
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                waiting(os.pread(handle, 100, 0).decode("ascii", "replace").strip())
                time.sleep(0.5)
                continue
            break
        os.ftruncate(handle, 0)
        os.pwrite(handle, f"process {os.getpid()}".encode(), 0)
        yield
    finally:
        os.close(handle)
