"""What a person asks for among the releases of recipes. Pure."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from dataclasses import replace

from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.version import Version

from rocmdoctor.actions import Request
from rocmdoctor.planning.interpreter import PYTHON
from rocmdoctor.recipe import Release

# The component whose release --rocm names, and the sources that --rocm-source and --driver choose among. `kept` is a
# driver of DKMS that is here already.
ROCM = "rocm"
ROCM_SOURCES = ("amd", "distro", "pip")
DRIVER_SOURCES: Mapping[str, tuple[str, ...]] = {"dkms": ("dkms", "kept"), "kernel": ("kernel",)}
# What a user can install alone.
ALONE = "pip"
# Releases that are built, and the one that means that a component is left out of the plan.
BUILT, NONE = ("source", "checkout"), "none"
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


def component_of(requirement: str) -> str:
    """The component that a requirement such as `torch==2.9.*` is about."""
    return re.sub(r"[-_.]+", "-", Requirement(requirement).name).lower()


def pinned(component: str, pins: Collection[str]) -> tuple[str, ...]:
    """The requirements that are about a component."""
    return tuple(pin for pin in pins if component_of(pin) == component)


def unwished(
    component: str, release: Release, version: str | None, request: Request, pins: Collection[str]
) -> str | None:
    """Why a release is not what was asked for, None when it is. `version` is what it is of what is here already.

    `pins` are those of the request and those of the stacks.
    """
    if release.source in ROCM_SOURCES and request.rocm_source not in (None, release.source):
        return f"it comes from '{release.source}', and '{request.rocm_source}' was asked for"
    if release.source in _DRIVERS and release.source not in DRIVER_SOURCES.get(
        request.driver or "", _DRIVERS
    ):
        return f"it comes from '{release.source}', and '{request.driver}' was asked for"
    if component == ROCM and request.rocm and not _within(request.rocm, version or release.version):
        return f"'{request.rocm}' was asked for"
    if component == PYTHON and request.python and not _within(request.python, release.version):
        return f"'{request.python}' was asked for"
    for pin in pinned(component, pins):
        if not Requirement(pin).specifier.contains(Version(version or release.version), prereleases=True):
            whose = "was asked for" if pin in request.pins else "is what the stack is held to"
            return f"'{pin}' {whose}"
    if component in request.from_source and release.source not in BUILT:
        return f"--from-source {component} was asked for"
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


def unpinned(component: str, release: Release, pins: Collection[str]) -> str | None:
    """Why a release that is taken only where its version is named is not taken."""
    if not release.pinned or pinned(component, pins):
        return None
    return f"{release.pinned}; --pin {component}=={release.version} takes it"


def named(component: str, request: Request) -> str | None:
    """The words that ask for a component itself, so that it may not be left out."""
    if component in (*request.targets, *request.more):
        return f"{component} was asked for"
    if component in request.from_source:
        return f"--from-source {component} was asked for"
    pins = pinned(component, request.pins)
    return f"'{pins[0]}' was asked for" if pins else None


def wishes(request: Request) -> dict[str, Request]:
    """What could be given up: each wish in words, with the request without it."""
    found: dict[str, Request] = {}
    if request.rocm:
        found[f"--rocm {request.rocm}"] = replace(request, rocm=None)
    if request.rocm_source:
        found[f"--rocm-source {request.rocm_source}"] = replace(request, rocm_source=None)
    if request.driver not in (None, "auto"):
        found[f"--driver {request.driver}"] = replace(request, driver=None)
    if request.python:
        found[f"--python {request.python}"] = replace(request, python=None)
    for value in request.pins:
        found[f"--pin {_quoted(value)}"] = replace(request, pins=_but(request.pins, value))
    for value in request.more:
        found[f"--with {value}"] = replace(request, more=_but(request.more, value))
    for value in request.from_source:
        found[f"--from-source {value}"] = replace(request, from_source=_but(request.from_source, value))
    return found


def _but(values: tuple[str, ...], value: str) -> tuple[str, ...]:
    return tuple(other for other in values if other != value)


def _quoted(value: str) -> str:
    return f"'{value}'" if re.search(r"[<>*!~]", value) else value
