"""Runs of plans in a folder of their own, in this process or in a child that can be killed."""

from __future__ import annotations

import os
import shutil
import stat
import subprocess
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from rocmdoctor.actions import Action
from rocmdoctor.applying.events import Event
from rocmdoctor.applying.journal import FILE, Line, read
from rocmdoctor.applying.places import make_run
from rocmdoctor.applying.run_plan import Outcome, run
from rocmdoctor.applying.undo import Undone, take_back
from rocmdoctor.applying.work import Means
from tests.applying.plans import plan

QUICK = Means(locks=(), failures=())


class Bench:
    """One run: its plan, its folder and what it told."""

    def __init__(self, state: Path, *actions: Action) -> None:
        self.plan = plan(*actions)
        self.folder = make_run(state)
        self.events: list[Event] = []

    def run(self, means: Means = QUICK, **more: Any) -> Outcome:
        return run(self.plan, self.folder, show=self.events.append, means=means, **more)

    def undo(self, means: Means = QUICK, **more: Any) -> Undone:
        return take_back(self.plan, self.folder, show=self.events.append, means=means, **more)

    @property
    def lines(self) -> list[Line]:
        return read(self.folder / FILE)

    @property
    def said(self) -> list[tuple[str, str]]:
        """Events and actions of the journal."""
        return [(line.event, line.action) for line in self.lines]


@pytest.fixture
def bench(tmp_path: Path) -> Callable[..., Bench]:
    return lambda *actions: Bench(tmp_path / "state", *actions)


def tree(folder: Path) -> dict[str, tuple[int, bytes]]:
    """Everything in a folder: mode and bytes, or where a link points to."""
    found: dict[str, tuple[int, bytes]] = {}
    for path in sorted(folder.rglob("*")):
        mode = stat.S_IMODE(path.lstat().st_mode)
        data = (
            os.fsencode(path.readlink())
            if path.is_symlink()
            else path.read_bytes()
            if path.is_file()
            else b""
        )
        found[str(path.relative_to(folder))] = (mode, data)
    return found


def in_child(function: Callable[[], object]) -> int:
    """The wait status of a forked child that calls the function. 0 when it returned."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        pid = os.fork()
    if pid == 0:
        try:
            function()
            os._exit(0)
        except BaseException:  # noqa: BLE001 - must not run pytest's clean-up
            os._exit(99)
    return os.waitpid(pid, 0)[1]


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 256 KiB that can be filled."""
    folder = tmp_path / "small"
    folder.mkdir()
    mount = shutil.which("mount")
    if os.geteuid() != 0 or mount is None:
        pytest.skip("needs root: a file system is mounted")
    done = subprocess.run(
        [mount, "-t", "tmpfs", "-o", "size=256k,mode=0755", "rocmdoctor-test", str(folder)],
        check=False,
        capture_output=True,
        text=True,
    )
    if done.returncode != 0:
        pytest.skip(f"mount is not permitted here: {done.stderr.strip()}")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True)
