"""Systems whose packages are not dpkg's: judged without alarm, and given what can still be given."""

from __future__ import annotations

from functools import cache
from typing import Any

import pytest

from rocmdoctor.actions import Person, Plan, Request
from rocmdoctor.cli.planned import Drawn, Kitchen
from rocmdoctor.hosts.replay import from_raw
from rocmdoctor.planning.refusal import RefusedError
from rocmdoctor.reports.plan_text import cost_lines
from tests.judging import judge
from tests.machines.parts import text
from tests.machines.systems import SYSTEMS, system

ANN = Person("ann", 1000, "/home/ann", "/bin/bash")
# What an administrator types there, as far as pages that were read say it.
COMMANDS = {
    "fedora": "sudo dnf install rocminfo rocm-hip-devel",
    "rhel": "sudo dnf install rocm",
    "rocky": "sudo dnf install rocm",
    "sles": "sudo zypper install rocm",
    "arch": "sudo pacman -S rocminfo rocm-hip-sdk",
}


@cache
def _kitchen() -> Kitchen:
    return Kitchen(())


def _drawn(answers: dict[str, Any], *targets: str, **wish: Any) -> Drawn:
    return _kitchen().draw(Request(targets, **wish), from_raw({"schema": 1, "answers": answers}), ANN, None)


def _plan(answers: dict[str, Any], *targets: str, **wish: Any) -> Plan:
    return _drawn(answers, *targets, **wish).plan


def _without_access(name: str) -> dict[str, Any]:
    """Nobody is in the groups of GPUs yet."""
    answers = system(name)
    answers["read:/etc/group"] = text("root:x:0:\nvideo:x:44:\nrender:x:109:\nann:x:1000:\n")
    return answers


@pytest.mark.parametrize("name", SYSTEMS)
def test_check_raises_no_alarm(name: str) -> None:
    """No ROCm is no fault, and neither is another package manager."""
    verdicts = judge(system(name)).diagnosis.verdicts
    assert [(v.id, v.why) for v in verdicts if v.status not in ("ok", "skip")] == []
    (dpkg,) = [v for v in verdicts if v.id == "packages.dpkg-consistent"]
    assert (dpkg.status, dpkg.why.endswith("does not use dpkg")) == ("skip", True)


@pytest.mark.parametrize("name", SYSTEMS)
def test_the_base_gives_access_and_says_that_rocm_is_left_out(name: str) -> None:
    made = _plan(_without_access(name), "base")
    assert {a.recipe for a in made.actions} == {"gpu-access"}
    assert any(a.id.startswith("gpu-access.groups") for a in made.actions)
    assert made.left_out["purge"] == "it is for machines with packages of dpkg and apt"
    assert "rocm" not in made.choice
    (note,) = [n for n in made.notes if n.startswith("rocm is left out: it has no release for ")]
    assert COMMANDS.get(name, "a container") in note
    assert "rocm.installed" not in made.verify


@pytest.mark.parametrize("name", COMMANDS)
def test_wheels_are_offered_and_taken_when_they_are_asked_for(name: str) -> None:
    (note,) = [n for n in _plan(system(name), "base").notes if n.startswith("rocm ")]
    assert "'--rocm-source pip' takes" in note
    made = _plan(system(name), "base", rocm_source="pip")
    assert made.choice["rocm"].source == "pip"
    assert any(a.id.startswith("rocm.") for a in made.actions)


@pytest.mark.parametrize("name", SYSTEMS)
def test_rocm_by_its_name_is_refused_with_what_can_be_done_instead(name: str) -> None:
    with pytest.raises(RefusedError) as caught:
        _plan(system(name), "rocm")
    (refusal,) = caught.value.refusals
    assert refusal.says.startswith("rocm: it has no release for ")
    assert COMMANDS.get(name, "For an administrator: ") in refusal.says


def test_a_wish_for_a_release_is_not_passed_over() -> None:
    with pytest.raises(RefusedError, match="rocm: it has no release for Fedora Linux 42"):
        _plan(system("fedora"), "base", rocm="6.0.2")


def test_purge_is_refused_where_there_is_no_apt() -> None:
    with pytest.raises(RefusedError, match=r"^purge: it is for machines with packages of dpkg and apt$"):
        _plan(system("arch"), "purge")


def test_where_nothing_is_left_to_do_the_plan_does_not_say_that_all_is_in_place() -> None:
    made = _plan(system("alpine"), "base")
    assert made.actions == ()
    assert cost_lines(made) == ["Nothing to do: all but purge, rocm is in place."]


def test_host_settings_are_planned_where_a_check_calls_for_them() -> None:
    answers = system("rhel")
    answers["read:/proc/self/limits"] = text(
        "Max open files            1024                 1024                 files     \n"
        "Max locked memory         unlimited            unlimited            bytes     \n"
    )
    assert "host-tuning.open-files" in [a.id for a in _plan(answers, "base").actions]


def test_the_rocm_of_amd_that_is_there_is_judged() -> None:
    """A RHEL with AMD's ROCm: packages cannot be read, the folder can."""
    answers = system("rhel")
    answers["list:/opt"] = text("rocm@\nrocm-6.2.4/\n")
    answers["link:/opt/rocm"] = text("/opt/rocm-6.2.4")
    answers["stat:/opt/rocm"] = text("dir 0755 root root")
    answers["list:/opt/rocm-6.2.4"] = text("bin/\nlib/\n")
    answers["list:/opt/rocm-6.2.4/bin"] = text("hipconfig\nrocminfo\n")
    answers["list:/opt/rocm-6.2.4/lib"] = text("libamdhip64.so@\n")
    answers["glob:/opt/rocm*/.info/version"] = {
        "ok": True,
        "files": {"/opt/rocm-6.2.4/.info/version": "6.2.4-139\n"},
    }
    verdicts = {v.id: v for v in judge(answers).diagnosis.verdicts}
    assert verdicts["rocm.installed"].why.startswith("ROCm 6.2.4 at /opt/rocm-6.2.4")
    made = _plan(answers, "base")
    assert made.choice["rocm"].version.endswith("+installed")
