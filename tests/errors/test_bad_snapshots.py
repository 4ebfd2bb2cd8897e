"""Snapshots that are none, as they come out of bug reports: one clear message, exit code 2, never a traceback."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rocmdoctor.cli.main import run
from rocmdoctor.hosts.replay import BadSnapshotError, dumps, from_raw, load

GOOD = '{"schema": 1, "answers": {}}'


def refused(path: Path, capsys: pytest.CaptureFixture[str]) -> str:
    """The message, the same in text and in JSON; the place is taken out."""
    assert run(["check", "--snapshot", str(path)]) == 2
    shown = capsys.readouterr()
    assert shown.out == ""
    assert "Traceback" not in shown.err
    assert run(["check", "--snapshot", str(path), "--json"]) == 2
    said = json.loads(capsys.readouterr().out)
    assert (said["status"], said["exit_code"], said["data"], len(said["errors"])) == ("error", 2, {}, 1)
    error = said["errors"][0]
    assert error["where"].startswith(str(path))
    assert shown.err.startswith(f"rocmdoctor: {error['where']}: ")
    assert shown.err.splitlines()[0].endswith(error["message"].splitlines()[-1])
    place = error["where"].removeprefix(str(path))
    return f"{place}: {error['message']}".removeprefix(": ")


# What is in the file, and what is said of it; the place in the file comes before the colon.
TEXTS = {
    "empty": ("", ":1:1: is not JSON: expecting value; the file may be cut short"),
    "no JSON": ("hello", ":1:1: is not JSON: expecting value"),
    "truncated": (
        '{"schema": 1, "answers": {"read:/etc/os-release": {"ok": true, "te',
        ":1:64: is not JSON: unterminated string starting at; the file may be cut short",
    ),
    "truncated between": ('{"schema": 1,', ":1:14: is not JSON: expecting property name enclosed in double quotes; the file may be cut short"),
    "two documents": (GOOD + "\n" + GOOD, ":2:1: is not JSON: extra data"),
    "a list": ("[1]", "holds a list, wanted an object with 'schema' and 'answers'"),
    "nothing": ("null", "holds nothing, wanted an object with 'schema' and 'answers'"),
    "no schema": ('{"answers": {}}', "schema: found nothing, wanted the number 1"),
    "a schema in words": ('{"schema": "1", "answers": {}}', "schema: found a text, wanted the number 1"),
    "a schema that is true": ('{"schema": true, "answers": {}}', "schema: found true or false, wanted the number 1"),
    "a broken schema": ('{"schema": 1.0, "answers": {}}', "schema: found a number, wanted the number 1"),
    "a later schema": (
        '{"schema": 2, "answers": {}}',
        "schema: found 2, this release reads 1; a newer rocmdoctor wrote it, update this one",
    ),
    "an earlier schema": ('{"schema": 0, "answers": {}}', "schema: found 0, this release reads 1"),
    "a negative schema": ('{"schema": -7, "answers": {}}', "schema: found -7, this release reads 1"),
    "no answers": ('{"schema": 1}', "answers: found nothing, wanted an object"),
    "answers in a list": ('{"schema": 1, "answers": []}', "answers: found a list, wanted an object"),
    "a host in words": ('{"schema": 1, "host": "me", "answers": {}}', "host: found a text, wanted an object"),
    "a tool that is a number": ('{"schema": 1, "tool": 7, "answers": {}}', "tool: found a number, wanted a text"),
    "a time that is a number": ('{"schema": 1, "taken_at": 7, "answers": {}}', "taken_at: found a number, wanted a text"),
    "nested without end": ("[" * 100_000, "is nested deeper than any machine's snapshot"),
    "nested in an answer": (
        '{"schema": 1, "answers": {"a": ' + '{"a": ' * 100_000 + "1" + "}" * 100_002,
        "is nested deeper than any machine's snapshot",
    ),
    "a number without end": (
        '{"schema": ' + "9" * 5000 + ', "answers": {}}',
        "holds a number of 5000 digits; no machine's snapshot does",
    ),
    "the same key twice": (
        '{"schema": 1, "answers": {"stat:/a": {"ok": true}, "stat:/a": {"ok": false}}}',
        "holds the key 'stat:/a' twice in one object",
    ),
    "not a number": ('{"schema": NaN, "answers": {}}', "holds NaN, which is not JSON"),
    "endless": (
        '{"schema": 1, "answers": {"run:x": {"ok": true, "seconds": -Infinity}}}',
        "holds -Infinity, which is not JSON",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", TEXTS)
def test_texts(name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    text, message = TEXTS[name]
    path = tmp_path / "box.json"
    path.write_text(text, encoding="utf-8")
    assert refused(path, capsys) == message


ANSWERS: dict[str, tuple[Any, str]] = {
    "a list": ([], "found a list, wanted an object with 'ok'"),
    "nothing": (None, "found nothing, wanted an object with 'ok'"),
    "no ok": ({}, "ok: found nothing, wanted true or false"),
    "an ok in words": ({"ok": "yes"}, "ok: found a text, wanted true or false"),
    "an ok that is 1": ({"ok": 1}, "ok: found a number, wanted true or false"),
    "a why that is none": ({"ok": False, "why": 3}, "why: found a number, wanted a text"),
    "a text that is a list": ({"ok": True, "text": ["a"]}, "text: found a list, wanted a text"),
    "an output that is nothing": ({"ok": True, "stdout": None}, "stdout: found nothing, wanted a text"),
    "an error output that is a number": ({"ok": True, "stderr": 1}, "stderr: found a number, wanted a text"),
    "a path that is an object": ({"ok": True, "path": {}}, "path: found an object, wanted a text"),
    "a detail that is true": ({"ok": True, "detail": True}, "detail: found true or false, wanted a text"),
    "files in a list": ({"ok": True, "files": []}, "files: found a list, wanted an object of path to text"),
    "a file that is none": ({"ok": True, "files": {"/a": 1}}, "files['/a']: found a number, wanted a text"),
    "unreadable in words": ({"ok": True, "unreadable": "x"}, "unreadable: found a text, wanted an object of path to text"),
    "a code in words": ({"ok": True, "exit_code": "0"}, "exit_code: found a text, wanted a whole number"),
    "a code that is true": ({"ok": True, "exit_code": True}, "exit_code: found true or false, wanted a whole number"),
    "a broken code": ({"ok": True, "exit_code": 0.5}, "exit_code: found a number, wanted a whole number"),
    "seconds in words": ({"ok": True, "seconds": "1"}, "seconds: found a text, wanted a number"),
    "seconds beyond counting": ({"ok": True, "seconds": 10**30}, "seconds: found a number beyond all measure"),
}  # fmt: skip


@pytest.mark.parametrize("name", ANSWERS)
def test_answers(name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    raw, message = ANSWERS[name]
    path = tmp_path / "box.json"
    path.write_text(json.dumps({"schema": 1, "answers": {"stat:/a": raw}}), encoding="utf-8")
    assert refused(path, capsys) == f": answers['stat:/a']: {message}".removeprefix(": ")


def test_bytes_that_are_no_text(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "box.json"
    path.write_bytes(b'{"schema": 1, "answers": {"a": "\xff"}}')
    assert refused(path, capsys) == "is not UTF-8 text: byte 0xff at 32"
    path.write_bytes(GOOD.encode("utf-16"))
    assert refused(path, capsys) == "is not UTF-8 text: byte 0xff at 0"


def test_a_byte_order_mark_is_no_fault(tmp_path: Path) -> None:
    path = tmp_path / "box.json"
    path.write_text(GOOD, encoding="utf-8-sig")
    assert load(path).answers == {}


def test_a_file_that_is_not_there(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert refused(tmp_path / "none.json", capsys) == "cannot be read: No such file or directory"
    (tmp_path / "file").touch()
    assert refused(tmp_path / "file" / "none.json", capsys) == "cannot be read: Not a directory"
    assert refused(tmp_path / ("x" * 300), capsys) == "cannot be read: File name too long"


def test_links_in_a_circle(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "a").symlink_to("b")
    (tmp_path / "b").symlink_to("a")
    assert refused(tmp_path / "a", capsys) == "cannot be read: Too many levels of symbolic links"


@pytest.mark.timeout(30)
def test_what_is_no_file_is_not_waited_for(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    os.mkfifo(tmp_path / "box.json")
    message = "is not a regular file; a snapshot is a JSON file"
    assert refused(tmp_path / "box.json", capsys) == message
    assert refused(Path("/dev/zero"), capsys) == message


@pytest.mark.timeout(30)
def test_a_file_larger_than_any_snapshot_is_not_read(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "box.json"
    with path.open("wb") as file:
        file.truncate(200 << 20)
    assert refused(path, capsys) == "is larger than 64 MiB; no machine's snapshot is"
    with path.open("wb") as file:
        file.truncate(1 << 42)
    assert refused(path, capsys) == "is larger than 64 MiB; no machine's snapshot is"


def test_a_folder_without_snapshots(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["check", "--snapshot", str(tmp_path)]) == 2
    assert "holds no *.json file" in capsys.readouterr().err
    assert run(["check", "--snapshot", str(tmp_path), "--json"]) == 2
    assert "holds no *.json file" in json.loads(capsys.readouterr().out)["errors"][0]["message"]


def test_one_bad_snapshot_in_a_folder_does_not_cost_the_others(tmp_path: Path, capsys: Any) -> None:
    (tmp_path / "a.json").write_text("[", encoding="utf-8")
    (tmp_path / "b.json").write_text(GOOD, encoding="utf-8")
    os.mkfifo(tmp_path / "c.json")
    assert run(["check", "--snapshot", str(tmp_path), "--json"]) == 2
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [line["exit_code"] for line in lines] == [2, 6, 2]
    assert [bool(line["errors"]) for line in lines] == [True, False, True]


ODD = {
    "a lone surrogate": "\ud800",
    "an escape code": "\x1b]0;owned\x07\x1b[2J",
    "a return": "\rroot cause: none",
    "C1": "\x9b31m",
    "a direction mark": "\u202egnp.exe",
    "NUL": "\x00",
}


@pytest.mark.parametrize("name", ODD)
@pytest.mark.parametrize("place", ["text", "key", "why", "path", "stdout"])
def test_odd_characters_reach_no_terminal(
    name: str, place: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    odd = ODD[name]
    answer: dict[str, Any] = {"ok": place != "why", "text": f'PRETTY_NAME="x{odd}y"\n'}
    if place == "why":
        answer["why"] = f"x{odd}y"
    answers = {"read:/etc/os-release": answer}
    if place == "key":
        answers[f"stat:/x{odd}y"] = {"ok": True, "text": ""}
    if place in ("path", "stdout"):
        answers["run:rocminfo"] = {"ok": True, "exit_code": 0, place: f"x{odd}y"}
    path = tmp_path / "box.json"
    path.write_text(json.dumps({"schema": 1, "answers": answers}), encoding="ascii")
    for options in (["-vv"], ["--json"]):
        assert run(["check", "--snapshot", str(path), *options]) in (1, 6)
        out = capsys.readouterr().out
        out.encode("utf-8")
        assert not set(out) & set("\x1b\r\x9b\u202e\x00\x07")


@pytest.mark.parametrize("name", ODD)
def test_odd_characters_of_a_bad_snapshot_reach_no_terminal_either(
    name: str, tmp_path: Path, capsys: Any
) -> None:
    path = tmp_path / "box.json"
    path.write_text(json.dumps({"schema": 1, "answers": {f"stat:/{ODD[name]}": 1}}), encoding="ascii")
    for options in ([], ["--json"]):
        assert run(["check", "--snapshot", str(path), *options]) == 2
        shown = capsys.readouterr()
        (shown.out + shown.err).encode("utf-8")
        assert not set(shown.out + shown.err) & set("\x1b\r\x9b\u202e\x00\x07")


def test_unknown_keys_are_kept(tmp_path: Path) -> None:
    raw = {
        "schema": 1, "tool": "rocmdoctor 9.9", "later": {"x": [1, None]},
        "answers": {"read:/a": {"ok": True, "text": "é\ud800", "later": [1.5]}, "new-kind:/b": {"ok": True, "value": {}}},
    }  # fmt: skip
    path = tmp_path / "box.json"
    path.write_text(dumps(raw), encoding="utf-8")
    snapshot = load(path)
    assert snapshot.raw == raw
    assert json.loads(dumps(snapshot.raw)) == raw


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                ["schema", "answers", "ok", "why", "text", "files", "exit_code", "seconds", "unreadable", "x"]
            ),
            inner,
            max_size=4,
        )
    ),
    max_leaves=12,
)


@given(_JSON, st.booleans())
def test_any_json_is_a_snapshot_or_refused(raw: Any, placed: bool) -> None:
    if placed:
        raw = {"schema": 1, "answers": {"read:/a": raw}}
    try:
        assert from_raw(raw).raw is raw
    except BadSnapshotError as refusal:
        said = (refusal.where, str(refusal))
    else:
        said = ("read", "it")
    assert all(said)


def test_numbers_that_no_float_holds() -> None:
    for seconds in (10**400, float("nan"), float("inf")):
        with pytest.raises(BadSnapshotError, match="beyond all measure"):
            from_raw({"schema": 1, "answers": {"run:x": {"ok": True, "seconds": seconds}}})
