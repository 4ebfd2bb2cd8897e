"""What the libraries of an environment compute, as its own Python measured it: only when `verify` asks for it."""

from __future__ import annotations

import json
import re
import signal
from collections.abc import Mapping
from typing import Any, ClassVar

from rocmdoctor.facts.base import Evidence, Fact, Table, UnknownError
from rocmdoctor.facts.deep import PERSON, by_root
from rocmdoctor.facts.python_env import CHOOSERS, chosen
from rocmdoctor.frozen import frozen
from rocmdoctor.model import Answer, Env, Query, Run

# Wishes, not answers of the machine: our folder with the programs, `cpu` or `gpu`, and the subjects, joined by commas.
FOLDER, DEVICE, ASKED = "ROCMDOCTOR_PROOFS", "ROCMDOCTOR_PROOFS_DEVICE", "ROCMDOCTOR_PROOFS_ASKED"
PROGRAM = "prove.py"
WORK = "work"  # below our folder: where the programs may write
SECONDS = 900.0
_MARK = "rocmdoctor-proof "
_LIMIT = 1 << 18


@frozen
class Figure:
    """One measurement. `without` says why there is none: this device or release has no way to do it."""

    name: str
    without: str
    values: Mapping[str, Any]

    def number(self, key: str) -> float:
        """A finite number. Raises UnknownError when the figure has none of that name."""
        value = self.values.get(key)
        if isinstance(value, bool) or not isinstance(value, (int, float)):
            raise UnknownError(f"the figure '{self.name}' has no number '{key}'")
        return float(value)

    def numbers(self, key: str) -> tuple[float, ...]:
        """A list of numbers. Raises UnknownError."""
        value = self.values.get(key)
        if not isinstance(value, list) or not all(isinstance(v, (int, float)) for v in value):
            raise UnknownError(f"the figure '{self.name}' has no list of numbers '{key}'")
        return tuple(map(float, value))

    def text(self, key: str) -> str:
        """What stands there, for people."""
        value = self.values.get(key)
        return "" if value is None else str(value)


@frozen
class Proof:
    """How the proof of one subject went. `state`: not-asked, root, absent, hangs, died or answered.

    `stage` is what it was about when it ended, `kind` what ended it: "" nothing, missing (not installed), no-gpu, memory
    or failed; `error` and `detail` say more. `seconds` is its time, `said` everything else.
    """

    subject: str
    state: str
    python: str
    asked: str = ""
    stage: str = ""
    kind: str = ""
    error: str = ""
    detail: str = ""
    version: str = ""
    device: str = ""
    seconds: float = 0.0
    figures: tuple[Figure, ...] = ()
    said: Mapping[str, Any] | None = None


@frozen
class Proofs(Fact):
    """All proofs that were asked, by subject. `device` is cpu or gpu, "" when nothing was asked."""

    device: str
    python: str
    proofs: Mapping[str, Proof]

    templates: ClassVar[tuple[str, ...]] = (
        f"run:<environment>/bin/python3 -I <temporary folder>/{PROGRAM} <subject> cpu|gpu <temporary folder>/{WORK}, with verify",
    )

    @classmethod
    def queries(cls) -> Mapping[str, Query]:
        return {"wish": Env((FOLDER, DEVICE, ASKED)), "chosen": Env(CHOOSERS), "user": PERSON}

    @classmethod
    def follow_up(cls, ev: Evidence) -> Mapping[str, Query]:
        folder, device = _wish(ev, FOLDER), _wish(ev, DEVICE)
        subjects = [s for s in _wish(ev, ASKED).split(",") if re.fullmatch(r"[a-z0-9_]{1,40}", s)]
        if not re.fullmatch(r"/[\w./-]+", folder) or device not in ("cpu", "gpu") or by_root(ev["user"]):
            return {}
        python = _python(ev)
        return {subject: proof_of(python, folder, subject, device) for subject in subjects}

    @classmethod
    def parse(cls, ev: Evidence) -> Proofs:
        python, device = _python(ev), _wish(ev, DEVICE)
        found: dict[str, Proof] = {}
        for subject in filter(None, _wish(ev, ASKED).split(",")):
            if subject in ev:
                found[subject] = _read(ev[subject], subject, python, device)
            else:
                found[subject] = Proof(subject, "root", python, device)
        return cls(device if found else "", python, found)

    def of(self, subject: str) -> Proof:
        """The proof of a subject, also of one that nobody asked."""
        return self.proofs.get(subject) or Proof(subject, "not-asked", self.python)


@frozen
class ProofTask:
    """One line of the table: `seconds` is the time limit, `says` is shown meanwhile, `train` asked with --train only."""

    subject: str
    seconds: float
    says: str
    train: bool


@frozen
class ProofTable(Table):
    """What there is to prove."""

    file: ClassVar[str] = "proofs.toml"
    tasks: tuple[ProofTask, ...]

    @classmethod
    def load(cls, data: Mapping[str, Any]) -> ProofTable:
        return cls(
            tuple(
                ProofTask(row["subject"], float(row["seconds"]), row["says"], bool(row.get("train")))
                for row in data["proof"]
            )
        )


def proof_of(python: str, folder: str, subject: str, device: str, seconds: float = SECONDS) -> Run:
    """The question: one subject, in a process of its own."""
    argv = (python, "-I", f"{folder}/{PROGRAM}", subject, device, f"{folder}/{WORK}")
    return Run(argv, timeout=seconds, touches="gpu", keep=rf"^{_MARK}\{{.*", limit=_LIMIT)


def _wish(ev: Evidence, name: str) -> str:
    try:
        return ev.env(name) or ""
    except UnknownError:
        return ""


def _python(ev: Evidence) -> str:
    return f"{chosen(ev)[0]}/bin/python3"


def _read(answer: Answer, subject: str, python: str, device: str) -> Proof:
    said, figures = _lines(answer.stdout)
    ended = {"timeout": "hangs", "not-asked": "not-asked"}.get(answer.why, "absent")
    state = "answered" if "seconds" in said else "died"
    text = {k: str(said.get(k) or "") for k in ("stage", "kind", "error", "version", "device")}
    seconds = said.get("seconds")
    return Proof(
        subject,
        state if answer.ok else ended,
        python,
        device,
        detail="" if answer.ok and state == "answered" else _detail(answer),
        seconds=float(seconds) if isinstance(seconds, (int, float)) else answer.seconds,
        figures=tuple(figures),
        said=said,
        **text,
    )


def _lines(text: str) -> tuple[dict[str, Any], list[Figure]]:
    """What was said last of each thing, and all figures. Lines that are none of ours are left out."""
    said: dict[str, Any] = {}
    figures: list[Figure] = []
    for line in text.splitlines():
        try:
            found = json.loads(line.partition(_MARK)[2])
        except ValueError:
            continue
        figure = found.pop("figure", None) if isinstance(found, dict) else None
        if isinstance(figure, dict) and isinstance(figure.get("name"), str):
            figures.append(Figure(figure["name"], str(figure.get("without", "")), figure))
        if isinstance(found, dict):
            said.update(found)
    return said, figures


def _detail(answer: Answer) -> str:
    """How a child ended that did not get to its end, and the last lines that it complained in."""
    last = " / ".join([x.strip() for x in answer.stderr.splitlines() if x.strip()][-3:])
    code = answer.exit_code
    if code is None:
        return (answer.detail or last)[:500]
    how = f"exit code {code}"
    if code < 0:
        try:
            how = f"{signal.Signals(-code).name}"
        except ValueError:
            how = f"signal {-code}"
    return f"{how}{f': {last}' if last else ''}"[:500]
