"""Patch files: what is read of a good one, and what is said of each bad one."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rocmdoctor.content import ContentError, bundled, load_checks, load_patches
from rocmdoctor.patching import BadPatchError, read_patch
from tests.conftest import CHECKOUT

GOOD = """\
From 0000000000000000000000000000000000000000 Mon Sep 17 00:00:00 2001
From: somebody <somebody@example.invalid>
Date: Thu, 26 Nov 2026 12:00:00 +0000
Subject: [PATCH 1/2] Leave the thing out where it is
 not wanted

It is wanted nowhere.
Note: this is no trailer.

Applies-To: thing >=1.0,<2
Needed-If: driver.kfd-access
Fixed-In: 2.0
Same-File: a.py b/a.py
Upstream: https://example.org/1
Upstream: https://example.org/2
---
 a.py   | 2 +-
 b/a.py | 2 +-
 2 files changed, 2 insertions(+), 2 deletions(-)

diff --git a/a.py b/a.py
index 0123abc..4567def 100644
--- a/a.py
+++ b/a.py
@@ -4,3 +4,3 @@ def f():
 one
-two
+2
 three
diff --git a/b/a.py b/b/a.py
--- a/b/a.py
+++ b/b/a.py
@@ -4,3 +4,3 @@
 one
-two
+2
 three
@@ -9 +9,2 @@
+nine
 ten
--\N{SPACE}
2.39.2

"""
PLACE = "patches/thing/0001-leave-it-out.patch"
CHECKS = ("driver.kfd-access", "training.cuda-home")


def read(text: str, where: str = PLACE, project: str = "thing"):
    return read_patch(text, where, project, CHECKS)


def test_a_good_one() -> None:
    patch = read(GOOD)
    assert (patch.id, patch.project, patch.path, patch.where) == ("0001-leave-it-out", "thing", PLACE, PLACE)
    assert patch.title == "Leave the thing out where it is not wanted"
    assert patch.about == "It is wanted nowhere.\nNote: this is no trailer."
    assert (patch.applies_to, patch.needed_if, patch.fixed_in) == (">=1.0,<2", "driver.kfd-access", "2.0")
    assert patch.upstream == ("https://example.org/1", "https://example.org/2")
    assert (patch.same, patch.files) == (("a.py", "b/a.py"), ("a.py", "b/a.py"))
    assert patch.sha256 == hashlib.sha256(GOOD.encode()).hexdigest()
    first, second = patch.changes[1].hunks
    assert (first.old, first.new, first.at_start, first.at_end) == (
        ("one", "two", "three"), ("one", "2", "three"), False, False,
    )  # fmt: skip
    assert (second.old, second.new) == (("ten",), ("nine", "ten"))


BAD = [
    ("From 0000000", "Frm 0000000", "1: the first line is 'Frm 0000000000000000000000000000000000000000 Mon Sep 17 00:0', wanted is 'From <commit> ...' of git format-patch"),
    ("Subject: [PATCH 1/2]", "Topic:", "1: no 'Subject: [PATCH] ...' in the head"),
    ("one\n-two", "one\r\n-two", "26: holds a carriage return; lines end in a line feed alone"),
    ("Applies-To: thing >=1.0,<2\n", "", "4: Applies-To: missing; it stands below the message"),
    ("Applies-To:", "Aplies-To:", "10: Aplies-To: unknown trailer, did you mean 'Applies-To'?"),
    ("Fixed-In:", "Signed-Off-By:", "12: Signed-Off-By: unknown trailer; there are Applies-To, Needed-If, Fixed-In, Same-File, Upstream"),
    ("Fixed-In: 2.0", "Applies-To: thing >=3", "12: Applies-To: stands there twice"),
    ("thing >=1.0,<2", "thing", "10: Applies-To: 'thing' is not a project and versions such as 'thing >=0.12.4,<0.16.3'"),
    ("thing >=1.0,<2", "other >=1.0", "10: Applies-To: the project is 'other', wanted is 'thing', in whose folder the patch lies"),
    ("thing >=1.0,<2", "thing from 1.0", "10: Applies-To: 'from 1.0' is not a set of versions such as '>=0.12.4,<0.16.3'"),
    ("Fixed-In: 2.0", "Fixed-In: soon", "12: Fixed-In: 'soon' is not a version such as '0.16.3'"),
    ("driver.kfd-access", "driver kfd", "11: Needed-If: 'driver kfd' is not the id of a check, such as 'training.cuda-home'"),
    ("driver.kfd-access", "driver.kfd-acess", "11: Needed-If: no check is called 'driver.kfd-acess', did you mean 'driver.kfd-access'?"),
    ("a.py b/a.py\n", "a.py\n", "13: Same-File: 'a.py' is not two or more paths of the tree, with spaces between"),
    ("a.py b/a.py\n", "a.py ../a.py\n", "13: Same-File: 'a.py ../a.py' is not two or more paths of the tree, with spaces between"),
    ("a.py b/a.py\n", "a.py c/a.py\n", "13: Same-File: 'c/a.py' is not a file that the patch changes"),
    ("https://example.org/1", "http://example.org/1", "14: Upstream: 'http://example.org/1' is not an https:// address without a user name"),
    ("https://example.org/1", "https://me:secret@example.org/1", "14: Upstream: 'https://me:secret@example.org/1' is not an https:// address without a user name"),
    ("---\n a.py ", " a.py ", "20: wanted is a line '---' and then 'diff --git ...', as git format-patch writes"),
    ("diff --git a/a.py b/a.py\n", "diff --git a/a.py b/c.py\n", "21: renames 'a.py' to 'c.py'; patches change files in place"),
    ("diff --git a/a.py b/a.py\n", "diff --git a/../a.py b/../a.py\n", "21: '../a.py' leads out of the tree, or into what is git's own"),
    ("diff --git a/a.py b/a.py\n", "diff --git a/.git/config b/.git/config\n", "21: '.git/config' leads out of the tree, or into what is git's own"),
    ("--- a/a.py", "--- /dev/null", "23: found '--- /dev/null', wanted is '--- a/a.py'; patches change the text of files that are there"),
    ("index 0123abc..4567def 100644\n", "old mode 100644\n", "22: found 'old mode 100644', wanted is '--- a/a.py'; patches change the text of files that are there"),
    ("@@ -4,3 +4,3 @@ def f():\n one", "@@ -4,3 @@\n one", "25: found '@@ -4,3 @@', wanted is '@@ -LINE,COUNT +LINE,COUNT @@'"),
    ("@@ -4,3 +4,3 @@ def f():\n one\n-two", "@@ -4,3 +4,3 @@ def f():\n one\n*two", "27: found '*two', wanted is a line that begins with ' ', '+' or '-'"),
    ("@@ -9 +9,2 @@", "@@ -9 +9,3 @@", "38: the hunk has 1 old and 2 new lines, its head says 1 and 3"),
    ("@@ -9 +9,2 @@\n+nine\n ten", "@@ -9 +9 @@\n-ten\n+10", "38: the hunk has no line of context, so nothing says where it belongs"),
    ("@@ -9 +9,2 @@\n+nine\n ten", "@@ -9 +9 @@\n ten", "38: the hunk changes nothing"),
    ("@@ -9 +9,2 @@\n+nine\n ten", "@@ -9 +9,2 @@\n+nine\n ten\n\\ No newline at end of file", "41: the end of a file without a line feed cannot be changed"),
    ("@@ -9 +9,2 @@\n+nine\n ten", "Binary files differ", "38: found 'Binary files differ', wanted is 'diff --git a/PATH b/PATH' or the next hunk"),
    ("diff --git a/b/a.py b/b/a.py\n--- a/b/a.py\n+++ b/b/a.py\n", "diff --git a/a.py b/a.py\n--- a/a.py\n+++ b/a.py\n", "32: 'a.py' is changed twice"),
]  # fmt: skip


@pytest.mark.parametrize(("old", "new", "says"), BAD)
def test_a_bad_one(old: str, new: str, says: str) -> None:
    assert old in GOOD
    with pytest.raises(BadPatchError) as caught:
        read(GOOD.replace(old, new, 1))
    assert f"{PLACE}:{says}" in [str(p) for p in caught.value.problems]


def test_all_that_is_wrong_is_said_in_the_order_of_lines() -> None:
    text = (
        GOOD.replace("Fixed-In: 2.0", "Fixed-In: soon")
        .replace("thing >=1.0,<2", "thing")
        .replace("@@ -9 ", "@@ 9 ")
    )
    with pytest.raises(BadPatchError) as caught:
        read(text)
    assert [p.line for p in caught.value.problems] == [10, 12, 38]
    assert caught.value.where == f"{PLACE}:10"
    assert caught.value.message.endswith("(2 more)")


def test_a_name_that_is_none() -> None:
    with pytest.raises(
        BadPatchError, match=r"the name is '1-x\.patch', wanted is one such as '0001-what-it-does\.patch'"
    ):
        read(GOOD, "patches/thing/1-x.patch")


@given(st.text())
def test_no_text_breaks_the_reader(text: str) -> None:
    with pytest.raises(BadPatchError):
        read(text)


@given(st.integers(0, len(GOOD) - 1), st.integers(0, 40), st.text(max_size=5))
def test_no_change_of_a_good_one_breaks_the_reader(at: int, length: int, new: str) -> None:
    try:
        read(GOOD[:at] + new + GOOD[at + length :])
    except BadPatchError as error:
        assert error.problems  # noqa: PT017


# ---------------------------------------------------------------- folders


STATE = "READS = ()\n\n\ndef state(tree, version):\n    return {}\n"


@pytest.fixture
def own(tmp_path: Path) -> Path:
    folder = tmp_path / "patches" / "thing"
    folder.mkdir(parents=True)
    (folder / "0001-leave-it-out.patch").write_text(GOOD, encoding="utf-8")
    (folder / "state.py").write_text(STATE, encoding="utf-8")
    return tmp_path


def test_a_folder_of_ones_own_beside_ours(own: Path) -> None:
    found = load_patches((bundled(), own), CHECKS)
    assert list(found) == ["axolotl", "deepspeed", "flash-attn", "thing"]
    (patch,) = found["thing"].patches
    assert (patch.path, patch.where) == (PLACE, str(own / PLACE))
    assert found["thing"].paths == ("a.py", "b/a.py")


def test_two_patches_with_one_number(own: Path) -> None:
    (own / "patches/thing/0001-again.patch").write_text(GOOD, encoding="utf-8")
    with pytest.raises(BadPatchError, match="the number 0001 is that of '0001-again', too"):
        load_patches((own,))


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (None, "is not there; beside patches it says what a tree says of them"),
        ("READS = ()\n", "state: missing; wanted are READS and state(tree, version)"),
        (
            "def state(tree, version):\n    return {}\n",
            "READS: missing; wanted are READS and state(tree, version)",
        ),
        ("1 / 0\n", "ZeroDivisionError: division by zero"),
    ],
)
def test_a_state_that_is_none(own: Path, text: str | None, says: str) -> None:
    path = own / "patches/thing/state.py"
    path.unlink()
    if text is not None:
        path.write_text(text, encoding="utf-8")
    with pytest.raises(ContentError) as caught:
        load_patches((own,))
    assert str(caught.value) == says
    assert caught.value.where.startswith(str(path))


def test_files_that_cannot_be_read(own: Path) -> None:
    folder = own / "patches/thing"
    (folder / "0002-bytes.patch").write_bytes(b"From\n\xff\n")
    (folder / "0003-folder.patch").mkdir()
    (folder / "0004-large.patch").write_bytes(b"\n" * ((1 << 20) + 1))
    os.mkfifo(folder / "0005-pipe.patch")
    with pytest.raises(BadPatchError) as caught:
        load_patches((own,))
    assert [str(p).replace(f"{folder}/", "") for p in caught.value.problems] == [
        "0002-bytes.patch:2: is not UTF-8 text: byte 0xff at 5",
        "0003-folder.patch:1: cannot be read: Is a directory",
        "0004-large.patch:1: cannot be read: it is larger than 1 MiB",
        "0005-pipe.patch:1: cannot be read: it is not a regular file",
    ]


def test_ours_name_checks_that_exist_and_no_commit_of_a_single_release() -> None:
    checks = {item.id for item in load_checks((bundled(),)).ordered()}
    for project in load_patches((bundled(),), checks).values():
        assert project.patches
        for patch in project.patches:
            text = (CHECKOUT / patch.path).read_text(encoding="utf-8")
            # The names of blobs would bind it to one release; git finds its place without.
            assert "\nindex " not in text
            assert len(max(text.splitlines(), key=len)) < 130
            # What it takes out may be longer; what stands around it may not.
            hunks = [hunk for change in patch.changes for hunk in change.hunks]
            assert all(len([line for line in hunk.old if line in hunk.new]) <= 8 for hunk in hunks)
