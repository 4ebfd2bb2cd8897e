"""The report of `check` as it is posted: a summary, the causes with what cures them, and folded evidence.

Foreign text never becomes markup here: a snapshot may come from anyone, and the page is posted under the reader's name.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator

from rocmdoctor.diagnosis.known import Known
from rocmdoctor.diagnosis.runner import Diagnosis
from rocmdoctor.facts.gpus import Gpus
from rocmdoctor.facts.rocm import RocmInstalls
from rocmdoctor.facts.tools import Tools
from rocmdoctor.model import RUNGS, Snapshot, Verdict
from rocmdoctor.reports.text import gpu_lines, machine_line

LIMIT = 60_000  # bytes; an issue on GitHub takes 65,536 characters
_CLOSING = 400  # kept free for the last line and for what says that something was cut
_WORDS = 900  # characters of one sentence or cell
_LINES = 40  # of evidence or commands
_RUNG_NAMES = {"gpu": "GPU", "driver": "driver", "rocm": "ROCm", "torch": "torch", "training": "training"}
_NEVER = re.compile("[^\\S\n]|[\x00-\x08\x0b-\x1f\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff]")
_MARKUP = re.compile(r"[\\`*_\[\]|~$]|^[#+=-]|(?<=^\d)[.)]|(?<=^\d\d)[.)]")
# Marks that are links for GitHub even where Markdown sees plain text: @name, #1, GH-1, owner/name#1, bare addresses.
_LINKED = re.compile(r"(?<=@)|(?<=#)|(?<=\bGH)(?=-)|(?<=:)(?=//)|(?<=www)(?=\.)", re.IGNORECASE)


def markdown(diagnosis: Diagnosis, known: Known, snapshot: Snapshot) -> str:
    """The whole page, at most LIMIT bytes."""
    page = _Page()
    page.add("".join(_summary(diagnosis, known, snapshot)))
    causes = [diagnosis.verdict(name) for name in diagnosis.root_causes]
    for number, verdict in enumerate(causes, 1):
        page.add(_cause(verdict, number, len(causes)))
    notes = [v for v in diagnosis.verdicts if v.status == "warn"]
    if notes:
        page.fold(f"{len(notes)} to note", [_note(v) for v in notes])
    page.fold(f"All {len(diagnosis.verdicts)} checks", [_row(v) for v in diagnosis.verdicts], _HEAD)
    page.fold("Tools", list(_tools(known)), "| tool | state | version | GPUs |\n| --- | --- | --- | --- |\n")
    return page.finished()


class _Page:
    """Parts as long as there is room, and a count of those that had none."""

    def __init__(self) -> None:
        self._parts: list[str] = []
        self._left = LIMIT - _CLOSING
        self._cut: Counter[str] = Counter()

    def add(self, part: str, kind: str = "causes") -> None:
        """A part, or nothing of it."""
        size = len(part.encode())
        if size > self._left:
            self._cut[kind] += 1
            return
        self._left -= size
        self._parts.append(part)

    def fold(self, title: str, rows: list[str], head: str = "") -> None:
        """A part that is shown on a click, with as many rows as there is room for."""
        start, end = f"<details><summary>{title}</summary>\n\n{head}", "\n</details>\n\n"
        if len((start + end).encode()) > self._left:
            self._cut["rows"] += len(rows)
            return
        self.add(start)
        self._left -= len(end)
        for row in rows:
            self.add(row, "rows")
        self._parts.append(end)

    def finished(self) -> str:
        """The page, with what was cut."""
        if self._cut:
            left_out = " and ".join(f"{number} {kind}" for kind, number in self._cut.items())
            self._parts.append(f"**Cut here:** {left_out} had no room; the snapshot holds them.\n\n")
        self._parts.append(
            "Made with `rocmdoctor check --format markdown`; user and host names, home folders, addresses and serial "
            "numbers are masked.\n"
        )
        return "".join(self._parts)


def inline(text: str, limit: int = _WORDS) -> str:
    """Foreign text on one line that shows as it is: no markup, no links, no mentions."""
    text = _NEVER.sub(" ", text).replace("\n", " ").encode("utf-8", "backslashreplace").decode()
    if len(text) > limit:
        text = text[: limit - 4] + " ..."
    text = _LINKED.sub("\u200b", text)
    text = text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return _MARKUP.sub(r"\\\g<0>", text.strip())


def block(lines: tuple[str, ...], language: str = "") -> str:
    """Foreign lines in a fence that is longer than any that they hold."""
    shown = [_NEVER.sub(" ", line).encode("utf-8", "backslashreplace").decode() for line in lines[:_LINES]]
    text = "\n".join(line if len(line) <= _WORDS else line[: _WORDS - 4] + " ..." for line in shown)
    if len(lines) > _LINES:
        text += f"\n... {len(lines) - _LINES} more lines"
    fence = "`" * max(3, 1 + max((len(run) for run in re.findall("`+", text)), default=0))
    return f"{fence}{language}\n{text}\n{fence}\n"


def _summary(diagnosis: Diagnosis, known: Known, snapshot: Snapshot) -> Iterator[str]:
    gpus = known.maybe(Gpus)
    shown = (gpu_lines(gpus) or ["no AMD GPU"]) if gpus else ["unknown"]
    installs = known.maybe(RocmInstalls)
    ladder = " · ".join(f"{_RUNG_NAMES[rung]} {_strong(diagnosis.readiness[rung])}" for rung in RUNGS)
    causes = ", ".join(f"`{name}`" for name in diagnosis.root_causes)
    yield "| | |\n| --- | --- |\n"
    yield f"| machine | {inline(machine_line(known))} |\n"
    yield f"| GPUs | {'<br>'.join(inline(line) for line in shown[:12])} |\n"
    yield f"| ROCm | {inline((installs and installs.version) or 'none or unknown')} |\n"
    yield f"| ready | {ladder} |\n"
    yield f"| first causes | {causes or 'none'} |\n"
    asked = ", ".join(inline(word, 60) for word in (snapshot.tool, snapshot.taken_at) if word)
    yield f"| asked by | {asked or 'unknown'} |\n\n"


def _strong(state: str) -> str:
    return f"**{state}**" if state == "broken" else state


def _cause(verdict: Verdict, number: int, of: int) -> str:
    label = "Root cause" if of == 1 else f"Root cause {number} of {of}"
    said = f"### {label}: `{verdict.id}`" + (f" ({verdict.fault})" if verdict.fault else "")
    return f"{said}\n\n{_body(verdict)}"


def _note(verdict: Verdict) -> str:
    return f"**`{verdict.id}`** {_body(verdict)}"


def _body(verdict: Verdict) -> str:
    parts = [f"{inline(verdict.why)}\n\n"]
    if verdict.evidence:
        parts.append(block(verdict.evidence) + "\n")
    if verdict.remedy:
        parts.append(f"{inline(verdict.remedy.text)}\n\n")
        if verdict.remedy.commands:
            parts.append(block(verdict.remedy.commands, "sh") + "\n")
    return "".join(parts)


_HEAD = "| check | status | fault | what is so |\n| --- | --- | --- | --- |\n"


def _row(verdict: Verdict) -> str:
    status = f"**{verdict.status}**" if verdict.status in ("fail", "broken") else verdict.status
    return f"| `{verdict.id}` | {status} | {verdict.fault or ''} | {inline(verdict.why, 300)} |\n"


def _tools(known: Known) -> Iterator[str]:
    found = known.maybe(Tools)
    for name, tool in found.tools.items() if found else ():
        gfx = inline(", ".join(tool.gfx), 120)
        yield f"| {inline(name, 60)} | {tool.state} | {inline(tool.version or '', 120)} | {gfx} |\n"
