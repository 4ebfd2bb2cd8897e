"""The smoke scripts as text: small shells take them, and what they say of themselves is what they do."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml

from tests.conftest import CHECKOUT

_FOLDER = CHECKOUT / "smoke"
_SCRIPTS = ("smoke.sh", "over-ssh.sh", "clean-image.sh")
_PAGE = (CHECKOUT / "docs/how-to/ci-in-a-vm.md").read_text(encoding="utf-8")


def _text(name: str) -> str:
    return (_FOLDER / name).read_text(encoding="utf-8")


@pytest.mark.touches_machine
@pytest.mark.parametrize("name", _SCRIPTS)
@pytest.mark.parametrize("tool", [["dash", "-n"], ["shellcheck", "--shell=sh"]], ids=lambda t: t[0])
def test_a_small_shell_takes_it(name: str, tool: list[str]) -> None:
    if shutil.which(tool[0]) is None:
        pytest.skip(f"no {tool[0]} here")
    done = subprocess.run([*tool, _FOLDER / name], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


@pytest.mark.touches_machine
@pytest.mark.parametrize("name", _SCRIPTS)
def test_help_is_an_answer(name: str) -> None:
    done = subprocess.run([_FOLDER / name, "--help"], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith(f"Usage: {name} ")
    assert max(map(len, done.stdout.splitlines())) <= 132


def test_every_exit_code_is_in_the_help_and_on_the_page() -> None:
    smoke, over = _text("smoke.sh"), _text("over-ssh.sh")
    given = set(re.findall(r"(?:give_up|exit) (\d+)", smoke)) | set(
        re.findall(r"(?:fail|return|code=) ?(\d+)", over)
    )
    listed = set(re.findall(r"(?:[:·]|^)\s?(\d+) ", (smoke + over).replace("Exit codes", ":"), re.MULTILINE))
    assert given - {"0"} <= listed, given - listed
    rows = set(re.findall(r"^\| (\d+) \|", _PAGE, re.MULTILINE))
    assert given | {"0", "2", "102"} == rows


def test_every_option_is_on_the_page() -> None:
    options = re.findall(r"^  (--[\w-]+)", _text("smoke.sh"), re.MULTILINE)
    assert len(options) > 8
    assert [o for o in options if o not in _PAGE] == []


@pytest.mark.parametrize("name", ["github-actions.yml", "gitlab-ci.yml"])
def test_a_workflow_calls_what_is_there(name: str) -> None:
    text = _text(name)
    assert isinstance(yaml.safe_load(text), dict)
    for path in re.findall(r"rocmdoctor/(smoke/[\w.-]+\.sh)", text):
        assert (CHECKOUT / path).exists(), path
    vagrantfile = (CHECKOUT / "Vagrantfile").read_text(encoding="utf-8")
    machines = set(re.findall(r'^  "(\w+)" => "', vagrantfile, re.MULTILINE))
    assert machines == {"jammy", "bookworm", "trixie"}
    (matrix,) = re.findall(r"(?:machine|MACHINE): \[(.*)\]", text)
    assert set(matrix.split(", ")) == machines
    # An action is a commit, not a name that may be moved.
    assert [a for a in re.findall(r"uses: (\S+)", text) if not re.fullmatch(r"[\w/-]+@[0-9a-f]{40}", a)] == []


def test_scripts_can_be_run() -> None:
    assert [s for s in _SCRIPTS if not Path(_FOLDER / s).stat().st_mode & 0o100] == []


# ---------------------------------------------------------------- with a stand-in for ./run

_RUN = """#!/bin/sh
while [ "$1" = --yes ]; do shift; done
case $1 in
    install) code=$(cat "$0.code") ;;
    *) code=0 ;;
esac
case $1 in
    history) printf '{"data": {"runs": [%s]}}\\n' "$(cat "$0.runs")" ;;
    *) printf '{"data": {}}\\n' ;;
esac
exit "$code"
"""


def _second_half(folder: Path, install: int, runs: str) -> tuple[int, str]:
    """The call after a reboot, which is told by another number of the boot in the script's own note."""
    (folder / "smoke").mkdir()
    shutil.copy(_FOLDER / "smoke.sh", folder / "smoke")
    for name, text in (("run", _RUN), ("run.code", str(install)), ("run.runs", runs)):
        (folder / name).write_text(text, encoding="ascii")
    (folder / "run").chmod(0o755)
    argv = [folder / "smoke/smoke.sh", "--out", folder / "out", "--wait", "5"]
    first = subprocess.run(argv, capture_output=True, text=True, check=False, timeout=60)
    assert first.returncode == 102, first.stderr
    phase = folder / "out/phase"
    phase.write_text(phase.read_text().rpartition(" ")[0] + " another-boot\n", encoding="ascii")
    done = subprocess.run(argv, capture_output=True, text=True, check=False, timeout=60)
    return done.returncode, done.stderr


@pytest.mark.touches_machine
@pytest.mark.skipif(os.geteuid() != 0, reason="the script wants root, or a sudo that does not ask")
@pytest.mark.parametrize(
    ("install", "runs", "code"),
    [
        (102, '{"state": "done"}', 0),
        (102, '{"state": "failed"}', 12),
        (102, "", 12),
        (102, '{"state": "reboot"}', 102),
        (0, '{"state": "done"}', 0),
        # The newest run is an older one that failed: what was installed now was over before the reboot.
        (0, '{"state": "failed"}', 0),
        (0, "", 0),
    ],
)
def test_what_history_says_after_the_reboot(tmp_path: Path, install: int, runs: str, code: int) -> None:
    found, said = _second_half(tmp_path, install, runs)
    assert found == code, said
