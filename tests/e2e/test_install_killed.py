"""The plan of `install base` killed with SIGKILL after every line of its journal, and in the middle of apt.

Each time the plug is pulled right after the kill; the next boot's unit goes on without anybody's help. What comes out must
be what an undisturbed installation makes: packages, files, modes, owners, groups.

The killing is done by a stand-in inside the machine's Python, which ends the process once the journal has so many lines;
nothing of rocmdoctor takes part in it.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.boxes import HOME, Box, copy_checkout, layer
from tests.e2e.installer import INSTALLER, Machine, archives, running, state_of, with_users
from tests.e2e.processes import good

_HOOKS = "/usr/lib/python3/dist-packages"
_COUNT = "/etc/kill-after"
_HOOK = f"""\
import os
_real = os.fsync
def _fsync(file):
    _real(file)
    name = os.readlink("/proc/self/fd/%d" % file)
    if name.endswith("/journal.jsonl"):
        with open(name, "rb") as lines:
            events = [line for line in lines if b'"event":"resumed"' not in line]
        if len(events) >= int(open("{_COUNT}").read()):
            os.kill(os.getpid(), 9)
if os.path.exists("{_COUNT}"):
    os.fsync = _fsync
"""
_JOURNAL = "var/lib/rocmdoctor/runs/1/journal.jsonl"
_INSTALL = "SUDO_UID=$(id -u ann) SUDO_GID=$(id -g ann) SUDO_USER=ann ./run install base --rocm-source distro --arch gfx90a --yes"
_STEP = 6  # of the quick tier: every so many lines


@dataclass
class Lab:
    """Layers of a machine, each as it was left at some moment; `frozen` is the newest first."""

    folder: Path
    frozen: tuple[Path, ...]

    @contextmanager
    def boot(self, name: str, *, keep: bool) -> Iterator[Machine]:
        """A machine on top of all that is frozen. With `keep` what happened to it is frozen, too."""
        here = self.folder / name
        packages = f"--bind={archives(INSTALLER)}:/var/cache/apt/archives"
        with layer(INSTALLER, here, self.frozen, keep=keep) as root, running(root, here, packages) as booted:
            yield booted
        if keep:
            self.frozen = (here / "upper", *self.frozen)


def _prepare(root: Path) -> None:
    copy_checkout(root / HOME[1:])
    fresh = Box(root)
    with_users(fresh)
    fresh.write("/usr/local/bin/nvcc", "#!/bin/sh\necho stand-in for nvcc\n", 0o755)
    fresh.write(f"{_HOOKS}/kill_after.py", _HOOK)
    fresh.write(f"{_HOOKS}/kill_after.pth", "import kill_after\n")


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    folder = tmp_path_factory.mktemp("killed")
    with layer(INSTALLER, folder / "fresh", keep=True) as root:
        _prepare(root)
    yield Lab(folder, (folder / "fresh" / "upper",))
    good(["rm", "-rf", folder], 120)


@dataclass(frozen=True)
class Undisturbed:
    """What an installation makes that nobody disturbs, and the events of its journal."""

    state: dict[str, str]
    events: list[str]


@pytest.fixture(scope="module")
def undisturbed(lab: Lab) -> Undisturbed:
    with lab.boot("reference", keep=False) as booted:
        done = booted.run(_INSTALL, seconds=600)
        assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
        return Undisturbed(state_of(booted), _events(booted))


def _events(booted: Machine) -> list[str]:
    lines = (booted.root / _JOURNAL).read_text(encoding="ascii").splitlines()
    said: list[dict[str, Any]] = [json.loads(line) for line in lines]
    return [f"{line['event']} {line['action']}".strip() for line in said]


def _same(booted: Machine, wanted: Undisturbed) -> list[str]:
    """What differs from the undisturbed machine."""
    state = state_of(booted)
    names = sorted(name for name in {*state, *wanted.state} if state.get(name) != wanted.state.get(name))
    return [f"{name}: {state.get(name)} / {wanted.state.get(name)}" for name in names[:20]]


def _boot_to_the_end(lab: Lab, name: str, wanted: Undisturbed) -> list[str]:
    """Boots what is frozen, lets the unit work, and says what is not as it should be."""
    with lab.boot(name, keep=False) as booted:
        wrong = []
        events = _events(booted)
        if events[-1] != "end":
            said = booted.run(f"tail -n 1 /{_JOURNAL}; tail -n 30 /var/lib/rocmdoctor/runs/1/logs/*").stdout
            wrong.append(f"the unit left it at: {events[-3:]}\n{said}")
        wrong += _same(booted, wanted)
        if booted.good("find /etc/systemd -name '*rocmdoctor*'"):
            wrong.append("the unit is still there")
        return wrong


def _killed_at(lab: Lab, count: int, wanted: Undisturbed) -> list[str]:
    """Goes on from what is frozen until the journal has so many events, kills, freezes, and lets another boot end it."""
    with lab.boot(f"line-{count}", keep=True) as booted:
        # The unit has gone on during the boot, up to the new line.
        if not (booted.root / _JOURNAL).exists():
            done = booted.run(_INSTALL, seconds=600)
            assert done.returncode != 0
        events = [e for e in _events(booted) if e != "resumed"]
        assert len(events) == count, f"killed too late or too early: {events[-3:]}, {count} wanted"
    kept = lab.frozen
    lab.frozen = (_without_hook(lab, count), *kept)
    try:
        return _boot_to_the_end(lab, f"end-{count}", wanted)
    finally:
        lab.frozen = kept


def _without_hook(lab: Lab, count: int) -> Path:
    """A layer that takes the count away."""
    folder = lab.folder / f"calm-{count}"
    with layer(INSTALLER, folder, lab.frozen, keep=True) as root:
        (root / _COUNT[1:]).unlink()
    return folder / "upper"


def _set_count(lab: Lab, count: int) -> None:
    folder = lab.folder / f"count-{count}"
    with layer(INSTALLER, folder, lab.frozen, keep=True) as root:
        (root / _COUNT[1:]).write_text(str(count), encoding="ascii")
    lab.frozen = (folder / "upper", *lab.frozen)


@pytest.mark.parametrize(
    "step", [pytest.param(1, marks=pytest.mark.slow, id="every line"), pytest.param(_STEP, id="some lines")]
)
def test_killed_after_lines_of_the_journal(
    lab: Lab, undisturbed: Undisturbed, step: int, record_property
) -> None:
    fresh = lab.frozen
    # After the last line there is nothing left to kill.
    points = range(1, len(undisturbed.events), step)
    differing = {}
    for count in points:
        _set_count(lab, count)
        wrong = _killed_at(lab, count, undisturbed)
        if wrong:
            differing[f"{count}: {undisturbed.events[count - 1]}"] = wrong
    lab.frozen = fresh
    print(f"{len(points)} kill points, {len(points) - len(differing)} equal")
    record_property("kill points", len(points))
    assert differing == {}


_STATES = ("half-installed", "unpacked", "half-configured", "installed")


@pytest.mark.parametrize(
    ("state", "count"),
    [("unpacked", 90), ("half-configured", 40)]
    + [pytest.param(s, n, marks=pytest.mark.slow) for s in _STATES for n in (1, 2, 25, 60)],
)
def test_the_plug_is_pulled_in_the_middle_of_apt(
    lab: Lab, undisturbed: Undisturbed, state: str, count: int
) -> None:
    """dpkg has noted so many packages with that state when every process of the machine ends."""
    fresh = lab.frozen
    try:
        with lab.boot(f"apt-{state}-{count}", keep=True) as booted:
            log = booted.root / "var/log/dpkg.log"
            before = _noted(log, state)
            started = booted.begin(_INSTALL)
            until = time.monotonic() + 300
            while _noted(log, state) < before + count:
                assert started.poll() is None, "the installation ended before that many packages"
                assert time.monotonic() < until
                time.sleep(0.005)
            booted.kill()
            started.wait(30)
        assert _boot_to_the_end(lab, f"apt-end-{state}-{count}", undisturbed) == []
    finally:
        lab.frozen = fresh


def _noted(log: Path, state: str) -> int:
    return log.read_text(encoding="utf-8", errors="replace").count(f" status {state} ") if log.exists() else 0
