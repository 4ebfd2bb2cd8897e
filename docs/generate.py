"""Writes what is generated below docs/reference/; with --check it only says whether that is fresh."""

from __future__ import annotations

import json
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from rocmdoctor.content import DataTables, bundled, load_checks, load_patches
from rocmdoctor.explaining.loading import Names
from rocmdoctor.facts.faults import FaultTable
from rocmdoctor.log_content import load_kinds, load_known_errors
from rocmdoctor.model import Verdict
from rocmdoctor.ops import all_operations
from rocmdoctor.recipe.schema import recipe_schema, stack_schema
from rocmdoctor.reports.known_reference import known_errors_page
from rocmdoctor.reports.patch_text import patches_page
from rocmdoctor.reports.recipe_reference import recipes_page
from rocmdoctor.reports.reference import checks_page
from tests.judging import judge
from tests.machines.healthy import machine

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

CHECKOUT = Path(__file__).resolve().parent.parent
REFERENCE = CHECKOUT / "docs" / "reference"


def made() -> str:
    """The page as it should be."""
    home = bundled()
    data = home / "checks" / "data"
    tables = [tomllib.loads(path.read_text(encoding="utf-8")) for path in sorted(data.glob("*.toml"))]
    not_made = {row["id"]: row["reason"] for table in tables for row in table.get("not_made", [])}
    covered = tomllib.loads((data / "coverage.toml").read_text(encoding="utf-8"))
    looked_at = {**covered["requirements"], **covered["pains"]}
    checks = load_checks((home,)).ordered()
    return checks_page(checks, DataTables(home)(FaultTable), looked_at, not_made, examples())


def examples() -> dict[str, Verdict]:
    """What each check says in the first of its cases in which it speaks up; a failure before a warning."""
    found: dict[str, Verdict] = {}
    for path in sorted((CHECKOUT / "tests" / "cases").glob("*.toml")):
        for case in tomllib.loads(path.read_text(encoding="utf-8"))["case"]:
            known = found.get(case["check"])
            if case["status"] not in ("fail", "warn") or (known and known.status in ("fail", case["status"])):
                continue
            answers = machine(case["machine"]) if "machine" in case else {}
            answers.update(case.get("set", {}))
            for key in case.get("remove", ()):
                del answers[key]
            said = judge(answers, case.get("level"), case.get("arch")).diagnosis
            found[case["check"]] = said.verdict(case["check"])
    return found


def known_errors() -> str:
    """The page of known errors, read from their files with all names looked up."""
    home = bundled()
    faults, kinds, checks = DataTables(home)(FaultTable), load_kinds(), load_checks((home,)).ordered()
    names = Names(faults.layers, [item.id for item in checks], [kind.name for kind in kinds])
    return known_errors_page(load_known_errors((home,), names), faults, kinds, checks)


def recipe_files() -> dict[str, str]:
    """The page and the schemas of recipes, by their path below docs/reference/."""
    operations = all_operations()
    example = (REFERENCE / "example-recipe.yaml").read_text(encoding="utf-8")
    return {
        "recipes.md": recipes_page(operations, example),
        "schema/recipe.json": json.dumps(recipe_schema(operations), indent=2) + "\n",
        "schema/stack.json": json.dumps(stack_schema(), indent=2) + "\n",
    }


if __name__ == "__main__":
    files = {
        "checks.md": made(),
        "known-errors.md": known_errors(),
        "patches.md": patches_page(load_patches((bundled(),))),
        **recipe_files(),
    }
    if "--check" in sys.argv:
        stale = [
            name
            for name, text in files.items()
            if not (REFERENCE / name).is_file() or (REFERENCE / name).read_text(encoding="utf-8") != text
        ]
        sys.exit(f"stale: {', '.join(stale)}; run docs/generate.py" if stale else 0)
    for name, text in files.items():
        (REFERENCE / name).write_text(text, encoding="utf-8")
