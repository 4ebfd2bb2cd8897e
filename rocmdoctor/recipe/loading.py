"""From a file's text to a recipe or a stack, or to everything that is wrong with it."""

from __future__ import annotations

from collections.abc import Mapping

from rocmdoctor.recipe import meaning
from rocmdoctor.recipe.arguments import Taking
from rocmdoctor.recipe.models import FitsModel, RecipeModel, ReleaseModel, StackModel, StepModel
from rocmdoctor.recipe.page import Page, dotted, read
from rocmdoctor.recipe.shape import shaped
from rocmdoctor.recipe.values import (
    BadRecipeError,
    Exemption,
    Extra,
    Fits,
    Place,
    Problem,
    Recipe,
    Release,
    Stack,
    Step,
    Words,
)


def recipe(text: str, file: str, known: meaning.Known) -> Recipe:
    """Raises BadRecipeError."""
    page = read(text, file)
    found: list[Problem] = []
    model = shaped(RecipeModel, page, found)
    said = {(p.place, p.path) for p in found}
    found += [p for p in meaning.problems(page, known) if (p.place, p.path) not in said]
    if found or model is None:
        raise BadRecipeError(found)
    return Recipe(
        id=model.id,
        title=model.title,
        about=model.about.strip(),
        releases=tuple(_release(item) for item in model.releases),
        vars=_vars(model.vars),
        steps=tuple(_step(item, page, number, known) for number, item in enumerate(model.steps)),
        verify=tuple(model.verify),
        fits=_fits(model.fits),
        after=tuple(model.after),
        brings=tuple(model.brings),
        serves=model.serves,
        anywhere=model.anywhere,
        by_hand=model.by_hand,
        instead=model.instead.strip(),
        path=file,
        places=_places(page),
    )


def stack(text: str, file: str) -> Stack:
    """Raises BadRecipeError."""
    page = read(text, file)
    found: list[Problem] = []
    model = shaped(StackModel, page, found)
    if model is None:
        raise BadRecipeError(found)
    return Stack(
        id=model.id,
        title=model.title,
        about=model.about.strip(),
        recipes=tuple(model.recipes),
        default=model.default,
        pins=tuple(model.pins),
        path=file,
        places=_places(page),
    )


def _places(page: Page) -> Mapping[str, Place]:
    return {dotted(path): place for path, place in page.values.items() if path}


def _fits(model: FitsModel) -> Fits:
    return Fits(
        os=tuple(model.os),
        gfx=tuple(model.gfx),
        kernel=model.kernel,
        rocm=model.rocm,
        python=model.python,
        has=tuple(model.has),
        lacks=tuple(model.lacks),
    )


def _vars(values: Mapping[str, str | list[str]]) -> dict[str, Words]:
    return {name: value if isinstance(value, str) else tuple(value) for name, value in values.items()}


def _release(model: ReleaseModel) -> Release:
    return Release(
        version=model.version,
        source=model.source,
        needs=dict(model.needs),
        fits=_fits(model.fits),
        vars=_vars(model.vars),
        url=model.url,
        sha256=model.sha256,
        commit=model.commit,
        prefers=dict(model.prefers),
        but=tuple(Exemption(item.why, _fits(item)) for item in model.but),
        why=model.why,
        untrusted=model.untrusted,
        pinned=model.pinned,
        verify=None if model.verify is None else tuple(model.verify),
        bounds=dict(model.bounds),
        provides=dict(model.provides),
        alike=dict(model.alike),
        beside={name: tuple(sources) for name, sources in model.beside.items()},
        also=tuple(Extra(dict(item.needs), _fits(item)) for item in model.also),
    )


def _step(model: StepModel, page: Page, number: int, known: meaning.Known) -> Step:
    parameters = known.operations[model.uses].parameters
    taking = Taking(lambda *_: None)
    return Step(
        id=model.id,
        uses=model.uses,
        with_={name: taking.take(parameters[name].kind, value, ()) for name, value in model.with_.items()},
        after=tuple(model.after),
        fits=_fits(model.fits),
        skip_if=model.skip_if,
        cures=tuple(model.cures),
        source=tuple(model.source),
        place=str(page.value(("steps", number))),
    )
