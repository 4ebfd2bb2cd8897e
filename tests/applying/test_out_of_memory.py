"""Compilers that the kernel kills for real: the build runs in a group whose memory does for one of them and not for two.

The compiler is the machine's own. It is fed its source through a pipe that stays open until every compiler has read all,
so that they need their memory at the same time.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.applying.test_wheel_build import House, archive
from tests.conftest import CHECKOUT
from tests.needs import needs

pytestmark = [
    pytest.mark.touches_machine,
    pytest.mark.timeout(900),
    needs("cc"),
    pytest.mark.skipif(os.geteuid() != 0, reason="needs root, who may limit the memory of a group"),
]
_LIMIT, _EACH = 560 << 20, 320 << 20
_HOOK = f"""
import os, subprocess
jobs = [subprocess.Popen(["cc", "-x", "c", "-c", "-", "-o", f"{{n}}.o"], stdin=subprocess.PIPE)
        for n in range(int(os.environ["MAX_JOBS"]))]
block = b"/*" + bytes([120]) * ((1 << 20) - 4) + b"*/"
for job in jobs:
    try:
        for _ in range({_EACH >> 20}):
            job.stdin.write(block)
        job.stdin.flush()
    except BrokenPipeError:
        pass
for job in jobs:
    try:
        job.stdin.close()
    except BrokenPipeError:
        pass
if any([job.wait() for job in jobs]):
    raise SystemExit(1)
"""
_RUN = """
import json, os, sys
from pathlib import Path
group, home, state, given = sys.argv[1:]
Path(group, "cgroup.procs").write_text(str(os.getpid()))
from tests.applying.here import MEANS, done_here, planned_here
from rocmdoctor.applying.chores.jobs import available_mb
free = available_mb()
bench, outcome = done_here(Path(state), planned_here(Path(home), "wheel.build", **json.loads(given)))
said = [outcome.message]
while outcome.state == "failed" and len(said) < 4:
    outcome = bench.run(MEANS)
    said.append(outcome.message)
print(json.dumps({"free": free, "state": outcome.state, "said": said, "events": bench.said}))
"""


@pytest.fixture
def group() -> Iterator[Path]:
    """A group of the kernel's with little memory, of either version."""
    top = Path("/sys/fs/cgroup")
    first = top / "memory" if (top / "memory").is_dir() else top
    folder = first / f"rocmdoctor-{uuid.uuid4().hex[:8]}"
    try:
        folder.mkdir()
    except OSError as error:
        pytest.skip(f"no group can be made in {first}: {error.strerror}")
    try:
        limit = folder / ("memory.limit_in_bytes" if first.name == "memory" else "memory.max")
        if not limit.exists():
            pytest.skip(f"{first} limits no memory")
        limit.write_text(str(_LIMIT))
        yield folder
    finally:
        _gone(folder)


def _gone(folder: Path) -> None:
    """Takes the group away once the last of its processes is."""
    for _ in range(100):
        try:
            folder.rmdir()
        except OSError:
            time.sleep(0.05)
        else:
            return


@pytest.fixture
def house(tmp_path: Path) -> House:
    subprocess.run([sys.executable, "-m", "venv", tmp_path / "template"], check=True, timeout=600)
    return House(tmp_path, tmp_path / "template")


def test_a_compiler_that_the_kernel_kills(house: House, group: Path) -> None:
    jobs = len(os.sched_getaffinity(0))
    if jobs < 2:
        pytest.skip("needs two processors, so that two compilers run at once")
    url, sha256 = archive(house.mirror, hook_py=_HOOK)
    given = {
        "name": "tiny",
        "version": "1.0",
        "env": "~/env",
        "gfx": ["gfx90a"],
        "url": url,
        "sha256": sha256,
    }
    words = [group, house.home, house.folder / "state", json.dumps({**given, "memory_mb_per_job": 1})]
    done = subprocess.run(
        [sys.executable, "-c", _RUN, *words], cwd=CHECKOUT, capture_output=True, text=True, timeout=800, check=False
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]
    told = json.loads(done.stdout.splitlines()[-1])
    assert told["free"] <= _LIMIT >> 20, "the limit of the group is none of what is free"
    assert told["state"] == "done", told["said"]
    first = told["said"][0]
    assert first.splitlines()[0] == (
        "the build of tiny 1.0 ended with exit code 1: a compiler was killed, as the kernel does when memory runs out;"
        f" resume goes on from there with {jobs // 2} of {jobs} jobs. That is: the memory did not suffice; close other"
        " programs, or add swap, then resume"
    )
    assert "Killed signal terminated program cc1" in first
    begun = [action for event, action in told["events"] if event == "begin"]
    assert begun.count("wheel.build.1") == begun.count("wheel.build.2") == 1
