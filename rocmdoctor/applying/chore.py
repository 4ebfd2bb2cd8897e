"""Exec of a chore: our own program as the user, with the interpreter and the code that carry the plan out."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rocmdoctor.actions import Action, Exec, Person
from rocmdoctor.applying.chores.running import SAID
from rocmdoctor.applying.failures import meaning
from rocmdoctor.applying.programs import Ended, Order, ProgramError, run
from rocmdoctor.applying.steps import Context, StepError, StoppedError
from rocmdoctor.ops.chores import CHORE

_START = Path(__file__).resolve().parent / "chores" / "start.py"
_SHOWN = 12  # last lines of a chore that failed


def is_chore(do: Exec) -> bool:
    """Whether it is work of our own."""
    return do.argv[0] == CHORE


def do_chore(do: Exec, action: Action, person: Person | None, context: Context) -> Mapping[str, Any]:
    """Does it; what undo needs. Raises StepError, StoppedError."""
    argv = (sys.executable, "-I", "-B", str(_START), *do.argv[1:])
    order = Order(argv, do.env, do.cwd or "/", person, action.timeout)
    try:
        said = run(order, context.log, context.on_line, context.stop)
    except ProgramError as error:
        raise StepError(str(error)) from error
    if said.why == "stopped":
        raise StoppedError
    if said.code != 0:
        raise StepError(_why(said, order, context), context.log, _last(said))
    return {"code": 0, "seconds": round(said.seconds, 1)}


def _why(said: Ended, order: Order, context: Context) -> str:
    known = meaning(said.tail, context.failures)
    if said.why == "timeout":
        how = f"it did not end within {order.timeout:.0f} s and was ended; resume goes on"
    elif said.code is not None and said.code < 0:
        how = f"it was ended by signal {-said.code}; resume goes on"
    else:
        own = [line for line in said.tail if line.startswith(SAID)]
        how = own[-1].removeprefix(SAID) if own else f"it ended with exit code {said.code}"
    return f"{how}{f'. That is: {known}' if known else ''}"


def _last(said: Ended) -> tuple[str, ...]:
    return tuple(line for line in said.tail if not line.startswith(SAID))[-_SHOWN:]
