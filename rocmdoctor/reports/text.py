"""The report of `check` for people: one screen, the first cause first, the one next command last."""

from __future__ import annotations

import json
import re
import textwrap
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass

from rocmdoctor.diagnosis.known import Known
from rocmdoctor.diagnosis.runner import Diagnosis
from rocmdoctor.facts.base import LATE
from rocmdoctor.facts.gpus import NO_TARGET, Gpu, Gpus
from rocmdoctor.facts.system import Hardware, Inside, Kernel, OsRelease
from rocmdoctor.model import RUNGS, Answer, Remedy, Snapshot, Verdict

_MARKS = {"ok": "✓", "warn": "!", "fail": "✗", "skip": "·", "unknown": "?", "broken": "#"}
_ASCII = {"✓": "+", "✗": "x", "·": "-", "→": "->", "—": "-"}
_COLOURS = {
    "ok": "green",
    "warn": "yellow",
    "fail": "red",
    "skip": "",
    "unknown": "cyan",
    "broken": "magenta",
}
_RUNG_COLOURS = {"ready": "green", "absent": "", "broken": "red", "unknown": "cyan"}
_RUNG_NAMES = {"gpu": "GPU", "driver": "driver", "rocm": "ROCm", "torch": "torch", "training": "training"}
_CONTROL = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069]")


@dataclass(frozen=True)
class Paint:
    """How words are coloured, and whether the terminal shows more than ASCII."""

    colour: Callable[[str, str], str]
    ascii_only: bool = False

    def __call__(self, text: str, name: str = "") -> str:
        """The text in a colour; control characters from foreign output never reach the terminal."""
        text = _CONTROL.sub("?", text).encode("utf-8", "backslashreplace").decode()
        if self.ascii_only:
            for mark, plain in _ASCII.items():
                text = text.replace(mark, plain)
            text = text.encode("ascii", "replace").decode()
        return self.colour(text, name) if name else text


class Page:
    """Lines of a report, wrapped to the width and painted."""

    def __init__(self, paint: Paint, width: int) -> None:
        self.paint = paint
        self.width = width
        self.lines: list[str] = []

    def add(self, text: str, indent: int = 0, colour: str = "") -> None:
        """A wrapped paragraph."""
        space = " " * indent
        wrapped = textwrap.wrap(
            text, max(20, self.width - indent), break_on_hyphens=False, break_long_words=False
        )
        self.lines += [space + self.paint(line, colour) for line in wrapped or [""]]

    def raw(self, text: str, indent: int = 0, colour: str = "") -> None:
        """A line as it is: commands must be copied whole."""
        self.lines.append(" " * indent + self.paint(text, colour))

    def head(self, label: str, text: str) -> None:
        """A label in the left margin with a wrapped text beside it."""
        wrapped = textwrap.wrap(text, max(20, self.width - 9), break_on_hyphens=False) or [""]
        self.lines.append(self.paint(f"{label:<9}", "bold ") + self.paint(wrapped[0]))
        self.lines += [" " * 9 + self.paint(line) for line in wrapped[1:]]


def report(
    diagnosis: Diagnosis,
    known: Known,
    snapshot: Snapshot,
    paint: Paint,
    width: int,
    verbose: int = 0,
    *,
    quiet: bool = False,
) -> str:
    """The whole page."""
    page = Page(paint, width)
    if not quiet:
        _machine(page, known)
        _ladder(page, diagnosis)
    causes(page, diagnosis)
    others(page, diagnosis, verbose, quiet=quiet)
    if verbose > 1:
        _questions(page, snapshot)
    if not quiet:
        _closing(page, diagnosis)
    return "\n".join(page.lines)


def summary(line: str) -> str:
    """One line of text for one JSON envelope: the ladder and the first cause."""
    raw = json.loads(line)
    if raw["errors"]:
        return "error: " + str(raw["errors"][0]["message"])
    ladder = ", ".join(f"{_RUNG_NAMES[r]} {s}" for r, s in raw["data"]["readiness"].items())
    causes = raw["data"]["root_causes"]
    return ladder + (f" — first cause: {causes[0]}" if causes else "")


def machine_line(known: Known) -> str:
    """System, kernel, size and what it runs inside of."""
    os, kernel, hardware = known.maybe(OsRelease), known.maybe(Kernel), known.maybe(Hardware)
    inside = known.maybe(Inside)
    parts = [os.name if os else "unknown system"]
    if kernel:
        parts.append(f"kernel {kernel.release}")
    if hardware:
        parts.append(f"{hardware.threads} threads, {hardware.memory_total / 2**30:.0f} GiB")
    if inside and inside.container:
        parts.append(f"inside {inside.container}")
    if inside and inside.wsl:
        parts.append("under WSL")
    return " · ".join(parts)


def _machine(page: Page, known: Known) -> None:
    page.head("Machine", machine_line(known))
    gpus = known.maybe(Gpus)
    if gpus is None:
        page.head("GPUs", "unknown")
    elif not gpus.all:
        page.head("GPUs", "no AMD GPU")
    for number, line in enumerate(gpu_lines(gpus) if gpus else []):
        page.head("GPUs" if number == 0 else "", line)


def gpu_lines(gpus: Gpus) -> list[str]:
    """One line for each kind of GPU."""
    kinds: dict[tuple[object, ...], list[Gpu]] = {}
    for gpu in gpus.all:
        kinds.setdefault(
            (
                gpu.gfx,
                gpu.name,
                gpu.compute_partition,
                gpu.memory_partition,
                gpu.vram_bytes,
                gpu.node is None,
            ),
            [],
        ).append(gpu)
    lines = []
    for same in kinds.values():
        first = same[0]
        words = [f"{len(same)} x {first.name}" if len(same) > 1 else first.name]
        words.append({None: "gfx unknown", NO_TARGET: "no gfx target"}.get(first.gfx, first.gfx or ""))
        if first.vram_bytes:
            words.append(f"{first.vram_bytes / 2**30:.0f} GiB")
        modes = [m for m in (first.compute_partition, first.memory_partition) if m]
        if modes:
            words.append("/".join(modes))
        if first.integrated:
            words.append("integrated")
        if first.node is None and first.gfx != NO_TARGET:
            words.append("not taken by the compute driver")
        words.append(", ".join(dict.fromkeys(g.bdf for g in same[:2])) + (", ..." if len(same) > 2 else ""))
        lines.append(" · ".join(words))
    if gpus.hives > 1 or (gpus.hives == 1 and len(gpus.all) > 1):
        lines.append(f"{gpus.physical} boards in {gpus.hives} XGMI hive{'s' if gpus.hives > 1 else ''}")
    return lines


def _ladder(page: Page, diagnosis: Diagnosis) -> None:
    lines: list[list[str]] = [[]]
    used = 9
    for rung in RUNGS:
        state = diagnosis.readiness[rung]
        name = _RUNG_NAMES[rung]
        if lines[-1] and used + len(name) + len(state) + 4 > page.width:
            lines.append([])
            used = 9
        used += len(name) + len(state) + 4
        lines[-1].append(f"{name} {page.paint(state, _RUNG_COLOURS[state])}")
    for number, words in enumerate(lines):
        label = page.paint(f"{'Ready':<9}", "bold ") if number == 0 else " " * 9
        page.lines.append(label + page.paint(" · ").join(words))


def causes(page: Page, diagnosis: Diagnosis) -> None:
    """Each root cause with its evidence, its cure, and what it explains."""
    names = diagnosis.root_causes
    for number, name in enumerate(names):
        page.lines.append("")
        verdict = diagnosis.verdict(name)
        label = "Root cause" if len(names) == 1 else f"Root cause {number + 1} of {len(names)}"
        page.raw(f"{label}: {name}" + (f" [{verdict.fault}]" if verdict.fault else ""), colour="bold red")
        _body(page, verdict)
        explained = _explained_by(diagnosis, name)
        if explained:
            page.add(f"It explains: {', '.join(explained)}", 2)


def _body(page: Page, verdict: Verdict) -> None:
    page.add(verdict.why, 2)
    for line in verdict.evidence:
        page.add(line, 4)
    if verdict.remedy:
        page.add(f"→ {verdict.remedy.text}", 2, "green")
        for command in verdict.remedy.commands:
            page.raw(command, 6, "bold ")


def _explained_by(diagnosis: Diagnosis, name: str) -> list[str]:
    found: list[str] = []
    for verdict in diagnosis.verdicts:
        if verdict.status == "fail" and verdict.id not in diagnosis.root_causes:
            if name in verdict.explained_by or set(verdict.explained_by) & set(found):
                found.append(verdict.id)
        elif verdict.status == "skip" and name in verdict.after and not verdict.absent:
            found.append(verdict.id)
    return found


def others(page: Page, diagnosis: Diagnosis, verbose: int, *, quiet: bool) -> None:
    """What else is worth a line."""
    shown = [
        v for v in diagnosis.verdicts if v.id not in diagnosis.root_causes and _worth(v, verbose, quiet=quiet)
    ]
    if shown:
        page.lines.append("")
    for verdict in shown:
        mark = page.paint(_MARKS[verdict.status], _COLOURS[verdict.status])
        wrapped = textwrap.wrap(
            f"{verdict.id}: {verdict.why}", max(20, page.width - 2), break_on_hyphens=False
        )
        page.lines.append(f"{mark} {page.paint(wrapped[0])}")
        page.lines += ["  " + page.paint(line) for line in wrapped[1:]]
        if verbose:
            for line in verdict.evidence:
                page.add(line, 6)
        if verdict.status in ("warn", "fail") and verdict.remedy:
            page.add(f"→ {verdict.remedy.text}", 4, "green")
            for command in verdict.remedy.commands:
                page.raw(command, 8, "bold ")


def _worth(verdict: Verdict, verbose: int, *, quiet: bool) -> bool:
    if verbose:
        return True
    if quiet:
        return verdict.status in ("fail", "warn", "broken")
    return verdict.status in ("fail", "warn", "unknown", "broken")


def _questions(page: Page, snapshot: Snapshot) -> None:
    page.lines += ["", page.paint("Questions", "bold ")]
    for key, answer in snapshot.answers.items():
        page.raw(f"{_took(answer)} {_outcome(answer):<10} {key}", 2)


def _took(answer: Answer) -> str:
    return f"{answer.seconds:6.3f} s" if answer.seconds else " " * 8


def _outcome(answer: Answer) -> str:
    if answer.ok:
        return "answered" if answer.exit_code in (None, 0) else f"exit {answer.exit_code}"
    return answer.why


def _closing(page: Page, diagnosis: Diagnosis) -> None:
    counts = Counter(v.status for v in diagnosis.verdicts)
    words = {
        "ok": "fine",
        "warn": "to note",
        "fail": "failed",
        "unknown": "unknown",
        "broken": "broken",
        "skip": "skipped",
    }
    page.lines.append("")
    page.add(", ".join(f"{counts[s]} {word}" for s, word in words.items() if counts[s]) + ".")
    too_slow(page, diagnosis)
    step = next_step(diagnosis)
    if step is None:
        return
    if len(step.commands) == 1:
        page.lines.append(page.paint("Next: ", "bold ") + page.paint(step.commands[0]))
        return
    page.add(f"Next: {step.text}", colour="bold ")
    for command in step.commands:
        page.raw(command, 6)


def too_slow(page: Page, diagnosis: Diagnosis) -> None:
    """What to do about checks that are unknown because questions had no answer in time."""
    late = sum(v.status == "unknown" and f": {LATE}" in v.why for v in diagnosis.verdicts)
    if late:
        page.add(
            f"{late} check{' is' if late == 1 else 's are'} unknown because questions had no answer in time. If this "
            "machine is only slow, as in emulation, '--patience 10' waits ten times as long as usual."
        )


def next_step(diagnosis: Diagnosis) -> Remedy | None:
    """The one thing to do now: how the cure of the first cause begins, or how the first rung that is absent comes."""
    for name in diagnosis.root_causes:
        remedy = diagnosis.verdict(name).remedy
        if remedy and remedy.recipe:
            return Remedy(remedy.text, ("rocmdoctor fix",))
        if remedy and remedy.commands:
            return Remedy(remedy.text, remedy.commands[:1])
    if diagnosis.readiness.get("gpu") != "ready":
        return None
    remedies = (verdict.remedy for verdict in diagnosis.missing)
    return next((remedy for remedy in remedies if remedy and remedy.commands), None)
