"""The Python environment that is planned for, and which Pythons it could be made with. Pure."""

from __future__ import annotations

from rocmdoctor.actions import Request
from rocmdoctor.diagnosis.known import Known
from rocmdoctor.facts.python_env import MANAGED, PythonEnv
from rocmdoctor.facts.pythons import Pythons
from rocmdoctor.recipe import Release

# The recipe whose release is the environment's Python, and the sources of its releases.
PYTHON = "python"
ENVIRONMENT, SYSTEM, UV = "environment", "system", "uv"


def folder(request: Request, home: str) -> str:
    """The environment's folder."""
    return request.env.rstrip("/") if request.env else f"{home}/{MANAGED}"


def environment(request: Request, known: Known) -> PythonEnv | None:
    """The environment that is planned for, where it is there already."""
    found = known.maybe(PythonEnv)
    if found is None or found.kind in ("missing", "system"):
        return None
    mine = found.prefix == request.env.rstrip("/") if request.env else found.prefix.endswith(f"/{MANAGED}")
    return found if mine else None


def python_here(request: Request, known: Known) -> str | None:
    """The Python of the environment that is there already."""
    found = environment(request, known)
    return ".".join(map(str, found.python)) if found is not None and found.python else None


def unavailable(release: Release, known: Known, request: Request) -> str | None:
    """Why an environment cannot have this Python."""
    there = environment(request, known)
    if there is not None:
        python = ".".join(map(str, there.python)) if there.python else None
        if python is None:
            return f"which Python the environment {there.prefix} has cannot be told"
        if python != release.version:
            return f"the environment {there.prefix} has Python {python}; --env names another one"
        return None if release.source == ENVIRONMENT else f"the environment {there.prefix} is there already"
    if release.source == ENVIRONMENT:
        return "no environment is there yet"
    found = known.maybe(Pythons)
    if found is None:
        return f"which interpreters are here cannot be told ({known.why(Pythons)})"
    if release.source == SYSTEM and release.version not in found.interpreters:
        return f"no python{release.version} is installed"
    if release.source == UV and not found.uv:
        return "uv is not here"
    return None
