"""The GPU itself, its memory and its place on the PCI bus."""

from rocmdoctor.diagnosis import Remedy, Verdict, check, fail, ok, skip, unknown, warn
from rocmdoctor.facts.gpus import Gpus, GpuTable
from rocmdoctor.facts.kernel_log import KernelFindings
from rocmdoctor.facts.left_out import LeftOut, named
from rocmdoctor.facts.links import Hop, PciLinks
from rocmdoctor.facts.ras import ErrorCount, RasCounters
from rocmdoctor.facts.system import Kernel

# A sleeping GPU answers reads with all ones; amdgpu then counts this many errors at a time.
_NONSENSE = 0xFFFF0


@check("hardware.pcie-atomics", fault="pcie-atomics")
def pcie_atomics(gpus: Gpus | None, left: LeftOut | None, found: KernelFindings | None) -> Verdict:
    """The PCI bus forwards the atomic operations that the compute driver asks for."""
    hits = found.of("no-atomics") if found else ()
    if left and not left.gpus:
        return ok("the compute driver left no GPU out")
    if left is None and not hits:
        return unknown("neither the PCI bus nor /sys/class/kfd could be read")
    if found is None and left:
        return unknown(f"{left.named}: no compute node, and the kernel log that says why could not be read")
    if not hits:
        reach = "" if found and found.whole else ", as far as it reaches back"
        return ok(f"the kernel log rejects no GPU for that reason{reach}")
    devices = {h.values["device"] for h in hits}
    guilty = left.of(devices) if left else ()
    if left and not guilty:
        return ok("the kernel rejected only devices that are not wanted for computing")
    lines = [f"kernel: {h.line}" for h in hits]
    name = named(guilty) or f"GPU {hits[0].values['vendor']}:{hits[0].values['device']}"
    why = f"the way to {name} forwards no PCIe atomics, so the compute driver left it out"
    working = {g.pci_id.partition(":")[2] for g in gpus.capable if g.node is not None} if gpus else set()
    if working and not working & devices:
        return warn(f"{why}; other GPUs work", *lines, remedy=_OTHER_SLOT)
    return fail(why, *lines, remedy=_OTHER_SLOT)


_OTHER_SLOT = Remedy(
    "Move the card to a slot that is wired to the processor: neither behind the chipset, nor on a riser or switch "
    "without atomics. In a virtual machine, pass the whole root port through. No software cures it.",
)


@check("hardware.ras", fault="ras-ecc", after=("gpu.present",))
def ras(counters: RasCounters, found: KernelFindings | None) -> Verdict:
    """No GPU reports uncorrectable memory errors."""
    real = [c for c in counters.counts if c.uncorrectable and not _nonsense(c)]
    if real:
        worst = max(real, key=lambda c: c.uncorrectable)
        return fail(
            f"{worst.bdf} counts {worst.uncorrectable} uncorrectable error(s) in block {worst.block}",
            *[
                f"{c.bdf}: {c.block}: {c.uncorrectable} uncorrectable, {c.correctable} correctable"
                for c in real
            ],
            remedy=Remedy(
                "End the work on this GPU and restart the machine, which clears the counters. When errors come back, have "
                "the card replaced.",
                ("amd-smi bad-pages",),
            ),
        )
    said = found.of("uncorrectable") if found else ()
    said = tuple(h for h in said if int(h.values["count"][:18]) % _NONSENSE)
    if said:
        return fail(
            "the kernel log tells of uncorrectable memory errors since the last boot",
            *[f"kernel: {h.line}" for h in said[:6]],
            remedy=Remedy(
                "Restart the machine. When errors come back, have the card replaced.", ("amd-smi bad-pages",)
            ),
        )
    if not counters.counts and not counters.pages:
        return skip("these GPUs count no errors")
    return _pages(counters)


def _pages(counters: RasCounters) -> Verdict:
    waiting = [p for p in counters.pages if p.open]
    if waiting:
        return warn(
            f"{waiting[0].bdf} has {waiting[0].open} bad page(s) of memory that are still in use",
            remedy=Remedy("Restart the machine: the driver then leaves them out.", ("sudo reboot",)),
        )
    asleep = [c for c in counters.counts if _nonsense(c)]
    notes = [f"{c.bdf}: {c.block}: {c.uncorrectable} is no count, the GPU slept" for c in asleep]
    notes += [
        f"{c.bdf}: {c.block}: {c.correctable} corrected"
        for c in counters.counts
        if c.correctable and c not in asleep
    ]
    retired = [p for p in counters.pages if p.retired]
    if retired:
        return warn(
            f"{retired[0].bdf} has retired {retired[0].retired} bad page(s) of memory: it works, and is ageing",
            *[f"{p.bdf}: {p.retired} bad page(s) out of use" for p in retired],
            *notes,
            remedy=Remedy(
                "Watch the number; a card that keeps losing pages is due for replacement.",
                ("amd-smi bad-pages",),
            ),
        )
    return ok("no uncorrectable error is counted", *notes)


def _nonsense(count: ErrorCount) -> bool:
    return count.uncorrectable > 0 and count.uncorrectable % _NONSENSE == 0


@check("hardware.link", after=("gpu.present",))
def link(gpus: Gpus, links: PciLinks) -> Verdict:
    """Every discrete GPU has the PCIe lanes that it was made for.

    Only the width counts: speed falls and rises with the load.
    """
    cards = [g for g in gpus.capable if not g.integrated]
    if not cards:
        return skip("only GPUs that are part of a processor")
    known = {g.bdf: links.ways.get(g.bdf, ()) for g in cards}
    narrow = {bdf: hop for bdf, way in known.items() if (hop := _narrowest(way)) is not None}
    if narrow:
        bdf, hop = next(iter(narrow.items()))
        return warn(
            f"the GPU at {bdf} runs on {hop.width} of {hop.max_width} PCIe lanes: loading data and work on several GPUs "
            "is slow",
            *[
                f"{at}: link at {h.bdf} is x{h.width} of x{h.max_width}, {h.speed or 'speed unknown'}"
                for at, h in narrow.items()
            ],
            remedy=Remedy(
                "Look at the slot in the board's manual, seat the card and its riser anew, and look for a firmware setting "
                "that splits the slot.",
                (f"sudo lspci -vv -s {hop.bdf}",),
            ),
        )
    silent = [bdf for bdf, way in known.items() if not way]
    if silent:
        return unknown(f"glob:/sys/bus/pci/devices/*/max_link_width: says nothing of {', '.join(silent)}")
    widths = sorted({min(h.width for h in way) for way in known.values()})
    return ok(f"links of {', '.join(f'x{w}' for w in widths)}")


def _narrowest(way: tuple[Hop, ...]) -> Hop | None:
    """The link that lost most lanes: a quarter or less of what the device was made for. Halved slots are common."""
    lost = [hop for hop in way if hop.width * 4 <= hop.max_width]
    return min(lost, key=lambda hop: hop.width) if lost else None


@check("hardware.supported", fault="unsupported-gfx", after=("gpu.present",))
def supported(gpus: Gpus, table: GpuTable) -> Verdict:
    """AMD supports ROCm on these GPUs."""
    names = list(dict.fromkeys(g.gfx for g in gpus.discrete))
    unknown_ones = [g for g in gpus.discrete if g.gfx is None]
    outside = [
        n for n in names if n is not None and (n not in table.targets or not table.targets[n].official)
    ]
    if outside:
        target = table.targets.get(outside[0])
        others = [n for n in names if n and n not in outside]
        told = "Use builds that name this target, or build from source with --offload-arch. "
        if target and target.override:
            told += f"With builds that lack it, HSA_OVERRIDE_GFX_VERSION={target.override} often works. "
        if target and target.generic:
            told += f"LLVM's generic target is {target.generic}."
        return warn(
            f"{outside[0]} is in none of AMD's support tables: much works, nothing is promised, and some libraries have no "
            f"kernels for it" + (f"; {', '.join(others)} is supported" if others else ""),
            remedy=Remedy(told.strip()),
        )
    if unknown_ones:
        return unknown(f"no gfx target is known for {named(unknown_ones)}")
    return ok(f"{', '.join(n for n in names if n)}: named in AMD's support tables")


@check("hardware.runtime-power", fault="gpu-power-hang", after=("gpu.present",))
def runtime_power(gpus: Gpus, kernel: Kernel | None) -> Verdict:
    """No GPU of several falls asleep by itself.

    amdgpu suspends an idle GPU; copies to one that did not wake up hung for ever (ROCm/ROCm issue 2418, two RX 7900 XTX).
    """
    cards = list({g.bdf: g for g in gpus.discrete if not g.integrated}.values())
    if len(cards) < 2:
        return skip("fewer than two discrete GPUs")
    if kernel is not None and "amdgpu.runpm=0" in kernel.cmdline:
        return ok("amdgpu.runpm=0 is on the kernel command line")
    asleep = [g for g in cards if g.pci is not None and g.pci.runtime_status == "suspended"]
    if asleep:
        return warn(
            f"{asleep[0].name} at {asleep[0].bdf} sleeps by runtime power management: where it does not wake up for the copy "
            "engine, work on several GPUs hangs without an error",
            *[f"{g.bdf}: power/runtime_status is suspended" for g in asleep],
            remedy=Remedy(
                "Where jobs on several GPUs hang, switch runtime power management off: add amdgpu.runpm=0 to the kernel command "
                "line, then reboot.",
            ),
        )
    return ok(f"none of {len(cards)} discrete GPUs sleeps now")
