"""What GPUs are there, and whether ROCm has code for them."""

from rocmdoctor.diagnosis import Remedy, Verdict, Wish, absent, check, fail, ok, skip, unknown
from rocmdoctor.facts.gpus import Gpus, GpuTable
from rocmdoctor.facts.system import Inside
from rocmdoctor.facts.tools import Tools


@check("gpu.present", rung="gpu", required=True)
def gpu_present(gpus: Gpus | None, tools: Tools | None, inside: Inside | None) -> Verdict:
    """An AMD GPU that can compute is there.

    The bus and the kernel driver are asked. Where they show none, rocminfo is believed: under Windows the GPU is on
    neither, and a report may hold nothing else.
    """
    if gpus and gpus.capable:
        targets = dict.fromkeys(g.gfx or "unknown target" for g in gpus.capable)
        return ok(f"{len(gpus.capable)} GPU(s): {', '.join(targets)}")
    listed = tools.get("rocminfo").gfx if tools else ()
    if listed:
        return ok(
            f"rocminfo lists {', '.join(listed)}, though neither the PCI bus nor the kernel shows a GPU"
        )
    if gpus is None:
        return unknown("neither the PCI bus nor the compute topology of the kernel could be read")
    if gpus.all:
        names = ", ".join(f"{g.name} at {g.bdf}" for g in gpus.all)
        return absent(f"no AMD GPU that can compute: {names} has no gfx target, so ROCm never ran on it")
    where = f" is visible inside {inside.container}" if inside and inside.container else ""
    return absent(
        f"no AMD GPU{where}", remedy=Remedy("Put an AMD GPU into this machine, or pass one through to it.")
    )


@check("gpu.arch-wanted", fault="unsupported-gfx", after=("gpu.present",))
def gpu_arch_wanted(gpus: Gpus, table: GpuTable, wish: Wish) -> Verdict:
    """The gfx target that was asked for is the one that is there."""
    if wish.arch is None:
        return skip("no --arch was given")
    there = [g for g in gpus.discrete if g.gfx == wish.arch]
    if there:
        return ok(f"{len(there)} GPU(s) with {wish.arch}")
    others = ", ".join(f"{g.gfx or 'unknown'} ({g.name})" for g in gpus.discrete)
    target = table.targets[wish.arch]
    return fail(
        f"--arch asks for {wish.arch} ({target.family}), this machine has {others}: code built for {wish.arch} does not run on it",
        remedy=Remedy("Ask for the target that is there, or leave --arch out."),
    )
