"""`plan`, `install`, `resume`, `undo` and `history`, as far as they go without changing anything."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from rocmdoctor.cli.main import run
from tests.machines.families import family


@pytest.fixture
def box(tmp_path: Path) -> Path:
    """A Debian 13 with an MI210's figures, saved."""
    path = tmp_path / "box.json"
    path.write_text(json.dumps({"schema": 1, "answers": family("debian12")}), encoding="utf-8")
    return path


def _said(capsys: pytest.CaptureFixture[str], *argv: str) -> tuple[int, str, str]:
    code = run(list(argv))
    out, err = capsys.readouterr()
    return code, out, err


def test_a_plan_for_a_saved_machine(box: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, out, err = _said(capsys, "plan", "build-tools", "--snapshot", str(box))
    assert (code, err) == (0, "")
    assert out.startswith("Plan     build-tools for gfx90a\nMachine  ")
    assert "Next:" not in out


def test_the_same_as_json(box: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = _said(capsys, "plan", "base", "--snapshot", str(box), "--json")
    said = json.loads(out)
    assert (code, said["exit_code"], said["status"], said["command"]) == (0, 0, "ok", "plan")
    assert set(said["data"]) >= {"choice", "steps", "predicted", "left_out", "notes", "verify", "verified"}
    for step in said["data"]["steps"]:
        assert set(step) == {"id", "recipe", "says", "kind", "root", "network", "reboot", "undo", "removes"}


def test_a_plan_that_is_saved_is_the_plan(
    box: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "base.json"
    code, out, _ = _said(capsys, "plan", "base", "--snapshot", str(box), "-o", str(file))
    assert code == 0
    saved = json.loads(file.read_text(encoding="utf-8"))
    assert saved["schema"] == 1
    assert [a["id"] for a in saved["actions"]] == [
        line.split()[1] for line in out.splitlines() if re.match(r" *\d+  [a-z]", line)
    ]


@pytest.mark.parametrize(
    ("argv", "code", "says"),
    [
        (
            ["plan", "bse"],
            2,
            "rocmdoctor: no recipe and no stack is called 'bse', did you mean 'base'?\nTry 'rocmdoctor plan --help'.\n",
        ),
        (
            ["plan", "base", "--arch", "gfx90q"],
            2,
            (
                "rocmdoctor: Invalid value for '--arch': 'gfx90q' is no gfx target that is known here, did you mean gfx950?\n"
                "Try 'rocmdoctor plan --help'.\n"
            ),
        ),
        (
            ["plan", "base", "--arch", "gfx1100"],
            3,
            (
                "✗ --arch gfx1100, and the GPU here is gfx90a: code for gfx1100 would not run on it\n"
                "  → Leave --arch out, and it is built for the GPU that is here; to build for another machine, build\n"
                "  there or in a container.\n"
                "Nothing was changed.\n"
            ),
        ),
        (
            ["plan", "base", "--root", "/"],
            2,
            "rocmdoctor: --snapshot and --root both say where to look; give one\nTry 'rocmdoctor plan --help'.\n",
        ),
    ],
)
def test_what_cannot_be_planned_is_said(
    box: Path, argv: list[str], code: int, says: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert _said(capsys, *argv, "--snapshot", str(box)) == (code, "", says)


_LATE = {"ok": False, "why": "timeout"}


@pytest.mark.parametrize(
    ("late", "argv", "says"),
    [
        (
            ["read:/etc/os-release", "read:/usr/lib/os-release"],
            ["plan", "rocm", "--rocm", "6.2.4"],
            (
                "✗ --rocm 6.2.4 and this machine do not go together: rocm 6.2.4 (amd): it is for ubuntu-22.04,\n"
                "ubuntu-24.04, and which system this is cannot be told (read:/usr/lib/os-release: no answer in time)\n"
                "  → If this machine is only slow, as in emulation, take the snapshot anew with 'rocmdoctor collect\n"
                "  --patience 10'. 'rocmdoctor recipe show rocm' shows what each release is for.\n"
                "Nothing was changed.\n"
            ),
        ),
    ],
)
def test_where_a_slow_machine_is_why_patience_is_offered(
    late: list[str], argv: list[str], says: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "slow.json"
    answers = {**family("debian12"), **dict.fromkeys(late, _LATE)}
    path.write_text(json.dumps({"schema": 1, "answers": answers}), encoding="utf-8")
    assert _said(capsys, *argv, "--snapshot", str(path)) == (3, "", says)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (
            "{",
            "line 1, column 2: found no JSON (Expecting property name enclosed in double quotes), wanted a plan as JSON",
        ),
        ("{}", "schema: found nothing, wanted 1, the format that this release reads"),
        ('{"schema": 2}', "schema: found 2, wanted 1, the format that this release reads"),
        ('{"schema": 1}', "request: found nothing, wanted an object"),
    ],
)
def test_a_plan_file_that_is_none_is_one_clear_error(
    tmp_path: Path, text: str, says: str, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "base.json"
    file.write_text(text, encoding="utf-8")
    assert _said(capsys, "install", str(file)) == (2, "", f"rocmdoctor: {file}: {says}\n")


def test_a_plan_file_that_is_not_there(capsys: pytest.CaptureFixture[str]) -> None:
    code, _, err = _said(capsys, "install", "/nope/base.json")
    assert (code, err) == (
        2,
        "rocmdoctor: /nope/base.json cannot be read: No such file or directory\nTry 'rocmdoctor install --help'.\n",
    )


def test_a_file_takes_no_wishes(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, _, err = _said(capsys, "install", str(tmp_path / "x.json"), "--arch", "gfx90a")
    assert code == 2
    assert err.startswith(
        f"rocmdoctor: {tmp_path / 'x.json'} is a plan already made; --arch gfx90a belongs to 'plan'"
    )


@pytest.mark.parametrize("verb", ["resume", "undo"])
def test_nothing_to_go_on_with(
    verb: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("ROCMDOCTOR_STATE", str(tmp_path / "state"))
    hint = f"Try 'rocmdoctor {verb} --help'.\n"
    ends = {"resume": "has not ended", "undo": "can be taken back"}[verb]
    assert _said(capsys, verb) == (
        2,
        "",
        f"rocmdoctor: there is no run that {ends}; 'rocmdoctor history' shows all\n{hint}",
    )
    assert _said(capsys, verb, "7") == (
        2,
        "",
        f"rocmdoctor: there is no run 7; 'rocmdoctor history' shows all\n{hint}",
    )


def test_history_of_a_machine_that_has_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("ROCMDOCTOR_STATE", str(tmp_path / "state"))
    assert _said(capsys, "history") == (
        0, "Nothing was installed with rocmdoctor on this machine yet. Next: rocmdoctor plan\n", ""
    )  # fmt: skip
    assert json.loads(_said(capsys, "history", "--json")[1])["data"] == {"runs": []}


def test_targets_are_completed(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    for name, value in (
        ("COMP_WORDS", "rocmdoctor install b"),
        ("COMP_CWORD", "2"),
        ("_ROCMDOCTOR_COMPLETE", "bash_complete"),
    ):
        monkeypatch.setenv(name, value)
    with pytest.raises(SystemExit):
        run([])
    assert capsys.readouterr().out == "plain,base\nplain,bitsandbytes\nplain,build-tools\n"


def test_a_lock_is_written_and_planned_from(
    box: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    lock = tmp_path / "rocmdoctor.lock"
    code, _, _ = _said(
        capsys, "plan", "torch", "--snapshot", str(box), "--pin", "torch==2.13.*", "--lock", str(lock)
    )
    assert code == 0
    assert json.loads(lock.read_text(encoding="utf-8"))["components"]["torch"]["version"].startswith("2.13.0")
    code, out, _ = _said(capsys, "plan", "--snapshot", str(box), "--locked", str(lock), "--json")
    assert code == 0
    assert json.loads(out)["data"]["choice"]["torch"]["version"].startswith("2.13.0")


# It has the digest of something else.
_WITHOUT = json.dumps(
    {
        "schema": 1,
        "gfx": ["gfx90a"],
        "targets": ["torch"],
        "components": {},
        "distributions": [],
        "sources": [],
        "patches": [],
        "wheels": [{"name": "six", "version": "1", "url": "https://x.example/six.whl", "sha256": "0" * 64}],
    }
)


@pytest.mark.parametrize(
    ("argv", "text", "code", "says"),
    [
        (
            ("torch", "--locked"),
            None,
            2,
            "--locked: LOCK names targets and versions already; leave yours out",
        ),
        (("--locked",), "{", 2, "LOCK: found no JSON"),
        (("--locked",), "", 2, "--locked: LOCK cannot be read: No such file or directory"),
        (
            ("--locked",),
            _WITHOUT,
            3,
            "torch.wheels: the lock has no sha256 of torch==2.14.1+rocm7.14, torchvision==0.29.1+rocm7.14",
        ),
        (
            ("--mirror-folder", "/srv/parts", "torch", "--lock"),
            "{}",
            2,
            "--mirror-folder holds what a lock names: give the lock with --locked",
        ),
    ],
)
def test_a_lock_that_cannot_be_followed(
    argv: tuple[str, ...],
    text: str | None,
    code: int,
    says: str,
    box: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    lock = tmp_path / "rocmdoctor.lock"
    if text is None:
        assert _said(capsys, "plan", "torch", "--snapshot", str(box), "--lock", str(lock))[0] == 0
    elif text:
        lock.write_text(text, encoding="utf-8")
    found, _, err = _said(capsys, "plan", "--snapshot", str(box), *argv, str(lock))
    assert (found, says in " ".join(err.replace(str(lock), "LOCK").split())) == (code, True), err
