"""The known errors that came along, as tests use them; `python -m tests.explaining.known LOG...` says what they see."""

from __future__ import annotations

import sys
from functools import cache
from pathlib import Path

from rocmdoctor.content import DataTables, bundled, load_checks
from rocmdoctor.explaining import Findings, KnownError, Lines, judged, read_text
from rocmdoctor.explaining.loading import Names
from rocmdoctor.facts.faults import FaultTable
from rocmdoctor.log_content import load_kinds, load_known_errors, load_signs


@cache
def known_errors() -> tuple[KnownError, ...]:
    """Read from the YAML, with all names looked up."""
    home = bundled()
    checks = [item.id for item in load_checks((home,)).ordered()]
    kinds = [kind.name for kind in load_kinds()]
    return load_known_errors((home,), Names(DataTables(home)(FaultTable).layers, checks, kinds))


@cache
def lines() -> Lines:
    return Lines(known_errors(), load_signs(), load_kinds())


def seen(text: str | bytes) -> Findings:
    return read_text(lines(), text)


if __name__ == "__main__":
    for name in sys.argv[1:]:
        found = seen(Path(name).read_bytes())
        best = judged(found)
        sys.stdout.write(
            f"{name}: exit {best.exit_code}, best: {[d.best.error.id for d in best.diagnoses]}\n"
        )
        if found.failure:
            sys.stdout.write(f"  a failure in line {found.failure.line}: {found.failure.text[:100]}\n")
        for one in found.observed:
            said = f"{one.first.line}: {one.error.id} ({one.error.fault}, {one.error.confidence}, {one.count} times)"
            sys.stdout.write(f"  {said}: {one.first.text}\n    {dict(one.first.holes)}\n")
