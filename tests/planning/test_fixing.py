"""Each planted fault: its recipe plans steps that bear on it and cure it, or there is a reason why a person has to."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from functools import cache
from typing import Any

import pytest

from rocmdoctor.actions import Action, Exec, Fetch, Person, Plan, Request, WriteFile
from rocmdoctor.asking import keys
from rocmdoctor.cli.env_seen import as_seen, env_seen
from rocmdoctor.cli.planned import Ask, Drawn, Kitchen
from rocmdoctor.diagnosis.known import Known
from rocmdoctor.hosts.replay import from_raw
from rocmdoctor.model import List, Query, Run, Snapshot
from rocmdoctor.planning.fixing import (
    BY_HAND,
    CURED,
    LOGIN,
    PLANNED,
    REBOOT,
    STILL,
    acted,
    exit_code,
    fixing_request,
    judged,
    pick,
)
from rocmdoctor.planning.here import version_here
from tests.judging import judge
from tests.machines import env_faults
from tests.machines.families import family
from tests.machines.faults import PLANTED, Fault, planted
from tests.machines.packages import KEYRING, SHOW_KEYS
from tests.machines.parts import ABSENT, Answers, ran, text

ANN = Person("ann", 1000, "/home/ann", "/bin/bash")

# Why no recipe cures it, by label.
BY_A_PERSON = {
    "no-atomics": "the card has to be moved",
    "kernel-does-not-know-it": "which kernel or driver knows the GPU is the user's choice",
    "memory-errors": "hardware",
    "driver-in-a-container": "the sources may belong to no package",
    "key-not-enrolled": "the firmware asks at its own screen",
    "nomodeset": "the boot loader's own settings name it, and are not ours",
    "old-driver": "whether driver or ROCm moves is the user's choice",
    "lost": "hardware",
    "was-reset": "the log tells what happened, not what is wrong",
    "no-bridge": "Windows has to be updated",
    "older-session": "groups are given at login",
    "container-without-devices": "the container has to be started anew, from outside",
    "container-without-the-group": "the container has to be started anew, from outside",
    "small-shared-memory": "the container has to be started anew, from outside",
    "full": "what may be deleted is the user's to say",
    "override": "set in the session alone: no file has it",
    "hidden-by-rocr": "set in the session alone: no file has it",
    "hidden-by-hip": "set in the session alone: no file has it",
    "nvidia-platform": "set in the session alone: no file has it",
    "cuda-libraries": "set in the session alone: no file has it",
    "path-that-is-gone": "set in the session alone: no file has it",
    "cache-of-root": "files of root in a home are for root to give",
    "python-without-wheels": "another environment has to be made and filled",
    "wheel-for-a-newer-glibc": "the system is too old",
    "hipblaslt-without-this-gpu": "a variable of the session",
    "hipcc-without-clang": "what is missing of ROCm is not known",
    "xformers-of-pypi": "whether it is wanted at all is the user's to say",
    "old-libstdcxx-of-conda": "conda's packages are conda's business",
}
ENVIRONMENT = {fault.label for fault in PLANTED if fault.on == env_faults.ON}


@cache
def kitchen() -> Kitchen:
    return Kitchen(())


def snapshot(fault: Fault, name: str) -> Snapshot:
    return from_raw({"schema": 1, "answers": planted((fault.label,), name, family(name))})


def _ask(known: Known) -> Ask:
    """What the environment and a folder with one blacklist in it answer to operations."""
    environment = as_seen(known)
    blacklist = "/etc/modprobe.d/blacklist-amdgpu.conf"

    def answer(query: Query) -> dict[str, Any] | None:
        if query == List("/etc/modprobe.d"):
            return text("blacklist-amdgpu.conf\n")
        if not isinstance(query, Run) or query.argv[0] != "grep":
            return None
        here = query.argv[-1] == "/etc/modprobe.d" and query.argv[1] == "-rlE"
        return ran(f"{blacklist}\n") if here else ran("", 1)

    def ask(queries: Iterable[Query]) -> dict[str, Any]:
        wanted = list(queries)
        told = {keys(query)[0]: said for query in wanted if (said := answer(query)) is not None}
        return {**told, **environment(wanted)}

    return ask


def drawn(fault: Fault, name: str) -> tuple[Drawn, str, Known]:
    """The plan that `fix` makes for one fault, with the recipe."""
    seen = snapshot(fault, name)
    outcome = kitchen().judge(seen)
    content = kitchen().book.content
    (cause,) = pick(outcome.diagnosis, (fault.cause,), content).causes
    assert (cause.id, cause.state) == (fault.cause, PLANNED)
    assert cause.recipe is not None
    asked = Request((), env=env_seen(outcome.known))
    request = fixing_request(asked, (cause.recipe,), content, outcome.known)
    return kitchen().draw(request, seen, ANN, _ask(outcome.known)), cause.recipe, outcome.known


# What a recipe cures on most machines and not on these, with the reason.
NOT_THERE = {
    ("no-firmware", "mi210-dkms"): "AMD's driver has firmware of its own",
    ("rocminfo-of-the-distribution", "container"): "the image's ROCm is kept as it is",
    ("bnb-built-with-another-rocm", "mi210-training"): "that version is there already",
}


def _some(names: tuple[str, ...]) -> tuple[str, ...]:
    """Families that differ most: other systems, other drivers, no GPU, a container."""
    wanted = (names[0], names[-1], "mi210-dkms", "debian12", "container", "no-gpu")
    return tuple(dict.fromkeys(name for name in wanted if name in names))


MACHINES = [
    pytest.param(f, name, id=f"{f.label}: {name}")
    for f in PLANTED
    for name in _some(f.on)
    if f.label not in BY_A_PERSON and (f.label, name) not in NOT_THERE
]


def test_every_fault_has_a_recipe_or_a_reason() -> None:
    assert set(BY_A_PERSON) <= {fault.label for fault in PLANTED}
    for fault in PLANTED:
        name = fault.on[0]
        remedy = judge(planted((fault.label,), name, family(name))).diagnosis.verdict(fault.cause).remedy
        assert remedy is not None
        assert (remedy.recipe is None) is (fault.label in BY_A_PERSON), fault.label


def test_every_recipe_that_a_check_names_is_there() -> None:
    recipes = kitchen().book.content.recipes
    for fault in PLANTED:
        for name in fault.on:
            for verdict in judge(planted((fault.label,), name, family(name))).diagnosis.verdicts:
                if verdict.remedy and verdict.remedy.recipe:
                    assert verdict.remedy.recipe in recipes, verdict.id


def _acts_and_spares(made: Drawn, recipe: str, known: Known) -> None:
    assert acted(made.plan, recipe, kitchen().book.content), dict(made.plan.left_out)
    # A cure brings no other release of what is well.
    for part, choice in made.plan.choice.items():
        if part == "rocm" and not choice.version.endswith("+installed"):
            assert choice.version == version_here("rocm", known)
    removed = {package for action in made.plan.actions for package in action.removes}
    assert not removed & {"hip-runtime-amd", "rocm-core", "hsa-rocr"}, removed
    if recipe != "kernel-driver":
        assert "amdgpu-dkms" not in removed


# ---------------------------------------------------------------- carried out on paper


def _as_healthy(answers: Answers, healthy: Answers, pattern: str) -> None:
    """Answers of these keys are those of the machine before the fault."""
    for key in [k for k in {*answers, *healthy} if re.search(pattern, k)]:
        if key in healthy:
            answers[key] = healthy[key]
        else:
            del answers[key]


def _file(answers: Answers, path: str, content: str | None) -> None:
    folder, _, name = path.rpartition("/")
    for key in [k for k in answers if k.startswith(f"glob:{folder}/*")]:
        if not name.endswith(key.rpartition("*")[2]):
            continue
        files = {p: t for p, t in answers[key]["files"].items() if p != path}
        answers[key] = {"ok": True, "files": {**files, path: content} if content is not None else files}
    answers[f"read:{path}"] = ABSENT if content is None else text(content)


# What a program does, as the answers that it makes healthy again.
_DOES: list[tuple[Callable[[tuple[str, ...]], bool], str]] = [
    (lambda argv: argv[0] == "dpkg" and "--configure" in argv, r"^read:/var/lib/dpkg/status"),
    (lambda argv: argv[0] == "mv" and "/var/lib/dkms/" in argv[-2], r"dkms"),
    (lambda argv: "mv" in argv and "/etc/modprobe.d" in " ".join(argv), r"^glob:/etc/modprobe|^glob:/lib/modprobe"),
    (lambda argv: argv[0] == "sed" and argv[-1].endswith(".bashrc"), r"/\.bashrc$"),
    (lambda argv: argv[0] == "update-alternatives", r"/opt/rocm|/etc/alternatives"),
    (lambda argv: "install" in argv and "libstdc++" in argv[-1], r"^list:/usr/include/c\+\+|^list:/usr/lib/gcc|crtbegin"),
    (lambda argv: "install" in argv and "linux-headers" in argv[-1], r"^stat:/lib/modules/.*/build|dkms"),
    (lambda argv: argv[0] in ("usermod", "gpasswd", "adduser"), r"^access:/dev|/etc/group|rocminfo|^read:/proc/self|^run:id"),
    (lambda argv: argv[0] == "update-grub", r"iommu_group|^read:/proc/cmdline"),
]  # fmt: skip


def carried_out(plan: Plan, answers: Answers, healthy: Answers) -> None:
    """What the machine answers once the plan is done, as far as it concerns the faults here."""
    for action in plan.actions:
        do = action.do
        if isinstance(do, WriteFile):
            _file(answers, do.path, do.text)
        elif isinstance(do, Fetch) and do.key:
            _key(answers, do)
        elif isinstance(do, Exec):
            _program(answers, healthy, action, do.argv)


def _key(answers: Answers, do: Fetch) -> None:
    answers[f"stat:{do.path}"] = text("file 0644 root root")
    healthy = family("mi210")
    answers[SHOW_KEYS.replace(KEYRING, do.path)] = healthy[SHOW_KEYS]


def _program(answers: Answers, healthy: Answers, action: Action, argv: tuple[str, ...]) -> None:
    status = answers["read:/var/lib/dpkg/status"]["text"]
    for package in action.removes:
        status = re.sub(
            rf"^Package: {re.escape(package)}\n(?:[^P].*\n|P(?!ackage: ).*\n)*",
            "",
            status,
            flags=re.MULTILINE,
        )
    answers["read:/var/lib/dpkg/status"] = text(status)
    for does, pattern in _DOES:
        if does(argv):
            _as_healthy(answers, healthy, pattern)
    if "amdgpu-dkms" in action.removes:
        _as_healthy(answers, family("mi210"), "dkms|^list:/usr/src")


# Environments and firmware are cured by what is downloaded; a CUDA toolkit leaves files that no package owns here.
NOT_ON_PAPER = {*ENVIRONMENT, "no-firmware", "cuda-toolkit", "nothing-leads-to-it"}


@pytest.mark.parametrize(("fault", "name"), MACHINES)
def test_the_plan_acts_on_the_fault_and_the_check_is_content_then(fault: Fault, name: str) -> None:
    made, recipe, known = drawn(fault, name)
    _acts_and_spares(made, recipe, known)
    if fault.label in NOT_ON_PAPER:
        return
    answers = planted((fault.label,), name, family(name))
    carried_out(made.plan, answers, family(name))
    diagnosis = judge(answers).diagnosis
    verdict = diagnosis.verdict(fault.cause)
    assert verdict.status in ("ok", "skip"), f"{verdict.status}: {verdict.why}"


# ---------------------------------------------------------------- which, and what became of them


def _picked(labels: tuple[str, ...], *named: str, machine: str = "mi210"):
    diagnosis = judge(planted(labels, machine, family(machine))).diagnosis
    return pick(diagnosis, named, kitchen().book.content)


def test_root_causes_are_taken_lowest_first_and_recipes_once() -> None:
    found = _picked(("half-configured", "not-in-the-groups", "memory-errors"))
    assert [(c.id, c.state) for c in found.causes] == [
        ("hardware.ras", BY_HAND),
        ("driver.kfd-access", PLANNED),
        ("packages.dpkg-consistent", PLANNED),
    ]
    assert found.recipes == ("gpu-access", "apt-repair")


def test_what_follows_is_cured_by_its_cause() -> None:
    found = _picked(("not-in-the-groups",), "access.render-nodes")
    assert [c.id for c in found.causes] == ["driver.kfd-access"]
    assert "access.render-nodes" in found.causes[0].explains


def test_a_warning_is_taken_when_it_is_named_and_offered_when_not() -> None:
    assert [c.id for c in _picked(("translated",), "host.iommu", machine="mi300x-cpx").causes] == [
        "host.iommu"
    ]
    offered = _picked(("translated",), machine="mi300x-cpx")
    assert (offered.causes, [v.id for v in offered.offers]) == ((), ["host.iommu"])


def test_a_check_that_is_content_needs_no_cure() -> None:
    found = _picked(("not-in-the-groups",), "packages.dpkg-consistent")
    assert (found.causes, [v.id for v in found.fine]) == ((), ["packages.dpkg-consistent"])


@pytest.mark.parametrize(
    ("now", "login", "rebooting", "state", "code"),
    [
        ("ok", (), False, CURED, 0),
        ("fail", (), False, STILL, 1),
        ("fail", ("driver.kfd-access",), False, LOGIN, 0),
        ("fail", (), True, REBOOT, 102),
        ("ok", (), True, CURED, 0),
    ],
)
def test_what_became_of_it(now: str, login: tuple[str, ...], rebooting: bool, state: str, code: int) -> None:
    (cause,) = _picked(("not-in-the-groups",)).causes
    answers = family("mi210") if now == "ok" else planted(("not-in-the-groups",), "mi210", family("mi210"))
    after = judged(cause, judge(answers).diagnosis, login, rebooting=rebooting)
    assert (after.state, exit_code([after])) == (state, code)


def test_a_check_that_waits_for_another_is_not_cured() -> None:
    (cause,) = _picked(("override",)).causes
    answers = planted(("blacklisted",), "mi210", family("mi210"))
    diagnosis = judge(answers).diagnosis
    waiting = diagnosis.verdict("driver.kfd-present")
    assert waiting.status == "skip"
    kept = judged(cause, diagnosis, (), rebooting=False)
    assert kept.state in (CURED, STILL)


def test_one_that_a_person_has_to_cure_is_left_and_counts() -> None:
    causes = _picked(("memory-errors",)).causes
    assert (causes[0].state, exit_code(causes)) == (BY_HAND, 1)
