"""Memory errors that GPUs count."""

from __future__ import annotations

import re
from collections.abc import Mapping

from rocmdoctor.facts.base import Evidence, Fact, UnknownError
from rocmdoctor.facts.pci import PciDisplays
from rocmdoctor.frozen import frozen
from rocmdoctor.model import Glob, Query

_DEVICE = "/sys/class/drm/card*/device"


@frozen
class ErrorCount:
    """What one block of a GPU counted since its driver was loaded."""

    bdf: str
    block: str
    uncorrectable: int
    correctable: int


@frozen
class BadPages:
    """Pages of video memory given up: `retired`, and `open` ones that are still in use."""

    bdf: str
    retired: int
    open: int


@frozen
class RasCounters(Fact):
    """Error counters and bad pages. Empty for GPUs that count nothing, which most consumer cards do not."""

    counts: tuple[ErrorCount, ...]
    pages: tuple[BadPages, ...]

    @classmethod
    def queries(cls) -> Mapping[str, Query]:
        # drivers/gpu/drm/amd/amdgpu/amdgpu_ras.c: `ue: N` and `ce: N`; `pfn : size : flag` with R, P or F.
        pci = PciDisplays.queries()
        return {
            "drm": pci["drm"],
            "counts": Glob(f"{_DEVICE}/ras/*_err_count", keep=r"^(?:ue|ce): \d+"),
            "pages": Glob(
                f"{_DEVICE}/ras/gpu_vram_bad_pages", keep=r"^0x[0-9a-f]+ : 0x[0-9a-f]+ : [RPF]", limit=1 << 18
            ),
        }

    @classmethod
    def parse(cls, ev: Evidence) -> RasCounters:
        if not ev["counts"].ok and ev["counts"].why != "absent":
            ev.files("counts")
        if ev["counts"].why == "absent" and ev["drm"].why != "absent" and not ev["drm"].ok:
            raise UnknownError(f"{ev.key('counts')}: absent")
        names = {
            path.rpartition("/")[0]: _slot(text) for path, text in ev["drm"].files.items() if _slot(text)
        }
        counts = []
        for path, text in ev["counts"].files.items():
            folder, _, name = path.partition("/ras/")
            values = {k: int(v[:18]) for k, v in re.findall(r"^(ue|ce): (\d+)", text, re.MULTILINE)}
            block = name.rpartition("_err_count")[0]
            counts.append(
                ErrorCount(names.get(folder, folder), block, values.get("ue", 0), values.get("ce", 0))
            )
        pages = []
        for path, text in ev["pages"].files.items():
            folder = path.partition("/ras/")[0]
            flags = re.findall(r": ([RPF])\s*$", text, re.MULTILINE)
            if flags:
                retired = flags.count("R")
                pages.append(BadPages(names.get(folder, folder), retired, len(flags) - retired))
        return cls(tuple(counts), tuple(pages))


def _slot(uevent: str) -> str:
    found = re.search(r"^PCI_SLOT_NAME=(\S+)", uevent, re.MULTILINE)
    return found.group(1).lower() if found else ""
