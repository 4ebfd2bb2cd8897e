"""Does something in a child that has become the user: what a user's files point to then reaches no further than the user.

The child is ours and forked, has its own session, dies with us, and answers with one JSON value a line.
"""

from __future__ import annotations

import contextlib
import ctypes
import json
import os
import select
import signal
import sys
import time
import warnings
from collections.abc import Callable, Iterator
from typing import Any, NoReturn

from rocmdoctor.actions import Person
from rocmdoctor.applying.programs import GRACE, identity
from rocmdoctor.applying.stopping import AFTER_THIS, Stop

Tell = Callable[[str], None]
_PR_SET_PDEATHSIG = 1
_HEARTBEAT = 1.0


class ChildError(Exception):
    """What the child could not do, in its own words. `errno` where it was the system that refused."""

    def __init__(self, message: str, errno: int = 0) -> None:
        super().__init__(message)
        self.errno = errno


class ChildStoppedError(Exception):
    """The child was ended; the argument is timeout or stopped."""


def somebody_else(person: Person | None) -> bool:
    """The person is not who we are."""
    return person is not None and person.uid != os.geteuid()


def apart(
    function: Callable[[Tell], Any],
    *,
    person: Person | None,
    seconds: float = 60.0,
    on_line: Callable[[str], None] | None = None,
    stop: Stop | None = None,
) -> Any:
    """What `function(tell)` returns, as JSON carries it, from a child that has become the person.

    What it tells goes to `on_line`. Raises ChildError, ChildStoppedError, ProgramError.
    """
    who = identity(person) if person is not None and somebody_else(person) else None
    reader, writer = os.pipe()
    ours = os.getpid()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        child = os.fork()
    if child == 0:
        os.close(reader)
        _child(writer, who, person, ours, function)
    os.close(writer)
    try:
        return _answer(reader, time.monotonic() + seconds, on_line or (lambda _line: None), stop or Stop())
    finally:
        os.close(reader)
        _leave(child)


def _answer(reader: int, until: float, on_line: Callable[[str], None], stop: Stop) -> Any:
    last = ""
    for said in _values(reader, until, stop):
        if said is None:
            on_line(last)
        elif "told" in said:
            last = str(said["told"])
            on_line(last)
        elif "error" in said:
            raise ChildError(str(said["error"]), int(said["errno"]))
        else:
            return said["value"]
    raise ChildError("the process that was to do it ended without a word")


def _values(reader: int, until: float, stop: Stop) -> Iterator[Any]:
    """What the child says; None once a second where it says nothing."""
    rest = b""
    beat = time.monotonic() + _HEARTBEAT
    while True:
        if stop.wish() >= AFTER_THIS:
            raise ChildStoppedError("stopped")
        now = time.monotonic()
        if now >= until:
            raise ChildStoppedError("timeout")
        if now >= beat:
            beat = now + _HEARTBEAT
            yield None
        if not select.select([reader], [], [], 0.1)[0]:
            continue
        if not (data := os.read(reader, 1 << 16)):
            return
        *whole, rest = (rest + data).split(b"\n")
        yield from map(json.loads, whole)


def _leave(child: int) -> None:
    """Ends the child, which has said all or is not wanted any more, and waits only a moment for it."""
    until = time.monotonic() + GRACE / 5
    with contextlib.suppress(OSError):
        os.kill(child, signal.SIGKILL)
    while time.monotonic() < until:
        with contextlib.suppress(ChildProcessError):
            if not os.waitpid(child, os.WNOHANG)[0]:
                time.sleep(0.002)
                continue
        return


def _child(
    writer: int,
    who: tuple[int, int, list[int]] | None,
    person: Person | None,
    parent: int,
    function: Callable[[Tell], Any],
) -> NoReturn:
    try:
        _become(who, person, parent)
        answer: dict[str, Any] = {"value": function(lambda line: _say(writer, {"told": line}))}
    except OSError as error:
        answer = {
            "error": f"{error.filename or ''}: {error.strerror}".lstrip(": "),
            "errno": error.errno or 0,
        }
    except BaseException as error:  # noqa: BLE001 - a forked child must not run the parent's clean-up
        answer = {"error": str(error) or type(error).__name__, "errno": 0}
    with contextlib.suppress(BaseException):
        _say(writer, answer)
        sys.stderr.flush()
    os._exit(0)


def _become(who: tuple[int, int, list[int]] | None, person: Person | None, parent: int) -> None:
    os.setsid()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_DFL)
    os.umask(0o022)
    if who is not None and person is not None:
        uid, gid, groups = who
        os.setgroups(groups)
        os.setresgid(gid, gid, gid)
        os.setresuid(uid, uid, uid)
        os.environ.update(HOME=person.home, USER=person.name, LOGNAME=person.name)
        os.chdir("/")
    # After the change of user, which clears it. Without it a killed run would leave a download behind that still writes.
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        os._exit(1)


def _say(writer: int, value: dict[str, Any]) -> None:
    data = json.dumps(value).encode() + b"\n"
    while data:
        data = data[os.write(writer, data) :]
