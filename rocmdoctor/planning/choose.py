"""The release of a component: the newest that is for this machine. Pure."""

from __future__ import annotations

from rocmdoctor.actions import Choice
from rocmdoctor.diagnosis.known import Known
from rocmdoctor.planning.fits import misfit
from rocmdoctor.planning.refusal import Refusal, RefusedError
from rocmdoctor.recipe import Recipe, Release


def choose(
    recipe: Recipe, known: Known, gfx: tuple[str, ...], source: str | None = None
) -> tuple[Release, Choice]:
    """The first release that fits, in the order of the recipe (newest first), with why the others fell out.

    `source` narrows to releases from there. Raises RefusedError, which names every release with its reason.
    """
    others: dict[str, str] = {}
    found: Release | None = None
    for release in recipe.releases:
        name = f"{release.version} ({release.source})" if release.source else release.version
        why = (
            f"it comes from '{release.source}', and '{source}' was asked for"
            if source and release.source and release.source != source
            else misfit(release.fits, known, gfx)
        )
        if why:
            others[name] = why
        elif found is None:
            found = release
        else:
            others[name] = "an earlier one in the recipe's order fits"
    if found is not None:
        return found, Choice(found.version, found.source, others)
    reasons = "; ".join(f"{name}: {why}" for name, why in others.items())
    raise RefusedError(
        Refusal(
            "no-release",
            f"no release of {recipe.id} is for this machine: {reasons}",
            f"'rocmdoctor recipe show {recipe.id}' shows what each release is for.",
            recipe.path,
        )
    )
