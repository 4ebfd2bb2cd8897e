"""What would be chosen: for stacks on one machine, and for targets on systems that are only thought of. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace

from rocmdoctor.actions import Request
from rocmdoctor.asking import keys
from rocmdoctor.diagnosis.known import Known
from rocmdoctor.facts.base import Fact, first_questions
from rocmdoctor.frozen import frozen
from rocmdoctor.model import Answer
from rocmdoctor.planning.choose import Chosen, choose, words
from rocmdoctor.planning.elsewhere import elsewhere
from rocmdoctor.planning.fits import misfit
from rocmdoctor.planning.here import plain
from rocmdoctor.planning.interpreter import PYTHON
from rocmdoctor.planning.order import held_by, wanted
from rocmdoctor.planning.refusal import RefusedError
from rocmdoctor.planning.wish import NONE
from rocmdoctor.recipe import Recipe, Recipes


@frozen
class Fitting:
    """What would be chosen of a stack: component to version, or why nothing is. `left_out`: component to reason."""

    versions: Mapping[str, str]
    left_out: Mapping[str, str]
    why: str = ""


def fitting(
    request: Request, content: Recipes, known: Known, gfx: tuple[str, ...], but: Iterable[str] = ()
) -> Fitting:
    """What the targets of a request come to, without the components in `but`."""
    recipes = [content.recipes[name] for name in wanted(request, content.recipes, content.stacks)]
    meant = [r for r in recipes if r.id not in but and _fits(r, known, gfx, request)]
    try:
        chosen = choose(meant, known, gfx, request, held_by(request, content))
    except RefusedError as error:
        return Fitting({}, {}, error.refusals[0].says)
    out = {name: _reason(item) for name, item in chosen.items() if item.release.source == NONE}
    said = {name: _said(item) for name, item in chosen.items() if name not in out}
    return Fitting(said, out)


def _fits(recipe: Recipe, known: Known, gfx: tuple[str, ...], request: Request) -> bool:
    return misfit(recipe.fits, known, gfx) is None and elsewhere(recipe, known, gfx, request) is None


def _said(item: Chosen) -> str:
    return (
        item.release.version
        if plain(item.release.version)
        else words(item.choice.version, item.choice.source)
    )


def _reason(item: Chosen) -> str:
    """Why the newest of a component that is left out fell out."""
    return next((why for name, why in item.choice.others.items() if plain(name)), item.because)


# What depends on a machine and not on its system and target.
OF_MACHINES = ("purge", "amdgpu-driver", PYTHON)


def systems(content: Recipes) -> list[str]:
    """The systems that releases name."""
    found = {
        name for recipe in content.recipes.values() for release in recipe.releases for name in release.fits.os
    }
    return sorted(name for name in found if "-" in name)


def blank(system: str, facts: Iterable[type[Fact]]) -> dict[str, Answer]:
    """The answers of a machine of a system on which nothing is yet."""
    answers = {key: Answer(ok=False, why="absent") for query in first_questions(facts) for key in keys(query)}
    name, _, version = system.partition("-")
    answers["read:/etc/os-release"] = Answer(ok=True, text=f"ID={name}\nVERSION_ID={version}\n")
    answers["read:/proc/sys/kernel/osrelease"] = Answer(ok=True, text="0\n")
    return answers


def cell(content: Recipes, known: Known, gfx: str, target: str) -> Fitting:
    """What a stack comes to on a system of nothing but a target; its driver and Python are taken as given."""
    request = Request((target,), arch=gfx)
    return fitting(replace(request), content, known, (gfx,), OF_MACHINES)
