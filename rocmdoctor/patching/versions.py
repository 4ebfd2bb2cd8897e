"""Which version a tree of sources calls itself, and where it says so."""

from __future__ import annotations

import ast
import re
import sys

from packaging.version import InvalidVersion, Version

from rocmdoctor.frozen import frozen
from rocmdoctor.patching.python_ast import parsed
from rocmdoctor.patching.values import Tree

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

# v0.16.2-14-gf8c9f314f, of git describe --long
_DESCRIBED = re.compile(r"v?(.+)-(\d+)-g([0-9a-f]+)")


@frozen
class Said:
    """A version, "" where nobody says it, and the file or program that says it."""

    version: str
    by: str


class OtherProjectError(Exception):
    """A tree that calls itself another project."""


def paths(project: str) -> tuple[str, ...]:
    """The files of a tree that can say it."""
    inside = project.replace("-", "_")
    return (
        "PKG-INFO",
        "METADATA",
        "version.txt",
        "VERSION",
        "setup.py",
        "pyproject.toml",
        f"src/{inside}/__init__.py",
        f"{inside}/__init__.py",
    )


def version_of(project: str, tree: Tree, described: str = "") -> Said:
    """The version of a tree. `described` is what `git describe --long` says of it. Raises OtherProjectError.

    An sdist has PKG-INFO. In a checkout the last tag says more than a file, which is changed before a release or after.
    """
    for path in ("PKG-INFO", "METADATA"):
        if path in tree:
            name, version = _metadata(tree[path])
            if name and _plain(name) != _plain(project):
                raise OtherProjectError(f"its {path} says that it is {name} {version}".rstrip())
            if _good(version):
                return Said(version, path)
    match = _DESCRIBED.fullmatch(described)
    if match and _good(match.group(1)):
        more = f"+{match.group(2)}.g{match.group(3)}" if match.group(2) != "0" else ""
        return Said(f"{match.group(1)}{more}", "git describe")
    for path in paths(project)[2:]:
        version = _of_file(path, tree.get(path))
        if _good(version):
            return Said(version, path)
    return Said("", "")


def _plain(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def _good(version: str) -> bool:
    try:
        Version(version[:200])
    except InvalidVersion:
        return False
    return len(version) < 200


def _metadata(text: str) -> tuple[str, str]:
    said = dict(re.findall(r"^(Name|Version):[ \t]*(\S+)", text.partition("\n\n")[0], re.MULTILINE))
    return said.get("Name", ""), said.get("Version", "")


def _of_file(path: str, text: str | None) -> str:
    if text is None:
        return ""
    if path in ("version.txt", "VERSION"):
        return text.strip()
    if path == "pyproject.toml":
        return _of_pyproject(text)
    module = parsed(text)
    return _literal(module) if module is not None else ""


def _of_pyproject(text: str) -> str:
    try:
        said = tomllib.loads(text).get("project", {}).get("version", "")
    except (tomllib.TOMLDecodeError, AttributeError):
        return ""
    return said if isinstance(said, str) else ""


def _literal(module: ast.Module) -> str:
    """Of setup.py `setup(version="1.0")`, of __init__.py `__version__ = "1.0"`."""
    for node in ast.walk(module):
        value: ast.expr | None = None
        if isinstance(node, ast.Call) and getattr(node.func, "attr", getattr(node.func, "id", "")) == "setup":
            value = next((word.value for word in node.keywords if word.arg == "version"), None)
        elif isinstance(node, ast.Assign) and getattr(node.targets[0], "id", "") == "__version__":
            value = node.value
        if isinstance(value, ast.Constant) and isinstance(value.value, str):
            return value.value
    return ""
