"""WriteFile: a whole file, or a marked block in one that is otherwise kept; done as whoever owns the place."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar

from rocmdoctor.actions import Person, WriteFile
from rocmdoctor.applying import become, files
from rocmdoctor.applying.blocks import BlockError, with_block, without_block
from rocmdoctor.applying.files import Former, former_from_json
from rocmdoctor.applying.places import PlaceError, trusted
from rocmdoctor.applying.programs import ProgramError
from rocmdoctor.applying.steps import Context, StepError, StoppedError, refused

T = TypeVar("T")


def as_owner(
    path: str, person: Person | None, function: Callable[[], T], context: Context, seconds: float
) -> T:
    """Does something with a file: as the person where we are somebody else, else as we are.

    The result must be what JSON carries. Raises StepError, StoppedError.
    """
    try:
        if person is None or not become.somebody_else(person):
            return function()
        done: T = become.apart(
            lambda _tell: function(),
            person=person,
            seconds=seconds,
            on_line=context.on_line,
            stop=context.stop,
        )
    except OSError as error:
        raise StepError(refused(str(error.filename or path), error)) from error
    except become.ChildStoppedError as error:
        if str(error) == "stopped":
            raise StoppedError from error
        raise StepError(f"{path}: not done within {seconds:.0f} s; does its file system answer?") from error
    except become.ChildError as error:
        as_system = OSError(error.errno, os.strerror(error.errno)) if error.errno else None
        raise StepError(refused(path, as_system) if as_system else f"{path}: {error}") from error
    except ProgramError as error:
        raise StepError(str(error)) from error
    return done


def look(path: str, person: Person | None, context: Context, *, follow: bool = True) -> Former:
    """What lies at a path, as its owner sees it. Raises StepError, StoppedError."""
    if not path.startswith("/"):
        raise StepError(f"{path}: a path from the root is wanted, this one depends on where one stands")
    said = as_owner(path, person, lambda: files.look(path, follow=follow).as_json(), context, 60)
    return former_from_json(said)


def for_root(path: str, person: Person | None) -> None:
    """Root writes only where nobody else could have put a link. Raises StepError."""
    if person is None and os.geteuid() == 0:
        try:
            trusted(Path(path).parent)
            if Path(path).is_symlink():
                trusted(Path(path))
        except PlaceError as error:
            raise StepError(str(error)) from error


def too_large(path: str) -> str:
    """Why a file is not overwritten."""
    size = f"{files.KEEP_BYTES >> 20} MiB"
    return f"{path}: larger than {size}, so that it could not be given back; move it away, then resume"


def keep(former: Former, context: Context) -> str:
    """Keeps what was there for undo. Raises StepError: without it nothing is changed."""
    try:
        files.save(former, context.backup)
    except OSError as error:
        raise StepError(
            f"what {former.path} was could not be kept, so it is not changed: {refused(str(context.backup), error)}"
        ) from error
    return str(context.backup.relative_to(context.folder))


def wanted(do: WriteFile, former: Former) -> bytes | None:
    """What the file is to hold, None when it is not to be. Raises StepError."""
    if not do.block:
        return None if do.text is None else do.text.encode("utf-8", "surrogateescape")
    try:
        if do.text is not None:
            return with_block(former.data, do.text)
        return without_block(former.data) if former.kind == "file" else None
    except BlockError as error:
        raise StepError(f"{former.path}: {error}; it was not changed, mend it by hand") from error


def write_file(do: WriteFile, person: Person | None, context: Context) -> Mapping[str, Any]:
    """Makes the file what it is to be; what undo needs. Raises StepError, StoppedError."""
    for_root(do.path, person)
    removes = do.text is None and not do.block
    former = look(do.path, person, context, follow=not removes)
    if former.kind == "large":
        raise StepError(too_large(former.path))
    data = wanted(do, former)
    if (data is None and former.kind == "absent") or (former.kind == "file" and data == former.data):
        return _as_it_is(former, context)
    # Written or not is all there is: what stands there now is what was there before us.
    where = keep(former, context)
    if data is None:
        as_owner(do.path, person, lambda: files.remove(former.path), context, 60)
        return {"path": former.path, "backup": where, "new": False, "sha256": ""}
    new = former.kind != "file"
    mode = do.mode if new else former.mode
    owner = None if new else (former.uid, former.gid)
    as_owner(do.path, person, lambda: files.put(former.path, data, mode, owner), context, 60)
    return {"path": former.path, "backup": where, "new": new, "sha256": hashlib.sha256(data).hexdigest()}


def _as_it_is(former: Former, context: Context) -> Mapping[str, Any]:
    """Nothing to do: somebody else's work, or ours from a try that was cut off before it was noted."""
    if not context.backup.exists():
        return {"path": former.path, "unchanged": True}
    before = kept(context)
    return {
        "path": former.path,
        "backup": str(context.backup.relative_to(context.folder)),
        "new": before.kind != "file",
        "sha256": former.sha256,
    }


def kept(context: Context) -> Former:
    """What was kept before the step. Raises StepError."""
    try:
        found = files.saved(context.backup)
    except (OSError, ValueError) as error:
        raise StepError(f"{context.backup} cannot be read: {error}") from error
    if found is None:
        raise StepError(f"{context.backup} is gone")
    return found
