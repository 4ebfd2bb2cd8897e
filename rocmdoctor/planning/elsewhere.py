"""Recipes that have nothing for this system, and what an administrator can do there instead. Pure."""

from __future__ import annotations

from rocmdoctor.diagnosis.known import Known
from rocmdoctor.facts.other_systems import OtherSystems
from rocmdoctor.facts.system import OsRelease
from rocmdoctor.planning.fits import misfit
from rocmdoctor.recipe import Recipe


def elsewhere(recipe: Recipe, known: Known, gfx: tuple[str, ...]) -> str | None:
    """Why a recipe has nothing for this system, None where it has: then a wish may still fall out for other reasons.

    A release that names no system is for all of them, where the rest of it fits.
    """
    system = known.maybe(OsRelease)
    if system is None or not any(release.fits.os for release in recipe.releases):
        return None
    names = {system.id, f"{system.id}-{system.version}"}
    for release in recipe.releases:
        if names & set(release.fits.os) or not (release.fits.os or misfit(release.fits, known, gfx)):
            return None
    told = _advice(recipe.id, known, system)
    return f"it has no release for {system.name}" + (f". For an administrator: {told}" if told else "")


def _advice(recipe: str, known: Known, system: OsRelease) -> str:
    row = known.get(OtherSystems).advice(recipe, system)
    if row is None:
        return ""
    return f"{row.text}: {' && '.join(row.commands)}" if row.commands else row.text
