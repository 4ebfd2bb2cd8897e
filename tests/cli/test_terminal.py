"""The report on real terminals: colour, width, letters; and Ctrl-C."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pexpect
import pytest

from tests.machines.healthy import machine

pytestmark = pytest.mark.touches_machine


@pytest.fixture
def snapshot(tmp_path: Path) -> str:
    path = tmp_path / "box.json"
    path.write_text(json.dumps({"schema": 1, "answers": machine("no-gpu")}), encoding="utf-8")
    return str(path)


def _on_terminal(words: list[str], columns: int = 100, **env: str) -> str:
    kept = {
        k: v
        for k, v in os.environ.items()
        if k not in ("NO_COLOR", "FORCE_COLOR", "TERM", "LC_ALL", "LANG", "COLUMNS")
    }
    child = pexpect.spawn(
        sys.executable, ["-m", "rocmdoctor", *words], env={**kept, "TERM": "xterm", "LC_ALL": "C.UTF-8", **env},
        dimensions=(40, columns), encoding="utf-8", timeout=30,
    )  # fmt: skip
    child.expect(pexpect.EOF)
    child.close()
    return str(child.before)


def test_a_terminal_gets_colour(snapshot: str) -> None:
    assert "\x1b[" in _on_terminal(["check", "--snapshot", snapshot])


@pytest.mark.parametrize("env", [{"NO_COLOR": "1"}, {"TERM": "dumb"}])
def test_no_colour_where_none_is_wanted(env: dict[str, str], snapshot: str) -> None:
    assert "\x1b[" not in _on_terminal(["check", "--snapshot", snapshot], **env)


def test_no_color_as_an_option(snapshot: str) -> None:
    assert "\x1b[" not in _on_terminal(["check", "--no-color", "--snapshot", snapshot])


@pytest.mark.parametrize("columns", [40, 60, 100])
def test_prose_keeps_to_the_width(columns: int, snapshot: str) -> None:
    page = _on_terminal(["check", "-v", "--snapshot", snapshot], columns, NO_COLOR="1")
    words = [line for line in page.splitlines() if len(line.rstrip("\r")) > columns]
    # Only what cannot be broken may stand out: a single long word or a command to be copied whole.
    assert [line for line in words if len(line.split()) > 2 and not line.startswith("      ")] == []


def test_a_terminal_without_utf8_gets_ascii(snapshot: str) -> None:
    page = _on_terminal(
        ["check", "-v", "--snapshot", snapshot], LC_ALL="C", PYTHONUTF8="0", PYTHONCOERCECLOCALE="0"
    )
    assert page.isascii()


def test_a_pipe_gets_no_colour_unless_forced(snapshot: str) -> None:
    command = [sys.executable, "-m", "rocmdoctor", "check", "--snapshot", snapshot]
    env = {k: v for k, v in os.environ.items() if k not in ("NO_COLOR", "FORCE_COLOR")}
    plain = subprocess.run(command, capture_output=True, text=True, check=False, env=env)
    forced = subprocess.run(
        command, capture_output=True, text=True, check=False, env={**env, "FORCE_COLOR": "1"}
    )
    assert "\x1b[" not in plain.stdout
    assert re.sub(r"\x1b\[[0-9;]*m", "", forced.stdout) == plain.stdout
    assert "\x1b[" in forced.stdout
    assert plain.stderr == ""


def test_a_closed_pipe_is_no_error(snapshot: str) -> None:
    script = f'"{sys.executable}" -m rocmdoctor list gpus | head -n 1'
    done = subprocess.run(["sh", "-c", script], capture_output=True, text=True, check=False)
    assert done.stderr == ""
