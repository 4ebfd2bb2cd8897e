"""The journal: whole lines of any prefix, a torn end that is cut off, garbage that is one clear error."""

from __future__ import annotations

import json
import os
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rocmdoctor.applying import journal
from rocmdoctor.applying.journal import EVENTS, Journal, JournalError, Line, decode, encode, state

VALUE = st.one_of(st.none(), st.booleans(), st.integers(), st.text(max_size=5), st.lists(st.text(max_size=3)))
MORE = st.dictionaries(st.text(max_size=5).filter(lambda k: k not in journal._KEYS), VALUE, max_size=3)
EVENT = st.tuples(st.sampled_from(EVENTS), st.text(max_size=5), MORE)


def lines(events: list[tuple[str, str, dict[str, Any]]]) -> list[Line]:
    return [
        Line(n, "2026-11-26T00:00:00.000Z", "boot", e, a, more) for n, (e, a, more) in enumerate(events, 1)
    ]


@given(st.lists(EVENT, max_size=6), st.data())
def test_any_prefix_reads_as_the_whole_lines_in_it(events: Any, data: st.DataObject) -> None:
    written = lines(events)
    encoded = [encode(line) for line in written]
    whole = b"".join(encoded)
    cut = data.draw(st.integers(0, len(whole)))
    kept = [line for n, line in enumerate(written, 1) if len(b"".join(encoded[:n])) <= cut]
    assert decode(whole[:cut], "journal.jsonl") == kept


@given(st.binary(max_size=200))
def test_any_bytes_are_read_or_are_one_error(data: bytes) -> None:
    with suppress(JournalError):
        assert len(decode(data, "j")) == data.count(b"\n")


def test_a_torn_line_is_cut_off_before_the_next(tmp_path: Path) -> None:
    path = tmp_path / "journal.jsonl"
    one = Journal(path, boot="b")
    one.write("run-begin")
    one.write("begin", "a")
    one.close()
    whole = path.read_bytes()
    torn = whole[: whole.index(b"\n") + 20]
    path.write_bytes(torn)
    assert [line.event for line in journal.read(path)] == ["run-begin"]
    assert path.read_bytes() == torn  # reading changes nothing
    other = Journal(path, boot="b")
    other.write("resumed")
    other.close()
    assert [(line.n, line.event) for line in journal.read(path)] == [(1, "run-begin"), (2, "resumed")]


def test_lines_say_when_and_in_which_boot(tmp_path: Path) -> None:
    one = Journal(tmp_path / "j", boot="boot-1", now=lambda: "2026-11-26T00:00:00.000Z")
    one.write("begin", "rocm.1", backup="backup/1.json")
    one.close()
    assert (tmp_path / "j").read_text() == (
        '{"n":1,"t":"2026-11-26T00:00:00.000Z","boot":"boot-1","event":"begin","action":"rocm.1",'
        '"backup":"backup/1.json"}\n'
    )


def test_the_clock_may_go_backwards(tmp_path: Path) -> None:
    times = iter(["2026-11-26T00:00:00.000Z", "1970-01-01T00:00:00.000Z"])
    one = Journal(tmp_path / "j", now=lambda: next(times))
    one.write("begin", "a")
    one.write("done", "a")
    one.close()
    assert list(state(journal.read(tmp_path / "j")).done) == ["a"]


def _text(*said: Any) -> bytes:
    return b"".join(json.dumps(s).encode() + b"\n" if not isinstance(s, bytes) else s for s in said)


GOOD = {"n": 1, "t": "", "boot": "", "event": "run-begin", "action": ""}
_MEANS = "; what was done there is not known, so nothing is done from it"


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (b"\n", "j: line 1 is '', a JSON object is wanted"),
        (_text(GOOD, b"\x00\xff\n"), "j: line 2 is '\\x00\\\\xff', a JSON object is wanted"),
        (b"x" * 99 + b"\n", f"j: line 1 is '{'x' * 40}'…, a JSON object is wanted"),
        (_text([]), "j: line 1 is '[]', a JSON object is wanted"),
        (_text(GOOD, {**GOOD, "n": 3}), "j: line 2: n is 3, 2 is wanted: a line is missing"),
        (_text({**GOOD, "n": True}), "j: line 1: n is True, a whole number is wanted"),
        (_text({**GOOD, "action": None}), "j: line 1: action is None, a text is wanted"),
        (_text({**GOOD, "event": "began"}), "j: line 1: 'began' is no event of a journal"),
    ],
)
def test_garbage_is_one_clear_error(data: bytes, says: str) -> None:
    with pytest.raises(JournalError) as caught:
        decode(data, "j")
    assert str(caught.value) == says + _MEANS


def test_what_the_lines_come_to() -> None:
    events = [
        ("run-begin", ""), ("begin", "a"), ("done", "a"), ("begin", "b"), ("failed", "b"), ("skipped", "c"),
        ("begin", "d"), ("begin", "e"), ("failed", "e"), ("begin", "e"), ("reboot-asked", "r"),
    ]  # fmt: skip
    now = state(lines([(e, a, {}) for e, a in events]))
    assert (list(now.done), list(now.begun), list(now.failed)) == (["a"], ["b", "d", "e"], ["b"])
    assert (list(now.skipped), list(now.asked), now.begun["e"].n) == (["c"], ["r"], 8)
    assert (now.undoing, now.ended) == (False, False)
    assert now.last is not None
    assert now.last.event == "reboot-asked"


def test_what_is_undone_is_no_longer_done() -> None:
    events = [("begin", "a"), ("done", "a"), ("end", ""), ("undo-begin", ""), ("undone", "a")]
    now = state(lines([(e, a, {}) for e, a in events]))
    assert (list(now.done), list(now.undone), now.undoing, now.ended) == ([], ["a"], True, False)
    assert state(lines([(e, a, {}) for e, a in events[:3]])).ended


def test_nothing_is_an_empty_journal(tmp_path: Path) -> None:
    assert journal.read(tmp_path / "j") == []
    assert state([]).last is None


def test_a_link_in_place_of_the_journal_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "j").symlink_to(tmp_path / "victim")
    with pytest.raises(JournalError) as caught:
        Journal(tmp_path / "j")
    assert str(caught.value) == f"{tmp_path}/j cannot be written: Too many levels of symbolic links"
    assert not (tmp_path / "victim").exists()


def test_a_line_that_cannot_be_written_leaves_the_file_as_it_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = Journal(tmp_path / "j", boot="b")
    one.write("run-begin")
    before = (tmp_path / "j").read_bytes()

    def full(_file: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(JournalError) as caught:
        one.write("done", "a")
    assert str(caught.value) == (
        f"{tmp_path}/j cannot be written: No space left on device, so 'done a' is not noted and the run stops;"
        " make room on that disk, then resume"
    )
    assert (tmp_path / "j").read_bytes() == before
    monkeypatch.undo()
    assert one.write("done", "a").n == 2
    one.close()
