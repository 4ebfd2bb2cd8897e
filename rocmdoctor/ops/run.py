"""Programs for which there is no operation of their own, and reboots."""

from __future__ import annotations

import shlex
from collections.abc import Iterator

from rocmdoctor.actions import Action, Exec, Reboot, Undo
from rocmdoctor.model import Query, Stat
from rocmdoctor.ops.arguments import NO_VALUES, NO_WORDS, BadArgumentError, Place, VariableName
from rocmdoctor.ops.ground import Ground
from rocmdoctor.ops.places import Owner, no_shell, resolved
from rocmdoctor.ops.registry import operation


def _asks(ground: Ground, *, creates: str = "", **_: object) -> Iterator[Query]:
    if creates:
        yield Stat(resolved(ground, "creates", creates, "user"))


@operation("run", asks=_asks)
def run(  # noqa: PLR0913 - the keys of a step
    ground: Ground,
    *,
    argv: list[str],
    says: str = "",
    creates: Place | None = None,
    env: dict[VariableName, str] = NO_VALUES,
    cwd: Place | None = None,
    root: bool = False,
    network: bool = False,
    seconds: int = 10,
    undo: list[str] = NO_WORDS,
) -> Iterator[Action]:
    """Run a program, given as its words. No shell reads them.

    Nothing is run when `creates` is there. `root: true` runs it as root, which takes no program from the user's home.
    `seconds` is how long it usually takes; it is stopped after ten times that, ten minutes at least. `undo` are the
    words of a program that takes it back.
    """
    no_shell("argv", argv, required=True)
    no_shell("undo", undo, required=False)
    for name, value in env.items():
        if "\0" in value:
            raise BadArgumentError(f"env.{name}", value, "text without zero bytes")
    owner: Owner = "root" if root else "user"
    if root:
        if "/" in argv[0] and not argv[0].startswith("/"):
            raise BadArgumentError("argv", argv[0], "a program's name or absolute path")
        resolved(ground, "argv", argv[0], owner)
    proof = resolved(ground, "creates", creates, "user") if creates else ""
    if proof:
        there = ground.answer(Stat(proof)).ok
        ground.claim(f"file {proof}", "there" if there else "absent")
        if there:
            return
    yield Action(
        do=Exec(tuple(argv), dict(env), resolved(ground, "cwd", cwd, owner) if cwd else "", creates=proof),
        says=says or f"run {shlex.join(argv)}",
        undo=Undo("commands", f"runs {shlex.join(undo)}", (tuple(undo),))
        if undo
        else Undo("impossible", "no program is known that takes it back"),
        root=root,
        network=network,
        timeout=max(600.0, 10.0 * seconds),
        seconds=float(seconds),
    )


@operation("reboot")
def reboot(_ground: Ground, *, why: str, can_wait: bool = False) -> Iterator[Action]:
    """Start the machine anew; `why` completes "so that ..." for the user.

    It is always planned: the step's `skip_if` or `cures` says when it is not needed. With `can_wait` no later step needs
    it, and one reboot at the plan's end serves for all of these.
    """
    yield Action(
        do=Reboot(why, can_wait=can_wait),
        says=f"reboot, so that {why}",
        undo=Undo("nothing", "a reboot leaves nothing behind"),
        timeout=1800.0,
        seconds=120.0,
    )
