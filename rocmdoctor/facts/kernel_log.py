"""What the kernel said about GPUs since it was started, as far as this user may read it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, ClassVar

from rocmdoctor.facts.base import Evidence, Fact, Table, UnknownError
from rocmdoctor.frozen import frozen
from rocmdoctor.model import Answer, Query, Run

# Only lines of these parts of the kernel leave the machine, without date and host name. The command line is not
# among them, nor are lines that name a user's processes.
_KEEP = (
    r"(?:^|(?<= kernel: ))(?:\[ *\d+\.\d+\](?:\[ *[TC]\d+\])? )?(?!.{0,400}\b[Pp]rocess\b)"
    r"(?:(?:amdgpu|amdkcl|amdttm|amddrm|amd-sched|amd_sched|kfd|\[drm|drm|AMD-Vi|DMAR|iommu"
    r"|Lockdown: [\w.-]{1,20}: .*module|[Ll]oading of (?:unsigned )?module|Direct firmware load for amdgpu/).{0,300}"
    r"|Linux version \S{1,80})"
)
_PREFIX = re.compile(r"^(?:\w{3} [ \d]\d [\d:]{8} \S+ kernel: |\[ *\d+\.\d+\](?:\[ *[TC]\d+\])? |<\d+>)*")


@frozen
class KernelLog(Fact):
    """Lines without their time stamps. `whole` when they begin with the start of the kernel."""

    lines: tuple[str, ...]
    whole: bool

    @classmethod
    def queries(cls) -> Mapping[str, Query]:
        return {
            "dmesg": Run(("dmesg",), keep=_KEEP, limit=8 << 20),
            "journal": Run(
                ("journalctl", "-k", "-b", "-o", "short", "--no-pager"),
                keep=_KEEP,
                limit=8 << 20,
                timeout=4.0,
            ),
        }

    @classmethod
    def parse(cls, ev: Evidence) -> KernelLog:
        found = [a for program in ("dmesg", "journalctl") for _, a in ev.runs(program)]
        lines: dict[str, None] = {}
        readable = False
        for answer in found:
            if answer.ok and not _refused(answer):
                readable = True
                lines.update(
                    dict.fromkeys(_PREFIX.sub("", line).rstrip() for line in answer.stdout.splitlines())
                )
        if not readable:
            raise UnknownError(_reason(ev))
        kept = tuple(line for line in lines if line and not line.startswith("# "))
        return cls(lines=kept, whole=any(line.startswith("Linux version ") for line in kept))


def _refused(answer: Answer) -> bool:
    """dmesg fails outright; journalctl may end well and show nothing, with the reason on stderr or stdout."""
    if answer.stdout.strip() and not answer.stdout.startswith("-- No entries"):
        return False
    return bool(answer.exit_code) or bool(answer.stderr.strip()) or "No entries" in answer.stdout


def _reason(ev: Evidence) -> str:
    for name in ("dmesg", "journal"):
        answer = ev[name]
        if answer.ok and re.search(r"not permitted|[Pp]ermission", answer.stderr):
            return f"{ev.key(name)}: this user may not read the kernel log; run the check with sudo, or join group adm"
    answer = ev["dmesg"]
    said = "it shows nothing" if answer.ok else {"not-asked": "not asked"}.get(answer.why, answer.why)
    return f"{ev.key('dmesg')}: {said}"


@frozen
class Message:
    """A message of the kernel that a check looks for. `source` is the kernel file that prints it."""

    kind: str
    pattern: re.Pattern[str]
    source: str


@frozen
class Hit:
    """A line that matches a message, with the values that the pattern names, and how often it was said."""

    kind: str
    line: str
    values: Mapping[str, str]
    source: str
    count: int = 1


@frozen
class KernelMessages(Table):
    """Messages of the kernel by kind."""

    file: ClassVar[str] = "kernel-messages.toml"
    messages: tuple[Message, ...]

    @classmethod
    def load(cls, data: Mapping[str, Any]) -> KernelMessages:
        rows = data["message"]
        return cls(tuple(Message(r["kind"], re.compile(r["pattern"]), r["source"]) for r in rows))


@frozen
class KernelFindings(Fact):
    """The lines of the kernel log that mean something, each once."""

    hits: tuple[Hit, ...]
    whole: bool

    def of(self, *kinds: str) -> tuple[Hit, ...]:
        """The hits of these kinds, in the order of the log."""
        return tuple(hit for hit in self.hits if hit.kind in kinds)

    @classmethod
    def derive(cls, log: KernelLog, table: KernelMessages) -> KernelFindings:
        found: dict[tuple[str, str], Hit] = {}
        for line in log.lines:
            for message in table.messages:
                match = message.pattern.search(line)
                if match is None:
                    continue
                values = {k: v for k, v in match.groupdict().items() if v is not None}
                known = found.get((message.kind, match.group(0)))
                hit = Hit(message.kind, line, values, message.source)
                found[message.kind, match.group(0)] = replace(known, count=known.count + 1) if known else hit
                break
        return cls(tuple(found.values()), log.whole)
