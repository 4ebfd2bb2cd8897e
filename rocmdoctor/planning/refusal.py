"""Why a plan is not made, and what else can be done. Pure."""

from __future__ import annotations

from rocmdoctor.frozen import frozen


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
