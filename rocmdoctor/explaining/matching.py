"""Finds known errors in a stream of bytes, in one pass and constant memory.

A template needs a whole word of its own in the line. The words of a block are looked up in the table of those words at
once, so that the number of templates costs nothing where none of their words stands; lines with one are compared.
"""

from __future__ import annotations

import codecs
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence

from rocmdoctor.explaining.cleaning import ESCAPES, OPEN_ESCAPE, SPACED, bare, compared, printable, text_of
from rocmdoctor.explaining.kinds import Kind
from rocmdoctor.explaining.own import PAGE_BEGINS, PAGE_ENDS, PAGE_LENGTH, begins_envelope, is_own
from rocmdoctor.explaining.seeing import Findings, Seen, State
from rocmdoctor.explaining.templates import Template, any_of_keys, keys, parts
from rocmdoctor.explaining.values import KnownError, Says, Sign

BLOCK = 1 << 17
_WINDOW = 4096  # of a line that is longer, so much on each side of a word is looked at
_AHEAD = 2048  # always kept unread, so that a line and what it was wrapped into are seen together
_BEHIND = 16384
_MOST = 10_000  # a line that was seen so often is not looked for any more
_WRAPPED_INTO = 300  # what stands so far beside a line may be the rest of it
_WRAPPED = 60  # no terminal or program wraps shorter lines
_LETTERS = bytes(c if chr(c).isascii() and chr(c).isalpha() else 32 for c in range(256))


class Line:
    """A template with whom it speaks for: the number of the error, and as what (`says`, `near`, `unless`)."""

    __slots__ = ("_texts", "every", "needs", "roles", "says", "template", "words")

    def __init__(self, says: Says) -> None:
        made = parts(says.text, says.where)
        self.says = says
        self.template = Template(made)
        self.words = tuple(word.encode() for word in keys(made))
        # Two of three, since a terminal may have wrapped the line within the third.
        self.needs = 1 if any_of_keys(made) else min(2, len(self.words))
        self.roles: list[tuple[int, str, Says]] = []
        self._texts = keys(made)
        self.every = not any_of_keys(made)

    def holds(self, text: str) -> bool:
        """Whether a text has the words that every match has: much cheaper than to compare."""
        found = (word in text for word in self._texts)
        return all(found) if self.every else any(found)


class Lines:
    """All templates of known errors and signs, each once, by their words. Made once, used by any number of readers."""

    def __init__(
        self, errors: Sequence[KnownError], signs: Sequence[Sign] = (), kinds: Sequence[Kind] = ()
    ) -> None:
        self.errors = tuple(errors)
        self.kinds = tuple(kinds)
        self.lines: list[Line] = []
        known: dict[object, Line] = {}
        for number, error in enumerate(errors):
            for role, group in (("says", error.says), ("near", error.near), ("unless", error.unless)):
                self._add(known, number, role, group)
        for number, sign in enumerate(signs):
            self._add(known, number, "sign", (sign.says,))
            self._add(known, number, "no-sign", sign.unless)
        self.by_word: dict[bytes, list[int]] = {}
        # Lines that matter only beside another: they are looked for where that other was seen.
        self.beside = {
            n for n, line in enumerate(self.lines) if all(role == "near" for _, role, _ in line.roles)
        }
        self.beside_of: dict[int, set[int]] = {}
        for at in self.beside:
            for number, _, _ in self.lines[at].roles:
                self.beside_of.setdefault(number, set()).add(at)
        for at, line in enumerate(self.lines):
            for word in line.words:
                self.by_word.setdefault(word, []).append(at)

    def _add(self, known: dict[object, Line], number: int, role: str, group: Iterable[Says]) -> None:
        for says in group:
            key = (says.text, tuple(sorted(says.where.items())))
            if key not in known:
                known[key] = Line(says)
                self.lines.append(known[key])
            known[key].roles.append((number, role, says))


class Explainer:
    """Reads a log: `feed` bytes as they come, of any size, then `close`. `begin` names the next file.

    `size` and `lines` count what was read.
    """

    def __init__(self, lines: Lines) -> None:
        self._lines = lines
        self._state = State(lines.errors, lines.kinds)
        self._counts = [0] * len(lines.lines)
        self._words = lines.by_word
        self._returns = False
        self._waiting: list[bytes] = []
        self._collected = 0
        self.size = 0
        self.lines = 0
        self._file = ""
        self._base = 0
        self._text = b""
        self._fresh()

    def _fresh(self) -> None:
        self._base += len(self._text)
        self._began = self._base
        self._text = b""
        self._done = 0
        self._line = 1
        self._decoder: codecs.IncrementalDecoder | None = None
        self._begun = False
        self._held = b""
        self._long: dict[int, tuple[int, int]] = {}
        self._envelope = False
        self._page = (0, 0)

    def begin(self, file: str) -> None:
        """The bytes from here on are of another file; lines are counted anew."""
        self._flush()
        self._file = file
        self._fresh()

    def feed(self, data: bytes) -> None:
        """Takes the next bytes. Cheap for small pieces: they are read when enough has come."""
        self._waiting.append(data)
        self._collected += len(data)
        self.size += len(data)
        if self._collected >= BLOCK:
            self._read(final=False)

    def close(self) -> Findings:
        """What was found."""
        self._flush()
        return self._state.findings()

    def _flush(self) -> None:
        self._read(final=True)
        self.lines += self._text[-1:] not in (b"", b"\n")

    # ---- from bytes to blocks

    def _read(self, *, final: bool) -> None:
        data = b"".join(self._waiting)
        self._waiting, self._collected = [], 0
        for at in range(0, max(len(data), 1), BLOCK):
            self._take(data[at : at + BLOCK], final=final and at + BLOCK >= len(data))

    def _take(self, data: bytes, *, final: bool) -> None:
        self._text += self._plain(data, final=final)
        end = len(self._text)
        if not final:
            ready = max(self._done, end - _AHEAD)
            end = self._text.rfind(b"\n", self._done, ready) + 1
            if not end:
                # A line without an end is cut, though never into little pieces.
                end = ready if ready - self._done > _WINDOW else self._done
        if end > self._done:
            self._scan(self._done, end)
            self._done = end
        drop = max(0, self._done - _BEHIND)
        self._text, self._done, self._base = self._text[drop:], self._done - drop, self._base + drop

    def _plain(self, data: bytes, *, final: bool) -> bytes:
        if not self._begun and data:
            self._begun = True
            if data[:2] in (b"\xff\xfe", b"\xfe\xff"):
                self._decoder = codecs.getincrementaldecoder("utf-16")("replace")
            elif data[:3] == b"\xef\xbb\xbf":
                data = data[3:]
        if self._decoder is not None:
            data = self._decoder.decode(data, final).encode("utf-8", "backslashreplace")
        data, self._held = self._held + data, b""
        if b"\x1b" in data:
            data = ESCAPES.sub(b"", data)
            cut = OPEN_ESCAPE.search(data, max(0, len(data) - 2100)) if not final else None
            if cut is not None:
                data, self._held = data[: cut.start()], data[cut.start() :]
        return data.translate(SPACED)

    # ---- from blocks to lines

    def _scan(self, start: int, end: int) -> None:
        self._returns = b"\r" in self._text
        self._pages(start, end)
        line = self._search(start, end, self._line, None)
        waiting = self._state.waiting(self._line, self._file)
        if waiting:
            wanted = {n for number in waiting for n in self._lines.beside_of.get(number, ())}
            back = max(0, start - _BEHIND)
            self._search(back, end, self._line - self._text.count(b"\n", back, start), wanted)
        self._lines_end(start, end)
        self.lines += line - self._line
        self._line = line

    def _search(self, start: int, end: int, line: int, wanted: set[int] | None) -> int:
        """Tries the templates that are `wanted`, or all that do not only stand beside others. The number of the line at `end`."""
        at = start
        for first, last, numbers in self._windows(self._possible(start, end, wanted), start, end):
            line += self._text.count(b"\n", at, first)
            at = max(at, first)
            self._try(first, last, line, numbers)
        return line + self._text.count(b"\n", at, end)

    def _possible(self, start: int, end: int, wanted: set[int] | None) -> dict[bytes, list[int]]:
        """The templates of which enough words stand there, by the rarest of their words."""
        block = self._text[max(0, start - _WRAPPED_INTO) : end + _WRAPPED_INTO]
        words = block.translate(_LETTERS).split()
        hits = set(words) & self._words.keys()
        touched = Counter(number for word in hits for number in self._words[word])
        lines, beside = self._lines.lines, self._lines.beside
        likely = [
            n
            for n, held in touched.items()
            if held >= lines[n].needs
            and (n in wanted if wanted is not None else n not in beside and self._counts[n] < _MOST)
        ]
        found: dict[bytes, list[int]] = {}
        if not likely:
            return found
        counts = Counter(filter(hits.__contains__, words))
        for number in likely:
            here = [word for word in lines[number].words if word in hits]
            # A line with enough of its words holds one of all but the most frequent of them.
            here.sort(key=counts.__getitem__)
            for word in here if lines[number].needs == 1 else here[:-1]:
                found.setdefault(word, []).append(number)
        return found

    def _windows(
        self, possible: Mapping[bytes, list[int]], start: int, end: int
    ) -> Iterator[tuple[int, int, list[int]]]:
        """The lines that hold one of the words, in order, with the templates to try there."""
        found: dict[tuple[int, int], list[int]] = {}
        for word, numbers in possible.items():
            at = self._text.find(word, max(0, start - len(word) + 1), end)
            while at >= 0:
                first, last = self._bounds(at)
                found.setdefault((first, last), []).extend(numbers)
                # Of a line that is longer than a window, the next window begins where this one is half over.
                beyond = last if last - at < _WINDOW else at + _WINDOW // 2
                at = self._text.find(word, max(beyond, at + 1), end)
        for (first, last), numbers in sorted(found.items()):
            if len(numbers) == 1:
                yield first, last, numbers
            else:
                yield first, last, list(dict.fromkeys(numbers))

    def _bounds(self, at: int) -> tuple[int, int]:
        low, high = max(0, at - _WINDOW), min(len(self._text), at + _WINDOW)
        first = self._text.rfind(b"\n", low, at) + 1 or low
        last = self._text.find(b"\n", at, high)
        last = high if last < 0 else last
        if self._returns:
            first = max(self._text.rfind(b"\r", low, at) + 1, first)
            back = self._text.find(b"\r", at, last)
            last = last if back < 0 else back
        return first, last

    # ---- what is a report of ours

    def _is_own(self, first: int, last: int) -> bool:
        if self._page[0] <= self._base + first < self._page[1]:
            return True
        whole = first == 0 or self._text[first - 1 : first] in (b"\n", b"\r")
        if whole:
            return is_own(self._text, first, last)
        begins = self._text.rfind(b"\n", 0, first) + 1
        # What came before the text that is kept was looked at when it came.
        return begins_envelope(self._text, begins) if begins or self._base == self._began else self._envelope

    def _pages(self, start: int, end: int) -> None:
        begin = self._text.find(PAGE_BEGINS, start, end)
        if begin >= 0:
            self._page = (self._base + begin, self._base + begin + PAGE_LENGTH)
        finish = self._text.find(PAGE_ENDS, max(start, begin), end)
        if finish >= 0 and self._page[0] <= self._base + finish < self._page[1]:
            self._page = (self._page[0], self._base + finish)

    def _lines_end(self, start: int, end: int) -> None:
        """Whether a line that goes on in the next block began as a report in JSON."""
        begins = self._text.rfind(b"\n", start, end) + 1
        if begins or self._base + start == self._began:
            self._envelope = begins_envelope(self._text, begins)

    # ---- from lines to what they say

    def _try(self, first: int, last: int, line: int, numbers: Iterable[int]) -> None:
        around = self._text[max(0, first - _WRAPPED_INTO) : last + _WRAPPED_INTO]
        # A word that a terminal cut in two stands at the seam of two lines.
        data = self._text
        seams = data[max(0, last - 16) : last] + data[last + 1 : last + 17] + b"\n"
        seams += data[max(0, first - 17) : max(0, first - 1)] + data[first : first + 16]
        likely = [n for n in numbers if self._likely(self._lines.lines[n], around, seams)]
        if not likely or self._is_own(first, last):
            return
        shown = text_of(self._text[first:last])
        plain = compared(shown)
        short = compared(bare(shown))
        joined: list[tuple[str, int, int]] | None = None
        for number in likely:
            template, holds = self._lines.lines[number].template, self._lines.lines[number].holds
            holes = template.match(short) if holds(short) else None
            if holes is None and plain != short and holds(plain):
                holes = template.match(plain)
            where, text = line, shown
            if holes is None:
                if joined is None:
                    joined = self._joined(first, last, short)
                for whole, seam, up in joined:
                    holes = template.match(whole, seam) if holds(whole) else None
                    if holes is not None:
                        where, text = line - up, whole
                        break
            if holes is not None:
                # Windows of one long line overlap.
                before = self._long.get(number, (0, 0))
                if (
                    last - first < _WINDOW
                    or before[0] != where
                    or self._base + first > before[1] + 2 * _WINDOW
                ):
                    self._saw(number, where, text, holes, first)
                    self._long[number] = (where, self._base + first)

    @staticmethod
    def _likely(line: Line, around: bytes, seams: bytes) -> bool:
        if not line.every:
            return any(word in around for word in line.words)
        return all(word in around or word in seams for word in line.words)

    def _joined(self, first: int, last: int, short: str) -> list[tuple[str, int, int]]:
        """The line with the one before or after it, where one may have been wrapped into both; with the place of the seam."""
        made = []
        if last - first >= _WRAPPED and self._text[last : last + 1] == b"\n":
            after = (
                compared(bare(text_of(self._text[last + 1 : self._bounds(last + 1)[1]])))
                if last + 1 < len(self._text)
                else ""
            )
            if after:
                made += [(f"{short} {after}", len(short), 0), (short + after, len(short), 0)]
        if first >= 2 and self._text[first - 1 : first] == b"\n":
            begin = self._bounds(first - 2)[0] if self._text[first - 2 : first - 1] != b"\n" else first - 1
            before = compared(bare(text_of(self._text[begin : first - 1])))
            if first - 1 - begin >= _WRAPPED:
                made += [(f"{before} {short}", len(before), 1), (before + short, len(before), 1)]
        return made

    def _saw(self, number: int, line: int, text: str, holes: dict[str, str], at: int) -> None:
        known = self._lines.lines[number]
        self._counts[number] += 1
        seen = Seen(self._file, line, printable(text.strip()), holes, self._base + at, number)
        for error, role, says in known.roles:
            self._state.saw(error, role, says, seen, lambda: self._around(at))

    def _around(self, at: int) -> bytes:
        return self._text[max(0, at - 6000) : at + 2000]


def read_text(lines: Lines, text: str | bytes) -> Findings:
    """The findings of a whole text."""
    explainer = Explainer(lines)
    explainer.feed(text.encode("utf-8", "surrogateescape") if isinstance(text, str) else text)
    return explainer.close()
