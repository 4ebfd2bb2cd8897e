"""Carries out a plan, from its first line in the journal to the last check. The root side of `install` starts here.

As root it runs from a folder that only root can write, started by the bootstrap (`begin`), by a user's `resume` or
`undo`, or after a boot by the unit. A plan that needs no root is carried out by the user's own process (`begin_here`).
"""

from __future__ import annotations

import argparse
import json
import os
import pwd
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rocmdoctor.actions import Plan
from rocmdoctor.applying import history, journal, places, unit
from rocmdoctor.applying.encoding import PlanFileError, plan_as_json, plan_from_json, plan_hash
from rocmdoctor.applying.lock import LockedError, locked
from rocmdoctor.applying.run_plan import Means, Outcome, run
from rocmdoctor.applying.undo import take_back
from rocmdoctor.cli.ending import Ending, Report

FAILED, REBOOT, STOPPED = 4, 102, 130
OPTIONS = "options.json"


@dataclass(frozen=True)
class Options:
    """How to go on and how to talk. `reboot` was agreed to; `unattended`: the unit runs this, nobody looks."""

    reboot: bool = False
    json: bool = False
    width: int = 100
    color: bool = False
    verbose: int = 0
    patience: float = 1.0
    unattended: bool = False
    force: bool = False

    @classmethod
    def of(cls, raw: Any, **more: Any) -> Options:
        """From decoded JSON; keys that this release does not know are ignored."""
        known = (
            {k: v for k, v in raw.items() if k in cls.__dataclass_fields__} if isinstance(raw, dict) else {}
        )
        return cls(**{**known, **more})


def main(argv: Sequence[str]) -> int:
    """The root side's command line; the exit codes are those of `install`."""
    words = _parser().parse_args(argv)
    os.umask(0o022)
    state = places.machine_state(words.state)
    try:
        if words.verb == "begin":
            return _begin_root(state, Path(words.what))
        options = Options.of(json.loads(words.options), unattended=words.unattended)
        if words.verb == "resume":
            return resume(state, int(words.what), options)
        return undo(state, int(words.what), options)
    except (places.PlaceError, LockedError, journal.JournalError, PlanFileError, OSError) as error:
        sys.stderr.write(f"rocmdoctor: {error}\n")
        return FAILED


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="rocmdoctor", add_help=False)
    parser.add_argument("verb", choices=["begin", "resume", "undo"])
    parser.add_argument("--state", required=True)
    parser.add_argument("--options", default="{}")
    parser.add_argument("--unattended", action="store_true")
    parser.add_argument("what")
    return parser


# ---------------------------------------------------------------- begin


def _begin_root(state: Path, wish: Path) -> int:
    try:
        said = json.loads(wish.read_bytes())
    finally:
        wish.unlink(missing_ok=True)
    return _begin(said, state)


def begin_here(wish: dict[str, Any], state: Path, content: tuple[Path, ...]) -> int:
    """Carries out a plan that needs no root in this process. `state` is the user's own."""
    try:
        return _begin(wish, state, content)
    except (places.PlaceError, LockedError, journal.JournalError, OSError) as error:
        return Ending(Options.of(wish["options"])).trouble(str(error))


def _begin(wish: dict[str, Any], state: Path, content: tuple[Path, ...] = ()) -> int:
    plan = plan_from_json(wish["plan"], "the plan")
    if plan_hash(plan) != wish["sha256"]:
        raise PlanFileError("the plan", "", "another digest than was agreed to", str(wish["sha256"]))
    options = Options.of(wish["options"])
    try:
        with locked(state):
            folder = places.make_run(state)
            _keep(folder / places.PLAN, plan_as_json(plan))
            _keep(folder / OPTIONS, wish["options"])
            (folder / "version").write_text(Path(__file__).resolve().parents[2].name + "\n", encoding="ascii")
            return _go(plan, folder, state, options, content)
    except LockedError as error:
        return Ending(options).trouble(str(error))


def _keep(path: Path, data: Any) -> None:
    with path.open("x", encoding="utf-8") as file:
        json.dump(data, file, indent=1, sort_keys=True)
        file.write("\n")
        file.flush()
        os.fsync(file.fileno())


# ---------------------------------------------------------------- go on, take back


def resume(state: Path, number: int, options: Options, content: tuple[Path, ...] = ()) -> int:
    """Goes on with a run. What the user agreed to when it began still counts."""
    folder = state / "runs" / str(number)
    try:
        agreed = json.loads((folder / OPTIONS).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        agreed = {}
    both = Options.of({**agreed, "json": options.json, "width": options.width, "color": options.color},
                      reboot=options.reboot or bool(agreed.get("reboot")), unattended=options.unattended)  # fmt: skip
    plan = history.read_plan(folder)
    try:
        with locked(state):
            return _go(plan, folder, state, both, content)
    except LockedError as error:
        return Ending(both).trouble(str(error))


def undo(state: Path, number: int, options: Options) -> int:
    """Takes a run back, its last action first."""
    folder = state / "runs" / str(number)
    plan = history.read_plan(folder)
    with locked(state):
        unit_of = _Unit(state, folder)
        outcome = take_back(
            plan, folder, person=_entry(plan), show=Ending(options).progress, force=options.force
        )
        unit_of.disarm()
        return Ending(options).undone(folder, outcome)


def _go(plan: Plan, folder: Path, state: Path, options: Options, content: tuple[Path, ...]) -> int:
    ending = Ending(options)
    own_unit = _Unit(state, folder)
    armed = own_unit.arm()
    user = _entry(plan)
    means = Means(is_ok=lambda name: ending.is_ok(name, user, content or _own_content()))
    outcome = run(plan, folder, person=user, show=ending.progress, means=means)
    if outcome.state == "reboot":
        if options.reboot and armed:
            ending.rebooting(outcome)
            unit.reboot()
            return REBOOT
        return ending.waiting_for_reboot(plan, folder, outcome, armed=armed)
    own_unit.disarm()
    if outcome.state != "done":
        return ending.stopped_at(plan, folder, outcome)
    return _verified(plan, folder, outcome, ending, content)


def _verified(plan: Plan, folder: Path, outcome: Outcome, ending: Ending, content: tuple[Path, ...]) -> int:
    """The named checks again, as the user with the groups of a fresh login; then the run has ended."""
    report = ending.verify(plan, _entry(plan), content or _own_content())
    book = journal.Journal(folder / journal.FILE)
    try:
        book.write("verified", verified=report.state, wrong=[name for name, _ in report.wrong])
        book.write("end")
    finally:
        book.close()
    return ending.done(plan, folder, outcome, report)


def _own_content() -> tuple[Path, ...]:
    """Content of the user's own, as it came along in the archive."""
    own = Path(__file__).resolve().parents[2] / "own"
    return tuple(sorted(p for p in own.iterdir() if p.is_dir())) if own.is_dir() else ()


def _entry(plan: Plan) -> pwd.struct_passwd | None:
    """The user to become for the user's actions; None where we are that user already."""
    if os.geteuid() != 0 or plan.person.uid == 0:
        return None
    return pwd.getpwuid(plan.person.uid)


class _Unit:
    """The unit for this run; nothing where we are not root."""

    def __init__(self, state: Path, folder: Path) -> None:
        self._state = state
        self._folder = folder

    def arm(self) -> bool:
        if os.geteuid() != 0:
            return False
        start = Path(__file__).resolve().parents[2] / "start.py"
        if not start.is_file():
            return False
        return unit.arm(self._folder.name, self._folder, sys.executable, start, self._state)

    def disarm(self) -> None:
        if os.geteuid() == 0:
            unit.disarm()


__all__ = ["FAILED", "REBOOT", "STOPPED", "Options", "Report", "begin_here", "main", "resume", "undo"]
