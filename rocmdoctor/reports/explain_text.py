"""The report of `explain`, for people and as data."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from typing import Any

from rocmdoctor.explaining import Candidate, Diagnosed, Explained, Seen
from rocmdoctor.model import Remedy
from rocmdoctor.reports.text import Page, Paint

_SHOWN = 4
_COLOURS = {"high": "bold red", "medium": "bold red", "low": "bold yellow"}


def explain_text(
    explained: Explained,
    names: Sequence[str],
    lines: int,
    notes: Sequence[str],
    where: Sequence[str],
    paint: Paint,
    width: int,
) -> str:
    """The whole page. Lines of the log are quoted behind a bar, so that none can pass for a line of ours."""
    page = Page(paint, width)
    several = len(set(names)) > 1
    for number, one in enumerate(explained.diagnoses[:_SHOWN], 1):
        if number > 1:
            page.lines.append("")
        _diagnosis(page, one, number, len(explained.diagnoses), several=several)
    rest = explained.diagnoses[_SHOWN:]
    if rest:
        page.lines.append("")
        page.add("Also seen: " + ", ".join(f"{d.best.error.id} (line {d.seen.first.line})" for d in rest))
    if not explained.diagnoses:
        _nothing(page, explained, lines, where, several=several)
    for note in notes:
        page.lines.append("")
        page.add(note)
    _next(page, explained, names)
    return "\n".join(page.lines)


def _diagnosis(page: Page, one: Diagnosed, number: int, of: int, *, several: bool) -> None:
    best = one.best
    label = "Diagnosis" if of == 1 else f"Diagnosis {number} of {of}"
    head = f"{label}: {best.error.id} [{best.error.fault}], confidence {best.confidence}"
    page.raw(head, colour=_COLOURS[best.confidence])
    page.add(best.cause, 2)
    by = f", printed by {best.error.program}" if best.error.program else ""
    often = f", {one.seen.count} times" if one.seen.count > 1 else ""
    page.add(f"{_place(one.seen.first, several=several)}{by}{often}:", 2)
    page.raw(f"│ {one.seen.first.text}", 4)
    if one.seen.beside is not None:
        page.add(f"and {_place(one.seen.beside, several=several)}:", 2)
        page.raw(f"│ {one.seen.beside.text}", 4)
    for why in best.why:
        page.add(why, 2)
    _remedy(page, best.remedy, 2)
    if one.others:
        page.add("The same text has other causes:", 2)
        _look_at(page, best)
        for other in one.others:
            page.add(
                f"{other.error.id} [{other.error.fault}], confidence {other.confidence}: {other.cause}", 4
            )
            _look_at(page, other)


def _place(seen: Seen, *, several: bool) -> str:
    return f"Line {seen.line} of {seen.file}" if several else f"Line {seen.line}"


def _look_at(page: Page, candidate: Candidate) -> None:
    if candidate.look_at is not None:
        page.add(f"To decide: {candidate.look_at.text}", 6)
        for command in candidate.look_at.commands:
            page.raw(command, 10, "bold ")


def _remedy(page: Page, remedy: Remedy, indent: int) -> None:
    page.add(f"→ {remedy.text}", indent, "green")
    for command in remedy.commands:
        page.raw(command, indent + 4, "bold ")


def _nothing(page: Page, explained: Explained, lines: int, where: Sequence[str], *, several: bool) -> None:
    first, last = explained.failure, explained.last_failure
    if first is None:
        counted = f"{lines:,} line" + ("" if lines == 1 else "s")
        page.add(f"Nothing in {counted} tells of a failure." if lines else "The log is empty.")
        return
    page.raw("Not known: something failed, and no known error fits it", colour="bold yellow")
    page.add(f"{_place(first, several=several)} is the first that tells of a failure:", 2)
    page.raw(f"│ {first.text}", 4)
    if last is not None and last.position != first.position:
        page.add(f"{_place(last, several=several)} is the last:", 2)
        page.raw(f"│ {last.text}", 4)
    page.add(
        "→ See whether the machine itself is in order, then ask with what others need to help:", 2, "green"
    )
    page.raw("rocmdoctor check", 6, "bold ")
    page.raw("rocmdoctor collect --share -o box.json", 6, "bold ")
    page.add("Attach box.json and the lines around the first one, at " + ", or at ".join(where) + ".", 2)


def _next(page: Page, explained: Explained, names: Sequence[str]) -> None:
    first = explained.diagnoses[0] if explained.diagnoses else None
    if first is None or not first.best.remedy.recipe:
        return
    page.lines.append("")
    # What came through a pipe is gone.
    logs = [f"--log {shlex.quote(name)}" if name != "-" else "--log FILE" for name in names]
    page.lines.append(page.paint("Next: ", "bold ") + page.paint(" ".join(("rocmdoctor fix", *logs))))
    if "-" in names:
        page.add("FILE is the text that was read, saved.", 6)


# ---------------------------------------------------------------- as data


def explain_data(
    explained: Explained, lines: int, size: int, notes: Sequence[str], where: Sequence[str], machine: str
) -> dict[str, Any]:
    """`data` of `explain --json`."""
    return {
        "diagnoses": [_diagnosis_data(one) for one in explained.diagnoses],
        "failure": _seen(explained.failure),
        "last_failure": _seen(explained.last_failure),
        "read": {"lines": lines, "bytes": size},
        "machine": machine,
        "notes": list(notes),
        "ask": {
            "where": list(where),
            "commands": ["rocmdoctor check", "rocmdoctor collect --share -o box.json"],
        }
        if explained.exit_code == 6
        else None,
    }


def _diagnosis_data(one: Diagnosed) -> dict[str, Any]:
    seen = _seen(one.seen.first) or {}
    observation = {
        **seen,
        "count": one.seen.count,
        "program": one.best.error.program,
        "beside": _seen(one.seen.beside),
    }
    return {
        **_candidate(one.best),
        "observation": observation,
        "candidates": [_candidate(other) for other in one.others],
    }


def _candidate(one: Candidate) -> dict[str, Any]:
    return {
        "id": one.error.id,
        "fault": one.error.fault,
        "title": one.title,
        "cause": one.cause,
        "confidence": one.confidence,
        "why": list(one.why),
        "checks": list(one.checks),
        "remedy": _remedy_data(one.remedy),
        "look_at": _remedy_data(one.look_at),
    }


def _remedy_data(remedy: Remedy | None) -> dict[str, Any] | None:
    if remedy is None:
        return None
    return {"text": remedy.text, "commands": list(remedy.commands), "recipe": remedy.recipe}


def _seen(seen: Seen | None) -> dict[str, Any] | None:
    return {"file": seen.file, "line": seen.line, "text": seen.text} if seen is not None else None
