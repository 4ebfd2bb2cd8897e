"""What recipes and stacks are once they are read: frozen values, without yaml and pydantic."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import field
from typing import Any

from rocmdoctor.frozen import frozen

Words = str | tuple[str, ...]
"""The value of a `${name}`: a text, or several words that take the place of one item of a list."""


@frozen
class Place:
    """Where something stands in a file; line and column count from 1."""

    file: str
    line: int
    column: int

    def __str__(self) -> str:
        return f"{self.file}:{self.line}:{self.column}"


@frozen
class Problem:
    """One thing that is wrong in a file. `path` names the key: `steps.2.after`, lists count from 1."""

    place: Place
    path: str
    message: str

    def __str__(self) -> str:
        return f"{self.place}: {self.path}: {self.message}" if self.path else f"{self.place}: {self.message}"


class BadRecipeError(Exception):
    """Recipes or stacks that cannot be used: everything that is wrong with them, sorted by place."""

    def __init__(self, problems: Iterable[Problem]) -> None:
        self.problems = tuple(
            sorted(
                set(problems), key=lambda p: (p.place.file, p.place.line, p.place.column, p.path, p.message)
            )
        )
        super().__init__("\n".join(map(str, self.problems)))

    @property
    def where(self) -> str:
        """The place of the first."""
        return str(self.problems[0].place)

    @property
    def message(self) -> str:
        """Everything but the place of the first."""
        return str(self).removeprefix(f"{self.where}: ")


@frozen
class Fits:
    """The machines that something is for. What is empty is no limit.

    `os`: `<id>` or `<id>-<VERSION_ID>` of os-release. `gfx`: targets, with fnmatch patterns. `kernel`, `rocm`, `python`:
    specifier sets. `has`, `lacks`: names of `rocmdoctor.ops.traits`.
    """

    os: tuple[str, ...] = ()
    gfx: tuple[str, ...] = ()
    kernel: str = ""
    rocm: str = ""
    python: str = ""
    has: tuple[str, ...] = ()
    lacks: tuple[str, ...] = ()


@frozen
class Exemption:
    """Machines that something is not for though they fit, and why. Without a limit: all."""

    why: str
    fits: Fits = Fits()


@frozen
class Extra:
    """What a release needs besides on the machines that are named."""

    needs: Mapping[str, str]
    fits: Fits = Fits()


@frozen
class Release:
    """One version of what a recipe installs. `source`: where it comes from.

    `needs`: component to specifier set; `prefers` as well, where several would do. `also`: needs on some machines.
    `bounds`: needs of what may be left out. `provides`: components that come with it, to their versions. `alike`: component to another one whose version must be of
    the same series. `beside`: component to the sources that it may come from. `but`: machines that it is not for.
    `why`: why it is taken before those that stand behind it. `pinned`: why it is taken only where a pin or a stack names it.
    `untrusted`: why it is taken only when it is asked for, with
    a key. `verify`: checks in place of the recipe's.
    """

    version: str
    source: str = ""
    needs: Mapping[str, str] = field(default_factory=dict)
    fits: Fits = Fits()
    vars: Mapping[str, Words] = field(default_factory=dict)
    url: str = ""
    sha256: str = ""
    commit: str = ""
    prefers: Mapping[str, str] = field(default_factory=dict)
    but: tuple[Exemption, ...] = ()
    why: str = ""
    untrusted: str = ""
    pinned: str = ""
    verify: tuple[str, ...] | None = None
    bounds: Mapping[str, str] = field(default_factory=dict)
    provides: Mapping[str, str] = field(default_factory=dict)
    alike: Mapping[str, str] = field(default_factory=dict)
    beside: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    also: tuple[Extra, ...] = ()


@frozen
class Step:
    """One call of an operation. `with_` still holds its `${name}`s.

    `after`: ids of steps of the same recipe. `skip_if`: left out when this check is ok. `cures`: planned only where one
    of these checks warns or fails. `source`: planned only where the chosen release comes from one of these.
    """

    id: str
    uses: str
    with_: Mapping[str, Any] = field(default_factory=dict)
    after: tuple[str, ...] = ()
    fits: Fits = Fits()
    skip_if: str = ""
    cures: tuple[str, ...] = ()
    place: str = ""
    source: tuple[str, ...] = ()


@frozen
class Recipe:
    """How one component gets onto a machine. `releases` keeps the order of the file: the first that fits is taken.

    `after`: recipes that come before this one when both are in a plan. `verify`: ids of checks. `places`: where each key
    stand in the file, by its path. `brings`: recipes that are planned with it. `serves`: its release is chosen last, for what
    the others need. `instead`: what to do where none of its releases is for a machine. `anywhere`: it needs no target.
    `by_hand`: `fix` does not run it.
    """

    id: str
    title: str
    about: str = ""
    releases: tuple[Release, ...] = ()
    vars: Mapping[str, Words] = field(default_factory=dict)
    steps: tuple[Step, ...] = ()
    verify: tuple[str, ...] = ()
    fits: Fits = Fits()
    after: tuple[str, ...] = ()
    path: str = ""
    places: Mapping[str, Place] = field(default_factory=dict)
    brings: tuple[str, ...] = ()
    serves: bool = False
    instead: str = ""
    anywhere: bool = False
    by_hand: bool = False


@frozen
class Stack:
    """Recipes under one name. `default`: the one that is meant when nothing is named. `pins`: requirements that narrow them."""

    id: str
    title: str
    about: str = ""
    recipes: tuple[str, ...] = ()
    default: bool = False
    pins: tuple[str, ...] = ()
    path: str = ""
    places: Mapping[str, Place] = field(default_factory=dict)


@frozen
class Recipes:
    """All recipes and stacks by id, in the order of their ids."""

    recipes: Mapping[str, Recipe]
    stacks: Mapping[str, Stack]
