"""The key that a built wheel is kept under: a digest of everything that shaped it. Pure, standard library only.

It is made twice: by the plan, which wants to know whether the wheel is there already, and by the build, which keeps it.
Both ask the same programs, in an environment that is the same for both.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

KEY = re.compile(r"[0-9a-f]{32}")
# The variables of whoever asks must not decide what a compiler says of itself.
_CLEAN = ("env", "-i", "PATH=/usr/local/bin:/usr/bin:/bin", "LC_ALL=C", "HIP_PLATFORM=amd")
_ROOTS = ("/opt/rocm", "/usr")
NONE = "none"


def rocm_roots(variables: Mapping[str, str]) -> tuple[str, ...]:
    """Where a build looks for ROCm's compiler, the first first."""
    named = [
        variables[name] for name in ("ROCM_PATH", "ROCM_HOME") if variables.get(name, "").startswith("/")
    ]
    return tuple(dict.fromkeys((*named, *_ROOTS)))


def hipcc_question(root: str) -> tuple[str, ...]:
    """What tells the version of the GPU compiler below a folder."""
    return (*_CLEAN, f"{root}/bin/hipcc", "--version")


CXX_QUESTION = (*_CLEAN, "c++", "--version")
LIBC_QUESTION = (*_CLEAN, "getconf", "GNU_LIBC_VERSION")


def hipcc_version(texts: Sequence[str | None]) -> str:
    """The version by the first compiler that answered, as told by its lines; None stands for one that did not."""
    for text in texts:
        told = re.findall(r"HIP version: *\S+|clang version \S+", text or "")
        if told:
            return ", ".join(told)
    return NONE


def first_line(text: str | None) -> str:
    """What a program says of itself, `none` where there is none."""
    lines = (text or "").strip().splitlines()
    return lines[0].strip() if lines else NONE


def shape(given: Mapping[str, Any], python: str, hipcc: str, cxx: str, libc: str) -> dict[str, Any]:
    """Everything that shapes a wheel. `given` is what the recipe says, the rest is what the machine has."""
    return {**given, "python": python, "hipcc": hipcc, "cxx": cxx, "libc": libc}


def digest(parts: Mapping[str, Any]) -> str:
    """The key of these parts: 32 hexadecimal digits."""
    text = json.dumps(parts, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
    return hashlib.sha256(text.encode("ascii")).hexdigest()[:32]
