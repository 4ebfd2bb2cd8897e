"""`rocmdoctor check` as its users call it, on saved machines."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from rocmdoctor.cli import taking
from rocmdoctor.cli.main import run
from tests.conftest import CHECKOUT
from tests.machines.healthy import HEALTHY, machine

_SCHEMA = json.loads((CHECKOUT / "docs/reference/schema/check.json").read_text(encoding="utf-8"))
_KFD_DENIED = {
    "stat:/dev/kfd": {"ok": True, "text": "char 0660 root render", "uid": 0, "gid": 109},
    "access:/dev/kfd": {"ok": False, "why": "permission", "detail": "EACCES"},
}


@pytest.fixture
def save(tmp_path: Path):
    def write(name: str, answers: dict[str, Any]) -> Path:
        path = tmp_path / f"{name}.json"
        path.write_text(json.dumps({"schema": 1, "answers": answers}), encoding="utf-8")
        return path

    return write


@pytest.mark.parametrize("name", HEALTHY)
def test_the_envelope_keeps_to_its_schema(name: str, save, capsys: pytest.CaptureFixture[str]) -> None:
    code = run(["check", "--json", "--snapshot", str(save(name, machine(name)))])
    envelope = json.loads(capsys.readouterr().out)
    jsonschema.validate(envelope, _SCHEMA)
    assert envelope["exit_code"] == code == 0
    assert envelope["status"] == "ok"
    assert envelope["errors"] == []


def test_an_empty_snapshot_cannot_be_assessed(save, capsys: pytest.CaptureFixture[str]) -> None:
    code = run(["check", "--json", "--snapshot", str(save("empty", {}))])
    envelope = json.loads(capsys.readouterr().out)
    jsonschema.validate(envelope, _SCHEMA)
    assert code == 6
    assert envelope["data"]["readiness"]["gpu"] == "unknown"
    assert [v["id"] for v in envelope["data"]["verdicts"] if v["status"] in ("fail", "broken")] == []


def test_a_folder_gives_one_envelope_a_line_and_survives_a_bad_file(
    save, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    save("a", machine("mi210"))
    (tmp_path / "b.json").write_text("{", encoding="utf-8")
    save("c", machine("no-gpu"))
    code = run(["check", "--json", "--snapshot", str(tmp_path), "--jobs", "1"])
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [line["exit_code"] for line in lines] == [0, 2, 0]
    assert lines[1]["errors"][0]["where"].endswith("b.json:1:2")
    assert code == 2


@pytest.mark.touches_machine
def test_a_folder_is_judged_by_several_processes_in_order(
    save, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for number in range(12):
        save(f"{number:02}", machine("mi210" if number % 2 else "no-gpu"))
    assert run(["check", "--json", "--snapshot", str(tmp_path), "--jobs", "2"]) == 0
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [line["data"]["readiness"]["gpu"] for line in lines] == ["absent", "ready"] * 6


def test_only_reports_what_was_asked_and_pulls_in_no_noise(save, capsys: pytest.CaptureFixture[str]) -> None:
    path = str(save("m", machine("mi210") | _KFD_DENIED))
    assert run(["check", "--json", "--snapshot", path, "--only", "gpu.*"]) == 0
    verdicts = json.loads(capsys.readouterr().out)["data"]["verdicts"]
    assert {v["id"].partition(".")[0] for v in verdicts} == {"gpu"}


def test_the_first_cause_stands_first_with_its_cure(save, capsys: pytest.CaptureFixture[str]) -> None:
    code = run(["check", "--snapshot", str(save("m", machine("mi210") | _KFD_DENIED))])
    page = capsys.readouterr().out
    assert code == 1
    assert "Root cause: driver.kfd-access [device-permissions]" in page
    assert "\x1b" not in page
    assert max(map(len, page.splitlines())) <= 110


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (
            ["check", "--only", "gpu.presnt"],
            "--only 'gpu.presnt' matches no check, did you mean 'gpu.present'?",
        ),
        (["check", "--only", "gpu.*", "--skip", "*"], "--only and --skip together leave no check"),
        (
            ["check", "--snapshot", "a", "--root", "b"],
            "--snapshot and --root both say where to look; give one",
        ),
        (
            ["check", "--snapshot", "a", "--jobs", "2"],
            "--jobs is for a folder of snapshots: give one with --snapshot DIR",
        ),
        (["check", "--arch", "gfx90b"], "'gfx90b' is no gfx target that is known here, did you mean gfx9"),
        (["chekc"], "no verb 'chekc', did you mean 'check'?"),
        (
            ["check", "--root", "/nonexistent"],
            "--root: /nonexistent is not a folder; give the mounted image or extracted tree",
        ),
    ],
)
def test_usage_errors_say_what_was_found_and_wanted(
    words: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(words) == 2
    printed = capsys.readouterr()
    assert message in printed.err
    assert printed.out == ""
    assert run([*words, "--json"]) == 2
    envelope = json.loads(capsys.readouterr().out)
    jsonschema.validate(envelope, _SCHEMA)
    assert message in envelope["errors"][0]["message"]


@pytest.mark.parametrize(("arch", "code"), [("gfx90a", 0), ("90a", 0), ("gfx90a:xnack-", 0), ("gfx1100", 1)])
def test_arch_is_compared_with_the_gpu(
    arch: str, code: int, save, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["check", "--json", "--snapshot", str(save("m", machine("mi210"))), "--arch", arch]) == code
    capsys.readouterr()


def test_arch_without_a_gpu_asks_for_more_than_is_there(save, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["check", "--json", "--snapshot", str(save("m", machine("no-gpu"))), "--arch", "gfx90a"]) == 1
    assert json.loads(capsys.readouterr().out)["data"]["root_causes"] == ["gpu.present"]


def test_what_was_never_installed_is_no_fault_and_the_whole_next_step_is_named(
    save, capsys: pytest.CaptureFixture[str]
) -> None:
    code = run(["check", "--snapshot", str(save("m", machine("mi210-no-rocm")))])
    page = capsys.readouterr().out
    assert code == 0
    assert "ROCm absent" in page
    assert "Root cause" not in page
    step = page.partition("Next: ")[2].splitlines()
    assert step[-1].strip() == "sudo apt-get install rocm"


def test_a_root_cause_begins_with_one_command(save, capsys: pytest.CaptureFixture[str]) -> None:
    run(["check", "--snapshot", str(save("m", machine("mi210") | _KFD_DENIED))])
    last = capsys.readouterr().out.splitlines()[-1]
    assert last.startswith("Next: ")


def test_rungs_below_the_wish_must_be_there(save, capsys: pytest.CaptureFixture[str]) -> None:
    path = str(save("m", machine("mi210-no-rocm")))
    assert run(["check", "--json", "--snapshot", path, "--for", "driver"]) == 0
    capsys.readouterr()
    assert run(["check", "--json", "--snapshot", path, "--for", "torch"]) == 1
    envelope = json.loads(capsys.readouterr().out)
    assert envelope["data"]["root_causes"][0] == "rocm.installed"
    assert envelope["data"]["readiness"]["rocm"] == "absent"


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--env", "x"], "--env and --deep ask a machine"),
        (["--deep"], "--env and --deep ask a machine"),
        (["--format", "markdown", "--json"], "--json and --format markdown are two formats"),
    ],
)
def test_options_that_do_not_go_together(
    words: list[str], message: str, save, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["check", "--snapshot", str(save("m", machine("no-gpu"))), *words]) == 2
    printed = capsys.readouterr()
    assert message in printed.err + printed.out


@pytest.mark.parametrize(
    ("variables", "there", "named", "looked_at"),
    [
        ({}, True, None, "HOME/.local/share/rocmdoctor/env"),
        ({}, False, None, None),
        ({"VIRTUAL_ENV": "/srv/active"}, True, None, None),
        ({"CONDA_PREFIX": "/srv/conda"}, True, None, None),
        ({}, True, "HOME/own", "HOME/own"),
    ],
)
def test_the_environment_that_is_looked_at(
    variables: dict[str, str],
    there: bool,
    named: str | None,
    looked_at: str | None,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The named one, the active one, which the facts find by its variable, else the one that rocmdoctor made."""
    for name in ("ROCMDOCTOR_ENV", "VIRTUAL_ENV", "CONDA_PREFIX", "SUDO_UID"):
        monkeypatch.delenv(name, raising=False)
    for name, value in {"HOME": str(tmp_path), **variables}.items():
        monkeypatch.setenv(name, value)
    (tmp_path / "own").mkdir()
    if there:
        (tmp_path / ".local/share/rocmdoctor/env").mkdir(parents=True)
    env = named.replace("HOME", str(tmp_path)) if named else None
    found = taking._chosen("/", env, deep=False).get("env:ROCMDOCTOR_ENV", {}).get("text")
    assert found == (looked_at.replace("HOME", str(tmp_path)) if looked_at else None)
    assert taking._chosen(str(tmp_path), None, deep=False) == {}


_LATE = {"ok": False, "why": "timeout"}


@pytest.mark.parametrize(
    ("answers", "says"),
    [
        (
            {"read:/etc/os-release": _LATE, "read:/usr/lib/os-release": _LATE},
            (
                "2 checks are unknown because questions had no answer in time. If this machine is only slow, as in "
                "emulation, '--patience 10' waits ten times as long as usual."
            ),
        ),
        ({"read:/etc/os-release": {"ok": False, "why": "permission"}}, ""),
    ],
)
def test_a_slow_machine_is_told_of_patience(
    answers: dict[str, Any], says: str, save, capsys: pytest.CaptureFixture[str]
) -> None:
    run(["check", "--snapshot", str(save("slow", {**machine("mi210"), **answers}))])
    page = " ".join(capsys.readouterr().out.split())
    assert ("--patience" in page) is bool(says)
    assert says in page
