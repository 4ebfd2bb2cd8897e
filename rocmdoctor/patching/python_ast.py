"""Looking into Python sources without running them: what the state.py files of projects ask."""

from __future__ import annotations

import ast
from collections.abc import Iterator

Function = ast.FunctionDef | ast.AsyncFunctionDef


def parsed(text: str | None) -> ast.Module | None:
    """The syntax of a file, None where there is none or it is no Python."""
    if text is None:
        return None
    try:
        return ast.parse(text)
    except (SyntaxError, ValueError, RecursionError):
        return None


def function(node: ast.AST, *names: str) -> Function | None:
    """The first function of one of these names, wherever it stands."""
    for name in names:
        for item in ast.walk(node):
            if isinstance(item, ast.FunctionDef | ast.AsyncFunctionDef) and item.name == name:
                return item
    return None


def calls(node: ast.AST, name: str) -> bool:
    """Whether something of this name, or an attribute of this name, is called in it."""
    for item in ast.walk(node):
        if isinstance(item, ast.Call):
            called = item.func
            found = called.attr if isinstance(called, ast.Attribute) else getattr(called, "id", "")
            if found == name:
                return True
    return False


def caught(node: ast.AST) -> Iterator[str]:
    """The names of exceptions that are caught in it, "" for all."""
    for item in ast.walk(node):
        if isinstance(item, ast.ExceptHandler):
            kinds = item.type.elts if isinstance(item.type, ast.Tuple) else [item.type]
            for kind in kinds:
                yield getattr(kind, "attr", getattr(kind, "id", ""))


def top_imports(module: ast.Module) -> Iterator[str]:
    """Packages that importing the module imports without a `try` around."""
    yield from _imports(module.body)


def guarded_imports(module: ast.Module) -> Iterator[str]:
    """Packages that importing the module imports in a `try`, so that it can do without."""
    for item in module.body:
        if isinstance(item, ast.Try):
            yield from _imports(item.body)


def _imports(body: list[ast.stmt]) -> Iterator[str]:
    for item in body:
        if isinstance(item, ast.Import):
            yield from (alias.name.partition(".")[0] for alias in item.names)
        elif isinstance(item, ast.ImportFrom) and not item.level:
            yield (item.module or "").partition(".")[0]


def texts(node: ast.AST) -> Iterator[str]:
    """Every text constant in it but docstrings."""
    docs = {
        id(item.body[0].value)
        for item in ast.walk(node)
        if isinstance(item, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef)
        and item.body
        and isinstance(item.body[0], ast.Expr)
    }
    for item in ast.walk(node):
        if isinstance(item, ast.Constant) and isinstance(item.value, str) and id(item) not in docs:
            yield item.value
