"""From the faults of a machine to their cures: judge, plan, agree, carry out, judge again."""

from __future__ import annotations

import os
import shlex
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path

import click

from rocmdoctor.actions import Plan, Request
from rocmdoctor.cli.asking import patient, take
from rocmdoctor.cli.carrying import DECLINED, Consent, Errand, agreement, start, way_to_root
from rocmdoctor.cli.env_seen import as_seen, env_seen
from rocmdoctor.cli.install_options import Wanted, options_of
from rocmdoctor.cli.installing import loaded
from rocmdoctor.cli.next_login import NewSession, NextLogin
from rocmdoctor.cli.planned import Ask, Drawn, Kitchen, ask_here, person_here, person_of
from rocmdoctor.cli.run_seen import RunSeen, newest
from rocmdoctor.cli.running import select
from rocmdoctor.cli.terminal import style
from rocmdoctor.diagnosis.known import Known
from rocmdoctor.diagnosis.runner import Diagnosis
from rocmdoctor.facts.python_env import CHOOSERS
from rocmdoctor.model import Snapshot, Verdict
from rocmdoctor.planning.fixing import (
    PLANNED,
    Cause,
    Picked,
    acted,
    exit_code,
    fixing_request,
    from_log,
    judged,
    pick,
    unplanned,
)
from rocmdoctor.planning.refusal import Refusal, RefusedError
from rocmdoctor.reports.envelope import envelope
from rocmdoctor.reports.fix_text import became_text, data_of_fix, found_text, nothing_text
from rocmdoctor.reports.plan_text import plan_text

# A cure can uncover another fault, and that one another; each recipe is tried once.
_ROUNDS = 4
_REBOOT, _INTERRUPTED, _BUG, _STEP = 102, 130, 70, 4


def fix(
    named: tuple[str, ...],
    leave: tuple[str, ...],
    wanted: Wanted,
    snapshot: Path | None,
    consent: Consent | None,
    logs: tuple[str, ...] = (),
    *,
    as_json: bool,
) -> int:
    """The verb. `consent` is None where nothing is to be done."""
    kitchen = Kitchen(wanted.content)
    chosen = select(kitchen.checks, named, leave, named_by="")
    here = snapshot is None
    env = wanted.asked.env or (_active() if here else None)
    cure = Cure(
        kitchen, replace(wanted, asked=replace(wanted.asked, env=env)), named, leave, chosen, as_json, logs
    )
    if snapshot is not None:
        return cure.of_snapshot(loaded(snapshot))
    return cure.here(consent)


def _active() -> str | None:
    """The Python environment that is active."""
    for name in CHOOSERS:
        path = os.environ.get(name, "")
        if path.startswith("/") and Path(path).is_dir():
            return os.path.normpath(path)
    return None


@dataclass
class Cure:
    """One call of the verb, in rounds: a cure can uncover another fault."""

    kitchen: Kitchen
    wanted: Wanted
    named: tuple[str, ...]
    leave: tuple[str, ...]
    chosen: set[str]
    as_json: bool
    logs: tuple[str, ...] = ()
    causes: dict[str, Cause] = field(default_factory=dict)
    plans: list[Plan] = field(default_factory=list)
    runs: list[RunSeen] = field(default_factory=list)
    errors: list[dict[str, str]] = field(default_factory=list)
    blind: bool = False

    # ------------------------------------------------------------ only looking

    def of_snapshot(self, snapshot: Snapshot) -> int:
        """What would be done on the machine of a snapshot."""
        outcome = self.kitchen.judge(snapshot)
        picked = self._picked(outcome.diagnosis)
        drawn = self._plan(picked, snapshot, outcome.known, None)
        self._show(picked, drawn)
        return self._looked_at(picked, snapshot)

    def here(self, consent: Consent | None) -> int:
        """This machine; without consent nothing is done."""
        for _ in range(_ROUNDS):
            picked = self._picked(self._judged(None))
            # What a cure has uncovered counts, also where it is for a person to cure.
            if self.runs and not picked.causes:
                break
            drawn = self._planned_here(picked)
            self._show(picked, drawn)
            if consent is None or drawn is None:
                break
            code = self._carry_out(drawn, consent)
            if code in (DECLINED, _INTERRUPTED, _BUG) and not self.runs:
                return code
            if code not in (0, 1):
                return self._end(code)
        return self._end(0) if self.runs else self._looked_at(picked)

    def _looked_at(self, picked: Picked, snapshot: Snapshot | None = None) -> int:
        """The end where nothing was done."""
        code = 1 if self.causes else exit_code((), picked.fine) or (6 if self.blind else 0)
        if self.as_json:
            self._envelope(code)
        elif not self.causes:
            click.echo(nothing_text(picked))
        elif any(cause.state == PLANNED for cause in self.causes.values()):
            where = "Next" if snapshot is None else "On that machine"
            click.echo(f"{where}: {self._command()}")
        return code

    # ------------------------------------------------------------ judging and planning

    def _judged(self, trial: NextLogin | None) -> Diagnosis:
        with patient() as progress:
            taken = take("/", self.wanted.patience, progress, self.wanted.asked.env, trial=trial)
        return self.kitchen.judge(taken).diagnosis

    def _picked(self, diagnosis: Diagnosis) -> Picked:
        """What is to be cured now; what a recipe was tried for is not tried again."""
        content = self.kitchen.book.content
        self.blind = diagnosis.exit_code == 6
        if self.logs:
            # A log is read once; what a cure uncovers is for the program that wrote it to show.
            found = Picked(()) if self.runs else from_log(told_by(self.logs, diagnosis), diagnosis, content)
        else:
            found = pick(diagnosis, sorted(self.chosen) if self.named else (), content)
        tried = {c.recipe for c in self.causes.values() if c.recipe}
        causes = [c for c in found.causes if c.id in self.chosen or self.named or self.logs]
        return replace(
            found, causes=tuple(c for c in causes if c.id not in self.causes and c.recipe not in tried)
        )

    def _planned_here(self, picked: Picked) -> Drawn | None:
        """A plan for this machine as the next login finds it."""
        if not picked.curable:
            return self._plan(picked, None, None, None)
        trial = NextLogin(self.wanted.patience)
        with patient() as progress:
            taken = take("/", self.wanted.patience, progress, self.wanted.asked.env, trial=trial)
        known = self.kitchen.known(taken)
        return self._plan(picked, taken, known, ask_here(self.wanted.patience))

    def _plan(
        self, picked: Picked, snapshot: Snapshot | None, known: Known | None, ask: Ask | None
    ) -> Drawn | None:
        """One plan for all that can be planned; notes each cause as what it has become."""
        found = {cause.id: cause for cause in picked.causes}
        drawn: Drawn | None = None
        if snapshot is not None and known is not None and picked.recipes:
            asked, person = self.wanted.asked, person_here()
            if ask is None:
                person, ask = person_of(snapshot, known), as_seen(known)
                asked = replace(asked, env=asked.env or env_seen(known))

            def draw(recipes: tuple[str, ...]) -> Drawn:
                request = fixing_request(asked, recipes, self.kitchen.book.content, known)
                return self.kitchen.draw(request, snapshot, person, ask)

            drawn, refused = _drawn(picked.recipes, draw)
            for cause in picked.curable:
                why = refused.get(cause.recipe or "")
                if why is not None:
                    found[cause.id] = unplanned(cause, None, why)
                elif drawn and not acted(drawn.plan, cause.recipe or "", self.kitchen.book.content):
                    found[cause.id] = unplanned(cause, drawn.plan, "")
        self.causes.update(found)
        if drawn is None or not drawn.plan.actions:
            return None
        ids = [c.id for c in found.values() if c.state == PLANNED]
        plan = replace(drawn.plan, verify=tuple(dict.fromkeys((*drawn.plan.verify, *ids))))
        self.plans.append(plan)
        return replace(drawn, plan=plan)

    # ------------------------------------------------------------ carrying out

    def _carry_out(self, drawn: Drawn, consent: Consent) -> int:
        """Asks, starts the runner, and judges anew."""
        removes = any(action.removes for action in drawn.plan.actions)
        if self.as_json and self.runs and (not consent.yes or (removes and not consent.allow_remove)):
            # One envelope tells of all rounds, and nobody is there to be asked.
            why = f"the cure has uncovered more; to agree to it beforehand: {self._command()} --yes --allow-remove"
            self.errors.append({"code": "declined", "message": why, "where": ""})
            return DECLINED
        errand = Errand("fix", self._command(), self.wanted, told=True, does="Go on", data=self._data())
        try:
            before = way_to_root(drawn.plan, errand)
            agreed = agreement(drawn.plan, errand, consent, as_json=self.as_json)
        except RefusedError as refused:
            self.errors += [_problem(refusal) for refusal in refused.refusals]
            return 3
        if agreed is None:
            return DECLINED
        last = newest(as_root=before is not None)
        code = start(drawn.plan, errand, agreed, before, as_json=self.as_json)
        seen = newest(as_root=before is not None)
        if seen is None or (last is not None and seen.number == last.number):
            return code
        self.runs.append(seen)
        if code not in (0, 1, _REBOOT):
            self.errors.append({"code": "step-failed", "message": seen.says, "where": ""})
            return code
        self._judge_again(drawn.plan, seen, rebooting=code == _REBOOT)
        return code

    def _judge_again(self, plan: Plan, seen: RunSeen, *, rebooting: bool) -> None:
        mine = {i: c for i, c in self.causes.items() if c.state == PLANNED}
        now = self._judged(None)
        later = {v.id for v in self._judged(NewSession(self.wanted.patience)).verdicts if v.status == "ok"}
        # What root asked as the user had the groups of a fresh login.
        if seen.fresh_login:
            later |= {i for i, c in mine.items() if c.verdict.status == "fail"}
        later -= seen.wrong
        for name, cause in mine.items():
            asked = [
                a for a in plan.actions if a.then and a.recipe == cause.recipe and name not in seen.wrong
            ]
            soon = {*later, name} if asked else later
            self.causes[name] = judged(cause, now, soon, rebooting=rebooting)

    # ------------------------------------------------------------ what is said

    def _command(self) -> str:
        """The command line that asks for the same."""
        asked: Request = replace(self.wanted.asked, targets=())
        words = ["rocmdoctor", "fix", *self.named, *options_of(asked)]
        for glob in self.leave:
            words += ["--skip", glob]
        for log in self.logs:
            words += ["--log", log]
        for folder in self.wanted.content:
            words += ["--content", str(folder)]
        return shlex.join(words)

    def _data(self) -> dict[str, object]:
        then = dict.fromkeys(a.then for p in self.plans for a in p.actions if a.then)
        return data_of_fix(self.causes.values(), self.plans, [str(r.number) for r in self.runs], then)

    def _show(self, picked: Picked, drawn: Drawn | None) -> None:
        if self.as_json or not picked.causes:
            return
        width, paint = style(no_color=self.wanted.no_color)
        now = replace(picked, causes=tuple(self.causes[c.id] for c in picked.causes))
        if self.runs:
            click.echo("\nThe cure has uncovered:")
        click.echo(found_text(now, paint, width), color=True)
        if drawn is not None:
            page = plan_text(drawn.plan, drawn.known, paint, width, self.wanted.verbose)
            click.echo(f"\n{page}", color=True)

    def _end(self, code: int) -> int:
        """What became of each; the exit code."""
        code = code or exit_code(self.causes.values())
        if self.as_json:
            self._envelope(code)
            return code
        for problem in self.errors:
            click.echo(f"rocmdoctor: {problem['message']}", err=True)
        if code != _STEP and self.runs:
            width, paint = style(no_color=self.wanted.no_color)
            then = dict.fromkeys(a.then for p in self.plans for a in p.actions if a.then)
            runs = [str(run.number) for run in self.runs]
            click.echo(became_text(self.causes.values(), then, runs, paint, width), color=True)
        return code

    def _envelope(self, code: int) -> None:
        status = "error" if code in (3, _STEP, DECLINED) else "findings" if self.causes else "ok"
        click.echo(envelope("fix", status, code, self._data(), self.errors))


def _problem(refusal: Refusal) -> dict[str, str]:
    said = f"{refusal.says}. {refusal.instead}"
    return {"code": refusal.code, "message": said, "where": refusal.where}


def _drawn(
    recipes: tuple[str, ...], draw: Callable[[tuple[str, ...]], Drawn]
) -> tuple[Drawn | None, dict[str, str]]:
    """One plan for all; where that is refused, for those that can be planned alone, and why the others cannot."""
    try:
        return draw(recipes), {}
    except RefusedError as refused:
        if len(recipes) == 1:
            return None, {recipes[0]: _sentence(refused)}
        together = refused
    why: dict[str, str] = {}
    for recipe in recipes:
        try:
            draw((recipe,))
        except RefusedError as refused:
            why[recipe] = _sentence(refused)
    left = tuple(recipe for recipe in recipes if recipe not in why)
    if left and len(left) < len(recipes):
        drawn, more = _drawn(left, draw)
        return drawn, {**why, **more}
    # Each can be planned alone, and not all together: the lowest first.
    if left:
        return draw(left[:1]), dict.fromkeys(left[1:], f"not beside {left[0]}: {_sentence(together)}")
    return None, why


def _sentence(refused: RefusedError) -> str:
    return " ".join(f"{r.says}. {r.instead}" for r in refused.refusals)


def told_by(logs: tuple[str, ...], diagnosis: Diagnosis) -> list[tuple[Verdict, tuple[str, ...]]]:
    """What logs tell of: each known error as a verdict, with the checks that fail for it. Raises PlacedError."""
    from rocmdoctor.cli.explaining import read_all, reader
    from rocmdoctor.explaining import judged as explained

    explainer = reader(())
    read_all(explainer, logs)
    found = explained(explainer.close(), {v.id: v for v in diagnosis.verdicts})
    errors = []
    for one in found.diagnoses:
        best = one.best
        why = f"{best.title}: {best.cause}"
        evidence = (one.seen.first.text,)
        verdict = Verdict(
            "fail", why, evidence, best.remedy, fault=best.error.fault, id=best.error.id, title=best.title
        )
        errors.append((verdict, best.checks))
    return errors
