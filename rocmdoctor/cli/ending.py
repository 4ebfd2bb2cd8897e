"""What is said when a run ends, one way or another: in words on stderr and stdout, or as one JSON envelope."""

from __future__ import annotations

import pwd
import sys
import traceback
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rocmdoctor.actions import Plan
from rocmdoctor.applying import journal
from rocmdoctor.applying.lock import who_holds
from rocmdoctor.facts.access import KFD
from rocmdoctor.reports.envelope import envelope
from rocmdoctor.reports.json_plan import data_of_plan
from rocmdoctor.reports.run_text import busy_text, done_text, stopped_text, undone_text, waiting_text

if TYPE_CHECKING:
    from rocmdoctor.applying.progress import Progress
    from rocmdoctor.applying.run_plan import Outcome
    from rocmdoctor.applying.undo import Undone
    from rocmdoctor.cli.locking import Locks
    from rocmdoctor.cli.runner import Options
    from rocmdoctor.cli.verifying import Verified

VERIFY_SECONDS = 240.0
REBOOT = 102


@dataclass(frozen=True)
class Report:
    """What verifying found. `state`: ran, compiled or no; `wrong` and `unknown` are check ids with the reason."""

    state: str
    wrong: tuple[tuple[str, str], ...] = ()
    unknown: tuple[tuple[str, str], ...] = ()


class Ending:
    """Says how it went. `options` tell to whom."""

    def __init__(self, options: Options) -> None:
        self._options = options

    @property
    def progress(self) -> Progress:
        """Shows the steps as they run."""
        from rocmdoctor.applying.progress import Progress

        return Progress(
            sys.stderr,
            width=self._options.width,
            terminal=not self._options.unattended and sys.stderr.isatty(),
        )

    # ------------------------------------------------------------ verify

    def verify(self, plan: Plan, user: pwd.struct_passwd | None, content: tuple[Path, ...]) -> Report:
        """The checks that the plan names, asked anew in a child that has the groups of a fresh login."""
        from rocmdoctor.hosts.caller import apart

        compiling = f", compiling for {', '.join(plan.gfx)}" if plan.gfx else ""
        self._say(f"verifying: collecting again{compiling}")
        seconds = VERIFY_SECONDS * max(1.0, self._options.patience)
        try:
            said = apart(lambda _tell: _checked(plan, content, self._options.patience), None, seconds, user)
        except OSError as error:
            return Report("no", wrong=(("verify", str(error)),))
        return Report(said["state"], _pairs(said["wrong"]), _pairs(said["unknown"]))

    def is_ok(self, check: str, user: pwd.struct_passwd | None, content: tuple[Path, ...]) -> bool:
        """What a check says now, asked as the user; a check that cannot be asked is not ok."""
        from rocmdoctor.hosts.caller import apart

        try:
            said = apart(lambda _tell: {"status": _status(check, content)}, None, VERIFY_SECONDS, user)
        except OSError:
            return False
        return bool(said["status"] == "ok")

    # ------------------------------------------------------------ ends

    def done(self, plan: Plan, folder: Path, outcome: Outcome, report: Report, locks: Locks) -> int:
        """All steps are done. 1 when a check that the recipes name fails."""
        code = 1 if report.wrong else 0
        then = tuple(dict.fromkeys(a.then for a in plan.actions if a.then and a.id in outcome.done))
        problems = [
            {"code": "check-failed", "message": f"{name}: {why}", "where": name} for name, why in report.wrong
        ]
        if self._options.json:
            data = {
                **self._data(plan, folder),
                "verified": report.state,
                "then": list(then),
                "lock": locks.path,
            }
            problems += [{"code": "lock", "message": why, "where": locks.path} for why in locks.wrong]
            return self._envelope("findings" if report.wrong else "ok", code, data, problems)
        if self._options.told:
            return code
        self._print(
            done_text(
                plan,
                len(outcome.done),
                report.state,
                report.wrong,
                report.unknown,
                then,
                folder.name,
                locks.says,
            )
        )
        return code

    def stopped_at(self, plan: Plan, folder: Path, outcome: Outcome) -> int:
        """A step failed, or somebody pressed Ctrl-C."""
        code = 130 if outcome.state == "stopped" else 4
        if self._options.json:
            problem = {"code": outcome.state, "message": outcome.message, "where": outcome.action}
            return self._envelope("error", code, self._data(plan, folder), [problem])
        self._print(
            stopped_text(
                outcome.state, outcome.action, outcome.message, folder.name, self._options.unattended
            ),
            error=True,
        )
        return code

    def waiting_for_reboot(
        self, plan: Plan, folder: Path, outcome: Outcome, *, armed: bool, refused: bool
    ) -> int:
        """Done so far; the rest needs a reboot that nobody agreed to, or that systemd refused."""
        text = waiting_text(outcome.message, folder.name, _gpu_users(), armed=armed, refused=refused)
        if self._options.json:
            return self._to_reboot(plan, folder, outcome, "reboot-needed", text)
        self._print(text)
        return REBOOT

    def about_to_reboot(self, outcome: Outcome) -> None:
        """Said while there is still a terminal."""
        text = f"{busy_text(_gpu_users())}rebooting now: {outcome.message}"
        self._say(f"{text}; the installation goes on by itself after it")

    def rebooting(self, plan: Plan, folder: Path, outcome: Outcome) -> int:
        """The machine goes down now."""
        if not self._options.json:
            return REBOOT
        return self._to_reboot(plan, folder, outcome, "rebooting", f"rebooting now: {outcome.message}")

    def _to_reboot(self, plan: Plan, folder: Path, outcome: Outcome, code: str, text: str) -> int:
        problem = {"code": code, "message": " ".join(text.split()), "where": outcome.action}
        return self._envelope("findings", REBOOT, self._data(plan, folder), [problem])

    def undone(self, folder: Path, outcome: Undone) -> int:
        """A run was taken back, as far as it could be."""
        code = 130 if outcome.failed.startswith("stopped") else 4 if outcome.failed else 0
        if self._options.json:
            problems = [{"code": "not-undone", "message": why, "where": name} for name, why in outcome.left]
            data = {"run": folder.name, "undone": list(outcome.undone), "left": dict(outcome.left)}
            return self._envelope("error" if code else "ok", code, data, problems)
        self._print(
            undone_text(len(outcome.undone), outcome.left, outcome.failed, folder.name), error=bool(code)
        )
        return code

    def trouble(self, message: str) -> int:
        """It could not begin, or not go on."""
        return self._without_a_plan(4, "step-failed", message)

    def cut_off(self) -> int:
        """Ctrl-C before the first step, or while the end is verified."""
        message = "stopped by Ctrl-C; 'rocmdoctor history' shows how far it came, 'rocmdoctor resume' goes on"
        return self._without_a_plan(130, "stopped", message)

    def bug(self, error: Exception) -> int:
        """Something of ours is wrong; what was done is in the journal."""
        last = traceback.extract_tb(error.__traceback__)[-1]
        where = f"{Path(last.filename).name}:{last.lineno}"
        message = f"{where}: this is a bug in rocmdoctor: {type(error).__name__}: {error}"
        return self._without_a_plan(70, "bug", message)

    def _without_a_plan(self, code: int, kind: str, message: str) -> int:
        if self._options.json and not self._options.told:
            return self._envelope("error", code, {}, [{"code": kind, "message": message, "where": ""}])
        self._say(f"rocmdoctor: {message}")
        return code

    # ------------------------------------------------------------ how it is said

    def _data(self, plan: Plan, folder: Path) -> dict[str, Any]:
        state = journal.state(journal.read(folder / journal.FILE))
        words = {
            **dict.fromkeys(state.done, "done"),
            **dict.fromkeys(state.skipped, "skipped"),
            **dict.fromkeys(state.failed, "failed"),
        }
        data = data_of_plan(plan)
        steps = [
            {**step, "state": words.get(step["id"], "begun" if step["id"] in state.begun else "open")}
            for step in data["steps"]
        ]
        return {**data, "steps": steps, "run": folder.name}

    def _envelope(
        self,
        status: str,
        code: int,
        data: Mapping[str, Any],
        errors: list[dict[str, str]],
    ) -> int:
        if not self._options.told:
            sys.stdout.write(envelope(self._options.verb, status, code, data, errors) + "\n")
            sys.stdout.flush()
        return code

    def _print(self, text: str, *, error: bool = False) -> None:
        (sys.stderr if error else sys.stdout).write(text + "\n")

    def _say(self, text: str) -> None:
        sys.stderr.write(text + "\n")
        sys.stderr.flush()


def _gpu_users() -> tuple[str, ...]:
    """Processes that a reboot would take from the GPUs, as far as we may see them."""
    return tuple(map(str, who_holds(KFD)))


def _status(check: str, content: tuple[Path, ...]) -> str:
    from rocmdoctor.cli.next_login import NextLogin
    from rocmdoctor.cli.running import Judge
    from rocmdoctor.cli.taking import take
    from rocmdoctor.model import Wish

    return Judge(content, Wish()).judge(take(trial=NextLogin()), {check}).diagnosis.verdict(check).status


def _pairs(raw: Any) -> tuple[tuple[str, str], ...]:
    return tuple((str(name), str(why)) for name, why in raw)


def _checked(plan: Plan, content: tuple[Path, ...], patience: float) -> dict[str, Any]:
    """In the child: collect, compile, judge."""
    from rocmdoctor.cli.verifying import GROUP, verify
    from rocmdoctor.planning.interpreter import folder

    # The managed environment is looked at where it is there, as it is when the plan is made.
    env = folder(plan.request, plan.person.home)
    found = verify(plan.gfx, plan.verify, content, patience, env=env if Path(env).is_dir() else None)
    # The proof is always tried, and counts where a recipe calls for it: not every one brings a compiler.
    counts = set(plan.verify)
    if any(name.startswith(f"{GROUP}.") for name in counts):
        counts |= {verdict.id for verdict in found.verdicts}
    return {
        "state": found.state,
        "wrong": list(_verdicts(found, counts, ("fail", "broken"))),
        "unknown": list(_verdicts(found, counts, ("unknown",))),
    }


def _verdicts(found: Verified, counts: set[str], statuses: tuple[str, ...]) -> Iterator[tuple[str, str]]:
    for verdict in found.verdicts:
        if verdict.id in counts and verdict.status in statuses:
            yield verdict.id, verdict.why
