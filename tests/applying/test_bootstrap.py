"""The program that root is given by way of sudo: it takes nothing but what was agreed to, and keeps nothing where others may write."""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
from pathlib import Path

import pytest

from rocmdoctor.applying.bootstrap import PROGRAM

pytestmark = pytest.mark.touches_machine
_ARCHIVE, _WISH = b"an archive", b"a wish"
_REFUSED = "what arrived is not what was sent; nothing was changed"


def _given(state: Path, data: bytes, tool: str = "") -> subprocess.CompletedProcess[bytes]:
    """The program with the digests of the right bytes in its arguments, and these on its standard input."""
    sums = [word for one in (_ARCHIVE, _WISH) for word in (hashlib.sha256(one).hexdigest(), str(len(one)))]
    argv = [sys.executable, "-I", "-B", "-c", PROGRAM, str(state), "begin", tool, *sums]
    return subprocess.run(argv, input=data, capture_output=True, timeout=30, check=False)


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(b"an archivE" + _WISH, id="a byte of the archive is another"),
        pytest.param(_ARCHIVE + b"a wisH", id="a byte of the wish is another"),
        pytest.param(_ARCHIVE + _WISH[:-1], id="cut short"),
        pytest.param(_WISH + _ARCHIVE, id="in another order"),
        pytest.param(b"", id="nothing"),
    ],
)
def test_other_bytes_than_were_agreed_to_are_refused(tmp_path: Path, data: bytes) -> None:
    state = tmp_path / "state"
    done = _given(state, data)
    assert (done.returncode, done.stdout, done.stderr.decode()) == (4, b"", f"rocmdoctor: {_REFUSED}\n")
    assert not state.exists()


def test_who_asked_for_json_gets_an_envelope(tmp_path: Path) -> None:
    done = _given(tmp_path / "state", b"", "rocmdoctor 1")
    assert (done.returncode, done.stderr) == (4, b"")
    assert json.loads(done.stdout) == {
        "schema": 1,
        "tool": "rocmdoctor 1",
        "command": "install",
        "status": "error",
        "exit_code": 4,
        "data": {},
        "errors": [{"code": "not-begun", "message": _REFUSED, "where": ""}],
    }


def test_a_folder_that_others_may_write_to_is_refused_before_anything_is_made(tmp_path: Path) -> None:
    loose = tmp_path / "loose"
    loose.mkdir()
    loose.chmod(0o777)
    done = _given(loose / "state", _ARCHIVE + _WISH)
    said = done.stderr.decode()
    assert done.returncode == 4
    assert "can be written by others than root (owner" in said
    assert f"so root keeps nothing in {loose}/state; nothing was changed" in said
    assert list(loose.iterdir()) == []
