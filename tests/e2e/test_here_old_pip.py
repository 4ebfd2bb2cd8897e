"""An environment with the pip of Ubuntu 22.04, which writes no reports: it gets a newer one, and the lock has its digests."""

from __future__ import annotations

import json
import re
import shutil
import sys
from pathlib import Path

import pytest

from tests.e2e.here import doctor
from tests.e2e.processes import good

OLD = "22.0.2"
pytestmark = [
    pytest.mark.e2e,
    pytest.mark.slow,
    pytest.mark.timeout(600),
    pytest.mark.skipif(sys.version_info >= (3, 12), reason=f"pip {OLD} does not run with Python 3.12"),
]
_RECIPE = """\
schema: 1
id: small
title: One small package
after: [python]
brings: [python]
releases:
  - version: "1.0"
steps:
  - id: wheel
    uses: pip.install
    with: {env: "${env}", packages: ["six==1.17.0"]}
"""


@pytest.fixture
def home(tmp_path: Path) -> Path:
    recipes = tmp_path / "own" / "recipes"
    recipes.mkdir(parents=True)
    (recipes / "small.yaml").write_text(_RECIPE, encoding="utf-8")
    return tmp_path


def made(env: Path) -> Path:
    """An environment of the Python that runs the tests, with the old pip."""
    good([sys.executable, "-m", "venv", env], 120)
    good([env / "bin" / "python", "-m", "pip", "install", "-q", f"pip=={OLD}"], 120)
    assert pip_of(env) == OLD
    return env


def pip_of(env: Path) -> str:
    said = good([env / "bin" / "python", "-I", "-m", "pip", "--version"])
    return said.split()[1]


def install(home: Path, *more: str | Path, code: int = 0) -> str:
    words = ("install", "small", "--no-root", "--arch", "gfx90a", "--content", home / "own", "--yes", *more)
    state = {"ROCMDOCTOR_STATE": str(home / "state")}
    done = doctor(home, *words, env=state, seconds=300)
    assert done.returncode == code, done.stdout[-3000:] + done.stderr[-2000:]
    return done.stdout + done.stderr


def files(lock: Path) -> dict[str, str]:
    return {row["name"]: row["sha256"] for row in json.loads(lock.read_text(encoding="utf-8"))["wheels"]}


def test_ours_gets_a_newer_one_and_the_lock_its_digests(home: Path) -> None:
    env = made(home / ".local" / "share" / "rocmdoctor" / "env")
    said = install(home)
    assert "install pip==" in said
    assert pip_of(env) != OLD
    found = files(env / "rocmdoctor.lock")
    assert re.fullmatch("[0-9a-f]{64}", found["six"])
    assert "has no sha256" not in said
    assert "pip" not in {
        row["name"] for row in json.loads((env / "rocmdoctor.lock").read_text("utf-8"))["distributions"]
    }


def test_somebody_elses_keeps_it_and_that_is_said(home: Path) -> None:
    env = made(home / "theirs")
    said = " ".join(install(home, "--env", env).split())
    assert f"pip {OLD} of {env} is older than 22.2" in said
    assert "the lock has no sha256 of six" in said
    assert pip_of(env) == OLD


def test_a_lock_is_kept_to_by_the_old_pip_and_handed_on(home: Path) -> None:
    first = made(home / ".local" / "share" / "rocmdoctor" / "env")
    install(home)
    lock = home / "rocmdoctor.lock"
    shutil.copy(first / "rocmdoctor.lock", lock)
    shutil.rmtree(first)
    made(first)
    words = ("install", "--locked", lock, "--no-root", "--content", home / "own", "--yes")
    done = doctor(home, *words, env={"ROCMDOCTOR_STATE": str(home / "state")}, seconds=300)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-2000:]
    assert pip_of(first) == OLD
    assert files(first / "rocmdoctor.lock")["six"] == files(lock)["six"]


def test_one_of_uvs_has_no_pip_and_gets_one(home: Path) -> None:
    env = home / "theirs"
    good([sys.executable, "-m", "venv", "--without-pip", env], 120)
    said = install(home, "--env", env)
    assert "put pip into" in said
    assert re.fullmatch("[0-9a-f]{64}", files(env / "rocmdoctor.lock")["six"])
