"""The known errors that came along, as tests use them; `python -m tests.explaining.known LOG...` says what they see."""

from __future__ import annotations

import sys
from functools import cache
from pathlib import Path

from rocmdoctor.content import DataTables, bundled, load_checks, load_known_errors
from rocmdoctor.explaining import Findings, KnownError, Lines, read_text
from rocmdoctor.facts.faults import FaultTable


@cache
def known_errors() -> tuple[KnownError, ...]:
    """Read from the YAML, with all names looked up."""
    home = bundled()
    checks = [item.id for item in load_checks((home,)).ordered()]
    return load_known_errors((home,), DataTables(home)(FaultTable).layers, checks)


@cache
def lines() -> Lines:
    return Lines(known_errors())


def seen(text: str | bytes) -> Findings:
    return read_text(lines(), text)


if __name__ == "__main__":
    for name in sys.argv[1:]:
        found = seen(Path(name).read_bytes())
        sys.stdout.write(f"{name}\n")
        for one in found.observed:
            said = f"{one.first.line}: {one.error.id} ({one.error.fault}, {one.error.confidence}, {one.count} times)"
            sys.stdout.write(f"  {said}: {one.first.text}\n    {dict(one.first.holes)}\n")
