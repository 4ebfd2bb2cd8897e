"""Programs that outlived a run which was killed: a package manager is let finish, anything else is ended."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from rocmdoctor.applying import lock
from rocmdoctor.applying.journal import boot_id
from rocmdoctor.applying.programs import GRACE
from rocmdoctor.applying.stopping import AFTER_THIS, Stop

_FILE = "running.json"
_POLL = 0.2


@contextmanager
def noted(folder: Path, finish: bool) -> Iterator[Callable[[int], None]]:  # noqa: FBT001 - a fact, not a switch
    """While a program runs, its number stands in the run's folder."""
    path = folder / _FILE

    def started(pid: int) -> None:
        said = {"pid": pid, "boot": boot_id(), "finish": finish, "began": _began(pid)}
        with contextlib.suppress(OSError):
            path.write_text(json.dumps(said), encoding="ascii")

    try:
        yield started
    finally:
        with contextlib.suppress(OSError):
            path.unlink(missing_ok=True)


def settle(folder: Path, stop: Stop, on_line: Callable[[str], None], seconds: float) -> bool:
    """Sees to it that nothing of an earlier run is still at work. False when that did not come about in time."""
    path = folder / _FILE
    try:
        said: Any = json.loads(path.read_text(encoding="ascii"))
        pid, finish, began = int(said["pid"]), bool(said["finish"]), float(said["began"])
        here = said["boot"] == boot_id()
    except FileNotFoundError:
        return True
    except (OSError, ValueError, TypeError, KeyError):
        here, pid, finish, began = False, 0, False, 0.0
    until = time.monotonic() + (seconds if finish else GRACE)
    asked = False
    while here and (members := _members(pid, began)):
        if time.monotonic() >= until or stop.wish() >= AFTER_THIS:
            if finish:
                return False
            _end(members, signal.SIGKILL)
            return True
        on_line(f"waits for {lock.process(members[0])}, which an interrupted run left behind")
        if not finish and not asked:
            _end(members, signal.SIGTERM)
            asked = True
        time.sleep(_POLL)
    path.unlink(missing_ok=True)
    return True


def _began(pid: int) -> float:
    """Seconds from the start of the machine to that of the process: a clock that is set does not change them."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text(encoding="ascii", errors="replace")
        return int(text.rpartition(")")[2].split()[19]) / os.sysconf("SC_CLK_TCK")
    except (OSError, ValueError, IndexError):
        return time.clock_gettime(time.CLOCK_BOOTTIME)


def _members(session: int, began: float) -> list[int]:
    """Processes of the program's session, unless that number belongs to an older or a newer one by now."""
    import psutil  # noqa: PLC0415

    found = []
    for pid in psutil.pids():
        with contextlib.suppress(psutil.Error, OSError):
            if os.getsid(pid) != session:
                continue
            if psutil.Process(pid).status() != psutil.STATUS_ZOMBIE and _began(pid) >= began:
                found.append(pid)
    if session in found and _began(session) != began:
        return []
    return found


def _end(members: list[int], number: int) -> None:
    for pid in members:
        with contextlib.suppress(OSError):
            os.kill(pid, number)
