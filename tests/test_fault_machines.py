"""One fault planted in a healthy machine is the one root cause; two are two; a lower one hides a higher one."""

from __future__ import annotations

import itertools
import json
import re

import pytest

from rocmdoctor.content import DataTables, bundled
from rocmdoctor.diagnosis.runner import Diagnosis
from rocmdoctor.facts.faults import FaultTable
from rocmdoctor.reports.sharing import share
from tests.judging import judge
from tests.machines import env_faults
from tests.machines.families import FAMILIES, family
from tests.machines.faults import HIDDEN, PLANTED, UNSEEN, Fault, planted, together

SINGLE = [pytest.param(f, name, id=f"{f.name}/{f.label}: {name}") for f in PLANTED for name in f.on]


def _said(diagnosis: Diagnosis) -> str:
    return "\n".join(
        f"{v.id}: {v.status} [{v.fault}] {v.why}"
        for v in diagnosis.verdicts
        if v.status not in ("ok", "skip")
    )


def _diagnose(names: tuple[str, ...], of: str) -> Diagnosis:
    return judge(planted(names, of, family(of))).diagnosis


@pytest.mark.parametrize("name", FAMILIES)
def test_a_healthy_family_raises_nothing(name: str) -> None:
    diagnosis = judge(family(name)).diagnosis
    assert _said(diagnosis) == ""
    assert diagnosis.exit_code == 0


@pytest.mark.parametrize(("fault", "name"), SINGLE)
def test_one_fault_is_the_one_root_cause(fault: Fault, name: str) -> None:
    diagnosis = _diagnose((fault.label,), name)
    verdict = diagnosis.verdict(fault.cause)
    assert (verdict.status, verdict.fault) == (fault.level, fault.name), _said(diagnosis)
    wanted = (fault.cause,) if fault.level == "fail" else ()
    assert diagnosis.root_causes == wanted, _said(diagnosis)
    assert diagnosis.exit_code == (1 if fault.level == "fail" else 0)
    assert not [v.id for v in diagnosis.verdicts if v.status == "broken"]
    if fault.level == "warn":
        assert {v.fault for v in diagnosis.verdicts if v.status == "warn"} <= {fault.name, None}, _said(
            diagnosis
        )


def _pairs(name: str, every: int) -> list[tuple[Fault, Fault]]:
    """Pairs of failures that one machine of a family can have; of many, every n-th."""
    there = [f for f in PLANTED if name in f.on and f.level == "fail"]
    found = [p for p in itertools.combinations(there, 2) if together(*p)]
    return found[::every]


PAIRS = [
    pytest.param(one, other, name, id=f"{one.label} and {other.label}: {name}")
    for name, every in (
        ("mi210", 3),
        ("mi210-dkms", 9),
        ("rx7900xtx-with-igpu", 9),
        ("debian12", 9),
        ("container", 5),
    )
    for one, other in _pairs(name, every)
]


@pytest.mark.parametrize(("one", "other", "name"), PAIRS)
def test_of_two_faults_both_are_named_or_the_lower_one(one: Fault, other: Fault, name: str) -> None:
    diagnosis = _diagnose((one.label, other.label), name)
    wanted = {one.cause, other.cause}
    for lower, higher in ((one, other), (other, one)):
        if higher.label in HIDDEN.get(lower.label, ()):
            wanted = {lower.cause}
    assert set(diagnosis.root_causes) == wanted, _said(diagnosis)


@pytest.mark.parametrize(
    ("lower", "higher"),
    [
        ("blacklisted", "not-in-the-groups"),
        ("key-not-enrolled", "older-session"),
        ("no-firmware", "hidden-by-hip"),
        ("no-atomics", "hidden-by-rocr"),
        ("nomodeset", "memory-errors"),
    ],
)
def test_what_was_hidden_shows_once_the_lower_one_is_cured(lower: str, higher: str) -> None:
    causes = {f.label: f.cause for f in PLANTED}
    name = "mi210-dkms" if lower == "key-not-enrolled" else "mi210"
    assert _diagnose((lower, higher), name).root_causes == (causes[lower],)
    assert _diagnose((higher,), name).root_causes == (causes[higher],)


def test_causes_stand_in_the_order_of_the_layers() -> None:
    labels = ("hidden-by-hip", "half-configured", "not-in-the-groups", "memory-errors")
    causes = {f.label: f.cause for f in PLANTED}
    assert _diagnose(labels, "mi210").root_causes == tuple(causes[label] for label in reversed(labels))


@pytest.mark.parametrize(
    ("fault", "name"), [(f, f.on[0]) for f in PLANTED], ids=lambda v: getattr(v, "label", v)
)
def test_a_shared_snapshot_says_the_same(fault: Fault, name: str) -> None:
    raw = {"schema": 1, "answers": planted((fault.label,), name, family(name))}
    masked = share(raw)
    plain, other = judge(raw["answers"]).diagnosis, judge(masked["answers"]).diagnosis
    assert [(v.id, v.status, v.fault) for v in plain.verdicts] == [
        (v.id, v.status, v.fault) for v in other.verdicts
    ]
    assert plain.root_causes == other.root_causes
    assert not re.search(r"\bann\b", json.dumps(masked))


def test_every_fault_is_planted_or_named_as_unseen() -> None:
    made = {fault.name for fault in PLANTED}
    unseen = {**UNSEEN, **env_faults.UNSEEN}
    assert not made & set(unseen)
    assert set(DataTables(bundled())(FaultTable).layers) == made | set(unseen)


ABOVE = [f for f in PLANTED if f.on == env_faults.ON and f.level == "fail"]


@pytest.mark.parametrize(
    "below", ["not-in-the-groups", "blacklisted", "half-configured", "memory-errors", "full"]
)
@pytest.mark.parametrize("above", ABOVE, ids=lambda f: f.label)
def test_a_fault_of_the_environment_stands_beside_one_of_the_machine(above: Fault, below: str) -> None:
    causes = {f.label: f.cause for f in PLANTED}
    diagnosis = _diagnose((below, above.label), env_faults.ON[0])
    assert set(diagnosis.root_causes) == {causes[below], above.cause}, _said(diagnosis)
