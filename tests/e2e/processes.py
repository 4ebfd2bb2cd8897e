"""Programs with a time limit that reaches their children, too."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path


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
