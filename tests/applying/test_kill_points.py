"""kill -9 before, in the middle of and after every line of the journal: resume comes to the same end, undo to the start."""

from __future__ import annotations

import hashlib
import os
import shutil
import signal
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from rocmdoctor.actions import Action, ApplyPatch, Exec, Fetch, Undo, WriteFile
from rocmdoctor.applying import journal
from rocmdoctor.applying.journal import FILE, read, state
from tests.applying.conftest import Bench, in_child, tree
from tests.applying.plans import action
from tests.applying.test_programs import lives

pytestmark = pytest.mark.touches_machine

PATCH = b"""\
diff --git a/code.py b/code.py
--- a/code.py
+++ b/code.py
@@ -1,3 +1,3 @@
 one
-two
+2
 three
"""


def world(home: Path) -> None:
    """A home folder with what a plan finds in one."""
    home.mkdir()
    (home / ".bashrc").write_bytes(b"alias ll='ls -l'\r\nexport CAF\xc9=1\nno newline")
    (home / ".bashrc").chmod(0o640)
    (home / "settings").write_text("old=1\n")
    (home / "settings").chmod(0o600)
    (home / "stale").write_text("to go\n")
    (home / "zshrc").symlink_to("dotfiles/zshrc")
    (home / "dotfiles").mkdir()
    (home / "dotfiles/zshrc").write_text("z\n")
    (home / "src").mkdir()
    (home / "src/code.py").write_text("one\ntwo\nthree\n")
    (home / "download").write_bytes(b"\x00\xff" * 50_000)
    (home / "fix.patch").write_bytes(PATCH)


def actions(home: Path) -> list[Action]:
    """Cheap, real, and each in a way of its own."""
    made, copied = str(home / "made"), str(home / "copied")
    digest = hashlib.sha256(b"\x00\xff" * 50_000).hexdigest()
    return [
        action(id="new", do=WriteFile(str(home / "a/b/new"), "new\n", mode=0o644)),
        action(id="whole", do=WriteFile(str(home / "settings"), "new=1\n")),
        action(id="block", do=WriteFile(str(home / ".bashrc"), "export A=1\n", block=True)),
        action(id="link", do=WriteFile(str(home / "zshrc"), "export A=1\n", block=True)),
        action(id="gone", do=WriteFile(str(home / "stale"), None)),
        action(id="true", do=Exec(("true",)), undo=Undo("nothing")),
        action(
            id="dir",
            do=Exec(("mkdir", made), creates=made),
            undo=Undo("commands", commands=(("rmdir", made),)),
        ),
        action(
            id="copy",
            do=Exec(("cp", str(home / "download"), copied), heal=(("rm", "-f", copied),)),
            undo=Undo("commands", commands=(("rm", "-f", copied),)),
        ),
        action(id="there", do=Exec(("false",), creates=str(home / "src")), undo=Undo("nothing")),
        action(id="fetch", do=Fetch(f"file://{home}/download", str(home / "fetched/file"), digest)),
        action(
            id="patch",
            do=ApplyPatch(str(home / "fix.patch"), str(home / "src"), hashlib.sha256(PATCH).hexdigest()),
        ),
    ]


class _Killing(journal.Journal):
    """Dies at one line, counted from 1 in this process: before it, in the middle of it, or right after it."""

    at, how = 0, ""
    _count = 0

    def write(self, event: str, action: str = "", **more: object) -> journal.Line:
        _Killing._count += 1
        if _Killing._count == self.at and self.how != "after":
            if self.how == "torn":
                line = journal.Line(len(self.lines) + 1, "now", self.boot, event, action, more)
                os.write(self._file, journal.encode(line)[:-7])
            os.kill(os.getpid(), signal.SIGKILL)
        line = super().write(event, action, **more)
        if _Killing._count == self.at:
            os.kill(os.getpid(), signal.SIGKILL)
        return line


def killed(doing: Callable[[], object], module: str, at: int, how: str) -> None:
    """Calls it in a child that dies at that line."""

    def dies() -> None:
        _Killing.at, _Killing.how, _Killing._count = at, how, 0
        __import__(module, fromlist=["x"]).Journal = _Killing
        doing()

    status = in_child(dies)
    assert os.WIFSIGNALED(status), f"line {at} {how}: the child was to be killed, its status is {status}"
    assert os.WTERMSIG(status) == signal.SIGKILL


@pytest.fixture
def memory(tmp_path: Path) -> Iterator[Path]:
    """A folder in memory where there is one: every line is brought to the disk, which takes its time there."""
    shm = Path("/dev/shm")
    if not os.access(shm, os.W_OK):
        yield tmp_path
        return
    with tempfile.TemporaryDirectory(prefix="rocmdoctor-", dir=shm) as folder:
        yield Path(folder)


RUN, UNDO = "rocmdoctor.applying.run_plan", "rocmdoctor.applying.undo"


def fresh(folder: Path) -> Bench:
    folder.mkdir()
    world(folder / "home")
    return Bench(folder / "state", *actions(folder / "home"))


def same_tree(folder: Path) -> dict[str, tuple[int, bytes]]:
    """The home's content with the folder's own name taken out."""
    found = tree(folder / "home")
    return {k: (m, d.replace(bytes(folder), b"HOME")) for k, (m, d) in found.items()}


@pytest.mark.skipif(shutil.which("git") is None, reason="needs git, which applies patches")
def test_every_kill_point_ends_the_same(memory: Path, record_property: Callable[[str, object], None]) -> None:
    whole = fresh(memory / "whole")
    start = same_tree(memory / "whole")
    assert whole.run().state == "done"
    end, lines = same_tree(memory / "whole"), len(whole.lines)
    assert end != start
    equal = back = 0
    points = [(at, how) for at in range(1, lines + 1) for how in ("before", "torn", "after")]
    for at, how in points:
        folder = memory / f"{at}-{how}"
        one = fresh(folder)
        killed(one.run, RUN, at, how)
        outcome = one.run()
        assert outcome.state == "done", f"line {at} {how}: {outcome.message}"
        assert same_tree(folder) == end, f"line {at} {how}"
        assert [line.n for line in one.lines] == list(range(1, len(one.lines) + 1))
        equal += 1
        undone = one.undo()
        assert (undone.failed, undone.left) == ("", ()), f"line {at} {how}"
        assert same_tree(folder) == start, f"line {at} {how}"
        back += 1
    record_property("kill points", f"{len(points)} kill points, {equal} equal, {back} taken back")
    print(f"{len(points)} kill points, {equal} equal, {back} taken back")
    assert equal == back == len(points) == 3 * lines


def test_what_was_killed_can_be_taken_back_without_going_on(memory: Path) -> None:
    first = fresh(memory / "first")
    start = same_tree(memory / "first")
    first.run()
    for at in range(1, len(first.lines) + 1):
        for how in ("before", "after"):
            folder = memory / f"{at}-{how}"
            one = fresh(folder)
            killed(one.run, RUN, at, how)
            undone = one.undo()
            assert (undone.failed, undone.left) == ("", ()), f"line {at} {how}"
            assert same_tree(folder) == start, f"line {at} {how}"


def test_an_undo_that_was_killed_goes_on(memory: Path) -> None:
    first = fresh(memory / "first")
    start = same_tree(memory / "first")
    first.run()
    before = len(first.lines)
    first.undo()
    for at in range(1, len(first.lines) - before + 1):
        for how in ("before", "torn", "after"):
            folder = memory / f"{at}-{how}"
            one = fresh(folder)
            one.run()
            killed(one.undo, UNDO, at, how)
            undone = one.undo()
            assert (undone.failed, undone.left) == ("", ()), f"line {at} {how}"
            assert same_tree(folder) == start, f"line {at} {how}"


def test_a_killed_run_does_not_go_forward_while_it_is_taken_back(tmp_path: Path) -> None:
    one = fresh(tmp_path / "one")
    one.run()
    killed(one.undo, UNDO, 3, "after")
    assert one.run().message == (
        f"{one.folder}: this run is being taken back; let undo end, then install anew"
    )


def test_what_was_done_is_not_done_again(tmp_path: Path) -> None:
    counter = tmp_path / "counter"
    counting = Exec(("sh", "-c", f"echo x >> {counter}"))
    one = Bench(tmp_path / "state", *(action(id=n, do=counting, undo=Undo("nothing")) for n in "abc"))
    killed(one.run, RUN, 5, "after")  # run-begin, begin a, done a, begin b, done b
    assert one.run().state == "done"
    assert counter.read_text() == "x\n" * 3
    assert state(read(one.folder / FILE)).done.keys() == {"a", "b", "c"}


def test_a_program_that_outlived_the_run_is_ended_before_it_is_begun_again(tmp_path: Path) -> None:
    mark = tmp_path / "mark"
    do = Exec(("sh", "-c", f"echo $$ >> {mark}; test -e {tmp_path}/go || exec sleep 65"))
    one = Bench(tmp_path / "state", action(do=do, undo=Undo("nothing")))

    def dies() -> None:
        def watch(_event: object) -> None:
            if mark.exists() and mark.read_text().endswith("\n"):
                os.kill(os.getpid(), signal.SIGKILL)

        from rocmdoctor.applying.run_plan import run
        from tests.applying.conftest import QUICK

        run(one.plan, one.folder, show=watch, means=QUICK)

    assert os.WTERMSIG(in_child(dies)) == signal.SIGKILL
    left = int(mark.read_text())
    os.kill(left, 0)
    (tmp_path / "go").touch()
    assert one.run().state == "done"
    assert not lives(left)
    notes = [event.text for event in one.events if event.kind == "note"]
    assert notes
    assert notes[0].startswith(f"waits for process {left} '")
    assert notes[0].endswith("which an interrupted run left behind")
