"""Writes docs/reference/checks.md; with --check it only says whether that page is fresh."""

from __future__ import annotations

import sys
from pathlib import Path

from rocmdoctor.content import DataTables, bundled, load_checks
from rocmdoctor.facts.faults import FaultTable
from rocmdoctor.reports.reference import checks_page

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

PAGE = Path(__file__).parent / "reference" / "checks.md"


def made() -> str:
    """The page as it should be."""
    home = bundled()
    data = home / "checks" / "data"
    tables = [tomllib.loads(path.read_text(encoding="utf-8")) for path in sorted(data.glob("*.toml"))]
    not_made = {row["id"]: row["reason"] for table in tables for row in table.get("not_made", [])}
    covered = tomllib.loads((data / "coverage.toml").read_text(encoding="utf-8"))
    looked_at = {**covered["requirements"], **covered["pains"]}
    checks = load_checks((home,)).ordered()
    return checks_page(checks, DataTables(home)(FaultTable), looked_at, not_made)


if __name__ == "__main__":
    if "--check" in sys.argv:
        sys.exit(
            0
            if PAGE.is_file() and PAGE.read_text(encoding="utf-8") == made()
            else "stale: run docs/generate.py"
        )
    PAGE.write_text(made(), encoding="utf-8")
