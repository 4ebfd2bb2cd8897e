"""The PCIe links between the processor and each AMD GPU."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import ClassVar

from rocmdoctor.facts.base import Evidence, Fact
from rocmdoctor.facts.pci import PciDevice, PciDisplays
from rocmdoctor.frozen import frozen
from rocmdoctor.model import Link, Query

_BUS = "/sys/bus/pci/devices"
_BDF = re.compile(r"[0-9a-f]{4,}:[0-9a-f]{2}:[0-9a-f]{2}\.[0-7]")
# Root ports and bridges of virtual machines state widths that no slot has.
_WIDTHS = (1, 2, 4, 8, 12, 16, 32)


@frozen
class Hop:
    """A device on the way to a GPU, with the link on its upper side; speeds in the kernel's words."""

    bdf: str
    width: int
    max_width: int
    speed: str
    max_speed: str


@frozen
class PciLinks(Fact):
    """The way to each AMD GPU, the processor's end first; devices that state no link are left out.

    Many cards carry a switch: then the GPU's own link never leaves the card, and the slot's link is the switch's.
    """

    ways: Mapping[str, tuple[Hop, ...]]

    templates: ClassVar[tuple[str, ...]] = (f"link:{_BUS}/<bdf>",)

    @classmethod
    def queries(cls) -> Mapping[str, Query]:
        return PciDisplays.queries()

    @classmethod
    def follow_up(cls, ev: Evidence) -> Mapping[str, Query]:
        return {f"way {d.bdf}": Link(f"{_BUS}/{d.bdf}") for d in PciDisplays.parse(ev).amd}

    @classmethod
    def parse(cls, ev: Evidence) -> PciLinks:
        ways = {}
        for device in PciDisplays.parse(ev).amd:
            stops = _BDF.findall(ev[f"way {device.bdf}"].text)
            if stops[-1:] != [device.bdf]:
                stops = [device.bdf]
            hops = [_hop(stop, ev) for stop in stops[:-1]] + [_hop(device.bdf, ev) or _own(device)]
            ways[device.bdf] = tuple(hop for hop in hops if hop is not None)
        return cls(ways)


def _hop(bdf: str, ev: Evidence) -> Hop | None:
    def value(name: str, file: str) -> str:
        return ev[f"bus-{name}"].files.get(f"{_BUS}/{bdf}/{file}", "").strip()

    width, widest = value("width", "current_link_width"), value("max_width", "max_link_width")
    if not (width.isdecimal() and widest.isdecimal()) or int(width[:4]) not in _WIDTHS:
        return None
    speeds = value("speed", "current_link_speed"), value("max_speed", "max_link_speed")
    return Hop(bdf, int(width[:4]), int(widest[:4]), *speeds)


def _own(device: PciDevice) -> Hop | None:
    width, widest = device.link_width, device.max_link_width
    if width not in _WIDTHS or not widest:
        return None
    return Hop(device.bdf, width, widest, device.link_speed or "", device.max_link_speed or "")
