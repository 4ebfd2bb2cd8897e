"""What was done on this machine, from the journals: machine-wide and the user's own."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from pathlib import Path

from rocmdoctor.actions import Plan
from rocmdoctor.applying import journal, places
from rocmdoctor.applying.encoding import PlanFileError, plan_from_text
from rocmdoctor.frozen import frozen


@frozen
class Past:
    """A run as it is told. `where` is machine or user; `began` is UTC; `verified` ran, compiled or no."""

    number: int
    where: str
    state: str
    says: str
    began: str
    targets: tuple[str, ...]
    gfx: tuple[str, ...]
    verified: str
    folder: Path


def states(environ: Mapping[str, str] = os.environ) -> dict[str, Path]:
    """Where runs are kept, by kind."""
    return {
        "machine": places.machine_state(environ.get("ROCMDOCTOR_STATE", "")),
        "user": places.user_state(environ),
    }


def past(environ: Mapping[str, str] = os.environ) -> list[Past]:
    """All runs, oldest first. Raises places.PlaceError."""
    found = {folder: where for where, folder in reversed(states(environ).items())}
    dated: list[tuple[str, Past]] = []
    for folder, where in found.items():
        newest = ""
        for run in places.runs(folder):
            one = _past(run, where)
            # A clock may have been set back in between; the numbers of one folder tell the order all the same.
            newest = max(newest, one.began)
            dated.append((newest, one))
    return [one for _, one in sorted(dated, key=lambda pair: pair[0])]


def _past(run: places.Run, where: str) -> Past:
    try:
        lines = journal.read(run.folder / journal.FILE)
    except journal.JournalError:
        lines = []
    try:
        plan: Plan | None = read_plan(run.folder)
    except PlanFileError:
        plan = None
    verified = [str(line.more.get("verified", "no")) for line in lines if line.event == "verified"]
    return Past(
        number=run.number,
        where=where,
        state=run.state,
        says=run.says,
        began=lines[0].t if lines else "",
        targets=plan.request.targets if plan else (),
        gfx=plan.gfx if plan else (),
        verified=verified[-1] if verified else "no",
        folder=run.folder,
    )


def read_plan(folder: Path) -> Plan:
    """The plan of a run. Raises PlanFileError."""
    path = folder / places.PLAN
    try:
        return plan_from_text(path.read_text(encoding="utf-8"), str(path))
    except (OSError, UnicodeDecodeError) as error:
        raise PlanFileError(str(path), "", str(error), "the plan of this run") from error


def last_verified(gfx: tuple[str, ...]) -> str:
    """What the newest finished run for these targets was verified as; `no` where there is none."""
    return next(_verified(gfx), "no")


def _verified(gfx: tuple[str, ...]) -> Iterator[str]:
    for one in reversed(past()):
        if one.state == "undone" and one.gfx == gfx:
            yield "no"
        if one.state == "done" and one.gfx == gfx:
            yield one.verified
