"""Asks in a child: what gets stuck in the kernel there cannot keep us, and under sudo the child is the caller.

A thread that sleeps in the kernel keeps its whole process from ending, SIGKILL or not: therefore the process that a
person waits for reads nothing of the machine itself.
"""

from __future__ import annotations

import json
import os
import pwd
import select
import signal
import sys
import threading
import time
import warnings
from collections.abc import Callable, Iterator
from typing import Any

# Seconds for a child to end that has said all.
GRACE = 0.2


def calling_user() -> pwd.struct_passwd | None:
    """Who called sudo, when this process is root by way of it."""
    number = os.environ.get("SUDO_UID", "")
    if os.geteuid() != 0 or not (number.isascii() and number.isdigit()) or int(number) == 0:
        return None
    try:
        return pwd.getpwuid(int(number))
    except (KeyError, OverflowError):
        return None


class Apart:
    """A child that has become `user`, by default the caller of sudo, and in it runs `collect`.

    Its groups are those that a new login would get. It works while we do something else, has `seconds` from the start, and
    is gone when the block is left, whether or not it was listened to. Until then it has `tidying` seconds to stop what it
    started and to remove what it wrote. Ctrl-C on a terminal reaches it, too, and means nothing to it: whoever waits decides.
    """

    def __init__(
        self,
        collect: Callable[[Callable[[str], None] | None], dict[str, Any]],
        seconds: float,
        user: pwd.struct_passwd | None = None,
        tidying: float = GRACE / 2,
    ) -> None:
        user = user or calling_user()
        self._tidying = tidying
        self._seconds = seconds
        self._until = time.monotonic() + seconds
        self._reader, writer = os.pipe()
        waiting = os.getpid()
        with warnings.catch_warnings():
            # From Python 3.12 on, a fork beside another thread warns; the one that shows progress holds nothing.
            warnings.simplefilter("ignore", DeprecationWarning)
            self._child = os.fork()
        if self._child == 0:
            os.close(self._reader)
            _child(user, writer, waiting, collect)
        os.close(writer)

    def __enter__(self) -> Apart:  # noqa: PYI034 - Self is newer than the Python that this may run on
        return self

    def __exit__(self, *_: object) -> None:
        os.close(self._reader)
        _leave(self._child, self._tidying)

    def answer(self, progress: Callable[[str], None] | None = None) -> dict[str, Any]:
        """What `collect` returned. Raises OSError when time is up."""
        answer: dict[str, Any] | None = None
        for said in _lines(self._reader, self._until):
            if isinstance(said, str):
                if progress:
                    progress(said)
            else:
                answer = said
        if answer is None:
            raise OSError(
                f"the process that asks gave no answer in {self._seconds:.0f} s, or could not become the calling user"
            )
        return answer


def apart(
    collect: Callable[[Callable[[str], None] | None], dict[str, Any]],
    progress: Callable[[str], None] | None,
    seconds: float,
    user: pwd.struct_passwd | None = None,
) -> dict[str, Any]:
    """What `collect` returns, run in such a child. Raises OSError after `seconds`."""
    with Apart(collect, seconds, user) as child:
        return child.answer(progress)


def _lines(reader: int, until: float) -> Iterator[Any]:
    """What the child says, one JSON value a line, until it has closed its end or time is up."""
    rest = b""
    while select.select([reader], [], [], max(0.0, until - time.monotonic()))[0]:
        data = os.read(reader, 1 << 16)
        if not data:
            return
        *whole, rest = (rest + data).split(b"\n")
        for line in whole:
            yield json.loads(line)


def _leave(child: int, tidying: float) -> None:
    """Waits a moment for the end of the child, then asks it to end, then ends it, and waits no more."""
    for number, seconds in ((0, GRACE / 2), (signal.SIGTERM, tidying), (signal.SIGKILL, GRACE / 2)):
        if number:
            os.kill(child, number)
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            if os.waitpid(child, os.WNOHANG)[0]:
                return
            time.sleep(GRACE / 40)


def _child(
    user: pwd.struct_passwd | None, writer: int, waiting: int, collect: Callable[..., dict[str, Any]]
) -> None:
    """Never returns."""
    code = 1
    # No SIG_IGN, which the programs that are asked would inherit.
    signal.signal(signal.SIGINT, lambda *_: None)
    signal.signal(signal.SIGTERM, _stop)
    try:
        if user is not None:
            os.initgroups(user.pw_name, user.pw_gid)
            os.setgid(user.pw_gid)
            os.setuid(user.pw_uid)
            os.environ.update(HOME=user.pw_dir, USER=user.pw_name, LOGNAME=user.pw_name)
        threading.Thread(target=_watch, args=(waiting,), daemon=True).start()
        with os.fdopen(writer, "wb", 0) as pipe:

            def tell(value: Any) -> None:
                data = json.dumps(value).encode() + b"\n"
                while data:
                    data = data[pipe.write(data) :]

            tell(collect(tell))
        code = 0
    except (KeyboardInterrupt, BrokenPipeError):
        pass
    except BaseException as error:  # noqa: BLE001 - a forked child must not run the parent's clean-up
        name = f" as {user.pw_name}" if user else ""
        sys.stderr.write(f"rocmdoctor: asking{name}: {type(error).__name__}: {error}\n")
    finally:
        os._exit(code)


def _watch(waiting: int) -> None:
    """Gives up when nobody waits any more: whoever did was ended by a signal, or crashed."""
    while os.getppid() == waiting:
        time.sleep(0.5)
    os.kill(os.getpid(), signal.SIGTERM)


def _stop(*_: object) -> None:
    """What was begun is given up, and tidied on the way out. A second wish to stop must not interrupt that."""
    signal.signal(signal.SIGTERM, lambda *_: None)
    raise KeyboardInterrupt
