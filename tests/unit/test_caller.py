"""The child that asks: what it says arrives, and whatever becomes of it, the one who waits gets away."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from rocmdoctor.hosts import caller
from rocmdoctor.hosts.caller import Apart, apart, calling_user
from tests.conftest import CHECKOUT

LONG = 60.0


@pytest.mark.touches_machine
def test_answers_and_progress_arrive_in_order() -> None:
    heard: list[str] = []

    def collect(tell: Any) -> dict[str, Any]:
        for n in range(3):
            tell(f"read:/{n}\nx")
        return {"pid": os.getpid(), "large": "x" * 3_000_000, "odd": "\ud800é\n"}

    answer = apart(collect, heard.append, LONG)
    assert answer["pid"] != os.getpid()
    assert (len(answer["large"]), answer["odd"]) == (3_000_000, "\ud800é\n")
    assert heard == [f"read:/{n}\nx" for n in range(3)]
    assert apart(lambda tell: tell("x") or {}, None, LONG) == {}


@pytest.mark.touches_machine
def test_nobody_is_left_as_a_zombie() -> None:
    pid = apart(lambda _tell: {"pid": os.getpid()}, None, LONG)["pid"]
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


@pytest.mark.touches_machine
def test_a_child_that_cannot_end_after_its_answer_keeps_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    never, _writer = os.pipe()
    monkeypatch.setattr(os, "_exit", lambda _code: os.read(never, 1))
    assert apart(lambda _tell: {"pid": os.getpid()}, None, LONG)["pid"]


@pytest.mark.touches_machine
def test_a_child_that_says_nothing_is_left_in_time() -> None:
    never, _writer = os.pipe()
    with pytest.raises(OSError, match="gave no answer in 0 s"):
        apart(lambda _tell: {"x": os.read(never, 1)}, None, 0.2)


@pytest.mark.touches_machine
def test_a_child_that_fails_or_dies(capfd: pytest.CaptureFixture[str]) -> None:
    def fails(_tell: Any) -> dict[str, Any]:
        raise ValueError("broken")

    with pytest.raises(OSError, match="gave no answer"):
        apart(fails, None, LONG)
    assert "rocmdoctor: asking: ValueError: broken" in capfd.readouterr().err
    with pytest.raises(OSError, match="gave no answer"):
        apart(lambda _tell: os.kill(os.getpid(), signal.SIGKILL) or {}, None, LONG)


@pytest.mark.touches_machine
def test_the_parent_gives_up_and_the_child_goes(monkeypatch: pytest.MonkeyPatch) -> None:
    reader, writer = os.pipe()
    never, _writer = os.pipe()

    def collect(tell: Any) -> dict[str, Any]:
        tell("begun")
        os.read(never, 1)
        return {}

    def stop(_key: str) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        apart(collect, stop, LONG)
    os.close(writer)
    assert os.read(reader, 1) == b""  # the child held the other end


@pytest.mark.touches_machine
def test_it_works_before_it_is_listened_to() -> None:
    reader, writer = os.pipe()
    with Apart(lambda _tell: {"written": os.write(writer, b"x")}, LONG) as child:
        assert os.read(reader, 1) == b"x"
        assert child.answer() == {"written": 1}


@pytest.mark.touches_machine
def test_it_is_gone_when_nobody_listened() -> None:
    reader, writer = os.pipe()
    never, _writer = os.pipe()
    with pytest.raises(ValueError, match="meanwhile"), Apart(lambda _tell: {"x": os.read(never, 1)}, LONG):
        raise ValueError("something failed meanwhile")
    os.close(writer)
    assert os.read(reader, 1) == b""  # the child held the other end


@pytest.mark.parametrize(
    ("euid", "number", "found"),
    [
        (0, "", False), (0, "0", False), (0, "x", False), (0, "٣", False), (0, "-1", False), (0, "9" * 30, False),
        (0, "4000000000", False), (1000, "1000", False),
    ],
)  # fmt: skip
def test_who_called(euid: int, number: str, found: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SUDO_UID", number)
    monkeypatch.setattr(os, "geteuid", lambda: euid)
    assert (calling_user() is not None) is found


@pytest.mark.touches_machine
@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")
def test_under_sudo_the_child_is_the_caller(monkeypatch: pytest.MonkeyPatch) -> None:
    user = next((u for u in caller.pwd.getpwall() if u.pw_uid), None)
    if user is None:
        pytest.skip("no other user here")
    monkeypatch.setenv("SUDO_UID", str(user.pw_uid))
    said = apart(
        lambda _tell: {"ids": [*os.getresuid(), *os.getresgid()], "home": os.environ["HOME"]}, None, LONG
    )
    assert said == {"ids": [user.pw_uid] * 3 + [user.pw_gid] * 3, "home": user.pw_dir}
    assert os.geteuid() == 0


@pytest.mark.touches_machine
@pytest.mark.parametrize("also", [(), (signal.SIGINT,), (signal.SIGTERM, signal.SIGTERM)])
def test_a_child_that_is_given_up_tidies_first(also: tuple[int, ...], tmp_path: Path) -> None:
    """Ctrl-C reaches it, too, and a second wish to stop interrupts no tidying."""
    mark, ready, never = tmp_path / "mark", os.pipe(), os.pipe()

    def collect(_tell: Any) -> dict[str, Any]:
        mark.write_text("", encoding="utf-8")
        try:
            os.write(ready[1], b"x")
            os.read(never[0], 1)
        finally:
            for number in also:
                os.kill(os.getpid(), number)
            mark.unlink()
        return {}

    with Apart(collect, LONG, tidying=LONG):
        os.read(ready[0], 1)
    assert not mark.exists()


@pytest.mark.touches_machine
def test_a_child_whose_parent_was_killed_tidies(tmp_path: Path) -> None:
    """A FIFO that it holds open tells when it is gone."""
    held = tmp_path / "held"
    os.mkfifo(held)
    script = (
        "import os, signal, sys\nfrom rocmdoctor.hosts.caller import Apart\n"
        "def collect(tell):\n    with open(sys.argv[1], 'w') as file:\n        try:\n            print('ready', file=file, flush=True)\n"
        "            signal.pause()\n        finally:\n            print('tidied', file=file)\n"
        "with Apart(collect, 60.0): signal.pause()\n"
    )
    with (
        subprocess.Popen(
            [sys.executable, "-c", script, held], env={**os.environ, "PYTHONPATH": str(CHECKOUT)}
        ) as parent,
        held.open(encoding="utf-8") as told,
    ):
        assert told.readline() == "ready\n"
        parent.kill()
        assert told.read() == "tidied\n"
