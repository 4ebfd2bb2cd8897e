"""Recipes that have nothing for this system, and what an administrator can do there instead. Pure."""

from __future__ import annotations

from rocmdoctor.actions import Request
from rocmdoctor.diagnosis.known import Known
from rocmdoctor.facts.other_systems import OtherSystems
from rocmdoctor.facts.system import OsRelease
from rocmdoctor.planning.fits import misfit
from rocmdoctor.planning.wish import unasked
from rocmdoctor.recipe import Recipe, Release


def elsewhere(recipe: Recipe, known: Known, gfx: tuple[str, ...], request: Request) -> str | None:
    """Why a recipe has nothing for this system, None where it has: then a wish may still fall out for other reasons.

    A release that names no system is for all of them, where the rest of it fits; one that has to be asked for is told.
    """
    system = known.maybe(OsRelease)
    if system is None or not any(release.fits.os for release in recipe.releases):
        return None
    names = {system.id, f"{system.id}-{system.version}"}
    asking: list[Release] = []
    for release in recipe.releases:
        anywhere = not release.fits.os and _fits(release, known, gfx)
        if unasked(release, request):
            asking += [release] if anywhere else []
        elif anywhere or names & set(release.fits.os):
            return None
    return f"it has no release for {system.name}{_asked(asking)}{_advice(recipe.id, known, system)}"


def _fits(release: Release, known: Known, gfx: tuple[str, ...]) -> bool:
    against = any(misfit(but.fits, known, gfx) is None for but in release.but)
    return not against and misfit(release.fits, known, gfx) is None


def _asked(releases: list[Release]) -> str:
    if not releases:
        return ""
    first = releases[0]
    return f". '--rocm-source {first.source}' takes {first.version} from {first.source}, for this user alone"


def _advice(recipe: str, known: Known, system: OsRelease) -> str:
    row = known.get(OtherSystems).advice(recipe, system)
    if row is None:
        return ""
    return f". For an administrator: {row.text}" + (f": {' && '.join(row.commands)}" if row.commands else "")
