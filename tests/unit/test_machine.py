"""The time of both passes, and what a machine says of itself."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from rocmdoctor.hosts import collector, machine
from rocmdoctor.hosts.machine import DEADLINE, FIRST_PASS, Machine
from rocmdoctor.model import Env, Read, Run


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[tuple[float, list[Any]]]:
    """Seconds given and questions asked, pass by pass, with a clock that only the test moves."""
    passes: list[tuple[float, list[Any]]] = []
    clock = [100.0]

    def ask(questions: list[Any], _root: str, seconds: float, _progress: Any) -> dict[str, Any]:
        passes.append((round(seconds, 3), questions))
        clock[0] += takes.pop(0)
        return {}

    takes: list[float] = []
    monkeypatch.setattr(machine.time, "monotonic", lambda: clock[0])
    monkeypatch.setattr(collector, "ask", ask)
    passes.append((0.0, takes))
    return passes


@pytest.mark.parametrize(
    ("first_takes", "patience", "given"),
    [
        (0.2, 1.0, (FIRST_PASS, 4.5)),
        (FIRST_PASS, 1.0, (FIRST_PASS, DEADLINE - FIRST_PASS)),
        (9.0, 1.0, (FIRST_PASS, 0.1)),
        (6.4, 2.0, (6.4, 3.0)),
        (0.1, 0.5, (1.6, 2.25)),
    ],
)
def test_a_slow_first_pass_leaves_time_for_the_second(
    asked: list[Any], first_takes: float, patience: float, given: tuple[float, float]
) -> None:
    _, takes = asked.pop()
    takes += [first_takes, 0.0]
    one = Machine("/", patience)
    one.ask([])
    one.ask([])
    assert tuple(seconds for seconds, _ in asked) == pytest.approx(given)


def test_a_program_that_hangs_in_the_first_pass_gets_its_whole_time() -> None:
    # The collector keeps two moments of grace for the end of a child.
    assert Run(("x",)).timeout + 2 * collector.GRACE <= FIRST_PASS


def test_patience_stretches_each_limit_and_leaves_the_question_as_it_is(asked: list[Any]) -> None:
    _, takes = asked.pop()
    takes.append(0.0)
    query = Read("/a", timeout=2.0)
    Machine("/", 3.0).ask([query, query, Env(("A",))])
    questions = asked[0][1]
    assert [q.get("timeout") for q in questions] == [6.0, None]
    assert query.timeout == 2.0


def test_what_it_is(tmp_path: Path) -> None:
    assert Machine("/").about()["kind"] == "live"
    assert Machine(str(tmp_path)).about()["kind"] == "root"
