"""This machine, or one that lies in a folder: the collector behind a `Host`."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable
from typing import Any

from rocmdoctor.asking import as_question, distinct
from rocmdoctor.hosts import collector
from rocmdoctor.model import Query

# Seconds for all questions of both passes; a pass never gets more than is left of it.
DEADLINE = 4.7
FIRST_PASS = 3.2


class Machine:
    """Asks the live machine (`root="/"`) or a mounted image. `patience` stretches every time limit.

    `more` seconds are added to the second pass, for a question that is known to take long.
    """

    def __init__(self, root: str = "/", patience: float = 1.0, more: float = 0.0) -> None:
        self.more = more
        self.root = root
        self.patience = patience
        self._until: float | None = None
        self._passes = 0

    def about(self) -> dict[str, Any]:
        """What kind of host this is; no names, since a snapshot may travel."""
        return {"kind": "live" if os.path.realpath(self.root) == "/" else "root", "euid": os.geteuid()}

    def ask(self, queries: Iterable[Query], progress: Callable[[str], None] | None = None) -> dict[str, Any]:
        """Plain answers by key."""
        now = time.monotonic()
        self._passes += 1
        if self._until is None:
            self._until = now + (DEADLINE + self.more) * self.patience
        allowed = self._until - now
        if self._passes == 1:
            allowed = min(allowed, FIRST_PASS * self.patience)
        questions = [as_question(q) for q in distinct(queries)]
        for question in questions:
            if "timeout" in question:
                question["timeout"] *= self.patience
        return collector.ask(questions, self.root, max(0.1, allowed), progress)
