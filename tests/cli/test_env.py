"""`rocmdoctor env` as its users call it: a saved machine's facts, real files in a home folder of its own."""

from __future__ import annotations

import json
import os
import stat
from pathlib import Path
from typing import Any

import pytest

from rocmdoctor.actions import Person
from rocmdoctor.cli import exporting
from rocmdoctor.cli.main import run
from rocmdoctor.hosts.replay import from_raw
from tests.machines.healthy import machine
from tests.machines.parts import ABSENT, text

FILE = ".config/rocmdoctor/env.sh"
BLOCK = """\
# >>> rocmdoctor >>>
if [ -r "$HOME/.config/rocmdoctor/env.sh" ]; then
    . "$HOME/.config/rocmdoctor/env.sh"
fi
# <<< rocmdoctor <<<
"""


class Home:
    """A user's home folder on a machine of the saved ones."""

    def __init__(self, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.path = path
        self._patch = monkeypatch
        person = Person("ann", os.getuid(), str(path), "/bin/bash")
        monkeypatch.setattr(exporting, "person_here", lambda: person)
        monkeypatch.setenv("HOME", str(path))
        self.on("rx7900xtx-with-igpu")

    def on(self, name: str, **answers: Any) -> None:
        """The machine that is asked from now on."""
        own = f"glob:{self.path}/{FILE}"
        raw = {**machine(name), "env:HOME": text(str(self.path)), own: ABSENT, **answers}
        taken = from_raw({"schema": 1, "answers": raw})
        self._patch.setattr(exporting, "take", lambda *_args, **_more: taken)

    def read(self, name: str) -> str:
        return (self.path / name).read_text(encoding="utf-8")


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Home:
    folder = tmp_path / "home"
    folder.mkdir()
    return Home(folder, monkeypatch)


def test_it_prints_shell_text(home: Home, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["env"]) == 0
    said = capsys.readouterr().out
    lines = said.splitlines()
    assert [line for line in lines if line and not line.startswith("#")] == [
        "export FLASH_ATTENTION_TRITON_AMD_ENABLE=TRUE",
        "export ROCR_VISIBLE_DEVICES=0",
    ]
    assert "Read by: ROCr (libhsa-runtime64)." in said.replace("\n# ", " ")
    assert "# Left out: TORCH_HIP_ARCH_LIST. Nothing reads it; PYTORCH_ROCM_ARCH is meant" in said
    assert all(len(line) <= 112 for line in lines)
    assert not (home.path / ".config").exists()


def test_a_machine_that_needs_none_is_told(home: Home, capsys: pytest.CaptureFixture[str]) -> None:
    home.on("mi210")
    assert run(["env"]) == 0
    assert capsys.readouterr().out.startswith("# This machine needs no variables.\n\n# Left out: PATH.")


def test_json(home: Home, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["env", "--json", "--arch", "gfx1036"]) == 0
    envelope = json.loads(capsys.readouterr().out)
    assert (envelope["command"], envelope["status"], envelope["errors"]) == ("env", "ok", [])
    exports = {e["name"]: e for e in envelope["data"]["exports"]}
    assert exports["ROCR_VISIBLE_DEVICES"]["value"] == "1", (
        "the target that is meant is shown, integrated or not"
    )
    assert exports["ROCR_VISIBLE_DEVICES"]["source"]
    assert {row["name"] for row in envelope["data"]["left_out"]} >= {"HIP_PATH", "GPU_ARCHS"}


@pytest.mark.touches_machine
def test_written_once_and_taken_back(home: Home, capsys: pytest.CaptureFixture[str]) -> None:
    bashrc = home.path / ".bashrc"
    bashrc.write_bytes(b"case $- in *i*) ;; *) return ;; esac\nalias ll='ls -l'")
    bashrc.chmod(0o600)
    (home.path / ".profile").write_text(". ~/.bashrc\n", encoding="utf-8")
    assert run(["env", "--write"]) == 0
    said = capsys.readouterr().out
    assert f"New shells have them. For this one: . {home.path}/{FILE}\n" in said
    assert "export ROCR_VISIBLE_DEVICES=0\n" in home.read(FILE)
    assert BLOCK in home.read(".bashrc")
    assert stat.S_IMODE(bashrc.stat().st_mode) == 0o600
    assert home.read(".profile") == ". ~/.bashrc\n", "it leads to .bashrc already"
    before = {p: p.stat().st_mtime_ns for p in home.path.rglob("*") if p.is_file()}
    assert run(["env", "--write"]) == 0
    assert capsys.readouterr().out == f"{home.path}/{FILE} is as it should be; nothing was changed.\n"
    assert {p: p.stat().st_mtime_ns for p in home.path.rglob("*") if p.is_file()} == before
    assert run(["env", "--remove"]) == 0
    assert bashrc.read_bytes() == b"case $- in *i*) ;; *) return ;; esac\nalias ll='ls -l'"
    assert not (home.path / FILE).exists()
    capsys.readouterr()
    assert run(["env", "--remove"]) == 0
    assert capsys.readouterr().out == "Nothing of rocmdoctor's is there.\n"


@pytest.mark.touches_machine
def test_what_is_needed_no_more_goes(home: Home, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["env", "--write", "--json"]) == 0
    changed = json.loads(capsys.readouterr().out)["data"]["changed"]
    assert changed == [f"{home.path}/{name}" for name in (FILE, ".bashrc", ".profile")]
    home.on("mi210")
    assert run(["env", "--write"]) == 0
    assert "This machine needs no variables; 'rocmdoctor env' says why." in capsys.readouterr().out
    assert not (home.path / FILE).exists()
    assert BLOCK not in home.read(".bashrc")


@pytest.mark.touches_machine
def test_a_file_that_cannot_be_written_is_named(home: Home, capsys: pytest.CaptureFixture[str]) -> None:
    (home.path / ".config").write_text("not a folder\n", encoding="utf-8")
    assert run(["env", "--write"]) == 4
    said = capsys.readouterr()
    assert said.out == ""
    assert f"{home.path}/.config" in said.err
    assert "Traceback" not in said.err
    assert not (home.path / ".bashrc").exists(), "no shell reads a file that is not there"


@pytest.mark.touches_machine
def test_marks_that_make_no_sense_are_left_alone(home: Home, capsys: pytest.CaptureFixture[str]) -> None:
    text_ = "# <<< rocmdoctor <<<\n# >>> rocmdoctor >>>\n"
    (home.path / ".bashrc").write_text(text_, encoding="utf-8")
    assert run(["env", "--write", "--json"]) == 4
    envelope = json.loads(capsys.readouterr().out)
    assert envelope["status"] == "error"
    assert ".bashrc: holds" in envelope["errors"][0]["message"]
    assert home.read(".bashrc") == text_


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--write", "--remove"], "--write and --remove are opposites; give one"),
        (
            ["--remove", "--arch", "gfx90a"],
            "--arch says what to write, and --remove writes nothing; give one",
        ),
        (
            ["--arch", "mi210"],
            "'mi210' is no gfx target that is known here; 'rocmdoctor list gpus' shows them",
        ),
    ],
)
def test_wrong_use(home: Home, words: list[str], said: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["env", *words]) == 2
    assert said in capsys.readouterr().err
