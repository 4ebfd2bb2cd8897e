"""What an environment had before it was changed: the releases that bring that back. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from rocmdoctor.actions import Request
from rocmdoctor.diagnosis.known import Known
from rocmdoctor.facts.protection import Drift, Protected, ProtectionTable
from rocmdoctor.planning.interpreter import folder
from rocmdoctor.planning.wish import pinned
from rocmdoctor.recipe import Recipe


def as_recorded(request: Request, recipes: Mapping[str, Recipe], known: Known, home: str) -> Iterator[str]:
    """Pins of the recorded versions, where one of an environment's protected distributions is not what was recorded.

    What was built for a torch goes with that torch, so all of the record counts then. A component that the person pins, or
    that has no such release any more, is left to the choice.
    """
    drift, record = known.maybe(Drift), known.maybe(Protected)
    if drift is None or record is None or not drift.changes or drift.env != folder(request, home):
        return
    table = known.get(ProtectionTable)
    for name, version in record.versions.items():
        component = table.recipe(name)
        recipe = recipes.get(component or "")
        if (
            recipe is None
            or component is None
            or pinned(component, request.pins)
            or component in request.from_source
        ):
            continue
        if name == _first(table, component) and any(
            release.version == version for release in recipe.releases
        ):
            yield f"{component}=={version}"


def _first(table: ProtectionTable, component: str) -> str:
    """The distribution whose version is the component's."""
    return next(row.names[0] for row in table.keep if row.recipe == component)
