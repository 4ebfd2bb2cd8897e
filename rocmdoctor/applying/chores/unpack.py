"""An archive unpacked beside and renamed: nothing in it reaches out of its folder, and others can write none of it."""

from __future__ import annotations

import hashlib
import io
import os
import shutil
import stat
import tarfile
import tempfile
import zipfile
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import IO

from rocmdoctor.applying.chores.running import ChoreError, remove, say

STAMP = ".rocmdoctor-source"
# More than the sources of a compiler have; what is beyond is an archive that is meant to fill the disk.
MOST_BYTES, MOST_FILES = 16 << 30, 500_000


def unpack(*, archive: str, sha256: str, path: str) -> None:
    """Unpacks an archive of this sha256 to a folder that is not there yet. Raises ChoreError, OSError."""
    source, target = Path(archive), Path(path)
    if _stamped(target) == sha256:
        say(f"{path} is there already")
        return
    if target.exists() and any(target.iterdir()):
        raise ChoreError(f"{path} is there and holds something else; move it away, then resume")
    found = _digest(source)
    if found != sha256:
        raise ChoreError(
            f"{archive}: sha256 is {found}, wanted is {sha256}; remove the file, then resume fetches it anew"
        )
    target.parent.mkdir(parents=True, exist_ok=True)
    aside = Path(tempfile.mkdtemp(prefix=f".{target.name}.", dir=target.parent))
    try:
        count = _into(source, aside)
        top = _top(aside)
        (top / STAMP).write_text(f"{sha256}\n", encoding="ascii")
        top.chmod(0o755)
        top.replace(target)
    finally:
        remove(aside)
    say(f"{count} files")


def _stamped(target: Path) -> str:
    try:
        return (target / STAMP).read_text(encoding="ascii").strip()
    except (OSError, ValueError):
        return ""


def _digest(path: Path) -> str:
    found = hashlib.sha256()
    with path.open("rb") as file:
        while data := file.read(1 << 20):
            found.update(data)
    return found.hexdigest()


def _top(folder: Path) -> Path:
    """The archive's own top folder where it has one and nothing beside it."""
    inside = list(folder.iterdir())
    return inside[0] if len(inside) == 1 and inside[0].is_dir() and not inside[0].is_symlink() else folder


def _into(source: Path, folder: Path) -> int:
    try:
        entries = _of_zip(source, folder) if zipfile.is_zipfile(source) else _of_tar(source, folder)
        return sum(1 for _ in entries)
    except (tarfile.TarError, zipfile.BadZipFile, EOFError, ValueError) as error:
        raise ChoreError(f"{source} cannot be unpacked: {error}") from error


def _of_tar(source: Path, folder: Path) -> Iterator[str]:
    room = _Room(source)
    links: list[tuple[Path, str, str]] = []
    with tarfile.open(source) as archive:
        for member in archive:
            target = _inside(folder, member.name, source)
            if target == folder and not member.isdir():
                raise ChoreError(f"{source}: the entry {member.name!r} has no name")
            room.take(member.size)
            if member.isdir():
                target.mkdir(parents=True, exist_ok=True)
            elif member.isreg():
                _write(target, archive.extractfile(member) or io.BytesIO(), member.mode)
            elif member.issym() or member.islnk():
                links.append((target, member.linkname, "symbolic" if member.issym() else "hard"))
            else:
                raise ChoreError(
                    f"{source}: {member.name!r} is neither a file, a folder nor a link; no source is"
                )
            yield member.name
    _link(folder, links, source)


def _of_zip(source: Path, folder: Path) -> Iterator[str]:
    room = _Room(source)
    with zipfile.ZipFile(source) as archive:
        for info in archive.infolist():
            target = _inside(folder, info.filename, source)
            room.take(info.file_size)
            mode = info.external_attr >> 16
            if stat.S_IFMT(mode) not in (0, stat.S_IFREG, stat.S_IFDIR):
                raise ChoreError(f"{source}: {info.filename!r} is neither a file nor a folder; no source is")
            if info.is_dir():
                target.mkdir(parents=True, exist_ok=True)
            else:
                with archive.open(info) as file:
                    _write(target, file, mode or 0o644)
            yield info.filename


class _Room:
    """How much an archive may bring."""

    def __init__(self, source: Path) -> None:
        self.source = source
        self.size = self.files = 0

    def take(self, size: int) -> None:
        """Raises ChoreError when it is too much."""
        self.size += size
        self.files += 1
        if self.size > MOST_BYTES or self.files > MOST_FILES:
            raise ChoreError(
                f"{self.source} holds more than {MOST_BYTES >> 30} GiB or {MOST_FILES} files; no source does"
            )


def _inside(folder: Path, name: str, source: Path) -> Path:
    """The path of an entry. Raises ChoreError for one that would lie elsewhere."""
    parts = PurePosixPath(name).parts
    if name.startswith("/") or ".." in parts or "\0" in name:
        raise ChoreError(
            f"{source}: the entry {name!r} would lie outside of the folder; nothing was unpacked"
        )
    return folder.joinpath(*parts)


def _write(target: Path, file: IO[bytes], mode: int) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    # No link is made before all files are, so that none can lead elsewhere.
    flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC
    with os.fdopen(os.open(target, flags, 0o600), "wb") as out:
        shutil.copyfileobj(file, out, 1 << 20)
        os.fchmod(out.fileno(), 0o755 if mode & 0o100 else 0o644)


def _link(folder: Path, links: list[tuple[Path, str, str]], source: Path) -> None:
    """Links come last, and only such as stay inside."""
    for target, to, kind in links:
        base = target.parent if kind == "symbolic" else folder
        reaches = Path(os.path.normpath(base / to))
        if to.startswith("/") or not reaches.is_relative_to(folder):
            raise ChoreError(
                f"{source}: the link {target.name!r} leads to {to!r}, outside of the folder; nothing was unpacked"
            )
        target.parent.mkdir(parents=True, exist_ok=True)
        target.unlink(missing_ok=True)
        if kind == "symbolic":
            target.symlink_to(to)
        else:
            shutil.copy2(reaches, target, follow_symlinks=False)
