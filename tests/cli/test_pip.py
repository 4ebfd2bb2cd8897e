"""`pip install`: which of the person's words go on to pip, and what is no environment."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from rocmdoctor.cli.main import run
from rocmdoctor.cli.pip_install import _exact
from rocmdoctor.planning.pip_report import Item

_KINDLY = Item("kindly", "1.0", True, (), "", ())
_LOCAL = Item("mine", "0.1", True, (), "file:///srv/mine", ())


@pytest.mark.parametrize(
    ("words", "kept"),
    [
        (("kindly",), ()),
        (("-U", "kindly", "--no-deps"), ()),
        (("--index-url", "https://a.example/simple", "kindly"), ("--index-url", "https://a.example/simple")),
        (("--index-url=https://a.example/simple", "kindly"), ("--index-url=https://a.example/simple",)),
        (("--pre", "-c", "limits.txt", "kindly>=1"), ("--pre",)),
        (("-e", ".", "--no-build-isolation"), ("--no-build-isolation",)),
        (("-f", "/srv/wheels", "--upgrade-strategy", "eager", "kindly"), ("-f", "/srv/wheels")),
        (("--no-cache-dir", "--", "kindly"), ("--no-cache-dir",)),
    ],
)
def test_options_that_say_from_where_and_how_stay(words: tuple[str, ...], kept: tuple[str, ...]) -> None:
    assert _exact(words, [_KINDLY]) == (*kept, "--no-deps", "kindly==1.0")


def test_folders_go_by_their_address() -> None:
    editable = Item("mine", "0.1", True, (), "file:///srv/mine", (), editable=True)
    assert _exact((), [_LOCAL, editable]) == (
        "--no-deps",
        "mine @ file:///srv/mine",
        "-e",
        "file:///srv/mine",
    )


def test_a_file_of_requirements_says_from_where(tmp_path: Path) -> None:
    path = tmp_path / "r.txt"
    path.write_text("--index-url https://a.example/simple\n# --pre\n--find-links=/srv/w\nkindly\n")
    kept = ("--index-url", "https://a.example/simple", "--find-links", "/srv/w")
    assert _exact(("-r", str(path)), [_KINDLY]) == (*kept, "--no-deps", "kindly==1.0")


@pytest.mark.parametrize("as_json", [False, True])
def test_no_environment_is_said(
    tmp_path: Path, as_json: bool, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("rocmdoctor.cli.pip_install.calling_user", lambda: None)
    more = ["--json"] if as_json else []
    assert run(["pip", "install", "--env", str(tmp_path), "x", *more]) == 2
    out, err = capsys.readouterr()
    said = json.loads(out)["errors"][0]["message"] if as_json else err
    assert (
        f"--env: {tmp_path} is no Python environment: found no bin/python in it, wanted a venv or conda's; 'rocmdoctor install"
        " torch' makes one"
    ) in said
