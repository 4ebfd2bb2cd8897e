"""`rocmdoctor recipe`, `list recipes` and `list stacks`."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from rocmdoctor.cli.main import run
from tests.machines.families import family

GOOD = "schema: 1\nid: {}\ntitle: A thing\nafter: [{}]\nsteps:\n  - {{id: one, uses: apt.install, with: {{packages: [hello]}}}}\n"


@pytest.fixture
def own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of one's own content, with one recipe and one stack."""
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    (tmp_path / "own" / "recipes" / "stacks").mkdir(parents=True)
    (tmp_path / "own" / "recipes" / "mine.yaml").write_text(GOOD.format("mine", "rocm"), encoding="utf-8")
    stack = "schema: 1\nid: ours\ntitle: All of it\nrecipes: [rocm, mine]\n"
    (tmp_path / "own" / "recipes" / "stacks" / "ours.yaml").write_text(stack, encoding="utf-8")
    return tmp_path / "own"


def said(words: list[str], code: int, capsys: pytest.CaptureFixture[str]) -> dict:
    """The envelope."""
    assert run([*words, "--json"]) == code
    envelope = json.loads(capsys.readouterr().out)
    assert envelope["exit_code"] == code
    return envelope


def test_the_recipes_of_this_release_are_clean(own: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["recipe", "lint"]) == 0
    assert capsys.readouterr().out.endswith(" files, nothing is wrong\n")


def test_own_recipes_are_clean_beside_ours(own: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for words in (
        [str(own)],
        ["--content", str(own)],
        [str(own / "recipes" / "mine.yaml"), "--content", str(own)],
    ):
        data = said(["recipe", "lint", *words], 0, capsys)["data"]
        assert {"mine", "rocm"} <= set(data["recipes"])
        assert {"ours", "base"} <= set(data["stacks"])
    assert run(["recipe", "lint", str(own / "recipes" / "mine.yaml")]) == 0
    assert capsys.readouterr().out == "1 file, nothing is wrong\n"


def test_the_users_data_folder_is_looked_into(own: Path, capsys: pytest.CaptureFixture[str]) -> None:
    kept = own.parent / "data" / "rocmdoctor"
    kept.mkdir(parents=True)
    own.rename(kept / "content")
    rows = said(["list", "recipes"], 0, capsys)["data"]["recipes"]
    assert "mine" in [row["id"] for row in rows]


def test_faults_are_told_one_a_line_with_their_places(own: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = own / "recipes" / "mine.yaml"
    path.write_text(
        GOOD.format("mine", "rocmm").replace("uses: apt.install", "uses: apt.instal, aftr: []"),
        encoding="utf-8",
    )
    assert run(["recipe", "lint", str(path)]) == 2
    out = capsys.readouterr().out.splitlines()
    assert out == [
        f"{path}:6:21: steps.1.uses: no operation is called 'apt.instal', did you mean 'apt.install'?",
        f"{path}:6:33: steps.1.aftr: unknown key, did you mean 'after'?",
        "2 faults in 1 file",
    ]
    envelope = said(["recipe", "lint", str(path)], 2, capsys)
    assert (envelope["status"], envelope["command"]) == ("error", "recipe lint")
    assert envelope["errors"][1] == {
        "code": "bad-recipe",
        "message": "steps.1.aftr: unknown key, did you mean 'after'?",
        "where": f"{path}:6:33",
    }


def test_an_id_of_ours_is_taken(own: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = own / "recipes" / "mine.yaml"
    path.write_text(GOOD.format("rocm", ""), encoding="utf-8")
    (error,) = said(["recipe", "lint", str(path)], 2, capsys)["errors"]
    assert error["where"] == f"{path}:2:5"
    assert error["message"].startswith("id: 'rocm' is taken by ")
    assert run(["list", "recipes", "--content", str(own)]) == 2
    assert f"{path}:2:5: id: 'rocm' is taken by " in capsys.readouterr().err


def test_checks_that_do_not_exist_are_told(own: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = own / "recipes" / "mine.yaml"
    path.write_text(GOOD.format("mine", "") + "verify: [rocm.instaled]\n", encoding="utf-8")
    assert run(["recipe", "lint", str(path)]) == 2
    assert (
        "verify.1: no check is called 'rocm.instaled', did you mean 'rocm.installed'?"
        in capsys.readouterr().out
    )


def test_a_folder_without_recipes(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["recipe", "lint", str(tmp_path)]) == 2
    assert "holds no *.yaml file" in capsys.readouterr().err
    assert run(["recipe", "lint", "--content", str(tmp_path / "none")]) == 2
    assert "none: is not a folder" in capsys.readouterr().err


def test_a_recipe_is_shown(own: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["recipe", "show", "mine", "--content", str(own)]) == 0
    assert capsys.readouterr().out == (
        f"mine: A thing\n\n  after: rocm\n  file: {own}/recipes/mine.yaml\n\nSteps:\n"
        "  1. one: apt.install, install Debian packages that are missing\n       packages = hello\n"
    )
    data = said(["recipe", "show", "mine", "--content", str(own)], 0, capsys)["data"]["recipe"]
    assert data["steps"][0]["with"] == {"packages": ["hello"]}
    assert data["after"] == ["rocm"]


@pytest.mark.parametrize("name", [p.stem for p in (Path(__file__).parents[2] / "recipes").glob("*.yaml")])
def test_each_recipe_of_ours_is_shown_in_both_forms(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert said(["recipe", "show", name], 0, capsys)["data"]["recipe"]["id"] == name
    assert run(["recipe", "show", name]) == 0
    assert capsys.readouterr().out.startswith(f"{name}: ")


def test_a_release_says_what_it_is_not_for(capsys: pytest.CaptureFixture[str]) -> None:
    releases = said(["recipe", "show", "rocm"], 0, capsys)["data"]["recipe"]["releases"]
    (tag,) = [item for item in releases if item["version"] == "6.1.5"]
    assert tag["but"][0]["why"] == "only a tag of its source is known, no packages"
    assert run(["recipe", "show", "rocm"]) == 0
    assert (
        "      not for: any machine: only a tag of its source is known, no packages\n"
        in capsys.readouterr().out
    )


def test_a_stack_is_shown(own: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["recipe", "show", "ours", "--content", str(own)]) == 0
    shown = capsys.readouterr().out
    assert shown.startswith("ours: All of it\n")
    assert "  mine: A thing\n" in shown
    assert said(["recipe", "show", "base"], 0, capsys)["data"]["stack"]["default"] is False


def test_a_recipe_that_is_none(own: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["recipe", "show", "rocmm"]) == 2
    assert "no recipe and no stack is called 'rocmm', did you mean 'rocm'?" in capsys.readouterr().err


def test_recipes_and_stacks_are_listed(own: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rows = {
        row["id"]: row
        for row in said(["list", "recipes", "--content", str(own)], 0, capsys)["data"]["recipes"]
    }
    assert rows["mine"] == {
        "id": "mine", "title": "A thing", "releases": [], "after": ["rocm"], "path": f"{own}/recipes/mine.yaml",
    }  # fmt: skip
    assert run(["list", "recipes"]) == 0
    assert "rocm" in capsys.readouterr().out


def test_stacks_are_listed_with_what_fits(
    own: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    box = tmp_path / "box.json"
    box.write_text(json.dumps({"schema": 1, "answers": family("debian12")}), encoding="utf-8")
    words = ["list", "stacks", "--content", str(own), "--snapshot", str(box)]
    stacks = {row["id"]: row for row in said(words, 0, capsys)["data"]["stacks"]}
    assert stacks["ours"]["recipes"] == ["rocm", "mine"]
    assert stacks["training"]["default"] is True
    assert stacks["training"]["versions"]["torch"] == "2.14.1+rocm7.14"
    assert "it needs rocm >=6.0" in stacks["training"]["left_out"]["flash-attention"]
    assert stacks["axolotl-2024"]["why"].startswith(
        "no release of rocm is for this machine: 6.0.2, 6.0.0 (amd)"
    )
    assert run(["list", "stacks", "--snapshot", str(box)]) == 0
    assert "torch" in capsys.readouterr().out


def test_operations_are_listed(capsys: pytest.CaptureFixture[str]) -> None:
    rows = said(["list", "operations"], 0, capsys)["data"]["operations"]
    assert {row["name"]: row["arguments"] for row in rows}["apt.install"][0] == "packages"
    assert run(["list", "operations"]) == 0
    assert "apt.install" in capsys.readouterr().out
