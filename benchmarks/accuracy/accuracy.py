#!/usr/bin/env python3
"""Measures how often `explain` and `check` name the right fault first, and writes docs/explanation/accuracy.md.

    PYTHONPATH=. python benchmarks/accuracy/accuracy.py [--write]     with an interpreter that has rocmdoctor's test dependencies

Captures are found as tests find them (ROCMDOCTOR_CORPUS). Texts that others published are not part of this project either:
ROCMDOCTOR_STRANGERS names a file of them, TOML with [[text]] of `source` (an address), `fault` (a list of which any is right) and
`text`; without one, their rows stay as they were measured. Beside it: a plain search for the words of each fault's name and meaning.
"""

from __future__ import annotations

import os
import random
import re
import sys
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))

from varying import KINDS

from rocmdoctor.content import DataTables, bundled
from rocmdoctor.explaining import judged, read_text
from rocmdoctor.facts.faults import FaultTable
from rocmdoctor.log_content import load_lines
from tests.conftest import CHECKOUT, CORPUS
from tests.judging import judge
from tests.machines.families import FAMILIES, family
from tests.machines.faults import PLANTED, planted

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

HERE = Path(__file__).resolve().parent
PAGE = CHECKOUT / "docs" / "explanation" / "accuracy.md"
# The captures use other words for some faults.
SAME = {
    "groups/permissions": "device-permissions",
    "missing-libstdc++-dev": "missing-libstdcxx-dev",
    "WSL": "wsl",
}
SEEDS = 2


@dataclass(frozen=True)
class Text:
    """A text and the faults of which any is right; none for a healthy one."""

    name: str
    text: str
    right: tuple[str, ...] = ()


Answer = Callable[[str], str | None]


def of_file(path: Path) -> dict:
    """A TOML file."""
    return tomllib.loads(path.read_text(encoding="utf-8"))


def cases(corpus: Path) -> list[Text]:
    """The cases whose text is what a program prints."""
    made = []
    for path in sorted((corpus / "cases").glob("*.toml")):
        case = of_file(path)
        if case["symptom_form"] != "described":
            made.append(Text(case["id"], case["symptom_text"], (SAME.get(case["class"], case["class"]),)))
    return made


def outputs(corpus: Path) -> tuple[list[Text], list[Text]]:
    """Unhealthy and healthy ones."""
    known = of_file(HERE / "outputs.toml")
    together = known.pop("together")
    healthy = [o["file"] for o in of_file(corpus / "outputs" / "index.toml")["output"] if o["healthy"]]

    def read(names: str) -> str:
        return "\n".join((corpus / "outputs" / name).read_text(encoding="utf-8") for name in names.split())

    bad = [Text(names, read(names), (fault,)) for names, fault in {**known, **together}.items()]
    return bad, [Text(name, read(name)) for name in healthy]


def strangers() -> list[Text]:
    """Texts that no known error was made from, where somebody has some."""
    named = os.environ.get("ROCMDOCTOR_STRANGERS")
    rows = of_file(Path(named))["text"] if named else []
    return [Text(t["source"], t["text"], tuple(t["fault"])) for t in rows]


def measured(label: str) -> list[str]:
    """The rows of the page as they are, whose name begins so."""
    return [row for row in PAGE.read_text(encoding="utf-8").splitlines() if row.startswith(f"| {label}")]


def samples() -> list[Text]:
    """The samples of the known errors themselves. Of causes that print the same line any is right: no text can tell them apart."""
    errors = load_lines((bundled(),)).errors
    of_line: dict[str, set[str]] = {}
    for error in errors:
        for says in error.says:
            of_line.setdefault(says.text, set()).add(error.fault)
    made = []
    for error in errors:
        right = {error.fault}.union(*(of_line[says.text] for says in error.says))
        made += [Text(f"{error.id} {n}", s.text, tuple(sorted(right))) for n, s in enumerate(error.samples)]
    return made


def by_explain() -> Answer:
    """The fault of the first diagnosis."""
    lines = load_lines((bundled(),))

    def answer(text: str) -> str | None:
        found = judged(read_text(lines, text)).diagnoses
        return found[0].best.error.fault if found else None

    return answer


def by_words() -> Answer:
    """The fault of whose name and meaning most words stand in the text, two at least: what a plain search gives."""
    table: FaultTable = DataTables(bundled())(FaultTable)
    shared = {
        "the",
        "is",
        "for",
        "that",
        "are",
        "was",
        "and",
        "with",
        "this",
        "not",
        "its",
        "has",
        "have",
        "from",
        "other",
        "than",
        "been",
        "will",
        "only",
        "into",
        "what",
    }
    words: Mapping[str, set[str]] = {
        name: {w for w in re.findall(r"[a-z0-9]{3,}", f"{name} {meaning}".lower()) if w not in shared}
        for name, meaning in table.meanings.items()
    }

    def answer(text: str) -> str | None:
        here = set(re.findall(r"[a-z0-9]{3,}", text.lower()))
        scores = {name: len(wanted & here) for name, wanted in words.items()}
        best = max(scores, key=lambda name: scores[name])
        return best if scores[best] >= 2 else None

    return answer


def counted(texts: Iterable[Text], answer: Answer) -> tuple[int, int, int, list[str]]:
    """Right first, wrong first, silent, and the names of what was not right."""
    right = wrong = silent = 0
    missed = []
    for text in texts:
        said = answer(text.text)
        if said is None and text.right:
            silent += 1
        elif said is not None and said not in text.right:
            wrong += 1
        else:
            right += 1
            continue
        missed.append(f"{text.name}: {said or 'silence'}, right is {' or '.join(text.right) or 'silence'}")
    return right, wrong, silent, missed


def varied(texts: list[Text], kind: str) -> list[Text]:
    """Each text in SEEDS other forms."""
    return [
        Text(f"{t.name} {kind} {seed}", KINDS[kind](t.text, random.Random(f"{t.name}{seed}")), t.right)
        for t in texts
        for seed in range(SEEDS)
    ]


def machines() -> tuple[int, int, int]:
    """Fault machines: first cause right, wrong, silent. A fault that only warns counts as right when it is warned of."""
    right = wrong = silent = 0
    for fault in PLANTED:
        for name in fault.on:
            said = judge(planted((fault.label,), name, family(name))).diagnosis
            if fault.level == "fail":
                named = said.verdict(said.root_causes[0]).fault if said.root_causes else None
            else:
                named = next(
                    (v.fault for v in said.verdicts if v.status == "warn" and v.fault == fault.name), None
                )
            right, wrong, silent = (
                right + (named == fault.name),
                wrong + (named not in (fault.name, None)),
                silent + (named is None),
            )
    return right, wrong, silent


def alarms() -> tuple[int, int]:
    """Healthy machines, and how many of them raise an alarm."""
    return len(FAMILIES), sum(bool(judge(family(name)).diagnosis.root_causes) for name in FAMILIES)


def row(name: str, count: int, mine: tuple[int, ...], plain: tuple[int, ...] | None) -> str:
    """A row of the table."""
    right, wrong, silent = mine[:3]
    share = f"{right / count:.0%}" if count else ""
    other = f"{plain[0]} right, {plain[1]} wrong, {plain[2]} silent" if plain else ""
    return f"| {name} | {count} | {right} ({share}) | {wrong} | {silent} | {other} |"


def table() -> tuple[str, list[str]]:
    """The table, and what was not right."""
    ours, words = by_explain(), by_words()
    rows, missed = [], []

    def add(name: str, texts: list[Text]) -> None:
        mine, plain = counted(texts, ours), counted(texts, words)
        rows.append(row(name, len(texts), mine[:3], plain[:3]))
        missed.extend(mine[3])
        print(rows[-1], flush=True)

    if CORPUS is not None:
        bad, good = outputs(CORPUS)
        add("captured cases, as printed", cases(CORPUS))
        add("captured outputs that show a fault", bad)
        add("captured outputs of healthy machines", good)
        for kind in KINDS:
            add(f"cases and outputs with a fault, {kind}", varied([*cases(CORPUS), *bad], kind))
            add(f"healthy outputs, {kind}", varied(good, kind))
    if texts := strangers():
        add("texts of strangers, held out", texts)
        for kind in KINDS:
            add(f"texts of strangers, {kind}", varied(texts, kind))
    else:
        rows.extend(measured("texts of strangers"))
    add("own samples", samples())
    for kind in KINDS:
        add(f"own samples, {kind}", varied(samples(), kind))
    found = machines()
    rows.append(row("machines with one planted fault (`check`)", sum(found), found, None))
    count, loud = alarms()
    rows.append(row("healthy machines (`check`)", count, (count - loud, loud, 0), None))
    return "\n".join(rows), missed


HEAD = "| what | texts | right first | wrong first | silent | a plain search for words |\n| --- | --- | --- | --- | --- | --- |\n"
BEGIN, END = "<!-- measured: begin -->", "<!-- measured: end -->"

if __name__ == "__main__":
    made, missed = table()
    print("\n" + "\n".join(missed))
    if "--write" in sys.argv:
        page = PAGE.read_text(encoding="utf-8")
        before, after = page[: page.index(BEGIN) + len(BEGIN)], page[page.index(END) :]
        PAGE.write_text(f"{before}\n{HEAD}{made}\n{after}", encoding="utf-8")
