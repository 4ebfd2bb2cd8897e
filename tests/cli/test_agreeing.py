"""Questions that a person answers with yes or no."""

from __future__ import annotations

import io

import click
import pytest

from rocmdoctor.cli.agreeing import agrees


@pytest.mark.parametrize(
    ("typed", "wanted"),
    [("y\n", True), ("YES\n", True), (" y \n", True), ("n\n", False), ("No\n", False), ("\n", False)],
)
def test_an_answer(typed: str, wanted: bool, monkeypatch, capsys) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO(typed))
    assert agrees("Continue?") is wanted
    assert capsys.readouterr() == ("", "Continue? [y/N]: ")


def test_what_is_no_answer_is_asked_again(monkeypatch, capsys) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO("maybe\ny\n"))
    assert agrees("Continue?") is True
    assert capsys.readouterr().err == "Continue? [y/N]: 'maybe' is neither y nor n.\nContinue? [y/N]: "


def test_nobody_there_is_no_yes(monkeypatch) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO(""))
    with pytest.raises(click.Abort):
        agrees("Continue?")


def test_ctrl_c_is_no_yes(monkeypatch) -> None:
    def pressed() -> str:
        raise KeyboardInterrupt

    monkeypatch.setattr("builtins.input", pressed)
    with pytest.raises(click.Abort):
        agrees("Continue?")
