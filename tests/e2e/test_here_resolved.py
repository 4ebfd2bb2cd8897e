"""The lists that axolotl is installed from are whole and go together: pip resolves each to its end and asks for nothing beside it.

Stand-ins, small wheels with nothing in them, are the family of torch: its index of ROCm is not PyPI's. All else is real.
"""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from packaging.requirements import Requirement
from packaging.version import Version

from rocmdoctor.content import bundled, load_recipes
from rocmdoctor.facts.distributions import named, normalized
from tests.e2e.processes import bounded, good

pytestmark = [pytest.mark.e2e, pytest.mark.slow, pytest.mark.timeout(2400)]
RECIPES = load_recipes((bundled(),)).recipes
LISTS = {release.version: release.vars["packages"] for release in RECIPES["axolotl"].releases}
# Release, a Python that it is for, and what the plan has in place when the list is installed.
CASES: list[tuple[str, str, dict[str, str]]] = [
    ("0.21.0", "3.12", {"torch": "2.14.1+rocm7.14", "torchvision": "0.29.1+rocm7.14", "triton": "3.8.0"}),
    ("0.18.0", "3.12", {"torch": "2.12.1+rocm7.2", "torchvision": "0.27.1+rocm7.2", "triton": "3.7.0"}),
    ("0.4.0", "3.10", {"torch": "2.3.1+rocm6.0", "pytorch-triton-rocm": "2.3.1", "bitsandbytes": "0.43.2.dev0"}),
]  # fmt: skip
_UNREACHED = re.compile(r"ConnectionError|Max retries|timed out|Could not fetch URL")
_OURS = {"torch", "torchvision", "torchaudio", "triton", "xformers", "bitsandbytes"}


def test_every_list_is_here() -> None:
    assert [version for version, _, _ in CASES] == list(LISTS)


@pytest.mark.parametrize(("release", "python", "there"), CASES, ids=[version for version, _, _ in CASES])
def test_pip_resolves_the_list_and_nothing_else(
    release: str, python: str, there: dict[str, str], tmp_path: Path
) -> None:
    pip = _environment(tmp_path, python, there)
    found = _resolved(pip, tmp_path, *LISTS[release])
    assert sorted(f"{name}=={version}" for name, version in _pins(found).items()) == sorted(LISTS[release])
    if release == "0.4.0":
        # It is built from its source; what that asks for stands in tests/patching.
        return
    (axolotl,) = _resolved(pip, tmp_path, "--no-deps", f"axolotl=={release}")
    assert _unmet(axolotl, _pins(found)) == []


def _environment(folder: Path, python: str, there: dict[str, str]) -> list[str | Path]:
    """pip of an environment with these distributions, all of them stand-ins."""
    interpreter = _interpreter(python)
    good([interpreter, "-m", "venv", folder / "env"], 600)
    words: list[str | Path] = [folder / "env" / "bin" / "python", "-m", "pip", "--disable-pip-version-check"]
    wheels = [_stand_in(folder, name, version) for name, version in there.items()]
    good([*words, "install", "-q", "--no-index", "--no-deps", *wheels], 600)
    # Older ones take an extra for a project of its own, whose every version they then try.
    newer = RECIPES["python"].steps[-1].with_["package"]
    _asked([*words, "install", "-q", newer])
    return words


def _interpreter(python: str) -> str | Path:
    """On PATH, where a shim of pyenv's may stand for one that is not chosen, or among pyenv's own."""
    on_path = shutil.which(f"python{python}")
    named = [on_path] if on_path else []
    for path in (*named, *Path.home().glob(f".pyenv/versions/{python}.*/bin/python")):
        if bounded([path, "--version"], 30).returncode == 0:
            return path
    pytest.skip(f"needs python{python}")


def _stand_in(folder: Path, name: str, version: str) -> Path:
    plain = name.replace("-", "_")
    path, info = folder / f"{plain}-{version}-py3-none-any.whl", f"{plain}-{version}.dist-info"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(f"{info}/METADATA", f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
        archive.writestr(
            f"{info}/WHEEL", "Wheel-Version: 1.0\nGenerator: x\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        )
        archive.writestr(f"{info}/RECORD", "")
    return path


def _asked(argv: Sequence[str | Path]) -> subprocess.CompletedProcess[str]:
    done = bounded(argv, 1800)
    said = done.stdout + done.stderr
    if done.returncode and _UNREACHED.search(said):
        pytest.skip("PyPI cannot be reached")
    assert done.returncode == 0, said[-3000:]
    return done


def _resolved(pip: Sequence[str | Path], folder: Path, *words: str) -> list[dict[str, Any]]:
    """What pip would install, as its report says."""
    report = folder / "report.json"
    here = ["--ignore-installed"] if "--no-deps" in words else []
    _asked([*pip, "install", "-q", "--dry-run", *here, "--report", report, *words])
    rows: list[dict[str, Any]] = json.loads(report.read_text(encoding="utf-8"))["install"]
    return [row["metadata"] for row in rows]


def _pins(found: Sequence[dict[str, Any]]) -> dict[str, str]:
    return {normalized(row["name"]): row["version"] for row in found}


def _unmet(axolotl: dict[str, Any], pins: dict[str, str]) -> list[str]:
    """What axolotl itself asks for and the list has not, or in another version; the family of torch is the plan's."""
    wrong = []
    for text in axolotl["requires_dist"]:
        need = Requirement(text)
        name = named(need.name)
        applies = need.marker is None or need.marker.evaluate({"extra": "", "platform_machine": "x86_64"})
        if (
            applies
            and name not in _OURS
            and not (name in pins and need.specifier.contains(Version(pins[name]), prereleases=True))
        ):
            wrong.append(text)
    return wrong
