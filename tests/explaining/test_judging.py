"""From sights to diagnoses: what comes first, what is noise, what a machine's checks say."""

from __future__ import annotations

import pytest

from rocmdoctor.diagnosis import Remedy, Verdict
from rocmdoctor.explaining import judged
from tests.explaining.made import error, found, sign


def _said(text, *errors, verdicts=None, signs=()):
    return judged(found(text, *errors, signs=signs), verdicts)


def _ids(explained):
    return [d.best.error.id for d in explained.diagnoses]


def _verdict(name: str, status: str, fault: str | None = None) -> Verdict:
    return Verdict(status, f"why {name}", (), Remedy("cure") if status == "fail" else None, fault, id=name)


def test_the_first_cause_stands_before_what_came_later():
    one, two = error("one", "the compiler stops"), error("two", "the module is missing")
    assert _ids(_said("the compiler stops\nnoise\nthe module is missing", one, two)) == ["one", "two"]
    assert _ids(_said("the module is missing\nnoise\nthe compiler stops", one, two)) == ["two", "one"]


def test_an_unlikely_cause_stands_last_and_a_rank_first():
    unlikely = error("unlikely", "the compiler stops", confidence="low")
    ranked = error("ranked", "the kernel killed it", rank=5)
    plain = error("plain", "the module is missing")
    text = "the compiler stops\nthe module is missing\nthe kernel killed it"
    assert _ids(_said(text, unlikely, ranked, plain)) == ["ranked", "plain", "unlikely"]


def test_what_follows_from_another_is_left_out():
    cause = error("cause", "the compiler stops", instead_of=["noise"])
    noise = error("noise", "dpkg gave up here")
    assert _ids(_said("dpkg gave up here\nthe compiler stops", cause, noise)) == ["cause"]
    assert _ids(_said("dpkg gave up here", cause, noise)) == ["noise"]


def test_causes_of_one_line_are_one_diagnosis_in_order():
    less = error(
        "less", "Unable to open {path}", confidence="low", look_at={"text": "look", "commands": [["id"]]}
    )
    more = error("more", "Unable to open {path}", confidence="medium")
    (one,) = _said("Unable to open /dev/kfd", less, more).diagnoses
    assert (one.best.error.id, [o.error.id for o in one.others]) == ("more", ["less"])
    assert one.others[0].look_at == Remedy("look", ("id",))


DECIDED = {
    "decided_by": [
        {"check": "a.b", "fail": {"confidence": "high"}, "ok": {"drop": True}, "warn": {"confidence": "low"}}
    ]
}


@pytest.mark.parametrize(
    ("status", "confidence"), [("fail", "high"), ("warn", "low"), ("unknown", "medium"), ("ok", None)]
)
def test_a_check_of_the_machine_decides(status, confidence):
    one = error("one", "Unable to open {path}", **DECIDED)
    said = _said("Unable to open /dev/kfd", one, verdicts={"a.b": _verdict("a.b", status)})
    assert [d.best.confidence for d in said.diagnoses] == ([confidence] if confidence else [])
    if status == "fail":
        assert said.diagnoses[0].best.why == ("a.b fails on the machine: why a.b",)
        assert said.diagnoses[0].best.checks == ("a.b",)


def test_facts_put_another_cause_first():
    group = error("group", "Unable to open {path}", **DECIDED)
    container = error(
        "container",
        "Unable to open {path}",
        confidence="low",
        decided_by=[{"check": "c.d", "fail": {"confidence": "high"}}],
    )
    text = "Unable to open /dev/kfd"
    assert _ids(_said(text, group, container)) == ["group"]
    inside = {"a.b": _verdict("a.b", "unknown"), "c.d": _verdict("c.d", "fail")}
    assert _ids(_said(text, group, container, verdicts=inside)) == ["container"]


def test_a_failing_check_of_the_same_fault_makes_it_sure():
    one = error("one", "Unable to open {path}")
    said = _said("Unable to open /x", one, verdicts={"x.y": _verdict("x.y", "fail", "device-permissions")})
    assert said.diagnoses[0].best.confidence == "high"
    other = _said("Unable to open /x", one, verdicts={"x.y": _verdict("x.y", "fail", "rccl")})
    assert other.diagnoses[0].best.confidence == "medium"


def test_so_does_a_failing_check_that_is_named_for_another_status_only():
    one = error("one", "Unable to open {path}", decided_by=[{"check": "a.b", "ok": {"drop": True}}])
    failing = {"a.b": _verdict("a.b", "fail", "device-permissions")}
    (said,) = _said("Unable to open /x", one, verdicts=failing).diagnoses
    assert (said.best.confidence, said.best.why) == ("high", ("a.b fails on the machine: why a.b",))


def test_what_is_dropped_silences_nothing():
    cause = error("cause", "the compiler stops", instead_of=["noise"], **DECIDED)
    noise = error("noise", "dpkg gave up here")
    text = "dpkg gave up here\nthe compiler stops"
    assert _ids(_said(text, cause, noise, verdicts={"a.b": _verdict("a.b", "ok")})) == ["noise"]


def test_the_exit_code_tells_known_unknown_and_nothing():
    one, signs = error("one", "the compiler stops"), (sign("{start}error: {what:text}"),)
    assert _said("the compiler stops", one, signs=signs).exit_code == 1
    assert _said("error: of another kind", one, signs=signs).exit_code == 6
    assert _said("all went well", one, signs=signs).exit_code == 0


def test_words_of_a_log_are_quoted_in_commands_and_plain_in_sentences():
    one = error(
        "one",
        "cannot read {path} of {who:name}",
        cause="{path} is not readable for {who}",
        remedy={
            "text": "open {path}",
            "commands": [["chmod", "a+r", "{path}"], ["sudo", "usermod", "-aG", "render,video", "$USER"]],
        },
    )
    (said,) = _said("cannot read /a/$HOME&x of ann", one).diagnoses
    assert said.best.cause == "/a/$HOME&x is not readable for ann"
    assert said.best.remedy.commands == ("chmod a+r '/a/$HOME&x'", "sudo usermod -aG render,video $USER")
