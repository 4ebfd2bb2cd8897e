"""What the recipes install from PyPI is there, in these versions, for the Python that runs the tests: pip itself is asked."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import pytest

from rocmdoctor.content import bundled, load_recipes
from tests.e2e.processes import bounded, good

pytestmark = pytest.mark.slow
_UNREACHED = re.compile(r"ConnectionError|Max retries|timed out|Could not fetch URL")
_PIN = re.compile(r"[A-Za-z0-9._-]+==[0-9][A-Za-z0-9.]*")


def pins() -> list[str]:
    """Every pin of a step that asks no index of ROCm, with the wheels of bitsandbytes; what axolotl takes along is too much."""
    found: set[str] = set()
    recipes = load_recipes((bundled(),)).recipes
    for recipe in recipes.values():
        for step in recipe.steps:
            if step.uses in ("pip.install", "wheel.build", "python.pip") and not step.with_.get("index"):
                words = [
                    word for key in ("packages", "needs", "requires") for word in step.with_.get(key, ())
                ]
                words += [step.with_["package"]] if "package" in step.with_ else []
                for name, value in recipe.vars.items():
                    words = [word.replace(f"${{{name}}}", str(value)) for word in words]
                found |= {word for word in words if _PIN.fullmatch(word)}
    wheels = [r for r in recipes["bitsandbytes"].releases if r.source == "wheel" and not r.but]
    # This numpy is for older Pythons alone.
    return sorted((found | {f"bitsandbytes=={r.version}" for r in wheels}) - {"numpy==1.26.4"})


@pytest.fixture(scope="module")
def pip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("pins") / "env"
    good([sys.executable, "-m", "venv", folder], 120)
    return folder / "bin" / "pip"


@pytest.mark.parametrize("pin", pins())
def test_what_is_pinned_is_there(pin: str, pip: Path) -> None:
    argv = [str(pip), "install", "-q", "--dry-run", "--no-deps", "--ignore-installed", pin]
    asked = bounded(argv, 110)
    said = asked.stdout + asked.stderr
    if asked.returncode and _UNREACHED.search(said):
        pytest.skip("PyPI cannot be reached")
    assert asked.returncode == 0, said


def test_there_are_pins() -> None:
    assert len(pins()) > 10
