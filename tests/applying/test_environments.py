"""Environments made and filled for real, from a folder of wheels: what pip's own settings may and may not change."""

from __future__ import annotations

import hashlib
import re
import subprocess
import zipfile
from pathlib import Path
from typing import Any

import pytest

from rocmdoctor.applying.run_plan import Outcome
from tests.applying.conftest import Bench
from tests.applying.here import MEANS, done_here, planned_here

pytestmark = [pytest.mark.touches_machine, pytest.mark.timeout(180)]


def _wheel(folder: Path, name: str, version: str, requires: str = "") -> str:
    """A distribution of one empty module; its sha256."""
    folder.mkdir(exist_ok=True)
    path = folder / f"{name}-{version}-py3-none-any.whl"
    info = f"{name}-{version}.dist-info"
    more = f"Requires-Dist: {requires}\n" if requires else ""
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(f"{name}.py", "")
        archive.writestr(
            f"{info}/METADATA", f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n{more}"
        )
        archive.writestr(
            f"{info}/WHEEL", "Wheel-Version: 1.0\nGenerator: x\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        )
        archive.writestr(
            f"{info}/RECORD", f"{name}.py,,\n{info}/METADATA,,\n{info}/WHEEL,,\n{info}/RECORD,,\n"
        )
    return hashlib.sha256(path.read_bytes()).hexdigest()


class Home:
    def __init__(self, folder: Path) -> None:
        self.folder, self.path, self.wheels = folder, folder / "home", folder / "wheels"
        self.path.mkdir()

    def do(self, uses: str, **given: Any) -> tuple[Bench, Outcome]:
        return done_here(self.folder / "state", self.plan(uses, **given))

    def plan(self, uses: str, **given: Any) -> list[Any]:
        return planned_here(self.path, uses, **given)

    def pip(self, *packages: str, **given: Any) -> tuple[Bench, Outcome]:
        return self.do("pip.install", env="~/env", packages=list(packages), wheels=str(self.wheels), **given)

    def listed(self) -> list[str]:
        words = [self.path / "env/bin/python", "-m", "pip", "list", "--format=freeze"]
        said = subprocess.run(words, capture_output=True, text=True, check=True).stdout
        return [line for line in said.split() if not line.startswith(("pip==", "setuptools=="))]


@pytest.fixture
def home(tmp_path: Path) -> Home:
    made = Home(tmp_path)
    bench, outcome = made.do("python.env", path="~/env")
    assert (outcome.state, outcome.message) == ("done", "")
    made.bench = bench  # type: ignore[attr-defined]
    return made


def test_made_filled_and_taken_back(home: Home) -> None:
    # It is of the system's Python, which need not be the one that runs the tests.
    settings = (home.path / "env" / "pyvenv.cfg").read_text(encoding="utf-8")
    (version,) = re.findall(r"^version(?:_info)? = (\d+\.\d+)", settings, re.MULTILINE)
    assert home.plan("python.env", path="~/env", python=version) == []
    _wheel(home.wheels, "one", "1.0+rocm6.4", requires="two")
    _wheel(home.wheels, "two", "2.0")
    bench, outcome = home.pip("one==1.0+rocm6.4")
    assert (outcome.state, outcome.message) == ("done", "")
    assert home.listed() == ["one==1.0+rocm6.4", "two==2.0"]
    assert home.plan("pip.install", env="~/env", packages=["one==1.0"]) == []
    assert bench.undo(MEANS).failed == ""
    assert home.listed() == ["two==2.0"]
    assert home.bench.undo(MEANS).failed == ""  # type: ignore[attr-defined]
    assert not (home.path / "env").exists()


def test_settings_of_pip_that_would_put_it_elsewhere(home: Home) -> None:
    _wheel(home.wheels, "one", "1.0")
    (home.path / "env" / "pip.conf").write_text("[install]\nuser = true\n")
    assert home.pip("one==1.0")[1].state == "done"
    assert home.listed() == ["one==1.0"]


def test_constraints_of_the_environment_hold(home: Home) -> None:
    """What other steps protect stays protected: such a setting is meant."""
    _wheel(home.wheels, "one", "2.0")
    _wheel(home.wheels, "one", "1.0")
    (home.path / "env" / "constraints.txt").write_text("one==1.0\n")
    (home.path / "env" / "pip.conf").write_text(f"[install]\nconstraint = {home.path}/env/constraints.txt\n")
    assert home.pip("one==2.0")[1].state == "failed"
    assert home.listed() == []


def test_a_file_that_is_not_the_pinned_one(home: Home) -> None:
    good = _wheel(home.wheels, "one", "1.0")
    assert home.pip("one==1.0", hashes={"one": good}, no_deps=True)[1].state == "done"
    _wheel(home.wheels, "two", "1.0")
    bench, outcome = home.pip("two==1.0", hashes={"two": "0" * 64}, no_deps=True)
    assert outcome.message.splitlines()[0].endswith(
        "ended with exit code 1: the index gave a file that is not the one that is pinned; do not install it: compare with"
        " what the project publishes, and look at the index and the proxy."
    )
    assert home.listed() == ["one==1.0"]
    assert bench.undo(MEANS).failed == ""


def test_a_version_that_the_index_has_not(home: Home) -> None:
    _wheel(home.wheels, "one", "1.0")
    _, outcome = home.pip("one==1.1")
    assert (
        "the index that was asked has no one==1.1 for this Python and machine"
        in outcome.message.splitlines()[0]
    )
