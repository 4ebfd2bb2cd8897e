"""The project as a wheel and as an editable install, in an environment of its own."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from zipfile import ZipFile

import pytest

from tests.conftest import CHECKOUT
from tests.e2e.boxes import copy_checkout
from tests.e2e.here import check
from tests.e2e.processes import good


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy, because building leaves files beside the source."""
    copy = tmp_path_factory.mktemp("source") / "checkout"
    copy_checkout(copy)
    # As in any checkout that was used.
    (copy / "checks" / "__pycache__").mkdir()
    (copy / "checks" / "__pycache__" / "gpu.cpython-311.pyc").touch()
    return copy


def _environment(folder: Path) -> Path:
    good([sys.executable, "-m", "venv", folder / "env"], 120)
    return folder / "env" / "bin"


def _outside() -> dict[str, str]:
    """The environment without the path that leads tests to their own checkout."""
    return {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}


def _pip(bin_: Path, *argv: str | Path) -> None:
    good(
        [bin_ / "python", "-m", "pip", "--quiet", *argv],
        300,
        env=dict(_outside(), PIP_DISABLE_PIP_VERSION_CHECK="1"),
    )


def _ids(bin_: Path, home: Path) -> list[str]:
    """The verdicts of the installed command, run far from the checkout."""
    env = {"PATH": "/usr/bin:/bin", "HOME": str(home)}
    done = good([bin_ / "rocmdoctor", "check", "--json"], env=env, cwd=home)
    return [v["id"] for v in json.loads(done)["data"]["verdicts"]]


def _content(bin_: Path, home: Path) -> Path:
    code = "from rocmdoctor.content import bundled; print(bundled())"
    return Path(good([bin_ / "python", "-c", code], cwd=home, env=_outside()).strip())


def test_a_wheel_carries_its_knowledge(source: Path, tmp_path: Path) -> None:
    bin_ = _environment(tmp_path)
    _pip(bin_, "wheel", source, "--no-deps", "-w", tmp_path / "dist")
    (wheel,) = (tmp_path / "dist").glob("rocmdoctor-*.whl")
    assert [name for name in ZipFile(wheel).namelist() if "__pycache__" in name] == []
    _pip(bin_, "install", wheel)
    expected = [v["id"] for v in check(tmp_path)["data"]["verdicts"]]
    assert _ids(bin_, tmp_path) == expected
    content = _content(bin_, tmp_path)
    assert content.is_relative_to(tmp_path / "env")
    for name in ("checks", "recipes", "patches", "proofs"):
        assert _files(content, name) == _files(CHECKOUT, name)


def _files(folder: Path, name: str) -> set[Path]:
    found = {path.relative_to(folder) for path in (folder / name).rglob("*") if path.is_file()}
    return {path for path in found if "__pycache__" not in path.parts}


def test_an_editable_install_reads_the_checkout(source: Path, tmp_path: Path) -> None:
    bin_ = _environment(tmp_path)
    _pip(bin_, "install", "-e", source)
    assert _content(bin_, tmp_path) == source
    assert _ids(bin_, tmp_path) == [v["id"] for v in check(tmp_path)["data"]["verdicts"]]
