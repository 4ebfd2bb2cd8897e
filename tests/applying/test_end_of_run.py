"""The end of a run: as long as it is not noted, the next boot goes on with it."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import pytest

from rocmdoctor.applying import journal, unit
from rocmdoctor.applying.places import runs
from rocmdoctor.applying.run_plan import Outcome
from rocmdoctor.cli import runner
from rocmdoctor.cli.ending import Ending, Report
from rocmdoctor.cli.runner import Options
from tests.applying.plans import plan


class _PowerFailsError(BaseException):
    """Nothing catches it, as nothing catches the end of the power."""


@pytest.fixture
def watched(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What happens, in its order: the run itself is done."""
    seen: list[str] = []
    folder = tmp_path / "runs" / "1"
    folder.mkdir(parents=True)
    write = journal.Journal.write

    def noted(self: journal.Journal, event: str, *args: object, **more: object) -> None:
        write(self, event, *args, **more)
        seen.append(event)

    def verified(self: Ending, *_: object) -> Report:
        seen.append("asks")
        return Report("compiled")

    monkeypatch.setattr(runner, "run", lambda *_, **__: Outcome("done"))
    monkeypatch.setattr(Ending, "verify", verified)
    monkeypatch.setattr(Ending, "done", lambda *_: seen.append("told") or 0)
    monkeypatch.setattr(journal.Journal, "write", noted)
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    monkeypatch.setattr(unit, "disarm", lambda: seen.append("disarmed"))
    monkeypatch.setattr(runner, "_entry", lambda _: None)
    return seen


def _goes_on(state: Path) -> int:
    verified = replace(plan(), verify=("rocm.installed",))
    return runner._go(verified, state / "runs" / "1", state, Options(), (), armed=True)


def test_the_unit_stays_until_the_end_is_noted(watched: list[str], tmp_path: Path) -> None:
    assert _goes_on(tmp_path) == 0
    assert watched == ["asks", "verified", "end", "disarmed", "told"]


def test_what_was_promised_stands_before_the_run_counts_as_done(
    watched: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write = journal.Journal.write

    def cut(self: journal.Journal, event: str, *args: object, **more: object) -> None:
        write(self, event, *args, **more)
        raise _PowerFailsError

    monkeypatch.setattr(journal.Journal, "write", cut)
    with pytest.raises(_PowerFailsError):
        _goes_on(tmp_path)
    assert [run.state for run in runs(tmp_path)] == ["done"]
    assert (tmp_path / "runs/1/promised").read_text(encoding="ascii") == "rocm.installed\n"


def test_a_bug_of_ours_while_verifying_does_not_come_back_at_each_boot(
    watched: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object) -> Report:
        raise ZeroDivisionError

    monkeypatch.setattr(Ending, "verify", broken)
    with pytest.raises(ZeroDivisionError):
        _goes_on(tmp_path)
    assert watched == ["disarmed"]
