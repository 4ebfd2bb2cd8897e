"""The reference page of all checks, made from the checks themselves."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence

from rocmdoctor.asking import keys
from rocmdoctor.diagnosis.known import wanted
from rocmdoctor.diagnosis.registry import Check
from rocmdoctor.facts.base import Fact
from rocmdoctor.facts.faults import FaultTable
from rocmdoctor.model import Verdict

_HEAD = """\
# Checks

Made by `python docs/generate.py` from `checks/`; edit those, not this page.

A verdict is `ok`, `warn`, `fail`, `skip` (the question makes no sense here), `unknown` (it could not be answered) or
`broken` (the check has a bug). Only `fail` changes the exit code to 1; an `unknown` of a check marked *required* makes it 6.
"""


def checks_page(
    checks: Sequence[Check],
    faults: FaultTable,
    looked_at: Mapping[str, Sequence[str]],
    not_made: Mapping[str, str],
    examples: Mapping[str, Verdict],
) -> str:
    """Every check by group, then what was left out on purpose. `examples`: a verdict of each check that speaks up."""
    lines = [_HEAD]
    group = ""
    for item in sorted(checks, key=lambda c: c.id):
        if item.group != group:
            group = item.group
            lines.append(f"## {group}\n")
        lines.append(_entry(item, faults, examples.get(item.id)))
    lines += _facts(checks)
    lines.append("## Requirements and pains, and the checks that look at them\n")
    lines.append("| requirement or pain | checks |\n| --- | --- |")
    lines += [f"| {name} | {', '.join(f'`{c}`' for c in ids)} |" for name, ids in looked_at.items()]
    lines.append("\n## Deliberately not made\n")
    lines.append("| requirement | why there is no check |\n| --- | --- |")
    lines += [f"| {name} | {reason} |" for name, reason in sorted(not_made.items())]
    return "\n".join(lines) + "\n"


def _entry(item: Check, faults: FaultTable, example: Verdict | None) -> str:
    lines = [f"### {item.id}\n", f"{item.title}.\n"]
    if item.note:
        lines.append(f"{item.note}\n")
    if item.fault:
        lines.append(f"- fault: `{item.fault}`: {faults.meanings.get(item.fault, '')}")
    if item.rung:
        lines.append(f"- rung of the ladder: {item.rung}" + (", required" if item.required else ""))
    if item.after:
        lines.append(f"- asked after: {', '.join(f'`{n}`' for n in item.after)}")
    if item.explained_by:
        lines.append(f"- explained by: {', '.join(f'`{n}`' for n in item.explained_by)}")
    facts = sorted({fact.__name__ for kind, _ in wanted(item.function) for fact in _asking(kind)})
    if facts:
        lines.append(f"- reads: {', '.join(facts)} (see the end of this page)")
    if example is not None:
        lines += [f"- says, for example (`{example.status}`): {_plain(example.why)}"]
    if example is not None and example.remedy is not None:
        lines += [f"- remedy there: {_plain(example.remedy.text)}"]
        lines += [f"  - `{command}`" for command in example.remedy.commands]
    return "\n".join(lines) + "\n"


def _plain(text: str) -> str:
    return " ".join(text.split()).replace("<", "&lt;").replace("*", "\\*")


def _asking(kind: type) -> Iterator[type[Fact]]:
    """The facts that ask something, below a fact that follows from others."""
    if not issubclass(kind, Fact):
        return
    derive = getattr(kind, "derive", None)
    if derive is None:
        yield kind
        return
    for part, _ in wanted(derive):
        yield from _asking(part)


def _facts(checks: Iterable[Check]) -> list[str]:
    used = {fact for item in checks for kind, _ in wanted(item.function) for fact in _asking(kind)}
    lines = ["## What is read\n", "| fact | questions |\n| --- | --- |"]
    for fact in sorted(used, key=lambda f: f.__name__):
        asked = [key for query in fact.queries().values() for key in keys(query)]
        variables = [key for key in asked if key.startswith("env:")]
        if len(variables) > 6:
            asked = [key for key in asked if key not in variables] + [f"env: {len(variables)} variables"]
        cells = [*asked, *(f"then {template}" for template in fact.templates)]
        lines.append(
            f"| {fact.__name__} | {', '.join(f'`{cell}`'.replace('|', chr(92) + '|') for cell in cells)} |"
        )
    return [*lines, ""]
