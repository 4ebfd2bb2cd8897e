"""Checkouts of one commit."""

from __future__ import annotations

import re
from collections.abc import Iterator

from rocmdoctor.actions import Action, Exec, Undo
from rocmdoctor.facts.base import UnknownError
from rocmdoctor.model import List, Query, Run, Stat
from rocmdoctor.ops.arguments import Commit, Place, Url
from rocmdoctor.ops.chores import chore
from rocmdoctor.ops.environments import ways, ways_of
from rocmdoctor.ops.ground import ForbiddenError, Ground
from rocmdoctor.ops.places import resolved
from rocmdoctor.ops.registry import operation

_NAMED = 5  # files that a message names


def _git(path: str, *words: str) -> Run:
    # Without locks: a look must not stand in the way of whoever works there.
    return Run(("git", "--no-optional-locks", "-C", path, *words), limit=1 << 16)


def head_question(path: str) -> Run:
    """Which commit is checked out."""
    return _git(path, "rev-parse", "--verify", "--quiet", "HEAD^{commit}")


def dirty_question(path: str) -> Run:
    """Which files differ from that commit."""
    return _git(path, "status", "--porcelain", "--untracked-files=no", "--ignore-submodules=none")


def checkout_questions(path: str) -> tuple[Query, ...]:
    """What tells whether a checkout is as wanted."""
    return (Stat(path), List(path), Stat(f"{path}/.git"), head_question(path), dirty_question(path))


def _asks(ground: Ground, *, path: str, **_: object) -> Iterator[Query]:
    yield from checkout_questions(resolved(ground, "path", path, "user"))
    yield from ways()


@operation("git.checkout", asks=_asks)
def git_checkout(
    ground: Ground,
    *,
    url: Url,
    commit: Commit,
    path: Place,
    submodules: bool = False,
    mirror: Place | None = None,
    download_mb: int = 50,
    seconds: int = 30,
) -> Iterator[Action]:
    """Check out one commit of a repository, without its history, unless it is there.

    `mirror` is a folder of repositories, `<host>/<path>`, that stands in for every server. A checkout of another commit
    is moved on, unless files in it were changed: these are named, and nothing is planned. One that was cut off goes on.
    """
    full = resolved(ground, "path", path, "user")
    if not wanted(ground, full, commit, strict=False):
        return
    there = ground.answer(Stat(full)).ok
    mirror = mirror or ground.folder or None
    folder = resolved(ground, "mirror", mirror, "user") if mirror else ""
    yield Action(
        do=Exec(
            chore("checkout", url=url, commit=commit, path=full, submodules=submodules, mirror=folder),
            {"GIT_TERMINAL_PROMPT": "0", **ways_of(ground)},
        ),
        says=f"check out {url} at {commit[:12]} in {full}",
        undo=Undo("impossible", "the commit that was there before is not checked out again")
        if there
        else Undo("commands", "removes the checkout", (("rm", "-rf", "--one-file-system", "--", full),)),
        root=False,
        network=not (mirror or url.startswith("file://")),
        timeout=max(1800.0, 20.0 * seconds),
        download=download_mb * 1000**2,
        disk=2 * download_mb * 1000**2,
        seconds=float(seconds),
    )


def wanted(ground: Ground, path: str, commit: str, *, strict: bool) -> bool:
    """Whether a checkout is called for. `strict`: changed files are refused also where the commit is right.

    Raises ForbiddenError where somebody's work would get lost or would be taken for the commit.
    """
    folder = ground.answer(Stat(path))
    if not folder.ok:
        if folder.why not in ("absent", "not-asked"):
            raise UnknownError(f"{path}: {folder.why}")
        ground.claim(f"checkout {path}", "absent")
        return True
    names = ground.answer(List(path))
    if not ground.answer(Stat(f"{path}/.git")).ok:
        if names.ok and not names.text.strip():
            ground.claim(f"checkout {path}", "absent")
            return True
        raise ForbiddenError(f"{path} is there and is no checkout of git: move it away, then plan again")
    at = ground.answer(head_question(path))
    head = at.stdout.strip() if at.exit_code == 0 else ""
    changed = _changed(ground, path) if head else []
    ground.claim(f"checkout {path}", f"{head or 'nothing yet'}{', changed' if changed else ''}")
    if changed and (strict or head != commit):
        more = len(changed) - _NAMED
        tail = f" and {more} more" if more > 0 else ""
        raise ForbiddenError(
            f"{path} has changes that are not committed: {', '.join(changed[:_NAMED])}{tail}. They would get lost, or be"
            f" built in: commit them elsewhere, or take them back with 'git -C {path} checkout -- .', then plan again"
        )
    return head != commit


def _changed(ground: Ground, path: str) -> list[str]:
    said = ground.answer(dirty_question(path))
    if said.exit_code != 0:
        raise UnknownError(f"git status in {path}: {said.why or said.stderr.strip() or 'no answer'}")
    return [re.sub(r"^.* -> ", "", line[3:]) for line in said.stdout.splitlines() if len(line) > 3]
