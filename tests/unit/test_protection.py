"""The files that hold pip and uv, what was recorded against what is there, who brought what in, and pip's own reports."""

from __future__ import annotations

import contextlib
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rocmdoctor import protection
from rocmdoctor.facts.base import UnknownError
from rocmdoctor.facts.culprits import culprit
from rocmdoctor.facts.distributions import Dists
from rocmdoctor.facts.protection import Came, Drift, Protected, ProtectionTable
from rocmdoctor.facts.requirements import Pins
from rocmdoctor.planning.pip_report import (
    BadReportError,
    damages,
    forced,
    out_of_bounds,
    read,
    touched,
    without,
)
from tests.machines.healthy import machine
from tests.machines.parts import text
from tests.ops.test_operations import TABLES, ground_of

_SITE = "/home/ann/ft/lib/python3.11/site-packages"
_OUT = {"xformers": "Built for CUDA.", "triton": "Overwrites."}


# ---------------------------------------------------------------- the files


def test_constraints_name_what_is_there_what_never_may_be_and_what_may() -> None:
    said = protection.constraints_text({"torch": "2.9.1+rocm6.4"}, _OUT, {"bitsandbytes": (">=0.49", "Why.")})
    assert said.splitlines()[2:] == [
        "torch==2.9.1+rocm6.4",
        "# Overwrites.",
        "triton==0+kept.out.by.rocmdoctor",
        "# Built for CUDA.",
        "xformers==0+kept.out.by.rocmdoctor",
        "# Why.",
        "bitsandbytes>=0.49",
    ]


def test_what_is_kept_has_no_bound_besides() -> None:
    said = protection.constraints_text(
        {"bitsandbytes": "0.43.2.dev0"}, {}, {"bitsandbytes": (">=0.49", "Why.")}
    )
    assert said.splitlines()[2:] == ["bitsandbytes==0.43.2.dev0"]


def test_a_file_that_others_name_goes_on_to_count() -> None:
    said = protection.pip_conf_text("/e", ("/etc/company.txt",))
    assert said == "[install]\nconstraint = /etc/company.txt /e/rocmdoctor-constraints.txt\n"


@pytest.mark.parametrize(
    ("path", "can"),
    [("/home/ann/ft", True), ("/srv/my env", False), ("/a'b", False), ("/ä", True), ("/a\nb", False)],
)
def test_folders_that_pip_conf_can_name(path: str, can: bool) -> None:
    assert protection.can_be_named(path) is can


@given(
    st.lists(
        st.tuples(st.from_regex(r"[a-z][a-z0-9-]{0,8}", fullmatch=True), st.text(max_size=8)), max_size=4
    )
)
def test_a_record_says_what_was_written(rows: list[tuple[str, str]]) -> None:
    given_ = [{"name": n, "version": v, "sha256": "", "size": 1} for n, v in rows]
    found = protection.record_of(protection.record_text(given_, ["x"], {}))
    assert found is not None
    assert {n: r["version"] for n, r in found.items()} == {n: dict(rows)[n] for n, _ in rows} or len(
        found
    ) <= len(rows)


@given(
    st.text()
    | st.recursive(
        st.none() | st.integers() | st.text(), lambda x: st.lists(x) | st.dictionaries(st.text(), x)
    ).map(json.dumps)
)
def test_what_is_no_record_is_none(said: str) -> None:
    assert protection.record_of(said) is None


# ---------------------------------------------------------------- what was recorded


def _record(rows: dict[str, tuple[str, int]]) -> dict[str, Any]:
    said = [{"name": n, "version": v, "sha256": "", "size": size} for n, (v, size) in rows.items()]
    return text(protection.record_text(said, [], {}))


def _answers(rows: dict[str, tuple[str, int]], dates: str = "") -> dict[str, Any]:
    answers = machine("mi210-training")
    answers["read:/home/ann/ft/.rocmdoctor-protected.json"] = _record(rows)
    if dates:
        (key,) = (key for key in answers if key.startswith("run:find /home/ann/ft/lib "))
        answers[key] = {"ok": True, "exit_code": 0, "stdout": dates, "stderr": ""}
    return answers


def _dates(*rows: tuple[str, int, int]) -> str:
    lines = [f"{size} {when}.25 {_SITE}/{name}.dist-info/RECORD\n" for name, size, when in rows]
    return "".join(lines)


@pytest.mark.parametrize(
    ("rows", "dates", "said"),
    [
        ({"torch": ("2.7.1+rocm6.2.4", 5)}, "", []),
        ({"torch": ("2.9.1+rocm6.4", 5)}, "", ["torch 2.7.1+rocm6.2.4 is there in place of 2.9.1+rocm6.4"]),
        ({"deepspeed": ("0.18.6", 5)}, "", ["deepspeed 0.18.6 is gone"]),
        (
            {"bitsandbytes": ("0.49.2", 5)},
            _dates(("bitsandbytes-0.49.2", 6, 1)),
            ["bitsandbytes 0.49.2 is another build of that version"],
        ),
        ({"bitsandbytes": ("0.49.2", 6)}, _dates(("bitsandbytes-0.49.2", 6, 9)), []),
    ],
)
def test_how_an_environment_differs(rows: dict[str, tuple[str, int]], dates: str, said: list[str]) -> None:
    known = ground_of(_answers(rows, dates)).known
    drift = known.get(Drift)
    assert [str(change) for change in drift.changes] == said
    assert drift.recorded


def test_a_record_that_cannot_be_read_is_unknown() -> None:
    answers = machine("mi210-training")
    answers["read:/home/ann/ft/.rocmdoctor-protected.json"] = text("{")
    with pytest.raises(
        UnknownError, match=r"\.rocmdoctor-protected\.json: it is no record that this release"
    ):
        ground_of(answers).known.get(Protected)


def test_when_what_came_and_who_was_asked_for() -> None:
    dates = _dates(("torch-2.7.1", 9, 100)) + f"0 101.0 {_SITE}/torch-2.7.1.dist-info/REQUESTED\n"
    came = ground_of(_answers({}, dates)).known.get(Came)
    assert came.when == {f"{_SITE}/torch-2.7.1.dist-info": 100.0}
    assert came.sizes == {f"{_SITE}/torch-2.7.1.dist-info": 9}
    assert came.requested == {f"{_SITE}/torch-2.7.1.dist-info"}


# ---------------------------------------------------------------- culprits


def _env(dists: dict[str, tuple[str, tuple[str, ...]]]) -> dict[str, Any]:
    answers = machine("mi210-training")
    files = {
        f"{_SITE}/{n}-{v}.dist-info/METADATA": f"Name: {n}\nVersion: {v}\n"
        + "".join(f"Requires-Dist: {r}\n" for r in asks)
        for n, (v, asks) in dists.items()
    }
    answers["glob:/home/ann/ft/lib/python3*/site-packages/*.dist-info/METADATA"] = {
        "ok": True,
        "files": files,
    }
    return answers


_OVERWRITTEN = {
    "torch": ("2.13.0", ()),
    "accelerate": ("1.11.0", ("torch>=2.0",)),
    "axolotl": ("0.21.0", ("torch==2.13.0", "xformers>=0.0.34")),
    "xformers": ("0.0.35", ("torch>=2.10",)),
    "cookbook": ("1.0", ("axolotl",)),
}


@pytest.mark.parametrize(
    ("before", "came", "requested", "said"),
    [
        ("2.9.1+rocm6.4", {}, (), "axolotl 0.21.0 brought it, which asks for torch==2.13.0"),
        (None, {}, (), "axolotl 0.21.0 brought it, which asks for torch==2.13.0"),
        (
            "2.9.1+rocm6.4",
            {"axolotl-0.21.0": 100, "torch-2.13.0": 101, "cookbook-1.0": 102},
            ("cookbook-1.0",),
            "axolotl 0.21.0 brought it, which asks for torch==2.13.0 and came with cookbook 1.0",
        ),
        # All are met by what was there: only what came together with it can have brought it.
        ("2.13.0+rocm7.2", {"accelerate-1.11.0": 5, "torch-2.13.0": 9}, (), "accelerate 1.11.0 brought it, which asks for torch>=2.0"),
        ("2.13.0+rocm7.2", {"accelerate-1.11.0": 5, "torch-2.13.0": 90000}, (), None),
        ("2.13.0+rocm7.2", {"torch-2.13.0": 90000}, ("torch-2.13.0",), "it was asked for by name"),
    ],
)  # fmt: skip
def test_who_brought_it_in(
    before: str | None, came: dict[str, int], requested: tuple[str, ...], said: str | None
) -> None:
    known = ground_of(_env(_OVERWRITTEN)).known
    dists, pins = known.get(Dists), known.get(Pins)
    there = dists.get("torch")
    assert there is not None
    when = Came(
        {f"{_SITE}/{name}.dist-info": float(n) for name, n in came.items()},
        {},
        frozenset(f"{_SITE}/{name}.dist-info" for name in requested),
    )
    found = culprit(there, before, dists, pins, when)
    assert (str(found) if found else None) == said


def test_who_brought_it_in_where_nobody_asks() -> None:
    known = ground_of(_env({"torch": ("2.13.0", ())})).known
    there = known.get(Dists).get("torch")
    assert there is not None
    assert culprit(there, None, known.get(Dists), known.get(Pins), None) is None


# ---------------------------------------------------------------- pip's report


def _report(*rows: tuple[str, str, bool, tuple[str, ...]]) -> str:
    items = [
        {
            "metadata": {"name": n, "version": v, "requires_dist": list(asks)},
            "requested": asked,
            "is_direct": False,
            "download_info": {"url": f"https://x/{n}.whl"},
        }
        for n, v, asked, asks in rows
    ]
    said = {
        "version": "1",
        "install": items,
        "environment": {"sys_platform": "linux", "python_version": "3.11"},
    }
    return "WARNING: a line before it\n" + json.dumps(said)


_KINDLY = _report(
    ("torch", "2.13.0", False, ("triton==3.7.0; sys_platform == 'linux'", "nvidia-nccl-cu13")),
    ("triton", "3.7.0", False, ()),
    ("nvidia-nccl-cu13", "2.28.3", False, ()),
    ("xformers", "0.0.35", False, ("torch>=2.10", "numpy")),
    ("kindly", "1.0", True, ("torch>=2.0", "xformers", "numpy", "other; extra == 'more'", "small[fast]")),
    ("numpy", "2.3.0", False, ()),
    ("small", "1.0", False, ("quick; extra == 'fast'",)),
    ("quick", "1.0", False, ()),
)
_KEPT = {"torch": "2.9.1+rocm6.4"}


def test_what_would_be_replaced_and_who_asks() -> None:
    said = [str(damage) for damage in damages(read(_KINDLY), _KEPT, _OUT)]
    assert said == [
        "torch 2.9.1+rocm6.4 -> 2.13.0: xformers 0.0.35 (brought by kindly 1.0) asks for torch>=2.10",
        "triton 3.7.0: torch 2.13.0 (brought by kindly 1.0) asks for triton==3.7.0",
        "xformers 0.0.35: kindly 1.0 asks for xformers",
    ]


def test_what_is_left_without_them_needs_nothing_of_them() -> None:
    report = read(_KINDLY)
    hit = damages(report, _KEPT, _OUT)
    items = without(report, {damage.item.name for damage in hit})
    assert [item.name for item in items] == ["kindly", "numpy", "small", "quick"]
    assert forced(report, items, _KEPT, hit) == ()


def test_what_cannot_do_with_what_is_there() -> None:
    report = read(_report(("torch", "2.13.0", False, ()), ("axolotl", "0.21.0", True, ("torch==2.13.0",))))
    hit = damages(report, _KEPT, {})
    stuck = forced(report, without(report, {"torch"}), _KEPT, hit)
    assert [str(one) for one in stuck] == [
        "torch 2.9.1+rocm6.4 -> 2.13.0: axolotl 0.21.0 asks for torch==2.13.0"
    ]


def test_a_version_that_is_not_for_these_gpus() -> None:
    report = read(_report(("bitsandbytes", "0.44.0", True, ())))
    assert out_of_bounds(report, {"bitsandbytes": (">=0.49", "Why.")}) == {"bitsandbytes": "Why."}


def test_a_step_may_change_what_it_names_and_nothing_else_of_the_patterns() -> None:
    assert [d.item.name for d in touched(_KINDLY, ("tor*", "xformers"), ("torch",))] == ["xformers"]
    assert touched(_KINDLY, ("deepspeed",), ()) == ()


@given(
    st.text()
    | st.recursive(
        st.none() | st.integers() | st.text(),
        lambda x: (
            st.lists(x)
            | st.dictionaries(st.sampled_from(["install", "environment", "metadata", "name"]) | st.text(), x)
        ),
    ).map(json.dumps)
)
def test_what_is_no_report_is_said_to_be_none(said: str) -> None:
    with contextlib.suppress(BadReportError):
        read(said)


# ---------------------------------------------------------------- the table


def test_each_row_of_the_table_has_a_recipe() -> None:
    table: ProtectionTable = TABLES(ProtectionTable)
    assert {row.recipe for row in table.keep} == {
        "torch",
        "bitsandbytes",
        "flash-attention",
        "deepspeed",
        "xformers",
    }
    assert table.recipe("amd-torch-device-gfx942") == "torch"
    assert table.recipe("numpy") is None
