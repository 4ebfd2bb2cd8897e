"""Files of a lock: what is read of pip's reports, and which files a plan then allows."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rocmdoctor.actions import Action, Exec, Fetch, Undo, WriteFile
from rocmdoctor.ops import all_operations
from rocmdoctor.ops.chores import chore
from rocmdoctor.ops.ground import ForbiddenError, Ground, Locked
from rocmdoctor.planning.lock import against, built_with, lock_of, read
from rocmdoctor.planning.locked import files_of, merged, rows_of, still
from tests.machines.healthy import machine
from tests.ops.test_operations import ground_of
from tests.planning.boxes import Box, planned
from tests.planning.test_lock import ANYTHING, TREE
from tests.planning.test_training_rules import answers

_ONE, _TWO, _THREE = "1" * 64, "2" * 64, "3" * 64


def _item(
    name: str, version: str, sha256: str, *requires: str, extras: tuple[str, ...] = ()
) -> dict[str, Any]:
    info = {"archive_info": {"hash": f"sha256={sha256}", "hashes": {"sha256": sha256}}}
    return {
        "download_info": {"url": f"https://index.example/{name}-{version}-py3-none-any.whl", **info},
        "requested": True,
        "metadata": {"name": name, "version": version, "requires_dist": list(requires)},
        **({"requested_extras": list(extras)} if extras else {}),
    }


def _report(*items: dict[str, Any]) -> dict[str, Any]:
    environment = {"python_version": "3.11", "sys_platform": "linux", "implementation_name": "cpython"}
    return {"version": "1", "pip_version": "23.0.1", "install": list(items), "environment": environment}


def test_what_pip_installed_and_what_each_needs() -> None:
    report = _report(
        _item(
            "One_Thing",
            "1.0+rocm6.4",
            _ONE,
            "two[fast]>=1",
            "colorama; sys_platform == 'win32'",
            "x; extra == 'y'",
        ),
        _item("two", "2.0", _TWO, "three; extra == 'fast'", "four; extra == 'slow'"),
        _item("three", "3", _THREE),
    )
    rows = rows_of(report)
    assert rows[0] == {
        "name": "one-thing",
        "version": "1.0+rocm6.4",
        "url": "https://index.example/One_Thing-1.0+rocm6.4-py3-none-any.whl",
        "sha256": _ONE,
        "needs": "two",
    }
    assert [(row["name"], row["needs"]) for row in rows[1:]] == [("two", "three"), ("three", "")]


def test_digests_as_older_pips_say_them_and_files_without_any() -> None:
    old, none = _item("one", "1", _ONE), _item("two", "2", _TWO)
    del old["download_info"]["archive_info"]["hashes"]
    none["download_info"] = {"url": "https://git.example/two", "vcs_info": {"vcs": "git"}}
    assert [(row["name"], row["sha256"]) for row in rows_of(_report(old, none))] == [("one", _ONE)]


@given(st.recursive(
    ANYTHING, lambda inner: st.dictionaries(st.sampled_from(["install", "metadata", "name", "requires_dist", "environment"]), inner),
    max_leaves=8,
))  # fmt: skip
def test_any_report_is_rows_or_nothing(report: object) -> None:
    assert all(set(row) == {"name", "version", "url", "sha256", "needs"} for row in rows_of(report))


def test_what_is_installed_no_more_leaves_the_lock() -> None:
    rows = [
        {"name": "one", "version": "1.0"},
        {"name": "one", "version": "1.1"},
        {"name": "two", "version": "2"},
    ]
    assert still(rows, {"one": "1.1.0"}) == [rows[1]]


def test_one_lock_for_what_two_installations_brought() -> None:
    later = {
        **TREE,
        "targets": ["axolotl"],
        "components": {"torch": {"version": "2.10", "source": "wheel"}, "peft": {"version": "1", "source": "wheel"}},
        "distributions": [{"name": "torch", "version": "2.10", "index": ""}, {"name": "peft", "version": "1", "index": ""}],
    }  # fmt: skip
    both = merged(TREE, later)
    assert both["targets"] == ["training", "axolotl"]
    assert {name: row["version"] for name, row in both["components"].items()} == {
        "peft": "1",
        "torch": "2.10",
    }
    assert [row["version"] for row in both["distributions"]] == ["1", "2.10"]


# ---------------------------------------------------------------- plans


def _ground(folder: str = "") -> Ground:
    ground = ground_of({**machine("mi210"), "stat:/home/ann/env": {"ok": False, "why": "absent"}})
    ground.locked = {
        "one": Locked("one", "1.0", _ONE, ("two", "elsewhere")),
        "two": Locked("two", "2.0", _TWO, ("one",)),
    }
    ground.folder = folder
    return ground


def _actions(ground: Ground, uses: str, **given: Any) -> list[Any]:
    return [action.do for action in all_operations()[uses].function(ground, **given)]


def test_with_a_lock_pip_takes_the_named_files_and_no_others() -> None:
    listed, pip = _actions(
        _ground(), "pip.install", env="~/env", packages=["One==1.0"], index="https://index.example/s"
    )
    assert isinstance(listed, WriteFile)
    assert isinstance(pip, Exec)
    assert listed.text == f"One==1.0 --hash=sha256:{_ONE}\ntwo==2.0 --hash=sha256:{_TWO}\n"
    at = pip.argv.index("--no-deps")
    assert pip.argv[at:] == (
        "--no-deps",
        "--index-url",
        "https://index.example/s",
        "--require-hashes",
        "-r",
        listed.path,
    )


def test_what_goes_alone_stays_alone() -> None:
    listed, _ = _actions(_ground(), "pip.install", env="~/env", packages=["one==1.0"], no_deps=True)
    assert listed.text == f"one==1.0 --hash=sha256:{_ONE}\n"


def test_a_folder_stands_in_for_every_server() -> None:
    ground = _ground("/srv/parts")
    (_, action) = all_operations()["pip.install"].function(
        ground, env="~/env", packages=["one==1.0"], index="https://index.example/s"
    )
    assert isinstance(action.do, Exec)
    assert action.do.argv[-8:-3] == (
        "--find-links",
        "/srv/parts",
        "--no-index",
        "--index-url",
        "https://index.example/s",
    )
    assert not action.network
    sdist, archive = "https://files.example/a%2Bb-1.0.tar.gz", "https://git.example/x/v1.tar.gz"
    fetches = [
        do
        for url in (sdist, archive)
        for do in _actions(ground, "source.fetch", url=url, sha256=_ONE, path="~/src/a")
        if isinstance(do, Fetch)
    ]
    assert [(do.url, do.instead) for do in fetches] == [
        (sdist, "/srv/parts/111111111111-a+b-1.0.tar.gz"),
        (archive, "/srv/parts/111111111111-v1.tar.gz"),
    ]
    (checkout,) = _actions(
        ground, "git.checkout", url="https://git.example/x/y.git", commit="a" * 40, path="~/src/y"
    )
    assert json.loads(checkout.argv[2])["mirror"] == "/srv/parts"


@pytest.mark.parametrize("package", ["one==1.1", "three==3"])
def test_what_the_lock_names_no_file_of_is_refused(package: str) -> None:
    with pytest.raises(ForbiddenError) as error:
        _actions(_ground(), "pip.install", env="~/env", packages=[package])
    assert str(error.value) == (
        f"the lock has no sha256 of {package}: where it was written pip did not install that, so that what would come from"
        " an index now could be anything"
    )


def test_a_lock_with_files_is_read_and_compared() -> None:
    wheel = {
        "name": "torch",
        "version": "2.9.1+rocm6.4",
        "url": "https://x.example/t.whl",
        "sha256": _ONE,
        "needs": "two",
    }
    assert files_of(read(json.dumps({**TREE, "wheels": [wheel]})))["torch"].needs == ("two",)
    assert files_of(read(json.dumps(TREE))) == {}
    plan = planned(answers(Box(), "3.10"), "training")
    lock = lock_of(plan)
    row = next(row for row in lock["distributions"] if row["name"] == "bitsandbytes")
    lock["distributions"].remove(row)
    said = [f"bitsandbytes: not in the lock, {row['version']} {row['index']}".strip() + " in this plan"]
    assert against(lock, plan) == said
    lock["wheels"] = [{**wheel, "name": "bitsandbytes", "version": row["version"]}]
    assert against(lock, plan) == []


def test_a_wheel_from_the_cache_brings_its_sources_into_the_lock() -> None:
    """Another machine may have to build it."""
    origin = {
        "url": "https://files.example/a-1.tar.gz",
        "sha256": _ONE,
        "patches": {"/opt/x/patches/a/0001-b.patch": _TWO},
        "needs": ["setuptools==80.9.0"],
    }
    do = Exec(chore("install", name="a", cache="/home/ann/.cache/rocmdoctor", origin=origin))
    plan = planned(answers(Box(), "3.10"), "torch")
    plan = replace(plan, actions=(*plan.actions, Action(do, "install a", Undo("nothing"), id="a.1")))
    lock = lock_of(plan)
    assert lock["sources"] == [{"url": "https://files.example/a-1.tar.gz", "sha256": _ONE}]
    assert lock["patches"] == [{"patch": "a/0001-b.patch", "sha256": _TWO}]
    assert built_with(plan) == {"/home/ann/.cache/rocmdoctor": ["setuptools==80.9.0"]}
