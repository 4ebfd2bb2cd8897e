"""From the options `--snapshot` and `--root` to a snapshot, with progress when it takes long."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import click

from rocmdoctor.facts import all_facts
from rocmdoctor.facts.base import first_questions, second_questions
from rocmdoctor.hosts.caller import as_caller
from rocmdoctor.hosts.machine import Machine
from rocmdoctor.hosts.replay import document, from_raw
from rocmdoctor.model import Query, Snapshot
from rocmdoctor.reports.envelope import TOOL

Progress = Callable[[str], None]


def take(root: str = "/", patience: float = 1.0, progress: Progress | None = None) -> Snapshot:
    """A snapshot of this machine, or of one in a folder: two passes of questions."""
    if root != "/" and not Path(root).is_dir():
        raise click.UsageError(f"--root: {root} is not a folder; give the mounted image or extracted tree")
    facts = all_facts()

    def collect() -> dict[str, Any]:
        machine = Machine(root, patience)
        answers = machine.ask(first_questions(facts), progress)
        seen = from_raw({"schema": 1, "answers": answers}).answers
        more: list[Query] = second_questions(facts, seen)
        return document({**answers, **machine.ask(more, progress)}, machine.about(), TOOL, _now())

    return from_raw(as_caller(collect) if root == "/" else collect())


def _now() -> str:
    return datetime.now(timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")


@contextmanager
def patient() -> Iterator[Progress | None]:
    """After a second, says on a terminal's stderr which question was answered last."""
    if not sys.stderr.isatty():
        yield None
        return
    last = ["the first answer"]
    done = threading.Event()

    def watch() -> None:
        waited = 0.0
        while not done.wait(0.25):
            waited += 0.25
            if waited >= 1.0:
                sys.stderr.write(f"\r\x1b[Kasking this machine, {waited:.0f} s (last: {last[0][:60]})")
                sys.stderr.flush()
        if waited >= 1.0:
            sys.stderr.write("\r\x1b[K")
            sys.stderr.flush()

    def progress(key: str) -> None:
        last[0] = key

    thread = threading.Thread(target=watch, daemon=True)
    thread.start()
    try:
        yield progress
    finally:
        done.set()
        thread.join()
