"""Run folders: counted up, made once, safe for root, and what state each run is in."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from rocmdoctor.applying import places
from rocmdoctor.applying.journal import FILE, Journal
from rocmdoctor.applying.places import (
    PlaceError,
    latest_unfinished,
    machine_state,
    make_run,
    runs,
    user_state,
)

as_root = pytest.mark.skipif(os.geteuid() != 0, reason="needs root: other owners are made")


@pytest.mark.parametrize("mask", [0, 0o077])
def test_runs_count_up_and_are_open_to_be_read(tmp_path: Path, mask: int) -> None:
    before = os.umask(mask)
    try:
        folders = [make_run(tmp_path / "state") for _ in range(3)]
    finally:
        os.umask(before)
    assert [f.name for f in folders] == ["1", "2", "3"]
    modes = {
        p.name: stat.S_IMODE(p.stat().st_mode)
        for p in (tmp_path / "state", folders[0], *folders[0].iterdir())
    }
    assert modes == {"state": 0o755, "1": 0o755, "logs": 0o755, "backup": 0o700}


def test_a_number_is_never_given_twice(tmp_path: Path) -> None:
    make_run(tmp_path)
    make_run(tmp_path)
    (tmp_path / "runs" / "007").mkdir()
    (tmp_path / "runs" / "x").mkdir()
    (tmp_path / "runs" / "9").write_text("a file")
    assert make_run(tmp_path).name == "10"


def test_two_that_begin_at_once_get_two_folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make_run(tmp_path)
    seen = iter([[], [1]])
    monkeypatch.setattr(places, "_numbers", lambda _state: next(seen))
    assert make_run(tmp_path).name == "2"


def test_where_runs_are_kept() -> None:
    assert machine_state() == Path("/var/lib/rocmdoctor")
    assert machine_state("/srv/state") == Path("/srv/state")
    assert user_state({"HOME": "/home/u"}) == Path("/home/u/.local/state/rocmdoctor")
    assert user_state({"HOME": "/home/u", "XDG_STATE_HOME": "/x"}) == Path("/x/rocmdoctor")
    assert user_state({"HOME": "/home/u", "XDG_STATE_HOME": "x"}) == Path("/home/u/.local/state/rocmdoctor")
    assert user_state({"HOME": "/home/u", "ROCMDOCTOR_STATE": "/s", "XDG_STATE_HOME": "/x"}) == Path("/s")


def test_root_is_not_moved_by_a_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ROCMDOCTOR_STATE", "/home/mallory")
    assert machine_state() == Path("/var/lib/rocmdoctor")


@pytest.mark.parametrize(
    ("events", "state", "says"),
    [
        ([], "empty", ""),
        ([("run-begin", "", {}), ("begin", "a", {})], "interrupted", "a"),
        ([("run-begin", "", {}), ("begin", "a", {}), ("failed", "a", {"message": "no"})], "failed", "no"),
        ([("run-begin", "", {}), ("stopped", "", {})], "stopped", ""),
        ([("run-begin", "", {}), ("reboot-asked", "r", {"why": "the driver"})], "reboot", "the driver"),
        ([("run-begin", "", {}), ("end", "", {})], "done", ""),
        ([("run-begin", "", {}), ("end", "", {}), ("verified", "", {})], "done", ""),
        ([("run-begin", "", {}), ("end", "", {}), ("undo-begin", "", {})], "undoing", ""),
        ([("run-begin", "", {}), ("undo-begin", "", {}), ("undone", "a", {}), ("end", "", {})], "undone", ""),
    ],
)
def test_what_state_a_run_is_in(
    tmp_path: Path, events: list[tuple[str, str, dict[str, str]]], state: str, says: str
) -> None:
    folder = make_run(tmp_path)
    journal = Journal(folder / FILE)
    for event, name, more in events:
        journal.write(event, name, **more)
    journal.close()
    (run,) = runs(tmp_path)
    assert (run.number, run.folder, run.state, run.says) == (1, folder, state, says)
    assert (latest_unfinished(tmp_path) is not None) == (state in places.UNFINISHED)


def test_the_newest_unfinished_run_is_the_one(tmp_path: Path) -> None:
    for events in (["run-begin"], ["run-begin", "begin"], ["run-begin", "end"], ["garbage"]):
        journal = Journal(make_run(tmp_path) / FILE)
        for event in events:
            journal.write(event)
        journal.close()
    found = latest_unfinished(tmp_path)
    assert found is not None
    assert found.number == 2
    assert runs(tmp_path)[3].state == "unreadable"
    assert "'garbage' is no event of a journal" in runs(tmp_path)[3].says


def test_no_runs_where_there_is_no_folder(tmp_path: Path) -> None:
    assert runs(tmp_path / "none") == []
    assert latest_unfinished(tmp_path / "none") is None


def test_a_file_in_the_way_is_named(tmp_path: Path) -> None:
    (tmp_path / "state").write_text("")
    with pytest.raises(PlaceError) as caught:
        make_run(tmp_path / "state")
    assert (
        str(caught.value) == f"{tmp_path}/state/runs: Not a directory; runs are kept there, so none is begun"
    )


@as_root
@pytest.mark.touches_machine
def test_root_trusts_no_folder_that_others_could_change(tmp_path: Path) -> None:
    theirs = tmp_path / "theirs"
    theirs.mkdir()
    os.chown(theirs, 1234, 1234)
    with pytest.raises(PlaceError) as caught:
        make_run(theirs / "state")
    assert str(caught.value) == (
        f"{theirs}: owner 1234, mode 0755; root uses {theirs}/state/runs only where nobody else could have changed it"
        " (owner 0, not writable by group or others)"
    )
    link = tmp_path / "link"
    link.symlink_to(theirs)
    with pytest.raises(PlaceError):
        places.trusted(link)
    loose = tmp_path / "loose"
    loose.mkdir()
    loose.chmod(0o777)
    with pytest.raises(PlaceError):
        places.trusted(loose / "x")
    loose.chmod(0o1777)
    places.trusted(loose / "x")
