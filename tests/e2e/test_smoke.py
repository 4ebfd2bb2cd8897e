"""The smoke script on a fresh Debian 13, as a user whose sudo does not ask, with a reboot in the middle.

The container's reboot is one of user space. What the script kept is judged, and the machine, with dpkg and systemd.
"""

from __future__ import annotations

import json
import os
import socket
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import CHECKOUT
from tests.e2e.boxes import HOME, Box
from tests.e2e.faults import OWN, reboot, recipe
from tests.e2e.images import CA_INSIDE
from tests.e2e.installer import INSTALLER, Machine, machine
from tests.e2e.processes import bounded, good

_OUT = "/home/ci/rocmdoctor-smoke"
_LATER = "file.write", {"path": "/etc/smoke-later", "text": "after it\n"}
_STOP = "run", {"argv": ["false"], "root": True, "creates": "/nowhere"}


@dataclass
class Guest:
    """The machine, and what the calls said."""

    machine: Machine
    port: int
    key: Path

    def smoke(self, words: str = "", code: int = 0) -> str:
        """What a call of the script says; every call has the same options."""
        done = self.machine.run(
            f"smoke/smoke.sh --wait 600 --ca-bundle {CA_INSIDE} {words}", user="ci", seconds=1200
        )
        assert done.returncode == code, done.stdout[-2000:] + done.stderr[-4000:]
        assert done.stdout == ""
        return done.stderr

    def kept(self, name: str) -> Any:
        """A file of the folder, decoded."""
        return json.loads((self.machine.root / f"{_OUT[1:]}/{name}.json").read_text(encoding="utf-8"))


def _prepare(fresh: Box, port: int, public: str) -> None:
    fresh.good("useradd -m -s /bin/bash ci && echo 'ci ALL=(ALL) NOPASSWD: ALL' > /etc/sudoers.d/ci")
    fresh.good("apt-get -q update", seconds=300)
    # The container has the host's loopback.
    fresh.write("/etc/ssh/sshd_config.d/test.conf", f"Port {port}\nListenAddress 127.0.0.1\nUseDNS no\n")
    fresh.good(
        "DEBIAN_FRONTEND=noninteractive apt-get -q -y --no-install-recommends install openssh-server",
        seconds=300,
    )
    fresh.write("/home/ci/.ssh/authorized_keys", public, 0o600)
    fresh.good("chown -R ci: /home/ci/.ssh && chmod 700 /home/ci/.ssh")
    (fresh.root / OWN[1:] / "recipes").mkdir(parents=True)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture(scope="module")
def guest(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Guest]:
    folder, port = tmp_path_factory.mktemp("smoke"), _free_port()
    good(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", folder / "key"])
    public = (folder / "key.pub").read_text(encoding="utf-8")
    with machine(INSTALLER, folder / "box", lambda fresh: _prepare(fresh, port, public)) as booted:
        recipe(booted, "booting", ("reboot", {"why": "the new kernel runs"}), _LATER)
        recipe(booted, "stopping", ("reboot", {"why": "the next kernel runs"}), _STOP)
        yield Guest(booted, port, folder / "key")


_BOOTING = f"-- booting --content {OWN}"


def test_the_first_call_ends_where_a_reboot_is_due(guest: Guest) -> None:
    said = guest.smoke(_BOOTING, code=102)
    assert "done so far: reboot this machine and call this again, with the same options" in said
    assert guest.kept("check-before")["command"] == "check"
    install = guest.kept("install")
    assert (install["exit_code"], install["errors"][0]["code"]) == (102, "reboot-needed")
    summary = guest.kept("summary")
    assert (summary["result"], summary["exit_code"], summary["arch"]) == ("reboot-needed", 102, "gfx90a")
    assert [(s["step"], s["exit_code"]) for s in summary["steps"]] == [("check-before", 0), ("install", 102)]
    assert guest.machine.run("test -e /etc/smoke-later").returncode == 1


def test_without_a_reboot_it_does_not_go_on(guest: Guest) -> None:
    assert "reboot this machine and call this again" in guest.smoke(_BOOTING, code=102)
    assert len(guest.kept("summary")["steps"]) == 2


def test_after_the_reboot_it_waits_verifies_and_checks(guest: Guest) -> None:
    reboot(guest.machine)
    said = guest.smoke(_BOOTING)
    assert f"passed; what every step said is in {_OUT}" in said
    summary = guest.kept("summary")
    assert (summary["result"], summary["why"], summary["verified"]) == ("passed", "", "compiled")
    assert [(s["step"], s["exit_code"]) for s in summary["steps"]] == [
        ("check-before", 0), ("install", 102), ("resume", 0), ("verify", 0), ("check-after", 0),
    ]  # fmt: skip
    boots = [s["boot"] for s in summary["steps"]]
    assert len(set(boots[:2])) == len(set(boots[2:])) == 1
    assert boots[0] != boots[-1]
    (run,) = guest.kept("resume")["data"]["runs"]
    assert (run["state"], run["verified"]) == ("done", "compiled")


def test_the_machine_is_as_the_summary_says(guest: Guest) -> None:
    assert guest.machine.good("cat /etc/smoke-later") == "after it\n"
    assert "ok installed" in guest.machine.good("dpkg-query -W -f '${Status}' hipcc")
    assert guest.machine.good("find /etc/systemd -name '*rocmdoctor*'") == ""
    assert {"render", "video"} <= set(guest.machine.good("id -Gn ci").split())


def test_what_is_kept_is_the_user_s_and_whole(guest: Guest) -> None:
    assert guest.machine.good(f"stat -c '%U %a' {_OUT}") == "ci 700\n"
    assert guest.machine.good(f"find {_OUT} ! -user ci") == ""
    for name in ("check-before", "install", "resume", "verify", "check-after"):
        assert guest.kept(name)["command"] == {"resume": "history"}.get(name, name.partition("-")[0])
        assert "Traceback" not in guest.machine.good(f"cat {_OUT}/{name}.log")
    assert guest.kept("machine")["answers"]
    assert "go on with installation 1" in guest.machine.good(f"cat {_OUT}/resume.log")


def test_a_call_after_it_has_passed_does_nothing(guest: Guest) -> None:
    before = guest.machine.good(f"stat -c '%n %Y' {_OUT}/*.json")
    assert "passed before" in guest.smoke(_BOOTING)
    assert guest.machine.good(f"stat -c '%n %Y' {_OUT}/*.json") == before


def test_all_at_once_where_nothing_needs_a_reboot(guest: Guest) -> None:
    guest.smoke("--again --no-reboot")
    summary = guest.kept("summary")
    steps = [s["step"] for s in summary["steps"]]
    assert (summary["result"], steps) == ("passed", ["check-before", "install", "verify", "check-after"])


def test_what_the_last_check_wants_can_be_named(guest: Guest) -> None:
    said = guest.smoke("--again --no-reboot --for driver", code=14)
    assert "check ended with 1, 0 is wanted" in said
    assert guest.kept("summary")["result"] == "failed"


def test_an_installation_that_is_refused_is_told_apart(guest: Guest) -> None:
    said = guest.smoke("--again -- --rocm 99.1", code=11)
    assert "install ended with 3, 0 or 102 is wanted" in said
    assert guest.kept("install")["exit_code"] == 3
    assert guest.kept("summary")["why"].startswith("install ended with 3")


def test_an_installation_that_does_not_come_to_its_end_after_the_reboot(guest: Guest) -> None:
    words = f"-- stopping --content {OWN}"
    guest.smoke(f"--again {words}", code=102)
    reboot(guest.machine)
    said = guest.smoke(words, code=12)
    assert "after the reboot the installation is: failed, done is wanted" in said
    # It is tried again, not taken for done.
    guest.smoke(words, code=12)
    assert [s["step"] for s in guest.kept("summary")["steps"]][-2:] == ["resume", "resume"]


@pytest.mark.parametrize(
    ("words", "says"),
    [
        ("--arch", "--arch needs a value"),
        ("--wait soon", "--wait: soon is no number of seconds"),
        ("--fast", "--fast is no option"),
        ("--out /tmp/link", "--out: /tmp/link is a link or another user's; name a folder of your own"),
        ("--out /var", "--out: /var is a link or another user's; name a folder of your own"),
    ],
)
def test_usage(guest: Guest, words: str, says: str) -> None:
    done = guest.machine.run(f"ln -sfT /home/ci /tmp/link; smoke/smoke.sh {words}", user="ci")
    assert done.returncode == 2
    assert says in done.stderr


def test_a_user_whose_sudo_asks_is_told(guest: Guest) -> None:
    guest.machine.good("id eve || useradd -m eve")
    done = guest.machine.run(f"{HOME}/smoke/smoke.sh", user="eve")
    assert done.returncode == 2
    assert "needs root, or a sudo that asks for no password" in done.stderr


# ---------------------------------------------------------------- from outside


def _over_ssh(guest: Guest, folder: Path, *words: str, **more: str) -> Any:
    """The whole course, driven from the host; the CA bundle goes along."""
    options = "-o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null -o LogLevel=ERROR -o BatchMode=yes"
    env = {
        **os.environ, "ROCMDOCTOR_SSH": f"ssh -p {guest.port} -i {guest.key} {options}",
        "ROCMDOCTOR_CA_BUNDLE": "/etc/ssl/certs/ca-certificates.crt", **more,
    }  # fmt: skip
    argv = [CHECKOUT / "smoke/over-ssh.sh", "ci@127.0.0.1", folder, *words]
    return bounded(argv, 900, env=env)


def test_over_ssh_it_is_one_command(guest: Guest, tmp_path: Path) -> None:
    boot = guest.machine.good("cat /proc/sys/kernel/random/boot_id")
    done = _over_ssh(guest, tmp_path / "answers", "--arch", "gfx90a", "--wait", "300")
    guest.machine.find()
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-3000:]
    assert guest.machine.good("cat /proc/sys/kernel/random/boot_id") != boot
    summary = json.loads((tmp_path / "answers/summary.json").read_text(encoding="utf-8"))
    assert (summary["result"], summary["verified"]) == ("passed", "compiled")
    assert len({s["boot"] for s in summary["steps"]}) == 2
    assert f"what the steps said: {tmp_path / 'answers'}" in done.stderr


def test_over_ssh_a_failure_brings_its_answers_back(guest: Guest, tmp_path: Path) -> None:
    done = _over_ssh(guest, tmp_path, "--no-reboot", "--", "--rocm", "it's 99")
    assert done.returncode == 11, done.stderr[-3000:]
    assert json.loads((tmp_path / "install.json").read_text(encoding="utf-8"))["exit_code"] == 2
    assert "it's 99" in (tmp_path / "steps.tsv").read_text(encoding="utf-8")


def test_over_ssh_a_host_that_is_not_there(guest: Guest, tmp_path: Path) -> None:
    done = _over_ssh(guest, tmp_path, ROCMDOCTOR_SSH=f"ssh -p {_free_port()} -o BatchMode=yes")
    assert done.returncode == 2
    assert "the checkout could not be copied to ci@127.0.0.1" in done.stderr
