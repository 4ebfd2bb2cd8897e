"""Programs that hang, flood, ignore signals, leave grandchildren: none of them holds us, and what they print is kept."""

from __future__ import annotations

import os
import stat
import time
from pathlib import Path

import psutil
import pytest

from rocmdoctor.actions import Person
from rocmdoctor.applying import output, programs
from rocmdoctor.applying.output import Output, plain
from rocmdoctor.applying.programs import Order, ProgramError, environment, find, quiet, run
from rocmdoctor.applying.stopping import AFTER_THIS, AT_ONCE, Stop

pytestmark = pytest.mark.touches_machine
as_root = pytest.mark.skipif(os.geteuid() != 0, reason="needs root: programs are run as another user")
NOBODY = Person("nobody", 65534, "/nonexistent")


@pytest.fixture(autouse=True)
def _short(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(programs, "GRACE", 0.5)


def shell(script: str, *, timeout: float = 20, **more: object) -> Order:
    return Order(("sh", "-c", script), timeout=timeout, **more)  # type: ignore[arg-type]


def test_output_code_and_log(tmp_path: Path) -> None:
    log = tmp_path / "l"
    ended = run(shell("echo out; echo err >&2; exit 3"), log)
    assert (ended.code, ended.why, ended.tail) == (3, "", ("out", "err"))
    lines = log.read_text().splitlines()
    assert lines[:3] == ["$ sh -c 'echo out; echo err >&2; exit 3'", "out", "err"]
    assert lines[3].startswith("# exit code 3 after 0.")
    assert stat.S_IMODE(log.stat().st_mode) == 0o644


def test_nothing_of_the_callers_environment_reaches_a_program(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LD_PRELOAD_FOR_TEST", "/home/mallory/x.so")
    monkeypatch.setenv("PATH", "/home/mallory/bin")
    said = run(Order(("env",), {"NAMED": "yes"}, keep=10_000)).kept
    found = dict(line.split("=", 1) for line in said.splitlines())
    assert set(found) == {"PATH", "HOME", "USER", "LOGNAME", "LANG", "LC_ALL", "NAMED"}
    assert "mallory" not in said


def test_a_program_reads_nothing_and_has_its_own_session() -> None:
    said = run(
        shell("cat; ps -o sid= -p $$ 2>/dev/null || cut -d' ' -f6 /proc/$$/stat; echo $$; umask", keep=1000)
    ).kept
    session, process, mask = said.split()
    assert (session, mask) == (process, "0022")


def test_time_is_up_for_the_whole_group() -> None:
    begun = time.monotonic()
    ended = run(shell("sleep 61 & echo $!; wait", timeout=0.5))
    assert (ended.code, ended.why) == (None, "timeout")
    assert time.monotonic() - begun < 3
    assert not lives(int(ended.tail[0]))


def lives(pid: int) -> bool:
    """Whether a process is still there after the moment that the kernel takes to end one."""
    until = time.monotonic() + 5
    while time.monotonic() < until:
        try:
            if psutil.Process(pid).status() == psutil.STATUS_ZOMBIE:
                return False
        except psutil.NoSuchProcess:
            return False
        time.sleep(0.01)
    return True


def test_one_that_ignores_sigterm_is_killed() -> None:
    begun = time.monotonic()
    ended = run(shell("trap '' TERM; echo $$; while :; do sleep 1; done", timeout=0.5))
    assert ended.why == "timeout"
    assert 0.9 < time.monotonic() - begun < 4
    assert not lives(int(ended.tail[0]))


def test_one_that_sleeps_in_the_kernel_is_left_behind(monkeypatch: pytest.MonkeyPatch) -> None:
    # Signals that reach nobody stand in for a process that cannot be killed.
    monkeypatch.setattr(programs, "_signal", lambda _group, _number: None)
    pids: list[int] = []
    begun = time.monotonic()
    ended = run(shell("sleep 67", timeout=0.3), started=pids.append)
    assert (ended.code, ended.why) == (None, "timeout")
    assert time.monotonic() - begun < 4
    os.kill(pids[0], 9)


def test_last_words_after_sigterm_are_kept() -> None:
    ended = run(shell("trap 'echo cleaned up; exit 1' TERM; sleep 60 & wait", timeout=0.5))
    assert ended.tail == ("cleaned up",)


def test_a_grandchild_that_holds_the_pipe_does_not_hold_us() -> None:
    begun = time.monotonic()
    ended = run(shell("setsid sleep 62 & echo $!"))
    assert (ended.code, ended.why) == (0, "")
    assert time.monotonic() - begun < 3
    os.kill(int(ended.tail[0]), 9)


def test_a_program_that_closed_its_output_is_waited_for() -> None:
    ended = run(shell("exec >&- 2>&-; sleep 0.5; exit 5"))
    assert (ended.code, ended.seconds >= 0.5) == (5, True)


def test_a_hundred_megabytes_are_cut_in_the_log_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(output, "LOG_BYTES", 1 << 20)
    log = tmp_path / "l"
    ended = run(shell("yes 'a line of output' | head -c 104857600; echo; echo the end"), log)
    assert ended.code == 0
    assert ended.tail[-1] == "the end"
    assert len(ended.tail) == output.TAIL_LINES
    text = log.read_text()
    assert len(text) < (1 << 20) + (1 << 17)
    cut = 104857600 + 9 - (1 << 20) - output.END_BYTES
    assert f"\n# cut: {cut} bytes are left out here, {output.END_BYTES} follow\n" in text
    assert "the end" in text.splitlines()[-3:]


def test_one_endless_line_is_no_burden() -> None:
    ended = run(shell("head -c 50000000 /dev/zero | tr '\\0' x"))
    assert len(ended.tail[-1]) <= output.LINE_CHARACTERS


def test_bytes_that_are_no_text_are_shown(tmp_path: Path) -> None:
    log = tmp_path / "l"
    ended = run(shell(r"printf 'a\377\303\251\303'; sleep 0.1; printf '\251z\342\202'"), log)
    assert ended.tail == ("a\\xffééz\\xe2\\x82",)
    assert "a\\xffééz\\xe2\\x82" in log.read_text()


def test_a_progress_bar_is_its_last_state() -> None:
    seen: list[str] = []
    ended = run(
        shell(r"printf '10%%\r'; sleep 0.3; printf '\033[32m55%%\033[0m\r'; sleep 0.3; printf '100%%\r\n'"),
        None,
        seen.append,
    )
    assert ended.tail == ("100%",)
    assert [line for line in dict.fromkeys(seen) if line] == ["10%", "55%", "100%"][
        : len(dict.fromkeys(filter(None, seen)))
    ]
    assert "55%" in seen


def test_silence_still_beats(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(programs, "HEARTBEAT", 0.1)
    seen: list[str] = []
    run(shell("sleep 0.6"), None, seen.append)
    assert len(seen) >= 3
    assert set(seen) == {""}


@pytest.mark.parametrize(
    ("finish", "level", "ends"), [(False, AFTER_THIS, True), (True, AFTER_THIS, False), (True, AT_ONCE, True)]
)
def test_a_wish_to_stop(finish: bool, level: int, ends: bool) -> None:
    stop = Stop()
    ended = run(
        shell("echo ready; sleep 0.7; echo whole", finish=finish),
        None,
        lambda line: stop.ask(level if line else 0),
        stop,
    )
    assert (ended.why, "whole" in ended.tail) == (("stopped", False) if ends else ("", True))


def test_a_program_killed_by_a_signal_says_so(tmp_path: Path) -> None:
    assert run(shell("kill -SEGV $$"), tmp_path / "l").code == -11
    assert "# ended by signal 11" in (tmp_path / "l").read_text()


def test_a_log_that_cannot_be_written_ends_no_program(tmp_path: Path) -> None:
    ended = run(shell("echo out"), tmp_path / "none" / "l")
    assert (ended.code, ended.tail) == (
        0,
        ("out", f"({tmp_path}/none/l cannot be written: No such file or directory)"),
    )
    full = run(shell("echo out"), Path("/dev/full"))
    assert (full.code, full.tail) == (0, ("out", "(the log cannot be written: No space left on device)"))


def test_a_link_in_place_of_the_log_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "l").symlink_to(tmp_path / "victim")
    run(shell("echo out"), tmp_path / "l")
    assert not (tmp_path / "victim").exists()


@pytest.mark.parametrize(
    ("order", "says"),
    [
        (Order(("no-such-program",)), "no-such-program: no such program in"),
        (Order(("/no/such",)), "/no/such: no such program"),
        (Order(("./relative",)), "./relative: no such program in"),
        (Order(("true",), cwd="/no/such/folder"), "true cannot be started (in /no/such/folder): No such file or directory"),
        (Order(("true", "a\0b")), "true cannot be started: embedded null byte"),
    ],
)  # fmt: skip
def test_what_cannot_be_started_is_named(order: Order, says: str) -> None:
    with pytest.raises(ProgramError) as caught:
        run(order)
    assert says in str(caught.value)


@as_root
def test_root_runs_nothing_that_others_could_change(tmp_path: Path) -> None:
    script = tmp_path / "tool"
    script.write_text("#!/bin/sh\n")
    script.chmod(0o755)
    assert find(str(script), as_root=True) == str(script)
    os.chown(script, 1234, 1234)
    with pytest.raises(ProgramError) as caught:
        find(str(script), as_root=True)
    assert str(caught.value).startswith(
        f"{script}: owner 1234, mode 0755; root uses {script} only where nobody else"
    )


@as_root
def test_another_user_is_wholly_that_user() -> None:
    ended = run(
        shell("id -u; id -g; id -G; pwd; echo $HOME $USER; grep ^Groups /proc/self/status", person=NOBODY)
    )
    assert ended.tail[:3] == ("65534", "65534", "65534")
    assert ended.tail[3:5] == ("/", "/nonexistent nobody")


@as_root
@pytest.mark.parametrize(
    ("person", "says"),
    [
        (Person("ghost", 54321, "/home/ghost"), "user ghost (54321): no such user on this machine"),
        (Person("mallory", 65534, "/"), "user number 65534 is nobody, the plan was made for mallory"),
    ],
)
def test_a_user_that_is_not_the_plans_is_refused(person: Person, says: str) -> None:
    with pytest.raises(ProgramError) as caught:
        run(shell("true", person=person))
    assert str(caught.value) == says


def test_a_callback_that_fails_leaves_no_program_behind() -> None:
    pids: list[int] = []

    def fails(_line: str) -> None:
        raise RuntimeError("ours")

    with pytest.raises(RuntimeError, match="ours"):
        run(shell("sleep 63"), None, fails, None, pids.append)
    assert not lives(pids[0])


def test_quiet() -> None:
    assert (quiet(("true",)), quiet(("false",)), quiet(("no-such-program",))) == (0, 1, None)
    assert quiet(("sleep", "64"), 0.2) is None


def test_the_environment_names_the_person() -> None:
    found = environment(NOBODY, {"LC_ALL": "C"})
    assert (found["HOME"], found["USER"], found["LC_ALL"]) == ("/nonexistent", "nobody", "C")


def test_control_characters_are_taken_out() -> None:
    assert plain("\x1b[1;31mred\x1b[0m\tend\x07\x1b]0;title\x07\x9b") == "red end"


def test_the_beginning_is_kept_as_far_as_asked() -> None:
    one = Output(None, keep=5)
    one.add(b"abc")
    one.add(b"defg")
    assert one.kept() == "abcde"
