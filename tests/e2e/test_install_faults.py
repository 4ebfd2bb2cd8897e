"""Faults while something is installed: full disks, held locks, cut networks, wrong clocks, killed programs.

Each is named with its cause and what to do, loses nothing, and `resume` ends where an undisturbed run ends.
"""

from __future__ import annotations

import hashlib
import json
import re
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import pexpect
import pytest

from tests.e2e.faults import (
    GATED,
    INSTALL,
    STATE,
    Repository,
    differing,
    events,
    gate,
    installed,
    newest_run,
    packages,
    recipe,
    recovered,
    server,
    state,
    until,
    waiting,
)
from tests.e2e.installer import Machine

_BROKEN, _FILL, _KILLED, _CLOSES = (
    f"/usr/local/sbin/{name}" for name in ("broken", "fill", "killed", "closes")
)
_PAIR = "apt.install", {"packages": ["fault-big"]}
_FILE = "file.write", {"path": "/etc/fault", "text": "as it is to be\n"}
# The root side's Python has a clock that is 400 days behind while a file is there. Nothing of ours takes part in it.
_HOOK = """\
import datetime, os
if os.path.exists("/var/tmp/behind"):
    _real = datetime.datetime
    class _Behind(_real):
        @classmethod
        def now(cls, tz=None):
            return _real.now(tz) - datetime.timedelta(days=400)
    datetime.datetime = _Behind
"""


@dataclass(frozen=True)
class Lab:
    """A machine, the repository that it knows, and what it is like before and after an undisturbed `pair`."""

    machine: Machine
    repository: Repository
    fresh: dict[str, str]
    undisturbed: dict[str, str]

    def fails(self, name: str, *words: str) -> str:
        """Installs what must fail with 4; the message, which holds these words and tells how to go on."""
        said = self.machine.doctor(*INSTALL, name, "--yes")
        assert (said["exit_code"], said["status"], len(said["errors"])) == (4, "error", 1), said
        message: str = said["errors"][0]["message"]
        for word in words:
            assert word in message, message
        run = self.history()[-1]
        assert run["state"] == "failed"
        assert run["says"].split("\n")[0] in message
        return message

    def history(self) -> list[dict[str, Any]]:
        """All runs, as they are told."""
        runs: list[dict[str, Any]] = self.machine.doctor("history")["data"]["runs"]
        return runs

    def resumes(self) -> None:
        """The fault is cured: resume ends where an undisturbed run ends, and undo where all began."""
        self.ends(self.machine.doctor("resume"))

    def ends(self, said: dict[str, Any]) -> None:
        """A run was done: the machine is as after an undisturbed one, and after undo as before."""
        assert said["exit_code"] == 0, said
        assert {step["state"] for step in said["data"]["steps"]} == {"done"}
        assert differing(state(self.machine), self.undisturbed) == {}
        assert self.machine.good("dpkg --audit; apt-get check -qq") == ""
        assert self.history()[-1]["state"] == "done"
        self.undo()

    def undo(self) -> None:
        """Takes the newest run back."""
        assert self.machine.doctor("undo", "--yes")["exit_code"] == 0
        assert differing(state(self.machine), self.fresh) == {}


def _scripts(booted: Machine) -> None:
    booted.write(_BROKEN, '#!/bin/sh\n[ ! -e /var/tmp/broken ] || exit 3\n: > "$1"\n', 0o755)
    booted.write(
        _FILL,
        f"#!/bin/sh\n[ ! -e /var/tmp/fill ] || cat /dev/zero 2>/dev/null > {STATE}/filler\n: > /var/tmp/filled\n",
        0o755,
    )
    booted.write(
        _KILLED,
        "#!/bin/sh\n[ ! -e /var/tmp/broken ] || kill -KILL $$\n: > /var/tmp/killed\n",
        0o755,
    )
    booted.write(
        _CLOSES,
        "#!/bin/sh\n[ ! -e /var/tmp/broken ] || mount -o remount,ro,bind /etc\n: > /var/tmp/closed\n",
        0o755,
    )
    booted.write("/usr/lib/python3/dist-packages/behind.py", _HOOK)
    booted.write("/usr/lib/python3/dist-packages/behind.pth", "import behind\n")


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    folder = tmp_path_factory.mktemp("faults")
    repository = Repository(folder / "repository")
    repository.add("fault-big", size=3_000_000, Depends="fault-other")
    repository.add("fault-gate", scripts={"postinst": GATED})
    repository.publish()
    try:
        with server(folder / "box", repository) as booted:
            _scripts(booted)
            booted.good("apt-get -q update")
            recipe(booted, "pair", _PAIR, _FILE)
            fresh = state(booted)
            said = booted.doctor(*INSTALL, "pair", "--yes")
            assert said["exit_code"] == 0, said
            made = Lab(booted, repository, fresh, state(booted))
            made.undo()
            yield made
    finally:
        repository.close()


@pytest.fixture(autouse=True)
def _as_before(lab: Lab, request: pytest.FixtureRequest) -> Iterator[None]:
    """What a failed test left behind must not make the next ones fail."""
    failed = request.session.testsfailed
    lab.machine.good("apt-get clean; rm -rf /var/tmp/*")
    yield
    lab.machine.good("umount -q /etc /var/cache/apt/archives /usr/share/fault-big || true")
    if request.session.testsfailed != failed:
        recovered(lab.machine)
    lab.machine.good("rm -rf /var/tmp/*")


@contextmanager
def _mounted(booted: Machine, place: str, size: str) -> Iterator[None]:
    """A small file system of its own."""
    booted.good('mkdir -p "$1" && mount -t tmpfs -o size="$2",mode=755 tmpfs "$1"', place, size)
    try:
        yield
    finally:
        booted.good('umount "$1"', place)


def _run(*argv: str) -> tuple[str, dict[str, Any]]:
    return "run", {"argv": list(argv), "root": True, "creates": "/nowhere"}


# ---------------------------------------------------------------- full disks


@pytest.mark.slow
def test_the_disk_of_the_downloads_is_full(lab: Lab) -> None:
    with _mounted(lab.machine, "/var/cache/apt/archives", "1M"):
        lab.fails("pair", "/var/cache/apt/archives/ has too little room", "make room there, then resume")
    assert installed(lab.machine, "fault-big") == ""
    lab.resumes()


def test_the_disk_that_a_package_goes_to_is_full(lab: Lab) -> None:
    with _mounted(lab.machine, "/usr/share/fault-big", "1M"):
        message = lab.fails("pair", "the disk is full; make room", "No space left on device")
    assert re.search(r"the whole log: (/var/lib/rocmdoctor/runs/\d+/logs/\S+\.log)", message)
    lab.resumes()


def test_the_disk_of_the_journal_is_full(lab: Lab) -> None:
    """What cannot be noted is not gone on from; each line that is there is whole."""
    steps = [_run(_BROKEN, f"/var/tmp/step-{number}") for number in range(20)]
    recipe(lab.machine, "filling", _run(_FILL), *steps, _FILE)
    with _mounted(lab.machine, STATE, "24M"):
        lab.machine.good("touch /var/tmp/fill")
        said = lab.machine.doctor(*INSTALL, "filling", "--yes")
        (problem,) = said["errors"]
        assert said["exit_code"] == 4
        assert re.fullmatch(
            rf"{STATE}/runs/1/journal\.jsonl cannot be written: No space left on device, so '(begin|done) filling\.s\d+' is not"
            r" noted and the run stops; make room on that disk, then resume",
            problem["message"],
        )
        told = events(lab.machine, f"{STATE}/runs/1")
        assert 5 < len(told) < 40
        assert lab.history()[-1]["state"] == "interrupted"
        lab.machine.good(f"rm {STATE}/filler /var/tmp/fill")
        assert lab.machine.doctor("resume")["exit_code"] == 0
        assert events(lab.machine, f"{STATE}/runs/1")[: len(told)] == told
        assert lab.machine.good("cat /etc/fault; ls /var/tmp/step-* | wc -l") == "as it is to be\n20\n"
        assert lab.history()[-1]["state"] == "done"
        lab.undo()


@pytest.mark.slow
def test_the_disk_of_what_undo_needs_is_full(lab: Lab) -> None:
    """Nothing is changed that could not be given back."""
    recipe(lab.machine, "filling", _run(_FILL), _FILE)
    lab.machine.write("/etc/fault", "what was there\n" * 10_000)
    before = state(lab.machine)
    with _mounted(lab.machine, STATE, "24M"):
        lab.machine.good("touch /var/tmp/fill")
        lab.fails(
            "filling",
            "what /etc/fault was could not be kept, so it is not changed",
            "the disk is full; make room on it",
        )
        assert differing(state(lab.machine), before) == {}
        lab.machine.good(f"rm {STATE}/filler /var/tmp/fill")
        assert lab.machine.doctor("resume")["exit_code"] == 0
        assert lab.machine.good("cat /etc/fault") == "as it is to be\n"
        assert lab.machine.doctor("undo", "--yes")["exit_code"] == 0
    assert differing(state(lab.machine), before) == {}
    lab.machine.good("rm /etc/fault")


def test_there_is_no_room_for_root_s_copy(lab: Lab) -> None:
    with _mounted(lab.machine, STATE, "1M"):
        said = lab.machine.doctor(*INSTALL, "pair", "--yes")
        assert said["exit_code"] == 4
        assert "No space left on device; nothing was changed: make room there" in said["errors"][0]["message"]
        assert lab.machine.good(f"find {STATE}/* ! -type d") == ""
        assert lab.machine.good(f"ls {STATE}/versions") == ""
    assert differing(state(lab.machine), lab.fresh) == {}


# ---------------------------------------------------------------- read-only


@contextmanager
def _etc_alone(booted: Machine, options: str) -> Iterator[None]:
    """/etc as a file system of its own."""
    booted.good('mount --bind /etc /etc && mount -o "remount,bind,$1" /etc', options)
    try:
        yield
    finally:
        booted.good("umount /etc")


def test_etc_is_read_only_from_the_beginning(lab: Lab) -> None:
    before = len(lab.history())
    with _etc_alone(lab.machine, "ro"):
        said = lab.machine.doctor(*INSTALL, "pair", "--yes")
    (problem,) = said["errors"]
    assert said["exit_code"] == 4
    assert problem["message"].startswith("/etc/systemd/system/")
    assert "is mounted read-only; mount it writable, then try again" in problem["message"]
    assert problem["message"].endswith("nothing was changed")
    assert differing(state(lab.machine), lab.fresh) == {}
    assert len(lab.history()) == before


def test_etc_becomes_read_only_on_the_way(lab: Lab) -> None:
    """Then the unit cannot be removed either; it does nothing for a run that failed."""
    recipe(lab.machine, "closing", _run(_CLOSES), _FILE)
    with _etc_alone(lab.machine, "rw"):
        lab.machine.good("touch /var/tmp/broken")
        lab.fails(
            "closing", "/etc/fault: the file system is mounted read-only; mount it writable, then resume"
        )
        unit = "/etc/systemd/system/rocmdoctor-resume.service"
        lab.machine.good(f"test -e {unit}; rm /var/tmp/broken; mount -o remount,bind,rw /etc")
        told = events(lab.machine)
        lab.machine.good("systemctl daemon-reload && systemctl start rocmdoctor-resume.service")
        assert events(lab.machine) == told
        assert lab.machine.run(f"test -e {unit}").returncode == 1
        assert lab.machine.doctor("resume")["exit_code"] == 0
        lab.undo()


# ---------------------------------------------------------------- locks


def _on_a_terminal(lab: Lab, *argv: str) -> pexpect.spawn:
    """root's own terminal."""
    return lab.machine.terminal(f"./run {' '.join(argv)}", "root", 60)


def _ended(talk: pexpect.spawn) -> str:
    talk.expect(pexpect.EOF)
    talk.close()
    assert talk.exitstatus == 0, talk.before
    said: str = talk.before
    return said


_HOLDER = """\
import fcntl, os, time
file = open("/var/lib/dpkg/lock-frontend", "r+")
fcntl.lockf(file, fcntl.LOCK_EX)
open("/var/tmp/held", "w").write(str(os.getpid()))
end = time.monotonic() + 90
while not os.path.exists("/var/tmp/release") and time.monotonic() < end:
    time.sleep(0.05)
"""


def test_another_process_holds_the_lock_of_dpkg(lab: Lab) -> None:
    lab.machine.write("/var/tmp/holder.py", _HOLDER)
    held = lab.machine.root / "var/tmp/held"
    with lab.machine.begin("exec python3 /var/tmp/holder.py"):
        until(lambda: held.exists() and held.read_text(), "the lock")
        talk = _on_a_terminal(lab, *INSTALL, "pair", "--yes")
        talk.expect(rf"waits for process {held.read_text()} 'python3 /var/tmp/holder\.py' of root since")
        assert "begin pair.s1.1" in events(lab.machine)[-1]
        (lab.machine.root / "var/tmp/release").touch()
        _ended(talk)
    assert differing(state(lab.machine), lab.undisturbed) == {}
    lab.undo()


@pytest.mark.slow
def test_another_apt_get_is_at_work(lab: Lab) -> None:
    with lab.machine.begin("apt-get -y -q install fault-gate"):
        waiting(lab.machine, "fault-gate")
        talk = _on_a_terminal(lab, *INSTALL, "pair", "--yes")
        talk.expect(r"waits for process \d+ 'apt-get -y -q install fault-gate'")
        gate(lab.machine, opened=True)
        _ended(talk)
    assert installed(lab.machine, "fault-gate") == "install ok installed"
    lab.machine.good("apt-get -y -q purge fault-gate")
    assert differing(state(lab.machine), lab.undisturbed) == {}
    lab.undo()


@contextmanager
def _behind_the_gate(lab: Lab) -> Iterator[subprocess.Popen[bytes]]:
    """An installation in whose middle of a package transaction one stands."""
    recipe(lab.machine, "gated", packages("fault-gate"), _PAIR, _FILE)
    command = " ".join(["./run", *INSTALL, "gated", "--yes", "--json"])
    with lab.machine.begin(f"{command} > /var/tmp/said 2> /var/tmp/told") as begun:
        try:
            waiting(lab.machine, "fault-gate")
            yield begun
        finally:
            gate(lab.machine, opened=True)
            begun.wait(60)


def _runner(lab: Lab) -> str:
    """The process that carries out the run."""
    return lab.machine.good("pgrep -f '[s]tart.py begin'").strip()


def test_a_second_installation_at_the_same_time(lab: Lab) -> None:
    with _behind_the_gate(lab) as first:
        for verb in ([*INSTALL, "pair", "--yes"], ["undo", "--yes"], ["resume"]):
            said = lab.machine.doctor(*verb)
            (problem,) = said["errors"]
            assert (said["exit_code"], said["command"]) == (4, verb[0])
            assert f"is held by process {_runner(lab)} '/usr/bin/python3" in problem["message"]
            assert "/start.py begin --state" in problem["message"]
            assert "of root since 20" in problem["message"]
            assert problem["message"].endswith(
                "one run at a time changes this machine; wait for it to end, then try again"
            )
        assert installed(lab.machine, "fault-big") == ""
        gate(lab.machine, opened=True)
        assert first.wait(60) == 0
    said = json.loads((lab.machine.root / "var/tmp/said").read_text())
    assert {step["state"] for step in said["data"]["steps"]} == {"done"}
    lab.undo()


# ---------------------------------------------------------------- the network


def test_the_network_is_cut_in_the_middle_of_a_package(lab: Lab) -> None:
    lab.repository.mischief.cut = 500_000
    message = lab.fails("pair", "Failed to fetch", "resume")
    assert re.search(
        r"the network does not reach 127\.0\.0\.1:\d+; look at the network|the connection was cut", message
    ), message
    # The machine is as before, but for what is not of the package's.
    assert installed(lab.machine, "fault-big") == ""
    lab.repository.down()
    lab.repository.up()
    lab.resumes()


@pytest.mark.slow
def test_no_server_answers(lab: Lab) -> None:
    lab.repository.down()
    lab.fails(
        "pair",
        f"the network does not reach 127.0.0.1:{lab.repository.port}; look at the network and the proxy",
    )
    lab.repository.up()
    lab.resumes()


@pytest.mark.slow
def test_the_network_is_cut_in_the_middle_of_a_file(lab: Lab) -> None:
    data = b"\0" * 1_000_000
    url = lab.repository.file("file.bin", data)
    wanted = {"url": url, "path": "/opt/file.bin", "sha256": hashlib.sha256(data).hexdigest()}
    recipe(lab.machine, "fetched", ("fetch", wanted))
    lab.repository.mischief.cut = 400_000
    lab.fails("fetched", url, "(3 tries)", "look at the network, then resume")
    assert lab.machine.run("test -e /opt/file.bin").returncode == 1
    lab.repository.down()
    lab.repository.up()
    assert lab.machine.doctor("resume")["exit_code"] == 0
    assert lab.machine.good("sha256sum /opt/file.bin").split()[0] == wanted["sha256"]
    lab.undo()


# ---------------------------------------------------------------- wrong bytes


def test_a_file_is_not_the_one_that_was_planned(lab: Lab) -> None:
    right = b"as planned\n"
    wanted = hashlib.sha256(right).hexdigest()
    url = lab.repository.file("file.bin", b"another\n")
    lab.machine.write("/opt/file.bin", "what was there\n", 0o640)
    recipe(lab.machine, "fetched", ("fetch", {"url": url, "path": "/opt/file.bin", "sha256": wanted}))
    found = hashlib.sha256(b"another\n").hexdigest()
    lab.fails("fetched", f"{url}: sha256 is {found}, wanted is {wanted}", "/opt/file.bin was left as it is")
    assert (
        lab.machine.good("cat /opt/file.bin; stat -c %a /opt/file.bin; ls -A /opt/")
        == "what was there\n640\nfile.bin\nown\nrocmdoctor\n"
    )
    lab.repository.file("file.bin", right)
    assert lab.machine.doctor("resume")["exit_code"] == 0
    assert lab.machine.good("cat /opt/file.bin") == "as planned\n"
    lab.machine.doctor("undo", "--yes")
    assert (
        lab.machine.good("cat /opt/file.bin; stat -c %a /opt/file.bin; rm /opt/file.bin")
        == "what was there\n640\n"
    )
    assert differing(state(lab.machine), lab.fresh) == {}


def test_a_package_is_not_the_one_that_the_list_names(lab: Lab) -> None:
    lab.repository.spoil("fault-big")
    lab.fails(
        "pair",
        "a mirror gave another file than its list names",
        "wait some minutes, then resume",
        "Hash Sum mismatch",
    )
    assert installed(lab.machine, "fault-big") == ""
    lab.repository.spoil("fault-big")
    lab.resumes()


# ---------------------------------------------------------------- clocks


def test_the_clock_of_the_machine_is_behind(lab: Lab) -> None:
    lab.repository.publish(ahead=timedelta(days=3))
    lab.fails(
        "pair",
        "from the future by 2d 23h",
        "the clock is behind; set the clock (timedatectl set-ntp true), then resume",
    )
    lab.repository.publish()
    lab.resumes()


def test_the_clock_jumps_between_and_within_runs(lab: Lab) -> None:
    """The newest run is the one with the highest number, whatever the clock said."""
    for name in ("first", "second"):
        recipe(lab.machine, name, _run(_BROKEN, f"/var/tmp/{name}"))
    behind = lab.machine.root / "var/tmp/behind"
    (lab.machine.root / "var/tmp/broken").touch()
    lab.fails("first")
    behind.touch()
    lab.fails("second")
    one, other = lab.history()[-2:]
    assert (one["targets"], other["targets"]) == (["first"], ["second"])
    assert other["began"] < one["began"]
    (lab.machine.root / "var/tmp/broken").unlink()
    # Within the second run the clock jumps ahead, within the first one back.
    behind.unlink()
    assert lab.machine.doctor("resume")["data"]["targets"] == ["second"]
    behind.touch()
    assert lab.machine.doctor("resume")["data"]["targets"] == ["first"]
    text = (lab.machine.root / newest_run(lab.machine)[1:] / "journal.jsonl").read_text()
    times = [json.loads(line)["t"] for line in text.splitlines()]
    assert times != sorted(times) or times[-1] > times[0]
    assert [run["state"] for run in lab.history()[-2:]] == ["done", "done"]


# ---------------------------------------------------------------- packages and programs that fail


def test_a_package_s_script_fails_until_somebody_mends_it(lab: Lab) -> None:
    mended = "[ -e /var/tmp/mended ] || { echo no licence server answers >&2; exit 7; }"
    lab.repository.add("fault-script", scripts={"postinst": mended})
    lab.repository.publish()
    lab.machine.good("apt-get -q update")
    recipe(lab.machine, "scripted", packages("fault-script"), _PAIR, _FILE)
    lab.fails(
        "scripted",
        "dpkg could not finish fault-script; resume finishes it",
        "no licence server answers",
        "exit status 7",
    )
    assert installed(lab.machine, "fault-script") == "install ok half-configured"
    # Not mended yet: the same again, and nothing after it is done.
    again = lab.machine.doctor("resume")
    assert (again["exit_code"], [s["state"] for s in again["data"]["steps"]][-1]) == (4, "open")
    (lab.machine.root / "var/tmp/mended").touch()
    assert lab.machine.doctor("resume")["exit_code"] == 0
    assert installed(lab.machine, "fault-script") == "install ok installed"
    assert set(differing(state(lab.machine), lab.undisturbed)) == {
        "package fault-script", "/usr/share/fault-script", "/usr/share/fault-script/text"
    }  # fmt: skip
    lab.undo()


@pytest.mark.slow
def test_a_step_is_killed_as_when_memory_runs_out(lab: Lab) -> None:
    recipe(lab.machine, "killing", _run(_KILLED), _PAIR, _FILE)
    (lab.machine.root / "var/tmp/broken").touch()
    lab.fails(
        "killing",
        f"'{_KILLED}' was ended by signal 9, which the kernel sends when memory runs out",
        "then resume",
    )
    (lab.machine.root / "var/tmp/broken").unlink()
    assert lab.machine.doctor("resume")["exit_code"] == 0
    assert differing(state(lab.machine), lab.undisturbed) == {}
    lab.undo()


@pytest.mark.slow
def test_dpkg_is_killed(lab: Lab) -> None:
    """Then apt-get does nothing more until somebody has told dpkg to finish; resume does."""
    with _behind_the_gate(lab) as first:
        lab.machine.good("pkill -KILL -x dpkg")
        assert first.wait(30) == 4
        said = json.loads((lab.machine.root / "var/tmp/said").read_text())
        assert "dpkg was killed; resume finishes what it has begun" in said["errors"][0]["message"]
        refused = lab.machine.run("apt-get -y -q install fault-other")
        assert (refused.returncode, "dpkg was interrupted" in refused.stderr) == (100, True)
        gate(lab.machine, opened=True)
        assert lab.machine.doctor("resume")["exit_code"] == 0
    assert installed(lab.machine, "fault-gate") == "install ok installed"
    assert lab.machine.good("dpkg --audit; apt-get check -qq") == ""
    lab.undo()


@pytest.mark.slow
def test_apt_get_is_killed_and_dpkg_works_on(lab: Lab) -> None:
    """What apt-get began goes on without it; resume waits for that."""
    with _behind_the_gate(lab) as first:
        lab.machine.good("pkill -KILL -x apt-get")
        assert first.wait(30) == 4
        said = json.loads((lab.machine.root / "var/tmp/said").read_text())
        assert "was ended by signal 9" in said["errors"][0]["message"]
        assert lab.machine.good("pgrep -cx dpkg") == "1\n"
        talk = _on_a_terminal(lab, "resume")
        talk.expect(r"waits for process \d+ '/usr/bin/dpkg ")
        gate(lab.machine, opened=True)
        _ended(talk)
    assert installed(lab.machine, "fault-gate") == "install ok installed"
    lab.undo()


def test_the_runner_is_killed_and_apt_get_works_on(lab: Lab) -> None:
    with _behind_the_gate(lab) as first:
        lab.machine.good(f"kill -KILL {_runner(lab)}")
        assert first.wait(30) != 0
        assert lab.history()[-1]["state"] == "interrupted"
        talk = _on_a_terminal(lab, "resume")
        talk.expect(r"waits for process \d+ '/usr/bin/apt-get .* which an interrupted run left behind")
        gate(lab.machine, opened=True)
        _ended(talk)
    assert installed(lab.machine, "fault-gate") == "install ok installed"
    assert lab.history()[-1]["state"] == "done"
    lab.undo()
