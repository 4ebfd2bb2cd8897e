"""A wheel of the cache into an environment."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rocmdoctor import protection, wheel_key
from rocmdoctor.applying import wheels
from rocmdoctor.applying.chores import shape
from rocmdoctor.applying.chores.running import ChoreError, run
from rocmdoctor.applying.wheels import CacheError, DamagedError


def install(
    *,
    given: Mapping[str, Any],
    env: str,
    cache: str,
    name: str,
    version: str,
    origin: Mapping[str, Any] | None = None,  # noqa: ARG001 - the plan says it, for its lock
) -> None:
    """Installs the wheel that the cache has for these parts. Raises ChoreError, OSError."""
    key = wheel_key.digest(shape.parts(given, env))
    try:
        entry = wheels.find(cache, key)
    except DamagedError as error:
        aside = wheels.set_aside(cache, key)
        raise ChoreError(f"{error}. It was set aside as {aside}; install again builds it anew") from error
    except CacheError as error:
        raise ChoreError(str(error)) from error
    if entry is None:
        raise ChoreError(
            f"the cache has no wheel of {name} {version} for this Python, compiler and C library ({key}); install again"
            " builds it"
        )
    wheel = wheels.folder_of(cache) / key / entry.wheel
    wheels.used(wheel.parent)
    pip = [
        f"{env}/bin/python",
        "-I",
        "-m",
        "pip",
        "install",
        "--no-input",
        "--disable-pip-version-check",
        "--no-user",
    ]
    # The environment's own constraints name the version that this one may take the place of.
    held = Path(env, protection.CONSTRAINTS).exists()
    run(
        [*pip, "--no-deps", "--no-index", "--force-reinstall", str(wheel)],
        env,
        {"PIP_CONSTRAINT": os.devnull} if held else None,
        what=f"pip install {entry.wheel}",
    )
