"""From what was seen to diagnoses, best first: what follows from what, and what this machine's checks say of each cause."""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping, Sequence

from rocmdoctor.explaining.cleaning import printable
from rocmdoctor.explaining.seeing import Findings, Observed, Seen
from rocmdoctor.explaining.templates import fill
from rocmdoctor.explaining.values import CONFIDENCES, KnownError
from rocmdoctor.frozen import frozen
from rocmdoctor.model import Remedy, Verdict

_GFX = re.compile(r"\bgfx[0-9a-f]{3,4}\b")


@frozen
class Candidate:
    """One cause of a line. `why` says what of this machine raised or lowered `confidence`; `checks` are ids that fail for it."""

    error: KnownError
    title: str
    cause: str
    confidence: str
    remedy: Remedy
    why: tuple[str, ...] = ()
    look_at: Remedy | None = None
    checks: tuple[str, ...] = ()


@frozen
class Diagnosed:
    """A line and what it means: `best`, and the `others` that fit as well, in order."""

    seen: Observed
    best: Candidate
    others: tuple[Candidate, ...] = ()


@frozen
class Explained:
    """What a log comes down to: diagnoses, best first; else the first and last line that tell of a failure."""

    diagnoses: tuple[Diagnosed, ...] = ()
    failure: Seen | None = None
    last_failure: Seen | None = None
    failures: int = 0
    gfx: tuple[str, ...] = ()

    @property
    def exit_code(self) -> int:
        """1: a fault is named; 6: something failed and is not known; 0: nothing failed."""
        return 1 if self.diagnoses else 6 if self.failure else 0


def judged(findings: Findings, verdicts: Mapping[str, Verdict] | None = None) -> Explained:
    """The diagnoses. `verdicts`: what the checks say of the machine that the log is from, by id; None where it is not at hand."""
    weighed = [(seen, made) for seen in findings.observed if (made := _weighed(seen, verdicts)) is not None]
    noise = {name for seen, _ in weighed for name in seen.error.instead_of if name != seen.error.id}
    groups: dict[tuple[str, int], list[tuple[Observed, Candidate]]] = {}
    for seen, made in weighed:
        if seen.error.id not in noise:
            groups.setdefault((seen.first.file, seen.first.line), []).append((seen, made))
    diagnoses = []
    for group in groups.values():
        group.sort(key=lambda pair: (-pair[1].error.rank, CONFIDENCES.index(pair[1].confidence)))
        seen, best = group[0]
        diagnoses.append(Diagnosed(seen, best, tuple(made for _, made in group[1:])))
    diagnoses.sort(key=_order)
    texts = " ".join(d.seen.first.text for d in diagnoses)
    gfx = tuple(dict.fromkeys(_GFX.findall(texts)))
    return Explained(tuple(diagnoses), findings.failure, findings.last_failure, findings.failures, gfx)


def _order(one: Diagnosed) -> tuple[int, bool, int]:
    """First causes print first. What is unlikely comes after all else."""
    return -one.best.error.rank, one.best.confidence == "low", one.seen.first.position


def _weighed(seen: Observed, verdicts: Mapping[str, Verdict] | None) -> Candidate | None:
    """The cause with the confidence that the machine gives it; None where its facts rule it out."""
    error, confidence = seen.error, seen.error.confidence
    why: list[str] = []
    checks: list[str] = []
    decided: set[str] = set()
    known = verdicts or {}
    for decider in error.decided_by:
        verdict = known.get(decider.check)
        effect = decider.by_status.get(verdict.status) if verdict is not None else None
        if verdict is None or effect is None:
            continue
        if effect == "drop":
            return None
        confidence = effect
        decided.add(verdict.id)
        why.append(_said(verdict))
        checks += [verdict.id] if verdict.status in ("fail", "warn") else []
    for verdict in known.values():
        if verdict.status == "fail" and verdict.fault == error.fault and verdict.id not in decided:
            confidence = "high"
            why.append(_said(verdict))
            checks.append(verdict.id)
    return _candidate(seen, confidence, tuple(why), tuple(checks))


def _said(verdict: Verdict) -> str:
    words = {"fail": "fails", "ok": "is fine", "warn": "warns"}.get(verdict.status, f"is {verdict.status}")
    return f"{verdict.id} {words} on the machine: {verdict.why}"


def _candidate(seen: Observed, confidence: str, why: tuple[str, ...], checks: tuple[str, ...]) -> Candidate:
    error = seen.error
    holes = {**(seen.beside.holes if seen.beside else {}), **seen.first.holes}
    shown = {name: printable(value, 160) for name, value in holes.items()}
    remedy = Remedy(
        fill(error.remedy.text, shown), _commands(error.remedy.commands, holes), error.remedy.recipe or None
    )
    look_at = None
    if error.look_at is not None:
        look_at = Remedy(fill(error.look_at.text, shown), _commands(error.look_at.commands, holes))
    title, cause = fill(error.title, shown), fill(error.cause, shown)
    return Candidate(error, title, cause, confidence, remedy, why, look_at, checks)


def _commands(commands: Sequence[Sequence[str]], holes: Mapping[str, str]) -> tuple[str, ...]:
    """As people paste them: what a log says is quoted wherever a shell could read it otherwise."""
    return tuple(" ".join(_word(word, holes) for word in words) for words in commands)


def _word(word: str, holes: Mapping[str, str]) -> str:
    filled = fill(word, {name: printable(value, 400) for name, value in holes.items()})
    # Variables, home folders and pipes in our own words are meant for the shell.
    ours = word if filled == word else ""
    return ours if ours and re.fullmatch(r"[\w$~./:=+,@%{}&|<>*-]+", ours) else shlex.quote(filled)
