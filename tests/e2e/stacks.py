"""Environments with a real training stack for processors, and the doctor as an ordinary user of them.

They lie where every user can read them, are made once, and are kept under a key of what is in them.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import CHECKOUT
from tests.e2e.boxes import copy_checkout
from tests.e2e.processes import bounded, envelope_of, good

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

PLACE = (
    Path("/var/cache/rocmdoctor/test-envs")
    if os.geteuid() == 0
    else Path("~/.cache/rocmdoctor/test-envs").expanduser()
)
PYTHON = "/usr/bin/python3"  # a user's own: that of the tests may lie in root's home
NOBODY = 65534
TORCH = "torch==2.13.0+cpu"
# What torch's way to build extensions imports.
BUILD = ("setuptools<82", "wheel", "ninja", "numpy", "packaging")
STACK = ("bitsandbytes==0.50.2", "transformers==5.20.1", "peft==0.21.2", "accelerate==1.15.0")
# What its files import when it trains; xformers, triton, torchao and the like are for GPUs, and bring a torch for CUDA.
AXOLOTL_NEEDS = (
    "datasets==5.0.1", "trl==1.14.1", "addict", "colorama", "einops", "evaluate==0.4.1", "fastcore", "fire", "numba<1",
    "posthog==6.7.11", "pydantic==2.13.5", "python-dotenv==1.0.1", "scipy", "sentencepiece", "tensorboard", "typer==0.25.1", "wandb",
    "zstandard==0.22.0",
)  # fmt: skip
# It asks for Python 3.12 and has nothing in it that 3.11 does not read; torch for processors is here for 3.11 alone.
AXOLOTL = (
    "--no-deps", "--ignore-requires-python", "axolotl==0.21.0", "axolotl-contribs-lgpl==0.0.7", "axolotl-contribs-mit==0.0.6"
)  # fmt: skip
DEEPSPEED = ("--no-build-isolation", "deepspeed==0.19.8")


def environment(*steps: tuple[str, ...]) -> Path:
    """A venv in which pip was run with each of these lists of arguments. Skips where it cannot be made."""
    key = hashlib.sha256(json.dumps([PYTHON, *steps]).encode()).hexdigest()[:12]
    path = PLACE / key
    if path.is_dir():
        return path
    if bounded([PYTHON, "-c", "import ensurepip, venv"]).returncode:
        pytest.skip(f"{PYTHON} has no venv")
    PLACE.mkdir(parents=True, exist_ok=True)
    aside = Path(tempfile.mkdtemp(prefix=".new.", dir=PLACE))
    try:
        good([PYTHON, "-m", "venv", aside], 120)
        for step in steps:
            pip = [aside / "bin" / "python", "-m", "pip", "install", "-q", *step]
            done = bounded(
                pip, 1800, env={**os.environ, "PIP_DISABLE_PIP_VERSION_CHECK": "1", "DS_BUILD_OPS": "0"}
            )
            if done.returncode:
                pytest.skip(
                    f"pip cannot install {' '.join(step)[:100]}: {done.stderr.strip().splitlines()[-1][:300]}"
                )
        aside.chmod(0o755)
        aside.rename(path)
    finally:
        shutil.rmtree(aside, ignore_errors=True)
    return path


def site(env: Path) -> Path:
    """Where its modules lie."""
    return next((env / "lib").glob("python3*/site-packages"))


@contextmanager
def copy_of(env: Path, *without: str) -> Iterator[Path]:
    """A copy that may be changed: files are shared until one is replaced. `without` are modules that it does not get."""
    folder = Path(tempfile.mkdtemp(prefix=".copy.", dir=PLACE))
    folder.chmod(0o755)
    try:
        shutil.copytree(env, folder / "env", symlinks=True, copy_function=os.link)
        for name in without:
            shutil.rmtree(site(folder / "env") / name)
        yield folder / "env"
    finally:
        shutil.rmtree(folder)


def put(path: Path, text: str) -> None:
    """A new file in the place of one that may be shared."""
    path.unlink(missing_ok=True)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")


class Doctor:
    """The doctor of this checkout, started by somebody who is not root."""

    def __init__(self, folder: Path) -> None:
        with (CHECKOUT / "pyproject.toml").open("rb") as file:
            wanted = tomllib.load(file)["project"]["dependencies"]
        self._python = environment(tuple(wanted)) / "bin" / "python"
        self._checkout = folder / "checkout"
        self.home = folder / "home"
        copy_checkout(self._checkout)
        self.home.mkdir()
        if os.geteuid() == 0:
            os.chown(self.home, NOBODY, NOBODY)

    def argv(self, *words: str | Path) -> list[str | Path]:
        become = (
            ["setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups"]
            if os.geteuid() == 0
            else []
        )
        return [*become, self._python, "-m", "rocmdoctor", *words]

    def env(self, **more: str) -> Mapping[str, str]:
        own = {
            "PATH": "/usr/bin:/bin",
            "HOME": str(self.home),
            "LANG": "C.UTF-8",
            "PYTHONDONTWRITEBYTECODE": "1",
        }
        return {**own, "PYTHONPATH": str(self._checkout), "TMPDIR": str(self.home), **more}

    def verify(self, env: Path, *words: str, seconds: float = 1500, **more: str) -> dict[str, Any]:
        """The envelope of `verify --cpu`. Nothing of ours may be left in the home folder."""
        argv = self.argv("verify", "--cpu", "--json", "--env", env, "--patience", "4", *words)
        envelope = envelope_of(bounded(argv, seconds, env=self.env(**more), cwd=self.home))
        assert [p.name for p in self.home.glob("rocmdoctor-*")] == []
        return envelope


@contextmanager
def doctor() -> Iterator[Doctor]:
    """One with a home of its own, which is gone afterwards."""
    if os.geteuid() == 0 and shutil.which("setpriv") is None:
        pytest.skip("needs setpriv")
    PLACE.mkdir(parents=True, exist_ok=True)
    folder = Path(tempfile.mkdtemp(prefix=".doctor.", dir=PLACE))
    folder.chmod(0o755)
    try:
        yield Doctor(folder)
    finally:
        shutil.rmtree(folder)


def verdicts(envelope: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """By the id of the check, without the group."""
    return {re.sub(r"^proof\.", "", v["id"]): v for v in envelope["data"]["verdicts"]}
