"""The captures of others: every printed case and every unhealthy output named right first, nothing said of what went well."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from rocmdoctor.explaining import judged
from tests.conftest import CHECKOUT, CORPUS
from tests.explaining.known import seen

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

SAME = {
    "groups/permissions": "device-permissions",
    "missing-libstdc++-dev": "missing-libstdcxx-dev",
    "WSL": "wsl",
}


def _toml(path: Path) -> dict:
    return tomllib.loads(path.read_text(encoding="utf-8"))


OUTPUTS = _toml(CHECKOUT / "benchmarks" / "accuracy" / "outputs.toml")
TOGETHER = OUTPUTS.pop("together")
CASES = sorted((CORPUS / "cases").glob("*.toml")) if CORPUS else []


def _first(text: str) -> str | None:
    found = judged(seen(text)).diagnoses
    return found[0].best.error.fault if found else None


@pytest.mark.parametrize("path", CASES, ids=lambda p: p.stem)
def test_a_printed_case_is_named_right_first(path: Path) -> None:
    case = _toml(path)
    said = _first(case["symptom_text"])
    right = SAME.get(case["class"], case["class"])
    # Prose may hold a message in passing; it never leads astray.
    assert said == right or (said is None and case["symptom_form"] == "described")


@pytest.mark.parametrize(("names", "fault"), [*OUTPUTS.items(), *TOGETHER.items()])
def test_an_unhealthy_output_is_explained(corpus: Path, names: str, fault: str) -> None:
    texts = [(corpus / "outputs" / name).read_text(encoding="utf-8") for name in names.split()]
    assert _first("\n".join(texts)) == fault


def test_every_unhealthy_output_has_its_fault(corpus: Path) -> None:
    listed = {*OUTPUTS, *(name for names in TOGETHER for name in names.split())}
    assert listed == {
        o["file"] for o in _toml(corpus / "outputs" / "index.toml")["output"] if not o["healthy"]
    }


def test_of_healthy_outputs_nothing_is_said(corpus: Path) -> None:
    for output in _toml(corpus / "outputs" / "index.toml")["output"]:
        if output["healthy"]:
            text = (corpus / "outputs" / output["file"]).read_text(encoding="utf-8")
            assert judged(seen(text)).exit_code == 0, output["file"]
