"""Does one action: five things that can be done to a machine, each in a few lines."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rocmdoctor.actions import Action, ApplyPatch, Exec, Fetch, Person, WriteFile
from rocmdoctor.applying.changes import write_file
from rocmdoctor.applying.commands import came, execute
from rocmdoctor.applying.fetch import fetch
from rocmdoctor.applying.patches import apply_patch
from rocmdoctor.applying.steps import Context, StepError


def whom(action: Action, person: Person | None) -> Person | None:
    """As whom an action is done: None is whoever we are. Raises StepError when root is needed and we are not root."""
    if action.root:
        if os.geteuid() != 0:
            raise StepError(f"'{action.says}' needs root, and this run has none; begin it without --no-root")
        return None
    return person


def perform(action: Action, context: Context, *, again: bool) -> Mapping[str, Any]:
    """Does an action; what undo needs to take it back. `again`: it was begun before and not done.

    Raises StepError, StoppedError. A Reboot is not done here: it is asked for.
    """
    person = whom(action, context.person)
    do = action.do
    if isinstance(do, Exec):
        return execute(do, action, person, context, again=again)
    if isinstance(do, WriteFile):
        return write_file(do, person, context)
    if isinstance(do, Fetch):
        return fetch(do, action.timeout, person, context)
    if isinstance(do, ApplyPatch):
        return apply_patch(do, action, person, context)
    raise StepError(f"'{action.says}': the machine is not started anew by a step")


def is_there(action: Action) -> bool:
    """The path that proves a program's work is there."""
    return isinstance(action.do, Exec) and bool(action.do.creates) and Path(action.do.creates).exists()


def found_done(action: Action, context: Context) -> Mapping[str, Any]:
    """What undo needs of an action that was done but not noted, since the run was cut off in between."""
    return {"found": True, **came(action, context)}
