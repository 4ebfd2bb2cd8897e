"""Verdicts, causes, the ladder and exit codes, from checks made for the purpose."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from rocmdoctor.diagnosis import Remedy, Verdict, Wish, absent, fail, ok, skip, unknown, warn
from rocmdoctor.diagnosis.known import Known
from rocmdoctor.diagnosis.registry import Check
from rocmdoctor.diagnosis.runner import Diagnosis, diagnose
from rocmdoctor.facts.base import UnknownError

CURE = Remedy("Do it.", ("do it",))
LAYERS = {"bad-card": "hardware", "bad-driver": "driver", "bad-group": "access", "bad-torch": "torch"}
SAYS: dict[str, Callable[[], Verdict]] = {
    "ok": lambda: ok("so"), "warn": lambda: warn("so"), "fail": lambda: fail("so", remedy=CURE),
    "skip": lambda: skip("so"), "unknown": lambda: unknown("so"), "absent": lambda: absent("so", remedy=CURE),
    "broken": lambda: 1 // 0,
}  # fmt: skip


def item(name: str, says: str | Callable[..., Verdict] = "ok", **more: Any) -> Check:
    return Check(name, "It holds", SAYS[says] if isinstance(says, str) else says, **more)


def run(*items: Check, wish: Wish | None = None, selected: set[str] | None = None) -> Diagnosis:
    known = Known({}, lambda kind: kind.load({}), wish or Wish())
    return diagnose(items, known, LAYERS, selected)


def statuses(diagnosis: Diagnosis) -> dict[str, str]:
    return {v.id: v.status for v in diagnosis.verdicts}


def test_a_check_that_breaks_costs_no_other() -> None:
    found = run(item("a.broken", "broken"), item("a.fine"))
    assert statuses(found) == {"a.broken": "broken", "a.fine": "ok"}
    assert (
        found.verdict("a.broken").why
        == "the check itself failed: ZeroDivisionError: integer division or modulo by zero"
    )
    assert (found.exit_code, found.root_causes) == (0, ())


def test_a_fact_that_cannot_be_told_makes_unknown() -> None:
    def function() -> Verdict:
        raise UnknownError("read:/x: no answer in time")

    verdict = run(item("a.b", function)).verdict("a.b")
    assert (verdict.status, verdict.why) == ("unknown", "read:/x: no answer in time")


@pytest.mark.parametrize("first", ["fail", "skip", "unknown", "broken", "absent"])
def test_a_question_that_makes_no_sense_is_not_asked(first: str) -> None:
    found = run(item("a.first", first), item("a.then", "fail", after=("a.first",)))
    verdict = found.verdict("a.then")
    assert (verdict.status, verdict.why) == ("skip", "waits for a.first")
    assert "a.then" not in found.root_causes


@pytest.mark.parametrize("first", ["ok", "warn"])
def test_a_question_that_makes_sense_is_asked(first: str) -> None:
    found = run(item("a.first", first), item("a.then", "fail", after=("a.first",)))
    assert found.root_causes == ("a.then",)


@pytest.mark.parametrize(
    ("cause", "roots"),
    [("fail", ("a.cause",)), ("ok", ("a.effect",)), ("warn", ("a.effect",)), ("unknown", ("a.effect",))],
)
def test_what_is_explained_fails_and_is_no_root_cause(cause: str, roots: tuple[str, ...]) -> None:
    found = run(item("a.cause", cause), item("a.effect", "fail", explained_by=("a.cause",)))
    assert found.verdict("a.effect").status == "fail"
    assert found.root_causes == roots


def test_a_chain_of_causes_has_one_root() -> None:
    found = run(
        item("a.one", "fail"), item("a.two", "fail", explained_by=("a.one",)), item("a.three", "fail", explained_by=("a.two",))
    )  # fmt: skip
    assert found.root_causes == ("a.one",)


def test_the_lowest_layer_is_named_first_and_equal_ones_keep_their_order() -> None:
    found = run(
        item("torch.x", "fail", fault="bad-torch"),
        item("access.x", "fail", fault="bad-group"),
        item("access.y", "fail", fault="bad-group"),
        item("shell.x", "fail"),
        item("gpu.x", "fail"),
        item("driver.x", "fail", fault="bad-driver"),
    )
    assert found.root_causes == ("gpu.x", "driver.x", "access.x", "access.y", "shell.x", "torch.x")


def test_a_verdict_may_name_another_fault_than_its_check() -> None:
    found = run(
        item("torch.x", lambda: fail("so", remedy=CURE, fault="bad-card"), fault="bad-torch"),
        item("driver.x", "fail", fault="bad-driver"),
        item("driver.ok", "ok", fault="bad-driver"),
        item("driver.warn", "warn", fault="bad-driver"),
    )
    assert [v.fault for v in found.verdicts] == ["bad-card", "bad-driver", None, "bad-driver"]
    assert found.root_causes == ("torch.x", "driver.x")


@pytest.mark.parametrize(
    ("items", "code"),
    [
        ((), 0),
        ((item("a.b", "ok"), item("a.c", "warn"), item("a.d", "skip"), item("a.e", "absent")), 0),
        ((item("a.b", "fail"),), 1),
        ((item("a.b", "fail"), item("a.c", "unknown", required=True)), 1),
        ((item("a.b", "unknown"), item("a.c", "broken")), 0),
        ((item("a.b", "unknown", required=True),), 6),
        ((item("a.b", "broken", required=True),), 6),
        ((item("a.b", "skip", required=True),), 0),
    ],
)
def test_exit_codes(items: tuple[Check, ...], code: int) -> None:
    assert run(*items).exit_code == code


def test_only_what_is_selected_is_shown_and_counts() -> None:
    items = (item("a.cause", "fail"), item("a.effect", "fail", explained_by=("a.cause",)), item("a.other"))
    found = run(*items, selected={"a.effect", "a.other"})
    assert statuses(found) == {"a.effect": "fail", "a.other": "ok"}
    assert (found.root_causes, found.exit_code) == ((), 1)
    assert run(*items, selected={"a.other"}).exit_code == 0


@pytest.mark.parametrize(
    ("wish", "status"),
    [
        (Wish(), "skip"), (Wish(level="driver"), "skip"), (Wish(level="rocm"), "fail"), (Wish(level="training"), "fail"),
        (Wish(arch="gfx90a"), "skip"),
    ],
)  # fmt: skip
def test_absence_is_a_fault_only_where_it_was_asked_for(wish: Wish, status: str) -> None:
    found = run(item("rocm.installed", "absent", rung="rocm"), wish=wish)
    assert found.verdict("rocm.installed").status == status
    assert found.verdict("rocm.installed").remedy == CURE
    assert found.readiness["rocm"] == "absent"
    assert found.exit_code == (1 if status == "fail" else 0)


def test_an_arch_asks_for_a_gpu() -> None:
    found = run(item("gpu.present", lambda: absent("no GPU"), rung="gpu"), wish=Wish(arch="gfx90a"))
    assert found.verdict("gpu.present").status == "fail"
    assert found.verdict("gpu.present").remedy is not None


@pytest.mark.parametrize(
    ("says", "ladder"),
    [("ok", "ready"), ("warn", "ready"), ("fail", "broken"), ("absent", "absent"), ("unknown", "unknown"), ("skip", "unknown"), ("broken", "unknown")],
)  # fmt: skip
def test_the_ladder(says: str, ladder: str) -> None:
    found = run(item("driver.present", says, rung="driver"))
    assert found.readiness == {
        "gpu": "unknown",
        "driver": ladder,
        "rocm": "unknown",
        "torch": "unknown",
        "training": "unknown",
    }


def test_a_fault_breaks_the_rung_of_its_layer_and_no_other() -> None:
    found = run(
        item("gpu.present", rung="gpu"), item("driver.present", rung="driver"), item("rocm.installed", rung="rocm"),
        item("access.x", "fail", fault="bad-group"),
    )  # fmt: skip
    assert [found.readiness[r] for r in ("gpu", "driver", "rocm")] == ["ready", "broken", "ready"]


def test_what_stays_hidden_still_breaks_its_rung() -> None:
    found = run(
        item("driver.present", rung="driver"),
        item("access.x", "fail", fault="bad-group"),
        selected={"driver.present"},
    )
    assert found.readiness["driver"] == "broken"
