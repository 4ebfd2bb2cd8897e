"""ApplyPatch: a patch is applied wholly or not at all, and looked for afterwards."""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rocmdoctor.actions import Action, ApplyPatch, Person
from rocmdoctor.applying import files
from rocmdoctor.applying.changes import as_owner
from rocmdoctor.applying.commands import checked
from rocmdoctor.applying.programs import Ended, Order, ProgramError, run
from rocmdoctor.applying.steps import Context, StepError, refused
from rocmdoctor.content import bundled, own_folders

# Reading a few source files takes no longer, unless their file system does not answer.
_READING = 60.0


def apply_patch(do: ApplyPatch, action: Action, person: Person | None, context: Context) -> Mapping[str, Any]:
    """Applies a patch wholly or not at all, and looks whether it did. Raises StepError, StoppedError."""
    patch = _verified(do, context)
    touched = _there(do.tree, _touched(do, patch, action, person, context), _same(patch))
    if _is_in(do, patch, action, person, context):
        # By us, in a try that was cut off before it was noted, or by somebody else.
        return {"files": list(touched)} if _mark(context).exists() else {"already": True}
    _git(do, action, person, context, "--check", str(patch))
    before = _digests(do.tree, touched, person, context)
    _keep(_mark(context), b"")
    _git(do, action, person, context, str(patch))
    if _digests(do.tree, touched, person, context) == before:
        raise StepError(
            f"{do.patch}: git says that it was applied, but no file in {do.tree} became another", context.log
        )
    return {"files": list(touched)}


def take_patch_back(do: ApplyPatch, action: Action, person: Person | None, context: Context) -> bool:
    """False when it was never applied by us, or is out already. Raises ValueError when the files are others by now.

    Raises StepError, StoppedError.
    """
    patch = _copy(context)
    if not _mark(context).exists() or not patch.exists():
        return False
    if _is_in(do, patch, action, person, context):
        _git(do, action, person, context, "--reverse", str(patch))
        return True
    if _would(do, action, person, context, "--check", str(patch)):
        return False
    raise ValueError(f"{do.tree} was changed since, so that the patch can no longer be taken out of it")


def _copy(context: Context) -> Path:
    return context.folder / "patches" / f"{context.number:03}.patch"


def _mark(context: Context) -> Path:
    """Stands there from right before we apply the patch."""
    return context.folder / "patches" / f"{context.number:03}.applied"


def _verified(do: ApplyPatch, context: Context) -> Path:
    """A copy of the patch that nobody changes any more."""
    try:
        data = _place(do).read_bytes()
    except OSError as error:
        raise StepError(refused(do.patch, error)) from error
    found = hashlib.sha256(data).hexdigest()
    if found != do.sha256:
        raise StepError(
            f"{do.patch}: sha256 is {found}, the plan was made with {do.sha256}; nothing was changed"
        )
    _keep(_copy(context), data)
    return _copy(context)


def _place(do: ApplyPatch) -> Path:
    """The file: `patches/...` is of the content that came with this program, which for root is root's own copy."""
    path = Path(do.patch)
    if path.is_absolute():
        return path
    top = bundled()
    own = top / "own"
    folders = [top, *(sorted(own.iterdir()) if own.is_dir() else ()), *own_folders()]
    there = [folder / path for folder in folders if (folder / path).is_file()]
    # Content of one's own may have a patch of the same name; the digest tells which one was meant.
    same = [place for place in there if hashlib.sha256(place.read_bytes()).hexdigest() == do.sha256]
    found: Path = (same or there or [top / path])[0]
    return found


def _keep(path: Path, data: bytes) -> None:
    try:
        files.put(str(path), data, 0o644)
    except OSError as error:
        raise StepError(refused(str(path), error)) from error


def _order(do: ApplyPatch, action: Action, person: Person | None, *argv: str) -> Order:
    patch = Path(argv[-1])
    same = _same(patch)
    kept = _there(do.tree, tuple(sorted(same)), same)
    left = [f"--exclude={path}" for path in sorted(same) if path not in kept]
    env = {
        # A repository around the tree must not make git skip the files in silence.
        "GIT_CEILING_DIRECTORIES": str(Path(do.tree).parent),
        "GIT_CONFIG_NOSYSTEM": "1",
        "GIT_CONFIG_GLOBAL": "/dev/null",
    }
    return Order(("git", "apply", *left, *argv), env, do.tree, person, action.timeout, keep=1 << 20)


def _git(do: ApplyPatch, action: Action, person: Person | None, context: Context, *argv: str) -> Ended:
    return checked(_order(do, action, person, *argv), context)


def _is_in(do: ApplyPatch, patch: Path, action: Action, person: Person | None, context: Context) -> bool:
    return _would(do, action, person, context, "--reverse", "--check", str(patch))


def _would(do: ApplyPatch, action: Action, person: Person | None, context: Context, *argv: str) -> bool:
    try:
        return run(_order(do, action, person, *argv), context.log, context.on_line, context.stop).code == 0
    except ProgramError as error:
        raise StepError(str(error)) from error


def _same(patch: Path) -> frozenset[str]:
    """Paths at which one and the same file may lie, as the patch says: those that are there are changed."""
    said = re.search(
        r"^Same-File: (.*)$", patch.read_text(encoding="utf-8").partition("\n---\n")[0], re.MULTILINE
    )
    return frozenset(said.group(1).split()) if said else frozenset()


def _there(tree: str, touched: tuple[str, ...], same: frozenset[str]) -> tuple[str, ...]:
    """Without those of `same` that are not there or lie behind a link, as long as another is left."""
    gone = {path for path in same & set(touched) if not _plain_file(tree, path)}
    return touched if gone == same else tuple(path for path in touched if path not in gone)


def _plain_file(tree: str, path: str) -> bool:
    place = Path(tree)
    for part in path.split("/"):
        place /= part
        if place.is_symlink():
            return False
    return place.is_file()


def _touched(
    do: ApplyPatch, patch: Path, action: Action, person: Person | None, context: Context
) -> tuple[str, ...]:
    said = _git(do, action, person, context, "--numstat", "-z", str(patch))
    return tuple(row.split("\t")[2] for row in said.kept.split("\0") if row.count("\t") == 2)


def _digests(tree: str, names: tuple[str, ...], person: Person | None, context: Context) -> list[str]:
    def digests() -> list[str]:
        found = []
        for name in names:
            path = f"{tree}/{name}"
            # A file that the patch makes or removes is not there on one side.
            found.append(hashlib.sha256(Path(path).read_bytes()).hexdigest() if os.path.lexists(path) else "")
        return found

    return as_owner(tree, person, digests, context, _READING)
