"""Which recipes a wish means, and in which order things are done. Pure."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Iterator, Mapping
from graphlib import CycleError, TopologicalSorter

from rocmdoctor.actions import Request
from rocmdoctor.planning.wish import component_of
from rocmdoctor.recipe import Recipe, Recipes, Stack, Step


class NoSuchTargetError(Exception):
    """A target that is neither a recipe nor a stack."""


def wanted(request: Request, recipes: Mapping[str, Recipe], stacks: Mapping[str, Stack]) -> tuple[str, ...]:
    """The recipes that a request means, each once, in the order of their `after`. No target means the default stack.

    Raises NoSuchTargetError with did-you-mean.
    """
    names: list[str] = []
    for target in (*(request.targets or _default(stacks)), *request.more):
        if target in stacks:
            names += stacks[target].recipes
        elif target in recipes:
            names.append(target)
        else:
            hint = _near(target, sorted({*recipes, *stacks}))
            raise NoSuchTargetError(f"no recipe and no stack is called '{target}', {hint}")
    chosen = _brought(names, recipes)
    for option, component in _narrowed(request):
        if component not in chosen:
            raise NoSuchTargetError(_no_part(option, component, chosen, recipes))
    return tuple(sort(chosen, {name: [a for a in recipes[name].after if a in chosen] for name in chosen}))


def _near(word: str, known: list[str]) -> str:
    near = difflib.get_close_matches(word, known, n=1, cutoff=0.5)
    return f"did you mean '{near[0]}'?" if near else f"there are {', '.join(known)}"


def _brought(names: Iterable[str], recipes: Mapping[str, Recipe]) -> list[str]:
    """The names with the recipes that each brings."""
    found: dict[str, None] = {}
    left = list(names)
    while left:
        name = left.pop(0)
        if name not in found:
            found[name] = None
            left += [other for other in recipes[name].brings if other in recipes]
    return list(found)


def _narrowed(request: Request) -> Iterator[tuple[str, str]]:
    """The options that narrow a component, with the component."""
    for pin in request.pins:
        yield f"--pin '{pin}'", component_of(pin)
    for name in request.from_source:
        yield f"--from-source {name}", name


def _no_part(option: str, component: str, chosen: list[str], recipes: Mapping[str, Recipe]) -> str:
    if component in recipes:
        return f"{option}: {component} is no part of this plan, --with {component} adds it"
    parts = [name for name in chosen if recipes[name].releases]
    return f"{option}: no part of this plan is called '{component}', {_near(component, parts)}"


def held_by(request: Request, content: Recipes) -> tuple[str, ...]:
    """What the stacks that are meant are held to."""
    names = (*(request.targets or _default(content.stacks)), *request.more)
    return tuple(pin for name in names if name in content.stacks for pin in content.stacks[name].pins)


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
