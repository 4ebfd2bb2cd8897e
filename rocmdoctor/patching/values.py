"""What a patch, a tree and a state are. Frozen, without behaviour."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from rocmdoctor.frozen import frozen

# A tree of sources, as far as it was read: path, with `/` and from its top, to text.
Tree = Mapping[str, str]

NEEDED, APPLIED, FIXED = "needed", "applied", "fixed-upstream"
NOT_HERE, NOT_FOR, CONFLICT = "not-needed-here", "not-for-this-version", "conflict"
STATES = (NEEDED, APPLIED, FIXED, NOT_HERE, NOT_FOR, CONFLICT)


@frozen
class Hunk:
    """Lines that take the place of others. `at_start`, `at_end`: git looks for them at that end of the file alone."""

    old: tuple[str, ...]
    new: tuple[str, ...]
    at_start: bool
    at_end: bool
    line: int


@frozen
class Change:
    """What a patch does to one file."""

    path: str
    hunks: tuple[Hunk, ...]


@frozen
class Patch:
    """A patch file that was read.

    `path` is its name from the folder that holds patches/, `where` the file itself. `applies_to` is a set of versions.
    `needed_if` is the check that says, when it is ok, that this machine does without; "" where none does. `same` are
    paths at which one and the same file may lie: at least one of them is there, and those that are not are left out.
    """

    id: str
    project: str
    path: str
    where: str
    sha256: str
    title: str
    about: str
    applies_to: str
    needed_if: str
    fixed_in: str
    upstream: tuple[str, ...]
    same: tuple[str, ...]
    changes: tuple[Change, ...]

    @property
    def files(self) -> tuple[str, ...]:
        """The paths that it changes."""
        return tuple(change.path for change in self.changes)


@frozen
class Found:
    """What a tree itself says of one patch: needed, applied, fixed-upstream, not-for-this-version or conflict."""

    state: str
    why: str


@frozen
class Refused:
    """A release that is not worth a patch: why, and the release to take."""

    why: str
    instead: str


@frozen
class Project:
    """The patches of a project, in their order, and how its trees are read.

    `state` gives what a tree says of each patch, by id. `reads` are the paths that it looks at, besides those that
    patches change.
    """

    name: str
    patches: tuple[Patch, ...]
    state: Callable[[Tree, str], Mapping[str, Found]]
    reads: tuple[str, ...]
    refused: Mapping[str, Refused]

    @property
    def paths(self) -> tuple[str, ...]:
        """All paths that have to be read to judge a tree."""
        changed = (path for patch in self.patches for path in patch.files)
        return tuple(dict.fromkeys((*changed, *self.reads)))


@frozen
class Judged:
    """A patch with its state in a tree and on a machine."""

    patch: Patch
    state: str
    why: str
