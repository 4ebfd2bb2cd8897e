"""Marked blocks: every other byte stays, and taking the block away brings the file back exactly."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rocmdoctor.applying.blocks import BlockError, block, with_block, without_block
from rocmdoctor.ops.ground import BEGIN, END

BYTES = st.binary(max_size=40).filter(lambda b: b"rocmdoctor" not in b)
LINES = st.lists(st.sampled_from([b"a", b"", b"\xff\xfe", b"x\r", b"\\", b"# c"]), max_size=5).map(b"\n".join)
TEXT = st.text(st.characters(exclude_characters="\r", exclude_categories=("Cs",)), max_size=20).filter(
    lambda t: "rocmdoctor" not in t
)


@given(st.one_of(BYTES, LINES), TEXT)
def test_what_was_there_stays_and_comes_back(data: bytes, text: str) -> None:
    made = with_block(data, text)
    assert made.startswith(data)
    assert block(made) == (text if text.endswith("\n") or not text else f"{text}\n").encode()
    assert with_block(made, text) == made
    assert without_block(made) == data


@given(st.one_of(BYTES, LINES), TEXT, TEXT)
def test_a_block_is_replaced_in_its_place(data: bytes, one: str, other: str) -> None:
    tail = b"more\n"
    made = with_block(data, one) + tail
    again = with_block(made, other)
    assert again == with_block(data, other) + tail
    assert again.endswith(tail)


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (b"", "BEGIN\nX\nEND\n"),
        (b"a\n", "a\nBEGIN\nX\nEND\n"),
        (b"a\r\nb\r\n", "a\r\nb\r\nBEGIN\nX\nEND\n"),
        (b"a", "a\nBEGIN\nX\nEND\n# rocmdoctor: there was no newline at the end of this file\n"),
    ],
)
def test_how_it_looks(before: bytes, after: str) -> None:
    assert with_block(before, "X").decode() == after.replace("BEGIN", BEGIN).replace("END", END)


def test_what_was_added_below_keeps_its_own_line() -> None:
    made = with_block(b"a", "X") + b"added"
    assert without_block(made) == b"a\nadded"


def test_an_editor_that_wrote_all_lines_anew_is_understood() -> None:
    made = with_block(b"a\n", "X").replace(b"\n", b"\r\n")
    assert without_block(made) == b"a\r\n"
    assert block(with_block(made, "Y")) == b"Y\n"


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (f"a\n{BEGIN}\nX\n", f"holds '{BEGIN}' in line 2; wanted is one '{BEGIN}' and after it one '{END}'"),
        (
            f"{END}\n{BEGIN}\n",
            f"holds '{END}' in line 1, '{BEGIN}' in line 2; wanted is one '{BEGIN}' and after it one '{END}'",
        ),
        (
            f"{BEGIN}\n{END}\n" * 2,
            (
                f"holds '{BEGIN}' in line 1, '{END}' in line 2, '{BEGIN}' in line 3, '{END}' in line 4;"
                f" wanted is one '{BEGIN}' and after it one '{END}'"
            ),
        ),
    ],
)
def test_marks_that_make_no_sense_are_named(data: str, says: str) -> None:
    for function in (block, without_block, lambda d: with_block(d, "Y")):
        with pytest.raises(BlockError) as caught:
            function(data.encode())
        assert str(caught.value) == says


def test_a_mark_inside_a_line_is_no_mark() -> None:
    data = f"echo '{BEGIN}'\n".encode()
    assert block(data) is None
    assert without_block(data) == data
