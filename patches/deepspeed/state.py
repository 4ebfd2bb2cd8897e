# ruff: noqa: INP001
"""What a tree of DeepSpeed says of its patches: a git checkout, an sdist, or the folder that it is installed in.

An sdist holds op_builder twice: setup.py reads one copy, what is compiled at first use reads the other.
"""

from __future__ import annotations

import ast

from rocmdoctor.patching import APPLIED, CONFLICT, FIXED, NEEDED, NOT_FOR, Found, Refused, Tree
from rocmdoctor.patching.python_ast import Function, calls, caught, function, parsed, texts

CUDA_FLAG = "0001-leave-cuda-out-on-rocm"
PLACES = ("op_builder/builder.py", "deepspeed/ops/op_builder/builder.py")
READS = (*PLACES, "version.txt")

REFUSED = {
    "0.15.0": Refused(
        "on ROCm it joins paths to a CUDA home that is not there while it is imported (5f0d177fd), so that neither setup.py "
        "nor import gets through",
        "0.15.1",
    ),
    "0.17.5": Refused(
        "the return at the end of get_cuda_compile_flag is missing (pull request 7431), so that on ROCm its CPU optimizers "
        "stop with a TypeError",
        "0.17.6",
    ),
}

_FOREIGN = (
    "{path}: assert_no_cuda_mismatch is not DeepSpeed's own. It says no by returning False, as in the change that a post of March "
    "2024 made, and nobody looks at what it returns: is_cuda_enable then takes this machine for one with CUDA"
)
_TAKE_OUT = "put the file back first (git checkout {path}, or unpack the sdist again)"
# How bad a place is: a tree is as good as the worst of its copies.
_WORST = (CONFLICT, NEEDED, NOT_FOR, APPLIED, FIXED)


def state(tree: Tree, version: str) -> dict[str, Found]:
    """What the tree says. A file that is there twice has the worse state of its copies."""
    found = [_of_place(path, tree[path], version) for path in PLACES if path in tree]
    if not found:
        return {CUDA_FLAG: Found(NOT_FOR, f"neither {PLACES[0]} nor {PLACES[1]} is there")}
    return {CUDA_FLAG: min(found, key=lambda item: _WORST.index(item.state))}


def _of_place(path: str, text: str, version: str) -> Found:
    module = parsed(text)
    if module is None:
        return Found(CONFLICT, f"{path} is no Python that can be read")
    compares = function(module, "assert_no_cuda_mismatch")
    foreign = compares is not None and not _is_own(compares)
    flag = function(module, "is_cuda_enable", "get_cuda_compile_flag")
    said = _without_flag(path, module, version) if flag is None else _of_flag(path, flag, module)
    if not foreign:
        return said
    why = _FOREIGN.format(path=path)
    if said.state == NEEDED:
        return Found(CONFLICT, f"{why}; {_TAKE_OUT.format(path=path)}")
    return Found(said.state, f"{said.why}. But {why}; {_TAKE_OUT.format(path=path)}")


def _is_own(compares: Function) -> bool:
    """The comparison as DeepSpeed has it in all releases: it always asks nvcc, raises, and never says no by a value."""
    said = [node.value for node in ast.walk(compares) if isinstance(node, ast.Return)]
    no = any(isinstance(value, ast.Constant) and value.value is False for value in said)
    asks = any(
        isinstance(node, ast.Assign) and calls(node, "installed_cuda_version") for node in compares.body
    )
    return asks and not no and any(isinstance(node, ast.Raise) for node in ast.walk(compares))


def _without_flag(path: str, module: ast.Module, version: str) -> Found:
    # Releases before 0.8 have no such function, those from 0.19.8 on need none any more.
    if function(module, "is_rocm_pytorch") is not None and "TorchCPUOpBuilder" not in _classes(module):
        return Found(FIXED, f"{path}: its CPU optimizers are plain C++, and nothing asks for a CUDA flag")
    return Found(NOT_FOR, f"{path}: no function asks for a CUDA flag (version {version or 'unknown'})")


def _classes(module: ast.Module) -> set[str]:
    return {node.name for node in ast.walk(module) if isinstance(node, ast.ClassDef)}


def _of_flag(path: str, flag: Function, module: ast.Module) -> Found:
    where = f"{path}:{flag.lineno}: {flag.name}"
    if calls(flag, "is_rocm_pytorch"):
        return _guarded(where, flag)
    if not calls(flag, "assert_no_cuda_mismatch"):
        return Found(NOT_FOR, f"{where} compares no versions of CUDA")
    if {"", "BaseException", "Exception", "AttributeError"} & set(caught(flag)):
        return Found(
            NOT_FOR, f"{where} catches what the comparison raises on ROCm; 0.12.4 is the first that does not"
        )
    if function(module, "is_rocm_pytorch") is None:
        return Found(CONFLICT, f"{where} compares versions of CUDA, and there is no is_rocm_pytorch to ask")
    return Found(
        NEEDED,
        f"{where} compares versions of CUDA on ROCm too, where torch has none, and stops with an AttributeError",
    )


def _guarded(where: str, flag: Function) -> Found:
    if not _always_returns(flag):
        return Found(NOT_FOR, f"{where} returns nothing on ROCm: the fault of 0.17.5; take 0.17.6")
    if not any("DISABLE_CUDA" in text for text in texts(flag)):
        return Found(CONFLICT, f"{where} asks whether torch is one for ROCm, but never leaves CUDA out")
    first = flag.body[0]
    ours = isinstance(first, ast.If) and calls(first.test, "is_rocm_pytorch") and _leaves_out(first)
    if ours:
        return Found(APPLIED, f"{where} leaves CUDA out on ROCm before it compares anything")
    if flag.name == "get_cuda_compile_flag":
        return Found(FIXED, f"{where} compares nothing on ROCm")
    return Found(APPLIED, f"{where} asks for ROCm, by another change than ours")


def _leaves_out(test: ast.If) -> bool:
    return not isinstance(test.test, ast.UnaryOp) and any(
        isinstance(node, ast.Return) and any("DISABLE_CUDA" in text for text in texts(node))
        for node in test.body
    )


def _always_returns(flag: Function) -> bool:
    last = flag.body[-1]
    if isinstance(last, ast.Try):
        last = (last.orelse or last.body)[-1]
    return isinstance(last, ast.Return | ast.Raise) and not (
        isinstance(last, ast.Return) and last.value is None
    )
