"""Which distribution brought another one in: by what each asks for, by when they came, by who asked for them. Pure."""

from __future__ import annotations

from collections.abc import Iterator

from rocmdoctor.facts.distributions import Dist, Dists, named
from rocmdoctor.facts.protection import Came
from rocmdoctor.facts.requirements import Pin, Pins, holds
from rocmdoctor.frozen import frozen

# What one command of pip's brings in is written within this many seconds.
_TOGETHER = 600.0
_DEEPEST = 6


@frozen
class Culprit:
    """What brought a distribution in. `chain` begins with what somebody asked for and ends with who asks for it.

    `text` is the last one's requirement; "" where somebody asked for the distribution itself.
    """

    chain: tuple[Dist, ...]
    text: str

    def __str__(self) -> str:
        if not self.chain:
            return "it was asked for by name"
        last = self.chain[-1]
        said = f"{last} brought it, which asks for {self.text}"
        if len(self.chain) == 1:
            return said
        return f"{said} and came with {self.chain[0]}"


def culprit(there: Dist, before: str | None, dists: Dists, pins: Pins, came: Came | None) -> Culprit | None:
    """Who brought `there` in, where `before` is the version that stood there; None where nothing tells.

    Those come first whose wish the former version did not meet, since they left no choice; then exact ones; then those
    that came together with it. What asks for the distribution and is met by the former one as well is blamed only when
    it came together with it.
    """
    asking = [p for p in pins.on(there.name) if p.met is not False and p.specifiers]
    forced = [p for p in asking if before is not None and holds(p.specifiers, before) is False]
    near = [p for p in asking if _together(p.owner, there, came)]
    exact = [p for p in asking if p.exact] if before is None else []
    blamed = _latest(forced, came) or _latest(near, came) or _latest(exact, came)
    if blamed is not None:
        return Culprit(tuple(_chain(blamed.owner, dists, came)), blamed.text)
    if came is not None and there.folder in came.requested:
        return Culprit((), "")
    return None


def _together(one: Dist, other: Dist, came: Came | None) -> bool:
    if came is None or one.folder not in came.when or other.folder not in came.when:
        return False
    return abs(came.when[one.folder] - came.when[other.folder]) <= _TOGETHER


def _latest(pins: list[Pin], came: Came | None) -> Pin | None:
    """The exact one first, then that which came last."""

    def rank(pin: Pin) -> tuple[bool, float]:
        return pin.exact, came.when.get(pin.owner.folder, 0.0) if came else 0.0

    return max(pins, key=rank, default=None)


def _chain(owner: Dist, dists: Dists, came: Came | None) -> Iterator[Dist]:
    """From what was asked for by name down to the owner; only the owner where nobody knows."""
    above = [owner]
    while came is not None and above[-1].folder not in came.requested and len(above) < _DEEPEST:
        child = above[-1]
        parent = next(
            (
                d
                for d in dists.dists
                if d not in above
                and _together(d, child, came)
                and any(named(r) == child.name for r in d.requires)
            ),
            None,
        )
        if parent is None:
            return iter((owner,))
        above.append(parent)
    return reversed(above)
