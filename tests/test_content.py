"""What every check and every table must keep to."""

from __future__ import annotations

import ast
import re
import sys

import pytest

from rocmdoctor.asking import distinct
from rocmdoctor.content import DataTables, bundled, load_checks
from rocmdoctor.diagnosis.registry import Check
from rocmdoctor.facts import all_facts
from rocmdoctor.facts.base import first_questions
from rocmdoctor.facts.faults import FaultTable
from tests.conftest import CHECKOUT

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

CHECKS = load_checks((bundled(),)).ordered()
FAULTS = DataTables(bundled())(FaultTable)
# What a look at a machine can find below Python; the rest shows in a running program only, or above it.
_BELOW_TORCH = ("hardware", "driver", "access", "packages", "environment")
_ALLOWED = re.compile(
    r"rocmdoctor\.(?:model|facts|diagnosis)\b|__future__|re$|dataclasses$|collections\b|typing$|packaging\b|math$|itertools$"
)


def _not_made() -> dict[str, str]:
    rows: dict[str, str] = {}
    for path in (CHECKOUT / "checks" / "data").glob("*.toml"):
        rows.update(
            {
                r["id"]: r["reason"]
                for r in tomllib.loads(path.read_text(encoding="utf-8")).get("not_made", [])
            }
        )
    return rows


@pytest.mark.parametrize("item", CHECKS, ids=lambda c: c.id)
def test_a_check_has_an_id_a_title_and_a_known_fault(item: Check) -> None:
    assert re.fullmatch(r"[a-z]+\.[a-z0-9]+(?:-[a-z0-9]+)*", item.id)
    assert item.title
    assert item.fault is None or item.fault in FAULTS.layers


def test_every_fault_that_a_machine_can_show_has_a_check_or_a_reason() -> None:
    used = {item.fault for item in CHECKS}
    text = "".join(p.read_text(encoding="utf-8") for p in (CHECKOUT / "checks").glob("*.py"))
    named = set(re.findall(r'fault="([a-z0-9-]+)"', text))
    left = (
        {f for f, layer in FAULTS.layers.items() if layer in _BELOW_TORCH} - used - named - set(_not_made())
    )
    assert left == set()


def test_every_fault_that_a_check_names_in_passing_exists() -> None:
    for path in (CHECKOUT / "checks").glob("*.py"):
        for fault in re.findall(r'fault="([a-z0-9-]+)"', path.read_text(encoding="utf-8")):
            assert fault in FAULTS.layers, f"{path.name}: {fault}"


@pytest.mark.parametrize("path", sorted((CHECKOUT / "checks").rglob("*.py")), ids=lambda p: p.name)
def test_checks_import_only_what_is_pure(path) -> None:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        names = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            names = [node.module or ""]
        for name in names:
            assert _ALLOWED.match(name), f"{path.name} imports {name}"


def test_no_two_facts_ask_the_same_differently() -> None:
    distinct(first_questions(all_facts()))


def test_every_rung_has_one_check() -> None:
    rungs = [item.rung for item in CHECKS if item.rung]
    assert sorted(rungs) == sorted(set(rungs)) == sorted(["gpu", "driver", "rocm", "torch", "training"])


def test_each_requirement_has_a_reason_that_says_something() -> None:
    assert all(len(reason) > 20 for reason in _not_made().values())


def test_what_covers_a_requirement_exists() -> None:
    covered = tomllib.loads((CHECKOUT / "checks/data/coverage.toml").read_text(encoding="utf-8"))
    ids = {item.id for item in CHECKS}
    for name, checks in {**covered["requirements"], **covered["pains"]}.items():
        assert checks, name
        assert set(checks) <= ids, name


def test_each_known_requirement_of_a_host_has_a_check_or_a_reason(corpus) -> None:
    facts = corpus.parent / "facts" / "host_requirements.toml"
    if not facts.is_file():
        pytest.skip(f"no table of requirements beside the captures: {facts}")
    rows = {row["id"] for row in tomllib.loads(facts.read_text(encoding="utf-8"))["host_requirements"]}
    covered = tomllib.loads((CHECKOUT / "checks/data/coverage.toml").read_text(encoding="utf-8"))
    assert rows - set(covered["requirements"]) - set(_not_made()) == set()


def test_the_reference_page_is_fresh() -> None:
    namespace: dict[str, object] = {
        "__file__": str(CHECKOUT / "docs" / "generate.py"),
        "__name__": "generate",
    }
    exec((CHECKOUT / "docs" / "generate.py").read_text(encoding="utf-8"), namespace)
    page = (CHECKOUT / "docs" / "reference" / "checks.md").read_text(encoding="utf-8")
    assert namespace["made"]() == page, "run: python docs/generate.py"  # type: ignore[operator]
