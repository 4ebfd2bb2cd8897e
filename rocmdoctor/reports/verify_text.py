"""The report of `verify`: what holds, what does not, and what to do next."""

from __future__ import annotations

from collections.abc import Iterable

from rocmdoctor.diagnosis.runner import Diagnosis
from rocmdoctor.model import Remedy
from rocmdoctor.reports.text import Page, Paint, causes, others, too_slow

_STATES = {
    "ran": "verified: a HIP program was compiled for {gfx} and gave the right numbers on the GPU",
    "compiled": "verified: hipcc compiles for {gfx} and the code object holds it; no GPU of that kind is here to run it",
    "cpu": "verified: what is installed computes right on the processor; no GPU was asked",
    "no": "not verified",
}


def verify_text(
    state: str,
    gfx: tuple[str, ...],
    diagnosis: Diagnosis,
    steps: Iterable[Remedy],
    paint: Paint,
    width: int,
    verbose: int = 0,
) -> str:
    """The whole page."""
    page = Page(paint, width)
    for verdict in diagnosis.verdicts:
        if verdict.status == "ok":
            page.raw(f"✓ {verdict.id}: {verdict.why}", colour="green")
            for line in verdict.evidence if verbose else ():
                page.add(line, 6)
        elif verdict.status == "skip" and (
            verbose
            or verdict.absent
            or (gfx and verdict.id.startswith("verify."))
            # A component that was not proved must not look as if it had been.
            or verdict.id.startswith("proof.")
        ):
            page.add(f"· {verdict.id}: {verdict.why}")
    others(page, diagnosis, 0, quiet=False)
    causes(page, diagnosis)
    too_slow(page, diagnosis)
    page.lines.append("")
    words = _STATES[state].format(gfx=", ".join(gfx))
    page.add(f"{words[0].upper()}{words[1:]}.", colour="bold " if state == "no" else "bold green")
    for step in steps:
        page.add(f"Next: {step.text}", colour="bold ")
        for command in step.commands:
            page.raw(command, 6)
    return "\n".join(page.lines)


def next_steps(
    state: str, diagnosis: Diagnosis, install: str, *, cpu: bool = False, trained: bool = False
) -> tuple[Remedy, ...]:
    """What is to be done, first things first: the cures of what is wrong, else where to go from here.

    `install` is the command that brings what was never installed; `cpu` and `trained` say what was asked for.
    """
    first = [diagnosis.verdict(name) for name in diagnosis.root_causes]
    computed = any(v.id.startswith("proof.") for v in first)
    if not cpu and not computed and diagnosis.readiness.get("rocm") == "absent":
        return (Remedy("Install ROCm, with access to the GPUs, settings and exports.", (install,)),)
    noted = [v for v in diagnosis.verdicts if v.status == "warn"]
    cures = [v.remedy for v in (*first, *noted) if v.remedy is not None]
    if cures:
        return tuple(dict.fromkeys(cures))
    if cpu:
        return _after_cpu(state, trained=trained)
    if state == "no":
        return (Remedy("See what could not be assessed.", ("rocmdoctor check -v",)),)
    if trained:
        return ()
    return (Remedy("See what is missing for fine-tuning.", ("rocmdoctor check",)),)


def _after_cpu(state: str, *, trained: bool) -> tuple[Remedy, ...]:
    if state == "no":
        said = "Name the environment that holds torch, and ask as the user who trains."
        return (Remedy(said, ("rocmdoctor verify --cpu --env <path>",)),)
    return (
        ()
        if trained
        else (Remedy("Make a few steps of training, too.", ("rocmdoctor verify --train --cpu",)),)
    )
