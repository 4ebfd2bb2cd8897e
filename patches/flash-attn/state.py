# ruff: noqa: INP001
"""What a tree of ROCm's fork of flash-attention says of its patch: will torch rewrite composable_kernel's headers."""

from __future__ import annotations

import ast

from rocmdoctor.patching import APPLIED, CONFLICT, NEEDED, NOT_FOR, Found, Tree
from rocmdoctor.patching.python_ast import function, parsed, texts

ALONE = "0001-leave-composable-kernel-alone"
SETUP = "setup.py"
READS = (SETUP,)

_KERNELS = "composable_kernel"
_OWN = "flash_attn_rocm"


def state(tree: Tree, version: str) -> dict[str, Found]:
    """What setup.py says: where the headers stand decides."""
    return {ALONE: _of_setup(tree.get(SETUP), version)}


def _of_setup(text: str | None, version: str) -> Found:
    if text is None:
        return Found(NOT_FOR, f"{SETUP} is not there")
    module = parsed(text)
    if module is None:
        return Found(CONFLICT, f"{SETUP} is no Python that can be read")
    build = function(module, "build_for_rocm")
    if build is None or _OWN not in texts(build):
        return Found(
            NOT_FOR, f"{SETUP} is not that of ROCm's fork of 2023 and 2024 (version {version or 'unknown'})"
        )
    folders = [
        node.value for node in ast.walk(build) if isinstance(node, ast.keyword) and node.arg == "include_dirs"
    ]
    where = f"{SETUP}:{build.lineno}: {build.name}"
    if not folders:
        return Found(CONFLICT, f"{where} names no include_dirs")
    if any(_KERNELS in texts(folder) for folder in folders):
        return Found(
            NEEDED,
            f"{where} has composable_kernel in include_dirs, so that torch rewrites its headers: torch 2.0 runs out of stack"
            " at that, later ones mix copies with originals",
        )
    if not any(text.startswith("-I") for text in texts(build)):
        return Found(CONFLICT, f"{where} tells no compiler where composable_kernel is")
    return Found(APPLIED, f"{where} names composable_kernel to the compiler alone")
