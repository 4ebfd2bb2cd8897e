"""Recipes and stacks beside each other: ids that are taken, names of others that are none, circles."""

from __future__ import annotations

import difflib
from collections.abc import Collection, Iterable, Iterator, Mapping

from rocmdoctor.recipe.graph import circles
from rocmdoctor.recipe.values import BadRecipeError, Place, Problem, Recipe, Recipes, Stack

# Parts of a system whose version can be needed, and never chosen.
SYSTEM_PARTS = ("glibc",)


def together(items: Iterable[Recipe | Stack]) -> Recipes:
    """All of them by id. Raises BadRecipeError."""
    wrong: list[Problem] = []
    by_id: dict[str, Recipe | Stack] = {}
    for item in items:
        taken = by_id.setdefault(item.id, item)
        if taken is not item:
            wrong.append(
                problem(
                    item, "id", f"'{item.id}' is taken by {place(taken, 'id')}; each id stands for one thing"
                )
            )
    ids = sorted(by_id)
    made = Recipes(
        {name: item for name in ids if isinstance(item := by_id[name], Recipe)},
        {name: item for name in ids if isinstance(item := by_id[name], Stack)},
    )
    wrong += [*_unknown(made), *_circles(made.recipes), *_defaults(made.stacks)]
    if wrong:
        raise BadRecipeError(wrong)
    return made


def place(item: Recipe | Stack, path: str) -> Place:
    """Where a key of it stands."""
    return item.places.get(path) or Place(item.path, 1, 1)


def problem(item: Recipe | Stack, path: str, message: str) -> Problem:
    """Something wrong at a key of it."""
    return Problem(place(item, path), path, message)


def _unknown(made: Recipes) -> Iterator[Problem]:
    for recipe in made.recipes.values():
        for number, name in enumerate(recipe.after, 1):
            if name not in made.recipes:
                yield problem(recipe, f"after.{number}", _no_recipe(name, made.recipes))
        for number, name in enumerate(recipe.brings, 1):
            if name not in made.recipes:
                yield problem(recipe, f"brings.{number}", _no_recipe(name, made.recipes))
    yield from _unknown_components(made.recipes)
    for stack in made.stacks.values():
        for number, name in enumerate(stack.recipes, 1):
            if name not in made.recipes:
                yield problem(stack, f"recipes.{number}", _no_recipe(name, made.recipes))


def _unknown_components(recipes: Mapping[str, Recipe]) -> Iterator[Problem]:
    """What a release names beside itself is a recipe, comes with another release, or is a part of every system."""
    known = {*recipes, *SYSTEM_PARTS}
    known |= {name for r in recipes.values() for release in r.releases for name in release.provides}
    for recipe in recipes.values():
        for number, release in enumerate(recipe.releases, 1):
            for key in ("needs", "bounds", "prefers", "alike", "beside"):
                for name in getattr(release, key):
                    if name not in known:
                        near = difflib.get_close_matches(name, known, n=1, cutoff=0.6)
                        hint = f", did you mean '{near[0]}'?" if near else ""
                        said = f"nothing is called '{name}' whose version could be chosen{hint}"
                        yield problem(recipe, f"releases.{number}.{key}.{name}", said)


def _no_recipe(name: str, ids: Collection[str]) -> str:
    near = difflib.get_close_matches(name, ids, n=1, cutoff=0.6)
    hint = f", did you mean '{near[0]}'?" if near else "; 'rocmdoctor list recipes' shows them"
    return f"no recipe is called '{name}'{hint}"


def _circles(recipes: Mapping[str, Recipe]) -> Iterator[Problem]:
    for circle in circles({name: recipe.after for name, recipe in recipes.items()}):
        said = f"the recipes wait for each other in a circle: {' after '.join(circle)}"
        yield problem(recipes[circle[0]], "after", said)


def _defaults(stacks: Mapping[str, Stack]) -> Iterator[Problem]:
    defaults = [stack for stack in stacks.values() if stack.default]
    for stack in defaults[1:]:
        said = f"{place(defaults[0], 'default')} says so too; one stack is meant when nothing is named"
        yield problem(stack, "default", said)
