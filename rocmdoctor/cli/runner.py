"""Carries out a plan, from its first line in the journal to the last check. The root side of `install` starts here.

As root it runs from a folder that only root can write, started by the bootstrap (`begin`), by a user's `resume` or
`undo`, or after a boot by the unit. A plan that needs no root is carried out by the user's own process (`begin_here`).
"""

from __future__ import annotations

import argparse
import json
import os
import pwd
import shutil
import signal
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rocmdoctor.actions import Plan
from rocmdoctor.applying import history, journal, places, unit
from rocmdoctor.applying.encoding import PlanFileError, plan_as_json, plan_from_json, plan_hash
from rocmdoctor.applying.lock import LockedError, locked
from rocmdoctor.applying.run_plan import Outcome, run
from rocmdoctor.applying.steps import refused
from rocmdoctor.applying.stopping import GOING_DOWN
from rocmdoctor.applying.undo import take_back
from rocmdoctor.applying.work import Means
from rocmdoctor.cli.ending import Ending, Report
from rocmdoctor.cli.locking import Locks, keep_lock

OPTIONS, PROMISED = "options.json", "promised"


@dataclass(frozen=True)
class Options:
    """How to go on and how to talk. `reboot` was agreed to; `unattended`: the unit runs this, nobody looks.

    `lock` is a file that the lock is also written to. `told`: the verb that began says how it ended.
    """

    reboot: bool = False
    json: bool = False
    width: int = 100
    color: bool = False
    verbose: int = 0
    patience: float = 1.0
    unattended: bool = False
    force: bool = False
    verb: str = "install"
    lock: str = ""
    told: bool = False

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
    if words.verb == "begin":
        wish = _wish(Path(words.what))
        return guarded(Options.of(wish["options"]), lambda: _begin(wish, state))
    options = Options.of(json.loads(words.options), unattended=words.unattended, verb=words.verb)
    verb = resume if words.verb == "resume" else undo
    return guarded(options, lambda: verb(state, int(words.what), options))


def guarded(options: Options, work: Callable[[], int]) -> int:
    """The exit code of the work; what cannot be done is said as the options want it, and never as a traceback."""
    try:
        return work()
    except KeyboardInterrupt:
        return Ending(options).cut_off()
    except _REFUSED as error:
        return Ending(options).trouble(_words(error))
    except Exception as error:  # noqa: BLE001 - people get one line, and the way to report it
        return Ending(options).bug(error)


_AT_BOOT = 3.0
_REFUSED = (places.PlaceError, LockedError, journal.JournalError, PlanFileError, OSError)


def _words(error: Exception) -> str:
    if isinstance(error, OSError) and error.filename:
        return refused(str(error.filename), error)
    return str(error)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="rocmdoctor", add_help=False)
    parser.add_argument("verb", choices=["begin", "resume", "undo"])
    parser.add_argument("--state", required=True)
    parser.add_argument("--options", default="{}")
    parser.add_argument("--unattended", action="store_true")
    parser.add_argument("what")
    return parser


# ---------------------------------------------------------------- begin


def _wish(path: Path) -> dict[str, Any]:
    try:
        said: dict[str, Any] = json.loads(path.read_bytes())
    finally:
        path.unlink(missing_ok=True)
    return said


def begin_here(wish: dict[str, Any], state: Path, content: tuple[Path, ...]) -> int:
    """Carries out a plan that needs no root in this process. `state` is the user's own."""
    return guarded(Options.of(wish["options"]), lambda: _begin(wish, state, content))


def _begin(wish: dict[str, Any], state: Path, content: tuple[Path, ...] = ()) -> int:
    plan = plan_from_json(wish["plan"], "the plan")
    if plan_hash(plan) != wish["sha256"]:
        raise PlanFileError("the plan", "", "another digest than was agreed to", str(wish["sha256"]))
    with locked(state):
        folder = places.make_run(state)
        try:
            _keep(folder / places.PLAN, plan_as_json(plan))
            _keep(folder / OPTIONS, wish["options"])
            _keep_text(folder / "version", Path(__file__).resolve().parents[2].name + "\n")
            armed = _Unit(state, folder).arm()
        except OSError as error:
            shutil.rmtree(folder, ignore_errors=True)
            raise places.PlaceError(
                _words(error).replace("then resume", "then try again") + "; nothing was changed"
            ) from error
        return _go(plan, folder, state, Options.of(wish["options"]), content, armed=armed)


def _keep(path: Path, data: Any) -> None:
    _keep_text(path, json.dumps(data, indent=1, sort_keys=True) + "\n")


def _keep_text(path: Path, text: str) -> None:
    try:
        with path.open("x", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        # Writing does not say which file it was.
        raise OSError(error.errno, error.strerror, str(path)) from error


# ---------------------------------------------------------------- go on, take back


def resume(state: Path, number: int, options: Options, content: tuple[Path, ...] = ()) -> int:
    """Goes on with a run. What the user agreed to when it began still counts."""
    folder = state / "runs" / str(number)
    try:
        agreed = json.loads((folder / OPTIONS).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        agreed = {}
    both = Options.of({**agreed, "json": options.json, "width": options.width, "color": options.color},
                      reboot=options.reboot or bool(agreed.get("reboot")), unattended=options.unattended,
                      verb="resume", told=False, patience=_patience(agreed.get("patience"), options))  # fmt: skip
    plan = history.read_plan(folder)
    with locked(state):
        if options.unattended and _settled(state, number):
            _Unit(state, folder).disarm()
            return 0
        armed = _Unit(state, folder).arm()
        return _go(plan, folder, state, both, content, armed=armed)


def _patience(agreed: object, options: Options) -> float:
    """While a machine starts everything is slow, and nobody waits for it."""
    wanted = float(agreed) if isinstance(agreed, (int, float)) else 1.0
    return max(wanted, _AT_BOOT) if options.unattended else wanted


def _settled(state: Path, number: int) -> bool:
    """Whoever ended the run could not remove the unit; a start of the machine is no reason to go on with it."""
    now = next((run for run in places.runs(state) if run.number == number), None)
    if now is not None and now.state == "stopped":
        return now.says != GOING_DOWN
    return now is None or now.state not in ("interrupted", "reboot", "empty")


def undo(state: Path, number: int, options: Options) -> int:
    """Takes a run back, its last action first."""
    folder = state / "runs" / str(number)
    plan = history.read_plan(folder)
    with locked(state):
        unit_of = _Unit(state, folder)
        (folder / PROMISED).unlink(missing_ok=True)
        outcome = take_back(
            plan, folder, person=_entry(plan), show=Ending(options).progress, force=options.force
        )
        unit_of.disarm()
        return Ending(options).undone(folder, outcome)


def _go(
    plan: Plan, folder: Path, state: Path, options: Options, content: tuple[Path, ...], *, armed: bool
) -> int:
    ending = Ending(options)
    user = _entry(plan)
    means = Means(is_ok=lambda name: ending.is_ok(name, user, content or _own_content()))
    outcome = run(plan, folder, person=user, show=ending.progress, means=means)
    locks = keep_lock(plan, folder, options.lock, done=outcome.state == "done")
    if outcome.state == "reboot":
        agreed = options.reboot and armed
        if agreed and _reboots(ending, outcome):
            return ending.rebooting(plan, folder, outcome)
        return ending.waiting_for_reboot(plan, folder, outcome, armed=armed, refused=agreed)
    if outcome.state == "done":
        return _verified(plan, folder, outcome, ending, content, _Unit(state, folder), locks)
    if outcome.message != GOING_DOWN:
        _Unit(state, folder).disarm()
    return ending.stopped_at(plan, folder, outcome)


def _reboots(ending: Ending, outcome: Outcome) -> bool:
    ending.about_to_reboot(outcome)
    # There is still something to say when the machine ends its processes.
    former = {number: signal.signal(number, signal.SIG_IGN) for number in (signal.SIGTERM, signal.SIGHUP)}
    if unit.reboot():
        return True
    for number, handler in former.items():
        signal.signal(number, handler)
    return False


def _verified(
    plan: Plan,
    folder: Path,
    outcome: Outcome,
    ending: Ending,
    content: tuple[Path, ...],
    unit_of: _Unit,
    locks: Locks,
) -> int:
    """The named checks again, as the user with the groups of a fresh login; then the run has ended.

    The unit stays until then: where the power fails in the meantime, the next boot verifies.
    """
    try:
        report = ending.verify(plan, _entry(plan), content or _own_content())
        _note_the_end(plan, folder, report)
    finally:
        unit_of.disarm()
    return ending.done(plan, folder, outcome, report, locks)


def _note_the_end(plan: Plan, folder: Path, report: Report) -> None:
    if not report.wrong:
        # From now on `check` takes what these name for lost, not for absent, when it is not there.
        (folder / PROMISED).write_text("".join(f"{name}\n" for name in plan.verify), encoding="ascii")
    book = journal.Journal(folder / journal.FILE)
    try:
        book.write("verified", verified=report.state, wrong=[name for name, _ in report.wrong])
        book.write("end")
    finally:
        book.close()


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
        if os.geteuid() != 0:
            return
        try:
            unit.disarm()
        except OSError as error:
            # It does nothing for a run that has ended, so that this is no reason to fail.
            sys.stderr.write(f"rocmdoctor: the unit {unit.NAME} stays: {_words(error)}\n")


__all__ = ["Options", "Report", "begin_here", "guarded", "main", "resume", "undo"]
