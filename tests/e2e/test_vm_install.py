"""A whole `install base` with real reboots: a kernel of its own goes down in the middle of apt, and again for GRUB.

Ann begins it on a terminal. Somebody reboots the machine while dpkg unpacks, and does not mind that apt asks to wait. After
that nobody logs in: the unit ends what apt had begun, writes a parameter for the kernel by way of GRUB, and reboots once more,
as ann agreed to.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pexpect
import pytest
import testinfra

from tests.e2e.disks import TRIXIE_WITH_COMPILERS
from tests.e2e.guests import Guest, needs_qemu, read_outside
from tests.e2e.installer import PASSWORD, targets_of_hipcc
from tests.e2e.vm_server import (
    BASE,
    Clock,
    journal,
    noted_by_dpkg,
    server,
    wait_for_event,
    wait_inside,
    words,
)

# The first test waits for all that happens; a busy machine makes emulation slow.
pytestmark = [needs_qemu, pytest.mark.timeout(3600)]
_PACKAGES = ("rocminfo", "hipcc", "rocm-smi", "libamdhip64-dev")
_PARAMETER = "transparent_hugepage=always"
_RECIPE = f"""\
schema: 1
id: parameters
title: For a test
steps:
  - id: huge
    uses: kernel.cmdline
    with:
      parameters: ["{_PARAMETER}"]
"""
_INSTALL = f"./run {BASE} parameters --content /opt/own"


@dataclass
class Story:
    """A guest after all that happened to it; `boots` are the kernel's own names of its boots."""

    guest: Guest
    lines: list[dict[str, Any]]
    boots: list[str]
    cmdline_before: str

    @property
    def host(self) -> Any:
        """testinfra's view of the guest."""
        config = self.guest.folder / "ssh_config"
        config.write_text(self.guest.ssh_config, encoding="utf-8")
        return testinfra.get_host(f"ssh://root@127.0.0.1:{self.guest.port}", ssh_config=str(config))


@pytest.fixture(scope="module")
def story(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Story]:
    clock = Clock()
    with server(tmp_path_factory.mktemp("vm"), clock, TRIXIE_WITH_COMPILERS) as guest:
        told = _happens(guest, clock)
        clock.tell()
        yield told


def _happens(guest: Guest, clock: Clock) -> Story:
    guest.write("/opt/own/recipes/parameters.yaml", _RECIPE)
    before, first = guest.good("cat /proc/cmdline"), _boot_id(guest)
    watching = _begin(guest)
    clock.lap("the plan, and ann's yes and password")
    wait_inside(guest, f"[ {noted_by_dpkg('status unpacked')} -ge 5 ]", 600)
    clock.lap("until dpkg has unpacked 5 packages")
    refused = guest.run("systemctl reboot")
    assert refused.returncode != 0, "apt had not asked to wait: it did not work any more"
    # Without polkit nobody, not even root, may ask logind to ignore that. The connection may end before it has answered.
    guest.run("systemctl start --no-block reboot.target")
    guest.wait_until_off()
    watching.join(60)
    clock.lap("going down")
    guest.launch()
    # Nobody logs in: the next that is seen of the guest is that it reboots by itself.
    guest.wait_until_off(600)
    clock.lap("boot, the rest of apt by the unit, update-grub, going down")
    guest.start()
    clock.lap("boot to ssh once more")
    wait_for_event(guest, "end", 600)
    clock.lap("verified by the unit")
    return Story(guest, journal(guest), [first, _boot_id(guest)], before)


def _begin(guest: Guest) -> threading.Thread:
    """As a person does it: looks at the plan, agrees to it and to the reboot, types the password, and watches."""
    talk = guest.terminal(_INSTALL)
    answers = {r"Continue\? \[y/N\]": "y", r"Reboot by itself .*\[y/N\]": "y", "Password of ann:": PASSWORD}
    for question, answer in answers.items():
        assert talk.expect([question, pexpect.EOF]) == 0, talk.before
        talk.sendline(answer)
    watching = threading.Thread(target=talk.expect, args=([pexpect.EOF, pexpect.TIMEOUT],), daemon=True)
    watching.start()
    return watching


def _boot_id(guest: Guest) -> str:
    return guest.good("cat /proc/sys/kernel/random/boot_id").strip()


def test_three_boots_and_each_noted_what_it_did(story: Story) -> None:
    noted = list(dict.fromkeys(line["boot"] for line in story.lines))
    assert len(noted) == 3
    assert [noted[0], noted[-1]] == story.boots


def test_the_journal_tells_of_both_reboots(story: Story) -> None:
    told = words(story.lines)
    cut = next(n for n, line in enumerate(story.lines) if line["event"] == "resumed")
    assert told[cut - 1].startswith(("stopped rocm.packages", "begin rocm.packages")), told[: cut + 1]
    assert told.count("resumed") == 2
    assert told[-4:] == ["resumed", "done parameters.huge.3", "verified", "end"], told


def test_nobody_logged_in_while_the_unit_worked(story: Story) -> None:
    sessions = story.guest.good("journalctl -q -b -1 -o cat _COMM=sshd _COMM=sshd-session _COMM=login")
    assert "Accepted" not in sessions
    assert "session opened" not in sessions
    unit = story.guest.good("journalctl -q -b -1 -u rocmdoctor-resume.service -o cat")
    assert "go on with installation 1" in unit


def test_it_is_verified_and_done(story: Story) -> None:
    (run,) = story.guest.doctor("history", user="ann")["data"]["runs"]
    assert (run["state"], run["verified"], run["gfx"]) == ("done", "compiled", ["gfx90a"])


def test_the_kernel_runs_with_the_parameter_that_grub_was_given(story: Story) -> None:
    assert _PARAMETER not in story.cmdline_before
    assert _PARAMETER in story.guest.good("cat /proc/cmdline").split()
    assert "[always]" in story.guest.good("cat /sys/kernel/mm/transparent_hugepage/enabled")


def test_ann_s_groups_and_shell_are_as_documented(story: Story) -> None:
    assert {"render", "video"} <= set(story.host.user("ann").groups)
    assert story.host.file("/etc/udev/rules.d/70-rocmdoctor.rules").mode == 0o644


def test_the_unit_took_itself_away(story: Story) -> None:
    assert story.guest.good("find /etc/systemd -name '*rocmdoctor*'") == ""
    assert story.guest.good("systemctl --failed --no-legend --plain") == ""


def test_what_apt_had_begun_is_whole(story: Story) -> None:
    """The last one: the guest is switched off, and its disk looked into without emulation."""
    story.guest.power_off()
    with read_outside(story.guest) as box:
        wrong = f"dpkg --audit; apt-get check -qq; dpkg --verify {' '.join(_PACKAGES)}"
        assert box.good(wrong, network=False) == ""
        assert targets_of_hipcc(box, "/usr/lib/llvm-17/bin/clang-offload-bundler") == [
            "hipv4-amdgcn-amd-amdhsa--gfx90a"
        ]
