"""Root does the user's actions as the user: what a user's files point to reaches no further than the user could."""

from __future__ import annotations

import hashlib
import os
import pwd
import shutil
import stat
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from rocmdoctor.actions import ApplyPatch, Exec, Fetch, Person, Undo, WriteFile
from rocmdoctor.applying import become
from rocmdoctor.applying.become import ChildError, ChildStoppedError, apart
from rocmdoctor.applying.stopping import Stop
from tests.applying.conftest import Bench
from tests.applying.plans import action
from tests.applying.test_kill_points import PATCH

pytestmark = [
    pytest.mark.touches_machine,
    pytest.mark.skipif(os.geteuid() != 0, reason="needs root: it becomes another user"),
]
NOBODY = Person("nobody", 65534, "/nonexistent")
ENTRY = pwd.struct_passwd(("nobody", "x", 65534, 65534, "", "/nonexistent", "/bin/sh"))


@pytest.fixture
def home() -> Iterator[Path]:
    """A folder that the user nobody owns and can reach."""
    with tempfile.TemporaryDirectory(prefix="rocmdoctor-") as folder:
        Path(folder).chmod(0o755)
        path = Path(folder) / "home"
        path.mkdir()
        os.chown(path, 65534, 65534)
        yield path


def ended(home: Path, *acts: Any) -> tuple[Bench, Any]:
    one = Bench(home.parent / "state", *acts)
    return one, one.run(person=ENTRY)


def test_files_are_written_as_the_user(home: Path) -> None:
    (home / "rc").write_bytes(b"mine")
    os.chown(home / "rc", 65534, 65534)
    one, outcome = ended(
        home,
        action(id="a", do=WriteFile(str(home / "new/f"), "x\n", 0o600)),
        action(id="b", do=WriteFile(str(home / "rc"), "export A=1\n", block=True)),
    )
    assert outcome.state == "done", outcome.message
    owners = {p.name: (p.stat().st_uid, p.stat().st_gid) for p in (home / "new", home / "new/f", home / "rc")}
    assert set(owners.values()) == {(65534, 65534)}
    assert stat.S_IMODE((home / "new/f").stat().st_mode) == 0o600
    one.undo(person=ENTRY)
    assert [p.name for p in home.iterdir()] == ["rc"]
    assert (home / "rc").read_bytes() == b"mine"
    assert (home / "rc").stat().st_uid == 65534


@pytest.mark.parametrize("block", [False, True])
def test_a_link_to_what_the_user_may_not_write_reaches_nothing(home: Path, block: bool) -> None:
    victim = home.parent / "victim"
    victim.write_text("root's\n")
    (home / "rc").symlink_to(victim)
    _, outcome = ended(home, action(do=WriteFile(str(home / "rc"), "evil\n", block=block)))
    assert outcome.state == "failed"
    assert outcome.message == (
        f"{home}/rc: permission denied; look at the owner and mode of the file and its folders"
    )
    assert victim.read_text() == "root's\n"
    assert victim.stat().st_uid == 0


def test_a_link_to_what_the_user_may_not_read_is_not_copied(home: Path) -> None:
    secret = home.parent / "secret"
    secret.write_text("root's secret\n")
    secret.chmod(0o600)
    (home / "rc").symlink_to(secret)
    one, outcome = ended(home, action(do=WriteFile(str(home / "rc"), "x\n", block=True)))
    assert outcome.state == "failed"
    assert not list((one.folder / "backup").iterdir())
    assert secret.read_text() == "root's secret\n"


def test_undo_follows_no_link_that_was_put_there_since(home: Path) -> None:
    one, _ = ended(home, action(do=WriteFile(str(home / "rc"), "ours\n")))
    victim = home.parent / "victim"
    victim.write_text("ours\n")
    (home / "rc").unlink()
    (home / "rc").symlink_to(victim)
    one.undo(person=ENTRY, force=True)
    assert victim.read_text() == "ours\n"


@pytest.mark.skipif(shutil.which("git") is None, reason="needs git, which applies patches")
def test_programs_downloads_and_patches_are_the_users(home: Path) -> None:
    (home / "src").mkdir()
    (home / "src/code.py").write_text("one\ntwo\nthree\n")
    for path in (home / "src", home / "src/code.py"):
        os.chown(path, 65534, 65534)
    patch, data = home.parent / "fix.patch", home.parent / "data"
    patch.write_bytes(PATCH)
    data.write_bytes(b"data")
    one, outcome = ended(
        home,
        action(
            id="x",
            do=Exec(("touch", str(home / "touched"))),
            undo=Undo("commands", commands=(("rm", str(home / "touched")),)),
        ),
        action(id="f", do=Fetch(f"file://{data}", str(home / "got"), hashlib.sha256(b"data").hexdigest())),
        action(id="p", do=ApplyPatch(str(patch), str(home / "src"), hashlib.sha256(PATCH).hexdigest())),
    )
    assert outcome.state == "done", outcome.message
    assert {(home / n).stat().st_uid for n in ("touched", "got", "src/code.py")} == {65534}
    assert (home / "src/code.py").read_text() == "one\n2\nthree\n"
    undone = one.undo(person=ENTRY)
    assert (undone.failed, undone.left) == ("", ())
    assert [p.name for p in home.iterdir()] == ["src"]
    assert (home / "src/code.py").read_text() == "one\ntwo\nthree\n"


def test_a_download_of_what_the_user_may_not_read_fails(home: Path) -> None:
    secret = home.parent / "secret"
    secret.write_text("secret")
    secret.chmod(0o600)
    _, outcome = ended(home, action(do=Fetch(f"file://{secret}", str(home / "got"), "0" * 64)))
    assert outcome.state == "failed"
    assert "Permission denied" in outcome.message
    assert not (home / "got").exists()


def test_the_users_program_cannot_read_what_the_run_kept(home: Path) -> None:
    (home / "other").write_text("somebody's\n")
    os.chown(home / "other", 65534, 65534)
    one, _ = ended(home, action(do=WriteFile(str(home / "other"), "x\n")))
    with pytest.raises(ChildError) as caught:
        apart(lambda _tell: (one.folder / "backup/001.json").read_text(), person=NOBODY)
    assert caught.value.errno == 13


def test_the_child_is_wholly_the_user() -> None:
    def who(_tell: become.Tell) -> Any:
        return [
            os.getresuid(),
            os.getresgid(),
            os.getgroups(),
            os.environ["HOME"],
            os.getsid(0) == os.getpid(),
        ]

    said = apart(who, person=NOBODY)
    assert said == [[65534] * 3, [65534] * 3, [65534], "/nonexistent", True]


def test_what_the_child_raises_and_tells() -> None:
    told: list[str] = []

    def fails(tell: become.Tell) -> None:
        tell("begun")
        raise ValueError("no luck")

    with pytest.raises(ChildError) as caught:
        apart(fails, person=NOBODY, on_line=told.append)
    assert (str(caught.value), told) == ("no luck", ["begun"])


def test_a_child_that_dies_hangs_or_is_not_wanted_any_more() -> None:
    with pytest.raises(ChildError) as died:
        apart(lambda _tell: os._exit(3), person=NOBODY)
    assert str(died.value) == "the process that was to do it ended without a word"

    def hangs(_tell: become.Tell) -> None:
        import time

        time.sleep(600)

    with pytest.raises(ChildStoppedError, match="timeout"):
        apart(hangs, person=NOBODY, seconds=0.2)
    stop = Stop()
    stop.ask(1)
    with pytest.raises(ChildStoppedError, match="stopped"):
        apart(hangs, person=NOBODY, stop=stop)
