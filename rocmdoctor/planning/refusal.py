"""Why a plan is not made, and what else can be done. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from rocmdoctor.facts.base import LATE
from rocmdoctor.frozen import frozen

# What --patience takes at most.
MOST_PATIENCE = 100.0


@frozen
class Refusal:
    """`code` is for programs; `says` what stands against it, with the values; `instead` what to do."""

    code: str
    says: str
    instead: str
    where: str = ""


class RefusedError(Exception):
    """No plan is made, for these reasons; nothing was touched."""

    def __init__(self, *refusals: Refusal) -> None:
        super().__init__("; ".join(r.says for r in refusals))
        self.refusals = refusals


def patiently(refused: Iterable[Refusal], patience: float, *, saved: bool) -> tuple[Refusal, ...]:
    """The same; where a question had no answer in time, what to do is to give it longer than the `patience` that it had.

    `saved`: the answers are those of a snapshot, which must be taken anew for that.
    """
    return tuple(_patiently(r, patience, saved=saved) if f": {LATE}" in r.says else r for r in refused)


def _patiently(refusal: Refusal, patience: float, *, saved: bool) -> Refusal:
    more = min(10.0 if patience < 10.0 else 3 * patience, MOST_PATIENCE)
    if saved:
        what = f"take the snapshot anew with 'rocmdoctor collect --patience {more:g}'"
    elif patience < MOST_PATIENCE:
        what = f"say '--patience {more:g}', which waits {more:g} times as long as usual"
    else:
        return refusal
    slow = f"If this machine is only slow, as in emulation, {what}."
    return replace(refusal, instead=f"{slow} {refusal.instead}")
