"""`rocmdoctor recipe`."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

import click

from rocmdoctor.cli.errors import PlacedError
from rocmdoctor.cli.options import content_option, json_option
from rocmdoctor.reports.envelope import envelope

if TYPE_CHECKING:
    from rocmdoctor.recipe import Problem, Recipes


@click.group(name="recipe")
def command() -> None:
    """Check recipes of your own before they are used, and show what one does.

    \b
    rocmdoctor recipe lint my-recipe.yaml   say what is wrong with it
    rocmdoctor recipe show rocm             releases, steps and what is checked afterwards
    """


@command.command("lint", epilog="Exit codes: 0 nothing is wrong, 2 something is.")
@click.argument("paths", nargs=-1, type=click.Path(path_type=Path), metavar="[FILE|DIR]...")
@content_option
@json_option
def lint(paths: tuple[Path, ...], content: tuple[Path, ...], as_json: bool) -> int:
    """Say what is wrong with recipes and stacks, each with its line and column.

    Without a file, those that come with this release and your own. A file in a folder named 'stacks' is a stack.

    \b
    rocmdoctor recipe lint
    rocmdoctor recipe lint my-recipe.yaml
    rocmdoctor recipe lint my-content/
    """
    from rocmdoctor.recipe import BadRecipeError

    files = _files(paths, content)
    try:
        found = _read(files, content)
    except BadRecipeError as error:
        return _wrong(error.problems, len(files), as_json=as_json)
    if as_json:
        data = {"files": len(files), "recipes": list(found.recipes), "stacks": list(found.stacks)}
        click.echo(envelope("recipe lint", "ok", 0, data))
    else:
        click.echo(f"{_counted(len(files), 'file')}, nothing is wrong")
    return 0


def _files(paths: Iterable[Path], content: tuple[Path, ...]) -> list[Path]:
    """The files that are meant. Raises UsageError for a folder that is none, or without any."""
    from rocmdoctor.content import bundled, own_folders, recipe_files

    folders = [bundled(), *own_folders(content)]
    for folder in folders:
        if not folder.is_dir():
            raise PlacedError(str(folder), "is not a folder")
    named: list[Path] = []
    for path in paths:
        if not path.is_dir():
            named.append(path)
            continue
        inside = recipe_files(path) or [
            *sorted(path.glob("*.yaml")),
            *sorted((path / "stacks").glob("*.yaml")),
        ]
        if not inside:
            raise click.UsageError(f"{path} holds no *.yaml file, nor a folder recipes/ with one")
        named += inside
    return named or [file for folder in folders for file in recipe_files(folder)]


def _read(files: list[Path], content: tuple[Path, ...]) -> Recipes:
    """The files beside all others that they may name. Raises BadRecipeError, for what is wrong in them first."""
    from rocmdoctor.content import (
        ContentError,
        bundled,
        load_checks,
        own_folders,
        parse_recipes,
        recipe_files,
    )
    from rocmdoctor.recipe import BadRecipeError, together

    folders = (bundled(), *own_folders(content))
    try:
        checks = {item.id for item in load_checks(folders).ordered()}
    except ContentError as error:
        raise PlacedError(error.where, str(error)) from error
    named = {file.resolve() for file in files}
    others = [file for folder in folders for file in recipe_files(folder) if file.resolve() not in named]
    asked, wrong = parse_recipes(files, checks)
    beside, wrong_beside = parse_recipes(others, checks)
    if wrong or wrong_beside:
        raise BadRecipeError(wrong or wrong_beside)
    return together([*beside, *asked])


def _wrong(problems: tuple[Problem, ...], files: int, *, as_json: bool) -> int:
    if as_json:
        errors = [
            {
                "code": "bad-recipe",
                "message": f"{p.path}: {p.message}" if p.path else p.message,
                "where": str(p.place),
            }
            for p in problems
        ]
        click.echo(envelope("recipe lint", "error", 2, {"files": files}, errors))
        return 2
    for problem in problems:
        click.echo(str(problem))
    click.echo(
        f"{_counted(len(problems), 'fault')} in {_counted(len({p.place.file for p in problems}), 'file')}"
    )
    return 2


def _counted(number: int, what: str) -> str:
    return f"{number} {what}" if number == 1 else f"{number} {what}s"


@command.command("show")
@click.argument("name", metavar="ID")
@content_option
@json_option
def show(name: str, content: tuple[Path, ...], as_json: bool) -> int:
    """What a recipe or a stack does: its releases, its steps, and what is checked afterwards.

    \b
    rocmdoctor recipe show rocm
    rocmdoctor recipe show base
    """
    import difflib

    from rocmdoctor.ops import all_operations
    from rocmdoctor.reports.recipe_text import recipe_data, recipe_page, stack_data, stack_page

    known = recipes(content)
    if name in known.recipes:
        recipe = known.recipes[name]
        click.echo(
            envelope("recipe show", "ok", 0, {"recipe": recipe_data(recipe)})
            if as_json
            else recipe_page(recipe, all_operations()).rstrip("\n")
        )
        return 0
    if name in known.stacks:
        stack = known.stacks[name]
        data = {"stack": stack_data(stack)}
        click.echo(
            envelope("recipe show", "ok", 0, data)
            if as_json
            else stack_page(stack, known.recipes).rstrip("\n")
        )
        return 0
    near = difflib.get_close_matches(name, [*known.recipes, *known.stacks], n=1, cutoff=0.5)
    hint = f", did you mean '{near[0]}'?" if near else "; 'rocmdoctor list recipes' shows them"
    raise click.UsageError(f"no recipe and no stack is called '{name}'{hint}")


def recipes(content: tuple[Path, ...]) -> Recipes:
    """Those of this release, of the folders, and of the user's data folder. Raises PlacedError."""
    from rocmdoctor.content import ContentError, bundled, load_recipes, own_folders
    from rocmdoctor.recipe import BadRecipeError

    try:
        return load_recipes((bundled(), *own_folders(content)))
    except BadRecipeError as error:
        raise PlacedError(error.where, error.message) from error
    except ContentError as error:
        raise PlacedError(error.where, str(error)) from error
