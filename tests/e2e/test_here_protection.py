"""An environment with a stand-in for a ROCm torch, held against real pips and uvs, then overwritten by one, then mended.

The wheels have the names, versions, requirements and telling files of the real ones, and nothing else in them: the real
torch takes gigabytes. pip and uv are real. The tests go one after the other over one environment.
"""

from __future__ import annotations

import json
import os
import shlex
import shutil
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pip
import pytest

from tests import standins
from tests.e2e.here import PATH, check, doctor
from tests.e2e.processes import bounded, good

_BEFORE = "torch==2.9.1"
# What is tested is not how fast a busy machine answers.
_SLOW = ("--patience", "20")


def _venv(folder: Path) -> None:
    """An environment with the pip that runs this: copied, which takes a tenth of the time that installing it does."""
    good([sys.executable, "-m", "venv", "--without-pip", folder], 600)
    (site,) = folder.glob("lib/python3*/site-packages")
    for name in ("pip", *(path.name for path in Path(pip.__file__).parents[1].glob("pip-*.dist-info"))):
        shutil.copytree(
            Path(pip.__file__).parents[1] / name, site / name, ignore=shutil.ignore_patterns("__pycache__")
        )


class Place:
    """A home, an environment in it, and a folder of wheels in which pip finds both what ROCm's index and what PyPI has."""

    def __init__(self, home: Path) -> None:
        self.home, self.env, self.wheels = home, home / "env", home / "wheels"
        standins.rocm_stack(self.wheels)
        standins.pypi(self.wheels)
        _venv(self.env)
        (self.env / "pip.conf").write_text(f"[global]\nno-index = true\nfind-links = {self.wheels}\n")

    def around(self, more: Mapping[str, str] | None = None) -> dict[str, str]:
        """Nothing of the caller's variables."""
        return {"PATH": PATH, "HOME": str(self.home), "LANG": "C.UTF-8", **(more or {})}

    def install(self, *words: str) -> None:
        """Our own installation; nothing here has a GPU."""
        words = (*words, "--arch", "gfx90a", "--env", str(self.env), "--yes", *_SLOW)
        done = doctor(self.home, "install", *words, seconds=900)
        assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-2000:]

    def planned(self, *words: str) -> dict[str, Any]:
        """What our own installation would do."""
        words = (*words, "--arch", "gfx90a", "--env", str(self.env), "--json", *_SLOW)
        done = doctor(self.home, "plan", *words, seconds=300)
        data: dict[str, Any] = json.loads(done.stdout)["data"]
        return data

    def pip(self, *words: str, free: bool = False) -> tuple[int, str]:
        """The environment's pip, as a person starts it from anywhere; `free`: with the constraints out of its sight."""
        more = {"PIP_CONSTRAINT": os.devnull} if free else {}
        argv = [self.env / "bin" / "python", "-m", "pip", *words]
        done = bounded(argv, 900, env=self.around(more), cwd=self.home)
        return done.returncode, done.stdout + done.stderr

    def ours(self, *words: str) -> tuple[dict[str, Any], int]:
        """`rocmdoctor pip install`: its envelope and its exit code."""
        done = doctor(self.home, "pip", "install", "--env", self.env, "--json", *words, seconds=900)
        said: dict[str, Any] = json.loads(done.stdout)
        assert said["exit_code"] == done.returncode
        return said, done.returncode

    def versions(self) -> dict[str, str]:
        """What is installed."""
        code, said = self.pip("list", "--format", "json", "--disable-pip-version-check")
        assert code == 0, said
        return {row["name"].lower(): row["version"] for row in json.loads(said)}

    def verdict(self, name: str) -> dict[str, Any]:
        """What a check says of the environment."""
        verdicts = check(self.home, "--env", self.env, "--arch", "gfx90a", *_SLOW, seconds=300)["data"][
            "verdicts"
        ]
        found: dict[str, Any] = next(v for v in verdicts if v["id"] == name)
        return found

    def text(self, module: str) -> str:
        """A file of the environment's modules."""
        (path,) = self.env.glob(f"lib/python3*/site-packages/{module}")
        return path.read_text()


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Place:
    found = Place(tmp_path_factory.mktemp("home"))
    found.install("torch", "--pin", _BEFORE)
    return found


STACK = {"torch": "2.9.1+rocm6.4", "torchvision": "0.24.1+rocm6.4", "torchaudio": "2.9.1+rocm6.4"}


_XFORMERS = "xformers of PyPI is built for CUDA and asks for a CUDA torch; 'rocmdoctor install xformers' has those for ROCm."


def _stands(place: Place) -> None:
    found = place.versions()
    assert {name: found[name] for name in STACK} == STACK
    assert found["pytorch-triton-rocm"] == "3.5.1"
    assert "triton" not in found
    assert "of ROCm" in place.text("triton/__init__.py")


# ---------------------------------------------------------------- held


def test_what_was_installed_is_held_and_written_down(place: Place) -> None:
    _stands(place)
    assert "torch==2.9.1+rocm6.4\n" in (place.env / "rocmdoctor-constraints.txt").read_text()
    conf = (place.env / "pip.conf").read_text()
    assert "no-index = true" in conf
    # A file of constraints that the whole machine has goes on to count, and stands before ours then.
    assert "\n[install]\nconstraint = " in conf
    assert f"{place.env}/rocmdoctor-constraints.txt\n" in conf
    assert place.verdict("torch.kept")["status"] == "ok"
    assert place.verdict("torch.protection")["status"] == "ok"


def test_a_second_installation_has_nothing_to_do(place: Place) -> None:
    assert place.planned("torch", "--pin", _BEFORE)["steps"] == []


@pytest.mark.parametrize(
    ("wanted", "named"),
    [
        ("axolotl", "torch==2.9.1+rocm6.4"),
        ("xformers", "xformers==0+kept.out.by.rocmdoctor"),
        ("bitsandbytes==0.44", "bitsandbytes>=0.49"),
        ("triton", "triton==0+kept.out.by.rocmdoctor"),
        ("torch==2.13.0", "torch==2.9.1+rocm6.4"),
        ("torch==2.9.1", ""),
        ("small", ""),
    ],
)
def test_pip_itself_is_stopped_and_says_by_what(place: Place, wanted: str, named: str) -> None:
    """Without activation and without any variable: pip.conf lies in the environment."""
    code, said = place.pip("install", "--dry-run", "--upgrade", wanted)
    if named:
        assert code == 1
        # Of several constraints on one project, as where the whole machine has some too, pip shows the first.
        assert f"The user requested (constraint) {named.partition('=')[0].partition('>')[0]}" in said
    else:
        assert code == 0, said
    _stands(place)


@pytest.mark.parametrize(
    ("wanted", "why"),
    [
        (("axolotl",), "torch 2.9.1+rocm6.4 -> 2.13.0: axolotl 0.21.0 asks for torch==2.13.0; torch 2.9.1+rocm6.4 was installed"),
        (("xformers",), "xformers 0.0.35 was asked for: xformers of PyPI is built for CUDA"),
        (("triton",), "triton 3.7.0 was asked for: triton of PyPI lies in the same folder"),
        (("bitsandbytes==0.44",), "bitsandbytes 0.44.0: Wheels of bitsandbytes before 0.49 hold no library for ROCm."),
        (("-U", "torch"), "--pin 'torch==2.13.0'"),
    ],
)  # fmt: skip
def test_what_cannot_be_had_is_refused_with_who_asks_for_it(
    place: Place, wanted: tuple[str, ...], why: str
) -> None:
    said, code = place.ours(*wanted)
    assert code == 3
    assert said["data"]["words"] is None
    assert why in "\n".join(error["message"] for error in said["errors"])
    _stands(place)


def test_what_is_for_cuda_is_left_out_and_the_rest_installed(place: Place) -> None:
    said, code = place.ours("kindly")
    assert code == 0, said
    assert set(said["data"]["left_out"]) == {"xformers", "triton"}
    by_name = {row["name"]: row for row in said["data"]["would_change"]}
    assert by_name["torch"]["asked_by"] == ["kindly 1.0", "xformers 0.0.35"]
    assert by_name["torch"]["requirement"] == "torch>=2.10"
    found = place.versions()
    assert found["kindly"] == "1.0"
    assert found["numpy"] == "2.3.0"
    assert not {"xformers", "triton"} & set(found)
    _stands(place)


def test_a_dry_run_installs_nothing(place: Place) -> None:
    said, code = place.ours("-n", "small")
    assert code == 0
    assert said["data"]["installs"] == {"small": "1.0"}
    assert "small" not in place.versions()


def test_a_file_of_requirements_and_options_go_to_pip(place: Place) -> None:
    path = place.home / "wanted.txt"
    path.write_text("small\n")
    said, code = place.ours("--no-cache-dir", "-r", str(path))
    assert code == 0, said
    assert place.versions()["small"] == "1.0"


def test_the_words_of_a_person_s_text(place: Place) -> None:
    done = doctor(place.home, "pip", "install", "--env", place.env, "xformers", seconds=900)
    assert done.returncode == 3
    assert done.stderr.splitlines()[-2:] == [
        f"✗ xformers 0.0.35 was asked for: {_XFORMERS}",
        "Nothing was installed.",
    ]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--env", "/nowhere", "x"), "--env: /nowhere is no Python environment: found no bin/python in it, wanted a venv"),
        (("--target", "/tmp/x", "y"), "--target leads pip out of the environment"),
        ((), "Missing argument"),
    ],
)  # fmt: skip
def test_bad_words_are_named(place: Place, words: tuple[str, ...], said: str) -> None:
    done = doctor(
        place.home, "pip", "install", *(("--env", place.env) if words[:1] != ("--env",) else ()), *words
    )
    assert done.returncode == 2
    assert said in done.stderr


_SHELLS = ["sh", "bash", "zsh"]


@pytest.mark.parametrize("shell", _SHELLS)
def test_an_activated_environment_holds_uv_and_reads_the_exports(place: Place, shell: str) -> None:
    if not any(Path(folder, shell).exists() for folder in PATH.split(":")):
        pytest.skip(f"needs {shell}")
    exports = place.home / ".config/rocmdoctor/env.sh"
    exports.parent.mkdir(parents=True, exist_ok=True)
    exports.write_text("export HIP_PLATFORM=amd\n")
    script = f". {shlex.quote(str(place.env))}/bin/activate; . {place.env}/bin/activate; echo $UV_CONSTRAINT; echo $HIP_PLATFORM"
    # As cron starts it: no home, no login, nothing set.
    said = good(["env", "-i", f"PATH={PATH}", shell, "-c", script]).split()
    assert said == [f"{place.env}/rocmdoctor-constraints.txt", "amd"]
    if shell != "sh":
        end = f"set -u; export UV_CONSTRAINT=/mine; . {place.env}/bin/activate; deactivate; echo $UV_CONSTRAINT ${{UV_OVERRIDE-none}}"
        end = end.replace("set -u; ", "") if shell == "zsh" else end
        assert good(["env", "-i", f"PATH={PATH}", shell, "-c", end]).split() == ["/mine", "none"]


@pytest.fixture(scope="module")
def uv(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The newest uv of PyPI."""
    folder = tmp_path_factory.mktemp("uv")
    _venv(folder)
    done = bounded(
        [folder / "bin" / "python", "-m", "pip", "install", "--quiet", "uv"], 900, env=dict(os.environ)
    )
    if done.returncode:
        pytest.skip(f"pip cannot download uv: {done.stderr.strip()[-200:]}")
    return folder / "bin" / "uv"


@pytest.mark.slow
@pytest.mark.parametrize(
    ("wanted", "code", "named"),
    [
        ("--reinstall-package kindly kindly", 0, "kindly==1.0"),
        ("axolotl", 1, "torch==2.9.1+rocm6.4"),
        ("torch==2.13.0", 1, "torch==2.9.1+rocm6.4"),
        ("--upgrade torch", 0, "Would make no changes"),
        ("bitsandbytes==0.44", 1, "bitsandbytes>=0.49"),
        ("xformers", 0, "Would make no changes"),
    ],
)
def test_uv_is_held_where_the_environment_is_activated(
    place: Place, uv: Path, wanted: str, code: int, named: str
) -> None:
    words = f"pip install --dry-run --no-index --find-links {place.wheels} {wanted}"
    script = f". {place.env}/bin/activate && exec {uv} {words}"
    done = bounded(["env", "-i", f"PATH={PATH}", f"HOME={place.home}", "sh", "-c", script], 120)
    assert done.returncode == code, done.stderr
    assert named in done.stderr
    assert not any(f"+ {name}" in done.stderr for name in ("torch", "triton", "xformers", "nvidia"))


@pytest.mark.slow
def test_uv_without_activation_is_not_held_which_the_page_says(place: Place, uv: Path) -> None:
    """uv reads no file of an environment; when this fails, it has learned to, and the page can say better."""
    words = ["--dry-run", "--no-index", "--find-links", place.wheels, "--python", place.env, "torch==2.13.0"]
    done = bounded([uv, "pip", "install", *words], 120, env=place.around(), cwd=place.env)
    assert done.returncode == 0, done.stderr
    assert "+ torch==2.13.0" in done.stderr


# ---------------------------------------------------------------- overwritten, and mended


def test_what_was_overwritten_is_told_with_the_culprit(place: Place) -> None:
    code, said = place.pip("install", "--quiet", "axolotl", "bitsandbytes==0.44", free=True)
    assert code == 0, said
    assert place.versions()["torch"] == "2.13.0"
    kept = place.verdict("torch.kept")
    assert (kept["status"], kept["fault"]) == ("fail", "torch-overwritten-by-pip")
    assert kept["why"] == (
        "torch 2.13.0 is there in place of 2.9.1+rocm6.4; axolotl 0.21.0 brought it, which asks for torch==2.13.0"
    )
    assert kept["remedy"]["recipe"] == "torch"
    assert kept["remedy"]["commands"] == [f"rocmdoctor install torch --env {place.env}"]


def test_the_remedy_puts_it_back(place: Place) -> None:
    """Without a word about versions: those that were there are taken, and nothing of CUDA stays."""
    steps = {step["id"]: step["says"] for step in place.planned("torch")["steps"]}
    assert "nvidia-cublas-cu13 13.1.0" in steps["torch.clear"]
    place.install("torch")
    _stands(place)
    found = place.versions()
    assert not {"xformers", "triton"} & set(found)
    assert not any(name.startswith("nvidia-") for name in found)
    assert found["axolotl"] == "0.21.0"
    assert place.verdict("torch.kept")["status"] == "ok"
    assert place.planned("torch", "--pin", _BEFORE)["steps"] == []
    # What PyPI has of bitsandbytes was not taken for a build for ROCm.
    assert "bitsandbytes==" not in (place.env / "rocmdoctor-constraints.txt").read_text()


def test_undo_takes_the_protection_back(place: Place) -> None:
    """The run that brought it, over what came later."""
    done = doctor(place.home, "undo", "1", "--yes", seconds=900)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    assert "constraint" not in (place.env / "pip.conf").read_text()
    assert "UV_CONSTRAINT" not in (place.env / "bin" / "activate").read_text()
    assert not (place.env / "rocmdoctor-constraints.txt").exists()
    assert "torch" not in place.versions()
