"""Devices on the bus, from sysfs texts."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rocmdoctor.facts.base import UnknownError, read
from rocmdoctor.facts.pci import PciDisplays
from rocmdoctor.hosts.replay import from_raw
from tests.machines.parts import ABSENT, files, text

BUS = "/sys/bus/pci/devices"
CARD = "/sys/class/drm/card0/device"
MI210 = "DRIVER=amdgpu\nPCI_CLASS=38000\nPCI_ID=1002:740F\nPCI_SLOT_NAME=0000:63:00.0\n"


def bus(*uevents: str) -> dict[str, Any]:
    return {f"glob:{BUS}/*/uevent": files({f"{BUS}/{n}/uevent": value for n, value in enumerate(uevents)})}


def pci(answers: dict[str, Any]) -> PciDisplays:
    return read(PciDisplays, from_raw({"schema": 1, "answers": answers}).answers)


def test_a_device() -> None:
    (device,) = pci(bus(MI210)).amd
    assert (device.bdf, device.vendor, device.device, device.driver) == (
        "0000:63:00.0",
        "1002",
        "740f",
        "amdgpu",
    )


def test_a_device_without_a_driver() -> None:
    assert pci(bus(MI210.replace("DRIVER=amdgpu\n", ""))).amd[0].driver is None


def test_equal_bus_numbers_in_several_domains_are_several_devices() -> None:
    found = pci(bus(*(MI210.replace("0000:63", f"{domain}:63") for domain in ("0000", "0001", "10000")))).amd
    assert [d.bdf for d in found] == ["0000:63:00.0", "0001:63:00.0", "10000:63:00.0"]


@pytest.mark.parametrize(
    "uevent",
    [
        MI210.replace("38000", "40300"),  # the audio part of a graphics card
        MI210.replace("1002:", "8086:"),
        MI210.replace("740F", "zzzz"),
        MI210.replace("740F", "740F0F"),
        MI210.replace("0000:63:00.0", "somewhere"),
        MI210.replace("0000:63:00.0", "0" * 5000 + ":63:00.0"),
        "\\x00\\xff",
        "",
    ],
)
def test_what_is_no_gpu(uevent: str) -> None:
    assert pci(bus(uevent)).amd == ()


def test_nvidia_is_kept_apart() -> None:
    found = pci(bus(MI210.replace("1002:740F", "10DE:20B5")))
    assert (found.amd, [d.device for d in found.nvidia]) == ((), ["20b5"])


def test_the_card_folder_adds_what_the_bus_does_not_say() -> None:
    answers = {
        **bus(MI210),
        f"glob:{BUS}/*/revision": files({f"{BUS}/0/revision": "0x02\n"}),
        "glob:/sys/class/drm/card*/device/uevent": files({f"{CARD}/uevent": MI210}),
        "glob:/sys/class/drm/card*/device/mem_info_vram_total": files(
            {f"{CARD}/mem_info_vram_total": "68702699520\n"}
        ),
        "glob:/sys/class/drm/card*/device/current_compute_partition": files(
            {f"{CARD}/current_compute_partition": "SPX\n"}
        ),
        "glob:/sys/class/drm/card*/device/current_memory_partition": files(
            {f"{CARD}/current_memory_partition": "NPS1\n"}
        ),
    }
    (device,) = pci(answers).amd
    assert (device.revision, device.vram_bytes) == ("02", 68702699520)
    assert (device.compute_partition, device.memory_partition) == ("SPX", "NPS1")


@pytest.mark.parametrize("value", ["", "0x", "2", "0xzz", "0x0202", "\\x00"])
def test_a_revision_that_is_none(value: str) -> None:
    answers = {**bus(MI210), f"glob:{BUS}/*/revision": files({f"{BUS}/0/revision": value})}
    assert pci(answers).amd[0].revision is None


@pytest.mark.parametrize("value", ["", "-1", "many", "9" * 5000, "1 2", "٣"])
def test_an_amount_of_memory_that_is_none(value: str) -> None:
    answers = {
        "glob:/sys/class/drm/card*/device/uevent": files({f"{CARD}/uevent": MI210}),
        "glob:/sys/class/drm/card*/device/mem_info_vram_total": files({f"{CARD}/mem_info_vram_total": value}),
    }
    assert pci(answers).amd[0].vram_bytes is None


@pytest.mark.parametrize(
    ("parts", "gc"), [(("9", "4", "2"), "9.4.2"), (("9", "4", ""), None), (("9", "²", "2"), None)]
)
def test_the_version_of_the_graphics_core(parts: tuple[str, str, str], gc: str | None) -> None:
    answers = {"glob:/sys/class/drm/card*/device/uevent": files({f"{CARD}/uevent": MI210})}
    for name, value in zip(("major", "minor", "revision"), parts, strict=True):
        path = f"ip_discovery/die/0/11/0/{name}"
        answers[f"glob:/sys/class/drm/card*/device/{path}"] = files({f"{CARD}/{path}": f"{value}\n"})
    assert pci(answers).amd[0].gc == gc


def test_no_bus_is_unknown_and_an_empty_one_is_not() -> None:
    with pytest.raises(UnknownError):
        pci({f"glob:{BUS}/*/uevent": ABSENT})
    assert pci({f"glob:{BUS}/*/uevent": ABSENT, "stat:/sys/bus": text("dir 0755 root root")}).amd == ()


@given(st.lists(st.text(), max_size=4), st.text())
def test_any_text_is_read(uevents: list[str], value: str) -> None:
    pci({**bus(*uevents), f"glob:{BUS}/*/revision": files({f"{BUS}/0/revision": value})})
