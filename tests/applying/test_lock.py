"""One run at a time, and who is in the way."""

from __future__ import annotations

import os
import re
import stat
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from rocmdoctor.applying import lock
from rocmdoctor.applying.lock import Holder, LockedError, locked
from tests.conftest import CHECKOUT

pytestmark = pytest.mark.touches_machine


@contextmanager
def other(code: str, *argv: str) -> Iterator[subprocess.Popen[str]]:
    """A process that has done `code`, says so, and waits for its standard input to end."""
    script = f"import sys\n{code}\nprint('ready', flush=True)\nsys.stdin.read()"
    with subprocess.Popen(
        [sys.executable, "-c", script, *argv],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env={"PYTHONPATH": str(CHECKOUT)},
    ) as child:  # fmt: skip
        assert child.stdout is not None
        assert child.stdout.readline() == "ready\n"
        yield child
        assert child.stdin is not None
        child.stdin.close()


HOLDS = "from pathlib import Path\nfrom rocmdoctor.applying.lock import locked\nheld = locked(Path(sys.argv[1]))\nheld.__enter__()"


def test_a_taken_lock_names_its_holder(tmp_path: Path) -> None:
    with other(HOLDS, str(tmp_path)) as child:
        with pytest.raises(LockedError) as caught, locked(tmp_path):
            pass
        assert caught.value.holder is not None
        assert caught.value.holder.pid == child.pid
        assert re.fullmatch(
            rf"{tmp_path}/lock is held by process {child.pid} '.*python.* -c .*' of \S+ since \d{{4}}-\d\d-\d\dT[\d:]+Z:"
            r" one run at a time changes this machine; wait for it to end, then try again",
            str(caught.value),
            re.DOTALL,
        )
    with locked(tmp_path):
        assert stat.S_IMODE((tmp_path / "lock").stat().st_mode) == 0o600


def test_a_lock_is_free_once_its_holder_was_killed(tmp_path: Path) -> None:
    with other(HOLDS, str(tmp_path)) as child:
        child.kill()
        child.wait()
        with locked(tmp_path):
            pass


def test_a_holder_that_says_nothing() -> None:
    assert str(LockedError(Path("/s/lock"), None)) == (
        "/s/lock is held by another process that did not say who it is: one run at a time changes this machine;"
        " wait for it to end, then try again"
    )


APT = "import fcntl\nfile = open(sys.argv[1], 'r+')\nfcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)"


def test_who_holds_the_lock_of_the_package_manager(tmp_path: Path) -> None:
    path = tmp_path / "lock-frontend"
    path.touch()
    assert lock.dpkg_lock_free((str(path), str(tmp_path / "none")))
    with other(APT, str(path)) as child:
        holder = lock.dpkg_lock_holder((str(tmp_path / "none"), str(path)))
        assert holder is not None
        assert (holder.pid, "lockf" in holder.command) == (child.pid, True)
        assert not lock.dpkg_lock_free((str(path),))
    assert lock.dpkg_lock_free((str(path),))


def test_who_has_a_device_open() -> None:
    with other("file = open('/dev/full', 'w')") as child:
        assert child.pid in [holder.pid for holder in lock.who_holds("/dev/full")]
        assert os.getpid() not in [holder.pid for holder in lock.who_holds("/dev/null")]
    assert lock.who_holds("/dev/no-such-device") == ()


def test_a_process_that_is_gone_has_but_a_number() -> None:
    assert lock.process(2**22 + 1) == Holder(2**22 + 1)
