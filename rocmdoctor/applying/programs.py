"""Runs one program so that it cannot hold us, and keeps what it prints. The only place that uses plumbum.

plumbum's own time limits wait for pipes that grandchildren hold, its decoding drops bytes, and its environment is
always added to what is given: therefore only its commands and `popen` are used, with an empty environment.
"""

from __future__ import annotations

import contextlib
import os
import pwd
import selectors
import shlex
import signal
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import field
from pathlib import Path
from typing import Any

from plumbum.machines.local import LocalCommand, LocalEnv, LocalMachine

from rocmdoctor.actions import Person
from rocmdoctor.applying.output import Output
from rocmdoctor.applying.places import PlaceError, trusted
from rocmdoctor.applying.stopping import AFTER_THIS, AT_ONCE, Stop
from rocmdoctor.frozen import frozen

ROOT_PATH = ("/usr/sbin", "/usr/bin", "/sbin", "/bin")
USER_PATH = ("/usr/local/sbin", "/usr/local/bin", *ROOT_PATH)
GRACE = 5.0  # seconds between asking a group to end and ending it
LINGER = 0.3  # seconds that a pipe is read on after the program itself has ended
TICK = 0.1
HEARTBEAT = 1.0  # at least this often on_line is called, with the line it had before
# Children that outlived SIGKILL; kept so that their finalizers stay silent.
_ABANDONED: list[Any] = []


class ProgramError(Exception):
    """A program that could not be started."""


@frozen
class Ended:
    """How a program ended. `code` is None when it did not end by itself; then `why` is timeout or stopped."""

    code: int | None
    why: str
    seconds: float
    tail: tuple[str, ...]
    kept: str = ""


@frozen
class Order:
    """A program to run. `person`: whom it is run as, when we are root. `finish`: one Ctrl-C does not end it."""

    argv: tuple[str, ...]
    env: Mapping[str, str] = field(default_factory=dict)
    cwd: str = "/"
    person: Person | None = None
    timeout: float = 120.0
    finish: bool = False
    keep: int = 0


class _NothingOfOurs(LocalMachine):
    """plumbum adds this machine's variables to those that a command is given: here there are none."""

    env = LocalEnv()


_NothingOfOurs.env.clear()
_MACHINE = _NothingOfOurs()


class _Command(LocalCommand):
    @property
    def machine(self) -> LocalMachine:
        return _MACHINE


def find(program: str, *, as_root: bool) -> str:
    """The program's path. Root takes it from the system's own folders, or from where only root can write.

    Raises ProgramError.
    """
    if program.startswith("/"):
        if as_root:
            try:
                trusted(Path(program))
            except PlaceError as error:
                raise ProgramError(str(error)) from None
        if os.path.isfile(program) and os.access(program, os.X_OK):  # noqa: PTH113 - beside its like
            return program
        raise ProgramError(f"{program}: no such program")
    folders = ROOT_PATH if as_root else USER_PATH
    for folder in folders if "/" not in program else ():
        path = f"{folder}/{program}"
        if os.access(path, os.X_OK) and not Path(path).is_dir():
            return path
    raise ProgramError(f"{program}: no such program in {' '.join(folders)}")


def environment(person: Person | None, more: Mapping[str, str]) -> dict[str, str]:
    """Nothing of the caller's: the system's PATH, a home, a UTF-8 locale that is always there, and what is named."""
    me = pwd.getpwuid(os.geteuid())
    name, home, as_root = (
        (person.name, person.home, False) if person else (me.pw_name, me.pw_dir, me.pw_uid == 0)
    )
    return {
        "PATH": ":".join(ROOT_PATH if as_root else USER_PATH),
        "HOME": home,
        "USER": name,
        "LOGNAME": name,
        "LANG": "C.UTF-8",
        "LC_ALL": "C.UTF-8",
        **more,
    }


def identity(person: Person) -> tuple[int, int, list[int]]:
    """Number, group and groups of a person as the system has them now. Raises ProgramError."""
    try:
        entry = pwd.getpwuid(person.uid)
    except KeyError:
        raise ProgramError(f"user {person.name} ({person.uid}): no such user on this machine") from None
    if entry.pw_name != person.name:
        raise ProgramError(
            f"user number {person.uid} is {entry.pw_name}, the plan was made for {person.name}"
        )
    return entry.pw_uid, entry.pw_gid, os.getgrouplist(entry.pw_name, entry.pw_gid)


def run(
    order: Order,
    log: Path | None = None,
    on_line: Callable[[str], None] | None = None,
    stop: Stop | None = None,
    started: Callable[[int], None] | None = None,
) -> Ended:
    """Runs a program to its end, or ends it. Raises ProgramError when it cannot be started."""
    output = Output(log, order.keep)
    output.note(f"$ {shlex.join(order.argv)}")
    try:
        begun = time.monotonic()
        proc = _start(order)
        if started:
            started(proc.pid)
        try:
            why = _attend(proc, order, output, on_line, stop or Stop())
        except BaseException:
            # Whatever went wrong with us: the program must not be left behind.
            _signal(proc.pid, signal.SIGKILL)
            raise
        output.add(b"", final=True)
        ended = _has_ended(proc.pid)
        code = _reap(proc) if ended else None
        if not ended:
            _ABANDONED.append(proc)
        seconds = time.monotonic() - begun
        output.note(f"# {_words(code, why)} after {seconds:.1f} s")
        return Ended(None if why else code, why, seconds, output.tail(), output.kept())
    finally:
        output.close()


def quiet(argv: Sequence[str], timeout: float = 30.0) -> int | None:
    """Runs a short program whose output nobody needs: its exit code, None when it did not end or could not begin."""
    try:
        return run(Order(tuple(argv), timeout=timeout)).code
    except ProgramError:
        return None


def _words(code: int | None, why: str) -> str:
    return why or (f"exit code {code}" if code is None or code >= 0 else f"ended by signal {-code}")


def _start(order: Order) -> Any:
    more: dict[str, Any] = {}
    person = order.person if order.person and order.person.uid != os.geteuid() else None
    if person:
        uid, gid, groups = identity(person)
        more = {"user": uid, "group": gid, "extra_groups": groups}
    path = find(order.argv[0], as_root=os.geteuid() == 0 and person is None)
    try:
        return _Command(path).popen(
            order.argv[1:],
            cwd=order.cwd or "/",
            env=environment(order.person, order.env),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            new_session=True,
            umask=0o022,
            **more,
        )
    except OSError as error:
        where = error.filename if error.filename not in (None, path) else order.cwd or "/"
        place = "" if error.filename == path else f" (in {where})"
        raise ProgramError(f"{path} cannot be started{place}: {error.strerror}") from error
    except (ValueError, subprocess.SubprocessError) as error:
        raise ProgramError(f"{path} cannot be started: {error}") from error


def _attend(
    proc: Any, order: Order, output: Output, on_line: Callable[[str], None] | None, stop: Stop
) -> str:
    """Reads until the program has ended or was ended. Why it was ended, empty when it ended by itself."""
    reader = proc.stdout.fileno()
    os.set_blocking(reader, False)
    chosen = selectors.DefaultSelector()
    chosen.register(reader, selectors.EVENT_READ)
    until = time.monotonic() + order.timeout
    why, asked, killed, ended, told = "", 0.0, 0.0, 0.0, 0.0
    while True:
        now = time.monotonic()
        if not ended and _has_ended(proc.pid):
            ended = now
        # A pipe that a grandchild holds is not waited for, nor a process that sleeps in the kernel.
        if (ended and (not chosen.get_map() or now >= ended + LINGER)) or (killed and now >= killed + LINGER):
            break
        if not why and not ended and (why := _reason(now >= until, order, stop)):
            asked = now
            _signal(proc.pid, signal.SIGTERM)
        grace = GRACE / 5 if why == "stopped" and stop.wish() >= AT_ONCE else GRACE
        if asked and not killed and not ended and now >= asked + grace:
            killed = now
            _signal(proc.pid, signal.SIGKILL)
        if on_line and now >= told + TICK and (output.fresh() or now >= told + HEARTBEAT):
            told = now
            on_line(output.last)
        _read(chosen, reader, output)
    chosen.close()
    proc.stdout.close()
    if why:
        # What it started ends with it.
        _signal(proc.pid, signal.SIGKILL)
    return why


def _reason(late: bool, order: Order, stop: Stop) -> str:  # noqa: FBT001 - a fact, not a switch
    if late:
        return "timeout"
    return "stopped" if stop.wish() >= (AT_ONCE if order.finish else AFTER_THIS) else ""


def _read(chosen: selectors.BaseSelector, reader: int, output: Output) -> None:
    # A selector without files returns at once in some releases of Python.
    if not chosen.get_map():
        time.sleep(0.01)
        return
    for _ in chosen.select(TICK):
        if data := os.read(reader, 1 << 16):
            output.add(data)
        else:
            chosen.unregister(reader)


def _reap(proc: Any) -> int | None:
    code: int | None = proc.wait()
    return code


def _has_ended(pid: int) -> bool:
    """Whether a child has ended, without reaping it: until it is reaped its number cannot become somebody else's."""
    return os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None


def _signal(group: int, number: int) -> None:
    with contextlib.suppress(OSError):
        os.killpg(group, number)
