"""What GPUs are there, and whether ROCm has code for them."""

from __future__ import annotations

from rocmdoctor.diagnosis import Remedy, Verdict, absent, check, ok
from rocmdoctor.facts.gpus import Gpus
from rocmdoctor.facts.system import Inside


@check("gpu.present", rung="gpu", required=True)
def gpu_present(gpus: Gpus, inside: Inside | None) -> Verdict:
    """An AMD GPU that can compute is there."""
    if gpus.capable:
        return ok(
            f"{len(gpus.capable)} GPU(s): {', '.join(dict.fromkeys(g.gfx or 'unknown target' for g in gpus.capable))}"
        )
    if gpus.all:
        names = ", ".join(f"{g.name} at {g.bdf}" for g in gpus.all)
        return absent(f"no AMD GPU that can compute: {names} has no gfx target, so ROCm never ran on it")
    where = f" is visible inside {inside.container}" if inside and inside.container else ""
    return absent(
        f"no AMD GPU{where}", remedy=Remedy("Put an AMD GPU into this machine, or pass one through to it.")
    )
