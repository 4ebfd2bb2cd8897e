"""Asks as the next login would: with the variables set that our own file exports."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

from rocmdoctor.asking import as_question
from rocmdoctor.cli.taking import Trial
from rocmdoctor.facts.base import read, second_questions
from rocmdoctor.facts.own import OwnExports
from rocmdoctor.facts.shell import NAMES
from rocmdoctor.hosts import collector
from rocmdoctor.hosts.replay import from_raw
from rocmdoctor.model import Query

PASS_SECONDS = 5.0


class NextLogin(Trial):
    """Sets, in the child that asks, what a shell opened from now on has."""

    seconds = 2 * PASS_SECONDS

    def __init__(self, patience: float = 1.0) -> None:
        self._patience = patience

    def prepare(self) -> None:
        """Reads our own file of exports and sets what it sets."""
        own = self._own(self.asked(*OwnExports.queries().values()))
        os.environ.update(own.variables)
        folders = [f for f in own.folders if f not in os.environ.get("PATH", "").split(":")]
        os.environ["PATH"] = ":".join(filter(None, (os.environ.get("PATH", ""), *folders)))

    def _own(self, first: dict[str, Any]) -> OwnExports:
        seen = from_raw({"schema": 1, "answers": first}).answers
        more = self.asked(*second_questions([OwnExports], seen))
        found: OwnExports = read(OwnExports, from_raw({"schema": 1, "answers": {**first, **more}}).answers)
        return found

    def ask(self, _answers: dict[str, Any], _tell: Callable[[str], None] | None) -> dict[str, Any]:
        """No more than what is always asked."""
        return {}

    def asked(self, *queries: Query, tell: Callable[[str], None] | None = None) -> dict[str, Any]:
        """The answers to questions, in as much time as they may take."""
        questions = [as_question(query) for query in queries]
        for question in questions:
            if "timeout" in question:
                question["timeout"] *= self._patience
        longest = max((q.get("timeout", 0.0) for q in questions), default=0.0)
        return collector.ask(questions, "/", longest + PASS_SECONDS, tell)


class NewSession(NextLogin):
    """As a session that begins now: ROCm's variables are those that our own file sets, whatever this session has."""

    def prepare(self) -> None:
        """Forgets what this session has, then sets what our own file sets."""
        for name in NAMES:
            os.environ.pop(name, None)
        super().prepare()


class Trials(NextLogin):
    """Several trials, one after another, with the variables of one next login. Each sees what those before it were told."""

    def __init__(self, *trials: NextLogin) -> None:
        super().__init__()
        self._trials = trials
        self.seconds = sum(trial.seconds for trial in trials)

    def ask(self, answers: dict[str, Any], tell: Callable[[str], None] | None) -> dict[str, Any]:
        """All of their answers."""
        more: dict[str, Any] = {}
        for trial in self._trials:
            more.update(trial.ask({**answers, **more}, tell))
        return more
