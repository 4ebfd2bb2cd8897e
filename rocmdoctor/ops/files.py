"""Files: written, removed, downloaded. What was there before comes back with undo."""

from __future__ import annotations

import shlex
from collections.abc import Iterator

from rocmdoctor.actions import Action, Exec, Fetch, Undo, WriteFile
from rocmdoctor.model import Query
from rocmdoctor.ops.arguments import NO_WORDS, BadArgumentError, Mode, Place, Sha256, Url
from rocmdoctor.ops.ground import Ground, file_questions
from rocmdoctor.ops.places import Owner, holds, no_shell, owner_of, resolved, sha256_of, there
from rocmdoctor.ops.registry import operation

# Downloads run at 1 MB a second or more, else they count as stuck.
_SLOWEST = 1_000_000


def _asks_one(ground: Ground, *, path: str, owner: Owner = "root", **_: object) -> Iterator[Query]:
    yield from file_questions(resolved(ground, "path", path, owner))


@operation("file.write", asks=_asks_one)
def write(
    ground: Ground,
    *,
    path: Place,
    text: str,
    mode: Mode = "0644",
    owner: Owner = "root",
    then: list[str] = NO_WORDS,
    afterwards: str = "",
) -> Iterator[Action]:
    """Write a file that holds exactly this text, with this mode and owner.

    `~/` is the home of the user and takes `owner: user`. `then` are the words of a program that reads the file: it runs
    once the file is written, and once more when that is taken back. `afterwards` is what the user has yet to do for it to
    count, such as to log in again; it is said at the end. A file that nobody can read is written again, which
    changes nothing where it was right.
    """
    full = resolved(ground, "path", path, owner)
    if "\0" in text:
        raise BadArgumentError("text", text, "text without zero bytes")
    no_shell("then", then, required=False)
    root = owner == "root"
    bits = int(mode, 8)
    if not holds(ground, full, sha256_of(text)):
        yield Action(
            do=WriteFile(full, text, bits),
            says=f"write {full}",
            undo=Undo(
                "restore", f"runs {shlex.join(then)} after it" if then else "", (tuple(then),) if then else ()
            ),
            root=root,
            seconds=0.1,
            then=afterwards,
        )
        if then:
            yield Action(
                do=Exec(tuple(then)),
                says=f"run {shlex.join(then)}, which reads {full}",
                undo=Undo("commands", "runs once the file is as it was"),
                root=root,
                seconds=2.0,
            )
    yield from _mode_and_owner(ground, full, bits, root=root)


def _mode_and_owner(ground: Ground, path: str, mode: int, *, root: bool) -> Iterator[Action]:
    """Writing keeps both, so that a file which had others needs actions of their own."""
    found = ground.mode(path)
    if found is not None and found != mode:
        ground.claim(f"mode of {path}", f"{found:04o}")
        yield Action(
            do=Exec(("chmod", f"{mode:04o}", "--", path)),
            says=f"set the mode of {path} to {mode:04o}; it is {found:04o}",
            undo=Undo("commands", f"sets it back to {found:04o}", (("chmod", f"{found:04o}", "--", path),)),
            root=root,
            seconds=0.1,
        )
    owner = owner_of(ground, path)
    # The user could not give a file of somebody else's to themselves; root can take one back.
    if root and owner not in (None, "root"):
        ground.claim(f"owner of {path}", str(owner))
        yield Action(
            do=Exec(("chown", "root:root", "--", path)),
            says=f"give {path} to root; it belongs to {owner}",
            undo=Undo("commands", f"gives it back to {owner}", (("chown", str(owner), "--", path),)),
            seconds=0.1,
        )


def _asks_many(ground: Ground, *, paths: list[str], owner: Owner = "root", **_: object) -> Iterator[Query]:
    for path in paths:
        yield from file_questions(resolved(ground, "paths", path, owner))


@operation("file.remove", asks=_asks_many)
def remove(ground: Ground, *, paths: list[Place], owner: Owner = "root") -> Iterator[Action]:
    """Remove these files, where they are there. Folders are never removed."""
    for path in paths:
        full = resolved(ground, "paths", path, owner)
        if there(ground, full):
            yield Action(
                do=WriteFile(full, None),
                says=f"remove {full}",
                undo=Undo("restore"),
                root=owner == "root",
                seconds=0.1,
            )


@operation("fetch", asks=_asks_one)
def fetch(
    ground: Ground,
    *,
    url: Url,
    path: Place,
    sha256: Sha256,
    mode: Mode = "0644",
    owner: Owner = "root",
    size_mb: int = 0,
) -> Iterator[Action]:
    """Download a file whose sha256 is known, unless it is there with that sha256.

    `size_mb` is what the plan says of its size.
    """
    full = resolved(ground, "path", path, owner)
    if holds(ground, full, sha256):
        return
    size = size_mb * 1000**2
    yield Action(
        do=Fetch(url, full, sha256, int(mode, 8)),
        says=f"download {url} to {full}",
        undo=Undo("restore"),
        root=owner == "root",
        network=not url.startswith("file://"),
        timeout=120.0 + size / _SLOWEST,
        download=size,
        disk=size,
        seconds=1.0 + size / 5e6,
    )
