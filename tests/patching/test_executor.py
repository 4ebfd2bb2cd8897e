"""The operation's actions, carried out: which file a relative name means, and which places of a patch are changed."""

from __future__ import annotations

import io
import shutil
import zipfile
from dataclasses import replace
from pathlib import Path

import pytest

from rocmdoctor.actions import Action
from rocmdoctor.applying.archive import build
from rocmdoctor.content import DataTables, bundled
from rocmdoctor.diagnosis.known import Known
from rocmdoctor.ops.ground import Ground
from rocmdoctor.ops.patch_apply import patch_apply
from rocmdoctor.patching import judge
from tests.applying.conftest import Bench
from tests.applying.plans import me
from tests.cli.test_patch import checkout, laid
from tests.patching import trees

pytestmark = [
    pytest.mark.touches_machine,
    pytest.mark.skipif(shutil.which("git") is None, reason="needs git, which applies patches"),
]
PLACES = ("op_builder/builder.py", "deepspeed/ops/op_builder/builder.py")


def actions(tree: Path, project: str = "deepspeed", version: str = "0.14.0") -> list[Action]:
    ground = Ground(Known({}, DataTables(bundled())), {}, me())
    ground.projects = trees.PROJECTS
    made = patch_apply(ground, project=project, version=version, tree=str(tree))
    return [replace(action, id=f"a.{number}") for number, action in enumerate(made)]


def states(top: Path, project: str = "deepspeed") -> set[str]:
    """Of what needs something or has it."""
    found = trees.PROJECTS[project]
    read = {
        path: (top / path).read_text(encoding="utf-8")
        for path in found.paths
        if (top / path).is_file() and not (top / path).parent.is_symlink()
    }
    return {item.state for item in judge(found, read, "")} - {"not-for-this-version"}


@pytest.mark.parametrize("kind", ["sdist", "checkout", "installed"])
def test_what_is_there_is_changed_and_taken_back(tmp_path: Path, kind: str) -> None:
    if kind == "checkout":
        top = checkout(tmp_path)
    else:
        tree = trees.sdist() if kind == "sdist" else {PLACES[1]: trees.builder()}
        top = laid(tmp_path / "x", tree)
    before = {path: (top / path).read_bytes() for path in PLACES if (top / path).is_file()}
    one = Bench(tmp_path / "state", *actions(top))
    outcome = one.run()
    assert outcome.state == "done", outcome.message
    assert states(top) == {"applied"}
    (done,) = (line.more for line in one.lines if line.event == "done")
    plain = [path for path in sorted(before) if not (top / path).parent.is_symlink()]
    assert done["files"] == plain
    again = Bench(tmp_path / "state", *actions(top))
    assert again.run().state == "done"
    assert [line.more.get("already") for line in again.lines if line.event == "done"] == [True]
    one.undo()
    assert {path: (top / path).read_bytes() for path in before} == before


def test_a_tree_that_it_does_not_fit_is_left(tmp_path: Path) -> None:
    top = laid(tmp_path / "x", {**trees.sdist(), PLACES[0]: "x = 1\n"})
    outcome = Bench(tmp_path / "state", *actions(top)).run()
    assert outcome.state == "failed"
    assert "patch" in outcome.message
    assert (top / PLACES[1]).read_text(encoding="utf-8") == trees.builder()


def test_a_tree_without_any_of_its_places_fails(tmp_path: Path) -> None:
    top = laid(tmp_path / "x", {"other.py": ""})
    assert Bench(tmp_path / "state", *actions(top)).run().state == "failed"


def test_patches_of_a_project_in_their_order(tmp_path: Path) -> None:
    top = laid(tmp_path / "x", trees.march_2024())
    outcome = Bench(tmp_path / "state", *actions(top, "axolotl", "0.4.0")).run()
    assert outcome.state == "done", outcome.message
    assert states(top, "axolotl") == {"applied"}


def test_another_file_of_that_name_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What was agreed to is a digest; content of one's own that changed since is not applied."""
    top = laid(tmp_path / "x", trees.sdist())
    made = actions(top)
    folder = tmp_path / "other"
    shutil.copytree(bundled() / "patches", folder / "patches")
    path = folder / made[0].do.patch
    path.write_text(path.read_text(encoding="utf-8").replace("DISABLE", "ENABLE"), encoding="utf-8")
    monkeypatch.setattr("rocmdoctor.applying.patches.bundled", lambda: folder)
    outcome = Bench(tmp_path / "state", *made).run()
    assert outcome.state == "failed"
    assert "the plan was made with" in outcome.message
    assert states(top) == {"needed"}


def test_the_archive_for_root_holds_them() -> None:
    with zipfile.ZipFile(io.BytesIO(build())) as archive:
        names = set(archive.namelist())
    for project in trees.PROJECTS.values():
        assert {patch.path for patch in project.patches} <= names
        assert f"patches/{project.name}/state.py" in names
