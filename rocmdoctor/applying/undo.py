"""Takes a run back, its last action first, from what its journal and backups say; goes on where it was cut off."""

from __future__ import annotations

import pwd
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rocmdoctor.actions import Action, ApplyPatch, Fetch, Plan, WriteFile
from rocmdoctor.applying.events import Event, Watch, nobody
from rocmdoctor.applying.execute import whom
from rocmdoctor.applying.give_back import LeftError, commands, packages, patch, restore
from rocmdoctor.applying.journal import FILE, Journal, JournalError
from rocmdoctor.applying.steps import Context, StepError, StoppedError
from rocmdoctor.applying.stopping import AFTER_THIS, Stop
from rocmdoctor.applying.work import Means, Work, heeding
from rocmdoctor.frozen import frozen


@frozen
class Undone:
    """What is taken back by now, by id; what was left, with the reason; why it could not go on, empty when it did."""

    undone: tuple[str, ...] = ()
    left: tuple[tuple[str, str], ...] = ()
    failed: str = ""


def take_back(
    plan: Plan,
    folder: Path,
    *,
    person: pwd.struct_passwd | None = None,
    show: Watch = nobody,
    force: bool = False,
    means: Means | None = None,
    stop: Stop | None = None,
) -> Undone:
    """Takes back what the run did. The caller holds the lock. Raises JournalError for a journal that cannot be read.

    `force`: files that somebody changed since are restored too.
    """
    given = means or Means()
    journal = Journal(folder / FILE, boot=given.boot)
    try:
        with heeding(
            stop, lambda _level: show(Event("stopping", text="stopping; undo again goes on"))
        ) as wish:
            return _Undo(plan, folder, person, show, given, wish, journal, force=force).all()
    finally:
        journal.close()


class _Undo(Work):
    prefix = "take back: "

    def __init__(self, *given: Any, force: bool) -> None:
        super().__init__(*given)
        self.force = force
        self.left: list[tuple[str, str]] = []

    def all(self) -> Undone:
        """Every action that was done or begun, the last first."""
        failed = ""
        try:
            failed = self._each()
            if not failed:
                self.journal.write("end", result="undone", left=dict(self.left))
        except JournalError as error:
            failed = str(error)
        return Undone(tuple(self.journal.state.undone), tuple(self.left), failed)

    def _each(self) -> str:
        """Why it could not go on, empty when it came to the end."""
        self.journal.write("undo-begin", force=self.force)
        if not self.settled():
            return "the package manager that an interrupted run began is still at work; wait for it, then undo again"
        for number, action in reversed(list(enumerate(self.plan.actions, 1))):
            if self.stop.wish() >= AFTER_THIS:
                self.journal.write("stopped")
                return "stopped, as was asked"
            if failed := self._one(number, action):
                return failed
        return ""

    def _one(self, number: int, action: Action) -> str:
        state = self.journal.state
        noted = state.done.get(action.id) or state.failed.get(action.id) or state.begun.get(action.id)
        if noted is None:
            return ""
        context = self.context(number, action, f"undo-{number:03}.log")
        done = action.id in state.done
        again = not done or any(x.event == "undo-begin" and x.action == action.id for x in self.journal.lines)
        self.tell("begin", number, action)
        self.journal.write("undo-begin", action.id)
        try:
            self._take_back(action, noted.more, context, done=done, again=again)
        except LeftError as error:
            self.left.append((action.id, str(error)))
            self.journal.write("skipped", action.id, undo=True, why=str(error))
            self.tell("skipped", number, action, str(error))
            return ""
        except StoppedError:
            self.journal.write("stopped", action.id)
            return "stopped, as was asked"
        except StepError as error:
            self.journal.write(
                "failed", action.id, undo=True, message=error.message, log=str(error.log or "")
            )
            self.tell("failed", number, action)
            return f"{action.id}: {error}"
        self.journal.write("undone", action.id)
        self.tell("done", number, action)
        return ""

    def _take_back(
        self, action: Action, more: Mapping[str, Any], context: Context, *, done: bool, again: bool
    ) -> None:
        kind = action.undo.kind
        if kind == "nothing":
            return
        if kind == "impossible":
            raise LeftError(action.undo.says or "it cannot be taken back")
        person = whom(action, self.person)
        changed = True
        if kind == "packages":
            self.left += [(action.id, remark) for remark in packages(action, more, context, done=done)]
        elif kind == "restore" and isinstance(action.do, WriteFile | Fetch):
            changed = restore(action.do, person, context, force=self.force)
        elif isinstance(action.do, ApplyPatch):
            changed = patch(action.do, action, person, context)
        if kind in ("commands", "restore") and changed:
            commands(action, person, context, again=again)
