"""What would make a plan fail, said before anything is touched. Pure."""

from __future__ import annotations

from collections.abc import Iterator

from rocmdoctor.actions import Plan, Reboot
from rocmdoctor.diagnosis.known import Known
from rocmdoctor.facts.host import DiskSpace, Room
from rocmdoctor.facts.system import Inside
from rocmdoctor.frozen import frozen
from rocmdoctor.planning.refusal import Refusal

# Left free beside what the plan takes: logs, package lists, and files that grow meanwhile.
SPARE = 500 * 1000**2


@frozen
class Predicted:
    """What a plan costs: bytes, seconds, packages, reboots."""

    download: int
    disk: int
    seconds: float
    installs: tuple[str, ...]
    removes: tuple[str, ...]
    reboots: int


def predict(plan: Plan) -> Predicted:
    """Sums of what the actions predict."""
    return Predicted(
        download=sum(a.download for a in plan.actions),
        disk=sum(a.disk for a in plan.actions),
        seconds=sum(a.seconds for a in plan.actions),
        installs=tuple(dict.fromkeys(n for a in plan.actions for n in a.installs)),
        removes=tuple(dict.fromkeys(n for a in plan.actions for n in a.removes)),
        reboots=sum(isinstance(a.do, Reboot) for a in plan.actions),
    )


def refusals(plan: Plan, known: Known) -> tuple[Refusal, ...]:
    """All that stands against the plan."""
    if not plan.actions:
        return ()
    return tuple(_room(predict(plan), known.maybe(DiskSpace)))


def _room(cost: Predicted, space: DiskSpace | None) -> Iterator[Refusal]:
    root = space.rooms.get("/") if space else None
    if root is None or not cost.disk:
        return
    var = space.rooms.get("/var", root) if space else root
    together = var == root
    need = cost.disk + (cost.download if together else 0) + SPARE
    yield from _short("/", need, root)
    if not together:
        yield from _short("/var", cost.download + SPARE, var)


def _short(path: str, need: int, room: Room) -> Iterator[Refusal]:
    if room.free < need:
        yield Refusal(
            "no-room",
            f"{path} has {size(room.free)} free, and {size(need)} are wanted ({size(SPARE)} of them to spare)",
            "Make room: 'sudo apt-get clean' drops downloaded packages, 'du -xh / | sort -h | tail' shows what is big.",
        )


def notes(known: Known) -> tuple[str, ...]:
    """What does not stand against a plan and should be known."""
    inside = known.maybe(Inside)
    if inside is not None and inside.wsl:
        return ("under Windows the GPU's driver is Windows' own; nothing of the kernel is changed here",)
    return ()


def size(count: int) -> str:
    """Bytes as people write them, in powers of 1000 as apt does."""
    for unit, step in (("GB", 1000**3), ("MB", 1000**2), ("kB", 1000)):
        if count >= step:
            return f"{count / step:.3g} {unit}" if count < 1000 * step else f"{count / step:.0f} {unit}"
    return f"{count} B"
