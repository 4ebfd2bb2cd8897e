"""The reference page of known errors, made from their files."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from rocmdoctor.diagnosis.registry import Check
from rocmdoctor.explaining import KnownError, Says
from rocmdoctor.explaining.kinds import Kind
from rocmdoctor.explaining.templates import TYPES
from rocmdoctor.facts.faults import FaultTable

_HEAD = """\
# Known errors

Made by `python docs/generate.py` from `checks/known-errors/`; edit those, not this page.

`rocmdoctor explain` knows these. Each is one cause of lines as programs print them; where one text has several causes, each
has an entry, and facts of the machine decide between them. [How to use it](../how-to/explain.md),
[how often it is right](../explanation/accuracy.md).
"""
_FORMAT = """\
## The files

```yaml
schema: 1
errors:
  - id: kfd-open-denied                 # small letters, digits, hyphens; never renamed
    fault: device-permissions           # a name of checks/data/faults.toml
    title: The user may not open /dev/kfd
    says:                               # any of these lines
      - text: "Unable to open {path} read-write: {why}"
        printed_by: ROCm/rocminfo rocminfo.cc      # the repository and file where the text stands
        where: {why: [Permission denied]}          # the words that a hole may hold
    near: []                            # one of these must stand near it: `within` lines (200), of the error or of the line
    unless: []                          # where one of these stands, it is something else; with `within`, only near it
    differ: [a, b]                      # the holes {a} and {b} of the line and of what is near begin with other numbers
    in: [python]                        # only in text of this kind
    program: rocminfo                   # who prints it, for readers
    cause: One or two sentences; {path} is filled in.
    confidence: medium                  # of the text alone: high where it proves the cause
    decided_by:                         # what checks of the machine make of it
      - check: driver.kfd-access
        fail: {confidence: high}
        ok: {drop: true}
    look_at: {text: What tells it from the others, commands: [[id]]}
    remedy: {text: What to do, commands: [[sudo, usermod, -aG, "render,video", $USER]], recipe: gpu-access}
    rank: 0                             # higher stands first
    instead_of: [other-id]              # follows from this one, and is left out beside it
    versions: ROCm 1.6 and newer
    samples: [{text: A text that this very error explains., source: where it is from}]
```

A text is compared anywhere in a line, after colours and the prefixes of logs are taken off; runs of blanks are equal, and so are
all quotation marks. At its ends it matches whole words. `{type}` and `{name:type}` are holes, `{start}` and `{end}` the ends of the
line, `{{` is a brace. Each text needs a word of three letters outside its holes. Lines that a terminal wrapped are put together.
A check that fails for the same fault raises the confidence to high by itself.

"""


def known_errors_page(
    errors: Sequence[KnownError], faults: FaultTable, kinds: Iterable[Kind], checks: Iterable[Check]
) -> str:
    """Every fault with its errors, the format of the files, and what tells of each fault."""
    lines = [_HEAD]
    by_fault: dict[str, list[KnownError]] = {name: [] for name in faults.layers}
    for error in errors:
        by_fault[error.fault].append(error)
    lines += [f"{len(errors)} known errors, {sum(len(e.says) for e in errors)} texts.\n"]
    for fault, found in by_fault.items():
        if found:
            lines.append(f"## {fault}\n")
            lines.append(f"{_cell(faults.meanings[fault])}.\n")
            lines += [text for error in found for text in _entry(error)]
    lines += _told_by(by_fault, checks)
    lines.append(_FORMAT)
    lines.append("| hole | what it may hold |\n| --- | --- |")
    lines += [f"| `{{{name}}}` | {what} |" for name, (_, what) in TYPES.items()]
    lines.append("\n| kind of text | what it is |\n| --- | --- |")
    lines += [f"| `{kind.name}` | {kind.says} |" for kind in kinds]
    return "\n".join(lines) + "\n"


def _entry(error: KnownError) -> Iterator[str]:
    yield f"### {error.id}\n"
    by = f" Printed by {error.program}." if error.program else ""
    yield f"{_cell(error.title)}. Confidence of the text alone: {error.confidence}.{by}\n"
    yield f"{_cell(error.cause)}\n"
    yield "```text"
    yield from (_line(says) for says in error.says)
    yield "```\n"
    for label, group in (("near it", error.near), ("not where", error.unless)):
        if group:
            yield f"- {label}: {', '.join(f'``{_line(says)}``' for says in group)}"
    yield f"- found in: {', '.join(dict.fromkeys(_cell(says.printed_by) for says in error.says))}"
    if error.versions:
        yield f"- versions: {_cell(error.versions)}"
    for decider in error.decided_by:
        said = ", ".join(f"{status}: {effect}" for status, effect in decider.by_status.items())
        yield f"- decided by `{decider.check}`: {said}"
    if error.instead_of:
        yield f"- left out beside it: {', '.join(f'`{name}`' for name in error.instead_of)}"
    recipe = f" (recipe `{error.remedy.recipe}`)" if error.remedy.recipe else ""
    yield f"- cure: {_cell(error.remedy.text)}{recipe}\n"


def _line(says: Says) -> str:
    text = says.text
    for name, words in says.where.items():
        text = text.replace(f"{{{name}}}", f"{{{' | '.join(words)}}}")
    return " ".join(text.split())


def _told_by(by_fault: dict[str, list[KnownError]], checks: Iterable[Check]) -> Iterator[str]:
    """Which fault is told by a check, by texts, or by both."""
    named: dict[str, list[str]] = {}
    for item in checks:
        if item.fault:
            named.setdefault(item.fault, []).append(item.id)
    yield "## Every fault, and what tells of it\n"
    yield "| fault | known errors | checks |\n| --- | --- | --- |"
    for fault, found in by_fault.items():
        ids = ", ".join(f"`{name}`" for name in sorted(named.get(fault, ())))
        yield f"| {fault} | {len(found) or ''} | {ids} |"
    yield ""


def _cell(text: str) -> str:
    return " ".join(text.split()).rstrip(".").replace("|", "\\|")
