"""`rocmdoctor explain` as its users call it."""

from __future__ import annotations

import io
import json
import sys
from pathlib import Path

import jsonschema
import pytest

from rocmdoctor.cli.main import run
from rocmdoctor.hosts.replay import from_raw
from tests.conftest import CHECKOUT
from tests.machines.healthy import machine

_SCHEMA = json.loads((CHECKOUT / "docs/reference/schema/explain.json").read_text(encoding="utf-8"))
DENIED = "ROCk module is loaded\nUnable to open /dev/kfd read-write: Permission denied\n"
_KFD_DENIED = {
    "stat:/dev/kfd": {"ok": True, "text": "char 0660 root render", "uid": 0, "gid": 109},
    "access:/dev/kfd": {"ok": False, "why": "permission", "detail": "EACCES"},
}


@pytest.fixture
def log(tmp_path: Path):
    def write(text: str, name: str = "a.log") -> str:
        path = tmp_path / name
        path.write_text(text, encoding="utf-8")
        return str(path)

    return write


@pytest.fixture
def snapshot(tmp_path: Path):
    def write(**more: object) -> str:
        path = tmp_path / "box.json"
        path.write_text(json.dumps({"schema": 1, "answers": machine("mi210") | more}), encoding="utf-8")
        return str(path)

    return write


def _told(words: list[str], capsys: pytest.CaptureFixture[str]) -> dict:
    code = run(["explain", "--json", *words])
    envelope = json.loads(capsys.readouterr().out)
    jsonschema.validate(envelope, _SCHEMA)
    assert envelope["exit_code"] == code
    return envelope


def test_a_fault_is_named_with_its_line_and_its_cure(log, capsys):
    told = _told(["--elsewhere", log(DENIED)], capsys)
    (one,) = told["data"]["diagnoses"]
    assert (told["exit_code"], told["status"], one["fault"]) == (1, "findings", "device-permissions")
    assert one["observation"]["line"] == 2
    assert one["observation"]["text"] == "Unable to open /dev/kfd read-write: Permission denied"
    assert one["remedy"]["commands"]
    assert told["data"]["machine"] == "none"


def test_facts_of_a_snapshot_decide(log, snapshot, capsys):
    path = log(DENIED)
    (sure,) = _told(["--snapshot", snapshot(**_KFD_DENIED), path], capsys)["data"]["diagnoses"]
    assert sure["confidence"] == "high"
    assert sure["checks"] == ["driver.kfd-access"]
    assert sure["why"][0].startswith("driver.kfd-access fails on the machine: /dev/kfd is 0660 root:render")
    (other,) = _told(["--snapshot", snapshot(), path], capsys)["data"]["diagnoses"]
    assert other["confidence"] == "low"


TENSILE = "rocBLAS error: Cannot read /opt/rocm/lib/rocblas/library/TensileLibrary.dat: Illegal seek for GPU arch : gfx1103\n"


@pytest.mark.parametrize(
    ("name", "note"),
    [
        ("mi210", "The log speaks of gfx1103 and this machine has gfx90a: it seems to be from another one"),
        ("no-gpu", "This machine has no AMD GPU: the log seems to be from another one"),
    ],
)
def test_a_log_of_another_machine_is_not_judged_by_this_one(name, note, log, monkeypatch, capsys):
    taken = from_raw({"schema": 1, "answers": machine(name)})
    monkeypatch.setattr("rocmdoctor.cli.asking.take", lambda *_: taken)
    told = _told([log(TENSILE)], capsys)
    assert told["data"]["machine"] == "another"
    assert told["data"]["notes"][0].startswith(note)
    assert told["data"]["diagnoses"][0]["fault"] == "unsupported-gfx"
    sure = _told(["--here", log(TENSILE)], capsys)
    assert sure["data"]["machine"] == "this machine"


def test_a_log_of_which_nothing_is_known_asks_no_machine(log, monkeypatch, capsys):
    monkeypatch.setattr("rocmdoctor.cli.asking.take", lambda *_: pytest.fail("the machine was asked"))
    assert _told([log("all is well\n")], capsys)["data"]["machine"] == "none"


def test_what_is_not_known_is_said_and_where_to_ask(log, capsys):
    text = (
        "all is well\nerror: the flux capacitor is empty\n[3/9] more\nmake: *** [Makefile:3: all] Error 2\n"
    )
    told = _told(["--elsewhere", log(text)], capsys)
    assert told["exit_code"] == 6
    assert told["data"]["diagnoses"] == []
    assert told["data"]["failure"]["line"] == 2
    assert told["data"]["last_failure"]["line"] == 4
    assert "rocmdoctor collect --share -o box.json" in told["data"]["ask"]["commands"]
    assert run(["explain", "--elsewhere", log(text)]) == 6
    page = capsys.readouterr().out
    assert page.startswith("Not known: something failed, and no known error fits it\n  Line 2 is the first")
    assert "    │ error: the flux capacitor is empty\n" in page


def test_nothing_failed_is_exit_0(log, capsys):
    assert (
        run(["explain", "--elsewhere", log("Collecting torch\nInstalling collected packages: torch\n")]) == 0
    )
    assert capsys.readouterr().out == "Nothing in 2 lines tells of a failure.\n"
    assert run(["explain", "--elsewhere", log("")]) == 0
    assert capsys.readouterr().out == "The log is empty.\n"


def test_standard_input_is_read(monkeypatch, capsys):
    class Piped(io.StringIO):
        buffer = io.BytesIO(DENIED.encode())

    monkeypatch.setattr(sys, "stdin", Piped())
    told = _told(["--elsewhere", "-"], capsys)
    assert told["data"]["diagnoses"][0]["observation"]["file"] == "stdin"


def test_several_logs_are_read_as_one(log, capsys):
    one = log("HIP version  : 5.4.22804-474e8620\n", "hipconfig.txt")
    two = log("Package: rocm-libs\nVersion: 5.3.3.50303-99~22.04\n", "apt.txt")
    told = _told(["--elsewhere", one, two], capsys)
    assert told["data"]["diagnoses"][0]["fault"] == "mixed-rocm-versions"
    assert run(["explain", "--elsewhere", one]) == 0
    assert run(["explain", "--elsewhere", two]) == 0


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["/nowhere/at/all"], "rocmdoctor: /nowhere/at/all: cannot be read: No such file or directory\n"),
        (["/"], "rocmdoctor: /: cannot be read: Is a directory\n"),
        (["--elsewhere", "--root", "/", "-"], "rocmdoctor: --root and --elsewhere say both of which machine the log is; give one\nTry 'rocmdoctor explain --help'.\n"),
        (["--elsewhere", "--env", "/", "-"], "rocmdoctor: --env names an environment of a machine that can be asked, and --elsewhere says it cannot\nTry 'rocmdoctor explain --help'.\n"),
        (["-", "-"], "rocmdoctor: standard input can be read once; give - once\nTry 'rocmdoctor explain --help'.\n"),
        (["--snapshot", "/nowhere.json", "/dev/null"], "rocmdoctor: /nowhere.json: cannot be read: No such file or directory\n"),
    ],
)  # fmt: skip
def test_wrong_use_is_one_line(words, message, capsys):
    assert run(["explain", *words]) == 2
    assert capsys.readouterr().err == message


def test_a_snapshot_is_no_log(tmp_path, capsys):
    path = tmp_path / "box.json"
    path.write_text('{"schema": 1,\n "tool": "rocmdoctor 0.1.0",\n "taken_at": "x",\n "answers": {}}')
    assert run(["explain", "--elsewhere", str(path)]) == 2
    said = f"is a snapshot of a machine and no log; judge it with: rocmdoctor check --snapshot {path}"
    assert capsys.readouterr().err == f"rocmdoctor: {path}: {said}\n"


def test_a_file_of_ones_own_that_is_wrong_is_named(tmp_path, log, capsys):
    folder = tmp_path / "mine" / "checks" / "known-errors"
    folder.mkdir(parents=True)
    (folder / "own.yaml").write_text("schema: 1\nerorrs: []\n")
    assert run(["explain", "--content", str(tmp_path / "mine"), log(DENIED)]) == 2
    lines = capsys.readouterr().err.splitlines()
    assert lines[0] == f"rocmdoctor: {folder}/own.yaml:1:1: 'errors' is missing"
    assert lines[1] == f"{folder}/own.yaml:2:1: erorrs: unknown key, did you mean 'errors'?"


def test_the_next_command_reads_the_same_log(log, capsys, monkeypatch):
    path = log(DENIED, "two words.log")
    run(["explain", "--elsewhere", path])
    assert capsys.readouterr().out.splitlines()[-1] == f"Next: rocmdoctor fix --log '{path}'"
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(DENIED.encode())))
    run(["explain", "--elsewhere", "-"])
    assert capsys.readouterr().out.splitlines()[-2:] == [
        "Next: rocmdoctor fix --log FILE",
        "      FILE is the text that was read, saved.",
    ]
