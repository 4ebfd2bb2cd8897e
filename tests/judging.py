"""A diagnosis in one line, for tests."""

from __future__ import annotations

from functools import cache
from typing import Any

from rocmdoctor.cli.running import Judge, Outcome
from rocmdoctor.hosts.replay import from_raw
from rocmdoctor.model import Wish


@cache
def _judge(level: str | None, arch: str | None) -> Judge:
    return Judge((), Wish(level=level, arch=arch))


def judge(answers: dict[str, Any], level: str | None = None, arch: str | None = None) -> Outcome:
    """What the checks say of a machine that gives these answers."""
    return _judge(level, arch).judge(from_raw({"schema": 1, "answers": answers}))
