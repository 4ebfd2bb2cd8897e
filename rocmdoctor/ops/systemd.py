"""Units of systemd."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated

from rocmdoctor.actions import Action, Exec, Undo, WriteFile
from rocmdoctor.facts.boot import Booted
from rocmdoctor.model import Query, Run
from rocmdoctor.ops.arguments import Shape
from rocmdoctor.ops.ground import ForbiddenError, Ground, file_questions
from rocmdoctor.ops.places import holds, sha256_of
from rocmdoctor.ops.registry import operation

UNIT = Shape(
    "a unit's name such as 'x.service'",
    r"[A-Za-z0-9_][A-Za-z0-9:_.@-]*\.(?:service|timer|path|socket|mount|target|slice)",
)
UnitName = Annotated[str, UNIT]


def _path(name: str) -> str:
    return f"/etc/systemd/system/{name}"


def _state(verb: str, name: str) -> Run:
    return Run(("systemctl", verb, "--", name), limit=256)


def _asks(_ground: Ground, *, name: str, **_: object) -> Iterator[Query]:
    yield from file_questions(_path(name))
    yield _state("is-enabled", name)
    yield _state("is-active", name)


@operation("systemd.unit", asks=_asks)
def unit(
    ground: Ground, *, name: UnitName, text: str, enable: bool = True, start: bool = False
) -> Iterator[Action]:
    """Write a unit of systemd, and let it start at each boot (`enable`), and now (`start`).

    A unit that ends at once needs RemainAfterExit=yes, so that it counts as started. A unit whose state nobody could tell
    is enabled and started: doing so twice changes nothing. Another first process than systemd is a refusal.
    """
    if not ground.known.get(Booted).systemd:
        raise ForbiddenError(f"{name} is a unit of systemd, which is not the first process of this machine")
    reload = ("systemctl", "daemon-reload")
    changed = not holds(ground, _path(name), sha256_of(text))
    if changed:
        yield Action(
            do=WriteFile(_path(name), text),
            says=f"write the unit {name} ({_path(name)})",
            undo=Undo("restore", "lets systemd read it again", (reload,)),
            seconds=0.1,
        )
        yield Action(
            do=Exec(reload),
            says="let systemd read its units again",
            undo=Undo("commands", "done once the file is as it was"),
            seconds=1.0,
        )
    if enable and not _said(ground, "is-enabled", name, "enabled"):
        yield _called("enable", name, f"start {name} at each boot", "disable")
    if start and (not _said(ground, "is-active", name, "active") or changed):
        yield _called("restart", name, f"start {name}", "stop")


def _said(ground: Ground, verb: str, name: str, word: str) -> bool:
    said = ground.answer(_state(verb, name))
    found = said.stdout.strip() if said.ok else "unknown"
    ground.claim(f"unit {name} {verb}", found or "no")
    return found == word


def _called(verb: str, name: str, says: str, back: str) -> Action:
    return Action(
        do=Exec(("systemctl", verb, "--", name)),
        says=says,
        undo=Undo("commands", f"systemctl {back} {name}", (("systemctl", back, "--", name),)),
        seconds=2.0,
    )
