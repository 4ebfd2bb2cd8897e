"""The recipe purge and what the base makes of it, on a used machine described by its figures."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from rocmdoctor.actions import Action, Exec, Fetch, Person, Plan, Request, WriteFile
from rocmdoctor.cli.planned import Kitchen
from rocmdoctor.diagnosis.known import Known
from rocmdoctor.facts.rocm import RocmInstalls
from rocmdoctor.hosts.replay import from_raw
from rocmdoctor.planning.refusal import RefusedError
from tests.machines.families import FAMILIES, family
from tests.machines.packages import status
from tests.machines.parts import ABSENT, ran, text
from tests.machines.used import BASE, DKMS, DRIVER, NVIDIA, OWN, ROCM, STALE, used

ANN = Person("ann", 1000, "/home/ann", "/bin/bash")


@cache
def kitchen() -> Kitchen:
    return Kitchen(())


def plan(answers: Mapping[str, Any], *targets: str, **wish: Any) -> Plan:
    """A plan from the recipes that are shipped; questions have the answers that are given, or none."""
    taken = from_raw({"schema": 1, "answers": dict(answers)})
    return kitchen().draw(Request(targets, **wish), taken, ANN, None).plan


def steps(made: Plan, recipe: str = "purge") -> dict[str, list[Action]]:
    """Actions by the step that they are of."""
    found: dict[str, list[Action]] = {}
    for action in made.actions:
        if action.recipe == recipe:
            found.setdefault(action.id.split(".")[1], []).append(action)
    return found


def removed(made: Plan) -> set[str]:
    """What the plan says will go."""
    return {name for action in made.actions for name in action.removes}


def gone_files(made: Plan) -> set[str]:
    return {a.do.path for a in made.actions if isinstance(a.do, WriteFile) and a.do.text is None}


def moved(made: Plan) -> set[str]:
    """Paths that are moved away."""
    found = set()
    for action in made.actions:
        argv = action.do.argv if isinstance(action.do, Exec) else ()
        if argv[:1] == ("mv",):
            found.add(argv[-2])
        elif argv[:1] == ("find",) and "mv" in argv:
            found.add(f"{argv[1]}/{argv[argv.index('-name') + 1]}")
    return found


# ---------------------------------------------------------------- the used machine


def test_a_used_machine_is_cleared_of_all_that_is_amds_and_nvidias() -> None:
    made = plan(used(), "purge")
    assert removed(made) == {*ROCM, *DRIVER, *NVIDIA, "rocm-opencl"}
    assert gone_files(made) == {
        "/etc/apt/sources.list.d/amdgpu.list",
        "/etc/apt/sources.list.d/rocm.list",
        "/etc/apt/sources.list.d/cuda-ubuntu2204-x86_64.list",
        "/etc/apt/preferences.d/repo-radeon-pin-600",
    }
    assert moved(made) == {
        f"/var/lib/dkms/amdgpu/{STALE}",
        "/opt/rocm-5.4.3",
        "/opt/rocm-5.7.0",
        "/opt/amdgpu",
        "/etc/OpenCL/vendors/amdocl64_50403_121.icd",
        "/etc/profile.d/rocm.sh",
    }
    (note,) = made.notes
    assert note.startswith("/home/ann/amdgpu-install_6.0.60002-1_all.deb is left over too, and stays")


def test_its_steps_stand_in_the_order_in_which_they_can_work() -> None:
    order = [a.id.split(".")[1] for a in plan(used(), "purge").actions]
    assert list(dict.fromkeys(order)) == [
        "stale-trees",
        "half-done-amd",
        "amd",
        "nvidia",
        "dependencies",
        "amd-sources",
        "nvidia-sources",
        "opt",
        "alternatives",
        "etc",
    ]


def test_a_driver_that_does_not_build_goes_before_dpkg_is_asked_to_finish_it() -> None:
    (first,) = steps(plan(used(), "purge"))["half-done-amd"]
    assert isinstance(first.do, Exec)
    assert first.do.argv == ("dpkg", "--force-depends", "--force-remove-reinstreq", "--purge", "amdgpu-dkms")
    assert first.removes == ("amdgpu-dkms",)


def test_what_others_have_stopped_half_way_is_finished_first() -> None:
    answers = used()
    packages = answers["read:/var/lib/dpkg/status"]["text"]
    broken = packages.replace("Package: sudo\n", "Package: sudo\nStatus: install ok half-configured\n")
    answers["read:/var/lib/dpkg/status"] = text(broken)
    made = plan(answers, "purge")
    (repair,) = steps(made)["repair"]
    assert repair.says == "finish what dpkg was stopped in: sudo"
    assert "sudo" not in removed(made)


def test_no_step_upgrades_the_system_or_removes_what_nobody_named() -> None:
    for action in plan(used(), "base", rocm="6.0.2").actions:
        if isinstance(action.do, Exec):
            words = set(action.do.argv)
            assert not words & {"dist-upgrade", "full-upgrade", "upgrade", "autoremove", "--auto-remove"}
            assert not words & {"--force-all", "--allow-remove-essential"}


def test_apt_is_asked_afterwards_whether_all_is_well() -> None:
    made = plan(used(), "purge")
    (check,) = steps(made)["dependencies"]
    assert isinstance(check.do, Exec)
    assert (check.do.argv[0], check.do.argv[-1]) == ("apt-get", "check")
    assert "packages.dpkg-consistent" in made.verify


# ---------------------------------------------------------------- what stays


@pytest.mark.parametrize("wish", [{}, {"keep": ("nvidia",)}], ids=["a GeForce", "--keep nvidia"])
def test_nvidias_stay_beside_its_gpu_and_when_they_are_asked_to(wish: dict[str, Any]) -> None:
    made = plan(used(nvidia=not wish), "purge", **wish)
    assert not removed(made) & set(NVIDIA)
    assert not any("cuda" in path for path in gone_files(made) | moved(made))
    why = "--keep nvidia was asked for" if wish else "an NVIDIA GPU is here"
    assert any(note.endswith(why) for note in made.notes)
    assert {*ROCM, *DRIVER} <= removed(made)


def test_the_release_that_is_wanted_stays_where_it_is() -> None:
    made = plan(used(), "base", rocm="5.7.0", driver="kernel")
    assert not removed(made) & set(ROCM)
    assert {"amdgpu-dkms", "amdgpu-dkms-firmware", "rocm-opencl"} <= removed(made)
    assert "/opt/rocm-5.7.0" not in moved(made)
    assert "/opt/rocm-5.4.3" in moved(made)


def test_another_release_takes_the_place_of_what_is_there() -> None:
    made = plan(used(), "base", rocm="6.0.2")
    assert {*ROCM, *DRIVER} <= removed(made)
    installs = {name for a in made.actions if a.recipe == "rocm" for name in a.installs}
    # It is here by that name, and of the release that goes.
    assert "rocminfo" in installs
    ids = [a.recipe for a in made.actions if not isinstance(a.do, Fetch)]
    assert ids.index("rocm") > max(n for n, recipe in enumerate(ids) if recipe == "purge")


def test_the_distributions_rocm_makes_room_for_amds_and_stays_elsewhere() -> None:
    answers = family("mi210-no-rocm")
    answers["read:/var/lib/dpkg/status"] = text(
        status({**BASE, "rocminfo": "5.0.0-1", "libhsa-runtime64-1": "5.0.0-1"})
    )
    made = plan(answers, "base", rocm="6.2.4")
    assert removed(made) == {"rocminfo"}
    assert "rocminfo" in {name for a in made.actions if a.recipe == "rocm" for name in a.installs}
    assert removed(plan(answers, "purge")) == set()


def test_a_repository_of_the_wanted_release_without_a_key_makes_room_for_one_with_a_key() -> None:
    answers = used()
    lists = answers["glob:/etc/apt/sources.list.d/*.list"]["files"]
    lists["/etc/apt/sources.list.d/rocm.list"] = "deb https://repo.radeon.com/rocm/apt/6.0.2 jammy main\n"
    made = plan(answers, "base", rocm="6.0.2")
    assert "/etc/apt/sources.list.d/rocm.list" in gone_files(made)
    assert any(a.id.startswith("rocm.repository") for a in made.actions)


@pytest.mark.parametrize("name", FAMILIES)
def test_a_clean_machine_has_an_empty_purge(name: str) -> None:
    """Healthy ones of all families: with the ROCm and the driver that they have, nothing is left to clear away."""
    answers = family(name)
    for folder in ("/opt", "/etc", "/etc/profile.d", "/etc/ld.so.conf.d", "/etc/modprobe.d"):
        answers.setdefault(f"list:{folder}", ABSENT)
    known = kitchen().known(from_raw({"schema": 1, "answers": answers}))
    try:
        made = plan(answers, "base", arch="gfx90a" if name == "no-gpu" else None, **_same_release(known))
    except RefusedError as refused:
        pytest.skip(f"the base has no plan for it: {refused}")
    assert steps(made) == {}, [a.says for a in made.actions if a.recipe == "purge"]


def _same_release(known: Known) -> dict[str, Any]:
    installs = known.maybe(RocmInstalls)
    active = installs.active if installs else None
    return {"rocm": active.version} if active and active.origin == "amd" else {}


# ---------------------------------------------------------------- a rule that knows nothing of the code

_PROTECTED = {**BASE, **OWN}
_VENDORS = {**ROCM, **DRIVER, **NVIDIA}
_MORE = {
    "firmware-amd-graphics": "20230210-5",
    "libegl-mesa0": "23.2.1-1ubuntu3.1~22.04.2",
    "libglx-mesa0": "23.2.1-1ubuntu3.1~22.04.2",
    "libhsa-runtime64-1": "5.0.0-1",
    "linux-image-generic": "5.15.0.119.119",
    "openssh-client": "1:8.9p1-3ubuntu0.10",
    "rocm-device-libs": "5.0.0-1",
    "systemd": "249.11-0ubuntu3.12",
    "xserver-xorg": "1:7.7+23ubuntu2",
}


_CLASH = {"rocm-device-libs"}


@settings(deadline=None, max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    names=st.sets(st.sampled_from([*_PROTECTED, *_VENDORS, *_MORE]), min_size=1),
    broken=st.sets(st.sampled_from([*_PROTECTED, *_VENDORS, *_MORE])),
    settings_left=st.sets(st.sampled_from([*_PROTECTED, *_VENDORS, *_MORE])),
    geforce=st.booleans(),
    wish=st.sampled_from(
        [{}, {"rocm": "6.0.2"}, {"rocm": "5.7.0"}, {"keep": ("nvidia",)}, {"driver": "kernel"}]
    ),
    target=st.sampled_from(["purge", "base"]),
)
def test_nothing_of_the_systems_own_is_ever_removed(
    names: set[str],
    broken: set[str],
    settings_left: set[str],
    geforce: bool,
    wish: dict[str, Any],
    target: str,
) -> None:
    every = {**_PROTECTED, **_VENDORS, **_MORE}
    answers = used(nvidia=geforce)
    # apt and its base are always there; which packages besides, and in which state, is anybody's guess.
    lines = [status(BASE)]
    for name in sorted((names | settings_left) - set(BASE)):
        state = (
            "Status: install ok half-configured\n"
            if name in broken & names
            else "Status: deinstall ok config-files\n"
            if name not in names
            else ""
        )
        lines.append(f"Package: {name}\n{state}Version: {every[name]}\n")
    answers["read:/var/lib/dpkg/status"] = text("".join(lines))
    made = plan(answers, target, **wish)
    purge = [a for a in made.actions if a.recipe == "purge"]
    gone = {name for action in purge for name in action.removes}
    # Of the distribution's only what has AMD's names, and only where AMD's is wanted: it would keep that out.
    clash = _CLASH if target == "base" else set()
    assert gone <= {*_VENDORS, *clash}, gone - set(_VENDORS)
    argvs = [a.do.argv for a in purge if isinstance(a.do, Exec) and "purge" in " ".join(a.do.argv)]
    assert not {word for argv in argvs for word in argv} & {*_PROTECTED, *_MORE} - clash
    if geforce or wish.get("keep"):
        assert not gone & set(NVIDIA)
    if target == "purge":
        amd = {*ROCM, *DRIVER} & (names | settings_left)
        assert amd <= gone


def test_apt_that_would_take_the_displays_along_is_a_refusal() -> None:
    answers = used()
    meant = sorted((*ROCM, *DRIVER, "rocm-opencl"))
    meant.remove("amdgpu-dkms")
    says = "The following packages will be REMOVED:\n  rocminfo* xserver-xorg-core*\n0 upgraded, 0 newly installed, 2 to remove and 0 not upgraded.\n"
    key = f"run:apt-get --print-uris --assume-no -o Debug::NoLocking=1 -f purge {' '.join(meant)}"
    answers[key] = ran(says, code=1)
    with pytest.raises(
        RefusedError, match="would remove xserver-xorg-core, which stays: the distribution's displays"
    ):
        plan(answers, "purge")


def test_only_the_tree_without_a_source_is_moved() -> None:
    made = plan(used(), "purge")
    assert made.claims["DKMS trees of amdgpu without a source"] == STALE
    assert DKMS not in " ".join(moved(made))
