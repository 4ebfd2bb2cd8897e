"""The plug is pulled, or the disk filled, while `install base` works, on a machine with a kernel and a disk of its own.

Pulling the plug is SIGKILL to QEMU. What the guest had not written to its disk by then is lost, as it would be on a real one. At
the next boot the unit goes on without anybody's help; what comes out must be what an installation makes that nobody disturbs.

Each case begins from one snapshot of memory and disk. "After" a line of the journal is held by a stand-in inside the
guest's Python, which stops the process once that line is on the disk, the first time: nothing else happens until the plug
is pulled.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.guests import Guest, copy_of, needs_qemu
from tests.e2e.vm_server import (
    AS_ANN,
    BASE,
    Clock,
    differing,
    journal,
    left_by,
    noted_by_dpkg,
    server,
    settled,
    wait_inside,
    words,
)

pytestmark = [needs_qemu, pytest.mark.slow, pytest.mark.timeout(3600)]
_INSTALL = f"{AS_ANN} ./run {BASE} --yes"
_HOOKS = "/usr/lib/python3/dist-packages"
_STOP_AT = "/opt/rocmdoctor/stop-at"
_HOOK = f"""\
import json, os
_real = os.fsync
def _fsync(file):
    _real(file)
    name = os.readlink("/proc/self/fd/%d" % file)
    if name.endswith("/journal.jsonl"):
        with open(name, "rb") as lines:
            said = [json.loads(line) for line in lines]
        events = [(s["event"] + " " + s["action"]).strip() for s in said]
        if events.count(events[-1]) == 1 and events[-1] in open("{_STOP_AT}").read().splitlines():
            open("/run/stopped", "w").close()
            os.kill(os.getpid(), 19)
if os.path.exists("{_STOP_AT}"):
    os.fsync = _fsync
"""


@dataclass(frozen=True)
class Apt:
    """In the middle of apt: dpkg has noted something so many times."""

    what: str
    count: int

    @property
    def condition(self) -> str:
        """What holds in the guest when it is so, for a shell."""
        return f"[ {noted_by_dpkg(self.what)} -ge {self.count} ]"

    def line(self, events: list[str]) -> str:
        """The last line of the journal at that moment."""
        return f"begin {_apt_step(events)}"


@dataclass(frozen=True)
class After:
    """Right after a line of the journal, which is found among those of an undisturbed installation."""

    line: Callable[[list[str]], str]
    condition = "[ -e /run/stopped ]"


def _apt_step(events: list[str]) -> str:
    """The step that installs ROCm's packages; before it apt's lists are brought up to date."""
    return [e.split()[1] for e in events if e.startswith("begin rocm.packages")][-1]


def _done(number: int) -> After:
    return After(lambda events: [e for e in events if e.startswith("done ")][number])


_APT_DONE = After(lambda events: f"done {_apt_step(events)}")
_RESUMED = After(lambda _events: "resumed")
_CASES: dict[str, tuple[Apt | After, ...]] = {
    "apt unpacks": (Apt("status unpacked", 25),),
    "apt configures": (Apt("status half-configured", 60),),
    "apt triggers": (Apt("trigproc", 1),),
    "between steps, when the resume begins, and before it is verified": (_done(0), _RESUMED, _done(-1)),
    "in apt, in the resume's apt, and when that has ended": (
        Apt("status unpacked", 45),
        Apt("status half-configured", 40),
        _APT_DONE,
    ),
}


@dataclass
class Lab:
    """A guest as it was before the installation, in a snapshot; and what an undisturbed one comes to."""

    folder: Path
    frozen: Guest
    events: list[str]
    state: dict[str, str]
    cuts: int = 0
    equal: int = 0


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory, pytestconfig: pytest.Config) -> Iterator[Lab]:
    clock, folder = Clock(), tmp_path_factory.mktemp("cuts")
    with server(folder / "ready", clock) as frozen:
        frozen.write(f"{_HOOKS}/stop_after.py", _HOOK)
        frozen.write(f"{_HOOKS}/stop_after.pth", "import stop_after\n")
        frozen.good("sync")
        frozen.save("ready")
        frozen.unplug()
        clock.lap("a snapshot of memory and disk")
        with copy_of(frozen, folder / "undisturbed") as guest:
            guest.start("ready")
            clock.lap("from the snapshot to ssh")
            guest.good(_INSTALL, seconds=900)
            clock.lap("an undisturbed installation")
            settled(guest)
            made = Lab(folder, frozen, words(journal(guest)), left_by(guest))
            clock.lap("reading what came out")
        clock.tell("lab")
        yield made
    reporter = pytestconfig.pluginmanager.get_plugin("terminalreporter")
    if reporter is not None:
        reporter.write_line(f"\n{made.cuts} cuts, {made.equal} equal")


@pytest.mark.parametrize("name", _CASES)
def test_the_plug_is_pulled(lab: Lab, name: str, record_property: Any) -> None:
    clock, moments = Clock(), _CASES[name]
    with copy_of(lab.frozen, lab.folder / f"case-{list(_CASES).index(name)}") as guest:
        guest.start("ready")
        guest.write(_STOP_AT, "\n".join(m.line(lab.events) for m in moments if isinstance(m, After)))
        guest.good("sync")
        with guest.begin(_INSTALL) as begun:
            _cut(guest, moments[0])
            begun.kill()
        clock.lap("until the plug is pulled")
        for moment in moments[1:]:
            guest.start()
            _cut(guest, moment)
            clock.lap("until it is pulled again")
        guest.start()
        clock.lap("boot to ssh")
        settled(guest)
        failed = guest.good("systemctl --failed --no-legend --plain")
        clock.lap("until the unit had ended")
        lab.cuts += len(moments)
        told, wrong = words(journal(guest)), differing(left_by(guest), lab.state)
        clock.lap("reading what came out")
        clock.tell(name)
        record_property("seconds", round(sum(clock.laps.values())))
        _was_cut_there(lab, told, moments)
        assert (wrong, failed, told[-1]) == ([], "", "end")
        lab.equal += len(moments)


def _cut(guest: Guest, moment: Apt | After) -> None:
    wait_inside(guest, moment.condition, 1200)
    guest.unplug()


def _was_cut_there(lab: Lab, told: list[str], moments: tuple[Apt | After, ...]) -> None:
    """The last line that each boot noted is the one that was wanted."""
    last = [told[n - 1] for n, word in enumerate(told) if word == "resumed"]
    assert last == [moment.line(lab.events) for moment in moments], told


# ---------------------------------------------------------------- a full disk

_FILLER = "/var/tmp/filler"
# Root may use what ext4 reserves for it, so nothing is left but so many MiB.
_FILL = f"""
free=$(stat -f -c '%f %S' / | awk '{{print int($1 * $2 / 1048576)}}')
fallocate -l $((free - $1))MiB {_FILLER}
"""


def test_a_full_disk_is_told_before_and_in_the_middle_and_resume_ends_it(lab: Lab) -> None:
    clock = Clock()
    with copy_of(lab.frozen, lab.folder / "full") as guest:
        guest.start("ready")
        _refused_before_anything_is_changed(guest)
        clock.lap("refused for want of room")
        told = _stopped_in_the_middle(guest)
        clock.lap("until dpkg had filled the disk")
        assert guest.doctor("resume")["data"]["verified"] == "compiled"
        clock.lap("resumed once there was room")
        events = words(journal(guest))
        wrong = differing(left_by(guest), lab.state)
        clock.lap("reading what came out")
        clock.tell("the disk is full")
        assert (events[: len(told)], events[-1], wrong) == (told, "end", [])


def _refused_before_anything_is_changed(guest: Guest) -> None:
    noted = "cat /var/log/dpkg.log | sha256sum; ls -A /var/lib/rocmdoctor 2>&1; find /etc -newer /dev/shm/now"
    guest.good("touch /dev/shm/now")
    before = guest.good(noted)
    guest.good(_FILL, "100")
    said = guest.doctor(*BASE.split(), "--yes")
    guest.good(f"rm {_FILLER}")
    (problem,) = said["errors"]
    assert said["exit_code"] == 3, said
    assert re.search(r"^/ has [\d.]+ \w?B free, and [\d.]+ .B are wanted", problem["message"]), problem
    assert guest.good(noted) == before


def _stopped_in_the_middle(guest: Guest) -> list[str]:
    """Fills the disk while dpkg unpacks, reads what is said, and makes room again. The journal as it was then."""
    with guest.begin(f"{AS_ANN} ./run {BASE} --yes --json > /dev/shm/said; echo $? > /dev/shm/code") as begun:
        wait_inside(guest, f"[ {noted_by_dpkg('status unpacked')} -ge 30 ]", 600)
        guest.good(_FILL, "20")
        # What dpkg lets go of while it cleans up is taken, too, until it gives up.
        guest.good(
            f"while [ ! -e /dev/shm/code ]; do head -c 100M /dev/zero >> {_FILLER} 2>/dev/null; sleep 0.2; done",
            seconds=600,
        )
        begun.wait(60)
    said = json.loads(guest.good("cat /dev/shm/said"))
    assert (said["exit_code"], guest.good("cat /dev/shm/code")) == (4, "4\n")
    (problem,) = said["errors"]
    print(problem["message"], flush=True)
    assert "the disk is full; make room" in problem["message"]
    told = words(journal(guest))
    assert told[-1].startswith("failed rocm.packages"), told
    guest.good(f"rm {_FILLER}")
    return told
