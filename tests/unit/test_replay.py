"""How snapshots are written: whole or not at all, for their owner alone, one answer a line."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rocmdoctor.hosts.replay import document, dumps, from_raw, load, save

ANSWERS = {"stat:/b": {"ok": True, "text": "dir"}, "read:/a": {"ok": False, "why": "absent"}}
RAW = document(ANSWERS, {"kind": "live"}, "rocmdoctor 0", "2026-01-01T00:00:00Z")


def test_what_is_written_is_read_back(tmp_path: Path) -> None:
    path = tmp_path / "box.json"
    save(path, RAW)
    snapshot = load(path)
    assert snapshot.raw == RAW
    assert (snapshot.tool, snapshot.taken_at, snapshot.host) == (
        "rocmdoctor 0",
        "2026-01-01T00:00:00Z",
        {"kind": "live"},
    )
    assert snapshot.answers["read:/a"].why == "absent"
    assert path.stat().st_mode & 0o777 == 0o600
    assert list(tmp_path.iterdir()) == [path]


def test_answers_stand_in_order_each_on_a_line_of_its_own() -> None:
    lines = dumps(RAW).splitlines()
    found = [line.strip().split('"')[1] for line in lines if line.startswith("  ")]
    assert found == ["read:/a", "stat:/b"]


def test_a_write_that_fails_leaves_the_old_file_and_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "box.json"
    save(path, RAW)
    with pytest.raises(TypeError):
        save(path, {**RAW, "host": {"x": object()}})
    assert load(path).raw == RAW
    assert list(tmp_path.iterdir()) == [path]


def test_no_answer_at_all_is_a_snapshot() -> None:
    assert from_raw(json.loads(dumps(document({}, {}, "", "")))).answers == {}


def test_an_answer_that_failed_without_a_reason_is_an_error() -> None:
    assert from_raw({"schema": 1, "answers": {"x": {"ok": False}}}).answers["x"].why == "error"


@given(
    st.dictionaries(
        st.text(), st.fixed_dictionaries({"ok": st.booleans(), "text": st.text(), "new": st.integers()})
    )
)
def test_any_text_survives(answers: dict[str, dict[str, object]]) -> None:
    raw = document(answers, {}, "", "")
    assert json.loads(dumps(raw)) == raw
    assert dumps(raw).isascii()
