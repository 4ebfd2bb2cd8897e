"""A machine with systemd, users, sudo, dpkg and a real dkms. Its kernel is the host's, its driver a stand-in."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from tests.e2e.boxes import BootedBox, Box, booted
from tests.e2e.images import MACHINE

_MODULE = """\
#include <linux/module.h>
static int __init begin(void) { return 0; }
module_init(begin);
MODULE_LICENSE("GPL");
"""
_CONF = """\
PACKAGE_NAME="amdgpu"
PACKAGE_VERSION="{version}"
BUILT_MODULE_NAME[0]="amdgpu"
DEST_MODULE_LOCATION[0]="/updates/dkms"
AUTOINSTALL="yes"
"""
VERSION = "6.3.6-1697589.22.04"


def _prepare(fresh: Box) -> None:
    fresh.good("useradd -m ann; echo 'ann ALL=(ALL) NOPASSWD: ALL' > /etc/sudoers.d/ann")
    # Root and root by way of sudo share one environment here, to save a minute.
    fresh.good("mkdir -p /root/.cache /var/cache/rocmdoctor && ln -s /var/cache/rocmdoctor /root/.cache/")
    fresh.good("./run --version", seconds=300)
    fresh.good("./run --version", user="ann", seconds=300)


@pytest.fixture(scope="module")
def machine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[BootedBox]:
    with booted(MACHINE, tmp_path_factory.mktemp("booted") / "box", _prepare) as started:
        yield started


@pytest.fixture
def kernel(machine: BootedBox) -> Iterator[str]:
    """The installed kernel with its headers, shown as the running one; the real one is the host's."""
    name = machine.good("ls /lib/modules").split()[0]
    machine.write("/root/osrelease", name + "\n")
    machine.good("mount --bind /root/osrelease /proc/sys/kernel/osrelease")
    yield name
    machine.good("umount /proc/sys/kernel/osrelease")


def _found(said: dict[str, Any], fault: str) -> list[dict[str, Any]]:
    return [v for v in said["data"]["verdicts"] if v["fault"] == fault and v["status"] in ("warn", "fail")]


def _source(machine: BootedBox, version: str, text: str) -> None:
    folder = f"/usr/src/amdgpu-{version}"
    machine.write(f"{folder}/amdgpu.c", text)
    machine.write(f"{folder}/dkms.conf", _CONF.format(version=version))
    machine.write(f"{folder}/Makefile", "obj-m += amdgpu.o\n")
    machine.good("dkms add amdgpu/$1", version)


def _wrong(said: dict[str, Any]) -> list[tuple[str, str]]:
    return [(v["id"], v["why"]) for v in said["data"]["verdicts"] if v["status"] in ("fail", "broken")]


def test_a_booted_machine_is_healthy(machine: BootedBox) -> None:
    said = machine.check()
    assert _wrong(said) == []
    assert said["exit_code"] == 0


def test_a_good_module_raises_nothing(machine: BootedBox, kernel: str) -> None:
    _source(machine, VERSION, _MODULE)
    machine.good("dkms install amdgpu/$1 -k $2", VERSION, kernel, seconds=300)
    assert f"amdgpu/{VERSION}, {kernel}, x86_64: installed" in machine.good("dkms status")
    said = machine.check()
    machine.good("dkms remove amdgpu/$1 --all; rm -r /usr/src/amdgpu-$1", VERSION)
    assert _wrong(said) == []


def test_a_failed_build_is_found_though_dkms_calls_it_added(machine: BootedBox, kernel: str) -> None:
    _source(machine, VERSION, "#error this kernel is too new\n" + _MODULE)
    assert machine.run("dkms install amdgpu/$1 -k $2", VERSION, kernel, seconds=300).returncode != 0
    assert machine.good("dkms status").strip() == f"amdgpu/{VERSION}: added"
    said = machine.check()
    machine.good("dkms remove amdgpu/$1 --all; rm -r /usr/src/amdgpu-$1", VERSION)
    assert [name for name, _ in _wrong(said)] == ["driver.dkms-built"], _wrong(said)
    assert f"amdgpu {VERSION} for {kernel} failed" in _wrong(said)[0][1]
    assert "this kernel is too new" in _wrong(said)[0][1]
    assert said["exit_code"] == 1


def test_a_stale_tree_is_found_though_dkms_exits_0(machine: BootedBox) -> None:
    _source(machine, VERSION, _MODULE)
    machine.good("rm -r /usr/src/amdgpu-$1", VERSION)
    status = machine.run("dkms status")
    assert status.returncode == 0
    said = machine.check()
    machine.good("rm -r /var/lib/dkms/amdgpu")
    assert any(
        "/var/lib/dkms/amdgpu" in v["why"] + str(v["evidence"])
        for v in said["data"]["verdicts"]
        if v["status"] == "fail"
    )
    assert said["exit_code"] == 1


def test_a_package_that_is_half_configured_is_named(machine: BootedBox) -> None:
    machine.good(
        "mkdir -p /root/p/DEBIAN && printf 'Package: half-done\\nVersion: 1\\nArchitecture: all\\n"
        "Maintainer: nobody <nobody@localhost>\\nDescription: fails to configure\\n' > /root/p/DEBIAN/control"
        " && printf '#!/bin/sh\\nexit 1\\n' > /root/p/DEBIAN/postinst && chmod 755 /root/p/DEBIAN/postinst"
        " && dpkg-deb -b /root/p /root/p.deb"
    )
    assert machine.run("dpkg -i /root/p.deb").returncode != 0
    said = machine.check()
    machine.good("dpkg --purge --force-remove-reinstreq half-done")
    failed = [v for v in said["data"]["verdicts"] if v["status"] == "fail"]
    assert any("half-done" in v["why"] + " ".join(v["evidence"]) for v in failed), _wrong(said)
    assert any("dpkg --configure -a" in str(v["remedy"]) for v in failed)
    assert _wrong(machine.check()) == []


def test_a_user_outside_the_groups_is_no_alarm_without_a_gpu(machine: BootedBox) -> None:
    assert set(machine.good("id -Gn", user="ann").split()) == {"ann"}
    said = machine.check(user="ann", seconds=300)
    assert said["exit_code"] == 0
    assert [v for v in _found(said, "device-permissions") if v["status"] == "fail"] == []


def test_under_sudo_it_asks_as_the_caller(machine: BootedBox) -> None:
    text = machine.good("sudo ./run collect", user="ann", seconds=120)
    alone = json.loads(text)
    judged = machine.run("sudo ./run check --json", user="ann", seconds=300)
    assert judged.returncode == 0, judged.stderr[-2000:]
    assert "Traceback" not in judged.stderr
    number = int(machine.good("id -u ann"))
    assert alone["host"]["euid"] == number
    answers = str(alone["answers"])
    assert "/root/" not in answers or "/home/ann" in answers
    # Root leaves nothing of its own in the caller's home.
    assert machine.good("find /home/ann -user root") == ""
    assert machine.good("ls /var/cache/rocmdoctor/envs").startswith("doctor-")
