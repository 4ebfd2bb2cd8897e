"""Options that `plan` and `install` share."""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click

from rocmdoctor.cli.options import KNOWN_ARCH


@dataclass(frozen=True)
class Wanted:
    """What the options ask for."""

    arch: str | None
    rocm_source: str | None
    no_root: bool
    content: tuple[Path, ...]
    patience: float
    verbose: int
    no_color: bool


_OPTIONS = (
    click.option("--arch", type=KNOWN_ARCH, help="The gfx target to build for; default: the discrete GPUs that are here."),
    click.option(
        "--rocm-source", type=click.Choice(["distro"]), default=None,
        help="Where ROCm comes from. distro: the distribution's own packages, the only source so far.",
    ),
    click.option("--no-root", is_flag=True, help="Plan only what needs no root; the rest is listed for an administrator."),
    click.option("--content", type=click.Path(path_type=Path), multiple=True, help="A folder with recipes/ and checks/ of your own."),
    click.option("--patience", type=click.FloatRange(0.1, 100), default=1.0, help="Stretches the time limits of questions."),
    click.option("-v", "--verbose", count=True, help="Every command and file of every step."),
    click.option("--no-color", is_flag=True, help="Plain text; NO_COLOR does the same."),
)  # fmt: skip


def complete_target(_ctx: click.Context, _param: click.Parameter, incomplete: str) -> list[str]:
    """Recipes and stacks by the names of their files, and plans that were saved here."""
    from rocmdoctor.content import bundled, own_folders, recipe_files

    names = [path.stem for folder in (bundled(), *own_folders()) for path in recipe_files(folder)]
    plans = [path.name for path in Path.cwd().glob("*.json")]
    return [name for name in (*sorted(names), *sorted(plans)) if name.startswith(incomplete)]


def planning_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """Adds the options and hands them over as one `Wanted`."""

    @functools.wraps(function)
    def wrapped(
        *args: Any,
        arch: str | None,
        rocm_source: str | None,
        no_root: bool,
        content: tuple[Path, ...],
        patience: float,
        verbose: int,
        no_color: bool,
        **more: Any,
    ) -> Any:
        chosen = Wanted(arch, rocm_source, no_root, content, patience, verbose, no_color)
        return function(*args, wanted=chosen, **more)

    for option in reversed(_OPTIONS):
        wrapped = option(wrapped)
    return wrapped
