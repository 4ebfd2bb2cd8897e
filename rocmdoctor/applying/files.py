"""Files as they were and as they become: looked at whole, written aside and renamed, given back exactly.

These functions are called by whoever owns the file: by us, or by a child that has become the user.
"""

from __future__ import annotations

import base64
import contextlib
import hashlib
import json
import os
import stat
from pathlib import Path
from typing import Any

from rocmdoctor.applying.journal import sync_folder
from rocmdoctor.frozen import frozen

KEEP_BYTES = 64 << 20


@frozen
class Former:
    """What lay at a path. `kind`: absent, file, link (`data` is where it points), or large (a file that is not kept).

    `path` is where the file really lies, behind symbolic links. `missing` are folders that had to be made for it.
    """

    path: str
    kind: str
    data: bytes = b""
    mode: int = 0
    uid: int = 0
    gid: int = 0
    missing: tuple[str, ...] = ()
    sha256: str = ""

    def as_json(self) -> dict[str, Any]:
        """As it is kept and sent."""
        plain = {k: v for k, v in self.__dict__.items() if k != "data"}
        return {**plain, "missing": list(self.missing), "data": base64.b64encode(self.data).decode("ascii")}


def former_from_json(said: Any) -> Former:
    """Raises KeyError, TypeError or ValueError."""
    data = base64.b64decode(said["data"], validate=True)
    mode, uid, gid = (int(said[name]) for name in ("mode", "uid", "gid"))
    missing = tuple(map(str, said["missing"]))
    return Former(str(said["path"]), str(said["kind"]), data, mode, uid, gid, missing, str(said["sha256"]))


def look(path: str, *, follow: bool = True) -> Former:
    """What lies at a path. Raises OSError, also for what is neither a file nor a link."""
    real = (
        Path(os.path.realpath(path))
        if follow
        else Path(os.path.realpath(Path(path).parent)) / Path(path).name
    )
    missing = tuple(str(p) for p in reversed(real.parents) if not p.exists())
    try:
        found = real.lstat()
    except FileNotFoundError:
        return Former(str(real), "absent", missing=missing)
    ids = (found.st_uid, found.st_gid)
    mode = stat.S_IMODE(found.st_mode)
    if stat.S_ISLNK(found.st_mode):
        target = os.fsencode(real.readlink())
        if follow:
            raise OSError(40, os.strerror(40), path)
        return Former(str(real), "link", target, mode, *ids)
    if not stat.S_ISREG(found.st_mode):
        number = 21 if stat.S_ISDIR(found.st_mode) else 22
        raise OSError(number, os.strerror(number), str(real))
    if found.st_size > KEEP_BYTES:
        return Former(str(real), "large", b"", mode, *ids, sha256=digest(real))
    data = real.read_bytes()
    return Former(str(real), "file", data, mode, *ids, sha256=hashlib.sha256(data).hexdigest())


def digest(path: Path) -> str:
    """The sha256 of a file of any size. Raises OSError."""
    found = hashlib.sha256()
    with path.open("rb") as file:
        while data := file.read(1 << 20):
            found.update(data)
    return found.hexdigest()


def put(path: str, data: bytes, mode: int, owner: tuple[int, int] | None = None) -> None:
    """Writes a file aside, brings it to the disk and renames it. `owner` None: whoever writes. Raises OSError."""
    target = Path(path)
    make_folders(target.parent)
    aside = target.with_name(f".{target.name}.rocmdoctor-new")
    try:
        aside.unlink(missing_ok=True)
        _write_new(aside, data, mode, owner, like=target)
        aside.replace(target)
    except OSError as error:
        with contextlib.suppress(OSError):
            aside.unlink()
        raise OSError(error.errno, error.strerror, path) from error
    sync_folder(target.parent)


def _write_new(path: Path, data: bytes, mode: int, owner: tuple[int, int] | None, like: Path) -> None:
    file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    try:
        written = 0
        while written < len(data):
            written += os.write(file, data[written:])
        if owner is not None and owner != (os.geteuid(), os.getegid()):
            os.fchown(file, *owner)
        os.fchmod(file, mode)
        _copy_attributes(like, file)
        os.fsync(file)
    finally:
        os.close(file)


def make_folders(folder: Path) -> None:
    """Makes the folders that are missing, each on the disk before the next. Raises OSError."""
    for part in reversed([folder, *folder.parents]):
        if not part.exists():
            part.mkdir(mode=0o755)
            part.chmod(0o755)
            sync_folder(part.parent)


def _copy_attributes(source: Path, file: int) -> None:
    """Access lists and labels, where there are any."""
    with contextlib.suppress(OSError):
        for name in os.listxattr(source):
            with contextlib.suppress(OSError):
                os.setxattr(file, name, os.getxattr(source, name))


def remove(path: str) -> None:
    """Takes a file or link away. Raises OSError."""
    target = Path(path)
    try:
        target.unlink()
    except FileNotFoundError:
        return
    sync_folder(target.parent)


def give_back(former: Former) -> None:
    """Brings back what was there: bytes, mode and owner, or nothing. Raises OSError."""
    if former.kind == "absent":
        remove(former.path)
        # Deepest first; a folder that somebody else uses by now stays.
        for folder in reversed(former.missing):
            with contextlib.suppress(OSError):
                Path(folder).rmdir()
    elif former.kind == "link":
        remove(former.path)
        Path(former.path).symlink_to(os.fsdecode(former.data))
    else:
        owner = (former.uid, former.gid) if former.uid != os.geteuid() or former.gid != os.getegid() else None
        put(former.path, former.data, former.mode, owner)


def save(former: Former, path: Path) -> None:
    """Keeps what was there, readable by the owner alone. Raises OSError."""
    put(str(path), json.dumps(former.as_json()).encode("ascii"), 0o600)


def saved(path: Path) -> Former | None:
    """What was kept; None when nothing was. Raises OSError, and ValueError when it cannot be read."""
    try:
        return former_from_json(json.loads(path.read_bytes()))
    except FileNotFoundError:
        return None
    except (KeyError, TypeError) as error:
        raise ValueError(f"{path}: {error!r}") from error
