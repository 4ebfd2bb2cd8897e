"""From a wish to a plan that a person has seen and agreed to, and to the runner that carries it out."""

from __future__ import annotations

import json
import os
import shlex
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import click

from rocmdoctor.actions import Plan, Request
from rocmdoctor.applying.encoding import PlanFileError, plan_as_json, plan_from_text
from rocmdoctor.cli.carrying import DECLINED, Consent, Errand, agreement, start, way_to_root
from rocmdoctor.cli.errors import PlacedError
from rocmdoctor.cli.install_options import Wanted, options_of
from rocmdoctor.cli.locking import hold, in_place, lock_in
from rocmdoctor.cli.planned import NOTHING_LOCKED, Drawn, Kitchen, draw_here, person_of
from rocmdoctor.cli.terminal import style
from rocmdoctor.model import Snapshot
from rocmdoctor.ops.ground import Locked
from rocmdoctor.planning.compare import differences
from rocmdoctor.planning.lock import lock_of, request_of
from rocmdoctor.planning.locked import files_of
from rocmdoctor.planning.refusal import Refusal, RefusedError, patiently
from rocmdoctor.reports.envelope import envelope
from rocmdoctor.reports.json_plan import data_of_plan
from rocmdoctor.reports.plan_text import plan_text, refusal_text

FIT = 3


# ---------------------------------------------------------------- plan


def show_plan(
    targets: tuple[str, ...],
    wanted: Wanted,
    output: Path | None,
    snapshot: Path | None,
    root: str | None,
    *,
    as_json: bool,
) -> int:
    """`plan`, and `install -n`."""
    try:
        drawn = _draw(targets, wanted, snapshot, root)
    except RefusedError as refused:
        refusals = patiently(refused.refusals, wanted.patience, saved=snapshot is not None)
        return say_refused("plan", refusals, wanted, as_json=as_json)
    if wanted.lock is not None:
        _write(wanted.lock, lock_of(drawn.plan), "--lock")
    if output is not None:
        _save(output, drawn.plan)
    if as_json:
        click.echo(envelope("plan", "ok", 0, data_of_plan(drawn.plan)))
        return 0
    _show(drawn, wanted)
    if drawn.plan.actions and output is not None:
        click.echo(f"Next: rocmdoctor install {output}")
    elif drawn.plan.actions and snapshot is None and root is None:
        click.echo(f"Next: {command_of(drawn.plan.request, wanted.content)}")
    return 0


def command_of(request: Request, content: tuple[Path, ...]) -> str:
    """The command line that asks for the same."""
    targets = () if request.locked else request.targets
    words = ["rocmdoctor", "install", *targets, *options_of(request)]
    for folder in content:
        words += ["--content", str(folder)]
    return shlex.join(words)


def _draw(targets: tuple[str, ...], wanted: Wanted, snapshot: Path | None, root: str | None) -> Drawn:
    if wanted.asked.locked is not None:
        return _drawn_as(wanted.asked.locked, targets, wanted, snapshot, root)
    if wanted.asked.mirror_folder is not None:
        raise click.UsageError("--mirror-folder holds what a lock names: give the lock with --locked")
    request = replace(wanted.asked, targets=targets)
    return _drawn(request, wanted, snapshot, root)


def _drawn_as(
    path: str, targets: tuple[str, ...], wanted: Wanted, snapshot: Path | None, root: str | None
) -> Drawn:
    """The plan of a lock. Raises RefusedError where this machine or this release would do otherwise."""
    lock = lock_in(Path(path), "--locked")
    if targets or wanted.asked.pins or wanted.asked.more or wanted.asked.rocm:
        raise click.UsageError(f"--locked: {path} names targets and versions already; leave yours out")
    drawn = _drawn(request_of(lock, wanted.asked), wanted, snapshot, root, files_of(lock))
    here = snapshot is None and root is None
    hold(lock, drawn.plan, path, wanted.asked.mirror_folder if here else None)
    return drawn


def _drawn(
    request: Request,
    wanted: Wanted,
    snapshot: Path | None,
    root: str | None,
    locked: Mapping[str, Locked] = NOTHING_LOCKED,
) -> Drawn:
    if snapshot is None and root is None:
        return draw_here(request, wanted.content, wanted.patience, locked)
    kitchen = Kitchen(wanted.content)
    taken = loaded(snapshot) if snapshot is not None else _taken(str(root), wanted.patience)
    return kitchen.draw(request, taken, person_of(taken, kitchen.known(taken)), None, locked)


def _taken(root: str, patience: float) -> Snapshot:
    from rocmdoctor.cli.asking import patient, take
    from rocmdoctor.cli.next_login import NextLogin

    trial = NextLogin(patience) if root == "/" else None
    with patient() as progress:
        return take(root, patience, progress, trial=trial)


def loaded(snapshot: Path) -> Snapshot:
    """The snapshot of a file. Raises PlacedError."""
    from rocmdoctor.hosts.replay import BadSnapshotError, load

    try:
        return load(snapshot)
    except BadSnapshotError as error:
        raise PlacedError(error.where, str(error)) from error


def _show(drawn: Drawn, wanted: Wanted) -> None:
    width, paint = style(no_color=wanted.no_color)
    click.echo(plan_text(drawn.plan, drawn.known, paint, width, wanted.verbose), color=True)


def say_refused(verb: str, refused: tuple[Refusal, ...], wanted: Wanted, *, as_json: bool) -> int:
    """Why nothing is planned."""
    if as_json:
        errors = [{"code": r.code, "message": f"{r.says}. {r.instead}", "where": r.where} for r in refused]
        click.echo(envelope(verb, "error", FIT, {}, errors))
    else:
        width, paint = style(no_color=wanted.no_color)
        click.echo(refusal_text(refused, paint, width), err=True)
    return FIT


def _save(path: Path, plan: Plan) -> None:
    _write(path, plan_as_json(plan), "-o")


def _write(path: Path, data: dict[str, Any], option: str) -> None:
    try:
        path.write_text(json.dumps(data, indent=1, sort_keys=True) + "\n", encoding="utf-8")
    except OSError as error:
        raise click.UsageError(f"{option}: {path} cannot be written: {error.strerror}") from error


# ---------------------------------------------------------------- install


def install(targets: tuple[str, ...], wanted: Wanted, consent: Consent, *, as_json: bool) -> int:
    """Plans, shows, asks, and starts the runner."""
    try:
        drawn = (
            _of_file(Path(targets[0]), wanted) if _is_file(targets) else _draw(targets, wanted, None, None)
        )
    except RefusedError as refused:
        refusals = patiently(refused.refusals, wanted.patience, saved=False)
        return say_refused("install", refusals, wanted, as_json=as_json)
    plan = drawn.plan
    if not as_json:
        _show(drawn, wanted)
    if not plan.actions:
        if wanted.lock is not None:
            _write(wanted.lock, in_place(plan), "--lock")
        return _all_in_place(drawn, as_json=as_json)
    errand = Errand("install", command_of(plan.request, wanted.content), wanted)
    try:
        before = way_to_root(plan, errand)
        agreed = agreement(plan, errand, consent, as_json=as_json)
    except RefusedError as refused:
        return say_refused("install", refused.refusals, wanted, as_json=as_json)
    if agreed is None:
        return DECLINED
    return start(plan, errand, agreed, before, as_json=as_json)


def _is_file(targets: tuple[str, ...]) -> bool:
    return len(targets) == 1 and (targets[0].endswith(".json") or os.sep in targets[0])


def _of_file(path: Path, wanted: Wanted) -> Drawn:
    """The plan of a file, as far as this machine is still as it was planned for. Raises RefusedError."""
    if wanted.given:
        raise click.UsageError(f"{path} is a plan already made; {' '.join(wanted.given)} belongs to 'plan'")
    try:
        planned = plan_from_text(path.read_text(encoding="utf-8"), str(path))
    except OSError as error:
        raise click.UsageError(f"{path} cannot be read: {error.strerror}") from error
    except UnicodeDecodeError:
        raise PlacedError(
            str(path), "is not UTF-8 text; a plan is the JSON that 'rocmdoctor plan -o FILE' writes"
        ) from None
    except PlanFileError as error:
        raise PlacedError(
            error.where, f"{error.place}: found {error.found}, wanted {error.wanted}".removeprefix(": ")
        ) from error
    request = planned.request
    lock = lock_in(Path(request.locked), str(path)) if request.locked else None
    locked = files_of(lock) if lock is not None else NOTHING_LOCKED
    drawn = draw_here(request, wanted.content, wanted.patience, locked)
    found = differences(planned, drawn.plan)
    if found:
        raise RefusedError(
            Refusal(
                "facts-changed",
                f"this machine is not as {path} was planned for: {'; '.join(found)}",
                f"Plan again: {command_of(request, wanted.content).replace('install', 'plan', 1)} -o {path}",
                str(path),
            )
        )
    if lock is not None:
        hold(lock, drawn.plan, str(request.locked), request.mirror_folder)
    return drawn


def _all_in_place(drawn: Drawn, *, as_json: bool) -> int:
    """Nothing to do: the checks that the recipes name are judged from the answers that are there."""
    wrong = [
        v for v in drawn.diagnosis.verdicts if v.id in drawn.plan.verify and v.status in ("fail", "broken")
    ]
    code = 1 if wrong else 0
    if as_json:
        data = {**data_of_plan(drawn.plan), "verified": _last_verified(drawn.plan)}
        errors = [{"code": "check-failed", "message": f"{v.id}: {v.why}", "where": v.id} for v in wrong]
        click.echo(envelope("install", "findings" if wrong else "ok", code, data, errors))
        return code
    for verdict in wrong:
        click.echo(f"✗ {verdict.id}: {verdict.why}")
    click.echo("Next: rocmdoctor check" if wrong else "Next: rocmdoctor verify")
    return code


def _last_verified(plan: Plan) -> str:
    """What the newest run found, as long as it was for the same targets."""
    from rocmdoctor.applying.history import last_verified

    return last_verified(plan.gfx)
