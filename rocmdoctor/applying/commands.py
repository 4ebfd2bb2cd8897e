"""Exec: a program, and what must hold before and after it."""

from __future__ import annotations

import shlex
import signal
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rocmdoctor.actions import Action, Exec, Person
from rocmdoctor.applying import leftovers, packages
from rocmdoctor.applying.chore import do_chore, is_chore
from rocmdoctor.applying.failures import meaning
from rocmdoctor.applying.programs import Ended, Order, ProgramError, run
from rocmdoctor.applying.simulate import not_agreed
from rocmdoctor.applying.steps import Context, StepError, StoppedError
from rocmdoctor.planning.pip_report import BadReportError, touched

_SHOWN = 120
_MEANS: Mapping[int, str] = {
    signal.SIGKILL: ", which the kernel sends when memory runs out ('dmesg' tells): close other programs, then resume",
}


def shown(argv: tuple[str, ...]) -> str:
    """A command for a message."""
    text = shlex.join(argv)
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}…"


def failed(order: Order, said: Ended, context: Context, what: str = "", more: str = "") -> StepError:
    """Why a program did not do what it was to do."""
    name = f"{what + ' (' if what else ''}'{shown(order.argv)}'{')' if what else ''}"
    if said.why == "timeout":
        how = f"{name} did not end within {order.timeout:.0f} s and was ended; resume tries again"
    elif said.code is not None and said.code < 0:
        how = f"{name} was ended by signal {-said.code}{_MEANS.get(-said.code, '')}"
    else:
        how = f"{name} ended with exit code {said.code}"
    known = meaning(said.tail, context.failures)
    return StepError(f"{how}{f': {known}' if known else ''}.{more}", context.log, said.tail)


def checked(order: Order, context: Context, codes: tuple[int, ...] = (0,), what: str = "") -> Ended:
    """Runs a program that must end well. Raises StepError, StoppedError."""
    try:
        with leftovers.noted(context.folder, order.finish) as started:
            said = run(order, context.log, context.on_line, context.stop, started)
    except ProgramError as error:
        raise StepError(str(error)) from error
    if said.why == "stopped":
        raise StoppedError
    if said.code not in codes:
        raise failed(order, said, context, what)
    return said


def order(argv: tuple[str, ...], do: Exec, action: Action, person: Person | None) -> Order:
    """A program of a step."""
    finish = Path(argv[0]).name in packages.FINISH
    return Order(argv, do.env, do.cwd or "/", person, action.timeout, finish)


def execute(
    do: Exec, action: Action, person: Person | None, context: Context, *, again: bool
) -> Mapping[str, Any]:
    """Runs the program of a step; what undo needs. Raises StepError, StoppedError."""
    if is_chore(do):
        return do_chore(do, action, person, context)
    if Path(do.argv[0]).name in packages.PROGRAMS and person is None:
        packages.wait_until_free(context, action.timeout)
    if action.undo.kind == "packages":
        packages.note(do.env, context)
    for argv in do.heal if again else ():
        checked(order(argv, do, action, person), context, what="mending what an interrupted try left")
    if do.simulate:
        asked = order(do.simulate, do, action, person)
        asked = Order(**{**asked.__dict__, "finish": False, "keep": 16 << 20})
        if do.keeps:
            unharmed(asked, do, context)
        else:
            agreed(asked, action.removes, context)
    said = checked(order(do.argv, do, action, person), context, do.codes)
    return {"code": said.code, "seconds": round(said.seconds, 1), **came(action, context)}


def came(action: Action, context: Context) -> Mapping[str, Any]:
    """What the step has brought so far that undo must know. Raises StepError."""
    if action.undo.kind != "packages":
        return {}
    found = packages.since(context.packages, action.do.env if isinstance(action.do, Exec) else {})
    return found.as_json() if found else {}


def _simulated(order: Order, context: Context) -> Ended:
    """Raises StepError when it cannot be started, StoppedError."""
    try:
        said = run(order, context.log, context.on_line, context.stop)
    except ProgramError as error:
        raise StepError(f"{error}; nothing was done") from error
    if said.why == "stopped":
        raise StoppedError
    return said


def unharmed(order: Order, do: Exec, context: Context) -> None:
    """Asks pip what it would install. Raises StepError when that would replace what must stay, StoppedError.

    A pip that cannot tell, and one that finds no way, are left to the step itself, which says it in pip's words.
    """
    said = _simulated(order, context)
    if said.code != 0:
        return
    try:
        hit = touched(said.kept, do.keeps, do.named)
    except BadReportError:
        return
    if hit:
        raise StepError(
            f"pip would change what was installed for the GPUs: {'; '.join(map(str, hit))}. Nothing was done; plan again with"
            " versions that go together",
            context.log,
        )


def agreed(order: Order, removes: tuple[str, ...], context: Context) -> None:
    """Asks the simulation what would go. Raises StepError when that is more than was agreed to, StoppedError."""
    said = _simulated(order, context)
    if said.code != 0:
        raise failed(order, said, context, "the simulation of it", " Nothing was done.")
    if others := not_agreed(said.kept, removes):
        raise StepError(
            f"{order.argv[0]} would remove {', '.join(others)}, and agreed to was"
            f" {', '.join(removes) if removes else 'no removal'}; nothing was done. Plan again to see what the removal"
            " is for; --allow-remove agrees to it",
            context.log,
        )
