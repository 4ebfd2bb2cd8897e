"""Carries out a plan, from wherever it stands: what is done is skipped, what was begun is mended and done again."""

from __future__ import annotations

import pwd
import re
from pathlib import Path

from rocmdoctor.actions import Action, Exec, Plan, Reboot, WriteFile
from rocmdoctor.applying.encoding import plan_hash
from rocmdoctor.applying.events import Event, Watch, nobody
from rocmdoctor.applying.execute import found_done, is_there, perform
from rocmdoctor.applying.journal import FILE, Journal, JournalError
from rocmdoctor.applying.steps import Context, StepError, StoppedError
from rocmdoctor.applying.stopping import AFTER_THIS, AT_ONCE, GOING_DOWN, Stop
from rocmdoctor.applying.work import Means, Work, heeding
from rocmdoctor.frozen import frozen

DONE, FAILED, STOPPED, REBOOT = "done", "failed", "stopped", "reboot"
_SAID = {
    AFTER_THIS: "stopping: programs that change packages are let finish; Ctrl-C again ends them too",
    AT_ONCE: "stopping at once",
}


@frozen
class Outcome:
    """How far a run came. `state`: done, failed, stopped or reboot; `action` is the id of the action that decided it.

    `message` says why, with the last lines of its programs and where the log lies. `done` are the ids of all actions that
    are done by now, also by earlier tries.
    """

    state: str
    action: str = ""
    message: str = ""
    done: tuple[str, ...] = ()


def run(
    plan: Plan,
    folder: Path,
    *,
    person: pwd.struct_passwd | None = None,
    show: Watch = nobody,
    means: Means | None = None,
    stop: Stop | None = None,
) -> Outcome:
    """Carries out what is left of a plan. The caller holds the lock, and notes `verified` and `end` after it.

    `person`: whom to become for the user's actions, None when that is who we are. Signals are listened to unless `stop`
    is given: then the caller does. Raises JournalError for a journal that cannot be read.
    """
    given = means or Means()
    journal = Journal(folder / FILE, boot=given.boot)
    try:
        with heeding(stop, lambda level: show(Event("stopping", text=_SAID[level]))) as wish:
            return _Run(plan, folder, person, show, given, wish, journal).all()
    finally:
        journal.close()


class _Run(Work):
    def all(self) -> Outcome:
        """Every action that is left."""
        try:
            outcome = self._begin() or self._each()
        except JournalError as error:
            outcome = Outcome(FAILED, message=str(error))
        return Outcome(outcome.state, outcome.action, outcome.message, tuple(self.journal.state.done))

    def _each(self) -> Outcome:
        for number, action in enumerate(self.plan.actions, 1):
            if (outcome := self._one(number, action)) is not None:
                return outcome
        return Outcome(DONE)

    def _begin(self) -> Outcome | None:
        lines = self.journal.lines
        digest = plan_hash(self.plan)
        if self.journal.state.undoing:
            return Outcome(
                FAILED,
                message=f"{self.folder}: this run is being taken back; let undo end, then install anew",
            )
        if not lines:
            self.journal.write("run-begin", plan=digest)
        elif lines[0].more.get("plan") != digest:
            return Outcome(
                FAILED,
                message=f"{self.folder}: the plan has the sha256 {digest}, the run was begun with"
                f" {lines[0].more.get('plan')}; nothing was done",
            )
        else:
            self.journal.write("resumed")
        if not self.settled():
            return self._left_behind()
        return None

    def _left_behind(self) -> Outcome:
        if self.stop.wish() >= AFTER_THIS:
            return self._stopped("")
        message = "the package manager that an interrupted run began is still at work; nothing was done: wait for it, then resume"
        self.journal.write("failed", message=message)
        return Outcome(FAILED, message=message)

    def _one(self, number: int, action: Action) -> Outcome | None:
        """None: go on with the next."""
        now = self.journal.state
        if action.id in now.done or action.id in now.skipped:
            return None
        if self.stop.wish() >= AFTER_THIS:
            return self._stopped("")
        if isinstance(action.do, Reboot):
            return self._reboot(number, action, action.do)
        again = action.id in now.begun
        if not again and is_there(action):
            self.journal.write("skipped", action.id, why=f"{_creates(action)} is there")
            self.tell("skipped", number, action, f"{_creates(action)} is there")
            return None
        return self._try(number, action, again=again)

    def _try(self, number: int, action: Action, *, again: bool) -> Outcome | None:
        context = self._context(number, action)
        self.journal.write("begin", action.id, log=str(context.log.relative_to(self.folder)))
        self.tell("begin", number, action)
        try:
            if again and self._is_done(action):
                more = found_done(action, context)
            else:
                more = perform(action, context, again=again)
        except StoppedError:
            return self._stopped(action.id)
        except StepError as error:
            if self.stop.why == GOING_DOWN:
                # The step's programs were ended with us; resume mends that.
                return self._stopped(action.id)
            return self._failed(number, action, error, context)
        self.journal.write("done", action.id, **more)
        self.tell("done", number, action)
        return None

    def _is_done(self, action: Action) -> bool:
        """An action that was cut off may have been done all the same. Files are simply looked at again."""
        if isinstance(action.do, WriteFile):
            return False
        asked = bool(action.skip_if) and self.means.is_ok is not None and self.means.is_ok(action.skip_if)
        return asked or is_there(action)

    def _context(self, number: int, action: Action) -> Context:
        name = re.sub(r"[^A-Za-z0-9._-]", "_", action.id)[:100]
        return self.context(number, action, f"{number:03}-{name}.log")

    def _reboot(self, number: int, action: Action, do: Reboot) -> Outcome | None:
        asked = self.journal.state.asked.get(action.id)
        if asked is not None and asked.boot != self.journal.boot:
            self.journal.write("done", action.id)
            self.tell("done", number, action)
            return None
        if asked is None:
            self.journal.write("reboot-asked", action.id, why=do.why)
        return Outcome(REBOOT, action.id, do.why)

    def _stopped(self, step: str) -> Outcome:
        self.journal.write("stopped", step, why=self.stop.why)
        return Outcome(STOPPED, step, GOING_DOWN if self.stop.why == GOING_DOWN else "as was asked")

    def _failed(self, number: int, action: Action, error: StepError, context: Context) -> Outcome:
        try:
            more = dict(found_done(action, context))
        except StepError:
            more = {}
        more.pop("found", None)
        message = str(error)
        try:
            self.journal.write(
                "failed",
                action.id,
                message=error.message,
                log=str(error.log or ""),
                tail=list(error.tail),
                **more,
            )
        except JournalError as second:
            message = f"{message}\n{second}"
        self.tell("failed", number, action, message)
        return Outcome(FAILED, action.id, message)


def _creates(action: Action) -> str:
    return action.do.creates if isinstance(action.do, Exec) else ""
