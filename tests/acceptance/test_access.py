"""Whoever trains may use the GPUs, with the driver that is meant."""

from __future__ import annotations

import re

import pytest

_NODES = "ls /dev/kfd /dev/dri/renderD* 2>/dev/null || true"
_RULES = "cat /etc/udev/rules.d/*.rules /usr/lib/udev/rules.d/*.rules /lib/udev/rules.d/*.rules 2>/dev/null || true"


@pytest.fixture(scope="module")
def nodes(machine) -> list[str]:
    """Device nodes of GPUs; those of other makers' have nothing to do with ROCm."""
    found = machine.run(_NODES).out.split()
    if "/dev/kfd" not in found:
        pytest.skip("there is no /dev/kfd: no driver for computing is loaded here")
    return found


def test_the_user_is_in_the_groups_of_the_nodes(machine, user) -> None:
    known = set(machine.good("getent group | cut -d: -f1").split())
    wanted = {"render", "video"} & known
    assert "render" in wanted, "there is no group render"
    given = set(machine.good('id -nG "$1"', user.name).split())
    assert wanted - given == set(), f"{user.name} is not in these groups"


def test_a_new_login_has_the_groups(user) -> None:
    assert "render" in user.good("id -nG").split()


def test_accounts_made_later_get_the_groups(machine) -> None:
    said = machine.run("cat /etc/adduser.conf")
    if said.code:
        pytest.skip("there is no adduser here")
    given = dict(re.findall(r"^\s*(ADD_EXTRA_GROUPS|EXTRA_GROUPS)=[\"']?([^\"'\n]*)", said.out, re.MULTILINE))
    assert given.get("ADD_EXTRA_GROUPS") == "1"
    assert {"render", "video"} <= set(given.get("EXTRA_GROUPS", "").split())


def test_udev_gives_the_node_to_the_group(machine) -> None:
    rules = [line for line in machine.good(_RULES).splitlines() if re.match(r'[^#]*KERNEL=="kfd"', line)]
    assert rules, "no rule of udev's speaks of kfd"
    assert any(re.search(r'GROUP:?="(render|video)"|TAG\+="uaccess"', line) for line in rules), rules


def test_rules_of_udev_are_well_formed(machine) -> None:
    if machine.run("ls /etc/udev/rules.d/*.rules").code:
        pytest.skip("this machine has no rules of its own")
    if machine.run("udevadm verify --help").code:
        pytest.skip("udevadm cannot verify here: systemd is older than 254")
    said = machine.run("udevadm verify /etc/udev/rules.d/*.rules 2>&1")
    assert said.code == 0, said.out


def test_the_user_may_open_the_nodes(user, nodes) -> None:
    for node in nodes:
        said = user.run(f"exec 3<>{node}")
        assert said.code == 0, f"{user.name} may not open {node}: {said.err}"


def test_the_nodes_are_not_for_everybody(machine, nodes) -> None:
    rows = machine.good('stat -c "%a %n" "$@"', *nodes).splitlines()
    assert [row for row in rows if int(row.split()[0], 8) & 0o007] == []


def test_the_driver_is_loaded(machine, a_gpu) -> None:
    assert machine.run("test -d /sys/module/amdgpu").code == 0


def test_the_driver_is_built_for_the_running_kernel(machine, packages) -> None:
    if "amdgpu-dkms" not in packages:
        pytest.skip("the kernel's own driver is used: there is no amdgpu-dkms")
    kernel = machine.good("uname -r").strip()
    said = machine.good("PATH=$PATH:/usr/sbin dkms status 2>&1")
    assert re.search(rf"^amdgpu/\S+, {re.escape(kernel)}, \S+: installed", said, re.MULTILINE), said


def test_the_loaded_driver_is_the_one_that_lies_on_the_disk(machine, packages, a_gpu) -> None:
    """Else a reboot is missing."""
    if "amdgpu-dkms" not in packages:
        pytest.skip("the kernel's own driver is used: there is no amdgpu-dkms")
    loaded = machine.run("cat /sys/module/amdgpu/version").out.strip()
    assert loaded == machine.good("PATH=$PATH:/usr/sbin modinfo -F version amdgpu").strip()
