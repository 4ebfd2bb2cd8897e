"""What packages left behind: moved aside, so that it is out of the way and not lost."""

from __future__ import annotations

import re
from collections.abc import Iterator
from fnmatch import fnmatchcase
from typing import Annotated, Literal

from rocmdoctor.actions import Action, Exec, Undo
from rocmdoctor.facts.host import DiskSpace
from rocmdoctor.frozen import frozen
from rocmdoctor.model import Link, List, Query, Run, Stat
from rocmdoctor.ops.arguments import NO_WORDS, Shape
from rocmdoctor.ops.ground import Ground
from rocmdoctor.ops.owners import owners, owners_question
from rocmdoctor.ops.places import no_shell
from rocmdoctor.ops.registry import operation
from rocmdoctor.ops.vendors import kept_rocm, nvidia_stays

ASIDE = "/var/backups/rocmdoctor"
# `*` only in the last part: a folder's names are one question.
_REST = r"(?:[^\x00-\x1f*?\[\]/]+/)*[^\x00-\x1f?\[\]/]+"
LEFT = Shape(
    "a path below /etc or /opt, where '*' may stand in its last part",
    rf"(?!.*/\.\.(?:/|$))/(?:etc|opt)/{_REST}",
)
SEEN = Shape("a path from / or '~/', where '*' may stand in its last part", rf"(?!.*/\.\.(?:/|$))~?/{_REST}")
LeftPath = Annotated[str, LEFT]
SeenPath = Annotated[str, SEEN]


@frozen
class _Found:
    """Something that matches. `kind` is file, folder or link."""

    path: str
    kind: str


def _split(pattern: str) -> tuple[str, str]:
    folder, _, name = pattern.rpartition("/")
    return folder, name


def _absolute(ground: Ground, pattern: str) -> str:
    home = ground.person.home.rstrip("/")
    return f"{home}{pattern[1:]}" if pattern.startswith("~/") else pattern


def _owners_question(paths: list[str]) -> Run:
    return owners_question(re.sub(r"([.+^$(){}|\[\]])", r"\\\1", p).replace("*", "[^/]*") for p in paths)


def _about_question(folder: str, about: str) -> Run:
    """The files of a folder that hold a line of another kind; comments and empty lines are of none."""
    return Run(("grep", "-rlvE", f"^[[:space:]]*(#|$|({about})[[:space:]]*$)", folder), timeout=5.0)


def _holds_question(folder: str, about: str) -> Run:
    """The files of a folder that hold such a line at all."""
    return Run(("grep", "-rlE", f"^[[:space:]]*({about})[[:space:]]*$", folder), timeout=5.0)


def _asks(
    ground: Ground, *, paths: list[str], mention: list[str] = NO_WORDS, about: str = "", **_: object
) -> Iterator[Query]:
    full = [_absolute(ground, path) for path in paths]
    for path in (*full, *(_absolute(ground, path) for path in mention)):
        folder, name = _split(path)
        yield List(folder)
        if "*" not in name and path in full:
            yield Stat(path)
            yield Link(path)
        if about and path in full:
            yield _about_question(folder, about)
            yield _holds_question(folder, about)
    yield List(ASIDE)
    yield _owners_question(full)


@operation("file.aside", asks=_asks)
def aside(
    ground: Ground,
    *,
    paths: list[LeftPath],
    vendor: Literal["amd", "nvidia"],
    mention: list[SeenPath] = NO_WORDS,
    about: str = "",
    then: list[str] = NO_WORDS,
) -> Iterator[Action]:
    """Move files and folders that packages left behind into /var/backups/rocmdoctor, under the path that they had.

    What a package owns stays, unless a step before this one removes that package: then what is left of a folder is
    moved. A link that is named in full moves only where it leads nowhere. With `about`, an extended regular expression,
    only files move all of whose lines match it. The ROCm that a plan keeps stays, and NVIDIA's beside an NVIDIA GPU.
    What matches `mention` is named to the user and not touched. `then` runs when something was moved.
    """
    no_shell("then", then, required=False)
    for pattern in mention:
        _mention(ground, _absolute(ground, pattern))
    if vendor == "nvidia" and nvidia_stays(ground):
        return
    moved = list(_moved(ground, [_absolute(ground, path) for path in paths], about, vendor))
    yield from moved
    if moved and then:
        yield Action(
            do=Exec(tuple(then)),
            says=f"run {' '.join(then)}, which reads what was moved",
            undo=Undo("commands", "runs once more", (tuple(then),)),
            timeout=900.0,
            seconds=5.0,
        )


def _mention(ground: Ground, pattern: str) -> None:
    folder, name = _split(pattern)
    for line in ground.answer(List(folder)).text.splitlines():
        plain = line.rstrip("/@")
        if fnmatchcase(plain, name):
            ground.note(f"{folder}/{plain} is left over too, and stays: remove it when you no longer want it")


def _moved(ground: Ground, patterns: list[str], about: str, vendor: str) -> Iterator[Action]:
    owned = owners(ground, _owners_question(patterns))
    going: list[str] = []
    for found in _all(ground, patterns):
        if about and not _wholly(ground, found, about):
            continue
        if found.kind == "link" and not _leads_nowhere(ground, found.path, going, patterns):
            continue
        if vendor == "amd" and _is_kept(ground, found.path):
            continue
        if owned is None:
            ground.note(f"{found.path} stays: whether a package owns it could not be asked")
            continue
        mine = owned.get(found.path, frozenset())
        if mine - ground.leaving or (mine and found.kind != "folder"):
            continue
        if not _same_disk(ground, found.path):
            ground.note(f"{found.path} stays: {ASIDE} is on another disk; move it away yourself")
            continue
        going.append(found.path)
        yield from _move(ground, found, left_over=bool(mine))
    ground.claim(f"leftovers {' '.join(patterns)}", ", ".join(going) or "none")


def _all(ground: Ground, patterns: list[str]) -> Iterator[_Found]:
    """What is there, what is named by a pattern before what is named in full: a link may lead to the former."""
    seen: set[str] = set()
    for pattern in sorted(patterns, key=lambda p: "*" not in p):
        folder, name = _split(pattern)
        for line in ground.answer(List(folder)).text.splitlines():
            plain = line.rstrip("/@")
            path = f"{folder}/{plain}"
            if fnmatchcase(plain, name) and path not in seen:
                seen.add(path)
                kind = {"/": "folder", "@": "link"}.get(line[-1:], "file")
                yield _Found(path, kind)


def _wholly(ground: Ground, found: _Found, about: str) -> bool:
    folder = _split(found.path)[0]
    holds, others = (
        ground.answer(q) for q in (_holds_question(folder, about), _about_question(folder, about))
    )
    if not holds.ok or not others.ok or found.path not in holds.stdout.splitlines():
        return False
    if found.path in others.stdout.splitlines():
        ground.note(f"{found.path} stays: it says other things too; comment out in it what names the driver")
        return False
    return True


def _leads_nowhere(ground: Ground, path: str, going: list[str], patterns: list[str]) -> bool:
    if path not in patterns:
        return True
    target = ground.answer(Link(path)).text.strip().rstrip("/")
    return ground.answer(Stat(path)).why == "absent" or target in going


def _is_kept(ground: Ground, path: str) -> bool:
    root = kept_rocm(ground)
    return root is not None and (root == path or root.startswith(f"{path}/"))


def _same_disk(ground: Ground, path: str) -> bool:
    space = ground.maybe(DiskSpace)
    if space is None:
        return True
    root = space.rooms.get("/")
    top = f"/{path.split('/')[1]}"
    return space.rooms.get(top, root) == space.rooms.get("/var", root)


def _move(ground: Ground, found: _Found, *, left_over: bool) -> Iterator[Action]:
    folder, name = _split(found.path)
    into = f"{_free(ground)}{folder}"
    target = f"{into}/{name}"
    yield Action(
        do=Exec(("install", "-d", "-m", "0755", into)),
        says=f"make the folder {into}",
        undo=Undo("nothing", "an empty folder stays"),
        seconds=0.1,
    )
    if left_over:
        yield Action(
            do=Exec(_find(folder, name, into)),
            says=f"move what its packages leave of {found.path} to {target}",
            undo=Undo("commands", "moves it back", (_find(into, name, folder),)),
            timeout=600.0,
            seconds=1.0,
        )
        return
    yield Action(
        do=Exec(("mv", "-n", "-T", "--", found.path, target), creates=target),
        says=f"move {found.path} to {target}; no package owns it",
        undo=Undo("commands", "moves it back", (("mv", "-n", "-T", "--", target, found.path),)),
        timeout=600.0,
        seconds=1.0,
    )


def _find(folder: str, name: str, into: str) -> tuple[str, ...]:
    """Moves one name of a folder; nothing where it is not there. It fails where mv does."""
    shape = re.sub(r"([*?\[\]\\])", r"\\\1", name)
    return ("find", folder, "-mindepth", "1", "-maxdepth", "1", "-name", shape, "-exec", "mv", "-n", "-t", into, "--", "{}", "+")  # fmt: skip


def _free(ground: Ground) -> str:
    """A folder that nothing was moved to by an earlier plan."""
    taken = {line.rstrip("/@") for line in ground.answer(List(ASIDE)).text.splitlines()}
    return f"{ASIDE}/{next(n for n in map(str, range(1, len(taken) + 2)) if n not in taken)}"
