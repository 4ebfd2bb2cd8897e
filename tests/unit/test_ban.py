"""The ban on touching the machine holds; without it a unit test could pass by asking this very machine."""

from __future__ import annotations

import os
import socket
import subprocess
from pathlib import Path

import pytest

from tests.conftest import CHECKOUT


def test_no_program_is_started() -> None:
    with pytest.raises(PermissionError, match="started a program"):
        subprocess.run(["true"], check=False)


def test_no_child_is_forked() -> None:
    with pytest.raises(PermissionError, match="started a program"):
        os.fork()


def test_no_socket_is_opened() -> None:
    with socket.socket() as plug, pytest.raises(PermissionError, match="opened a socket"):
        plug.connect(("127.0.0.1", 9))


def test_nothing_is_written_outside_the_temporary_folder(tmp_path: Path) -> None:
    (tmp_path / "here").write_text("fine", encoding="utf-8")
    with pytest.raises(PermissionError, match="wrote to"):
        (CHECKOUT / "there").write_text("not fine", encoding="utf-8")
    assert not (CHECKOUT / "there").exists()


@pytest.mark.touches_machine
def test_those_who_say_so_may() -> None:
    assert subprocess.run(["true"], check=False).returncode == 0
