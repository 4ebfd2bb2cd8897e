"""What a diff changes, and whether it fits, beside what git says."""

from __future__ import annotations

import difflib
import subprocess
from pathlib import Path

import pytest
from hypothesis import HealthCheck, assume, example, given, settings
from hypothesis import strategies as st

from rocmdoctor.patching import Patch, misfit, patched, places, read_patch
from tests.needs import needs

HEAD = (
    "From "
    + "0" * 40
    + " Mon Sep 17 00:00:00 2001\nSubject: [PATCH] Say it\n\nApplies-To: thing >=1\nUpstream: https://example.org/1\n---\n\n"
)
LINES = st.lists(st.sampled_from(["a", "b", "c", "", "    d", "+x", "-y", "@@ z"]), max_size=12)


def written(files: dict[str, tuple[str, str]], context: int = 1, same: str = "") -> str:
    """The text of a patch that makes texts of other texts, as difflib writes it."""
    parts = []
    for path, (old, new) in files.items():
        made = difflib.unified_diff(
            old.splitlines(keepends=True), new.splitlines(keepends=True), f"a/{path}", f"b/{path}", n=context
        )
        parts.append(f"diff --git a/{path} b/{path}\n" + "".join(made))
    head = HEAD.replace("Upstream", f"Same-File: {same}\nUpstream") if same else HEAD
    return head + "".join(parts)


def read(text: str) -> Patch:
    return read_patch(text, "patches/thing/0001-say-it.patch", "thing")


def text(lines: list[str]) -> str:
    return "".join(f"{line}\n" for line in lines)


def git(folder: Path, patch: str, tree: dict[str, str]) -> dict[str, str] | str:
    """What git makes of a tree, or what it says when it refuses."""
    for name, content in tree.items():
        (folder / name).write_bytes(content.encode())
    (folder / "p").write_text(patch, encoding="utf-8")
    done = subprocess.run(
        ["git", "apply", "p"], cwd=folder, capture_output=True, text=True, check=False, timeout=30
    )
    if done.returncode:
        return done.stderr
    return {name: (folder / name).read_bytes().decode() for name in tree}


@needs("git")
@pytest.mark.touches_machine
@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(LINES, LINES, LINES, st.integers(1, 3))
@example(["a"], ["b", "a"], ["a"], 1)
@example(["a", "b", "a", "b"], ["a", "b", "a", "c"], ["a", "b"], 1)
@example(["a", "b", "c"], ["a", "c"], ["c", "a", "b", "c", "d"], 1)
def test_git_makes_the_same_and_refuses_the_same(
    tmp_path: Path, old: list[str], new: list[str], other: list[str], context: int
) -> None:
    """Of the tree that the patch was made for, and of any other: what fits is what git applies, wherever it stands once."""
    assume(old != new and old and new)
    diff = list(difflib.unified_diff(old, new, n=context, lineterm=""))
    # Hunks without context are refused, and difflib's can be such at the size of these.
    assume(all(any(line.startswith(" ") for line in hunk) for hunk in _hunks(diff)))
    patch = written({"f": (text(old), text(new))}, context)
    for lines in (old, other):
        tree = {"f": text(lines)}
        why, made = misfit(read(patch), tree), git(tmp_path, patch, tree)
        if not why:
            assert made == patched(read(patch), tree)
        elif "stand there" not in why:
            assert isinstance(made, str), why


def _hunks(diff: list[str]) -> list[list[str]]:
    hunks: list[list[str]] = []
    for line in diff[2:]:
        if line.startswith("@@") and line.endswith("@@"):
            hunks.append([])
        hunks[-1].append(line)
    return [hunk[1:] for hunk in hunks]


THREE = "one\ntwo\nthree\n"
CHANGED = "one\n2\nthree\n"
MISFITS = [
    ({}, "f is not there"),
    ({"f": "one\nthree\n"}, "f: the lines at 'one' are not there as the patch wants them"),
    ({"f": CHANGED}, "f: the lines at 'one' are not there as the patch wants them"),
    ({"f": THREE.replace("\n", "\r\n")}, "f: its lines end in carriage return and line feed; check it out with line feeds alone"),
    ({"f": "one\ntwo\nthree"}, ""),
    ({"f": f"zero\n{THREE}four\n"}, "f: the lines at 'one' are not there as the patch wants them"),
]  # fmt: skip


@pytest.mark.parametrize(("tree", "why"), MISFITS)
def test_why_it_does_not_fit(tree: dict[str, str], why: str) -> None:
    patch = read(written({"f": (THREE, CHANGED)}))
    assert misfit(patch, tree) == why


def test_lines_that_stand_there_twice_are_not_guessed_at() -> None:
    patch = read(written({"f": (f"0\n0\n{THREE}", f"0\n0\n{CHANGED}")}))
    assert (
        misfit(patch, {"f": f"0\n{THREE}{THREE}"})
        == "f: the lines at 'one' stand there 2 times, once is wanted"
    )


def test_lines_may_have_moved() -> None:
    patch = read(
        written({"f": (f"0\n0\n0\n{THREE}", f"0\n0\n0\n{CHANGED}")}).replace("-4,3 +4,3", "-90,3 +90,3")
    )
    assert patched(patch, {"f": f"zero\n{THREE}four\n"}) == {"f": f"zero\n{CHANGED}four\n"}


def test_one_file_at_two_places() -> None:
    patch = read(written({"f": (THREE, CHANGED), "g": (THREE, CHANGED), "h": (THREE, CHANGED)}, same="f g"))
    both = {"f": THREE, "g": THREE, "h": THREE}
    assert places(patch, both) == ("f", "g", "h")
    assert places(patch, {"g": THREE, "h": THREE}) == ("g", "h")
    assert places(patch, {**both, "f": CHANGED}) == ("g", "h")
    assert places(patch, {"h": THREE}) == ("f", "g", "h")
    assert misfit(patch, {"h": THREE}) == "f is not there"
    assert misfit(patch, {"g": THREE}) == "h is not there"
    assert patched(patch, {"f": THREE, "h": THREE}) == {"f": CHANGED, "h": CHANGED}
