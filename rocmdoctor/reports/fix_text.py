"""What `fix` says: the faults before anything is done, and what became of each."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from rocmdoctor.actions import Plan
from rocmdoctor.planning.fixing import (
    BY_HAND,
    CURED,
    LOGIN,
    PLANNED,
    REBOOT,
    REFUSED,
    STILL,
    TRIED,
    Cause,
    Picked,
    remedy_of,
)
from rocmdoctor.reports.json_check import remedy_data
from rocmdoctor.reports.json_plan import data_of_plan
from rocmdoctor.reports.text import Page, Paint

_MARKS = {
    CURED: ("✓", "green"),
    LOGIN: ("→", "yellow"),
    REBOOT: ("→", "yellow"),
    STILL: ("✗", "red"),
    TRIED: ("✓", "green"),
}
_SAID = {
    CURED: "cured",
    LOGIN: "cured from the next login on; this session began before",
    REBOOT: "done, and counts after the reboot",
    STILL: "not cured",
    TRIED: "carried out; whether it was that shows when the program runs again",
}


def found_text(picked: Picked, paint: Paint, width: int) -> str:
    """Which faults are here, which recipe cures each, and which are for a person. Ends without a newline."""
    page = Page(paint, width)
    planned = [c for c in picked.causes if c.state == PLANNED]
    others = [c for c in picked.causes if c.state in (BY_HAND, REFUSED)]
    for cause in planned:
        page.raw(f"{_name(cause)} → recipe {cause.recipe}", colour="bold ")
        _why(page, cause)
    if others:
        page.lines += [*([""] if page.lines else []), paint("For you to do", "bold ")]
    for cause in others:
        page.raw(_name(cause), 2, "bold ")
        _by_hand(page, cause)
    for verdict in picked.fine:
        page.add(f"{verdict.id} needs no cure: it is {verdict.status}, {verdict.why}")
    return "\n".join(page.lines)


def _name(cause: Cause) -> str:
    return f"{cause.id} [{cause.verdict.fault}]" if cause.verdict.fault else cause.id


def _why(page: Page, cause: Cause) -> None:
    page.add(cause.verdict.why, 2)
    if cause.explains:
        page.add(f"It explains: {', '.join(cause.explains)}", 2)


def _by_hand(page: Page, cause: Cause) -> None:
    page.add(cause.verdict.why, 4)
    if cause.why:
        page.add(f"Not by itself: {cause.why}", 4)
    remedy = remedy_of(cause)
    page.add(f"→ {remedy.text}", 4, "green")
    for command in remedy.commands:
        page.raw(command, 8, "bold ")


def nothing_text(picked: Picked) -> str:
    """There is no fault."""
    lines = [f"{v.id} needs no cure: it is {v.status}, {v.why}" for v in picked.fine]
    lines = lines or ["Nothing to fix: no check fails."]
    if picked.unsure:
        more = f" and {len(picked.unsure) - 4} more" if len(picked.unsure) > 4 else ""
        lines.append(
            f"{len(picked.unsure)} could not tell: {', '.join(picked.unsure[:4])}{more}. 'rocmdoctor check -vv' shows which "
            "questions were not answered; --patience gives a slow machine more time."
        )
    if picked.offers:
        lines.append(f"Warnings that a recipe cures: rocmdoctor fix {' '.join(v.id for v in picked.offers)}")
    return "\n".join(lines)


def became_text(
    causes: Iterable[Cause], then: Iterable[str], runs: Iterable[str], paint: Paint, width: int
) -> str:
    """What became of each fault, what the user has yet to do, and how it is taken back."""
    page = Page(paint, width)
    page.lines.append("")
    by_hand: list[Cause] = []
    for cause in causes:
        if cause.state not in _MARKS:
            by_hand.append(cause)
            continue
        mark, colour = _MARKS[cause.state]
        more = f": {cause.why}" if cause.why else ""
        page.add(f"{mark} {_name(cause)}: {_SAID[cause.state]}{more}", colour=colour)
    for what in then:
        page.add(f"→ {what}")
    if by_hand:
        page.add(f"Left for you: {', '.join(c.id for c in by_hand)}; what to do stands above.")
    for run in runs:
        page.add(f"To take it back: rocmdoctor undo {run}")
    return "\n".join(page.lines)


def data_of_fix(
    causes: Iterable[Cause], plans: Iterable[Plan], runs: Iterable[str], then: Iterable[str]
) -> dict[str, Any]:
    """`data` of `fix --json`."""
    return {
        "causes": [
            {
                "id": cause.id,
                "fault": cause.verdict.fault,
                "why": cause.verdict.why,
                "state": cause.state,
                "recipe": cause.recipe,
                "now": cause.why,
                "explains": list(cause.explains),
                "remedy": remedy_data(cause.verdict.remedy),
            }
            for cause in causes
        ],
        "plans": [data_of_plan(plan) for plan in plans],
        "runs": list(runs),
        "then": list(then),
    }
