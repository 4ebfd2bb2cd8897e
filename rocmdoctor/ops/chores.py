"""Work of several programs that a step does as the user: unpacking safely, a checkout, a build, a look into a wheel.

The plan names the chore and what it is given; the executor starts it with an interpreter and from code that the user
cannot change where root carries the plan out. See `rocmdoctor/applying/chores`.
"""

from __future__ import annotations

import json
from typing import Any

CHORE = "rocmdoctor-chore"


def chore(name: str, /, **given: Any) -> tuple[str, ...]:
    """The words of a chore. `given` must be what JSON carries."""
    return (CHORE, name, json.dumps(given, sort_keys=True))
