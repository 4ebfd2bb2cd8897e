"""Content, facts and a wish put together into a plan: what `plan`, `install` and `env` share."""

from __future__ import annotations

import os
import pwd
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from rocmdoctor.actions import Person, Plan, Request
from rocmdoctor.cli.errors import PlacedError
from rocmdoctor.cli.running import Judge, Outcome
from rocmdoctor.content import ContentError, bundled, load_patches, load_recipes, own_folders
from rocmdoctor.diagnosis.known import Known
from rocmdoctor.diagnosis.registry import Check
from rocmdoctor.diagnosis.runner import Diagnosis
from rocmdoctor.facts.access import Session
from rocmdoctor.hosts.replay import from_raw
from rocmdoctor.model import Answer, Query, Snapshot, Wish
from rocmdoctor.ops import all_operations
from rocmdoctor.ops.ground import Ground, Locked
from rocmdoctor.patching import BadPatchError
from rocmdoctor.planning.interpreter import folder
from rocmdoctor.planning.order import NoSuchTargetError
from rocmdoctor.planning.plan import Cookbook, fill, foretold, outline, questions, without_root
from rocmdoctor.planning.preflight import notes, refusals
from rocmdoctor.planning.refusal import RefusedError
from rocmdoctor.recipe import BadRecipeError

if TYPE_CHECKING:
    from rocmdoctor.hosts.caller import Apart

Ask = Callable[[Iterable[Query]], dict[str, Any]]
NOTHING_LOCKED: Mapping[str, Locked] = {}


@dataclass(frozen=True)
class Drawn:
    """A plan with what it was made from."""

    plan: Plan
    known: Known
    diagnosis: Diagnosis


class Kitchen:
    """Checks, tables, recipes and operations, ready to plan from any snapshot."""

    def __init__(self, content: tuple[Path, ...], arch: str | None = None) -> None:
        self.content = own_folders(content)
        self._judge = Judge(self.content, Wish(level=None, arch=arch))
        folders, checks = (bundled(), *self.content), {item.id for item in self._judge.checks}
        try:
            found = load_recipes(folders, checks)
            self.projects = load_patches(folders, checks)
        except BadRecipeError as error:
            raise PlacedError(error.where, error.message) from error
        except BadPatchError as error:
            raise PlacedError(error.where, error.message) from error
        except ContentError as error:
            raise PlacedError(error.where, str(error)) from error
        self.book = Cookbook(found, all_operations())

    @property
    def checks(self) -> list[Check]:
        """All checks, in their order."""
        return self._judge.checks

    def judge(self, snapshot: Snapshot) -> Outcome:
        """What the checks say of a snapshot."""
        return self._judge.judge(snapshot)

    def known(self, snapshot: Snapshot) -> Known:
        """The facts of a snapshot."""
        return self._judge.judge(snapshot, set()).known

    def foretold(self, request: Request) -> list[Query]:
        """What can be asked before a snapshot is there. Raises click's UsageError for a target that does not exist."""
        try:
            return foretold(request, self.book)
        except NoSuchTargetError as error:
            raise click.UsageError(str(error)) from error

    def draw(
        self,
        request: Request,
        snapshot: Snapshot,
        person: Person,
        ask: Ask | None,
        locked: Mapping[str, Locked] = NOTHING_LOCKED,
    ) -> Drawn:
        """A plan for the machine of the snapshot; `ask` puts the operations' questions to it, None where nobody can.

        `locked` are the files that a lock names.

        Raises RefusedError, and click's UsageError for a target that does not exist.
        """
        outcome = self._judge.judge(snapshot)
        verdicts = {v.id: v for v in outcome.diagnosis.verdicts}
        ground = Ground(outcome.known, snapshot.answers, person)
        ground.projects, ground.verdicts = self.projects, verdicts
        ground.locked, ground.folder = locked, request.mirror_folder or ""
        try:
            drawn = outline(request, self.book, ground, verdicts)
        except NoSuchTargetError as error:
            raise click.UsageError(str(error)) from error
        answers: Mapping[str, Answer] = snapshot.answers
        asked = questions(drawn, ground)
        if asked and ask is not None:
            answers = {**answers, **from_raw({"schema": 1, "answers": ask(asked)}).answers}
        full = Ground(outcome.known, answers, person, drawn.gfx)
        full.projects, full.verdicts = self.projects, verdicts
        full.locked, full.folder = ground.locked, ground.folder
        full.claims.update(ground.claims)
        plan = fill(drawn, full)
        if request.no_root:
            plan = without_root(plan)
        against = refusals(plan, outcome.known)
        if against:
            raise RefusedError(*against)
        more = replace(plan, notes=(*plan.notes, *notes(outcome.known)))
        return Drawn(more, outcome.known, outcome.diagnosis)


def draw_here(
    request: Request,
    content: tuple[Path, ...],
    patience: float,
    locked: Mapping[str, Locked] = NOTHING_LOCKED,
) -> Drawn:
    """A plan for this machine, as `Kitchen.draw`.

    The machine answers while the recipes are read, and apt answers beside it: on most machines these take longest.
    """
    from rocmdoctor.cli.next_login import NextLogin
    from rocmdoctor.cli.taking import begin, patient

    person = person_here()
    env = env_here(request.env, person)
    with begin(patience, env, trial=NextLogin(patience)) as collecting:
        kitchen = Kitchen(content)
        early = kitchen.foretold(request)
        with _asking(early, patience) as asked:
            with patient() as progress:
                taken = from_raw(collecting.answer(progress))

            def ask(queries: Iterable[Query]) -> dict[str, Any]:
                wanted = list(queries)
                others = ask_here(patience)(query for query in wanted if query not in early)
                return {**others, **asked.answer()} if any(query in early for query in wanted) else others

            return kitchen.draw(request, taken, person, ask, locked)


def env_here(env: str | None, person: Person) -> str | None:
    """The Python environment that is looked at: the one that is named, else the managed one; None where it is not there."""
    path = Path(folder(Request((), env=env), person.home))
    return str(path) if path.is_dir() else None


def ask_here(patience: float) -> Ask:
    """Puts questions to this machine, as the calling user, in a child that cannot hold us."""

    def ask(queries: Iterable[Query]) -> dict[str, Any]:
        with _asking(queries, patience) as child:
            return child.answer()

    return ask


def _asking(queries: Iterable[Query], patience: float) -> Apart:
    from rocmdoctor.hosts.caller import Apart
    from rocmdoctor.hosts.machine import Machine

    # apt-get reads all package lists for one answer: seconds on a slow disk.
    stretched = 6 * patience
    wanted = list(queries)
    return Apart(lambda tell: Machine("/", stretched).ask(wanted, tell), 40 * patience)


def person_here() -> Person:
    """For whom this machine is set up: the caller of sudo, else who runs this."""
    from rocmdoctor.hosts.caller import calling_user

    user = calling_user()
    if user is not None:
        return Person(user.pw_name, user.pw_uid, user.pw_dir, user.pw_shell)
    try:
        entry = pwd.getpwuid(os.geteuid())
    except KeyError:
        raise click.UsageError(
            f"user number {os.geteuid()} has no name on this machine, so nothing can be set up for it"
        ) from None
    home = os.environ.get("HOME", "")
    return Person(entry.pw_name, entry.pw_uid, home if home.startswith("/") else entry.pw_dir, entry.pw_shell)


def person_of(snapshot: Snapshot, known: Known) -> Person:
    """Who took a snapshot, as far as it says."""
    session = known.maybe(Session)
    home = snapshot.answers.get("env:HOME")
    name = (session.name if session else None) or "user"
    return Person(name, session.uid if session else 1000, home.text if home and home.ok else f"/home/{name}")
