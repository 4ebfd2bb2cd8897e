"""What carrying out a plan and taking it back have in common: what they work on, with, and whom they tell."""

from __future__ import annotations

import pwd
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from rocmdoctor.actions import Action, Person, Plan
from rocmdoctor.applying import failures, leftovers
from rocmdoctor.applying.events import Event, Watch
from rocmdoctor.applying.failures import Failure
from rocmdoctor.applying.journal import Journal
from rocmdoctor.applying.lock import PACKAGE_LOCKS
from rocmdoctor.applying.steps import LOCK_SECONDS, Context
from rocmdoctor.applying.stopping import Stop, listening
from rocmdoctor.frozen import frozen


@frozen
class Means:
    """What a run can be given. `is_ok` says whether a check is ok now; `failures` None: the table that came along.

    `boot` stands for the kernel's boot id in tests, `locks` for the package manager's.
    """

    is_ok: Callable[[str], bool] | None = None
    failures: tuple[Failure, ...] | None = None
    locks: tuple[str, ...] = PACKAGE_LOCKS
    lock_seconds: float = LOCK_SECONDS
    boot: str | None = None


class Work:
    """A plan in its folder, with all that its steps are done with. `person`: whom to become for the user's steps."""

    # What stands before the words of each step.
    prefix = ""

    def __init__(
        self,
        plan: Plan,
        folder: Path,
        person: pwd.struct_passwd | None,
        watch: Watch,
        means: Means,
        stop: Stop,
        journal: Journal,
    ) -> None:
        self.plan, self.folder, self.watch = plan, folder, watch
        self.means, self.stop, self.journal = means, stop, journal
        self.person = (
            Person(person.pw_name, person.pw_uid, person.pw_dir, person.pw_shell) if person else None
        )
        self.failures = failures.table() if means.failures is None else means.failures

    def settled(self) -> bool:
        """Nothing of an earlier try is still at work, or has been waited for."""
        return leftovers.settle(
            self.folder, self.stop, lambda text: self.watch(Event("note", text=text)), self.means.lock_seconds
        )

    def context(self, number: int, action: Action, log: str) -> Context:
        """Where a step is done. `log` is the name of its log."""
        return Context(
            self.folder,
            self.person,
            number,
            self.folder / "logs" / log,
            self.stop,
            lambda line: self.tell("line", number, action, line),
            self.failures,
            self.means.locks,
            self.means.lock_seconds,
        )

    def tell(self, kind: str, number: int, action: Action, text: str = "") -> None:
        """Tells whoever watches of a step."""
        self.watch(Event(kind, number, len(self.plan.actions), f"{self.prefix}{action.says}", text))


@contextmanager
def heeding(stop: Stop | None, said: Callable[[int], None]) -> Iterator[Stop]:
    """The wish to stop: the one that is given, else one that signals raise; `said` is told of those."""
    if stop is not None:
        yield stop
        return
    wish = Stop(said)
    with listening(wish):
        yield wish
