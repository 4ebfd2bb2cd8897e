"""Templates: what they match, what their holes hold, and what is refused."""

from __future__ import annotations

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rocmdoctor.explaining.templates import TYPES, BadTemplateError, Template, even, keys, parts

CASES = [
    ("Cannot read {path}: {why:text} for GPU arch : {gfx}", "rocBLAS error: Cannot read /opt/rocm/l.dat: Illegal seek for GPU arch : gfx1103",
     {"path": "/opt/rocm/l.dat", "why": "Illegal seek", "gfx": "gfx1103"}),
    ("libbitsandbytes_rocm{number}.so", "not found at …/bitsandbytes/libbitsandbytes_rocm80.so", {"number": "80"}),
    ("arch {gfx} refused", "arch gfx90a:sramecc+:xnack- refused", {"gfx": "gfx90a:sramecc+:xnack-"}),
    ("fatal error: 'cmath' file", "x.h:1:10: fatal error: ‘cmath’ file not found", {}),
    ("two   words {name}", "see: two \t words libx-dev, here", {"name": "libx-dev"}),
    ("value: {text}", "value: ", {"text": ""}),
    ("{path}:{line:number}:{column:number}: error: {why:text}", "note: /a/b.cpp:12:3: error: no x", {"path": "/a/b.cpp", "line": "12", "column": "3", "why": "no x"}),
    ("{start}Killed{end}", "Killed", {}),
    ("braces {{x}} here {hex}", "braces {x} here 0x1f", {"hex": "0x1f"}),
    ("same {word} and {word} again", "same a and b again", {"word": "a"}),
]  # fmt: skip


@pytest.mark.parametrize(("text", "line", "holes"), CASES)
def test_a_line_fills_the_holes(text, line, holes):
    assert Template(parts(text)).match(even(line).strip()) == holes


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("Error: bad thing", "RuntimeError: bad thing"),
        ("the thing", "the things"),
        ("{start}Killed{end}", "Killed process 12"),
        ("arch {gfx} refused", "arch gfx refused"),
        ("read {path}: nothing", "read /a b: nothing"),
    ],
)
def test_a_line_that_is_another_does_not_match(text, line):
    assert Template(parts(text)).match(line) is None


def test_words_of_where_are_all_that_a_hole_may_hold():
    template = Template(parts("open {path}: {why}", {"why": ("Permission denied", "Permission denied (13)")}))
    assert template.match("open /x: Permission denied (13)") == {
        "path": "/x",
        "why": "Permission denied (13)",
    }
    assert template.match("open /x: No such file") is None


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("{path}", "has no whole word of three letters outside its holes, so it would have to be tried on every line"),
        ("lib{name}.so", "has no whole word of three letters outside its holes, so it would have to be tried on every line"),
        ("cannot {reason}", "the hole {reason} has no type; types are " + ", ".join(TYPES) + ", written {reason:text}"),
        ("cannot {a:pth}", "the hole {a:pth} has an unknown type; types are " + ", ".join(TYPES)),
        ("cannot {path}{name}", "{path} and {name} touch; put text between them"),
        ("cannot } stop", "a single '}' at 8; write '}}' for the character"),
        ("cannot {a:name}.{b:name}.{c:name}.so", "three holes can take text from each other; use {text} for one of them"),
    ],
)  # fmt: skip
def test_what_would_match_anything_or_take_long_is_refused(text, said):
    with pytest.raises(BadTemplateError, match=f"^{re.escape(said)}$"):
        parts(text)


def test_a_seam_is_crossed_by_words_and_not_by_text():
    template = Template(parts("cannot open {path}: {why:text} denied"))
    joined = "cannot open /dev/kfd: Permission denied"
    assert template.match(joined, seam=joined.index("/dev")) is not None
    assert template.match(joined, seam=joined.index("mission")) is None
    assert Template(parts("cannot open")).match("cannot open /dev/kfd is said", seam=20) is None


_LITERAL = st.text(st.sampled_from("abcDE :/.-'\"(){}[]*+?\\$^|é0"), min_size=1, max_size=12)
_VALUES = {"path": "/opt/a-1", "version": "6.4.1-2~x", "gfx": "gfx90a", "name": "lib.x+1", "number": "42", "hex": "0xfE", "word": "a:b", "url": "https://a/b"}  # fmt: skip


@given(
    st.lists(_LITERAL, min_size=2, max_size=5),
    st.lists(st.sampled_from(sorted(_VALUES)), min_size=4, max_size=4),
)
def test_what_a_template_prints_it_matches(literals, kinds):
    """A program's line, made from the template by filling holes, is found by it; and its words stand in the line."""
    text = "Problem "
    line = "Problem "
    for number, literal in enumerate(literals):
        text += " " + literal.replace("{", "{{").replace("}", "}}") + " "
        line += f" {literal} "
        if number < len(literals) - 1:
            text += f"{{h{number}:{kinds[number]}}}"
            line += _VALUES[kinds[number]]
    try:
        made = parts(text.strip())
    except BadTemplateError:
        return
    compared = even(line).strip()
    assert Template(made).match(compared) is not None
    assert all(word in compared for word in keys(made))


@settings(max_examples=40)
@given(
    st.lists(st.sampled_from(["abba", "ab", "ba", " ", ":", "'", "(", "é"]), max_size=40).map("".join),
    st.integers(0, 3),
)
def test_any_line_is_taken(line, spaces):
    template = Template(parts("abba {text} ba {name}:"))
    template.match(even(" " * spaces + line))
