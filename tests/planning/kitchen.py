"""Plans from recipes in a text and machines described by their figures."""

from __future__ import annotations

from functools import cache
from typing import Any

from rocmdoctor.actions import Person, Plan, Request
from rocmdoctor.content import DataTables, bundled, load_checks
from rocmdoctor.diagnosis.known import Known
from rocmdoctor.hosts.replay import from_raw
from rocmdoctor.model import Verdict, Wish
from rocmdoctor.ops import all_operations
from rocmdoctor.ops.ground import Ground
from rocmdoctor.planning.plan import Cookbook, fill, outline
from rocmdoctor.recipe import Recipes, load_recipe, load_stack
from tests.machines.families import family

ANN = Person("ann", 1000, "/home/ann", "/bin/bash")


@cache
def check_ids() -> frozenset[str]:
    return frozenset(item.id for item in load_checks((bundled(),)).ordered())


def book(*recipes: str, stacks: tuple[str, ...] = ()) -> Cookbook:
    """Recipes and stacks from their YAML; `schema: 1` and a title are put in front."""
    read = [
        load_recipe(f"schema: 1\ntitle: x\n{text}", f"r{n}.yaml", check_ids())
        for n, text in enumerate(recipes)
    ]
    piles = [load_stack(f"schema: 1\ntitle: x\n{text}", f"s{n}.yaml") for n, text in enumerate(stacks)]
    return Cookbook(Recipes({r.id: r for r in read}, {s.id: s for s in piles}), all_operations())


def ground(machine: str, **changes: Any) -> Ground:
    """The facts of a healthy machine of a family, with answers that differ."""
    answers = family(machine)
    answers.update(changes.pop("answers", {}))
    known = Known(from_raw({"schema": 1, "answers": answers}).answers, DataTables(bundled()), Wish())
    return Ground(known, from_raw({"schema": 1, "answers": answers}).answers, ANN)


def plan(
    cookbook: Cookbook,
    *targets: str,
    machine: str = "mi210",
    arch: str | None = None,
    source: str | None = None,
    statuses: dict[str, str] | None = None,
    wish: dict[str, Any] | None = None,
    **changes: Any,
) -> Plan:
    """A plan; `statuses` are what checks say, `skip` where nothing is given, `wish` more of the request."""
    here = ground(machine, **changes)
    verdicts = {name: Verdict("skip", "not judged here") for name in check_ids()}
    verdicts |= {name: Verdict(status, f"it is {status}") for name, status in (statuses or {}).items()}
    return fill(outline(Request(targets, arch, source, **(wish or {})), cookbook, here, verdicts), here)
