"""What a fact is: questions, the second questions that the answers call for, and a pure reading of the answers."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterable, Mapping
from typing import Any, ClassVar, TypeVar

from rocmdoctor.asking import keys
from rocmdoctor.model import NOT_ASKED, Answer, Query

T = TypeVar("T")
_QUOTED = re.compile(r"['\"\\]")
_ASSIGNMENT = re.compile(r"[A-Za-z_]\w*=")
# How the message of an UnknownError ends where the machine was too slow, or something in it hangs.
LATE = "no answer in time"


class UnknownError(Exception):
    """A fact cannot be told from the answers; the message says which question failed and how."""


class Evidence:
    """The answers to one fact's questions, by the names that the fact gave them."""

    def __init__(self, answers: Mapping[str, Answer], queries: Mapping[str, Query]) -> None:
        self._answers = answers
        self._queries = queries
        self._runs: list[str] | None = None

    def __getitem__(self, name: str) -> Answer:
        return self._answers.get(self.key(name), NOT_ASKED)

    def __contains__(self, name: str) -> bool:
        return name in self._queries

    def names(self) -> tuple[str, ...]:
        """All question names of this fact, follow-ups included."""
        return tuple(self._queries)

    def key(self, name: str) -> str:
        """The key of a question in the snapshot."""
        return keys(self._queries[name])[0]

    def text(self, name: str, absent: str | None = None) -> str:
        """The text of an answer; `absent` stands for a file that is not there. Raises UnknownError."""
        answer = self[name]
        if answer.ok:
            return answer.text
        if absent is not None and answer.why == "absent":
            return absent
        raise UnknownError(f"{self.key(name)}: {_said(answer)}")

    def files(self, name: str) -> Mapping[str, str]:
        """The texts of a `Glob`, none where its folder is not there. Raises UnknownError."""
        answer = self[name]
        if answer.ok:
            return answer.files
        if answer.why == "absent":
            return {}
        raise UnknownError(f"{self.key(name)}: {_said(answer)}")

    def env(self, variable: str) -> str | None:
        """The value of an environment variable, None when unset. Raises UnknownError when nobody could ask."""
        answer = self._answers.get(f"env:{variable}", NOT_ASKED)
        if answer.ok:
            return answer.text
        if answer.why == "absent":
            return None
        raise UnknownError(f"env:{variable}: {_said(answer)}")

    def runs(self, program: str) -> list[tuple[tuple[str, ...], Answer]]:
        """Every answer of a program, whatever its arguments or folder, also ones that this release does not ask."""
        found = []
        for key in self._programs():
            # Taking a command line apart is dear, and most name another program.
            if program in key:
                argv = _split(key[4:])
                if argv and argv[0].rpartition("/")[2] == program:
                    found.append((argv, self._answers[key]))
        return found

    def _programs(self) -> list[str]:
        if self._runs is None:
            self._runs = [key for key in self._answers if key.startswith("run:")]
        return self._runs

    def all_runs(self) -> list[tuple[str, Answer]]:
        """Every program that ran, by name; saved reports hold ones that no release asks."""
        found = []
        for key in self._programs():
            words = [w for w in _split(key[4:]) if w != "sudo" and not _ASSIGNMENT.match(w)]
            if words:
                found.append((words[0].rpartition("/")[2], self._answers[key]))
        return found


def _split(command: str) -> tuple[str, ...]:
    # Without quotes a shell splits at blanks alone, and shlex is slow.
    if not _QUOTED.search(command):
        return tuple(command.split())
    try:
        return tuple(shlex.split(command))
    except ValueError:
        return tuple(command.split())


def _said(answer: Answer) -> str:
    words = {"not-asked": "not asked", "timeout": LATE, "permission": "permission denied"}
    said = words.get(answer.why, answer.why)
    return f"{said} ({answer.detail})" if answer.detail and answer.why == "error" else said


class Fact:
    """Something true of a machine. Subclasses are marked `@frozen`.

    A fact either asks (`queries`, perhaps `follow_up`, and `parse`) or follows from others: then it has `derive`,
    whose parameter types name the facts and tables that it is made from.
    """

    registered: ClassVar[list[type[Fact]]] = []
    # The keys that `follow_up` may ask, with <words> for what the first answers fill in; `collect --list` shows them.
    templates: ClassVar[tuple[str, ...]] = ()

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        Fact.registered.append(cls)

    @classmethod
    def queries(cls) -> Mapping[str, Query]:
        """What is always asked."""
        return {}

    @classmethod
    def follow_up(cls, _ev: Evidence) -> Mapping[str, Query]:
        """What the first answers call for. Pure."""
        return {}

    @classmethod
    def parse(cls, ev: Evidence) -> Any:
        """The fact. Raises UnknownError."""
        raise NotImplementedError(cls.__name__)


class Table:
    """Knowledge in a file below checks/data/, as typed values."""

    file: ClassVar[str]

    @classmethod
    def load(cls, data: Mapping[str, Any]) -> Any:
        """The table from the decoded TOML file."""
        raise NotImplementedError(cls.__name__)


def first_questions(facts: Iterable[type[Fact]]) -> list[Query]:
    """The questions of the first pass."""
    return [query for fact in facts for query in fact.queries().values()]


def second_questions(facts: Iterable[type[Fact]], answers: Mapping[str, Answer]) -> list[Query]:
    """The questions of the second pass; a fact whose first answers are unreadable asks no more."""
    asked = []
    for fact in facts:
        try:
            asked += list(fact.follow_up(Evidence(answers, fact.queries())).values())
        except UnknownError:
            continue
    return asked


def read(fact: type[Fact], answers: Mapping[str, Answer]) -> Any:
    """A fact that asks, from the answers. Raises UnknownError."""
    first = dict(fact.queries())
    try:
        more = fact.follow_up(Evidence(answers, first))
    except UnknownError:
        more = {}
    return fact.parse(Evidence(answers, {**first, **more}))
