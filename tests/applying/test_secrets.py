"""Passwords in addresses do not reach logs and messages, however the bytes arrive."""

from __future__ import annotations

import itertools
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rocmdoctor.applying.output import Output
from rocmdoctor.applying.steps import StepError

_PRINTED = (
    b"Hit:1 http://user:sEcReT@mirror.example/debian trixie InRelease\n"
    b"E: Failed to fetch https://user:p@sEcReT@mirror.example/x  401  Unauthorized [IP: 127.0.0.1 80]\r\n"
    b"\rGet:2 https://mirror.example/get?token=sEcReT&a=1 42%\r43% see ftp://sEcReT@mirror.example"
)
_WITHOUT = (
    "Hit:1 http://***@mirror.example/debian trixie InRelease\n"
    "E: Failed to fetch https://***@mirror.example/x  401  Unauthorized [IP: 127.0.0.1 80]\r\n"
    "\rGet:2 https://mirror.example/get?token=***&a=1 42%\r43% see ftp://***@mirror.example"
)


def _printed(log: Path | None, parts: list[bytes]) -> tuple[Output, list[str]]:
    """What a program prints in these parts, and each last line that was shown meanwhile."""
    output = Output(log, keep=1 << 20)
    shown = []
    for part in parts:
        output.add(part)
        shown.append(output.last)
    output.add(b"", final=True)
    output.close()
    return output, [*shown, output.last]


@given(st.lists(st.integers(0, len(_PRINTED)), max_size=6))
def test_however_the_bytes_arrive(places: list[int]) -> None:
    cuts = [0, *sorted(places), len(_PRINTED)]
    output, shown = _printed(None, [_PRINTED[a:b] for a, b in itertools.pairwise(cuts)])
    assert output.kept() == _WITHOUT
    assert "sEcReT" not in "".join((*output.tail(), *shown))


def test_byte_by_byte_into_a_log(tmp_path: Path) -> None:
    log = tmp_path / "log"
    output, shown = _printed(log, [bytes([byte]) for byte in _PRINTED])
    assert log.read_bytes().decode() == _WITHOUT
    assert "sEcReT" not in "".join((*output.tail(), *shown))


def test_the_command_itself_is_noted_without(tmp_path: Path) -> None:
    output = Output(tmp_path / "log")
    output.note("$ git clone https://user:sEcReT@example.org/x")
    output.close()
    assert (tmp_path / "log").read_text() == "$ git clone https://***@example.org/x\n"


@pytest.mark.parametrize(
    "text", ["https://user:sEcReT@example.org/x: sha256 is 0", "'curl https://example.org/?key=sEcReT' ended"]
)
def test_messages_hold_none(text: str) -> None:
    error = StepError(text)
    assert "sEcReT" not in f"{error} {error.message} {error.args}"


def test_what_is_no_address_is_shown_at_once() -> None:
    """Progress that is drawn over itself, and a question without an end of its line."""
    output = Output(None)
    output.add(b"\r10%")
    assert output.last == "10%"
    output.add(b"\r20% eta 0:03")
    assert output.last == "20% eta"
    output.add(b"\rGo on? [y/n]")
    assert output.last == "Go on? [y/n]"
