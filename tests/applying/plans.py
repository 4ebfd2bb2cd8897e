"""Plans made of cheap real actions."""

from __future__ import annotations

import os
import pwd
from typing import Any

from rocmdoctor.actions import Action, Person, Plan, Request, Undo, WriteFile


def me() -> Person:
    """Whoever runs the tests."""
    entry = pwd.getpwuid(os.getuid())
    return Person(entry.pw_name, entry.pw_uid, entry.pw_dir, entry.pw_shell)


def action(**fields: Any) -> Action:
    """An action that writes nothing of weight, with these fields instead."""
    given = {
        "do": WriteFile("/nowhere/file", "text\n"),
        "says": "do it",
        "undo": Undo("restore"),
        "id": "a",
        "root": False,
        **fields,
    }
    return Action(**given)


def plan(*actions: Action) -> Plan:
    """A plan of these actions for whoever runs the tests."""
    return Plan(Request(("base",)), me(), ("gfx90a",), {}, actions, {"kernel": "6.12"}, {}, (), ())
