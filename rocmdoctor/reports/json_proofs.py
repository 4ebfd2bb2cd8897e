"""What was computed and trained, as `verify --json` gives it: raw figures; what they amount to stands in the verdicts."""

from __future__ import annotations

from typing import Any

from rocmdoctor.facts.proofs import Figure, Proof, Proofs, ProofTable

_TRAINING = ("steps", "losses", "step_seconds", "peak_bytes")


def proofs_of(proofs: Proofs, table: ProofTable) -> list[dict[str, Any]]:
    """`data.proofs`: one for each component that was asked."""
    return [
        {**_of(proof), "figures": [_figure(f) for f in proof.figures]}
        for proof in _asked(proofs, table, train=False)
    ]


def trainings_of(proofs: Proofs, table: ProofTable) -> list[dict[str, Any]]:
    """`data.training`: one for each training that was made; its figures are null where it came to none."""
    found = []
    for proof in _asked(proofs, table, train=True):
        figure = next((f for f in proof.figures if f.name == "training"), None)
        values = figure.values if figure else {}
        said = proof.said or {}
        more = {
            "uses": said.get("uses") or {},
            "left_out": said.get("left") or {},
            "command": said.get("command"),
        }
        found.append({**_of(proof), **{key: values.get(key) for key in _TRAINING}, **more})
    return found


def _asked(proofs: Proofs, table: ProofTable, *, train: bool) -> list[Proof]:
    kinds = {task.subject: task.train for task in table.tasks}
    return [proof for name, proof in proofs.proofs.items() if kinds.get(name, False) is train]


def _of(proof: Proof) -> dict[str, Any]:
    """`state` is answered, hangs, died, absent or root; `stopped_by` missing, no-gpu, memory, failed or null."""
    return {
        "subject": proof.subject,
        "version": proof.version or None,
        "device": proof.device or proof.asked,
        "python": proof.python,
        "state": proof.state,
        "stage": proof.stage,
        "stopped_by": proof.kind or None,
        "error": proof.error or proof.detail or None,
        "seconds": proof.seconds,
    }


def _figure(figure: Figure) -> dict[str, Any]:
    # A figure's own numbers; which threads of a kernel were off is for the judge of a snapshot.
    return {k: v for k, v in figure.values.items() if k != "lanes"}
