"""`./run`, as far as it goes without making an environment; tests/e2e goes the whole way."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from rocmdoctor.asking import distinct, keys
from rocmdoctor.facts import all_facts
from rocmdoctor.facts.base import first_questions
from tests.conftest import CHECKOUT

pytestmark = pytest.mark.touches_machine

RUN = CHECKOUT / "run"
OLDEST = "3.8"


def _run(*argv: str | Path, cache: Path, **more) -> subprocess.CompletedProcess[str]:
    env = {"PATH": os.environ["PATH"], "HOME": str(cache), "XDG_CACHE_HOME": str(cache), **more}
    return subprocess.run(
        [RUN, *argv],
        env=env,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        stdin=subprocess.DEVNULL,
    )


def _stub(folder: Path, name: str, script: str) -> Path:
    path = folder / name
    path.write_text(f"#!/bin/sh\n{script}\n", encoding="utf-8")
    path.chmod(0o755)
    return path


def _oldest() -> str:
    """An interpreter of the oldest version that may collect."""
    root = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv"))
    found = sorted(root.glob(f"versions/{OLDEST}.*/bin/python3"))
    path = str(found[-1]) if found else shutil.which(f"python{OLDEST}")
    if path is None:
        pytest.skip(f"no Python {OLDEST} here")
    return path


@pytest.mark.parametrize("tool", [["dash", "-n"], ["shellcheck", "--shell=sh"]], ids=lambda t: t[0])
def test_a_small_shell_takes_it(tool: list[str]) -> None:
    if shutil.which(tool[0]) is None:
        pytest.skip(f"no {tool[0]} here")
    done = subprocess.run([*tool, RUN], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_without_a_verb_it_says_how_to_use_it(tmp_path: Path) -> None:
    done = _run(cache=tmp_path)
    assert done.returncode == 2
    assert "./run check" in done.stderr
    assert _run("--help", cache=tmp_path).stdout == done.stderr


def test_a_python_that_is_too_old_is_one_sentence(tmp_path: Path) -> None:
    old = _stub(tmp_path, "python3", 'case $2 in *print*) echo 3.9;; *"(3, 8)"*) exit 0;; *) exit 1;; esac')
    done = _run("--python", old, "check", cache=tmp_path)
    assert done.returncode == 2
    assert f"{old} is 3.9 and the doctor needs Python 3.10 or newer" in done.stderr
    assert "./run collect > box.json" in done.stderr
    assert done.stderr.count("\n") == 1


def test_no_python_under_that_name(tmp_path: Path) -> None:
    done = _run("--python", "python4.2", "check", cache=tmp_path)
    assert (done.returncode, done.stderr) == (2, "rocmdoctor: --python: python4.2 is no Python that runs\n")


def test_a_missing_venv_names_one_command(tmp_path: Path) -> None:
    if shutil.which("apt-get") is None:
        pytest.skip("no apt-get here")
    bare = _stub(tmp_path, "python3.10", "case $2 in *ensurepip*) exit 1;; *) exit 0;; esac")
    done = _run("--python", bare, "check", cache=tmp_path)
    assert done.returncode == 2
    sudo = "" if os.geteuid() == 0 else "sudo "
    assert (
        f"install it: {sudo}apt-get install -y python3.10-venv (or let './run --yes check' do it)"
        in done.stderr
    )
    assert not (tmp_path / "rocmdoctor" / "envs").exists()


# Makes an environment in no time whose pip fails.
_FAKE_VENV = """
[ "$2" = venv ] || exit 0
mkdir -p "$3/bin"
printf '#!/bin/sh\\n[ "$1" = - ] || { seq 99; echo No matching distribution found; exit 1; }\\n' > "$3/bin/python"
chmod 755 "$3/bin/python"
"""


def test_pip_that_fails_shows_its_last_lines_and_leaves_nothing(tmp_path: Path) -> None:
    done = _run("--python", _stub(tmp_path, "python3.10", _FAKE_VENV), "check", cache=tmp_path)
    assert done.returncode == 2
    said = done.stderr.splitlines()
    assert said[2:7] == ["96", "97", "98", "99", "No matching distribution found"]
    assert str(tmp_path / "rocmdoctor" / "pip.log") in said[7]
    assert "docs/how-to/offline.md" in said[7]
    assert list((tmp_path / "rocmdoctor" / "envs").iterdir()) == []


def test_ctrl_c_leaves_no_half_environment(tmp_path: Path) -> None:
    slow = _stub(
        tmp_path, "python3.10", f'case $2 in venv) exec sleep 60;; *) exec {sys.executable} "$@";; esac'
    )
    env = dict(os.environ, XDG_CACHE_HOME=str(tmp_path))
    with subprocess.Popen(
        [RUN, "--python", slow, "check"], env=env, stderr=subprocess.PIPE, text=True, start_new_session=True
    ) as proc:
        assert proc.stderr is not None
        assert "first run" in proc.stderr.readline()
        envs = tmp_path / "rocmdoctor" / "envs"
        assert [p.name[:5] for p in envs.iterdir()] == [".new."]
        os.killpg(proc.pid, signal.SIGINT)
        rest = proc.stderr.read()
        assert proc.wait(20) == 130
    assert list(envs.iterdir()) == []
    assert rest == ""


def test_wheels_must_be_a_folder(tmp_path: Path) -> None:
    done = _run("--wheels", "/nope", "check", cache=tmp_path)
    assert (done.returncode, done.stderr) == (2, "rocmdoctor: --wheels: /nope is not a folder\n")


# ---------------------------------------------------------------- ./run collect


def test_collecting_needs_only_an_old_python(tmp_path: Path) -> None:
    done = _run("--python", _oldest(), "collect", cache=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    answers = json.loads(done.stdout)["answers"]
    asked = [key for query in distinct(first_questions(all_facts())) for key in keys(query)]
    assert set(asked) <= set(answers)
    assert list(tmp_path.iterdir()) == []


def test_the_old_python_loads_no_package(tmp_path: Path) -> None:
    code = (
        "import sys; sys.path.insert(0, sys.argv[1]); import rocmdoctor.cli.alone; from rocmdoctor.facts import all_facts;"
        "all_facts(); print(*sorted({m.split('.')[0] for m in sys.modules}))"
    )
    done = subprocess.run(
        [_oldest(), "-I", "-S", "-c", code, CHECKOUT], capture_output=True, text=True, check=True
    )
    assert not {"click", "rich", "packaging", "tomli"} & set(done.stdout.split())


def _steady(snapshot: dict) -> dict:
    """Without what moves from one second to the next: free memory and room, and programs on a busy machine."""
    moving = ("read:/proc/meminfo", "read:/proc/loadavg", "disk:", "run:")
    answers = {k: None if k.startswith(moving) else v for k, v in snapshot["answers"].items()}
    return {**snapshot, "taken_at": "", "answers": answers}


def test_both_collectors_write_the_same(tmp_path: Path) -> None:
    here = _run("--python", sys.executable, "collect", "-o", tmp_path / "alone.json", cache=tmp_path)
    assert here.returncode == 0, here.stderr
    env = {
        "PATH": os.environ["PATH"], "HOME": str(tmp_path), "XDG_CACHE_HOME": str(tmp_path), "PYTHONPATH": str(CHECKOUT)
    }  # fmt: skip
    argv = [sys.executable, "-m", "rocmdoctor", "collect", "-o", str(tmp_path / "full.json")]
    subprocess.run(argv, env=env, check=True, capture_output=True, timeout=60)
    alone, full = (json.loads((tmp_path / f"{n}.json").read_text()) for n in ("alone", "full"))
    full["answers"].pop("env:PYTHONPATH", None)
    alone["answers"].pop("env:PYTHONPATH", None)
    one, other = _steady(alone), _steady(full)
    assert one.keys() == other.keys()
    differing = {k: (one[k], other[k]) for k in one if k != "answers" and one[k] != other[k]}
    assert differing == {}
    assert one["answers"].keys() == other["answers"].keys()
    assert {k: (v, other["answers"][k]) for k, v in one["answers"].items() if v != other["answers"][k]} == {}


@pytest.mark.parametrize(
    ("argv", "says"),
    [
        (["--root", "/nope"], "--root: /nope is not a folder"),
        (["-o", "/nope/x.json"], "-o: /nope/x.json cannot be written: No such file or directory"),
        (["--patience", "0"], "0 is not between 0.1 and 100"),
    ],
)
def test_wrong_options_are_one_line(tmp_path: Path, argv: list[str], says: str) -> None:
    done = _run("--python", sys.executable, "collect", *argv, cache=tmp_path)
    assert done.returncode == 2
    assert says in done.stderr
    assert "Traceback" not in done.stderr


def test_a_reader_that_leaves_early_sees_no_traceback(tmp_path: Path) -> None:
    line = f"'{RUN}' --python '{sys.executable}' collect | head -c 1"
    done = subprocess.run(["sh", "-c", line], capture_output=True, text=True, timeout=60, check=False)
    assert done.stderr == ""


def test_an_empty_root_is_collected(tmp_path: Path) -> None:
    (tmp_path / "root").mkdir()
    began = time.monotonic()
    done = _run("--python", sys.executable, "collect", "--root", tmp_path / "root", cache=tmp_path)
    assert done.returncode == 0
    assert json.loads(done.stdout)["host"]["kind"] == "root"
    assert time.monotonic() - began < 30
