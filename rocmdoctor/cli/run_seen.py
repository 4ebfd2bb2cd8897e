"""How the newest run ended, as its journal tells: for a verb that says itself what came of it."""

from __future__ import annotations

import os
from dataclasses import dataclass

from rocmdoctor.applying import journal, places


@dataclass(frozen=True)
class RunSeen:
    """`wrong` are checks that failed at its end; `fresh_login`: they were asked with the groups of a fresh login."""

    number: int
    state: str
    says: str
    wrong: frozenset[str]
    fresh_login: bool


def newest(*, as_root: bool) -> RunSeen | None:
    """The newest run, root's or the user's own; None where there is none that can be read."""
    if as_root:
        state = places.machine_state(os.environ.get("ROCMDOCTOR_STATE", ""))
    else:
        state = places.user_state(os.environ)
    try:
        found = places.runs(state)
        lines = journal.read(found[-1].folder / journal.FILE) if found else []
    except (places.PlaceError, journal.JournalError):
        return None
    if not found:
        return None
    ends = [line.more for line in lines if line.event == "verified"]
    wrong = frozenset(map(str, ends[-1].get("wrong", ()))) if ends and as_root else frozenset()
    last = found[-1]
    return RunSeen(last.number, last.state, last.says, wrong, bool(ends) and as_root and os.geteuid() != 0)
