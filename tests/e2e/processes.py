"""Programs with a time limit that reaches their children, too."""

from __future__ import annotations

import json
import os
import signal
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any


def bounded(
    argv: Sequence[str | Path],
    seconds: float = 60,
    env: Mapping[str, str] | None = None,
    cwd: Path | None = None,
    given: str | None = None,
) -> subprocess.CompletedProcess[str]:
    """What a program printed. Past the limit its whole session is ended and TimeoutExpired raised."""
    with subprocess.Popen(
        [str(a) for a in argv],
        stdin=subprocess.PIPE if given is not None else subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        errors="backslashreplace",
        env=env,
        cwd=cwd,
        start_new_session=True,
    ) as proc:
        try:
            out, err = proc.communicate(given, timeout=seconds)
        except BaseException:
            for number in (signal.SIGTERM, signal.SIGKILL):
                os.killpg(proc.pid, number)
                try:
                    proc.wait(5)
                except subprocess.TimeoutExpired:
                    continue
                break
            raise
    return subprocess.CompletedProcess(argv, proc.returncode, out, err)


def good(argv: Sequence[str | Path], seconds: float = 60, **more) -> str:
    """The output of a program that must succeed."""
    done = bounded(argv, seconds, **more)
    assert done.returncode == 0, (
        f"{argv}: exit code {done.returncode}\n{done.stdout[-3000:]}\n{done.stderr[-3000:]}"
    )
    return done.stdout


def envelope_of(done: subprocess.CompletedProcess[str]) -> dict[str, Any]:
    """What a verb says under --json; it may have talked on stderr, but not of a traceback."""
    assert "Traceback" not in done.stdout + done.stderr, done.stderr[-3000:]
    try:
        envelope: dict[str, Any] = json.loads(done.stdout)
    except ValueError:
        raise AssertionError(
            f"exit code {done.returncode}\n{done.stdout[-2000:]}\n{done.stderr[-3000:]}"
        ) from None
    assert envelope["exit_code"] == done.returncode, envelope
    return envelope
