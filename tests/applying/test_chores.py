"""What steps do as the user: archives that mean harm, checkouts that were cut off, jobs by memory."""

from __future__ import annotations

import contextlib
import hashlib
import io
import json
import os
import stat
import subprocess
import sys
import tarfile
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from rocmdoctor.applying.chores import jobs, look
from rocmdoctor.applying.chores.checkout import checkout
from rocmdoctor.applying.chores.running import ChoreError
from rocmdoctor.applying.chores.unpack import STAMP, unpack
from rocmdoctor.job_count import fitting
from tests.applying.here import MEANS, done_here, planned_here
from tests.needs import skip_without

# ---------------------------------------------------------------- archives

Entries = Mapping[str, bytes | tuple[bytes, str]]


def _tar(path: Path, entries: Entries, mode: int = 0o666) -> str:
    """An archive of files, and of links given as type and target; its sha256."""
    with tarfile.open(path, "w:gz") as archive:
        for name, what in entries.items():
            info = tarfile.TarInfo(name)
            info.mode = mode
            if isinstance(what, bytes):
                info.size = len(what)
                archive.addfile(info, io.BytesIO(what))
            else:
                info.type, info.linkname = what
                archive.addfile(info)
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _unpack(tmp: Path, entries: Entries, **more: Any) -> Path:
    digest = _tar(tmp / "a.tar.gz", entries, **more)
    unpack(archive=str(tmp / "a.tar.gz"), sha256=digest, path=str(tmp / "src" / "a"))
    return tmp / "src" / "a"


def test_its_own_top_folder_becomes_the_path(tmp_path: Path) -> None:
    folder = _unpack(
        tmp_path, {"a-1.0/setup.py": b"x", "a-1.0/sub/b": b"y", "a-1.0/l": (tarfile.SYMTYPE, "sub/b")}
    )
    assert sorted(p.name for p in folder.iterdir()) == [STAMP, "l", "setup.py", "sub"]
    assert (folder / "l").read_bytes() == b"y"
    assert [p.name for p in folder.parent.iterdir()] == ["a"]


def test_several_top_folders_stay(tmp_path: Path) -> None:
    assert sorted(p.name for p in _unpack(tmp_path, {"a/x": b"", "b/x": b""}).iterdir()) == [STAMP, "a", "b"]


def test_others_can_write_nothing_of_it(tmp_path: Path) -> None:
    folder = _unpack(tmp_path, {"a/run": b"", "a/b/c": b""}, mode=0o6777)
    modes = {stat.S_IMODE(p.stat().st_mode) for p in folder.rglob("*") if p.is_file() and p.name != STAMP}
    assert modes == {0o755}
    assert not [p for p in (folder, *folder.rglob("*")) if p.stat().st_mode & 0o022]


@pytest.mark.parametrize(
    ("name", "what", "says"),
    [
        ("../evil", b"", "the entry '../evil' would lie outside of the folder; nothing was unpacked"),
        ("/etc/evil", b"", "the entry '/etc/evil' would lie outside"),
        ("a/../../evil", b"", "would lie outside"),
        (
            "a/l",
            (tarfile.SYMTYPE, "/etc/passwd"),
            "the link 'l' leads to '/etc/passwd', outside of the folder",
        ),
        ("a/l", (tarfile.SYMTYPE, "../../../x"), "the link 'l' leads to '../../../x', outside of the folder"),
        ("a/l", (tarfile.LNKTYPE, "../x"), "the link 'l' leads to '../x', outside of the folder"),
        ("a/f", (tarfile.FIFOTYPE, ""), "'a/f' is neither a file, a folder nor a link; no source is"),
        ("a/d", (tarfile.CHRTYPE, ""), "'a/d' is neither a file, a folder nor a link; no source is"),
    ],
)
def test_an_archive_that_means_harm(tmp_path: Path, name: str, what: Any, says: str) -> None:
    with pytest.raises(ChoreError) as caught:
        _unpack(tmp_path, {"a/setup.py": b"", name: what})
    assert says in str(caught.value)
    assert list((tmp_path / "src").iterdir()) == []


def test_no_file_is_written_through_a_link(tmp_path: Path) -> None:
    """Links are made when all files are there, so that a file below one's name lies in a folder of that name."""
    with pytest.raises((ChoreError, OSError)):
        _unpack(tmp_path, {"a/l": (tarfile.SYMTYPE, "sub"), "a/l/x": b"", "a/sub/y": b""})
    assert list((tmp_path / "src").iterdir()) == []


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=50, deadline=None)
@given(st.lists(st.text(alphabet="./ab\\", min_size=1, max_size=12), min_size=1, max_size=4, unique=True))
def test_no_name_leads_outside(tmp_path_factory: pytest.TempPathFactory, names: list[str]) -> None:
    tmp = tmp_path_factory.mktemp("x")
    before = {"a.tar.gz", "src"}
    with contextlib.suppress(ChoreError, OSError):
        _unpack(tmp, dict.fromkeys(names, b""))
    assert {p.name for p in tmp.iterdir()} <= before
    assert {p.name for p in (tmp / "src").iterdir()} <= {"a"}


def test_a_zip(tmp_path: Path) -> None:
    path = tmp_path / "a.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("a/setup.py", "x")
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    unpack(archive=str(path), sha256=digest, path=str(tmp_path / "src"))
    assert (tmp_path / "src" / "setup.py").read_text() == "x"


def test_a_zip_that_means_harm(tmp_path: Path) -> None:
    path = tmp_path / "a.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("a/../../evil", "x")
    with pytest.raises(ChoreError, match="would lie outside of the folder"):
        unpack(
            archive=str(path),
            sha256=hashlib.sha256(path.read_bytes()).hexdigest(),
            path=str(tmp_path / "src"),
        )
    assert not (tmp_path / "evil").exists()


def test_an_archive_that_is_cut(tmp_path: Path) -> None:
    _tar(tmp_path / "whole", {"a/b": os.urandom(9999)})
    (tmp_path / "cut").write_bytes((tmp_path / "whole").read_bytes()[:-500])
    digest = hashlib.sha256((tmp_path / "cut").read_bytes()).hexdigest()
    with pytest.raises(ChoreError, match="cannot be unpacked: "):
        unpack(archive=str(tmp_path / "cut"), sha256=digest, path=str(tmp_path / "src"))
    assert not (tmp_path / "src").exists()


def test_another_archive_than_was_planned(tmp_path: Path) -> None:
    _tar(tmp_path / "a", {"a/b": b""})
    with pytest.raises(
        ChoreError, match=f"wanted is {'0' * 64}; remove the file, then resume fetches it anew"
    ):
        unpack(archive=str(tmp_path / "a"), sha256="0" * 64, path=str(tmp_path / "src"))


def test_somebody_elses_folder(tmp_path: Path) -> None:
    (tmp_path / "src" / "a").mkdir(parents=True)
    (tmp_path / "src" / "a" / "thesis.tex").touch()
    with pytest.raises(ChoreError, match="is there and holds something else; move it away, then resume"):
        _unpack(tmp_path, {"a/b": b""})


@pytest.mark.touches_machine
def test_root_hands_a_chore_its_own_copy_of_the_code(tmp_path: Path) -> None:
    """The archive that root keeps holds all that a chore imports, and an interpreter without anything of ours starts it."""
    from rocmdoctor.applying.archive import build

    with zipfile.ZipFile(io.BytesIO(build())) as archive:
        archive.extractall(tmp_path / "version")
    digest = _tar(tmp_path / "a.tar.gz", {"a/b": b"", "a/../../evil": b""})
    given = json.dumps(
        {"archive": str(tmp_path / "a.tar.gz"), "sha256": digest, "path": str(tmp_path / "src")}
    )
    start = tmp_path / "version" / "rocmdoctor" / "applying" / "chores" / "start.py"
    base = getattr(sys, "_base_executable", sys.executable)
    done = subprocess.run(
        [base, "-I", "-B", start, "unpack", given], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (1, "")
    assert done.stdout.endswith(
        "the entry 'a/../../evil' would lie outside of the folder; nothing was unpacked\n"
    )
    assert done.stdout.startswith("rocmdoctor: ")


# ---------------------------------------------------------------- checkouts


def _git(folder: Path, *words: str) -> str:
    env = {**os.environ, "GIT_CONFIG_GLOBAL": "/dev/null", "GIT_CONFIG_NOSYSTEM": "1"}
    who = ("-c", "user.name=x", "-c", "user.email=x@example.org", "-c", "protocol.file.allow=always")
    done = subprocess.run(
        ["git", *who, *words], cwd=folder, env=env, capture_output=True, text=True, check=True
    )
    return done.stdout.strip()


@pytest.fixture
def upstream(tmp_path: Path) -> tuple[Path, list[str]]:
    """A repository below <mirror>/example.org with a submodule, and its two commits."""
    skip_without("git")
    inner, outer = tmp_path / "mirror/example.org/b/inner", tmp_path / "mirror/example.org/b/outer"
    for folder in (inner, outer):
        folder.mkdir(parents=True)
        _git(folder, "init", "--quiet", "--initial-branch=main")
    (inner / "deep.txt").write_text("deep\n")
    _git(inner, "add", ".")
    _git(inner, "commit", "--quiet", "-m", "inner")
    commits = []
    for number in (1, 2):
        (outer / "file.txt").write_text(f"{number}\n")
        if number == 1:
            _git(outer, "submodule", "--quiet", "add", f"file://{inner}", "sub")
            (outer / ".gitmodules").write_text(
                '[submodule "sub"]\n\tpath = sub\n\turl = https://example.org/b/inner\n'
            )
        _git(outer, "add", ".")
        _git(outer, "commit", "--quiet", "-m", str(number))
        commits.append(_git(outer, "rev-parse", "HEAD"))
    return tmp_path / "mirror", commits


@pytest.mark.touches_machine
def test_a_commit_with_its_submodules_from_a_folder(upstream: tuple[Path, list[str]], tmp_path: Path) -> None:
    mirror, commits = upstream
    home = tmp_path / "home"
    home.mkdir()
    given = {
        "url": "https://example.org/b/outer", "commit": commits[0], "path": "~/src", "submodules": True,
        "mirror": str(mirror),
    }  # fmt: skip
    _, outcome = done_here(tmp_path / "state", planned_here(home, "git.checkout", **given))
    assert (outcome.state, outcome.message) == ("done", "")
    assert (home / "src/file.txt").read_text() == "1\n"
    assert (home / "src/sub/deep.txt").read_text() == "deep\n"
    assert _git(home / "src", "rev-list", "--count", "HEAD") == "1"
    assert planned_here(home, "git.checkout", **given) == []


@pytest.mark.touches_machine
def test_one_that_was_cut_off_goes_on(upstream: tuple[Path, list[str]], tmp_path: Path) -> None:
    mirror, commits = upstream
    path = tmp_path / "src"
    given = {
        "url": f"file://{mirror}/example.org/b/outer",
        "path": str(path),
        "submodules": False,
        "mirror": "",
    }
    checkout(commit=commits[0], **given)
    # As git leaves it when it is killed in the middle: its lock, and a file of the commit that was to come.
    (path / ".git" / "index.lock").touch()
    (path / ".git" / "rocmdoctor-moving").touch()
    (path / "file.txt").write_text("half of 2")
    checkout(commit=commits[1], **given)
    assert (path / "file.txt").read_text() == "2\n"
    assert _git(path, "status", "--porcelain") == ""


@pytest.mark.touches_machine
def test_somebodys_work_is_named_and_stays(upstream: tuple[Path, list[str]], tmp_path: Path) -> None:
    mirror, commits = upstream
    path = tmp_path / "src"
    given = {
        "url": f"file://{mirror}/example.org/b/outer",
        "path": str(path),
        "submodules": False,
        "mirror": "",
    }
    checkout(commit=commits[0], **given)
    (path / "file.txt").write_text("mine")
    with pytest.raises(ChoreError) as caught:
        checkout(commit=commits[1], **given)
    assert (
        str(caught.value) == f"{path} has changes that are not committed: file.txt; nothing was checked out"
    )
    assert (path / "file.txt").read_text() == "mine"


@pytest.mark.touches_machine
def test_a_commit_that_is_not_there(upstream: tuple[Path, list[str]], tmp_path: Path) -> None:
    mirror, _ = upstream
    home = tmp_path / "home"
    home.mkdir()
    given = {"url": f"file://{mirror}/example.org/b/outer", "commit": "0" * 39 + "1", "path": "~/src"}
    bench, outcome = done_here(tmp_path / "state", planned_here(home, "git.checkout", **given))
    assert outcome.message.splitlines()[0].startswith(
        f"file://{mirror}/example.org/b/outer has no commit {'0' * 39}1; it may have been taken back there"
    )
    assert bench.undo(MEANS).failed == ""
    assert not (home / "src").exists()


# ---------------------------------------------------------------- jobs


@pytest.mark.parametrize(
    ("threads", "free", "per_job", "most", "wanted"),
    [(64, 512_000, 2048, 0, 64), (64, 16_000, 2048, 0, 7), (2, 1_000, 2048, 0, 1), (8, 64_000, 2048, 4, 4), (8, 0, 0, 0, 1)],
)  # fmt: skip
def test_jobs(threads: int, free: int, per_job: int, most: int, wanted: int) -> None:
    assert fitting(threads, free, per_job, most) == wanted


def test_limits_of_the_group_count(tmp_path: Path) -> None:
    (tmp_path / "meminfo").write_text("MemTotal: 99999999 kB\nMemAvailable:   65536000 kB\n")
    assert jobs.available_mb(tmp_path / "meminfo", tmp_path / "none") == 64_000
    for name, text in {
        "max": "4294967296",
        "current": "1073741824",
        "stat": "inactive_file 536870912\n",
    }.items():
        (tmp_path / f"memory.{name}").write_text(text)
    # 4 GiB less the one that is in use, of which half can be had back.
    assert jobs._left(tmp_path) == 3584
    (tmp_path / "memory.max").write_text("max\n")
    assert jobs._left(tmp_path) is None
    # The first version of the interface has other names for the same.
    for name, text in {"limit_in_bytes": "4294967296", "usage_in_bytes": "1073741824"}.items():
        (tmp_path / f"memory.{name}").write_text(text)
    (tmp_path / "memory.stat").write_text("inactive_file 0\ntotal_inactive_file 536870912\n")
    assert jobs._left(tmp_path) == 3584


# ---------------------------------------------------------------- what a wheel holds


@pytest.mark.parametrize(
    ("found", "wanted", "says"),
    [
        ({"a.so": ["gfx90a"]}, ["gfx90a"], ""),
        ({"a.so": ["gfx90a", "gfx942"]}, ["gfx942", "gfx90a"], ""),
        ({}, [], ""),
        ({}, ["gfx90a"], "no library of the wheel holds code for a GPU, wanted is gfx90a"),
        ({"a.so": ["gfx90a"]}, [], "a.so holds code for gfx90a, wanted is no GPU"),
        (
            {"a.so": ["gfx90a"], "b.so": ["gfx1030"]},
            ["gfx90a"],
            "b.so holds code for gfx1030, wanted is gfx90a",
        ),
        ({"a.so": ["gfx90a"]}, ["gfx90a", "gfx942"], "a.so holds code for gfx90a, wanted is gfx90a, gfx942"),
    ],
)
def test_exactly_the_wanted_targets(found: dict[str, list[str]], wanted: list[str], says: str) -> None:
    assert look.judged(found, wanted) == says


def test_a_library_that_is_none(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "x.whl", "w") as archive:
        archive.writestr("x/a.so", "no ELF")
    assert look.targets(tmp_path / "x.whl") == {}
