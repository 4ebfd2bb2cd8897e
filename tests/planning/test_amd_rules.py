"""Every release on every Ubuntu, and all pairs of GPU, system, kernel and release, held to the facts."""

from __future__ import annotations

from dataclasses import replace
from itertools import product

import pytest

from rocmdoctor.actions import Exec, Fetch, Plan, WriteFile
from rocmdoctor.planning.refusal import RefusedError
from tests.planning.boxes import KERNELS, TOO_NEW, Box, plan, refused
from tests.planning.pairs import all_pairs, pairs_of
from tests.planning.rules import (
    FACTS,
    RULES,
    broken,
    facts,
    listed,
    needs_facts,
    number,
    offered,
    row_of,
    rows,
    supports,
)

pytestmark = needs_facts
TRUSTED = "0123456789ABCDEF0123456789ABCDEF01234567"
VERSIONS = [row["version"] for row in rows()] if (FACTS / "rocm_releases.toml").is_file() else []
UBUNTUS = ("ubuntu-20.04", "ubuntu-22.04", "ubuntu-24.04", "ubuntu-26.04")


def has_packages(version: str, box: Box) -> bool:
    """The facts know packages of a release for a system and a GPU."""
    row = row_of(version)
    if not listed(row, box.gfx, box.os):
        return False
    if row["line"] == "TheRock production":
        served = " ".join([*row["ubuntu"], facts()["therock_packaging"]["apt_10"]]).replace(
            "debian", "debian-"
        )
        return box.os.removeprefix("ubuntu-") in served
    return offered(row, box.codename) is not None


def mi300x_on_hwe(version: str, box: Box) -> bool:
    """Known issue of 6.2: MI300X on the HWE kernels of Ubuntu 22.04."""
    issues = " ".join(row_of(version).get("known_issues", ()))
    return (
        box.gfx == "gfx942"
        and "MI300X not supported" in issues
        and number(box.release) >= (5, 16)
        and box.os == "ubuntu-22.04"
    )


# ---------------------------------------------------------------- every release on every Ubuntu


@pytest.mark.parametrize(("version", "system"), list(product(VERSIONS, UBUNTUS)))
def test_each_release_is_planned_or_refused_with_its_reason(version: str, system: str) -> None:
    box = Box(os=system)
    if has_packages(version, box):
        made = plan(
            box, rocm=version, rocm_source="amd", trust_key=TRUSTED if number(version) >= (7, 14) else None
        )
        assert made.choice["rocm"].version == version
        assert broken(made, box) == []
        return
    says, instead = refused(box, rocm=version, rocm_source="amd", trust_key=TRUSTED)
    both = f"--rocm {version} and --rocm-source amd do not go together here"
    assert says.startswith((f"--rocm {version} --rocm-source amd", both))
    assert f"rocm {version} (amd): " in says
    assert "Without --rocm" in instead or system in ("ubuntu-20.04", "ubuntu-26.04")


@pytest.mark.parametrize(
    "version", [v for v in VERSIONS if number(v) >= (7, 14) and row_of(v).get("gfx_official")]
)
def test_releases_whose_key_nobody_knows_want_it_named(version: str) -> None:
    says, _ = refused(Box(), rocm=version)
    assert f"--rocm {version} --trust-key FPR takes it" in says


# ---------------------------------------------------------------- all pairs

FACTORS = {
    "gpu": (
        "gfx906",
        "gfx908",
        "gfx90a",
        "gfx942",
        "gfx1030",
        "gfx1032",
        "gfx1100",
        "gfx1101",
        "gfx1151",
        "gfx1201",
    ),
    "os": tuple(KERNELS),
    "kernel": ("first", "last", "too new"),
    "rocm": (
        None,
        "5.4.3",
        "5.7.1",
        "6.0.2",
        "6.2",
        "6.3.3",
        "6.4.*",
        "7.0.2",
        "7.2.4",
        ">=6.1,<7",
        "10.0.0",
    ),
    "driver": (None, "dkms", "kernel"),
    "locked": (False, True),
    "inside": ("", "container"),
}


def _box(gpu: str, os: str, kernel: str, *, locked: bool, inside: str) -> Box:
    release = {"first": KERNELS[os][0], "last": KERNELS[os][1], "too new": TOO_NEW}[kernel]
    return Box(gpu, os, release, inside, locked and not inside)


COMBINATIONS = all_pairs(FACTORS)


def test_every_two_values_stand_together_once() -> None:
    there = {pair for each in COMBINATIONS for pair in pairs_of(each)}
    for a, b in product(FACTORS, FACTORS):
        if a < b:
            assert all(((a, x), (b, y)) in there for x, y in product(FACTORS[a], FACTORS[b]))
    assert len(COMBINATIONS) < 200


@pytest.mark.parametrize("each", COMBINATIONS, ids=lambda e: " ".join(str(e[name]) for name in FACTORS))
def test_any_two_demands_end_in_a_plan_that_keeps_the_rules_or_in_a_reason(each: dict[str, str]) -> None:
    box = _box(each["gpu"], each["os"], each["kernel"], locked=bool(each["locked"]), inside=each["inside"])
    rocm, driver = each["rocm"], each["driver"]
    trust = TRUSTED if rocm == "10.0.0" else None
    try:
        made = plan(box, rocm=rocm, driver=driver, trust_key=trust)
    except RefusedError as error:
        _refused_for_a_reason(error, box, rocm, driver)
        return
    assert broken(made, box) == []
    if (
        rocm
        and rocm[:1].isdigit()
        and rocm.count(".") == 2
        and "*" not in rocm
        and made.choice["rocm"].source == "amd"
    ):
        assert has_packages(rocm, box)
        assert not mi300x_on_hwe(rocm, box)


def _refused_for_a_reason(error: RefusedError, box: Box, rocm: str | None, driver: str | None) -> None:
    (only,) = error.refusals
    assert only.instead
    if only.code == "forbidden":
        assert box.locked
        assert driver == "dkms"
        assert "mokutil --import" in only.instead
        return
    if rocm and rocm in VERSIONS and driver is None:
        fits = has_packages(rocm, box) and not mi300x_on_hwe(rocm, box)
        assert not fits, f"{only.says}"
    for wish in (f"--rocm {rocm}" if rocm else "", f"--driver {driver}" if driver else ""):
        assert wish in only.says


# ---------------------------------------------------------------- the newest, and the rules themselves


@pytest.mark.parametrize(
    "gpu", ["gfx906", "gfx908", "gfx90a", "gfx942", "gfx1030", "gfx1100", "gfx1101", "gfx1201"]
)
@pytest.mark.parametrize("system", ["ubuntu-22.04", "ubuntu-24.04"])
def test_without_a_wish_it_is_the_newest_that_amd_lists_and_whose_key_is_known(gpu: str, system: str) -> None:
    box = Box(gpu, system)
    made = plan(box)
    classic = [r["version"] for r in rows() if r["line"] == "legacy" and has_packages(r["version"], box)]
    assert made.choice["rocm"].version == max(classic, key=number)
    assert broken(made, box) == []


@pytest.mark.parametrize(
    "version", [v for v in VERSIONS if row_of(v).get("apt_amdgpu") and number(v) < (7, 12)]
)
def test_a_release_and_the_driver_of_its_day_go_together(version: str) -> None:
    told = row_of(version)["amdgpu_driver"]
    driver = version if told.startswith("same") else told.split()[0]
    assert supports(driver, version)


def _bent(made: Plan, old: str, new: str) -> Plan:
    """The plan with one word of its actions exchanged."""
    actions = []
    for action in made.actions:
        do = action.do
        if isinstance(do, WriteFile):
            do = replace(do, text=(do.text or "").replace(old, new))
        elif isinstance(do, Fetch):
            do = replace(do, url=do.url.replace(old, new), key=do.key.replace(old, new))
        elif isinstance(do, Exec):
            do = replace(do, argv=tuple(w.replace(old, new) for w in do.argv if w.replace(old, new)))
        actions.append(replace(action, do=do))
    return replace(made, actions=tuple(actions))


@pytest.mark.parametrize(
    ("old", "new", "rule"),
    [
        ("rocm/apt/7.2.4", "rocm/apt/7.2.3", "the_repository_is_the_one_of_the_release"),
        ("Suites: jammy", "Suites: noble", "the_repository_is_the_one_of_the_release"),
        ("CA8BB4727A47B4D09B4EE8969386B48A1A693C5C", TRUSTED, "each_repository_is_held_to_the_right_key"),
        ("rocm.gpg.key", "amd.gpg.key", "each_repository_is_held_to_the_right_key"),
        ("Pin-Priority: 600", "Pin-Priority: 100", "the_pin_stands_before_the_packages"),
        ("rocm-hip-runtime-dev", "rocm-ml-sdk", "the_packages_are_those_that_training_needs"),
        ("rocminfo", "rocminfo7.2.4", "the_packages_are_those_that_training_needs"),
        ("amdgpu/30.30.4/", "amdgpu/30.31/", "the_driver_goes_with_rocm_kernel_and_gpus"),
        ("linux-headers-", "linux-headerz-", "a_driver_is_built_with_headers_and_loaded_by_a_start"),
        ("amdgpu-dkms", "amdgpu-lib", "a_driver_is_built_with_headers_and_loaded_by_a_start"),
    ],
)
def test_a_plan_that_is_bent_breaks_a_rule(old: str, new: str, rule: str) -> None:
    made = plan(Box())
    assert broken(made, Box()) == []
    assert rule in " ".join(broken(_bent(made, old, new), Box()))


def test_a_plan_for_another_machine_breaks_the_rules() -> None:
    made = plan(Box())
    for other in (
        Box(os="debian-12"),
        Box(locked=True),
        Box(inside="container"),
        Box(kernel="6.18.1-1-generic"),
    ):
        assert broken(made, other), other
    wrong = replace(made, choice={**made.choice, "rocm": replace(made.choice["rocm"], version="6.0.2")})
    assert "does not support" in " ".join(broken(wrong, Box()))
    old = replace(made, gfx=("gfx906",))
    assert "gfx906 is not among" in " ".join(broken(old, Box()))


def test_reboots_order_and_groups_are_looked_at() -> None:
    made = plan(Box())
    assert "reboots_come_last" in " ".join(
        broken(replace(made, actions=(made.actions[-1], *made.actions)), Box())
    )
    assert "steps_stand" in " ".join(broken(replace(made, actions=made.actions[::-1]), Box()))
    assert "is not put into render" in " ".join(broken(replace(made, claims={}), Box()))
    without = replace(made, actions=made.actions[:-1])
    assert "no start loads" in " ".join(broken(without, Box()))
    assert len(RULES) >= 12
