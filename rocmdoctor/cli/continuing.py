"""`resume`, `undo` and `history`: finds a run, and hands it to its own runner, as root where it is the machine's."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any

import click

from rocmdoctor.applying import history, journal, places
from rocmdoctor.applying.bootstrap import INTERRUPTED, NoRootError, root_python, sudo, waited
from rocmdoctor.applying.encoding import PlanFileError
from rocmdoctor.applying.history import Past
from rocmdoctor.cli.agreeing import agrees
from rocmdoctor.cli.terminal import style
from rocmdoctor.reports.envelope import envelope

DECLINED = 5


def resume(number: int | None, *, reboot: bool, as_json: bool) -> int:
    """The exit code of the run."""
    found = _chosen(number, places.UNFINISHED, "has not ended")
    if found.state == "undoing":
        raise click.UsageError(
            f"run {found.number} is being taken back: go on with 'rocmdoctor undo {found.number}'"
        )
    return _hand("resume", found, {"reboot": reboot, "json": as_json})


def undo(number: int | None, *, yes: bool, force: bool, as_json: bool) -> int:
    """The exit code of taking it back."""
    found = _chosen(number, ("done", "empty", *places.UNFINISHED), "can be taken back")
    if not yes:
        if as_json or not sys.stdin.isatty():
            message = (
                f"there is no terminal to ask on; to agree beforehand: rocmdoctor undo {found.number} --yes"
            )
            if as_json:
                click.echo(
                    envelope(
                        "undo", "error", DECLINED, {}, [{"code": "declined", "message": message, "where": ""}]
                    )
                )
            else:
                click.echo(f"rocmdoctor: {message}", err=True)
            return DECLINED
        _show_undo(found)
        if not agrees("Take it back?"):
            click.echo("Nothing was changed.", err=True)
            return DECLINED
    return _hand("undo", found, {"json": as_json, "force": force})


def _show_undo(found: Past) -> None:
    state = journal.state(journal.read(found.folder / journal.FILE))
    for action in reversed(history.read_plan(found.folder).actions):
        if action.id in state.done or action.id in state.begun:
            how = {
                "restore": "becomes what it was",
                "nothing": f"nothing to take back: {action.undo.says}",
                "impossible": f"CANNOT be taken back: {action.undo.says}",
            }.get(action.undo.kind, action.undo.says)
            click.echo(f"  {action.id}: {action.says}: {how}")


def _chosen(number: int | None, wanted: tuple[str, ...], says: str) -> Past:
    runs = _past()
    if number is None:
        fitting = [one for one in runs if one.state in wanted and one.state != "empty"]
        if not fitting:
            raise click.UsageError(f"there is no run that {says}; 'rocmdoctor history' shows all")
        return fitting[-1]
    named = [one for one in runs if one.number == number]
    if not named:
        raise click.UsageError(f"there is no run {number}; 'rocmdoctor history' shows all")
    # A user's own run and one of the machine can have the same number; the newer is meant.
    if named[-1].state not in wanted:
        raise click.UsageError(f"run {number} is {named[-1].state}: only one that {says} is taken")
    return named[-1]


def _past() -> list[Past]:
    try:
        return history.past()
    except places.PlaceError as error:
        raise click.UsageError(str(error)) from error


def _hand(verb: str, found: Past, more: dict[str, Any]) -> int:
    from rocmdoctor.cli import runner
    from rocmdoctor.cli.carrying import no_root

    width, _ = style()
    options = {**more, "width": width, "verb": verb}
    state = found.folder.parents[1]
    if found.where == "user":
        chosen = runner.Options.of(options)
        work = runner.resume if verb == "resume" else runner.undo
        return runner.guarded(chosen, lambda: work(state, found.number, chosen))
    try:
        start = _start_of(state, found)
        before = sudo(asks=sys.stdin.isatty(), steps=len(history.read_plan(found.folder).actions))
        python = root_python()
    except (NoRootError, places.PlaceError, PlanFileError) as error:
        raise click.UsageError(str(error)) from error
    argv = [
        *before,
        python,
        "-I",
        "-B",
        str(start),
        verb,
        "--state",
        str(state),
        "--options",
        json.dumps(options),
        str(found.number),
    ]
    known = journal.read(found.folder / journal.FILE)
    code = waited(argv, b"")
    if before and code in (1, INTERRUPTED) and journal.read(found.folder / journal.FILE) == known:
        instead = f"An administrator can do it: rocmdoctor {verb} {found.number}"
        return no_root(verb, code, instead, as_json=bool(more["json"]))
    return abs(code)


def _start_of(state: Path, found: Past) -> Path:
    """The release that began the run goes on with it, from where only root can write."""
    name = (found.folder / "version").read_text(encoding="ascii").strip()
    start = state / "versions" / name / "start.py"
    places.trusted(start)
    if os.sep in name or not start.is_file():
        raise click.UsageError(
            f"{start} is not there, so run {found.number} cannot be gone on with; begin a new one"
        )
    return start


# ---------------------------------------------------------------- history


def show_history(number: int | None, *, as_json: bool) -> int:
    """All runs, or the steps of one."""
    if number is not None:
        return _one(
            _chosen(number, ("done", "undone", "empty", "unreadable", *places.UNFINISHED), "is there"),
            as_json=as_json,
        )
    rows = [_row(one) for one in _past()]
    if as_json:
        click.echo(envelope("history", "ok", 0, {"runs": rows}))
        return 0
    for row in rows:
        words = [
            f"{row['run']:>4}",
            row["began"][:16].replace("T", " "),
            f"{row['state']:<11}",
            " ".join(row["targets"]) or "default stack",
        ]
        click.echo(
            "  ".join([*words, ", ".join(row["gfx"]), f"verified: {row['verified']}", row["says"]]).rstrip()
        )
    if not rows:
        click.echo("Nothing was installed with rocmdoctor on this machine yet. Next: rocmdoctor plan")
    return 0


def _row(one: Past) -> dict[str, Any]:
    return {
        "run": one.number, "where": one.where, "state": one.state, "says": one.says, "began": one.began,
        "targets": list(one.targets), "gfx": list(one.gfx), "verified": one.verified, "folder": str(one.folder),
    }  # fmt: skip


def _one(one: Past, *, as_json: bool) -> int:
    lines = journal.read(one.folder / journal.FILE) if one.state != "unreadable" else []
    if as_json:
        events = [{"n": x.n, "t": x.t, "event": x.event, "action": x.action} for x in lines]
        click.echo(envelope("history", "ok", 0, {**_row(one), "events": events}))
        return 0
    click.echo(f"Run {one.number}: {one.state}{', ' + one.says if one.says else ''}; {one.folder}")
    for line in lines:
        click.echo(f"  {line.t[:19].replace('T', ' ')}  {line.event:<12} {line.action}")
    return 0
