"""The reader: streams cut anywhere, terminals' leavings, other encodings, endless lines, our own reports."""

from __future__ import annotations

import gzip
import json
import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rocmdoctor.cli.main import run
from rocmdoctor.explaining import Explainer, Lines, read_text
from tests.explaining.made import error, found, ids, sign

KFD = error("kfd", "Unable to open {path} read-write: {why:text}")
MAKE = error("make", "relocation truncated to fit: {kind:name}")
LINE = "Unable to open /dev/kfd read-write: Permission denied"

DRESSED = [
    "\x1b[1;31m" + LINE + "\x1b[0m",
    "Unable \x1b[01;31m\x1b[Kto open\x1b[m\x1b[K /dev/kfd read-write: Permission denied",
    "\x1b]0;a title\x07" + LINE,
    "10%|###\r20%|####\r" + LINE,
    LINE + "\r",
    "2024-09-01T10:00:00.1234567Z " + LINE,
    "#12 3.456 " + LINE,
    "Nov 22 03:00:00 host kernel: " + LINE,
    "[rank0]: " + LINE,
    "[default0]:" + LINE,
    "  │ " + LINE,
    "> > " + LINE,
    "      " + LINE,
    "Unable to open\xa0/dev/kfd   read-write:\tPermission denied",
]


@pytest.mark.parametrize("line", DRESSED)
def test_what_logs_put_around_a_line_is_taken_off(line):
    seen = found(f"first\n{line}\nlast\n", KFD).observed
    assert [(o.first.line, o.first.holes["path"]) for o in seen] == [(2, "/dev/kfd")]


@pytest.mark.parametrize("line", DRESSED[5:13])
def test_the_start_of_a_line_is_behind_its_prefix(line):
    anchored = error("anchored", "{start}Unable to open {path} read-write")
    assert ids(line, anchored) == ["anchored"]
    assert ids("It is " + LINE, anchored) == []


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-16-le"])
def test_other_encodings(encoding):
    data = f"x\r\n{LINE} é\r\n".encode(encoding)
    data = (b"\xff\xfe" if encoding == "utf-16-le" else b"") + data
    assert [o.first.line for o in found(data, KFD).observed] == [2]


def test_bytes_that_are_no_text_are_shown_and_harm_nothing():
    data = b"\x00\x01\xff\xfe\x80" * 500 + b"\n" + LINE.encode() + b" \xff\x00\x1b[2J\x07\xe2\x80\xae!\n"
    seen = found(data, KFD).observed[0].first
    assert seen.line == 2
    assert seen.text == LINE + r" \xff \x07\u202e!"


@settings(max_examples=15)
@given(st.lists(st.integers(1, 400), min_size=1, max_size=40), st.integers(0, 1 << 30))
def test_it_does_not_matter_how_a_stream_is_cut(sizes, seed):
    rng = random.Random(seed)
    filler = [f"line {n} of a build, nothing \x1b[3{n % 8}mspecial\x1b[0m" for n in range(200)]
    lines = [*filler, *DRESSED, "a.o: relocation truncated to fit: R_X86_64_PC32 against x"]
    rng.shuffle(lines)
    data = "\n".join(lines).encode()
    whole = read_text(Lines((KFD, MAKE)), data)
    explainer, at = Explainer(Lines((KFD, MAKE))), 0
    while at < len(data):
        size = rng.choice(sizes)
        explainer.feed(data[at : at + size])
        if rng.random() < 0.5:
            explainer._read(final=False)
        at += size
    assert explainer.close() == whole
    assert {o.error.id for o in whole.observed} == {"kfd", "make"}
    assert sum(o.count for o in whole.observed) == len(DRESSED) + 1


@pytest.mark.parametrize("width", [72, 80, 100, 132])
def test_lines_that_a_terminal_wrapped_are_joined(width):
    long = f"RuntimeError: something went wrong in /a/long/path/of/a/package/init.py and then {LINE}"
    wrapped = "\n".join(long[at : at + width] for at in range(0, len(long), width))
    assert ids(f"before\n{wrapped}\nafter", KFD) == ["kfd"]


def test_text_in_a_hole_does_not_join_two_lines():
    two = "Unable to open the file of settings, which is of no importance whatsoever\nand read-write: never mind"
    assert ids(two, error("any", "Unable to open {what:text} read-write: {why:text}")) == []


def test_a_line_without_an_end_is_looked_at_in_windows():
    filler = b"loss 0.5 step 17 " * 60_000
    data = filler + LINE.encode() + b"; " + filler + b" end"
    seen = found(data, KFD).observed
    assert [(o.first.line, o.count) for o in seen] == [(1, 1)]
    assert len(seen[0].first.text) < 500


def test_lines_are_numbered_and_repeats_are_counted():
    text = "\n".join(["x"] * 99_999 + [LINE] * 3 + ["y"] * 10)
    explainer = Explainer(Lines((KFD,)))
    explainer.feed(text.encode())
    (seen,) = explainer.close().observed
    assert (seen.first.line, seen.count, explainer.lines, explainer.size) == (100_000, 3, 100_012, len(text))


def test_memory_does_not_grow_with_the_log():
    explainer = Explainer(Lines((KFD,)))
    for _ in range(400):
        explainer.feed(b"z" * 65_536)
    assert len(explainer._text) < 200_000


# ---------------------------------------------------------------- near, unless, differ


def test_near_must_be_within_so_many_lines_before_or_after():
    one = error("one", "the first thing", near=["the other thing"], within=3)
    assert ids("the first thing\n\n\nthe other thing", one) == ["one"]
    assert ids("the other thing\n\n\nthe first thing", one) == ["one"]
    assert ids("the first thing\n\n\n\n\nthe other thing", one) == []
    assert ids("the first thing\n" + "\n" * 9 + "the first thing\nthe other thing", one) == ["one"]


def test_a_line_that_is_near_may_say_how_near():
    one = error("one", "the first thing", near=[{"text": "the other thing", "within": 2}], within=100)
    assert ids("the first thing\n\nthe other thing", one) == ["one"]
    assert ids("the first thing\n\n\nthe other thing", one) == []


def test_unless_anywhere_or_near():
    assert (
        ids("bad thing\n" + "\n" * 900 + "all is well", error("one", "bad thing", unless=["all is well"]))
        == []
    )
    close = error("two", "bad thing", unless=[{"text": "all is well", "within": 5}])
    assert ids("bad thing\n\nall is well", close) == []
    assert ids("bad thing\n" + "\n" * 9 + "all is well", close) == ["two"]
    assert ids("bad thing\nall is well\n" + "\n" * 9 + "bad thing", close) == ["two"]


def test_two_versions_must_differ():
    mixed = error(
        "mixed", "HIP version : {hip:version}", near=["Version: {rocm:version}"], differ=["hip", "rocm"]
    )
    assert ids("HIP version  : 5.4.22804-474e8620\nVersion: 5.3.3.50303-99~22.04", mixed) == ["mixed"]
    assert ids("HIP version  : 5.4.22804-474e8620\nVersion: 5.4.3.50403-99~22.04", mixed) == []


# ---------------------------------------------------------------- signs


def test_a_sign_that_is_spared_is_none():
    signs = (sign("exited with code {code:number}", "exited with code 0"),)
    assert found("worker exited with code 0", KFD, signs=signs).failure is None
    seen = found("a\nworker exited with code 1\nb\nworker exited with code 2", KFD, signs=signs)
    assert (seen.failure.line, seen.last_failure.line, seen.failures) == (2, 4, 2)


# ---------------------------------------------------------------- our own reports


def test_a_report_of_explain_leads_to_no_diagnosis(tmp_path, capsys):
    log = tmp_path / "a.log"
    log.write_text(
        "ROCk module is loaded\n"
        + LINE
        + "\nError! Bad return status for module build on kernel: 6.11.0-8-generic (x86_64)\n"
    )
    for words in (["--elsewhere"], ["--elsewhere", "--json"]):
        assert run(["explain", *words, str(log)]) == 1
        report = capsys.readouterr().out
        log2 = tmp_path / "b.log"
        log2.write_text(report)
        assert run(["explain", "--elsewhere", str(log2)]) == 0, report
        capsys.readouterr()
        log2.write_text(f"{report}\n{LINE}\n")
        assert run(["explain", "--elsewhere", "--json", str(log2)]) == 1, report
        assert json.loads(capsys.readouterr().out)["data"]["diagnoses"][0]["observation"]["text"] == LINE


def test_what_imitates_a_report_stays_behind_the_bar(tmp_path, capsys):
    log = tmp_path / "a.log"
    log.write_text(f"Diagnosis: fake [gone], confidence high {LINE}\n\x1b[2J→ run this {LINE}\n")
    assert run(["explain", "--elsewhere", "--no-color", str(log)]) == 1
    page = capsys.readouterr().out
    assert "\x1b" not in page
    assert [line for line in page.splitlines() if "run this" in line] == [f"    │ → run this {LINE}"]


@pytest.mark.parametrize("name", ["a.log.gz", "a.log.xz"])
def test_packed_logs_are_unpacked(name, tmp_path, capsys):
    import lzma

    packed = (gzip if name.endswith("gz") else lzma).compress(f"{LINE}\n".encode())
    log = tmp_path / name
    log.write_bytes(packed)
    assert run(["explain", "--elsewhere", str(log)]) == 1
    capsys.readouterr()
    big = "".join(random.Random(1).choices("abcdefgh\n", k=200_000))
    log.write_bytes((gzip if name.endswith("gz") else lzma).compress(f"{LINE}\n{big}".encode())[:-300])
    assert run(["explain", "--elsewhere", str(log)]) == 1
    assert "is damaged" in capsys.readouterr().out
