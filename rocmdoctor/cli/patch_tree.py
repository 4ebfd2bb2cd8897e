"""Reads a tree of sources as far as its patches ask, and changes it by `git apply`."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from rocmdoctor.applying.programs import Order, ProgramError, run
from rocmdoctor.patching import Patch, Project, places
from rocmdoctor.patching.versions import Said, paths, version_of

# A source file of a megabyte would be a strange one.
_MAX_BYTES = 4 << 20
_GIT_SECONDS = 60.0


class TreeError(Exception):
    """A tree that cannot be read or changed; the message names the path."""


@dataclass(frozen=True)
class Read:
    """What was read of a tree. `unreadable`: paths that are there and could not be read, with the reason.

    `owners` are user, group and mode of the files.
    """

    top: Path
    files: dict[str, str]
    unreadable: dict[str, str]
    owners: dict[str, tuple[int, int, int]]
    said: Said


def read_tree(project: Project, top: Path) -> Read:
    """Reads what the patches of a project look at. Raises TreeError, and OtherProjectError for another project's tree."""
    if not top.is_dir():
        raise TreeError("is not a folder" if top.exists() else "is not there")
    files: dict[str, str] = {}
    unreadable: dict[str, str] = {}
    for path in dict.fromkeys((*project.paths, *paths(project.name))):
        try:
            text = _text(top, path)
        except TreeError as error:
            unreadable[path] = str(error)
            continue
        if text is not None:
            files[path] = text
    _installed(project.name, top, files)
    said = version_of(project.name, files, _described(top))
    owners = {path: _owner(top / path) for path in files if path in project.paths}
    return Read(top, files, unreadable, owners, said)


def _owner(place: Path) -> tuple[int, int, int]:
    try:
        found = place.lstat()
    except OSError as error:
        raise TreeError(f"{place} cannot be looked at: {error.strerror}") from error
    return found.st_uid, found.st_gid, stat.S_IMODE(found.st_mode)


def _text(top: Path, path: str) -> str | None:
    """The text of a file of the tree, None where there is none, or where a link stands in the way.

    Behind a link lies another path's file, or none of the tree's: git would not change it either.
    """
    place = top
    for part in path.split("/"):
        place /= part
        if place.is_symlink():
            return None
    try:
        # Without blocking, since a FIFO would never answer.
        with open(place, "rb", opener=lambda name, flags: os.open(name, flags | os.O_NONBLOCK)) as file:
            if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
                raise TreeError("is not a regular file")
            data = file.read(_MAX_BYTES + 1)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise TreeError(f"cannot be read: {error.strerror}") from error
    if len(data) > _MAX_BYTES:
        raise TreeError("is larger than 4 MiB; no source is")
    # Bytes that are no UTF-8 stay what they are, so that the text can be compared and written back.
    return data.decode("utf-8", "surrogateescape")


def _installed(name: str, top: Path, files: dict[str, str]) -> None:
    """Of a folder that packages are installed in, what was installed."""
    for folder in sorted(top.glob(f"{name.replace('-', '_')}-*.dist-info")):
        text = _text(top, f"{folder.name}/METADATA")
        if text is not None:
            files["METADATA"] = text


def _described(top: Path) -> str:
    if not (top / ".git").exists():
        return ""
    try:
        ended = git(top, "describe", "--tags", "--long", "--match", "v[0-9]*", "HEAD")
    except TreeError:
        return ""
    return ended[1].strip() if ended[0] == 0 else ""


def git(top: Path, *words: str) -> tuple[int | None, str]:
    """Exit code and output of git in the tree. A repository around the tree counts for nothing. Raises TreeError."""
    env = {
        "GIT_CEILING_DIRECTORIES": str(top.resolve().parent),
        "GIT_CONFIG_NOSYSTEM": "1",
        "GIT_CONFIG_GLOBAL": "/dev/null",
        "GIT_OPTIONAL_LOCKS": "0",
    }
    try:
        # What the tree's own configuration would run is left out.
        ended = run(
            Order(
                ("git", "-c", "core.fsmonitor=", "-c", "core.hooksPath=/dev/null", *words),
                env, str(top.resolve()), timeout=_GIT_SECONDS, keep=1 << 18,
            )
        )  # fmt: skip
    except ProgramError as error:
        raise TreeError(f"{error}; patches are applied with git") from error
    return ended.code, ended.kept


def apply(patch: Patch, read: Read, *, check: bool) -> None:
    """`git apply`, wholly or not at all. Raises TreeError with what git says."""
    left = [f"--exclude={path}" for path in patch.files if path not in places(patch, read.files)]
    words = ("apply", *(("--check",) if check else ()), *left, "--", str(Path(patch.where).resolve()))
    code, said = git(read.top, *words)
    if code != 0:
        how = "did not end in time" if code is None else f"ends with {code}"
        raise TreeError(f"git apply {how}: {said.strip() or 'it says nothing'}")


def put_back(read: Read, names: Iterable[str]) -> None:
    """Writes files as they were read, where they are others by now. Raises TreeError."""
    for path in names:
        before = read.files.get(path)
        if before is None or _text(read.top, path) == before:
            continue
        place = read.top / path
        aside = place.with_name(f".{place.name}.rocmdoctor")
        try:
            aside.write_bytes(before.encode("utf-8", "surrogateescape"))
            aside.chmod(read.owners[path][2])
            aside.replace(place)
        except OSError as error:
            raise TreeError(f"{place} could not be put back: {error.strerror}") from error
    keep_owners(read, names)


def keep_owners(read: Read, names: Iterable[str]) -> None:
    """git writes a file anew, so that it becomes the caller's: for root that would take it from whom it belongs to."""
    for path in names:
        if os.geteuid() == 0 and path in read.owners:
            uid, gid, _ = read.owners[path]
            os.chown(read.top / path, uid, gid, follow_symlinks=False)
