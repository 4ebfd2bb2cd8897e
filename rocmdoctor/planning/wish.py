"""What a person asks for among the releases of recipes. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace

from packaging.specifiers import SpecifierSet
from packaging.version import Version

from rocmdoctor.actions import Request
from rocmdoctor.recipe import Release

# The component whose release --rocm names, and the sources that --rocm-source and --driver choose among. `kept` is a
# driver of DKMS that is here already.
ROCM = "rocm"
ROCM_SOURCES = ("amd", "distro", "pip")
DRIVER_SOURCES: Mapping[str, tuple[str, ...]] = {"dkms": ("dkms", "kept"), "kernel": ("kernel",)}
# What a user can install alone.
ALONE = "pip"
_DRIVERS = ("dkms", "kept", "kernel")


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


def unwished(component: str, release: Release, version: str | None, request: Request) -> str | None:
    """Why a release is not what was asked for, None when it is. `version` is what it is of what is here already."""
    if release.source in ROCM_SOURCES and request.rocm_source not in (None, release.source):
        return f"it comes from '{release.source}', and '{request.rocm_source}' was asked for"
    if release.source in _DRIVERS and release.source not in DRIVER_SOURCES.get(
        request.driver or "", _DRIVERS
    ):
        return f"it comes from '{release.source}', and '{request.driver}' was asked for"
    if component == ROCM and request.rocm and not _within(request.rocm, version or release.version):
        return f"'{request.rocm}' was asked for"
    return None


def _within(wish: str, version: str) -> bool:
    return versions(wish).contains(Version(version), prereleases=True)


def unasked(release: Release, request: Request) -> str | None:
    """Why wheels are not taken: they are for whoever has no root, and for who asks for them."""
    if release.source != ALONE or request.no_root or request.rocm_source == ALONE:
        return None
    return f"it is taken with --no-root, or when it is asked for: --rocm-source {ALONE}"


def untrusted(release: Release, request: Request) -> str | None:
    """Why a release that is taken only when it is asked for is not taken."""
    if not release.untrusted or (request.rocm and request.trust_key):
        return None
    return f"{release.untrusted}; --rocm {release.version} --trust-key FPR takes it"


def wishes(request: Request) -> dict[str, Request]:
    """What could be given up: each wish in words, with the request without it."""
    found: dict[str, Request] = {}
    if request.rocm:
        found[f"--rocm {request.rocm}"] = replace(request, rocm=None)
    if request.rocm_source:
        found[f"--rocm-source {request.rocm_source}"] = replace(request, rocm_source=None)
    if request.driver not in (None, "auto"):
        found[f"--driver {request.driver}"] = replace(request, driver=None)
    return found
