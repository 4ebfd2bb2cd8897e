"""The real amdgpu driver and an AMD display device that cannot compute, in a guest with its own kernel."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import testinfra

from tests.e2e.boxes import Box
from tests.e2e.guests import Guest, needs_qemu
from tests.e2e.images import MACHINE
from tests.e2e.vm import started

pytestmark = needs_qemu
# The emulated device is a Rage 128 of 1999: vendor 0x1002, which is why udev loads amdgpu for it.
_DEVICE = "1002:5046"


def _prepare(fresh: Box) -> None:
    fresh.good("useradd -m -s /bin/bash ann")
    for user in ("root", "ann"):
        fresh.good("./run --version", user=user, seconds=300)


@pytest.fixture(scope="module")
def vm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Guest]:
    devices = ("-device", "ati-vga")
    with started(MACHINE, tmp_path_factory.mktemp("vm"), devices, _prepare) as guest:
        yield guest


@pytest.fixture(scope="module")
def said(vm: Guest) -> dict[str, Any]:
    return vm.check(user="ann")


def test_the_guest_is_what_the_tests_take_it_for(vm: Guest, tmp_path) -> None:
    config = tmp_path / "ssh_config"
    config.write_text(vm.ssh_config, encoding="utf-8")
    host = testinfra.get_host(f"ssh://root@127.0.0.1:{vm.port}", ssh_config=str(config))
    assert host.file("/dev/kfd").group == "render"
    assert host.file("/sys/module/amdgpu").is_directory
    assert "render" not in host.user("ann").groups
    assert f"[{_DEVICE}]" in host.check_output("lspci -nn")


def test_kfd_with_only_a_processor_is_no_gpu(said: dict[str, Any]) -> None:
    assert said["data"]["readiness"]["gpu"] == "absent"
    assert [g for g in said["data"]["facts"]["gpus"] if g["node"] is not None] == []


def test_the_driver_that_found_nothing_has_not_failed(said: dict[str, Any]) -> None:
    bad = [(v["id"], v["why"]) for v in said["data"]["verdicts"] if v["status"] in ("fail", "broken")]
    assert bad == []
    assert said["data"]["readiness"]["driver"] in ("ready", "absent")
    assert said["exit_code"] == 0


def test_no_access_to_a_device_that_is_no_gpu_is_a_warning_at_most(vm: Guest, said: dict[str, Any]) -> None:
    access = [v for v in said["data"]["verdicts"] if v["id"] == "driver.kfd-access"]
    assert [v["status"] for v in access] == ["warn"], access
    assert "render" in access[0]["why"] + str(access[0]["remedy"])
    vm.run("usermod -aG render,video ann")
    assert vm.check(user="ann")["exit_code"] == 0


def test_the_text_report_says_it_in_words(vm: Guest) -> None:
    done = vm.run("./run check --patience 5")
    assert done.returncode == 0
    assert "Traceback" not in done.stdout + done.stderr
    assert "GPU absent" in done.stdout
