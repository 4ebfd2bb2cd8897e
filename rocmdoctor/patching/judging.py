"""The state of each patch: what the tree says, what its version says, and what this machine's checks say."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace

from packaging.specifiers import SpecifierSet
from packaging.version import InvalidVersion, Version

from rocmdoctor.model import Verdict
from rocmdoctor.patching.diffs import misfit
from rocmdoctor.patching.values import (
    APPLIED,
    CONFLICT,
    NEEDED,
    NOT_FOR,
    NOT_HERE,
    Found,
    Judged,
    Patch,
    Project,
    Tree,
)


def is_for(patch: Patch, version: str) -> bool:
    """The version is one of those that it says to be for. A version that is none is not."""
    try:
        Version(version)
    except InvalidVersion:
        return False
    return SpecifierSet(patch.applies_to, prereleases=True).contains(version)


def released(version: str) -> str:
    """The release that a version such as `0.16.2+14` or `0.14.0+rocm` comes from."""
    return version.partition("+")[0]


def judge(
    project: Project,
    tree: Tree,
    version: str,
    verdicts: Mapping[str, Verdict] | None = None,
    *,
    given: bool = False,
) -> list[Judged]:
    """The state of every patch of a project. Without verdicts the facts of the machine are left out.

    What a tree shows counts more than the version it calls itself, since checkouts carry the number of a release before
    and after it; with `given` the user said the version, and it counts as much.
    """
    found = project.state(tree, version)
    judged = []
    for patch in project.patches:
        said = found.get(patch.id) or Found(NOT_FOR, "the tree says nothing of it")
        said = _by_release(project, patch, said, version, given=given)
        if said.state == NEEDED:
            said = _by_machine(patch, said, verdicts)
        if said.state == NEEDED:
            said = _by_text(patch, said, tree)
        judged.append(Judged(patch, said.state, said.why))
    return judged


def _by_release(project: Project, patch: Patch, said: Found, version: str, *, given: bool) -> Found:
    bad = project.refused.get(released(version))
    if bad is not None and said.state in (NEEDED, CONFLICT):
        return Found(NOT_FOR, f"{project.name} {version} is not worth a patch: {bad.why}; take {bad.instead}")
    if said.state != NEEDED or not version or is_for(patch, version):
        return said
    if given:
        return Found(
            NOT_FOR, f"it is for {project.name} {patch.applies_to}, and the version given is {version}"
        )
    return replace(
        said,
        why=f"{said.why}; the tree calls itself {version}, though these are lines of {patch.applies_to}",
    )


def _by_machine(patch: Patch, said: Found, verdicts: Mapping[str, Verdict] | None) -> Found:
    verdict = verdicts.get(patch.needed_if) if verdicts is not None and patch.needed_if else None
    if verdict is None:
        return said
    if verdict.status == "ok":
        return Found(NOT_HERE, f"{patch.needed_if} is ok here: {verdict.why}")
    if verdict.status in ("warn", "fail"):
        return replace(said, why=f"{said.why}. Here: {verdict.why}")
    return replace(
        said, why=f"{said.why}. Whether this machine could do without cannot be told: {verdict.why}"
    )


def _by_text(patch: Patch, said: Found, tree: Tree) -> Found:
    why = misfit(patch, tree)
    if why:
        return Found(CONFLICT, f"{said.why}, but the patch does not fit: {why}")
    return said


def wanted(
    project: Project, version: str, verdicts: Mapping[str, Verdict] | None = None
) -> tuple[Patch, ...]:
    """The patches for a version that is not there yet, by its number and this machine alone, in their order.

    Patches that change the same file are alternatives; the first that is for the version is the one.
    """
    taken: list[Patch] = []
    for patch in project.patches:
        verdict = verdicts.get(patch.needed_if) if verdicts is not None else None
        unneeded = patch.needed_if and verdict is not None and verdict.status == "ok"
        twice = {path for other in taken for path in other.files} & set(patch.files)
        if is_for(patch, version) and not unneeded and not twice:
            taken.append(patch)
    return tuple(taken)


def counts(judged: Iterable[Judged]) -> dict[str, int]:
    """How many patches are in each state."""
    found: dict[str, int] = {}
    for item in judged:
        found[item.state] = found.get(item.state, 0) + 1
    return found


__all__ = ["APPLIED", "counts", "is_for", "judge", "released", "wanted"]
