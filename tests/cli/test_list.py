"""`rocmdoctor list`."""

from __future__ import annotations

import json

import pytest

from rocmdoctor.cli.main import run


def _rows(words: list[str], what: str, capsys: pytest.CaptureFixture[str]) -> list[dict[str, object]]:
    assert run(["list", *words, "--json"]) == 0
    rows: list[dict[str, object]] = json.loads(capsys.readouterr().out)["data"][what]
    return rows


@pytest.mark.parametrize("words", [["MI210"], ["mi210", "gfx90a"], ["1002:740f"]])
def test_gpus_are_found_by_any_of_their_names(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    rows = _rows(["gpus", " ".join(words)], "gpus", capsys)
    assert [(row["gfx"], row["name"]) for row in rows] == [("gfx90a", "AMD Instinct MI210")]


def test_products_that_share_a_device_id_differ_by_revision(capsys: pytest.CaptureFixture[str]) -> None:
    rows = _rows(["gpus", "744c"], "gpus", capsys)
    assert {row["name"]: row["revisions"] for row in rows}["AMD Radeon RX 7900 XTX"] == ["c8"]


def test_a_gpu_that_is_not_known(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["list", "gpus", "voodoo"]) == 2
    assert "no GPU matches 'voodoo'" in capsys.readouterr().err


def test_checks_are_listed_with_their_faults(capsys: pytest.CaptureFixture[str]) -> None:
    rows = _rows(["checks", "driver.*"], "checks", capsys)
    assert {"driver.kfd-access": "device-permissions"}.items() <= {
        str(r["id"]): r["fault"] for r in rows
    }.items()


def test_the_table_for_people_is_not_cut(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["list", "gpus", "MI300X"]) == 0
    assert "AMD Instinct MI300X" in capsys.readouterr().out
