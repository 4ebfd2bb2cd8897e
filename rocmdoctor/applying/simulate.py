"""Reads what apt-get says that it would do. Pure."""

from __future__ import annotations

import re

# Source: apt apt-pkg/algorithms.cc, pkgSimulate::Remove and ::RealConfigure; a purge prints Purg.
_REMOVES = re.compile(r"^(?:Remv|Purg) (?P<name>\S+)(?: |$)", re.MULTILINE)
_INSTALLS = re.compile(r"^Inst (?P<name>\S+)(?: |$)", re.MULTILINE)


def removals(text: str) -> tuple[str, ...]:
    """Packages that `apt-get -s` says would go, in its order, each once; those of another architecture with `:arch`."""
    return tuple(dict.fromkeys(found["name"] for found in _REMOVES.finditer(text)))


def installs(text: str) -> tuple[str, ...]:
    """Packages that `apt-get -s` says would be unpacked, new and newer ones."""
    return tuple(dict.fromkeys(found["name"] for found in _INSTALLS.finditer(text)))


def not_agreed(text: str, agreed: tuple[str, ...]) -> tuple[str, ...]:
    """Packages that would go and that nobody agreed to."""
    known = {name.partition("=")[0] for name in agreed}
    return tuple(name for name in removals(text) if name not in known)
