"""Installations that are killed at every point there is, and what becomes of them after the next boot.

Each time the plug is pulled right after the kill; the unit goes on at the next boot without anybody's help. What comes out
must be what an undisturbed installation makes: packages, files, modes, owners, groups.

The killing is done by a stand-in inside the machine's Python, which ends the process once the journal has so many different
lines; nothing of rocmdoctor takes part in it. A line that an interrupted step writes a second time is not counted anew, so
that the run gets one line further from one kill to the next.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.boxes import Box, layer
from tests.e2e.images import Image
from tests.e2e.installer import Machine, running, state_of

_HOOKS = "/usr/lib/python3/dist-packages"
_COUNT = "etc/kill-after"
_HOOK = f"""\
import json, os
_real = os.fsync
def _fsync(file):
    _real(file)
    name = os.readlink("/proc/self/fd/%d" % file)
    if name.endswith("/journal.jsonl"):
        with open(name, "rb") as lines:
            said = [json.loads(line) for line in lines]
        events = {{(s["event"], s["action"]) for s in said if s["event"] != "resumed"}}
        if len(events) >= int(open("/{_COUNT}").read()):
            os.kill(os.getpid(), 9)
if os.path.exists("/{_COUNT}"):
    os.fsync = _fsync
"""
_JOURNAL = "var/lib/rocmdoctor/runs/1/journal.jsonl"
# What a build writes down of its own course: times, and names of temporary files.
_PASSING = ("/var/lib/dkms/", "/make.log")
_AS_ANN = "SUDO_UID=$(id -u ann) SUDO_GID=$(id -g ann) SUDO_USER=ann"


def installing(*words: str) -> str:
    """The installation as sudo starts it for ann, told to say yes to everything."""
    return f"{_AS_ANN} ./run install base --arch gfx90a --yes {' '.join(words)}"


def add_stand_in(box: Box) -> None:
    """What kills; it sleeps until it is given a number."""
    box.write(f"{_HOOKS}/kill_after.py", _HOOK)
    box.write(f"{_HOOKS}/kill_after.pth", "import kill_after\n")


@dataclass(frozen=True)
class Undisturbed:
    """What an installation makes that nobody disturbs, and the different lines of its journal."""

    state: dict[str, str]
    events: list[str]


@dataclass
class Lab:
    """Layers of a machine, each as it was left at some moment; `frozen` is the newest first."""

    folder: Path
    image: Image
    frozen: tuple[Path, ...]
    install: str
    options: tuple[str, ...] = ()  # of nspawn
    points: int = 0
    equal: int = 0

    @contextmanager
    def boot(self, name: str, *, keep: bool, kill_after: int | None = None) -> Iterator[Machine]:
        """A machine on top of all that is frozen, when its boot is over. With `keep` what happened to it is frozen, too."""
        here = self.folder / name
        with layer(self.image, here, self.frozen, keep=keep) as root:
            count = root / _COUNT
            if kill_after is None:
                count.unlink(missing_ok=True)
            else:
                count.write_text(str(kill_after), encoding="ascii")
            with running(root, here, *self.options, ready=Machine.settle) as booted:
                yield booted
        if keep:
            self.frozen = (here / "upper", *self.frozen)

    def undisturbed(self) -> Undisturbed:
        """What is to come out."""
        with self.boot("reference", keep=False) as booted:
            said = self.begin(booted)
            assert events(booted)[-1] == "end", said
            return Undisturbed(_state(booted), events(booted))

    def begin(self, booted: Machine) -> str:
        """Types the installation and waits until it, or the boots that it asks for, are over."""
        log = booted.root / "var/log/installation"
        with booted.begin(f"{self.install} >/{log.relative_to(booted.root)} 2>&1") as started:
            booted.wait_for_end_of(started, 600)
        booted.settle(600)
        return log.read_text(encoding="utf-8", errors="replace")[-4000:]

    def count(self, differing: Sequence[object], points: int) -> None:
        """For what is said in the end."""
        self.points += points
        self.equal += points - len(differing)


@contextmanager
def told(lab: Lab, config: pytest.Config) -> Iterator[Lab]:
    """Says at the end how many points there were."""
    yield lab
    reporter = config.pluginmanager.get_plugin("terminalreporter")
    if lab.points and reporter is not None:
        reporter.write_line(f"\n{lab.points} kill points, {lab.equal} equal")


def events(booted: Machine) -> list[str]:
    """The different lines of the journal, in their order."""
    lines = (booted.root / _JOURNAL).read_text(encoding="ascii").splitlines()
    said: list[dict[str, Any]] = [json.loads(line) for line in lines]
    told = [f"{line['event']} {line['action']}".strip() for line in said]
    return [line for line in dict.fromkeys(told) if line != "resumed"]


def _state(booted: Machine) -> dict[str, str]:
    begins, ends = _PASSING
    found = state_of(booted).items()
    return {k: v for k, v in found if not (k.startswith(begins) and k.endswith(ends))}


def _same(booted: Machine, wanted: Undisturbed) -> list[str]:
    """What differs from the undisturbed machine."""
    state = _state(booted)
    names = sorted(name for name in {*state, *wanted.state} if state.get(name) != wanted.state.get(name))
    return [f"{name}: {state.get(name)} / {wanted.state.get(name)}" for name in names[:20]]


def _boot_to_the_end(lab: Lab, name: str, wanted: Undisturbed) -> list[str]:
    """Boots what is frozen, lets the unit work, and says what is not as it should be."""
    with lab.boot(name, keep=False) as booted:
        wrong = []
        said = events(booted)
        # What is verified has ended: the unit that finds it so removes itself.
        if said[-1] not in ("end", "verified"):
            logs = booted.run(f"tail -n 1 /{_JOURNAL}; tail -n 30 /var/lib/rocmdoctor/runs/1/logs/*").stdout
            wrong.append(f"the unit left it at: {said[-3:]}\n{logs}")
        wrong += _same(booted, wanted)
        if booted.good("find /etc/systemd -name '*rocmdoctor*'"):
            wrong.append("the unit is still there")
        return wrong


def _killed_at(lab: Lab, count: int, wanted: Undisturbed) -> list[str]:
    """Goes on from what is frozen until the journal has so many lines, kills, freezes, and lets another boot end it."""
    with lab.boot(f"line-{count}", keep=True, kill_after=count) as booted:
        # The unit, if there is one yet, has gone on during the boot, up to the new line.
        said = "" if (booted.root / _JOURNAL).exists() else lab.begin(booted)
        there = events(booted)
        assert len(there) == count, f"killed too late or too early: {there[-3:]}, {count} wanted\n{said}"
    return _boot_to_the_end(lab, f"end-{count}", wanted)


def kill_after_lines(lab: Lab, wanted: Undisturbed, points: Sequence[int]) -> dict[str, list[str]]:
    """One run that is killed after each of these lines and resumed, by line what differs in the end."""
    fresh, differing = lab.frozen, {}
    try:
        for count in points:
            began = time.monotonic()
            wrong = _killed_at(lab, count, wanted)
            said = f"{count}: {wanted.events[count - 1]}"
            print(f"{said} ({time.monotonic() - began:.0f} s)", "differs" if wrong else "equal", flush=True)
            if wrong:
                differing[said] = wrong
    finally:
        lab.frozen = fresh
    print(f"{len(points)} kill points, {len(points) - len(differing)} equal")
    lab.count(list(differing), len(points))
    return differing


def part(wanted: Undisturbed, number: int, of: int) -> range:
    """The points of one part of all lines. After the last line there is nothing left to kill."""
    last = len(wanted.events) - 1
    return range(last * (number - 1) // of + 1, last * number // of + 1)


def pull_the_plug(lab: Lab, wanted: Undisturbed, state: str, count: int) -> list[str]:
    """Every process of the machine ends when dpkg has noted so many packages with that state; what differs in the end."""
    fresh = lab.frozen
    try:
        with lab.boot(f"apt-{state}-{count}", keep=True) as booted:
            log = booted.root / "var/log/dpkg.log"
            before = _noted(log, state)
            started = booted.begin(lab.install)
            until = time.monotonic() + 300
            while _noted(log, state) < before + count:
                assert started.poll() is None, "the installation ended before that many packages"
                assert time.monotonic() < until
                time.sleep(0.005)
            booted.kill()
            started.wait(30)
        wrong = _boot_to_the_end(lab, f"apt-end-{state}-{count}", wanted)
    finally:
        lab.frozen = fresh
    lab.count(wrong[:1], 1)
    return wrong


def _noted(log: Path, state: str) -> int:
    return log.read_text(encoding="utf-8", errors="replace").count(f" status {state} ") if log.exists() else 0
