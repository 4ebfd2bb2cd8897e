"""Source trees changed by the patches that their version needs on this machine."""

from __future__ import annotations

import difflib
from collections.abc import Iterator

from rocmdoctor.actions import Action, ApplyPatch, Undo
from rocmdoctor.ops.arguments import BadArgumentError, Name, Place
from rocmdoctor.ops.ground import ForbiddenError, Ground
from rocmdoctor.ops.places import resolved
from rocmdoctor.ops.registry import operation
from rocmdoctor.patching import Patch, released, wanted


def patches_for(ground: Ground, project: str, version: str) -> tuple[Patch, ...]:
    """The patches that a version of a project needs on this machine, in their order.

    Raises BadArgumentError for a project without any, ForbiddenError for a release that is not worth one.
    """
    if project not in ground.projects:
        near = difflib.get_close_matches(project, ground.projects, n=1, cutoff=0.5)
        hint = f"; did you mean '{near[0]}'" if near else ""
        raise BadArgumentError("project", project, f"a project that there are patches for{hint}")
    bad = ground.projects[project].refused.get(released(version))
    if bad is not None:
        raise ForbiddenError(f"{project} {version} is not worth a patch: {bad.why}; take {bad.instead}")
    found = wanted(ground.projects[project], version, ground.verdicts)
    for patch in ground.projects[project].patches:
        verdict = ground.verdicts.get(patch.needed_if)
        if verdict is not None:
            ground.claim(f"check {patch.needed_if}", "ok" if verdict.status == "ok" else "not ok")
    return found


@operation("patch.apply")
def patch_apply(ground: Ground, *, project: Name, version: str, tree: Place) -> Iterator[Action]:
    """Apply the patches that a version of a project needs on this machine.

    Which ones is decided by the version, and by the check that a patch names. The tree need not be there yet; what is
    applied already is left as it is.
    """
    place = resolved(ground, "tree", tree, "user")
    for patch in patches_for(ground, project, version):
        yield Action(
            do=ApplyPatch(patch.path, place, patch.sha256),
            says=f"patch {project} {version}: {patch.title[0].lower()}{patch.title[1:]}",
            undo=Undo("restore", "takes the patch out again"),
            root=False,
            timeout=120.0,
            seconds=1.0,
        )
