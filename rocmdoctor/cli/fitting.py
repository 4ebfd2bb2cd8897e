"""`list stacks` and `list compat`: what would be chosen here, and elsewhere."""

from __future__ import annotations

import fnmatch
from pathlib import Path
from typing import Any

import click

from rocmdoctor.actions import Request
from rocmdoctor.cli.planned import Kitchen, env_here, person_here
from rocmdoctor.content import DataTables, bundled
from rocmdoctor.diagnosis.known import Known
from rocmdoctor.facts import all_facts
from rocmdoctor.facts.gpus import GpuTable
from rocmdoctor.model import Wish
from rocmdoctor.planning.compat import Fitting, blank, cell, fitting, systems
from rocmdoctor.planning.refusal import RefusedError
from rocmdoctor.planning.targets import targets
from rocmdoctor.reports.recipe_text import stack_data


def stacks_here(content: tuple[Path, ...], arch: str | None, snapshot: Path | None) -> list[dict[str, Any]]:
    """Each stack with what of it would be chosen on this machine, or on that of a snapshot."""
    from rocmdoctor.cli.asking import patient, take
    from rocmdoctor.cli.installing import loaded

    kitchen = Kitchen(content)
    if snapshot is not None:
        taken = loaded(snapshot)
    else:
        with patient() as progress:
            taken = take("/", 1.0, progress, env_here(None, person_here()))
    known = kitchen.known(taken)
    try:
        gfx = targets(arch, known).gfx
    except RefusedError as error:
        none = Fitting({}, {}, f"{error.refusals[0].says}. {error.refusals[0].instead}")
        return [_row(stack_data(stack), none) for stack in kitchen.book.content.stacks.values()]
    found = kitchen.book.content
    return [
        _row(stack_data(stack), fitting(Request((stack.id,), arch=arch), found, known, gfx))
        for stack in found.stacks.values()
    ]


def _row(data: dict[str, Any], found: Fitting) -> dict[str, Any]:
    return {**data, "versions": dict(found.versions), "left_out": dict(found.left_out), "why": found.why}


def matrix(
    content: tuple[Path, ...], arch: str | None, system: str | None, stack: str
) -> list[dict[str, Any]]:
    """What a stack comes to for each target that ROCm supports, on each system that recipes name."""
    kitchen = Kitchen(content)
    found = kitchen.book.content
    if stack not in found.stacks:
        raise click.UsageError(f"no stack is called '{stack}'; 'rocmdoctor list stacks' shows them")
    tables = DataTables(bundled())
    archs = [arch] if arch else [n for n, t in tables(GpuTable).targets.items() if t.official]
    named = [name for name in systems(found) if fnmatch.fnmatchcase(name, system or "*")]
    if not named:
        raise click.UsageError(f"--os: no recipe names '{system}'; there are {', '.join(systems(found))}")
    facts = all_facts()
    rows = []
    for name in named:
        known = Known(blank(name, facts), tables, Wish())
        for gfx in archs:
            made = cell(found, known, gfx, stack)
            rows.append(
                {
                    "gfx": gfx,
                    "os": name,
                    "versions": dict(made.versions),
                    "left_out": dict(made.left_out),
                    "why": made.why,
                }
            )
    return rows


def table(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The rows for people: one line for each system and choice, with the targets that share it."""
    shared: dict[tuple[str, tuple[tuple[str, str], ...], str], list[str]] = {}
    for row in rows:
        why = "no ROCm for it" if row["why"] else ""
        shared.setdefault((row["os"], tuple(row["versions"].items()), why), []).append(row["gfx"])
    parts = ("rocm", "torch", "bitsandbytes", "flash-attention", "deepspeed")
    return [
        {
            "os": system,
            "gfx": " ".join(gfx),
            **{part: dict(versions).get(part, why if part == "rocm" else "-") for part in parts},
        }
        for (system, versions, why), gfx in shared.items()
    ]
