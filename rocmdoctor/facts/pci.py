"""Display and accelerator devices on the PCI bus, read from sysfs: no driver and no lspci needed."""

from __future__ import annotations

import re
from collections.abc import Mapping

from rocmdoctor.facts.base import Evidence, Fact, UnknownError
from rocmdoctor.frozen import frozen
from rocmdoctor.model import Glob, Query, Stat

AMD = "1002"
NVIDIA = "10de"
# https://pcisig.com class codes: 03 display controllers, 12 processing accelerators.
_CLASSES = ("03", "12")
_UEVENT = r"^(?:DRIVER|PCI_CLASS|PCI_ID|PCI_SLOT_NAME)=.*"
_BDF = re.compile(r"[0-9a-f]{4,8}:[0-9a-f]{2}:[0-9a-f]{2}\.[0-7]")
_VALUES = {
    "revision": "revision",
    "vram": "mem_info_vram_total",
    "speed": "current_link_speed",
    "max_speed": "max_link_speed",
    "width": "current_link_width",
    "max_width": "max_link_width",
    "compute": "current_compute_partition",
    "memory": "current_memory_partition",
    "power": "power/runtime_status",
    "visible_vram": "mem_info_vis_vram_total",
}
# hw_id 11 is GC, the graphics core: drivers/gpu/drm/amd/include/soc15_hw_ip.h
_GC = "ip_discovery/die/0/11/0"
_FROM_BUS = ("revision", "speed", "max_speed", "width", "max_width")


@frozen
class PciDevice:
    """One device. Speeds are the kernel's words (`16.0 GT/s PCIe`), memory in bytes.

    `gc` is the graphics core's version as `major.minor.revision`, where the driver publishes it.
    """

    bdf: str
    vendor: str
    device: str
    pci_class: str
    driver: str | None
    revision: str | None = None
    vram_bytes: int | None = None
    visible_vram_bytes: int | None = None
    link_speed: str | None = None
    max_link_speed: str | None = None
    link_width: int | None = None
    max_link_width: int | None = None
    compute_partition: str | None = None
    memory_partition: str | None = None
    runtime_status: str | None = None
    gc: str | None = None


@frozen
class PciDisplays(Fact):
    """AMD and NVIDIA devices that show pictures or compute."""

    amd: tuple[PciDevice, ...]
    nvidia: tuple[PciDevice, ...]

    @classmethod
    def queries(cls) -> Mapping[str, Query]:
        drm = {n: Glob(f"/sys/class/drm/card*/device/{f}", limit=4096) for n, f in _VALUES.items()}
        bus = {f"bus-{n}": Glob(f"/sys/bus/pci/devices/*/{_VALUES[n]}", limit=4096) for n in _FROM_BUS}
        core = {
            f"gc-{n}": Glob(f"/sys/class/drm/card*/device/{_GC}/{n}", limit=4096)
            for n in ("major", "minor", "revision")
        }
        return {
            "sysfs": Stat("/sys/bus"),
            "bus": Glob("/sys/bus/pci/devices/*/uevent", keep=_UEVENT, limit=4096),
            "drm": Glob("/sys/class/drm/card*/device/uevent", keep=_UEVENT, limit=4096),
            **drm,
            **bus,
            **core,
        }

    @classmethod
    def parse(cls, ev: Evidence) -> PciDisplays:
        if not ev["bus"].ok and not ev["drm"].ok and not ev["sysfs"].ok:
            raise UnknownError(
                f"{ev.key('bus')}: no sysfs here" if ev["bus"].why == "absent" else ev.text("bus")
            )
        found: dict[str, PciDevice] = {}
        for path, text in [*_files(ev, "bus").items(), *_files(ev, "drm").items()]:
            device = _device(text)
            if device is not None:
                folder = path.rpartition("/")[0]
                found[device.bdf] = _with_values(found.get(device.bdf, device), folder, ev)
        devices = [found[bdf] for bdf in sorted(found)]
        return cls(
            amd=tuple(d for d in devices if d.vendor == AMD),
            nvidia=tuple(d for d in devices if d.vendor == NVIDIA),
        )


def _files(ev: Evidence, name: str) -> Mapping[str, str]:
    return ev[name].files if ev[name].ok else {}


def _device(uevent: str) -> PciDevice | None:
    values = dict(line.split("=", 1) for line in uevent.splitlines() if "=" in line)
    vendor, _, device = values.get("PCI_ID", "").lower().partition(":")
    pci_class = values.get("PCI_CLASS", "").lower().zfill(6)
    bdf = values.get("PCI_SLOT_NAME", "").lower()
    if vendor not in (AMD, NVIDIA) or pci_class[:2] not in _CLASSES or not _BDF.fullmatch(bdf):
        return None
    if not re.fullmatch(r"[0-9a-f]{1,4}", device):
        return None
    return PciDevice(bdf, vendor, device.zfill(4), pci_class, values.get("DRIVER") or None)


def _with_values(device: PciDevice, folder: str, ev: Evidence) -> PciDevice:
    def value(name: str) -> str | None:
        prefix = "bus-" if folder.startswith("/sys/bus/") else ""
        if prefix and name not in _FROM_BUS:
            return None
        text = _files(ev, prefix + name).get(f"{folder}/{_VALUES[name]}", "").strip()
        return text or None

    core = [
        _files(ev, f"gc-{n}").get(f"{folder}/{_GC}/{n}", "").strip() for n in ("major", "minor", "revision")
    ]
    revision = re.fullmatch(r"0x([0-9a-f]{1,2})", (value("revision") or "").lower())
    return PciDevice(
        bdf=device.bdf,
        vendor=device.vendor,
        device=device.device,
        pci_class=device.pci_class,
        driver=device.driver,
        revision=revision.group(1).zfill(2) if revision else device.revision,
        vram_bytes=_whole(value("vram")) or device.vram_bytes,
        visible_vram_bytes=_whole(value("visible_vram")) or device.visible_vram_bytes,
        link_speed=value("speed") or device.link_speed,
        max_link_speed=value("max_speed") or device.max_link_speed,
        link_width=_whole(value("width")) or device.link_width,
        max_link_width=_whole(value("max_width")) or device.max_link_width,
        compute_partition=_word(value("compute")) or device.compute_partition,
        memory_partition=_word(value("memory")) or device.memory_partition,
        runtime_status=value("power") or device.runtime_status,
        gc=".".join(core) if all(re.fullmatch(r"[0-9]{1,3}", part) for part in core) else device.gc,
    )


def _whole(text: str | None) -> int | None:
    return int(text) if text and text.isascii() and text.isdigit() and len(text) < 21 else None


def _word(text: str | None) -> str | None:
    return text if text and re.fullmatch(r"[A-Z]{2,4}\d{0,2}", text) else None
