"""Whether the installed stack trains. Measured by `verify --train` alone; judged here."""

import math
from collections.abc import Mapping
from typing import Any

from rocmdoctor.diagnosis import Remedy, Verdict, check, fail, ok, skip
from rocmdoctor.diagnosis.proving import stopped_by
from rocmdoctor.facts.base import UnknownError
from rocmdoctor.facts.proofs import Figure, Proof, Proofs

_TORCH = "proof.torch-products"
_LAST = 3  # steps whose mean counts: a single batch can be an easy one


def _training(proof: Proof) -> Figure:
    figure = next((f for f in proof.figures if f.name == "training"), None)
    if figure is None:
        raise UnknownError(f"{proof.subject}: it ended and gave no figures")
    return figure


def _cost(figure: Figure) -> str:
    return f"{figure.number('step_seconds'):.2g} s a step, {figure.number('peak_bytes') / (1 << 30):.2f} GiB at most"


def _lines(proof: Proof) -> list[str]:
    """What took part, and what did not."""
    said = proof.said or {}
    lines = [f"{name}: {what}" for name, what in _texts(said.get("uses"))]
    return lines + [f"left out: {name}, {why}" for name, why in _texts(said.get("left"))]


def _texts(found: object) -> list[tuple[str, str]]:
    return [(str(k), str(v)) for k, v in found.items()] if isinstance(found, Mapping) else []


@check(
    "proof.training-lora",
    after=(_TORCH,),
    explained_by=("proof.bitsandbytes-4bit", "proof.flash-attention", "proof.deepspeed-adam"),
    required=True,
)
def lora(proofs: Proofs) -> Verdict:
    """Some steps of LoRA on a tiny model through the installed stack bring the loss below that of a guess."""
    proof = proofs.of("lora")
    if proof.state == "not-asked":
        return skip("nothing was trained; 'rocmdoctor verify --train' does that")
    stopped = stopped_by(proof, "a small training")
    if stopped is not None:
        return stopped
    figure = _training(proof)
    losses, lines = figure.numbers("losses"), _lines(proof)
    look = Remedy("See which part computes wrong.", ("rocmdoctor verify -v",))
    where = proof.device or proof.asked
    diverged = (proof.said or {}).get("diverged")
    if diverged or not losses:
        return fail(
            f"a small training on {where} diverges: the loss of step {diverged} is no number",
            *lines,
            remedy=look,
        )
    # Whoever knows nothing of 64 words loses log 64; ruling out half of them saves log 2.
    guess = figure.number("guess")
    last = sum(losses[-_LAST:]) / len(losses[-_LAST:])
    said = f"loss {losses[0]:.2f}, then {last:.2f} after {len(losses)} steps"
    if last > guess - math.log(2):
        return fail(
            f"a small training on {where} learns nothing: {said}; below {guess - math.log(2):.2f} is wanted, a guess has {guess:.2f}",
            *lines,
            remedy=look,
        )
    return ok(f"a small training on {where} learns: {said}, {_cost(figure)}", *lines)


@check(
    "proof.training-axolotl",
    after=(_TORCH,),
    explained_by=("proof.bitsandbytes-4bit", "proof.flash-attention", "proof.training-lora"),
    required=True,
)
def axolotl(proofs: Proofs) -> Verdict:
    """axolotl trains two steps of a tiny model, started as its users start it."""
    proof = proofs.of("axolotl")
    if proof.state == "not-asked":
        return skip("nothing was trained; 'rocmdoctor verify --train' does that")
    stopped = stopped_by(proof, "axolotl")
    said: Mapping[str, Any] = proof.said or {}
    command = str(said.get("command", ""))
    if stopped is not None:
        return stopped
    figure = _training(proof)
    losses, steps, wanted = figure.numbers("losses"), figure.number("steps"), figure.number("wanted")
    look = Remedy("Train by hand, with what is said on the way.", (command,) if command else ())
    where = proof.device or proof.asked
    name = f"axolotl {proof.version}"
    if steps < wanted or len(losses) < wanted:
        return fail(
            f"{name} ended without an error after {steps:.0f} of {wanted:.0f} steps on {where}", remedy=look
        )
    shown = ", ".join(f"{x:.3f}" for x in losses)
    if not all(0 < x < math.inf for x in losses):
        return fail(f"{name} trains on {where}, and its losses are no losses: {shown}", remedy=look)
    return ok(
        f"{name} trained {steps:.0f} steps on {where}: loss {shown}, {_cost(figure)}", *_lines(proof), command
    )
