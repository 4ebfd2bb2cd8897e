"""The doctor of this checkout, run on this machine with a home and a PATH of the test's own."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tests.conftest import CHECKOUT
from tests.e2e.processes import bounded

PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


def doctor(
    home: Path, *argv: str | Path, env: Mapping[str, str] | None = None, seconds: float = 60
) -> subprocess.CompletedProcess[str]:
    """`rocmdoctor ARGV`; never with a traceback."""
    settings = {
        "PATH": PATH,
        "HOME": str(home),
        "PYTHONPATH": str(CHECKOUT),
        "LANG": "C.UTF-8",
        **(env or {}),
    }
    done = bounded([sys.executable, "-m", "rocmdoctor", *argv], seconds, env=settings, cwd=home)
    assert "Traceback" not in done.stdout + done.stderr, done.stderr[-3000:]
    assert done.returncode != 70, done.stderr[-3000:]
    return done


def check(home: Path, *argv: str | Path, **more: Any) -> dict[str, Any]:
    """The envelope of `check`."""
    envelope: dict[str, Any] = json.loads(doctor(home, "check", "--json", *argv, **more).stdout)
    return envelope
