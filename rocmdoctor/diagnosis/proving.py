"""Verdicts on proofs: what stopped one, and which of its figures lie beyond what arithmetic allows."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable

from rocmdoctor.diagnosis.verdicts import fail, ok, skip, unknown
from rocmdoctor.facts.proofs import Figure, Proof
from rocmdoctor.model import Remedy, Verdict

# The fault of results that are wrong and raise no error.
WRONG = "wrong-numbers"


class Judged:
    """One figure beside its bound."""

    def __init__(self, figure: Figure, what: str, bound: float, worst: float, unit: str = "") -> None:
        self.figure, self.bound, self.worst = figure, bound, worst
        self.nonfinite = int(figure.number("nonfinite"))
        self.wrong = worst > bound or self.nonfinite > 0
        of = f"of {int(figure.number('count'))} results"
        self.said = f"{what}: off by {worst:.4g} {unit}, {bound:.4g} is allowed"
        if self.nonfinite:
            self.said = f"{what}: {self.nonfinite} {of} are no finite number"


def stopped_by(proof: Proof, what: str) -> Verdict | None:
    """Why there is nothing to judge, None where there is."""
    if proof.state == "not-asked":
        return skip("nothing was computed; 'rocmdoctor verify' does that")
    if proof.state == "root":
        return unknown(
            f"root runs no code of an environment, so nothing was computed with {what}; ask as the user who trains: "
            "runuser -u <user> -- rocmdoctor verify"
        )
    if proof.state == "absent":
        return unknown(f"{proof.python} could not be started{f': {proof.detail}' if proof.detail else ''}")
    if proof.state == "hangs":
        return unknown(
            f"{what} did not end in {proof.seconds:.0f} s and was stopped; it was at: {proof.stage or 'its start'}. "
            "A slow machine needs more time: rocmdoctor verify --patience 4"
        )
    if proof.state == "died":
        fault = "gpu-memory-access-fault" if "emory access fault" in proof.detail else None
        return fail(
            f"{proof.python} died while it proved {what}, at: {proof.stage or 'its start'} ({proof.detail})",
            remedy=Remedy("See what the kernel says of it.", ("sudo dmesg | tail",)),
            fault=fault,
        )
    return _ended(proof, what) if proof.kind else None


def _ended(proof: Proof, what: str) -> Verdict | None:
    if proof.kind == "missing":
        return skip(f"{what} is not installed in {_env(proof)}")
    if proof.kind == "no-gpu":
        return fail(
            f"torch finds no GPU in {_env(proof)}, although the driver shows one: {proof.error}",
            remedy=Remedy("See why.", ("rocmdoctor check --deep --only 'torch.*'",)),
        )
    if proof.kind == "memory":
        where = "the GPU" if proof.asked == "gpu" else "this machine"
        return fail(
            f"{what} stopped at '{proof.stage}' because the memory of {where} ran out: {first_line(proof.error)}",
            remedy=Remedy(
                "See what holds it.", ("rocm-smi --showpids",) if proof.asked == "gpu" else ("free -h",)
            ),
            fault="hip-out-of-memory" if proof.asked == "gpu" else None,
        )
    missing = re.search(r"No module named '(\w+)", proof.error)
    if missing:
        return fail(
            f"{what} stopped at '{proof.stage}': the module '{missing.group(1)}' is missing in {_env(proof)}",
            remedy=Remedy("Install what brings it.", (f"{proof.python} -m pip install {missing.group(1)}",)),
        )
    if proof.stage.startswith("import "):
        return fail(
            f"{proof.stage} fails in {_env(proof)}: {first_line(proof.error)}",
            remedy=Remedy("See the whole of it.", (f"{proof.python} -c '{proof.stage}'",)),
        )
    return fail(
        f"{what} stopped at '{proof.stage}': {first_line(proof.error)}",
        remedy=Remedy("Look for what is known of it.", ("rocmdoctor explain <file with the error>",)),
    )


def _env(proof: Proof) -> str:
    return proof.python.rpartition("/bin/")[0] or proof.python


def first_line(text: str) -> str:
    """The first line of an error, which may be a page."""
    return (text.strip().splitlines() or ["it said nothing"])[0][:300]


def verdict_of(
    proof: Proof,
    name: str,
    judged: list[Judged],
    without: Iterable[Figure],
    remedy: Remedy,
    fault: Callable[[list[Judged]], str] = lambda _: WRONG,
) -> Verdict:
    """Of all figures of one component: the first wrong one is named, all are evidence."""
    lines = [j.said for j in judged]
    lines += [f"{f.name}: no way to do it here ({first_line(f.without)})" for f in without]
    where = proof.device or proof.asked
    wrong = [j for j in judged if j.wrong]
    if wrong:
        return fail(
            f"{name} computes wrong numbers on {where}, without an error: {wrong[0].said}",
            *lines,
            remedy=remedy,
            fault=fault(wrong),
        )
    if not judged:
        return skip(lines[0] if lines else f"{name} gave no figures on {where}")
    return ok(f"{name} computes right on {where}: {judged[0].said}", *lines)
