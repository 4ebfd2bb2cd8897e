"""What this machine adds to the key of a wheel, asked of the same programs as the plan asks."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rocmdoctor import wheel_key
from rocmdoctor.applying.chores.running import ChoreError, output

_PYTHON = "import sys; print('%d.%d' % sys.version_info[:2])"


def parts(given: Mapping[str, Any], env: str) -> dict[str, Any]:
    """Everything that shapes the wheel here. Raises ChoreError where the environment has no Python."""
    python = (output([f"{env}/bin/python", "-I", "-c", _PYTHON]) or "").strip()
    if not python:
        raise ChoreError(f"{env}/bin/python does not start; make the environment anew")
    roots = wheel_key.rocm_roots(given["variables"])
    hipcc = wheel_key.hipcc_version([output(wheel_key.hipcc_question(root)) for root in roots])
    cxx = wheel_key.first_line(output(wheel_key.CXX_QUESTION))
    return wheel_key.shape(given, python, hipcc, cxx, wheel_key.first_line(output(wheel_key.LIBC_QUESTION)))


def variables(given: Mapping[str, Any], env: str) -> dict[str, str]:
    """What a build finds in its environment: the programs of the Python environment first, then ROCm's."""
    named = dict(given["variables"])
    folders = [f"{env}/bin", *(f"{root}/bin" for root in wheel_key.rocm_roots(named) if root != "/usr")]
    path = [folder for folder in folders if Path(folder).is_dir()]
    return {
        "VIRTUAL_ENV": env,
        "SOURCE_DATE_EPOCH": "315532800",  # what lies in a wheel has its time: zip knows none before 1980
        **named,
        "PATH": ":".join([*path, named.get("PATH", os.environ.get("PATH", "/usr/bin:/bin"))]),
    }
