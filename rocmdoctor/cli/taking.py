"""Asks a machine and saves the answers, with the standard library alone and down to Python 3.8.

Both `rocmdoctor collect` and `./run collect`, which has no click, are this code.
"""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from rocmdoctor.asking import distinct, keys
from rocmdoctor.facts import all_facts
from rocmdoctor.facts.base import first_questions, second_questions
from rocmdoctor.facts.deep import SECONDS, SWITCH
from rocmdoctor.facts.python_env import CHOOSERS, MANAGED
from rocmdoctor.hosts.caller import GRACE, Apart, calling_user
from rocmdoctor.hosts.machine import DEADLINE, Machine
from rocmdoctor.hosts.replay import document, dumps, from_raw, save
from rocmdoctor.model import Snapshot
from rocmdoctor.reports.envelope import TOOL, envelope

# Seconds for a trial to stop its programs and remove its folder when it is given up.
TIDYING = 10.0


class WrongUseError(Exception):
    """An option that cannot be followed; the message names it and says what to give."""


class Trial:
    """Something that is tried on the machine while it is asked, in the same child. Takes `seconds` at most."""

    seconds: float

    def prepare(self) -> None:
        """Before the first question."""

    def ask(self, answers: dict[str, Any], tell: Callable[[str], None] | None) -> dict[str, Any]:
        """More answers, after all questions were asked."""
        raise NotImplementedError


def take(
    root: str = "/",
    patience: float = 1.0,
    progress: Callable[[str], None] | None = None,
    env: str | None = None,
    *,
    deep: bool = False,
    trial: Trial | None = None,
) -> Snapshot:
    """A snapshot of this machine, or of one in a folder: two passes of questions. Raises WrongUseError.

    `env` is the Python environment to look at, by default the active one, else the managed one; `deep` asks its interpreter, too. `trial` is made around the questions.
    """
    if root != "/" and not Path(root).is_dir():
        raise WrongUseError(f"--root: {root} is not a folder; give the mounted image or extracted tree")
    if root != "/":
        return from_raw(_collecting(root, patience, env, deep=deep, trial=trial)(progress))
    with begin(patience, env, deep=deep, trial=trial) as child:
        return from_raw(child.answer(progress))


def begin(
    patience: float = 1.0, env: str | None = None, *, deep: bool = False, trial: Trial | None = None
) -> Apart:
    """The same of this machine, in a child that is listened to when there is time for it: its answer is the raw snapshot."""
    more = (SECONDS if deep else 0) + (trial.seconds if trial is not None else 0)
    collecting = _collecting("/", patience, env, deep=deep, trial=trial)
    tidying = GRACE / 2 if trial is None else TIDYING
    return Apart(collecting, DEADLINE * patience + 5 + more, tidying=tidying)


def _collecting(
    root: str, patience: float, env: str | None, *, deep: bool, trial: Trial | None
) -> Callable[[Callable[[str], None] | None], dict[str, Any]]:
    facts = all_facts()
    chosen = _chosen(root, env, deep=deep)

    def collect(tell: Callable[[str], None] | None) -> dict[str, Any]:
        if trial is not None:
            trial.prepare()
        machine = Machine(root, patience, SECONDS if deep else 0.0)
        answers = {**machine.ask(first_questions(facts), tell), **chosen}
        seen = from_raw({"schema": 1, "answers": answers}).answers
        answers.update(machine.ask(second_questions(facts, seen), tell))
        if trial is not None:
            answers.update(trial.ask(answers, tell))
        return document(answers, machine.about(), TOOL, _now())

    return collect


def _chosen(root: str, env: str | None, *, deep: bool) -> dict[str, Any]:
    """The wishes as answers: they decide what the second pass asks, and stay in the snapshot."""
    answers: dict[str, Any] = {}
    env = _managed() if env is None and root == "/" else env
    if env is not None:
        path = Path(env) if root != "/" else Path(env).absolute()
        there = Path(root, *path.parts[1:]) if path.is_absolute() else path
        if not path.is_absolute() or not there.is_dir():
            raise WrongUseError(f"--env: {env} is not a folder; give a venv or a conda environment")
        answers["env:ROCMDOCTOR_ENV"] = {"ok": True, "text": str(path)}
    if deep:
        answers[f"env:{SWITCH}"] = {"ok": True, "text": "1"}
    return answers


def _managed() -> str | None:
    """The environment that rocmdoctor made for the person, where none is active."""
    if any(os.environ.get(name) for name in CHOOSERS):
        return None
    user = calling_user()
    home = user.pw_dir if user is not None else os.environ.get("HOME", "")
    path = Path(home, MANAGED)
    return str(path) if home.startswith("/") and path.is_dir() else None


def _now() -> str:
    return datetime.now(timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")


def collect(
    output: Path | None,
    root: str | None,
    patience: float,
    env: str | None = None,
    *,
    as_json: bool,
    shared: bool = False,
    deep: bool = False,
) -> int:
    """The verb: asks, then writes to `output` or stdout. Raises WrongUseError."""
    with patient() as progress:
        taken = take(root or "/", patience, progress, env, deep=deep)
    raw = taken.raw
    if shared:
        from rocmdoctor.reports.sharing import share

        raw = share(raw)
    if output is None:
        sys.stdout.write(envelope("collect", "ok", 0, {"snapshot": raw}) + "\n" if as_json else dumps(raw))
        return 0
    try:
        save(output, raw)
    except OSError as error:
        raise WrongUseError(f"-o: {output} cannot be written: {error.strerror}") from error
    if as_json:
        sys.stdout.write(envelope("collect", "ok", 0, {"path": str(output)}) + "\n")
    else:
        judge = f"judge them with: rocmdoctor check --snapshot {output}"
        sys.stderr.write(f"{len(taken.answers)} answers written to {output}; {judge}\n")
    return 0


def show_list(*, as_json: bool) -> int:
    """What `collect` would ask, asking nothing."""
    questions = listed()
    text = envelope("collect", "ok", 0, {"questions": questions}) if as_json else "\n".join(questions)
    sys.stdout.write(text + "\n")
    return 0


def listed() -> list[str]:
    """Every question of the first pass, and what the second may add."""
    facts = all_facts()
    lines = [key for query in distinct(first_questions(facts)) for key in keys(query)]
    templates = [template for fact in facts for template in fact.templates]
    return [*sorted(set(lines)), *(f"then {t}" for t in sorted(set(templates)))]


@contextmanager
def patient() -> Iterator[Callable[[str], None] | None]:
    """After a second, says on a terminal's stderr which question was answered last."""
    if not sys.stderr.isatty():
        yield None
        return
    last = ["the first answer"]
    done = threading.Event()

    def watch() -> None:
        waited = 0.0
        while not done.wait(0.25):
            waited += 0.25
            if waited >= 1.0:
                now, _, doing = last[0].partition("now ")
                said = f"(last: {now[:60]})" if now else f"({doing[:60]})"
                sys.stderr.write(f"\r\x1b[Kasking this machine, {waited:.0f} s {said}")
                sys.stderr.flush()
        if waited >= 1.0:
            sys.stderr.write("\r\x1b[K")
            sys.stderr.flush()

    def progress(key: str) -> None:
        last[0] = key

    thread = threading.Thread(target=watch, daemon=True)
    thread.start()
    try:
        yield progress
    finally:
        done.set()
        thread.join()
