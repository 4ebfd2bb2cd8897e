"""A healthy machine whose answers go wrong at random: no check may break, and none may raise."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.judging import judge
from tests.machines.healthy import HEALTHY, machine

_WORDS = [
    "", "\n", " ", "0", "-1", "4294967296", "9" * 50, "٣", "²", "=", ":", "=\n=", ": :", "a=b=c", '"', "'", '"a', "{", "}", "[",
    "{}", "[]", "null", "\x00", "\ud800", "\\xff", "\x1b[31m", "gfx90a", "gfx", "version", "/", "//", "/opt/rocm", "..", "1.2.3",
    "6.2.4-", "6", "v", "root", "char 0660", "char 0660 root render", "file", "dir 0755", "char 99999 root render x y",
    "# comment", "deb", "deb [", "deb []", "deb [a=b]", "deb http://", "Types: deb\nURIs:\n", "Package: x\nVersion:\nStatus: a\n",
    "%s", "\t", "a\r\nb", "\u2028", "x" * 3000,
]  # fmt: skip
_TEXT = st.one_of(
    st.sampled_from(_WORDS),
    st.text(max_size=30),
    st.lists(st.sampled_from(_WORDS), max_size=6).map(" ".join),
    st.lists(st.sampled_from(_WORDS), max_size=6).map("\n".join),
)
_NOT_ANSWERED = st.sampled_from(["absent", "permission", "timeout", "not-asked", "error", "", "new"]).map(
    lambda why: {"ok": False, "why": why, "detail": "EIO"}
)


def _cut(text: str, where: int, how: int, put: str) -> str:
    """The text with one of its lines lost, cut, doubled or replaced: nearer to what parsers expect than noise."""
    lines = text.splitlines(keepends=True)
    if not lines:
        return put
    n = where % len(lines)
    line = lines[n]
    lines[n] = [
        "",
        line[: len(line) // 2],
        line * 2,
        put,
        put + line,
        line.replace(" ", put, 1),
        line.rstrip() + put,
    ][how % 7]
    return "".join(lines)


def _changed(draw: Any, old: dict[str, Any]) -> dict[str, Any]:
    kind = draw(st.integers(0, 3))
    if kind == 0:
        return draw(_NOT_ANSWERED)
    put, where, how = draw(_TEXT), draw(st.integers(0, 200)), draw(st.integers(0, 6))
    new = dict(old)
    for name in ("text", "stdout", "stderr"):
        if name in old:
            new[name] = put if kind == 1 else _cut(old[name], where, how, put)
    if old.get("files"):
        path = sorted(old["files"])[where % len(old["files"])]
        changed = put if kind == 1 else _cut(old["files"][path], where, how, put)
        renamed = path if kind < 3 else path.replace("/", "/x", 1)
        new["files"] = {**{p: t for p, t in old["files"].items() if p != path}, renamed: changed}
    if "exit_code" in old:
        new["exit_code"] = draw(st.sampled_from([0, 1, 2, 127, -11]))
    return new


@st.composite
def _mutated(draw: Any) -> tuple[str, dict[str, Any]]:
    """A machine's name and the answers that differ: all answers would be too long to be shown when it fails."""
    name = draw(st.sampled_from(sorted(HEALTHY)))
    answers = machine(name)
    keys = draw(st.lists(st.sampled_from(sorted(answers)), min_size=1, max_size=8, unique=True))
    return name, {key: _changed(draw, answers[key]) for key in keys}


def _assert_whole(answers: dict[str, Any]) -> None:
    outcome = judge(answers)
    assert [(v.id, v.why) for v in outcome.diagnosis.verdicts if v.status == "broken"] == []
    said = json.loads(outcome.envelope())
    assert said["exit_code"] in (0, 1, 6)


@settings(deadline=None, max_examples=100, suppress_health_check=list(HealthCheck))
@given(_mutated())
def test_no_answer_breaks_a_check(mutated: tuple[str, dict[str, Any]]) -> None:
    name, changed = mutated
    _assert_whole({**machine(name), **changed})


@pytest.mark.parametrize("word", _WORDS[:40])
def test_every_answer_the_same_word(word: str) -> None:
    answers = machine("mi210")
    for key, old in answers.items():
        answers[key] = {
            k: word if k in ("text", "stdout", "stderr") else dict.fromkeys(v, word) if k == "files" else v
            for k, v in old.items()
        }
    _assert_whole(answers)


@pytest.mark.parametrize("why", ["absent", "permission", "timeout", "not-asked", "error"])
def test_every_question_unanswered(why: str) -> None:
    outcome = judge({key: {"ok": False, "why": why} for key in machine("mi210")})
    assert [(v.id, v.why) for v in outcome.diagnosis.verdicts if v.status == "broken"] == []
    assert outcome.diagnosis.exit_code in (0, 1, 6)


@pytest.mark.parametrize(
    ("name", "why"), [("mi210", "permission"), ("mi210-no-rocm", "absent"), ("no-gpu", "timeout")]
)
def test_each_question_unanswered_by_itself(name: str, why: str) -> None:
    for key in machine(name):
        answers = machine(name)
        answers[key] = {"ok": False, "why": why}
        _assert_whole(answers)
