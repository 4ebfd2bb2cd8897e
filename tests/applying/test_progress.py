"""What is seen: a live line on a terminal, plain lines elsewhere, and no work lost when nobody can see it."""

from __future__ import annotations

import io
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rocmdoctor.applying.counting import counted
from rocmdoctor.applying.events import Event
from rocmdoctor.applying.progress import Progress, duration, shorten


class Watch:
    """A progress with a clock that is set by hand."""

    def __init__(self, **more: Any) -> None:
        self.now = 0.0
        self.stream = io.StringIO()
        self.progress = Progress(self.stream, clock=lambda: self.now, **more)

    def see(self, kind: str, text: str = "", at: float | None = None) -> str:
        """What this event adds to the stream."""
        self.now = self.now if at is None else at
        before = len(self.stream.getvalue())
        number = (2, 9, "install hipcc") if kind not in ("note", "stopping") else (0, 0, "")
        self.progress(Event(kind, *number, text))
        return self.stream.getvalue()[before:]


def test_plain_lines_where_there_is_no_terminal() -> None:
    watch = Watch()
    assert watch.see("begin") == "[2/9] install hipcc\n"
    assert watch.see("line", "Unpacking 1", at=29.9) == ""
    assert watch.see("line", "Unpacking 2", at=30.0) == "[2/9] install hipcc  30 s  Unpacking 2\n"
    assert watch.see("line", "Unpacking 3", at=59.0) == ""
    assert watch.see("line", "Unpacking 4", at=90.0) == "[2/9] install hipcc  1:30  Unpacking 4\n"
    assert watch.see("done", at=100.0) == "✓ [2/9] install hipcc  1:40\n"


def test_a_live_line_on_a_terminal() -> None:
    watch = Watch(terminal=True, width=40)
    assert watch.see("begin") == "\r\x1b[K[2/9] install hipcc"
    assert (
        watch.see("line", "Unpacking a-very-long-name", at=7)
        == "\r\x1b[K[2/9] install hipcc  7 s  Unpacking a-…"
    )
    assert watch.see("line", "Setting up", at=8) == "\r\x1b[K[2/9] install hipcc  8 s  Setting up"
    assert watch.see("done", at=9) == "\r\x1b[K✓ [2/9] install hipcc  9 s\n"


@pytest.mark.parametrize("terminal", [True, False])
def test_the_other_ends(terminal: bool) -> None:
    clear = "\r\x1b[K" if terminal else ""
    watch = Watch(terminal=terminal)
    assert (
        watch.see("skipped", "/opt/rocm is there") == f"{clear}- [2/9] install hipcc (/opt/rocm is there)\n"
    )
    assert (
        watch.see("failed", "long message that is said at the end") == f"{clear}✗ [2/9] install hipcc  0 s\n"
    )
    assert watch.see("stopping", "stopping at once") == f"{clear}stopping at once\n"


def test_control_characters_never_reach_the_terminal() -> None:
    watch = Watch(terminal=True)
    said = watch.see("line", "\x1b]0;evil\x07\x1b[2Jred\r\n\x9b31m")
    assert said == "\r\x1b[K[2/9] install hipcc  0 s  red31m"


def test_the_count_of_a_build_stays_in_sight() -> None:
    watch = Watch(terminal=True)
    watch.see("begin", "")
    assert "3 of 340  [3/340] Building HIP object a.o" in watch.see(
        "line", "[3/340] Building HIP object a.o", at=1
    )
    assert "3 of 340  a.cu:7:1: warning: unused" in watch.see("line", "a.cu:7:1: warning: unused", at=2)
    watch.see("done", "", at=3)
    watch.see("begin", "", at=4)
    assert "of 340" not in watch.see("line", "Collecting ninja", at=5)


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("[12/340] Building CXX object", "12 of 340"),
        ("  [  7%] Building", "7 %"),
        ("[341/340] x", ""),
        ("[0/2] Re-checking", ""),
        ("[100%] Built target x", "100 %"),
        ("note [1/2]", ""),
        ("[notice] a new release", ""),
    ],
)
def test_counts(line: str, says: str) -> None:
    assert counted(line) == says


def test_a_wait_is_said_once_in_a_while() -> None:
    watch = Watch()
    text = "waits for process 7 'apt-get', which an interrupted run left behind"
    assert watch.see("note", text) == f"{text}\n"
    assert watch.see("note", text, at=1) == ""
    assert watch.see("note", text, at=31) == f"{text}\n"


def test_a_terminal_that_is_gone_stops_no_work() -> None:
    class Gone(io.StringIO):
        def write(self, _text: str) -> int:
            raise OSError(5, "Input/output error")

    Progress(Gone(), terminal=True)(Event("begin", 1, 2, "x"))
    closed = io.StringIO()
    closed.close()
    Progress(closed)(Event("begin", 1, 2, "x"))


def test_a_stream_without_unicode_still_tells(tmp_path: Any) -> None:
    with (tmp_path / "out").open("w", encoding="ascii") as stream:
        Progress(stream)(Event("done", 1, 2, "install"))
        Progress(stream)(Event("line", 1, 2, "日本"))
    assert (tmp_path / "out").read_text() == "ok [1/2] install  0 s\n"


@given(st.text(max_size=30), st.integers(1, 20))
def test_cut_text_fits(text: str, width: int) -> None:
    import unicodedata

    cut = shorten(text, width)
    columns = sum(
        0 if unicodedata.combining(c) else 2 if unicodedata.east_asian_width(c) in "WF" else 1 for c in cut
    )
    assert columns <= width
    assert cut == text or text.startswith(cut[:-1])


def test_wide_characters_count_two() -> None:
    assert shorten("日本語", 6) == "日本語"
    assert shorten("日本語", 5) == "日本…"
    assert shorten("日本語", 4) == "日…"


@pytest.mark.parametrize(
    ("seconds", "says"), [(0, "0 s"), (59.9, "59 s"), (60, "1:00"), (3725, "1:02:05"), (-3, "0 s")]
)
def test_durations(seconds: float, says: str) -> None:
    assert duration(seconds) == says
