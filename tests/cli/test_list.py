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


def test_what_goes_together_is_listed_by_target_and_system(capsys: pytest.CaptureFixture[str]) -> None:
    rows = _rows(["compat", "--arch", "gfx90a", "--os", "ubuntu-2[24].04"], "compat", capsys)
    assert [(row["os"], row["gfx"]) for row in rows] == [
        ("ubuntu-22.04", "gfx90a"),
        ("ubuntu-24.04", "gfx90a"),
    ]
    for row in rows:
        versions = row["versions"]
        assert isinstance(versions, dict)
        assert versions["rocm"] == "7.2.4"
        assert versions["torch"] == "2.14.0+rocm7.2"
        assert versions["flash-attention"] == "2.8.3.post2"
    (row,) = _rows(["compat", "--arch", "gfx1201", "--os", "debian-12"], "compat", capsys)
    assert row["versions"] == {}
    assert str(row["why"]).startswith("no release of rocm is for this machine")


def test_the_matrix_for_people_shares_lines(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["list", "compat", "--os", "ubuntu-24.04"]) == 0
    out = capsys.readouterr().out
    assert "gfx90a" in out
    assert "7.2.4" in out


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["--os", "plan9"], "--os: no recipe names 'plan9'; there are debian-12, debian-13, ubuntu-20.04"),
        (["--stack", "trainnig"], "no stack is called 'trainnig'; 'rocmdoctor list stacks' shows them"),
        (["--arch", "gfx9000"], "gfx9000"),
    ],
)
def test_a_matrix_of_what_is_not_there(
    words: list[str], says: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["list", "compat", *words]) == 2
    assert says in " ".join(capsys.readouterr().err.split())
