"""Every check, as data: tests/cases/*.toml. Adding a case needs no Python.

[[case]]
check = "driver.kfd-access"      the check that is asked
name = "a sentence"              what the case is
machine = "mi210"                a healthy machine to start from; without it there are no other answers
set."stat:/dev/kfd" = {...}      answers that differ
remove = ["run:rocminfo"]        answers that nobody asked for
level, arch                      what the user wants (--for, --arch)
status, fault, says, root        what is expected; `says` is a part of the verdict's why, evidence or remedy
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest

from tests.judging import judge
from tests.machines.healthy import HEALTHY, machine

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

_FILES = sorted((Path(__file__).parent / "cases").glob("*.toml"))
_KEYS = {"check", "name", "machine", "set", "remove", "level", "arch", "status", "fault", "says", "root"}


def _cases() -> list[Any]:
    found = []
    for path in _FILES:
        for case in tomllib.loads(path.read_text(encoding="utf-8"))["case"]:
            assert set(case) <= _KEYS, f"{path.name}: {case.get('name')}: unknown keys {set(case) - _KEYS}"
            found.append(pytest.param(case, id=f"{case['check']}: {case['name']}"))
    return found


@pytest.mark.parametrize("case", _cases())
def test_case(case: dict[str, Any]) -> None:
    answers = machine(case["machine"]) if "machine" in case else {}
    answers.update(case.get("set", {}))
    for key in case.get("remove", ()):
        del answers[key]
    outcome = judge(answers, case.get("level"), case.get("arch"))
    verdict = outcome.diagnosis.verdict(case["check"])
    remedy = (verdict.remedy.text, *verdict.remedy.commands) if verdict.remedy else ()
    said = "\n".join([verdict.why, *verdict.evidence, *remedy])
    assert verdict.status == case["status"], said
    if "fault" in case:
        assert verdict.fault == case["fault"]
    if "says" in case:
        assert case["says"] in said
    if "root" in case:
        assert (verdict.id in outcome.diagnosis.root_causes) is case["root"], outcome.diagnosis.root_causes


@pytest.mark.parametrize("name", HEALTHY)
def test_a_healthy_machine_raises_no_alarm(name: str) -> None:
    diagnosis = judge(machine(name)).diagnosis
    alarms = [
        (v.id, v.status, v.why)
        for v in diagnosis.verdicts
        if v.status in ("warn", "fail", "broken", "unknown")
    ]
    assert alarms == []
    assert diagnosis.exit_code == 0
