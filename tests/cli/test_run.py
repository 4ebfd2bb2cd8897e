"""`run`: a program that must not notice that anybody stands between it and its streams, terminal and parent."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pexpect
import pytest

pytestmark = pytest.mark.touches_machine

RUN = [sys.executable, "-m", "rocmdoctor", "run", "--elsewhere"]
LINE = " ".join(RUN)


def run(*argv: str, options: tuple[str, ...] = (), **more: Any) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(
        [*RUN, *options, "--", *argv], capture_output=True, timeout=60, check=False, stdin=subprocess.DEVNULL, **more
    )  # fmt: skip


def shell(script: str, **more: Any) -> subprocess.CompletedProcess[bytes]:
    """A shell script of what the tests are about; RUN in it is `rocmdoctor run --`."""
    script = script.replace("RUN", f"{LINE} --")
    return subprocess.run(["bash", "-c", script], capture_output=True, timeout=60, check=False, **more)


# ---------------------------------------------------------------- ends


def test_every_exit_code_is_passed_on() -> None:
    script = (
        "from rocmdoctor.passing.relay import Relay\n"
        "print([n for n in range(256) if Relay(['sh', '-c', f'exit {n}'], len, bool).run().code != n])"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True, timeout=60
    )
    assert done.stdout == "[]\n"


@pytest.mark.parametrize("code", [0, 1, 2, 70, 102, 126, 127, 130, 255])
def test_our_exit_code_is_the_programs(code: int) -> None:
    assert run("sh", "-c", f"exit {code}").returncode == code


@pytest.mark.parametrize(
    "name", ["HUP", "INT", "QUIT", "ABRT", "KILL", "SEGV", "PIPE", "ALRM", "TERM", "USR1", "XCPU", "SYS"]
)
def test_a_signal_that_ends_the_program_ends_us(name: str) -> None:
    number = signal.Signals[f"SIG{name}"]
    done = run("sh", "-c", f"kill -{name} $$")
    assert done.returncode == -number
    told = b"sh was ended by SIG" in done.stderr
    assert told is (name not in ("HUP", "INT", "PIPE", "TERM"))


def test_a_shell_sees_no_difference() -> None:
    assert shell("RUN sh -c 'kill -TERM $$'; echo $?").stdout == b"143\n"


@pytest.mark.parametrize("name", ["TERM", "HUP", "INT", "QUIT", "USR1", "USR2"])
def test_a_signal_that_is_sent_to_us_reaches_the_program(name: str) -> None:
    trap = f"trap 'echo got it; exit 7' {name}; echo ready; while read -t 1 x || [ $? -gt 128 ]; do :; done"
    with subprocess.Popen(
        [*RUN, "--", "bash", "-c", trap],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    ) as child:
        assert child.stdout is not None
        try:
            assert child.stdout.readline() == b"ready\n"
            child.send_signal(signal.Signals[f"SIG{name}"])
            assert child.stdout.readline() == b"got it\n"
            assert child.wait(20) == 7
        finally:
            # The end of its input then ends a program that has noticed nothing.
            child.kill()


def test_a_signal_that_we_were_told_to_ignore_is_ignored_by_both() -> None:
    done = shell("trap '' HUP; RUN sh -c 'kill -HUP $$; kill -HUP $PPID; echo alive'")
    assert (done.stdout, done.returncode) == (b"alive\n", 0)


# ---------------------------------------------------------------- streams


def test_bytes_stay_as_they_are_and_streams_apart(tmp_path: Path) -> None:
    out, err = os.urandom(3_000_000), os.urandom(2_000_000)
    (tmp_path / "out").write_bytes(out)
    (tmp_path / "err").write_bytes(err)
    done = run(
        "sh", "-c", "cat out; cat err >&2", cwd=tmp_path, env={**os.environ, "PYTHONPATH": str(Path.cwd())}
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, out, err)


def test_output_comes_at_once_and_input_is_passed() -> None:
    script = 'printf asking; read answer; printf "<$answer>"; printf more >&2; read other; exit 0'
    with subprocess.Popen(
        [*RUN, "--", "sh", "-c", script],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as child:
        assert child.stdin is not None
        assert child.stdout is not None
        assert child.stderr is not None
        # Each of these would wait for ever if what was printed before were held back.
        assert os.read(child.stdout.fileno(), 100) == b"asking"
        child.stdin.write(b"yes\n")
        child.stdin.flush()
        assert os.read(child.stdout.fileno(), 100) == b"<yes>"
        assert os.read(child.stderr.fileno(), 100) == b"more"
        child.stdin.close()
        assert child.wait(20) == 0


def test_the_end_of_input_is_seen() -> None:
    done = subprocess.run(
        [*RUN, "--", "wc", "-c"], input=b"x" * 300_000, capture_output=True, timeout=60, check=True
    )
    assert done.stdout.strip() == b"300000"


def test_whoever_writes_to_nobody_is_ended_by_it() -> None:
    done = shell("RUN yes | head -n 1; echo ${PIPESTATUS[0]}")
    assert (done.stdout, done.stderr) == (b"y\n141\n", b"")


@pytest.mark.parametrize("stream", [0, 1, 2])
def test_a_closed_stream_is_closed_for_the_program_too(stream: int, tmp_path: Path) -> None:
    found = tmp_path / "found"
    script = f"ls /proc/self/fd > {found} 2>/dev/null; exit 5"
    less = shell(
        f"sh -c '{script.replace(str(found), str(found) + '.alone')}' {stream}<&-; RUN sh -c '{script}' {stream}<&-"
    )
    assert less.returncode == 5, less.stderr
    inside = {"0": "exec 3<&0 2>/dev/null", "1": "exec 3>&1 2>/dev/null", "2": "exec 3>&2 2>/dev/null"}[
        str(stream)
    ]
    assert shell(f"RUN sh -c '({inside}) && exit 3; exit 4' {stream}<&-").returncode == 4


def test_a_daemon_that_is_left_behind_holds_nobody_up_and_is_heard(tmp_path: Path) -> None:
    gate = tmp_path / "gate"
    os.mkfifo(gate)
    script = f"(read x < {gate}; echo late) & echo early"
    with subprocess.Popen([*RUN, "--", "sh", "-c", script], stdout=subprocess.PIPE) as child:
        assert child.stdout is not None
        assert child.stdout.readline() == b"early\n"
        assert child.wait(20) == 0
        gate.write_text("\n", encoding="ascii")
        assert child.stdout.read() == b"late\n"


# ---------------------------------------------------------------- what cannot be started


@pytest.mark.parametrize(
    ("make", "code", "says"),
    [
        (None, 127, "rocmdoctor: run: ./program is not there\n"),
        (("text", 0o644), 126, ("rocmdoctor: run: ./program is not executable for this user (mode 0644); "
          "'chmod +x ./program' makes it so\n")),
        (("#!/no/such\n", 0o755), 126, "rocmdoctor: run: ./program names an interpreter in its first line that is not there\n"),
        (("text\n", 0o755), 126, ("rocmdoctor: run: ./program is no program that the kernel can start: a script needs a first "
          "line such as #!/bin/sh\n")),
        ("folder", 126, "rocmdoctor: run: ./program is a folder, not a program\n"),
    ],
)  # fmt: skip
def test_why_a_program_cannot_be_started(make: Any, code: int, says: str, tmp_path: Path) -> None:
    path = tmp_path / "program"
    if make == "folder":
        path.mkdir()
    elif make:
        path.write_text(make[0], encoding="ascii")
        path.chmod(make[1])
    done = run("./program", cwd=tmp_path, env={**os.environ, "PYTHONPATH": str(Path.cwd())})
    assert (done.returncode, done.stdout, done.stderr.decode()) == (code, b"", says)


def test_a_misspelled_program_is_named(tmp_path: Path) -> None:
    (tmp_path / "torchrun").write_text("#!/bin/sh\n", encoding="ascii")
    done = run("torchrum", env={**os.environ, "PATH": str(tmp_path)})
    said = "rocmdoctor: run: no program 'torchrum' is on PATH, did you mean 'torchrun'?\n"
    assert (done.returncode, done.stderr.decode()) == (127, said)


def test_options_behind_the_dashes_are_the_programs() -> None:
    done = run("echo", "--json", "-h", "--", "-x")
    assert (done.returncode, done.stdout) == (0, b"--json -h -- -x\n")


# ---------------------------------------------------------------- the diagnosis


FAILS = "echo 'building'; echo \"fatal error: 'cmath' file not found\" >&2; exit 3"


def test_nothing_is_added_to_a_success() -> None:
    done = run("sh", "-c", FAILS.replace("exit 3", "exit 0"))
    assert (done.returncode, done.stdout) == (0, b"building\n")
    assert done.stderr == b"fatal error: 'cmath' file not found\n"


def test_a_failure_is_explained_behind_what_was_printed(tmp_path: Path) -> None:
    report = tmp_path / "why.json"
    done = run("sh", "-c", FAILS, options=("--json", str(report)))
    assert (done.returncode, done.stdout) == (3, b"building\n")
    said = done.stderr.decode()
    assert said.startswith("fatal error: 'cmath' file not found\n\nrocmdoctor: sh ended with 3\n"), said
    envelope = json.loads(report.read_text(encoding="utf-8"))
    assert (envelope["command"], envelope["exit_code"], envelope["status"]) == ("run", 3, "findings")
    assert envelope["data"]["ended"] == {"code": 3, "signal": None}
    assert envelope["data"]["read"] == {"lines": 2, "bytes": 45}


def test_the_report_goes_where_it_is_wanted(tmp_path: Path) -> None:
    report = tmp_path / "why.txt"
    done = run("sh", "-c", FAILS, options=("--report", str(report)))
    assert (done.returncode, done.stderr) == (3, b"fatal error: 'cmath' file not found\n")
    assert "sh ended with 3" in report.read_text(encoding="utf-8")


def test_a_report_that_cannot_be_written_changes_nothing() -> None:
    done = run("sh", "-c", "exit 4", options=("--report", "/no/such/folder/why.txt"))
    assert done.returncode == 4
    assert b"/no/such/folder/why.txt cannot be written: No such file or directory" in done.stderr


def test_trouble_of_ours_does_not_disturb_the_program(tmp_path: Path) -> None:
    (tmp_path / "known-errors").mkdir(parents=True)
    (tmp_path / "checks" / "known-errors").mkdir(parents=True)
    (tmp_path / "checks" / "known-errors" / "bad.yaml").write_text("- nonsense: [", encoding="ascii")
    done = run("sh", "-c", "echo out; exit 9", options=("--content", str(tmp_path)))
    assert (done.returncode, done.stdout) == (9, b"out\n")
    assert b"Traceback" not in done.stderr


# ---------------------------------------------------------------- terminals


def terminal(*argv: str, **more: Any) -> pexpect.spawn:
    return pexpect.spawn(
        RUN[0], [*RUN[1:], "--", *argv], encoding="utf-8", timeout=30, dimensions=(33, 77), **more
    )


def interactive() -> pexpect.spawn:
    """A shell with job control, at its prompt."""
    child = pexpect.spawn(
        "bash", ["--norc", "-i"], encoding="utf-8", timeout=30, env={**os.environ, "PS1": "$ "}
    )
    child.expect(r"\$ ")
    return child


def ended(child: pexpect.spawn) -> str:
    child.expect(pexpect.EOF)
    child.close()
    return str(child.before)


def test_a_terminal_stays_one_with_its_size() -> None:
    script = "for n in 0 1 2; do test -t $n || exit 9; done; stty size; printf '\\033[31mred\\033[0m\\n'"
    child = terminal("sh", "-c", script)
    assert ended(child) == "33 77\r\n\x1b[31mred\x1b[0m\r\n"
    assert child.exitstatus == 0


def test_a_change_of_size_reaches_the_program() -> None:
    script = "trap 'stty size; exit 0' WINCH; echo ready; while :; do read -t 1 x; done"
    child = terminal("bash", "-c", script)
    child.expect("ready")
    child.setwinsize(20, 50)
    child.expect("20 50")
    assert ended(child).strip() == ""
    assert child.exitstatus == 0


def test_ctrl_c_is_the_programs_business() -> None:
    child = terminal(
        "bash", "-c", "trap 'echo caught; exit 5' INT; echo ready; while :; do read -t 1 x; done"
    )
    child.expect("ready")
    child.sendintr()
    child.expect("caught")
    ended(child)
    assert child.exitstatus == 5


def test_ctrl_c_ends_both_by_the_same_signal() -> None:
    child = terminal("sh", "-c", "echo ready; exec sleep 60")
    child.expect("ready")
    child.sendintr()
    said = ended(child)
    assert (child.signalstatus, child.exitstatus) == (signal.SIGINT, None)
    assert "rocmdoctor" not in said


def test_what_is_typed_is_passed_and_echoed_once() -> None:
    child = terminal("sh", "-c", 'echo ready; read line; echo "<$line>"')
    child.expect("ready\r\n")
    child.sendline("hello")
    assert ended(child) == "hello\r\n<hello>\r\n"
    assert child.exitstatus == 0


def test_a_password_is_not_echoed() -> None:
    child = terminal("sh", "-c", 'stty -echo; echo ready; read line; stty echo; echo "<$line>"')
    child.expect("ready\r\n")
    child.sendline("hidden")
    assert ended(child) == "<hidden>\r\n"


def test_what_is_left_behind_on_a_terminal_is_not_hung_up_on(tmp_path: Path) -> None:
    gate = tmp_path / "gate"
    os.mkfifo(gate)
    script = f"{LINE} -- sh -c '(read x < {gate}; echo late) & echo early'; echo back; read y < {gate}.end"
    os.mkfifo(f"{gate}.end")
    child = pexpect.spawn("sh", ["-c", script], encoding="utf-8", timeout=30)
    child.expect("early")
    child.expect("back")
    gate.write_text("\n", encoding="ascii")
    child.expect("late")
    Path(f"{gate}.end").write_text("\n", encoding="ascii")
    ended(child)


def test_ctrl_d_ends_the_input() -> None:
    child = terminal("cat")
    child.sendline("one")
    child.expect("one\r\none\r\n")
    child.sendeof()
    ended(child)
    assert child.exitstatus == 0


def test_a_shell_stops_it_and_goes_on_with_it() -> None:
    shell_ = interactive()
    shell_.sendline(f"{LINE} -- bash -c 'echo rea''dy; read x; echo \"got $x\"'")
    shell_.expect("ready")
    shell_.send("\x1a")
    shell_.expect("Stopped")
    # The shell's own line editing works: our terminal is as it was.
    shell_.sendline("echo sh''ell")
    shell_.expect("shell")
    shell_.sendline("fg")
    shell_.expect("rocmdoctor run")
    shell_.sendline("again")
    shell_.expect("got again")
    shell_.sendline("echo code $?")
    shell_.expect("code 0")
    shell_.close(force=True)


def test_the_terminal_is_left_as_it_was() -> None:
    shell_ = interactive()
    shell_.sendline(f"stty -g > /dev/tty; {LINE} -- stty raw -echo; stty -g > /dev/tty; echo do''ne")
    shell_.expect("done")
    settings = re.findall(r"[0-9a-f]+(?::[0-9a-f]+){10,}", str(shell_.before))
    assert len(settings) == 2
    assert settings[0] == settings[1]
    shell_.close(force=True)


def test_standard_error_in_a_file_stays_apart_from_the_terminal(tmp_path: Path) -> None:
    file = tmp_path / "err"
    script = f"{LINE} -- sh -c 'test -t 1 && echo terminal; test -t 2 || echo file >&2' 2> {file}"
    child = pexpect.spawn("sh", ["-c", script], encoding="utf-8", timeout=30)
    assert ended(child) == "terminal\r\n"
    assert file.read_text(encoding="ascii") == "file\n"


def test_a_pipe_before_it_leaves_its_output_a_terminal() -> None:
    script = f"echo in | {LINE} -- sh -c 'test -t 1 && test -t 2 && ! test -t 0 && cat'"
    child = pexpect.spawn("sh", ["-c", script], encoding="utf-8", timeout=30)
    assert ended(child) == "in\r\n"
    assert child.exitstatus == 0


def test_in_the_background_it_leaves_the_terminal_alone() -> None:
    shell_ = interactive()
    shell_.sendline(f"{LINE} -- sh -c 'echo back''ground; exit 0' & wait; echo aft''er")
    shell_.expect("background")
    shell_.expect("after")
    shell_.close(force=True)


def test_many_colours_and_much_output_on_a_terminal_come_whole() -> None:
    child = terminal("sh", "-c", "seq 1 200000")
    said = ended(child)
    assert said.split() == [str(n) for n in range(1, 200_001)]
