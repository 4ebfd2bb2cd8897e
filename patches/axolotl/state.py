# ruff: noqa: INP001
"""What a tree of axolotl says of its patches: does anything still bring xformers in, and does anything need it."""

from __future__ import annotations

import ast

from rocmdoctor.patching import APPLIED, CONFLICT, FIXED, NEEDED, NOT_FOR, Found, Tree
from rocmdoctor.patching.python_ast import function, guarded_imports, parsed, texts, top_imports

EXACT = "0001-require-no-xformers"
PLAIN = "0002-leave-xformers-out"
TWICE = "0003-leave-xformers-out-twice"
EXTRAS = "0004-leave-xformers-out-with-extras"
IMPORT = "0005-import-without-xformers"

SETUP, LINES = "setup.py", "requirements.txt"
BUILD = "src/setuptools_axolotl_dynamic_dependencies.py"
FLASH = "src/axolotl/monkeypatch/llama_attn_hijack_flash.py"
READS = (SETUP, LINES, BUILD, FLASH, "pyproject.toml")

_XFORMERS = "xformers"


def state(tree: Tree, version: str) -> dict[str, Found]:
    """What the tree says of each patch; of those for requirements one is for the tree, by its shape."""
    mine, said = _requirements(tree)
    others = {EXACT, PLAIN, TWICE, EXTRAS} - {mine}
    why = f"{mine} is the one for a tree of this shape" if mine else said.why
    found = {name: Found(NOT_FOR, why) for name in others}
    if mine:
        found[mine] = said
    return {**found, IMPORT: _flash(tree, version)}


# ---------------------------------------------------------------- requirements


def _requirements(tree: Tree) -> tuple[str, Found]:
    """Which patch is for this tree, "" for none, and what the tree says of it."""
    if SETUP not in tree:
        if "pyproject.toml" in tree:
            why = "requirements stand in pyproject.toml, as from 0.17.0 on; leave xformers out with an override of uv or pip"
            return "", Found(NOT_FOR, why)
        return "", Found(NOT_FOR, f"neither {SETUP} nor pyproject.toml is there")
    reading = _reading(tree[SETUP])
    if reading is None:
        return "", Found(NOT_FOR, f"{SETUP} has no parse_requirements that reads {LINES}")
    name = _shape(tree, reading)
    listed = _listed(tree.get(LINES))
    if _exact(reading) or (not _mentions(reading) and not _filtered(reading)):
        return name, _by_text(reading, listed, tree)
    return name, _by_filter(tree, reading, listed)


def _reading(text: str) -> ast.AST | None:
    module = parsed(text)
    return function(module, "parse_requirements") if module is not None else None


def _shape(tree: Tree, reading: ast.AST) -> str:
    if _exact(reading) == "xformers==0.0.22" and _asks_for_darwin(reading):
        return EXACT
    if _handed_over(reading) == 3:
        return EXTRAS
    if BUILD in tree:
        return TWICE
    return PLAIN if _mentions(reading) else EXACT


def _handed_over(reading: ast.AST) -> int:
    for node in ast.walk(reading):
        if isinstance(node, ast.Return) and isinstance(node.value, ast.Tuple):
            return len(node.value.elts)
    return 0


def _exact(reading: ast.AST) -> str:
    """The requirement that is taken out of the list by its text, "" where it is looked for."""
    for node in ast.walk(reading):
        if isinstance(node, ast.Call) and getattr(node.func, "attr", "") == "index":
            for text in texts(node):
                if text.startswith(_XFORMERS):
                    return text
    return ""


def _asks_for_darwin(reading: ast.AST) -> bool:
    return any(text == "Darwin" for text in texts(reading))


def _mentions(reading: ast.AST) -> bool:
    return any(text.startswith(_XFORMERS) for text in texts(reading))


def _filtered(reading: ast.AST) -> bool:
    """A list without xformers is made right before it is handed over."""
    body = getattr(reading, "body", [])
    made = body[-2] if len(body) > 1 else None
    if not isinstance(made, ast.Assign) or not isinstance(made.value, ast.ListComp):
        return False
    tests = [test for comprehension in made.value.generators for test in comprehension.ifs]
    return any(
        isinstance(test, ast.Compare) and isinstance(test.ops[0], ast.NotIn) and _XFORMERS in texts(test)
        for test in tests
    )


def _listed(text: str | None) -> str:
    """The line of requirements.txt that names it, "" for none."""
    for line in (text or "").splitlines():
        if line.strip().startswith(_XFORMERS):
            return line.strip()
    return ""


def _by_text(reading: ast.AST, listed: str, tree: Tree) -> Found:
    exact = _exact(reading)
    if _filtered(reading):
        return Found(APPLIED, f"{SETUP} leaves xformers out of what it hands over")
    if exact and listed:
        return Found(NEEDED, f"{LINES} asks for {listed}, and {SETUP} for another: each is built for CUDA")
    if exact:
        return Found(
            CONFLICT,
            f"{LINES} names no xformers, but {SETUP} takes {exact} out of its list by that text and stops with a ValueError: "
            f"half of the change was made. Put {LINES} back first",
        )
    if listed:
        return Found(
            CONFLICT, f"{SETUP} names no xformers, but {LINES} asks for {listed}: half of the change was made. "
            f"Put {SETUP} back first"
        )  # fmt: skip
    if LINES not in tree:
        return Found(NOT_FOR, f"{SETUP} names no xformers, and {LINES} is not there")
    return Found(APPLIED, f"neither {LINES} nor {SETUP} names xformers")


def _by_filter(tree: Tree, reading: ast.AST, listed: str) -> Found:
    lists = {SETUP: reading}
    again = _reading(tree.get(BUILD, ""))
    if again is not None:
        lists[BUILD] = again
    left = [path for path, one in lists.items() if not _filtered(one)]
    if not left:
        return Found(APPLIED, f"{' and '.join(lists)} leave xformers out of what they hand over")
    if len(left) < len(lists):
        done = next(path for path in lists if path not in left)
        return Found(
            CONFLICT,
            f"{done} leaves xformers out, and {left[0]} does not: half of the change was made. Put {done} back first",
        )
    broken = [path for path in lists if path in left] if LINES in tree and not listed else []
    if broken:
        return Found(
            CONFLICT,
            f"{LINES} names no xformers, but {broken[0]} looks for it there and stops with an IndexError. Put {LINES} back first",
        )
    missing = (
        ""
        if LINES in tree
        else f". {LINES} is not in this tree, without which {SETUP} cannot run: take the tag's sources"
    )
    what = listed or "an xformers by the version of torch"
    return Found(NEEDED, f"{' and '.join(left)} ask for {what}, which is built for CUDA{missing}")


# ---------------------------------------------------------------- the import


def _flash(tree: Tree, version: str) -> Found:
    if FLASH not in tree:
        return Found(NOT_FOR, f"{FLASH} is not there (version {version or 'unknown'})")
    module = parsed(tree[FLASH])
    if module is None:
        return Found(CONFLICT, f"{FLASH} is no Python that can be read")
    if _XFORMERS in top_imports(module):
        if function(module, "is_xformers_swiglu_available") is None:
            return Found(
                NOT_FOR,
                f"{FLASH} imports xformers at its top, and nothing there asks whether it can be used; the patch is for "
                "checkouts from 2024-02-26 on (5894f0e57)",
            )
        return Found(NEEDED, f"{FLASH} imports xformers at its top, so that flash attention stops without it")
    names = {node.name for node in module.body if isinstance(node, ast.ClassDef | ast.FunctionDef)}
    if _XFORMERS in guarded_imports(module):
        return Found(APPLIED, f"{FLASH} imports xformers only where it is there")
    if "FusedMLP" not in names:
        return Found(
            FIXED, f"{FLASH} imports no xformers at its top; fused MLPs stand in a module of their own"
        )
    if "SwiGLU" in names:
        return Found(
            APPLIED,
            f"{FLASH} has a stand-in for SwiGLU, by another change than ours: it does until flash_attn_fuse_mlp is set, which "
            "does nothing then",
        )
    return Found(NOT_FOR, f"{FLASH} has fused MLPs without xformers")
