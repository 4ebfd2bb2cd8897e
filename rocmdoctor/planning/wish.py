"""The versions that a person asks for. Pure."""

from __future__ import annotations

import re

from packaging.specifiers import SpecifierSet


def versions(text: str) -> SpecifierSet:
    """What `6.0.2`, `6.4`, `6.*` or `>=6.2,<7` mean. Raises InvalidSpecifier.

    A series names its newest release, a release with three numbers only itself.
    """
    said = text.strip()
    if re.fullmatch(r"\d+(?:\.\d+){2,}", said):
        return SpecifierSet(f"=={said}")
    if re.fullmatch(r"\d+(?:\.\d+)?(?:\.\*)?", said):
        return SpecifierSet(f"=={said.removesuffix('.*')}.*")
    return SpecifierSet(said or "none")
