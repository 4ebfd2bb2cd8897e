"""Templates of lines: literal text with typed holes in braces, compiled so that matching takes linear time.

`Cannot read {path}: {reason:text} for GPU arch : {gfx}` is text with three holes. A hole is `{type}` or `{name:type}`;
`{name}` alone is one whose words stand in `where`. `{start}` and `{end}` are the ends of a line, `{{` and `}}` are braces.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise

from rocmdoctor.frozen import frozen

# Each class is bounded, so that no line makes a hole slide over more than that.
TYPES: Mapping[str, tuple[str, str]] = {
    "path": (r"[^\s'\",;:()<>|]{1,400}", "a file or folder: no blanks, quotes, brackets, commas and colons"),
    "url": (r"(?:https?|ftp|file|cdrom|git)[^\s'\"<>]{1,400}", "an address"),
    "version": (r"\d[\w.+~:-]{0,80}", "a version: begins with a digit"),
    "gfx": (
        r"gfx[0-9a-f]{3,5}(?:-[\w-]{1,20})?(?::[\w+:-]{1,40})?",
        "a target such as gfx90a:sramecc+:xnack-",
    ),
    "name": (r"[\w.+@-]{1,160}", "a package, module, library, program or symbol"),
    "number": (r"[+-]?\d{1,30}(?:[.,]\d{1,30})?", "a number"),
    "hex": (r"(?:0x)?[0-9a-fA-F]{1,40}", "a number in base 16"),
    "word": (r"\S{1,300}", "anything without blanks"),
    "text": ("", "anything, also nothing"),
}
_START_OF = {"path": r"(?<![^\s'\",;:()<>|])", "url": "", "version": r"(?<![\w.+~-])", "gfx": r"(?<!\w)"}
_START_OF |= {"name": r"(?<![\w.+@-])", "number": r"(?<![\w.])", "hex": r"(?<!\w)", "word": r"(?<!\S)"}
_PROBES: Mapping[str, re.Pattern[str]] = {k: re.compile(v) for k, (v, _) in TYPES.items() if v}

_TOKEN = re.compile(r"\{\{|\}\}|\{(?P<name>[a-z][a-z0-9_]*)(?::(?P<type>[a-z]+))?\}|[{}]")
_BLANKS = re.compile(r"[ \t\xa0\u2007\u202f]+")
# The same text is printed with other quotes in another locale.
_QUOTES = str.maketrans({"\u2018": "'", "\u2019": "'", "`": "'", "\u00b4": "'", "\u201c": '"', "\u201d": '"'})
_WORD = re.compile(r"[A-Za-z]+")
_SHARED = frozenset(
    [
        "error",
        "Error",
        "ERROR",
        "failed",
        "Failed",
        "file",
        "the",
        "for",
        "not",
        "and",
        "version",
        "device",
        "from",
        "found",
        "with",
        "has",
        "module",
        "package",
        "torch",
        "python",
        "Python",
        "warning",
        "kernel",
        "that",
        "can",
        "this",
        "your",
        "you",
        "use",
        "usr",
        "lib",
        "opt",
        "rocm",
        "install",
        "directory",
        "such",
        "HIP",
        "GPU",
        "gpu",
    ]
)


class BadTemplateError(ValueError):
    """A template that cannot be read, with what is wrong."""


@frozen
class Hole:
    """A hole: its name, its type, and the words that it may hold where they are listed."""

    name: str
    type: str
    words: tuple[str, ...] = ()


Part = str | Hole


def even(text: str) -> str:
    """A line with runs of blanks as one blank and all quotes upright, as templates and lines are compared."""
    return _BLANKS.sub(" ", text.translate(_QUOTES))


def parts(text: str, where: Mapping[str, tuple[str, ...]] | None = None) -> tuple[Part, ...]:
    """Literals and holes in order. Raises BadTemplateError."""
    where = where or {}
    made: list[Part] = []
    literal, last = "", 0
    for token in _TOKEN.finditer(text):
        literal += text[last : token.start()]
        last = token.end()
        if token[0] in ("{{", "}}"):
            literal += token[0][0]
        elif token["name"]:
            made += [even(literal)] if literal else []
            literal = ""
            made.append(_hole(token["name"], token["type"], where))
        else:
            raise BadTemplateError(
                f"a single '{token[0]}' at {token.start() + 1}; write '{token[0] * 2}' for the character"
            )
    literal += text[last:]
    made += [even(literal)] if literal else []
    _held(made, where)
    return tuple(made)


def _hole(name: str, kind: str | None, where: Mapping[str, tuple[str, ...]]) -> Hole:
    if name in ("start", "end") and kind is None:
        return Hole(name, name)
    if name in where:
        if not where[name]:
            raise BadTemplateError(f"where.{name}: no words")
        return Hole(name, "words", where[name])
    kind = kind or name
    if kind not in TYPES:
        raise BadTemplateError(
            f"the hole {{{name}}} has no type; types are {', '.join(TYPES)}, written {{{name}:text}}"
            if kind == name
            else f"the hole {{{name}:{kind}}} has an unknown type; types are {', '.join(TYPES)}"
        )
    return Hole(name, kind)


def _held(made: list[Part], where: Mapping[str, tuple[str, ...]]) -> None:
    """Raises BadTemplateError for what would match anything or could take long."""
    holes = {p.name for p in made if isinstance(p, Hole)}
    for name in where:
        if name not in holes:
            raise BadTemplateError(f"where.{name}: the template has no such hole")
    if not keys(made):
        raise BadTemplateError(
            "has no whole word of three letters outside its holes, so it would have to be tried on every line"
        )
    for first, second in pairwise(made):
        if (
            isinstance(first, Hole)
            and isinstance(second, Hole)
            and second.type != "end"
            and first.type != "start"
        ):
            raise BadTemplateError(f"{{{first.name}}} and {{{second.name}}} touch; put text between them")
    sliding = 0
    for at, part in enumerate(made):
        if isinstance(part, Hole):
            sliding = 0 if part.type == "text" else sliding + _slides(part, made[at + 1 : at + 2])
        if sliding > 2:
            raise BadTemplateError("three holes can take text from each other; use {text} for one of them")


def _slides(hole: Hole, after: list[Part]) -> bool:
    """Whether the hole can hold the text that follows it, so that where it ends must be tried out."""
    probe = _PROBES.get(hole.type)
    follows = after[0] if after else ""
    return (
        probe is not None
        and isinstance(follows, str)
        and bool(follows)
        and probe.fullmatch("0" + follows[0]) is not None
    )


def keys(made: Sequence[Part]) -> tuple[str, ...]:
    """Words of which a line that matches holds all: the three most telling whole words of the literals.

    Whole, so that a line that holds the text holds the word with no letter beside it. Where no literal has one: one word of
    each text that a hole may hold, and a line that matches holds one of them.
    """
    found = [word for at, part in enumerate(made) if isinstance(part, str) for word in _whole(part, made, at)]
    if found:
        return tuple(sorted(dict.fromkeys(found), key=_telling)[:3])
    for at, part in enumerate(made):
        if isinstance(part, Hole) and part.words:
            each = [sorted(_whole(even(word), made, at), key=_telling)[:1] for word in part.words]
            if all(each):
                return tuple(dict.fromkeys(word for one in each for word in one))
    return ()


def _telling(word: str) -> tuple[bool, int]:
    """Long words that other lines seldom hold come first."""
    return word in _SHARED, -min(len(word), 12)


def _whole(text: str, made: Sequence[Part], at: int) -> list[str]:
    """The words of a text at that place of a template which no letter can stand beside."""
    before = made[at - 1] if at else None
    after = made[at + 1] if at + 1 < len(made) else None
    found: list[str] = []
    for word in _WORD.finditer(text):
        left = word.start() > 0 or _shut(before, -1)
        right = word.end() < len(text) or _shut(after, 0)
        if len(word[0]) >= 3 and left and right:
            found.append(word[0])
    return found


def _shut(beside: Part | None, edge: int) -> bool:
    """Whether no letter can stand there: the ends of a template match at whole words only, and numbers hold none."""
    if isinstance(beside, str):
        return not beside[edge].isalpha()
    return beside is None or beside.type in ("start", "end", "number")


def any_of_keys(made: Sequence[Part]) -> bool:
    """Whether one of the words is enough."""
    return not any(_whole(part, made, at) for at, part in enumerate(made) if isinstance(part, str))


class Template:
    """A compiled template. `match` gives what the holes hold, or None."""

    __slots__ = ("_chunks", "_names", "parts")

    def __init__(self, made: tuple[Part, ...]) -> None:
        self.parts = made
        self._chunks: list[re.Pattern[str]] | None = None
        self._names: list[str] = []

    def match(self, line: str, seam: int = -1) -> dict[str, str] | None:
        """`line` is even. Each piece between {text} holes is searched once, behind the one before it: linear.

        `seam`: where two lines were joined. What lies on one side of it matches without the other, and a {text} that
        reaches over it would join any two lines: neither is a match.
        """
        if self._chunks is None:
            self._chunks = self._compiled()
        at, first = 0, 0
        found: dict[str, str] = {}
        for number, chunk in enumerate(self._chunks):
            hit = chunk.search(line, at)
            if hit is None:
                return None
            if number:
                if at < seam < hit.start():
                    return None
                found.setdefault(self._names[number - 1], line[at : hit.start()].strip())
            else:
                first = hit.start()
            for name, value in hit.groupdict().items():
                found.setdefault(name, value)
            at = hit.end()
        return found if seam < 0 or first < seam < at else None

    def _compiled(self) -> list[re.Pattern[str]]:
        chunks, seen = [""], set()
        for part in self.parts:
            if isinstance(part, str):
                chunks[-1] += re.escape(part)
            elif part.type == "text":
                self._names.append(part.name)
                chunks.append("")
            else:
                pattern = _pattern(part)
                begins = _START_OF.get(part.type, "") if not chunks[-1] else ""
                name = "" if part.name in seen or part.type in ("start", "end") else f"?P<{part.name}>"
                seen.add(part.name)
                chunks[-1] += f"{begins}({name or '?:'}{pattern})"
        if _ends_in_letter(self.parts[0], 0):
            chunks[0] = "(?<![A-Za-z])" + chunks[0]
        if _ends_in_letter(self.parts[-1], -1):
            chunks[-1] += "(?![A-Za-z])"
        if len(chunks) > 1 and not chunks[-1]:
            chunks[-1] = "$"
            chunks[-2] = re.sub(r"\\ $", "(?: |$)", chunks[-2])
        return [re.compile(chunk) for chunk in chunks]


def _ends_in_letter(part: Part, edge: int) -> bool:
    return any(text[edge].isalpha() for text in ((part,) if isinstance(part, str) else part.words))


def _pattern(hole: Hole) -> str:
    if hole.words:
        return "|".join(re.escape(even(word)) for word in sorted(hole.words, key=len, reverse=True))
    return {"start": "^", "end": " ?$"}.get(hole.type) or TYPES[hole.type][0]


def fill(text: str, holes: Mapping[str, str]) -> str:
    """The text with every `{name}` replaced; `{{` is a brace. Raises KeyError for a name that is not there."""
    return _TOKEN.sub(lambda token: holes[token["name"]] if token["name"] else token[0][:1], text)


def names_in(text: str) -> Iterator[str]:
    """The names of the holes in a text."""
    yield from (token["name"] for token in _TOKEN.finditer(text) if token["name"])
