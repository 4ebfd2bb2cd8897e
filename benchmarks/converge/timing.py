"""Runs programs in turn inside the machine, so that what else happens there hits all of them alike.

    python3 timing.py FILE     FILE: {"runs": 9, "programs": [{"name", "argv", "env", "user", "cwd"}, ...]}

Prints one JSON line a run: name, seconds on the clock and of processor time, exit code, stdout, stderr. The first run of each
fills the caches and is marked so.
"""

from __future__ import annotations

import json
import os
import pwd
import resource
import subprocess
import sys
import time
from pathlib import Path
from typing import Any


def _children() -> float:
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def timed(program: dict[str, Any]) -> dict[str, Any]:
    """One run of a program, as its user."""
    user = pwd.getpwnam(program["user"])
    env = {"PATH": os.environ["PATH"], "LANG": "C.UTF-8", "HOME": user.pw_dir, **program["env"]}
    who = {} if user.pw_uid == os.getuid() else {
        "user": user.pw_uid, "group": user.pw_gid, "extra_groups": os.getgrouplist(user.pw_name, user.pw_gid)
    }  # fmt: skip
    used, began = _children(), time.perf_counter()
    done = subprocess.run(
        program["argv"],
        env=env,
        cwd=program["cwd"],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        check=False,
        **who,
    )
    wall, cpu = time.perf_counter() - began, _children() - used
    out, err = done.stdout.decode(errors="replace"), done.stderr.decode(errors="replace")
    return {
        "name": program["name"],
        "wall": wall,
        "cpu": cpu,
        "code": done.returncode,
        "out": out,
        "err": err,
    }


def main() -> None:
    """All programs, `runs` times in turn after one round that does not count."""
    wish = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))
    for number in range(wish["runs"] + 1):
        for program in wish["programs"]:
            print(json.dumps({**timed(program), "counts": number > 0}), flush=True)


if __name__ == "__main__":
    main()
