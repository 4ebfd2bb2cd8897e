"""What a machine can do to the one who asks: odd files, links that climb, programs that hang, lie or never stop.

Nothing here sleeps to meet another process: pipes, FIFOs and events do. Time limits of children are long where the
test expects an end, and short where it expects a hang.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import sys
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from rocmdoctor.asking import as_question, keys
from rocmdoctor.hosts import collector, programs
from rocmdoctor.hosts.collector import Tree, ask
from rocmdoctor.hosts.words import decode, without_secrets
from rocmdoctor.model import Access, Disk, Env, Glob, Link, List, Query, Read, Run, Stat

LONG = 60.0


def answer(query: Query, root: str | Path = "/", deadline: float = LONG) -> dict[str, Any]:
    answers = ask([as_question(query)], str(root), deadline)
    json.dumps(answers).encode("ascii")
    return answers[keys(query)[0]]


def shell(script: str, timeout: float = LONG, **more: Any) -> Run:
    return Run(("/bin/sh", "-c", script), timeout=timeout, **more)


# ---------------------------------------------------------------- files


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    (tmp_path / "etc").mkdir()
    (tmp_path / "etc" / "file").write_text("one\ntwo\n")
    return tmp_path


def test_a_file(tree: Path) -> None:
    assert answer(Read("/etc/file"), tree) == {"ok": True, "text": "one\ntwo\n"}


@pytest.mark.parametrize("path", ["/etc/none", "/etc/file/below", "/none/none"])
def test_a_file_that_is_not_there(path: str, tree: Path) -> None:
    assert answer(Read(path), tree)["why"] == "absent"


@pytest.mark.touches_machine
@pytest.mark.parametrize("root", ["inside", "live"])
def test_what_is_no_regular_file_is_not_opened(
    root: str, tree: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    os.mkfifo(tree / "etc" / "fifo")
    (tree / "etc" / "folder").mkdir()
    with socket.socket(socket.AF_UNIX) as listener:
        monkeypatch.chdir(tree)
        listener.bind("etc/socket")
        opened: list[str] = []
        plain = os.open
        monkeypatch.setattr(os, "open", lambda path, *more: opened.append(str(path)) or plain(path, *more))
        base = str(tree) if root == "inside" else "/"
        for name in ("fifo", "folder", "socket"):
            path = f"/etc/{name}" if root == "inside" else f"{tree}/etc/{name}"
            assert answer(Read(path), base) == {"ok": False, "why": "error", "detail": "EINVAL"}
        assert [path for path in opened if "/etc/" in path] == []
        found = answer(Glob("/etc/*" if root == "inside" else f"{tree}/etc/*"), base)
        assert [path.rpartition("/")[2] for path in found["files"]] == ["file"]
        assert "unreadable" not in found


def test_an_endless_device_behind_a_link_is_not_read(tree: Path) -> None:
    (tree / "etc" / "endless").symlink_to("/dev/zero")
    assert answer(Read("/etc/endless"), tree)["why"] == "absent"
    assert answer(Read(f"{tree}/etc/endless"))["detail"] == "EINVAL"


def test_a_file_that_may_not_be_read(tree: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> int:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(os, "open", refuse)
    assert answer(Read("/etc/file"), tree) == {"ok": False, "why": "permission", "detail": "EACCES"}
    found = answer(Glob("/etc/*"), tree)
    assert (found["ok"], found["why"], found["unreadable"]) == (False, "permission", {"/etc/file": "EACCES"})


def test_one_unreadable_file_does_not_cost_the_others(tree: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tree / "etc" / "other").write_text("x")
    plain = os.open

    def refuse(path: Any, *more: Any) -> int:
        if str(path).endswith("/other"):
            raise OSError(5, "Input/output error")
        return plain(path, *more)

    monkeypatch.setattr(os, "open", refuse)
    found = answer(Glob("/etc/*"), tree)
    assert (found["ok"], list(found["files"]), found["unreadable"]) == (
        True,
        ["/etc/file"],
        {"/etc/other": "EIO"},
    )


def test_a_file_that_vanishes_between_listing_and_reading(
    tree: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tree / "etc" / "gone").write_text("x")
    plain = Tree.matches

    def then_gone(self: Tree, pattern: str) -> list[str]:
        found = plain(self, pattern)
        (tree / "etc" / "gone").unlink()
        return found

    monkeypatch.setattr(Tree, "matches", then_gone)
    assert answer(Glob("/etc/*"), tree) == {"ok": True, "files": {"/etc/file": "one\ntwo\n"}}


def test_a_huge_file_is_cut(tree: Path) -> None:
    with (tree / "etc" / "huge").open("wb") as file:
        file.truncate(1 << 40)
    found = answer(Read("/etc/huge", limit=1000), tree)
    assert (len(found["text"]), found["detail"]) == (1000, "cut after 1000 bytes")


def test_a_file_of_exactly_the_limit_is_whole(tree: Path) -> None:
    assert answer(Read("/etc/file", limit=8), tree) == {"ok": True, "text": "one\ntwo\n"}


def test_all_files_of_a_pattern_together_have_a_limit(tree: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(collector, "MAX_BYTES", 10)
    for name in "abcd":
        (tree / "etc" / name).write_text("123456")
    found = answer(Glob("/etc/?"), tree)
    assert found == {
        "ok": True,
        "files": {"/etc/a": "123456", "/etc/b": "1234"},
        "detail": "cut after 10 bytes",
    }


def test_bytes_that_are_no_text(tree: Path) -> None:
    (tree / "etc" / "binary").write_bytes(b"\x7fELF\x00\xff\xfe\n")
    assert answer(Read("/etc/binary"), tree)["text"] == "\x7fELF\x00\\xff\\xfe\n"


@pytest.mark.touches_machine
def test_names_that_are_no_text(tree: Path) -> None:
    for name in (b"\xff", b"two\nlines"):
        (tree / "etc" / os.fsdecode(name)).touch()
    (tree / "etc" / "link").symlink_to(os.fsdecode(b"to-\xff"))
    assert answer(List("/etc"), tree)["text"] == "file\nlink@\n"
    assert answer(Link("/etc/link"), tree)["text"] == "to-\\xff"
    assert list(answer(Glob("/etc/f*"), tree)["files"]) == ["/etc/file"]


def test_hidden_files_are_left_out_as_a_shell_does(tree: Path) -> None:
    (tree / "etc" / ".file").write_text("x")
    assert list(answer(Glob("/etc/*"), tree)["files"]) == ["/etc/file"]
    assert list(answer(Glob("/etc/.f*"), tree)["files"]) == ["/etc/.file"]


def test_a_pattern_in_a_folder_that_is_not_there(tree: Path) -> None:
    assert answer(Glob("/none/*"), tree)["why"] == "absent"
    assert answer(Glob("/etc/*/none"), tree) == {"ok": True, "files": {}}


def test_kinds_modes_and_owners_from_the_tree_itself(tree: Path) -> None:
    (tree / "etc" / "passwd").write_text(f"broken\nann:x:{os.getuid()}:1::/:/bin/sh\n")
    (tree / "etc" / "group").write_bytes(b"\xff:x:1:\nrender:x:%d:\n" % os.getgid())
    (tree / "etc" / "file").chmod(0o640)
    assert answer(Stat("/etc/file"), tree)["text"] == "file 0640 ann render"
    assert answer(Stat("/etc"), tree)["text"].startswith("dir ")


def test_what_only_a_running_machine_can_say_is_not_asked_of_a_folder(tree: Path) -> None:
    for query in (Access("/dev/null"), Disk("/"), Run(("true",)), Env(("HOME",))):
        assert answer(query, tree) == {"ok": False, "why": "not-asked"}


def test_access_is_tried_and_not_derived() -> None:
    assert answer(Access("/dev/null")) == {"ok": True, "text": "read-write"}
    assert answer(Access("/none"))["why"] == "absent"


# ---------------------------------------------------------------- links and --root


@pytest.fixture
def climbing(tree: Path) -> Path:
    (tree / "secret").write_text("outside\n")
    root = tree / "root"
    (root / "etc" / "deep").mkdir(parents=True)
    (root / "etc" / "inside").write_text("inside\n")
    return root


@pytest.mark.parametrize(
    "target",
    ["../secret", "../../../../../../{outside}", "{outside}", "/../{outside}", "../etc/../../secret", "deep/../../../secret"],
)  # fmt: skip
def test_a_link_cannot_climb_out(target: str, climbing: Path) -> None:
    outside = str(climbing.parent / "secret")
    (climbing / "etc" / "link").symlink_to(target.format(outside=outside))
    for query in (Read("/etc/link"), Stat("/etc/link"), List("/etc/link")):
        assert answer(query, climbing)["why"] == "absent"
    assert answer(Glob("/etc/li*"), climbing)["files"] == {}


@pytest.mark.parametrize("target", ["{outside}", "..", "../..", "/.."])
def test_a_folder_on_the_way_cannot_climb_out_either(target: str, climbing: Path) -> None:
    (climbing / "etc" / "way").symlink_to(target.format(outside=climbing.parent))
    for query in (Read("/etc/way/secret"), Read("/etc/way/../secret"), Read("/../secret")):
        assert answer(query, climbing)["why"] == "absent"
    assert answer(Glob("/etc/*/secret"), climbing)["files"] == {}
    assert "secret" not in answer(List("/etc/way"), climbing).get("text", "")


def test_absolute_links_stay_inside(climbing: Path) -> None:
    (climbing / "etc" / "link").symlink_to("/etc/inside")
    (climbing / "lib").symlink_to("/etc")
    assert answer(Read("/etc/link"), climbing)["text"] == "inside\n"
    assert answer(Read("/lib/link"), climbing)["text"] == "inside\n"
    assert answer(Link("/lib/link"), climbing)["text"] == "/etc/inside"


def test_links_that_go_in_circles(climbing: Path) -> None:
    (climbing / "etc" / "a").symlink_to("b")
    (climbing / "etc" / "b").symlink_to("/etc/a")
    (climbing / "etc" / "self").symlink_to("self/self")
    for path in ("/etc/a", "/etc/self", "/etc/a/below"):
        assert answer(Read(path), climbing)["detail"] == "ELOOP"
    assert answer(Glob("/etc/*"), climbing)["files"] == {"/etc/inside": "inside\n"}


# ---------------------------------------------------------------- secrets


@pytest.mark.parametrize(
    "said",
    [
        "deb https://ann:SECRET@repo.radeon.com/x jammy main",
        "index-url = https://SECRET@host/simple",
        "git+https://x:SECRET@p@ss@host/y",
        "https://host/file?token=SECRET&x=1",
        "https://host/file?x=1&X-Amz-Signature=SECRET",
        "https://host/?private_token=SECRET https://host/?client_secret=SECRET&y",
        "http://proxy-user:SECRET@10.0.0.1:3128",
    ],
)
def test_secrets_of_urls_are_cut(said: str) -> None:
    assert "SECRET" not in without_secrets(said)
    assert "p@ss" not in without_secrets(said)


@pytest.mark.parametrize(
    "said",
    [
        "https://repo.radeon.com/rocm/apt/6.2",
        "a@b.example",
        "git+https://host/x@main",
        "https://host/?page=2",
        "://",
    ],
)
def test_what_is_no_secret_stays(said: str) -> None:
    assert without_secrets(said) == said


def test_a_cut_that_goes_through_a_url_shows_no_half_password(tree: Path) -> None:
    (tree / "etc" / "pip").write_text("index-url = https://ann:SECRET@host/simple")
    for limit in range(20, 40):
        assert "SEC" not in answer(Read("/etc/pip", limit=limit), tree)["text"]


def test_secrets_are_cut_before_a_pattern_can_keep_half_of_them(tree: Path) -> None:
    (tree / "etc" / "pip").write_text("index-url = https://ann:SECRET@host/simple\n")
    found = answer(Read("/etc/pip", keep=r"^index-url = https://.{0,9}"), tree)
    assert found["text"] == "index-url = https://***@host/\n"


def test_only_what_a_pattern_keeps_leaves_the_machine(tree: Path) -> None:
    (tree / "etc" / "rc").write_text("export TOKEN=hunter2\nexport PATH=/opt/rocm/bin\n#\n")
    kept = r"^export PATH=.*"
    assert answer(Read("/etc/rc", keep=kept), tree)["text"] == "export PATH=/opt/rocm/bin\n"
    assert answer(Glob("/etc/r*", keep=kept), tree)["files"] == {"/etc/rc": "export PATH=/opt/rocm/bin\n"}


@pytest.mark.parametrize("unit", ["a", "://", "://a", "?a", "&token", "@", " ", "\n", "x://y:"])
def test_cutting_secrets_is_linear(unit: str) -> None:
    # A pattern that backs up over a megabyte would hold every thread: `re` keeps the interpreter's lock.
    decode((unit * (1 << 20))[: 1 << 20].encode(), cut=True)


def test_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PROXY", "http://ann:SECRET@host")
    monkeypatch.delenv("UNSET", raising=False)
    os.environb[b"BYTES"] = b"\xff"
    try:
        answers = ask([as_question(Env(("PROXY", "UNSET", "BYTES")))])
    finally:
        del os.environb[b"BYTES"]
    assert answers == {
        "env:PROXY": {"ok": True, "text": "http://***@host"},
        "env:UNSET": {"ok": False, "why": "absent"},
        "env:BYTES": {"ok": True, "text": "\\xff"},
    }


# ---------------------------------------------------------------- programs


@pytest.mark.touches_machine
def test_a_program() -> None:
    found = answer(shell("echo out; echo err >&2; exit 3"))
    assert (found["ok"], found["exit_code"], found["stdout"], found["stderr"]) == (True, 3, "out\n", "err\n")
    assert found["path"] == "/bin/sh"


@pytest.mark.touches_machine
def test_a_program_gets_no_input_no_colour_and_its_own_session() -> None:
    found = answer(shell("cat; echo $LC_ALL $TERM; cut -d' ' -f6 /proc/$$/stat; echo $$"))
    assert found["stdout"].split("\n")[0] == "C dumb"
    session, pid = found["stdout"].split()[-2:]
    assert session == pid


def test_a_program_that_is_not_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "relative:/none")
    monkeypatch.setattr(programs, "EXTRA_PATH", ())
    assert answer(Run(("sh",)))["why"] == "absent"
    assert answer(Run(("/none/sh",)))["why"] == "absent"
    (tmp_path / "plain").write_text("text")
    assert answer(Run((str(tmp_path / "plain"),)))["why"] == "absent"
    assert answer(Run((str(tmp_path),)))["why"] == "absent"


@pytest.mark.touches_machine
def test_a_program_that_is_no_program(tmp_path: Path) -> None:
    (tmp_path / "liar").write_bytes(b"\x7fELF\x00garbage")
    (tmp_path / "liar").chmod(0o755)
    assert answer(Run((str(tmp_path / "liar"),))) == {"ok": False, "why": "error", "detail": "ENOEXEC"}


@pytest.mark.touches_machine
def test_a_program_that_a_signal_ends() -> None:
    assert answer(shell("kill -SEGV $$"))["exit_code"] == -signal.SIGSEGV


@pytest.mark.touches_machine
def test_a_program_that_hangs() -> None:
    found = answer(shell("echo begun; exec cat < /dev/zero > /dev/null", timeout=0.3))
    assert (found["ok"], found["why"], found["stdout"]) == (False, "timeout", "begun\n")
    assert "detail" not in found


@pytest.mark.touches_machine
def test_a_program_that_ignores_every_signal_it_can() -> None:
    found = answer(shell("trap '' TERM INT HUP PIPE; echo $$; while :; do :; done", timeout=0.3))
    assert found["why"] == "timeout"
    assert not _runs(int(found["stdout"]))


@pytest.mark.touches_machine
@pytest.mark.parametrize("keep", ["", "^y$"])
def test_a_program_that_prints_for_ever(keep: str) -> None:
    found = answer(Run(("yes",), timeout=0.3, limit=1001, keep=keep))
    assert found["why"] == "timeout"
    assert found["stdout"] == ("y\n" * 501 if keep else "y\n" * 500 + "y")


@pytest.mark.touches_machine
def test_a_program_that_prints_much_and_ends_is_cut_and_not_held() -> None:
    found = answer(shell("head -c 3000000 /dev/zero; echo done >&2", limit=5))
    assert (found["exit_code"], len(found["stdout"]), found["stderr"]) == (0, 5, "done\n")


@pytest.mark.touches_machine
def test_a_program_that_closes_its_outputs_early_is_waited_for() -> None:
    found = answer(shell("echo early; exec >&- 2>&-; exit 7"))
    assert (found["exit_code"], found["stdout"]) == (7, "early\n")


@pytest.mark.touches_machine
def test_a_program_that_closes_its_outputs_and_hangs() -> None:
    assert answer(shell("exec >&- 2>&-; exec cat < /dev/zero > /dev/null", timeout=0.3))["why"] == "timeout"


@pytest.mark.touches_machine
@pytest.mark.parametrize("ending", ["exit 4", "wait"])
def test_a_grandchild_that_holds_the_pipes_holds_nobody_and_is_stopped(ending: str, tmp_path: Path) -> None:
    # The grandchild keeps a FIFO open for writing: its end reaches us as the end of that FIFO.
    fifo = tmp_path / "alive"
    os.mkfifo(fifo)
    reader = os.open(fifo, os.O_RDONLY | os.O_NONBLOCK)
    script = f"(exec 9> {fifo}; echo grandchild; exec cat < /dev/zero > /dev/null) & echo child; {ending}"
    begun = time.monotonic()
    found = answer(shell(script, timeout=LONG if ending != "wait" else 0.5))
    assert time.monotonic() - begun < LONG / 2
    assert found.get("exit_code") == (4 if ending != "wait" else None)
    assert "child\n" in found["stdout"]
    os.set_blocking(reader, True)
    assert os.read(reader, 1) == b""
    os.close(reader)


@pytest.mark.touches_machine
def test_a_grandchild_in_a_group_of_its_own_is_stopped_too(tmp_path: Path) -> None:
    # As the compilers are that ninja starts.
    fifo = tmp_path / "alive"
    os.mkfifo(fifo)
    reader = os.open(fifo, os.O_RDONLY | os.O_NONBLOCK)
    own = f"import os, signal; os.setpgid(0, 0); held = open({str(fifo)!r}, 'w'); print('ready', flush=True); signal.pause()"
    found = answer(shell(f'{sys.executable} -S -c "{own}" & wait', timeout=3.0))
    assert (found["why"], found["stdout"]) == ("timeout", "ready\n")
    os.set_blocking(reader, True)
    assert os.read(reader, 1) == b""
    os.close(reader)


@pytest.mark.touches_machine
def test_what_only_a_pattern_keeps_of_a_program_that_hung() -> None:
    found = answer(
        shell("echo TOKEN=1; echo gfx90a; exec cat < /dev/zero > /dev/null", timeout=0.3, keep="^gfx.*")
    )
    assert (found["why"], found["stdout"]) == ("timeout", "gfx90a\n")


@pytest.mark.touches_machine
def test_programs_may_be_asked_in_parallel() -> None:
    questions = [as_question(shell(f"echo {n}")) for n in range(40)]
    answers = ask(questions, deadline=LONG)
    assert sorted(int(a["stdout"]) for a in answers.values()) == list(range(40))


@pytest.mark.touches_machine
def test_nobody_is_left_behind_when_the_user_has_had_enough(tmp_path: Path) -> None:
    fifo = tmp_path / "alive"
    os.mkfifo(fifo)
    readers: list[int] = []

    def stop(_key: str) -> None:
        readers.append(os.open(fifo, os.O_RDONLY))  # returns when the hanging program has opened its end
        raise KeyboardInterrupt

    hanging = shell(f"exec 9> {fifo}; exec cat < /dev/zero > /dev/null", timeout=10 * LONG)
    with pytest.raises(KeyboardInterrupt):
        ask([as_question(hanging), as_question(Stat("/"))], deadline=10 * LONG, progress=stop)
    assert os.read(readers[0], 1) == b""
    os.close(readers[0])


@pytest.mark.touches_machine
def test_a_program_that_is_started_while_all_are_stopped_stops_itself(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    plain = programs.subprocess.Popen

    def start(*more: Any, **named: Any) -> Any:
        proc = plain(*more, **named)
        programs.stop_all()
        return proc

    monkeypatch.setattr(programs.subprocess, "Popen", start)
    assert programs.child(["/bin/sh", "-c", "exec cat < /dev/zero > /dev/null"], 10 * LONG, 100)[0] is None


def _runs(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


# ---------------------------------------------------------------- time


@pytest.fixture
def stuck(monkeypatch: pytest.MonkeyPatch) -> threading.Event:
    """Reads of /stuck block until the event is set, as a read of sysfs in the kernel does."""
    released = threading.Event()
    plain = collector._ASK["read"]

    def read(tree: Tree, question: dict[str, Any]) -> dict[str, Any]:
        if question["path"].startswith("/stuck"):
            released.wait()
        return plain(tree, question)

    monkeypatch.setitem(collector._ASK, "read", read)
    yield released
    released.set()


def test_questions_stuck_in_the_kernel_do_not_hold_the_others(stuck: threading.Event, tree: Path) -> None:
    held = [Read(f"/stuck/{n}", timeout=0.1) for n in range(collector.WORKERS * 2)]
    free = [Read("/etc/file", timeout=LONG), Stat("/etc", timeout=LONG)]
    answers = ask([as_question(q) for q in [*held, *free]], str(tree), LONG)
    assert {answers[keys(q)[0]]["why"] for q in held} == {"timeout"}
    assert all(answers[keys(q)[0]]["ok"] for q in free)


def test_the_deadline_is_kept_and_says_whose_turn_did_not_come(stuck: threading.Event, tree: Path) -> None:
    held = [Read(f"/stuck/{n}", timeout=LONG) for n in range(collector.WORKERS)]
    begun = time.monotonic()
    answers = ask([as_question(q) for q in [*held, Read("/etc/file", timeout=LONG)]], str(tree), 0.3)
    assert time.monotonic() - begun < LONG / 2
    assert answers["read:/stuck/0"] == {"ok": False, "why": "timeout"}
    assert answers["read:/etc/file"] == {"ok": False, "why": "timeout", "detail": "its turn did not come"}


def test_nothing_is_asked_after_the_deadline(stuck: threading.Event, tree: Path, monkeypatch: Any) -> None:
    asked: list[str] = []
    ended = threading.Semaphore(0)
    plain = collector._Crew._work

    def work(self: Any) -> None:
        plain(self)
        ended.release()

    monkeypatch.setattr(collector._Crew, "_work", work)
    monkeypatch.setitem(collector._ASK, "stat", lambda _tree, q: asked.append(q["path"]) or {"ok": True})
    held = [Read(f"/stuck/{n}", timeout=LONG) for n in range(collector.WORKERS)]
    ask([as_question(q) for q in [*held, Stat("/etc", timeout=LONG)]], str(tree), 0.2)
    stuck.set()
    for _ in range(collector.WORKERS):
        assert ended.acquire(timeout=LONG)
    assert asked == []


@pytest.mark.touches_machine
def test_a_program_that_got_less_time_than_it_asked_for_is_no_hang() -> None:
    found = answer(shell("exec cat < /dev/zero > /dev/null"), deadline=0.6)
    assert (found["why"], found["detail"]) == ("timeout", "only 0.4 s were left for it")


def test_a_question_that_breaks_the_collector_costs_no_other(
    tree: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(collector._ASK, "stat", lambda *_: 1 // 0)
    answers = ask([as_question(q) for q in (Stat("/etc"), Read("/etc/file"), Read("/etc/a\0b"))], str(tree))
    assert answers["stat:/etc"]["detail"].startswith("ZeroDivisionError")
    assert answers["read:/etc/a\0b"]["why"] == "error"
    assert answers["read:/etc/file"]["ok"]
