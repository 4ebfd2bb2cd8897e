"""From a plan that was shown to its agreement, and to the runner that carries it out: what `install` and `fix` share."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click

from rocmdoctor.actions import Plan, Reboot
from rocmdoctor.applying.encoding import plan_as_json, plan_hash
from rocmdoctor.cli.agreeing import agrees
from rocmdoctor.cli.install_options import Wanted
from rocmdoctor.cli.terminal import style
from rocmdoctor.content import own_folders
from rocmdoctor.planning.refusal import Refusal, RefusedError
from rocmdoctor.reports.envelope import TOOL, envelope
from rocmdoctor.reports.json_plan import data_of_plan

DECLINED = 5


@dataclass(frozen=True)
class Consent:
    """What was agreed to beforehand, by options."""

    yes: bool
    allow_remove: bool
    reboot: bool


@dataclass(frozen=True)
class Errand:
    """Who wants the plan carried out: the verb, and the command line that asks for the same.

    `told`: the verb says itself how it ended, so that the runner does not. `does` is what it asks to be allowed, `data`
    what its envelope holds where nobody agreed, by default the plan's.
    """

    verb: str
    command: str
    wanted: Wanted
    told: bool = False
    does: str = "Install"
    data: Mapping[str, Any] | None = None


def way_to_root(plan: Plan, errand: Errand) -> list[str] | None:
    """The words before a command that make it root's; None when nothing needs root. Raises RefusedError."""
    from rocmdoctor.applying.bootstrap import NoRootError, root_python, sudo

    needing = sum(action.root for action in plan.actions)
    if not needing:
        return None
    try:
        root_python()
        return sudo(asks=sys.stdin.isatty(), steps=needing)
    except NoRootError as error:
        raise RefusedError(Refusal("no-root", str(error), _without_sudo(errand))) from error


def _without_sudo(errand: Errand) -> str:
    return f"An administrator can do it: {errand.command}. What needs no root: add --no-root."


def agreement(plan: Plan, errand: Errand, consent: Consent, *, as_json: bool) -> dict[str, bool] | None:
    """What the runner may do: None when it was declined. Raises RefusedError never; click.Abort on Ctrl-C."""
    from rocmdoctor.planning.preflight import predict

    cost = predict(plan)
    terminal = sys.stdin.isatty() and not as_json
    reboots = any(isinstance(action.do, Reboot) for action in plan.actions)
    if consent.yes and cost.removes and not consent.allow_remove:
        _declined(
            plan,
            errand,
            f"--yes agrees to no removal, and {', '.join(cost.removes)} would go",
            "--yes --allow-remove",
            as_json=as_json,
        )
        return None
    if not consent.yes:
        if not terminal:
            more = "--yes --allow-remove" if cost.removes else "--yes"
            _declined(plan, errand, "there is no terminal to ask on", more, as_json=as_json)
            return None
        question = f"{errand.does}, and REMOVE what is named above?" if cost.removes else "Continue?"
        if not agrees(question):
            click.echo("Nothing was changed.", err=True)
            return None
    reboot = consent.reboot
    if reboots and not reboot and terminal and not consent.yes:
        reboot = agrees("Reboot by itself when it is needed, and go on after it?")
    return {"reboot": reboot}


def _declined(plan: Plan, errand: Errand, why: str, options: str, *, as_json: bool) -> None:
    command = f"{errand.command} {options}"
    if as_json:
        problem = {"code": "declined", "message": f"{why}; to agree beforehand: {command}", "where": ""}
        data = data_of_plan(plan) if errand.data is None else errand.data
        click.echo(envelope(errand.verb, "error", DECLINED, data, [problem]))
    else:
        click.echo(f"rocmdoctor: {why}; nothing was changed. To agree beforehand: {command}", err=True)


def start(
    plan: Plan, errand: Errand, agreed: dict[str, bool], before: list[str] | None, *, as_json: bool
) -> int:
    """Starts the runner and waits for it; its exit code, which is that of `install`."""
    from rocmdoctor.applying import places
    from rocmdoctor.cli.runner import begin_here

    wanted = errand.wanted
    width, _ = style(no_color=wanted.no_color)
    options = {
        **agreed, "json": as_json, "width": width, "color": not wanted.no_color and not os.environ.get("NO_COLOR"),
        "verbose": wanted.verbose, "patience": wanted.patience, "verb": errand.verb, "told": errand.told,
        "lock": str(wanted.lock.absolute()) if wanted.lock is not None else "",
    }  # fmt: skip
    wish: dict[str, Any] = {"plan": plan_as_json(plan), "sha256": plan_hash(plan), "options": options}
    if before is None:
        return begin_here(wish, places.user_state(os.environ), own_folders(wanted.content))
    return _as_root(wish, errand, before)


def _as_root(wish: dict[str, Any], errand: Errand, before: list[str]) -> int:
    from rocmdoctor.applying import places
    from rocmdoctor.applying.archive import build
    from rocmdoctor.applying.bootstrap import INTERRUPTED, hand_over

    state = places.machine_state(os.environ.get("ROCMDOCTOR_STATE", ""))
    known = _runs(state)
    as_json = bool(wish["options"]["json"])
    tool = TOOL if as_json and not errand.told else ""
    code = hand_over(build(own_folders(errand.wanted.content)), wish, str(state), before, tool)
    if before and code in (1, INTERRUPTED) and _runs(state) == known:
        return no_root(errand.verb, code, _without_sudo(errand), as_json=as_json)
    return abs(code)


def _runs(state: Path) -> int:
    from rocmdoctor.applying import places

    try:
        return len(places.runs(state))
    except places.PlaceError:
        return 0


def no_root(verb: str, code: int, instead: str, *, as_json: bool) -> int:
    """sudo ends with 1 when the password was wrong or the user may not use it, and has said so itself.

    Raises KeyboardInterrupt where it was Ctrl-C that ended it.
    """
    from rocmdoctor.applying.bootstrap import INTERRUPTED

    if code == INTERRUPTED:
        raise KeyboardInterrupt
    asks = "" if sys.stdin.isatty() else ": it cannot ask for a password without a terminal"
    said = f"sudo did not give root{asks}; nothing was changed"
    if as_json:
        problem = {"code": "no-root", "message": f"{said}. {instead}", "where": ""}
        click.echo(envelope(verb, "error", DECLINED, {}, [problem]))
    else:
        click.echo(f"rocmdoctor: {said}\n{instead}", err=True)
    return DECLINED
