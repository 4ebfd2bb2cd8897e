"""Proof that what was installed works: the machine is asked anew, and a small program is compiled and run on it."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rocmdoctor.asking import keys
from rocmdoctor.cli.next_login import PASS_SECONDS, NextLogin, Trials
from rocmdoctor.cli.proving import Proving, known_from, offered
from rocmdoctor.cli.running import Judge, Outcome
from rocmdoctor.cli.taking import take
from rocmdoctor.facts.gpus import Gpus
from rocmdoctor.facts.hip_probe import COMPILE_SECONDS, FOLDER, PROGRAM, RUN_SECONDS, SOURCE, TARGETS, probes
from rocmdoctor.facts.proofs import ASKED
from rocmdoctor.model import Snapshot, Verdict, Wish

GROUP = "verify"


@dataclass(frozen=True)
class Verified:
    """What was proved. `state`: ran (on a GPU), compiled (no such GPU is here), cpu (there alone, as was asked) or no."""

    state: str
    gfx: tuple[str, ...]
    outcome: Outcome
    snapshot: Snapshot

    @property
    def verdicts(self) -> tuple[Verdict, ...]:
        """The checks that were named, and those of the proof."""
        return self.outcome.diagnosis.verdicts


def verify(
    gfx: Collection[str],
    checks: Iterable[str],
    content: tuple[Path, ...] = (),
    patience: float = 1.0,
    progress: Callable[[str], None] | None = None,
    env: str | None = None,
    proving: Proving | None = None,
) -> Verified:
    """Asks the machine as the user, compiles for these targets (none: those of its GPUs), and judges the checks.

    `env` is the Python environment that is looked at, None for the active one; `proving` is what it has to compute.

    The variables that our own file exports are set, as in the next login. Raises OSError when nobody could ask.
    """
    judge = Judge(content, Wish())
    compilation = _Compilation(tuple(gfx), patience)
    trial = Trials(compilation, proving) if proving is not None else compilation
    taken = take("/", patience, progress, env, trial=trial)
    # Without a GPU, and without --cpu, nothing was computed that could be judged.
    asked = proving if f"env:{ASKED}" in taken.answers else None
    outcome = judge.judge(taken, _chosen(judge, checks, gfx, asked))
    targets = taken.answers.get(f"env:{TARGETS}")
    state = "cpu" if proving is not None and proving.cpu and _proved(outcome) else _state(outcome)
    return Verified(state, tuple(targets.text.split(",")) if targets and targets.ok else (), outcome, taken)


def _chosen(judge: Judge, checks: Iterable[str], gfx: Collection[str], proving: Proving | None) -> set[str]:
    """The ids to report: what was proved, what would explain that it failed, and what was named.

    On the processor alone nothing else is asked for: what a GPU would need explains nothing there.
    """
    proved = {item.id: item for item in judge.checks if proving is not None and proving.proves(item.id)}
    if proving is not None and proving.cpu:
        return {*proved, *(item.id for item in judge.checks if gfx and item.group == GROUP)}
    items = [item for item in judge.checks if item.group == GROUP or item.id in proved]
    return {*checks, *(item.id for item in items), *(name for item in items for name in item.explained_by)}


def _proved(outcome: Outcome) -> bool:
    """Whether something was computed and nothing that was asked failed."""
    said = [v.status for v in outcome.diagnosis.verdicts]
    return "ok" in said and "fail" not in said


def _state(outcome: Outcome) -> str:
    said = {v.id: v.status for v in outcome.diagnosis.verdicts}
    if said.get("verify.program-runs") == "ok":
        return "ran"
    compiled = said.get("verify.hipcc-compiles") == said.get("verify.code-object") == "ok"
    return "compiled" if compiled and said["verify.program-runs"] == "skip" else "no"


class _Compilation(NextLogin):
    """Compiles the program in a private folder, looks into it, and runs it where a GPU of its target is."""

    def __init__(self, gfx: tuple[str, ...], patience: float) -> None:
        super().__init__(patience)
        self._gfx = gfx
        self.seconds = (COMPILE_SECONDS + RUN_SECONDS + 3 * PASS_SECONDS) * max(1.0, patience)

    def ask(self, answers: dict[str, Any], tell: Callable[[str], None] | None) -> dict[str, Any]:
        """The answers of hipcc, of the built file and of the program, each asked when the one before was good."""
        known = known_from(answers)
        gpus = known.maybe(Gpus)
        here = tuple(dict.fromkeys(g.gfx for g in (gpus.discrete if gpus else ()) if g.gfx))
        targets = self._gfx or here
        if not targets:
            return {}
        folder = tempfile.mkdtemp(prefix="rocmdoctor-")
        try:
            Path(folder, SOURCE).write_text(PROGRAM, encoding="utf-8")
            # What compilers put aside goes with the folder.
            os.environ["TMPDIR"] = folder
            wish = {f"env:{FOLDER}": folder, f"env:{TARGETS}": ",".join(targets)}
            return {
                **{key: {"ok": True, "text": text} for key, text in wish.items()},
                **self._tried(folder, targets, tell, runs=bool(set(targets) & offered(known))),
            }
        finally:
            shutil.rmtree(folder, ignore_errors=True)

    def _tried(
        self, folder: str, targets: tuple[str, ...], tell: Callable[[str], None] | None, *, runs: bool
    ) -> dict[str, Any]:
        build, look, run = probes(folder, targets)
        answers = self.asked(build, tell=tell)
        built = answers[keys(build)[0]]
        if not built["ok"] or built["exit_code"] != 0:
            return answers
        answers.update(self.asked(look, tell=tell))
        return {**answers, **self.asked(run, tell=tell)} if runs else answers
