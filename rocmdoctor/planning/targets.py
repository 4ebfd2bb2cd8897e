"""The gfx targets that code is compiled for. Pure."""

from __future__ import annotations

from rocmdoctor.diagnosis.known import Known
from rocmdoctor.facts.gpus import Gpus
from rocmdoctor.frozen import frozen
from rocmdoctor.planning.refusal import Refusal, RefusedError


@frozen
class Targets:
    """`gfx`: what is compiled for. `notes`: what was left out and why."""

    gfx: tuple[str, ...]
    notes: tuple[str, ...]


def targets(arch: str | None, known: Known, *, needed: bool = True) -> Targets:
    """The wanted target, or those of the discrete GPUs. Raises RefusedError where none can be told or the GPU contradicts.

    None where none can be told and none is `needed`.
    """
    gpus = known.maybe(Gpus)
    capable = gpus.capable if gpus else ()
    here = tuple(dict.fromkeys(g.gfx for g in (gpus.discrete if gpus else ()) if g.gfx))
    if arch is None:
        if not needed and not here:
            return Targets((), ())
        return _of_gpus(gpus, here, known.why(Gpus))
    every = {g.gfx for g in capable if g.gfx}
    if every and arch not in every:
        raise RefusedError(
            Refusal(
                "arch-contradicts",
                f"--arch {arch}, and the GPU here is {', '.join(sorted(every))}: code for {arch} would not run on it",
                "Leave --arch out, and it is built for the GPU that is here; to build for another machine, build there or in a container.",
            )
        )
    if not every:
        return Targets(
            (arch,), (f"no GPU of {arch} is seen here: what is built is compiled for it and not run",)
        )
    return Targets((arch,), ())


def _of_gpus(gpus: Gpus | None, here: tuple[str, ...], unknown: str) -> Targets:
    if gpus is None or not here:
        said = (
            "no AMD GPU with a known target is here"
            if gpus is not None
            else f"which GPUs are here cannot be told ({unknown})"
        )
        raise RefusedError(
            Refusal(
                "no-target",
                f"{said}, so there is nothing to compile for",
                "Say which GPU is meant, such as --arch gfx90a; 'rocmdoctor list gpus' shows products and their targets.",
            )
        )
    left = [f"{g.name} ({g.gfx})" for g in gpus.capable if g.integrated and g.gfx not in here]
    note = f"{', '.join(left)} is part of the processor and is left out; --arch names it if it is meant"
    return Targets(here, (note,) if left else ())
