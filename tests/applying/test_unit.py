"""The unit that goes on after a reboot: its text, and how it takes itself away."""

from __future__ import annotations

from pathlib import Path

import pytest

from rocmdoctor.applying import unit
from rocmdoctor.cli.runner import Options, _patience


@pytest.fixture
def asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, ...]]:
    """What systemd was asked for; its folder lies below tmp_path."""
    said: list[tuple[str, ...]] = []
    monkeypatch.setattr(unit, "FOLDER", tmp_path)
    monkeypatch.setattr(unit, "systemd_runs", lambda: True)
    monkeypatch.setattr(unit, "quiet", said.append)
    monkeypatch.setattr(unit.os, "sync", lambda: None)
    monkeypatch.delenv("ROCMDOCTOR_UNIT", raising=False)
    return said


def _armed(tmp_path: Path) -> None:
    assert unit.arm("7", tmp_path / "runs/7", "/usr/bin/python3", tmp_path / "start.py", tmp_path)


def test_it_says_what_the_next_boot_does(asked: list[tuple[str, ...]], tmp_path: Path) -> None:
    _armed(tmp_path)
    lines = (tmp_path / unit.NAME).read_text(encoding="utf-8").splitlines()
    assert (
        f"ExecStart=/usr/bin/python3 -I -B {tmp_path}/start.py resume --state {tmp_path} --unattended 7"
        in lines
    )
    assert "TimeoutStartSec=infinity" in lines
    assert (tmp_path / "multi-user.target.wants" / unit.NAME).is_symlink()
    assert asked == [("systemctl", "daemon-reload")]


def test_whoever_takes_it_away_from_outside_tells_systemd(
    asked: list[tuple[str, ...]], tmp_path: Path
) -> None:
    _armed(tmp_path)
    unit.disarm()
    assert list(tmp_path.rglob(unit.NAME)) == []
    assert asked == [("systemctl", "daemon-reload")] * 2


def test_from_inside_systemd_is_told_when_it_has_ended(
    asked: list[tuple[str, ...]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """systemd 252 forgets a running unit's time limit when its file is gone, and ends it after 90 s."""
    _armed(tmp_path)
    lines = (tmp_path / unit.NAME).read_text(encoding="utf-8").splitlines()
    assert "ExecStopPost=-/bin/systemctl daemon-reload" in lines
    name, _, value = (
        next(line for line in lines if line.startswith("Environment=")).partition("=")[2].partition("=")
    )
    monkeypatch.setenv(name, value)
    unit.disarm()
    assert list(tmp_path.rglob(unit.NAME)) == []
    assert asked == [("systemctl", "daemon-reload")]


@pytest.mark.parametrize(
    ("agreed", "unattended", "wanted"),
    [(None, False, 1.0), (2, False, 2.0), (2, True, 3.0), (5.0, True, 5.0), ("x", True, 3.0)],
)
def test_a_machine_that_starts_is_given_time(agreed: object, unattended: bool, wanted: float) -> None:
    assert _patience(agreed, Options(unattended=unattended)) == wanted
