"""`install base` on a fresh Debian 13, as a user whose sudo asks for a password: from nothing to verified, and back.

What the machine is like afterwards is asserted with dpkg, getent, stat and LLVM's own tools, not with our code.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

import pexpect
import pytest
import testinfra

from tests.e2e.boxes import Box
from tests.e2e.installer import INSTALLER, PASSWORD, Machine, machine, state_of, targets_of_hipcc, with_users

_STATE = "/var/lib/rocmdoctor"


@dataclass(frozen=True)
class Server:
    """A machine with what it was like before, and what the installation said."""

    machine: Machine
    before: dict[str, str]
    said: str

    @property
    def host(self):
        """testinfra's view of it."""
        return testinfra.get_host(str(self.machine.root), connection="chroot")


def _prepare(fresh: Box) -> None:
    with_users(fresh)
    # A file of this name that can be run is all that hipconfig looks for; the real nvcc is gigabytes.
    fresh.write("/usr/local/bin/nvcc", "#!/bin/sh\necho stand-in for nvcc\n", 0o755)
    fresh.write("/home/ann/.bashrc", "# ann's own\r\nalias ll='ls -l'", 0o640)
    fresh.good("chown ann: /home/ann/.bashrc")


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with machine(INSTALLER, tmp_path_factory.mktemp("install") / "box", _prepare) as booted:
        before = state_of(booted)
        yield Server(booted, before, _install(booted))


def _install(booted: Machine) -> str:
    """As a person does it: looks at the plan, says y, types the password."""
    talk = booted.terminal("./run install base --rocm-source distro --arch gfx90a")
    talk.expect(r"Continue\? \[y/N\]")
    plan = talk.before
    talk.sendline("y")
    talk.expect("Password of ann:")
    talk.sendline(PASSWORD)
    talk.expect(pexpect.EOF)
    talk.close()
    assert talk.exitstatus == 0, talk.before
    return plan + talk.before


# ---------------------------------------------------------------- what is there


def test_the_plan_was_shown_before_anything_was_done(server: Server) -> None:
    shown = server.said.partition("Steps")[2].partition("verifying")[0]
    for words in ("rocm 5.7.1 from distro", "Predicted:", "MB of disk", "none to remove", "no reboot"):
        assert words in server.said
    assert re.search(r"rocm\.packages\S*  \[root, network, .*\d+ MB disk\]", shown)


def test_it_ends_verified_and_says_what_to_do(server: Server) -> None:
    assert (
        "verified: hipcc compiles for gfx90a and the code object holds it; no GPU of that kind is here to run it"
        in server.said
    )
    assert "Log out and in again" in server.said
    assert "rocmdoctor undo 1" in server.said
    assert "Traceback" not in server.said


def test_the_packages_are_installed(server: Server) -> None:
    for name in ("rocminfo", "hipcc", "rocm-smi", "libamdhip64-dev"):
        assert server.host.package(name).is_installed, name
    assert server.machine.good("dpkg --audit; apt-get check -qq") == ""


def test_ann_is_in_the_groups_and_so_will_be_new_users(server: Server) -> None:
    assert {"render", "video"} <= set(server.host.user("ann").groups)
    server.machine.good("adduser --disabled-password --comment '' eve", seconds=60)
    assert {"render", "video"} <= set(server.host.user("eve").groups)
    server.machine.good("deluser --remove-home eve", seconds=60)


def test_udev_has_the_rule(server: Server) -> None:
    rule = server.host.file("/etc/udev/rules.d/70-rocmdoctor.rules")
    assert (rule.user, rule.group, rule.mode) == ("root", "root", 0o644)
    assert 'KERNEL=="kfd", GROUP="render", MODE="0660"' in rule.content_string
    server.machine.good("udevadm verify /etc/udev/rules.d/70-rocmdoctor.rules")


def test_hipcc_really_compiles_for_the_target(server: Server) -> None:
    bundler = "/usr/lib/llvm-17/bin/clang-offload-bundler"
    assert targets_of_hipcc(server.machine, bundler) == ["hipv4-amdgcn-amd-amdhsa--gfx90a"]


def test_the_one_variable_that_is_needed_is_exported(server: Server) -> None:
    ann = {"HOME": "/home/ann"}
    assert (
        server.machine.good("bash -ic 'echo $HIP_PLATFORM' 2>/dev/null", user="ann", env=ann).strip() == "amd"
    )
    exports = re.findall(
        r"^export (\w+)=",
        server.host.file("/home/ann/.config/rocmdoctor/env.sh").content_string,
        re.MULTILINE,
    )
    assert exports == ["HIP_PLATFORM"]


def test_the_bytes_of_the_user_s_file_are_kept(server: Server) -> None:
    bashrc = server.host.file("/home/ann/.bashrc")
    assert bashrc.content.startswith(b"# ann's own\r\nalias ll='ls -l'")
    assert (bashrc.user, bashrc.mode) == ("ann", 0o640)
    assert bashrc.content.count(b"# >>> rocmdoctor >>>") == 1


def test_nothing_of_root_s_can_be_written_by_others(server: Server) -> None:
    assert server.machine.good(f"find {_STATE} ! -user root -o -perm /022 ! -type l") == ""
    assert server.machine.good("find /home/ann -user root") == ""


def test_no_unit_is_left_behind(server: Server) -> None:
    assert server.machine.good("find /etc/systemd -name '*rocmdoctor*'") == ""
    assert "rocmdoctor" not in server.machine.good("systemctl list-units --all --no-legend")


def test_history_tells_of_it(server: Server) -> None:
    (run,) = server.machine.doctor("history", user="ann")["data"]["runs"]
    assert (run["state"], run["targets"], run["gfx"], run["verified"]) == (
        "done",
        ["base"],
        ["gfx90a"],
        "compiled",
    )


def test_check_agrees(server: Server) -> None:
    said = server.machine.doctor("check", user="ann")
    assert said["data"]["readiness"]["rocm"] in ("ready", "broken")
    assert [v["id"] for v in said["data"]["verdicts"] if v["status"] == "broken"] == []


# ---------------------------------------------------------------- again, and back


def test_a_second_run_changes_nothing_and_asks_nothing(server: Server) -> None:
    now = state_of(server.machine)
    said = server.machine.doctor("install", "base", "--rocm-source", "distro", "--arch", "gfx90a", user="ann")
    assert (said["exit_code"], said["status"], said["data"]["steps"]) == (0, "ok", [])
    assert said["data"]["verified"] == "compiled"
    assert state_of(server.machine) == now


def test_dry_run_is_plan_byte_for_byte(server: Server) -> None:
    texts = {
        server.machine.good(f"./run {verb} build-tools --arch gfx90a", user="ann", seconds=60)
        for verb in ("plan", "install -n")
    }
    assert len(texts) == 1


def test_undo_brings_back_packages_and_files(server: Server) -> None:
    talk = server.machine.terminal("./run undo")
    talk.expect(r"Take it back\? \[y/N\]")
    talk.sendline("y")
    index = talk.expect(["Password of ann:", pexpect.EOF])
    if index == 0:
        talk.sendline(PASSWORD)
        talk.expect(pexpect.EOF)
    talk.close()
    assert talk.exitstatus == 0, talk.before
    after = state_of(server.machine)
    assert {k: v for k, v in after.items() if server.before.get(k) != v} == {}
    assert set(server.before) - set(after) == set()
