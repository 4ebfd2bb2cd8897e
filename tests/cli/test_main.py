"""The group of verbs: help, versions, completion, and what happens when something goes wrong."""

from __future__ import annotations

import json

import pytest

import rocmdoctor.cli.main as main_module
from rocmdoctor import __version__
from rocmdoctor.__main__ import main
from rocmdoctor.cli.front import VERBS, page
from rocmdoctor.cli.main import run


@pytest.mark.parametrize("words", [["--help"], ["-h"], []])
def test_the_first_page_is_the_same_with_and_without_click(
    words: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.argv", ["rocmdoctor", *words])
    main()
    assert capsys.readouterr().out == page()
    assert run(["--help"]) == 0
    assert capsys.readouterr().out.strip() == page().strip()


@pytest.mark.parametrize("verb", VERBS)
def test_every_verb_has_help_with_an_example(verb: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run([verb, "--help"]) == 0
    printed = capsys.readouterr().out
    assert f"rocmdoctor {verb}" in printed.partition("Options:")[0].partition("\n")[2]


def test_version(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr("sys.argv", ["rocmdoctor", "--version"])
    main()
    assert capsys.readouterr().out == f"rocmdoctor {__version__}\n"


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_scripts(shell: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["completion", shell]) == 0
    assert "_ROCMDOCTOR_COMPLETE" in capsys.readouterr().out


def test_completion_answers_although_it_calls_without_words(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.argv", ["rocmdoctor"])
    for name, value in (
        ("_ROCMDOCTOR_COMPLETE", "bash_complete"),
        ("COMP_WORDS", "rocmdoctor che"),
        ("COMP_CWORD", "1"),
    ):
        monkeypatch.setenv(name, value)
    with pytest.raises(SystemExit) as stop:
        main()
    assert stop.value.code == 0
    assert capsys.readouterr().out.split() == ["plain,check"]


def test_our_own_bug_is_named_and_ends_in_70(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def broken(_words: list[str]) -> int:
        raise ZeroDivisionError("by design")

    monkeypatch.setattr(main_module, "_run", broken)
    assert run(["check"]) == 70
    printed = capsys.readouterr().err
    assert "bug in rocmdoctor: ZeroDivisionError: by design" in printed
    assert "Traceback" not in printed
    assert run(["check", "--json"]) == 70
    assert json.loads(capsys.readouterr().out)["errors"][0]["where"].startswith("test_main.py:")


def test_ctrl_c_is_130(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    def stopped(_words: list[str]) -> int:
        raise KeyboardInterrupt

    monkeypatch.setattr(main_module, "_run", stopped)
    assert run(["check"]) == 130
    assert "stopped by Ctrl-C" in capsys.readouterr().err
