"""`explain` as a program of its own: pipes, signals, and memory that does not follow the size of the log."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import CHECKOUT

pytestmark = pytest.mark.e2e
LINE = b"Unable to open /dev/kfd read-write: Permission denied\n"
_PEAK = "import resource, runpy, sys; sys.argv[0] = 'rocmdoctor'\ntry: runpy.run_module('rocmdoctor', run_name='__main__')\nfinally: sys.stderr.write(str(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss))"


def _started(*words: str, code: str = "") -> subprocess.Popen[bytes]:
    argv = [
        sys.executable,
        *(["-c", code] if code else ["-m", "rocmdoctor"]),
        "explain",
        "--elsewhere",
        *words,
    ]
    pipe = subprocess.PIPE
    return subprocess.Popen(argv, cwd=CHECKOUT, stdin=pipe, stdout=pipe, stderr=pipe)


def _peak(size: int) -> int:
    """The largest resident set in KiB for so many MiB in one line, with a fault in its middle."""
    child = _started("--json", "-", code=_PEAK)
    piece = b"loss 0.5 step 17 gfx90a " * 2730
    for number in range(size * 16):
        child.stdin.write(piece)
        if number == size * 8:
            child.stdin.write(LINE.strip() + b"; ")
    out, err = child.communicate()
    told = json.loads(out)
    assert told["data"]["diagnoses"][0]["fault"] == "device-permissions"
    assert told["data"]["read"]["lines"] == 1
    return int(err)


def test_memory_does_not_follow_the_size_of_the_log():
    small, large = _peak(1), _peak(24)
    assert large < small + 8 * 1024


def test_a_pipe_is_read_and_the_exit_code_tells():
    child = _started("-")
    out, err = child.communicate(b"all is well\n" + LINE)
    assert (child.returncode, err) == (1, b"")
    assert b"device-permissions" in out


def test_a_fifo_is_read_like_a_file(tmp_path: Path):
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    child = _started(str(fifo))
    fifo.write_bytes(LINE)
    child.communicate(timeout=60)
    assert child.returncode == 1


def test_ctrl_c_ends_it_without_a_traceback():
    child = _started("-")
    # More than a pipe holds: when all is written, it has begun to read.
    child.stdin.write(LINE * 40_000)
    child.stdin.flush()
    child.send_signal(signal.SIGINT)
    _, err = child.communicate(timeout=60)
    assert child.returncode == 130
    assert b"Traceback" not in err
