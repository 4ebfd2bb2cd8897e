"""What the version given, the machine and the text add to what a tree says; and which patches a version wants."""

from __future__ import annotations

import pytest

from rocmdoctor.model import Verdict
from rocmdoctor.patching import is_for, judge, wanted
from tests.patching import trees
from tests.patching.trees import PROJECTS

DEEPSPEED = PROJECTS["deepspeed"]
CHECK = "training.cuda-home"


def verdict(status: str) -> dict[str, Verdict]:
    return {CHECK: Verdict(status, "what it says")}


@pytest.mark.parametrize(
    ("status", "state", "why"),
    [
        ("ok", "not-needed-here", "training.cuda-home is ok here: what it says"),
        ("warn", "needed", "stops with an AttributeError. Here: what it says"),
        ("fail", "needed", "Here: what it says"),
        ("unknown", "needed", "Whether this machine could do without cannot be told: what it says"),
        ("skip", "needed", "cannot be told"),
    ],
)
def test_the_machine_says_whether_the_fault_can_show(status: str, state: str, why: str) -> None:
    (item,) = judge(DEEPSPEED, trees.sdist(), "0.14.0", verdict(status))
    assert item.state == state
    assert why in item.why
    (alone,) = judge(DEEPSPEED, trees.sdist(), "0.14.0", {})
    assert alone.state == "needed"


@pytest.mark.parametrize(
    "tree", [trees.sdist(trees.FIXED), trees.sdist(compare=trees.FALSE), trees.sdist(trees.BROAD)]
)
def test_the_machine_changes_nothing_where_the_tree_is_not_in_need(tree: dict[str, str]) -> None:
    assert judge(DEEPSPEED, tree, "", verdict("ok")) == judge(DEEPSPEED, tree, "")


def test_a_version_that_is_given_counts_as_much_as_the_tree() -> None:
    (item,) = judge(DEEPSPEED, trees.sdist(), "0.18.0", given=True)
    assert (item.state, item.why) == (
        "not-for-this-version", "it is for deepspeed >=0.12.4,<0.16.3, and the version given is 0.18.0",
    )  # fmt: skip
    (item,) = judge(DEEPSPEED, trees.sdist(), "0.14.0", given=True)
    assert item.state == "needed"


def test_a_patch_that_is_needed_and_does_not_fit_is_a_conflict() -> None:
    flag = trees.NARROW.replace("        try:\n", '        """Ours."""\n        try:\n')
    (item,) = judge(DEEPSPEED, trees.sdist(flag), "0.14.0")
    assert item.state == "conflict"
    assert "but the patch does not fit: deepspeed/ops/op_builder/builder.py: the lines at" in item.why


@pytest.mark.parametrize(
    ("project", "version", "numbers"),
    [
        ("deepspeed", "0.12.3", []), ("deepspeed", "0.12.4", ["0001"]), ("deepspeed", "0.16.2", ["0001"]),
        ("deepspeed", "0.16.3", []), ("deepspeed", "no version", []), ("deepspeed", "0.14.0+rocm", ["0001"]),
        ("axolotl", "0.4.0", ["0001", "0005"]), ("axolotl", "0.4.1", ["0002", "0005"]), ("axolotl", "0.5.0", ["0002"]),
        ("axolotl", "0.7.1", ["0003"]), ("axolotl", "0.16.1", ["0004"]), ("axolotl", "0.17.0", []),
    ],
)  # fmt: skip
def test_what_a_version_wants(project: str, version: str, numbers: list[str]) -> None:
    found = wanted(PROJECTS[project], version)
    assert [patch.id[:4] for patch in found] == numbers
    assert all(is_for(patch, version) for patch in found)


@pytest.mark.parametrize(
    ("status", "count"), [("ok", 0), ("warn", 1), ("fail", 1), ("skip", 1), ("unknown", 1)]
)
def test_what_a_version_wants_on_a_machine(status: str, count: int) -> None:
    assert len(wanted(DEEPSPEED, "0.14.0", verdict(status))) == count
