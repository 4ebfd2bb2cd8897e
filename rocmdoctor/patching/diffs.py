"""What a diff changes, whether a tree is one that it fits, and what would come of it. As `git apply`, without fuzz."""

from __future__ import annotations

import re
from collections.abc import Sequence

from rocmdoctor.patching.values import Change, Hunk, Patch, Tree

_GIT = re.compile(r"diff --git a/(\S+) b/(\S+)")
_HUNK = re.compile(r"@@ -(\d+)(?:,(\d+))? \+(\d+)(?:,(\d+))? @@.*")
_SAFE = re.compile(r"(?!/)(?!(?:.*/)?(?:\.\.?|\.git)(?:/|$))[^\s\\]+")
_INDEX = re.compile(r"index [0-9a-f]+\.\.[0-9a-f]+(?: 100[67][45][45])?")


class BadDiffError(Exception):
    """A diff that cannot be used; `line` is where, in the file that holds it."""

    def __init__(self, line: int, message: str) -> None:
        super().__init__(message)
        self.line = line


def changes(lines: Sequence[str], first: int) -> tuple[Change, ...]:
    """What the lines of a diff change; `first` is the number of the first one. Raises BadDiffError."""
    made: list[Change] = []
    at = 0
    while at < len(lines):
        path, at = _file(lines, at, first)
        if any(change.path == path for change in made):
            raise BadDiffError(first + at - 1, f"'{path}' is changed twice")
        hunks = []
        while at < len(lines) and lines[at].startswith("@@"):
            hunk, at = _hunk(lines, at, first)
            hunks.append(hunk)
        if not hunks:
            raise BadDiffError(first + min(at, len(lines) - 1), f"'{path}': no line that begins with '@@ -'")
        made.append(Change(path, tuple(hunks)))
    if not made:
        raise BadDiffError(first, "no file is changed")
    return tuple(made)


def _file(lines: Sequence[str], at: int, first: int) -> tuple[str, int]:
    match = _GIT.fullmatch(lines[at])
    if match is None:
        raise BadDiffError(
            first + at, f"found '{_shown(lines[at])}', wanted is 'diff --git a/PATH b/PATH' or the next hunk"
        )
    path = match.group(1)
    if path != match.group(2):
        raise BadDiffError(
            first + at, f"renames '{path}' to '{match.group(2)}'; patches change files in place"
        )
    if _SAFE.fullmatch(path) is None:
        raise BadDiffError(first + at, f"'{path}' leads out of the tree, or into what is git's own")
    at += 1
    if at < len(lines) and _INDEX.fullmatch(lines[at]):
        at += 1
    for wanted in (f"--- a/{path}", f"+++ b/{path}"):
        if at >= len(lines) or lines[at] != wanted:
            found = _shown(lines[at]) if at < len(lines) else "the end"
            raise BadDiffError(
                first + min(at, len(lines) - 1),
                f"found '{found}', wanted is '{wanted}'; patches change the text of files that are there",
            )
        at += 1
    return path, at


def _hunk(lines: Sequence[str], at: int, first: int) -> tuple[Hunk, int]:
    match = _HUNK.fullmatch(lines[at])
    if match is None:
        raise BadDiffError(
            first + at, f"found '{_shown(lines[at])}', wanted is '@@ -LINE,COUNT +LINE,COUNT @@'"
        )
    number = first + at
    start = int(match.group(1))
    counts = int(match.group(2) or 1), int(match.group(4) or 1)
    old: list[str] = []
    new: list[str] = []
    marks = ""
    at += 1
    while at < len(lines) and (len(old), len(new)) != counts:
        mark, text = lines[at][:1], lines[at][1:]
        if mark not in (" ", "+", "-"):
            raise BadDiffError(
                first + at, f"found '{_shown(lines[at])}', wanted is a line that begins with ' ', '+' or '-'"
            )
        if mark in " -":
            old.append(text)
        if mark in " +":
            new.append(text)
        marks += mark
        at += 1
    if (len(old), len(new)) != counts:
        raise BadDiffError(
            number,
            f"the hunk has {len(old)} old and {len(new)} new lines, its head says {counts[0]} and {counts[1]}",
        )
    if at < len(lines) and lines[at].startswith("\\"):
        raise BadDiffError(first + at, "the end of a file without a line feed cannot be changed")
    if " " not in marks:
        raise BadDiffError(number, "the hunk has no line of context, so nothing says where it belongs")
    if "+" not in marks and "-" not in marks:
        raise BadDiffError(number, "the hunk changes nothing")
    return Hunk(tuple(old), tuple(new), start <= 1, marks[-1] != " ", number), at


def _shown(line: str) -> str:
    return line if len(line) <= 60 else f"{line[:57]}..."


# ---------------------------------------------------------------- fitting


def places(patch: Patch, tree: Tree) -> tuple[str, ...]:
    """The paths that it changes in this tree.

    Of those that are one and the same file these are the ones that are there and do not have it yet; all, where none is.
    """
    left = [c.path for c in patch.changes if c.path in patch.same and not _is_in(c, tree.get(c.path))]
    there = [path for path in left if path in tree]
    return tuple(path for path in patch.files if path not in patch.same or path in (there or patch.same))


def _is_in(change: Change, text: str | None) -> bool:
    lines = text.split("\n") if text is not None else []
    return text is not None and all(
        _positions(Hunk(hunk.new, hunk.old, hunk.at_start, hunk.at_end, hunk.line), lines)
        for hunk in change.hunks
    )


def misfit(patch: Patch, tree: Tree) -> str:
    """Why a patch does not fit a tree, "" when it does."""
    wanted = places(patch, tree)
    for change in patch.changes:
        if change.path in wanted:
            why = _misfit(change, tree.get(change.path))
            if why:
                return why
    return ""


def _misfit(change: Change, text: str | None) -> str:
    if text is None:
        return f"{change.path} is not there"
    lines = text.split("\n")
    for hunk in change.hunks:
        found = _positions(hunk, lines)
        first = next((line for line in hunk.old if line.strip()), "")
        if len(found) > 1:
            return f"{change.path}: the lines at '{first.strip()}' stand there {len(found)} times, once is wanted"
        if not found and _positions(hunk, [line.removesuffix("\r") for line in lines]):
            return f"{change.path}: its lines end in carriage return and line feed; check it out with line feeds alone"
        if not found:
            return f"{change.path}: the lines at '{first.strip()}' are not there as the patch wants them"
    return ""


def patched(patch: Patch, tree: Tree) -> dict[str, str]:
    """The texts of the files that it changes, as they are afterwards. Only for a patch that fits."""
    wanted = places(patch, tree)
    made = {}
    for change in patch.changes:
        if change.path in wanted:
            lines = tree[change.path].split("\n")
            for hunk in change.hunks:
                (at,) = _positions(hunk, lines)
                lines[at : at + len(hunk.old)] = hunk.new
            made[change.path] = "\n".join(lines)
    return made


def _positions(hunk: Hunk, lines: Sequence[str]) -> list[int]:
    size = len(hunk.old)
    # What follows the last line feed is no line.
    whole = lines[:-1] if lines and not lines[-1] else lines
    return [
        at
        for at in range(len(whole) - size + 1)
        if whole[at] == hunk.old[0]
        and tuple(whole[at : at + size]) == hunk.old
        and (not hunk.at_start or at == 0)
        and (not hunk.at_end or at + size == len(whole))
    ]
