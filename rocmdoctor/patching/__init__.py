"""Patches: their files, the state of a tree, and which are wanted. Pure; `content.patches` loads them."""

from __future__ import annotations

from rocmdoctor.patching.diffs import misfit, patched, places
from rocmdoctor.patching.judging import is_for, judge, released, wanted
from rocmdoctor.patching.reading import BadPatchError, PatchProblem, read_patch
from rocmdoctor.patching.values import (
    APPLIED,
    CONFLICT,
    FIXED,
    NEEDED,
    NOT_FOR,
    NOT_HERE,
    STATES,
    Found,
    Judged,
    Patch,
    Project,
    Refused,
    Tree,
)

__all__ = [
    "APPLIED",
    "CONFLICT",
    "FIXED",
    "NEEDED",
    "NOT_FOR",
    "NOT_HERE",
    "STATES",
    "BadPatchError",
    "Found",
    "Judged",
    "Patch",
    "PatchProblem",
    "Project",
    "Refused",
    "Tree",
    "is_for",
    "judge",
    "misfit",
    "patched",
    "places",
    "read_patch",
    "released",
    "wanted",
]
