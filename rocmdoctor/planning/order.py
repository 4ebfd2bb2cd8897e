"""Which recipes a wish means, and in which order things are done. Pure."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping
from graphlib import CycleError, TopologicalSorter

from rocmdoctor.recipe import Recipe, Stack, Step


class NoSuchTargetError(Exception):
    """A target that is neither a recipe nor a stack."""


def wanted(
    targets: tuple[str, ...], recipes: Mapping[str, Recipe], stacks: Mapping[str, Stack]
) -> tuple[str, ...]:
    """The recipes that targets mean, each once, in the order of their `after`. No target means the default stack.

    Raises NoSuchTargetError with did-you-mean.
    """
    names: list[str] = []
    for target in targets or _default(stacks):
        if target in stacks:
            names += stacks[target].recipes
        elif target in recipes:
            names.append(target)
        else:
            known = sorted({*recipes, *stacks})
            near = difflib.get_close_matches(target, known, n=1, cutoff=0.5)
            hint = f"did you mean '{near[0]}'?" if near else f"there are {', '.join(known)}"
            raise NoSuchTargetError(f"no recipe and no stack is called '{target}', {hint}")
    chosen = list(dict.fromkeys(names))
    return tuple(sort(chosen, {name: [a for a in recipes[name].after if a in chosen] for name in chosen}))


def _default(stacks: Mapping[str, Stack]) -> tuple[str, ...]:
    return tuple(name for name, stack in stacks.items() if stack.default)[:1]


def steps(recipe: Recipe) -> list[Step]:
    """A recipe's steps, each behind what it names in `after`."""
    by_id = {step.id: step for step in recipe.steps}
    return [by_id[name] for name in sort(list(by_id), {step.id: list(step.after) for step in recipe.steps})]


def sort(names: list[str], after: Mapping[str, Iterable[str]]) -> list[str]:
    """A topological order that keeps the given one where it can. Raises ValueError for a cycle, which it names."""
    sorter = TopologicalSorter({name: tuple(after.get(name, ())) for name in names})
    try:
        sorter.prepare()
    except CycleError as error:
        raise ValueError(" -> ".join(error.args[1])) from error
    place = {name: n for n, name in enumerate(names)}
    ready: list[str] = []
    order: list[str] = []
    while sorter.is_active():
        ready = sorted([*ready, *sorter.get_ready()], key=place.__getitem__)
        first = ready.pop(0)
        order.append(first)
        sorter.done(first)
    return order
