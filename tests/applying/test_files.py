"""WriteFile: atomic, owner and mode kept, links followed where they are the user's, exact undo."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from rocmdoctor.actions import Exec, Undo, WriteFile
from rocmdoctor.applying import files
from rocmdoctor.applying.files import former_from_json, look
from rocmdoctor.ops.ground import BEGIN, END
from tests.applying.conftest import Bench, tree
from tests.applying.plans import action

pytestmark = pytest.mark.touches_machine
as_root = pytest.mark.skipif(os.geteuid() != 0, reason="needs root: files of other users are made")
Make = Callable[..., Bench]


def write(path: Path, text: str | None, **more: Any) -> Any:
    return action(do=WriteFile(str(path), text, **more))


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_a_new_file_in_new_folders_and_gone_again(bench: Make, tmp_path: Path) -> None:
    one = bench(write(tmp_path / "a/b/file", "text\n", mode=0o640))
    old = os.umask(0o077)
    try:
        assert one.run().state == "done"
    finally:
        os.umask(old)
    assert tree(tmp_path / "a") == {"b": (0o755, b""), "b/file": (0o640, b"text\n")}
    assert one.undo().undone == ("a",)
    assert not (tmp_path / "a").exists()


def test_a_folder_that_somebody_uses_by_now_stays(bench: Make, tmp_path: Path) -> None:
    one = bench(write(tmp_path / "a/b/file", "text\n"))
    one.run()
    (tmp_path / "a/other").write_text("")
    one.undo()
    assert tree(tmp_path / "a") == {"other": (0o644, b"")}


@pytest.mark.parametrize("text", ["new\n", None])
def test_bytes_mode_and_absence_come_back_exactly(bench: Make, tmp_path: Path, text: str | None) -> None:
    path = tmp_path / "f"
    path.write_bytes(b"\xff\r\nno newline")
    path.chmod(0o604)
    one = bench(write(path, text))
    one.run()
    assert (path.read_text(), mode(path)) == ("new\n", 0o604) if text else not path.exists()
    one.undo()
    assert (path.read_bytes(), mode(path)) == (b"\xff\r\nno newline", 0o604)
    assert not list(tmp_path.glob(".*rocmdoctor*"))


def test_what_is_right_already_is_not_touched(bench: Make, tmp_path: Path) -> None:
    path = tmp_path / "f"
    path.write_text("text\n")
    before = path.stat()
    one = bench(write(path, "text\n"), action(id="b", do=WriteFile(str(tmp_path / "none"), None)))
    assert one.run().state == "done"
    assert path.stat() == before
    assert [line.more.get("unchanged") for line in one.lines if line.event == "done"] == [True, True]
    assert one.undo() == one.undo()
    assert path.stat() == before


def test_a_link_is_followed_and_stays_a_link(bench: Make, tmp_path: Path) -> None:
    real, link = tmp_path / "dotfiles/bashrc", tmp_path / ".bashrc"
    real.parent.mkdir()
    real.write_bytes(b"mine")
    link.symlink_to("dotfiles/bashrc")
    one = bench(write(link, "export A=1\n", block=True))
    one.run()
    assert link.is_symlink()
    assert real.read_text().startswith(f"mine\n{BEGIN}\nexport A=1\n{END}\n")
    one.undo()
    assert (link.is_symlink(), real.read_bytes()) == (True, b"mine")


def test_a_link_that_leads_nowhere_gets_its_file(bench: Make, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(tmp_path / "target")
    one = bench(write(tmp_path / "link", "x\n"))
    one.run()
    assert (tmp_path / "target").read_text() == "x\n"
    one.undo()
    assert (tmp_path / "link").is_symlink()
    assert not (tmp_path / "target").exists()


def test_a_link_that_is_to_go_goes_and_comes_back(bench: Make, tmp_path: Path) -> None:
    (tmp_path / "target").write_text("theirs")
    (tmp_path / "link").symlink_to("target")
    before = tree(tmp_path)
    one = bench(write(tmp_path / "link", None))
    one.run()
    assert not (tmp_path / "link").is_symlink()
    assert (tmp_path / "target").read_text() == "theirs"
    one.undo()
    assert {k: v for k, v in tree(tmp_path).items() if not k.startswith("state")} == before


@pytest.mark.parametrize("text", [None, "export B=2\n"])
def test_a_block_is_changed_and_the_rest_kept(bench: Make, tmp_path: Path, text: str | None) -> None:
    path = tmp_path / "rc"
    path.write_bytes(b"top\xff\n" + f"{BEGIN}\nexport A=1\n{END}\n".encode() + b"below\r\n")
    before = path.read_bytes()
    one = bench(write(path, text, block=True))
    one.run()
    middle = f"{BEGIN}\n{text}{END}\n".encode() if text else b""
    assert path.read_bytes() == b"top\xff\n" + middle + b"below\r\n"
    one.undo()
    assert path.read_bytes() == before


def test_our_lines_alone_go_when_the_file_was_changed_since(bench: Make, tmp_path: Path) -> None:
    path = tmp_path / "rc"
    path.write_text("top\n")
    one = bench(write(path, "export A=1\n", block=True))
    one.run()
    path.write_text("more\n" + path.read_text() + "alias x=y\n")
    assert one.undo().left == ()
    assert path.read_text() == "more\ntop\nalias x=y\n"


def test_a_file_that_somebody_changed_is_named_and_left(bench: Make, tmp_path: Path) -> None:
    path = tmp_path / "f"
    path.write_text("before\n")
    one = bench(write(path, "ours\n"))
    one.run()
    path.write_text("theirs\n")
    why = f"{path} was changed since by somebody else; --force gives it back as it was all the same"
    assert one.undo().left == (("a", why),)
    assert path.read_text() == "theirs\n"
    done = one.undo(force=True)
    assert (done.undone, done.left, path.read_text()) == (("a",), (), "before\n")


def test_a_block_that_somebody_changed_is_left_too(bench: Make, tmp_path: Path) -> None:
    path = tmp_path / "rc"
    one = bench(write(path, "export A=1\n", block=True))
    one.run()
    path.write_text(path.read_text().replace("A=1", "A=2"))
    assert [name for name, _ in one.undo().left] == ["a"]
    assert "A=2" in path.read_text()


def test_commands_follow_a_file_that_was_given_back(bench: Make, tmp_path: Path) -> None:
    path = tmp_path / "f"
    undo = Undo("restore", commands=(("cp", str(path), str(tmp_path / "made-from-it")),))
    path.write_text("before\n")
    one = bench(action(do=WriteFile(str(path), "ours\n"), undo=undo))
    one.run()
    one.undo()
    assert (tmp_path / "made-from-it").read_text() == "before\n"


@pytest.mark.parametrize(
    ("made", "says"),
    [
        ("folder", "{path}: it is a folder, a file is wanted"),
        ("under-file", "{path}/x: a part of the path is a file, a folder is wanted"),
        ("loop", "{path}: its symbolic links lead in a circle"),
        ("torn-block", f"{{path}}: holds '{BEGIN}' in line 1; wanted is one '{BEGIN}' and after it one '{END}'; it was not changed, mend it by hand"),
        ("relative", "some/where: a path from the root is wanted, this one depends on where one stands"),
        ("large", "{path}: larger than 0 MiB, so that it could not be given back; move it away, then resume"),
    ],
)  # fmt: skip
def test_what_cannot_be_written_is_named(
    bench: Make, tmp_path: Path, made: str, says: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "f"
    do = WriteFile(str(path), "x\n", block=made == "torn-block")
    if made == "folder":
        path.mkdir()
    elif made == "under-file":
        path.write_text("")
        do = WriteFile(f"{path}/x", "x\n")
    elif made == "loop":
        path.symlink_to(path)
    elif made == "torn-block":
        path.write_text(f"{BEGIN}\n")
    elif made == "relative":
        do = WriteFile("some/where", "x\n")
    else:
        path.write_text("much")
        monkeypatch.setattr(files, "KEEP_BYTES", 3)
    before = tree(tmp_path) if made != "loop" else {}
    one = bench(action(do=do))
    outcome = one.run()
    assert (outcome.state, outcome.message) == ("failed", says.format(path=path))
    after = {k: v for k, v in tree(tmp_path).items() if not k.startswith("state")} if made != "loop" else {}
    assert after == before


def test_what_somebody_wrote_between_two_tries_comes_back(
    bench: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "f"
    path.write_text("first\n")
    one = bench(write(path, "ours\n"))
    real = files.put

    def refuses(name: str, *more: Any) -> None:
        if name == str(path):
            raise OSError(28, "No space left on device", name)
        real(name, *more)

    monkeypatch.setattr(files, "put", refuses)
    assert one.run().state == "failed"
    monkeypatch.undo()
    path.write_text("second\n")
    assert one.run().state == "done"
    one.undo()
    assert path.read_text() == "second\n"


def test_a_try_that_was_not_noted_is_noted_whole(bench: Make, tmp_path: Path) -> None:
    path = tmp_path / "f"
    one = bench(write(path, "ours\n"))
    one.run()
    whole = one.lines[-1].more
    journal = one.folder / "journal.jsonl"
    journal.write_bytes(journal.read_bytes()[:-9])
    assert one.run().state == "done"
    assert one.lines[-1].more == whole


def test_a_file_is_on_the_disk_before_it_has_its_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[tuple[str, bool]] = []
    real = os.fsync

    def synced(file: int) -> None:
        name = Path(f"/proc/self/fd/{file}").readlink().name
        seen.append((name, (tmp_path / "f").exists()))
        real(file)

    monkeypatch.setattr(os, "fsync", synced)
    files.put(str(tmp_path / "f"), b"x", 0o644)
    assert seen == [(".f.rocmdoctor-new", False), (tmp_path.name, True)]


def test_former_goes_through_json(tmp_path: Path) -> None:
    (tmp_path / "f").write_bytes(b"\x00\xff")
    for path in ("f", "none/deep/er"):
        found = look(str(tmp_path / path))
        assert former_from_json(found.as_json()) == found


@as_root
def test_owner_and_access_lists_are_kept(bench: Make, tmp_path: Path) -> None:
    path = tmp_path / "f"
    path.write_text("x\n")
    os.chown(path, 1234, 2345)
    path.chmod(0o4750)
    try:
        os.setxattr(path, "user.note", b"kept")
    except OSError:
        pytest.skip("no extended attributes on this file system")
    one = bench(write(path, "y\n"))
    one.run()
    found = path.stat()
    assert (found.st_uid, found.st_gid, mode(path), os.getxattr(path, "user.note")) == (
        1234,
        2345,
        0o4750,
        b"kept",
    )
    one.undo()
    found = path.stat()
    assert (found.st_uid, found.st_gid, mode(path), path.read_text()) == (1234, 2345, 0o4750, "x\n")


@as_root
def test_root_does_not_write_where_a_user_could_put_a_link(bench: Make, tmp_path: Path) -> None:
    theirs = tmp_path / "theirs"
    theirs.mkdir()
    os.chown(theirs, 1234, 1234)
    one = bench(action(root=True, do=WriteFile(str(theirs / "f"), "x\n")))
    assert one.run().message == (
        f"{theirs}: owner 1234, mode 0755; root uses {theirs} only where nobody else could have changed it"
        " (owner 0, not writable by group or others)"
    )
    assert list(theirs.iterdir()) == []


def test_root_is_needed_and_not_there(bench: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    one = bench(action(root=True, says="write /etc/x", do=Exec(("true",)), undo=Undo("nothing")))
    monkeypatch.setattr("rocmdoctor.applying.execute.os.geteuid", lambda: 1000)
    assert one.run().message == "'write /etc/x' needs root, and this run has none; begin it without --no-root"


def test_a_full_disk(small_disk: Path, bench: Make) -> None:
    path = small_disk / "f"
    path.write_text("before\n")
    one = bench(write(path, "x" * 400_000))
    outcome = one.run()
    assert outcome.state == "failed"
    assert outcome.message.startswith(
        f"{path}: the disk is full; make room on it, then resume (0 MiB free at {small_disk})"
    )
    assert tree(small_disk) == {"f": (0o644, b"before\n")}


def fill(path: Path) -> None:
    with path.open("ab", buffering=0) as file, suppress(OSError):
        while True:
            file.write(b"x" * 512)


def test_a_full_disk_under_the_runs_own_folder(small_disk: Path, tmp_path: Path) -> None:
    path = tmp_path / "f"
    one = Bench(small_disk, write(path, "ours\n"), action(id="b", do=WriteFile(str(tmp_path / "g"), "g\n")))
    filler = small_disk / "filler"
    fill(filler)
    outcome = one.run()
    assert outcome.state == "failed"
    assert "No space left on device" in outcome.message or "the disk is full" in outcome.message
    assert not path.exists() or one.lines
    filler.unlink()
    assert one.run().state == "done"
    assert (path.read_text(), (tmp_path / "g").read_text()) == ("ours\n", "g\n")
    one.undo()
    assert not path.exists()


def test_a_read_only_file_system(small_disk: Path, bench: Make) -> None:
    import subprocess

    (small_disk / "f").write_text("before\n")
    subprocess.run(["mount", "-o", "remount,ro", str(small_disk)], check=True)
    one = bench(write(small_disk / "f", "x\n"))
    assert one.run().message == (
        f"{small_disk}/f: the file system is mounted read-only; mount it writable, then resume (after errors of the disk"
        " the kernel does that by itself: look at dmesg)"
    )
    subprocess.run(["mount", "-o", "remount,rw", str(small_disk)], check=True)
    assert one.run().state == "done"
    assert (small_disk / "f").read_text() == "x\n"
