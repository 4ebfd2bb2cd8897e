"""How this machine is asked for a plan: what can be asked early is, once, and its answer counts like any other."""

from __future__ import annotations

from typing import Any

import click
import pytest

from rocmdoctor.actions import Person, Request
from rocmdoctor.asking import keys
from rocmdoctor.cli import planned, taking
from tests.machines.families import family

FIX = "apt-get"
MENDING = "1 upgraded, 0 newly installed, 0 to remove and 0 not upgraded.\nThe following packages will be upgraded:\n  x\n"
NOTHING = "0 upgraded, 0 newly installed, 0 to remove and 0 not upgraded.\n"


class Child:
    """Stands in for the child that asks."""

    def __init__(self, log: list[str], name: str, answer: dict[str, Any]) -> None:
        self._log, self._name, self._answer = log, name, answer
        log.append(f"begin {name}")

    def __enter__(self) -> Child:  # noqa: PYI034 - as the class that it stands in for
        return self

    def __exit__(self, *_: object) -> None:
        self._log.append(f"end {self._name}")

    def answer(self, _progress: object = None) -> dict[str, Any]:
        self._log.append(f"hear {self._name}")
        return self._answer


class Lab:
    """The machine of a family, its apt, and the order of what happened."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.log: list[str] = []
        self.asked: list[list[str]] = []
        self.apt = NOTHING
        monkeypatch.setattr(planned, "person_here", lambda: Person("ann", 1000, "/home/ann", "/bin/bash"))
        monkeypatch.setattr(taking, "begin", self._begin)
        monkeypatch.setattr(planned, "_asking", self._asking)

    def _begin(self, *_: object, **__: object) -> Child:
        return Child(self.log, "collecting", {"schema": 1, "answers": family("mi210")})

    def _asking(self, queries: Any, _patience: float) -> Child:
        wanted = [key for query in queries for key in keys(query)]
        self.asked.append(wanted)
        said = {"ok": True, "exit_code": 0, "stderr": "", "stdout": self.apt}
        answers = {key: said if FIX in key else {"ok": False, "why": "absent"} for key in wanted}
        return Child(self.log, f"asking {len(self.asked)}", answers)

    def draw(self, *targets: str) -> planned.Drawn:
        return planned.draw_here(Request(targets, "gfx90a", None), (), 1.0)


@pytest.fixture
def lab(monkeypatch: pytest.MonkeyPatch) -> Lab:
    return Lab(monkeypatch)


def test_apt_is_asked_while_the_machine_answers_and_not_again(lab: Lab) -> None:
    lab.draw("base")
    early, *later = lab.asked
    assert len(early) == 1
    assert "-f install" in early[0]
    assert [key for keys_ in later for key in keys_ if key in early] == []
    assert lab.log.index("begin asking 1") < lab.log.index("hear collecting")
    assert lab.log[-2:] == ["end asking 1", "end collecting"]


def test_its_answer_counts(lab: Lab) -> None:
    assert not any(".repair" in action.id for action in lab.draw("base").plan.actions)
    lab.asked.clear()
    lab.apt = MENDING
    assert any(".repair" in action.id for action in lab.draw("base").plan.actions)


def test_nothing_is_asked_early_where_no_step_calls_for_it(lab: Lab) -> None:
    lab.draw("shell-env")
    assert not any(FIX in key for asked in lab.asked for key in asked)


def test_no_child_is_left_when_the_target_is_none(lab: Lab) -> None:
    with pytest.raises(click.UsageError, match="no recipe and no stack is called 'bsae'"):
        lab.draw("bsae")
    assert lab.log == ["begin collecting", "end collecting"]
