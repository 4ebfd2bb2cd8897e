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
from rocmdoctor.cli.next_login import PASS_SECONDS, NextLogin
from rocmdoctor.cli.running import Judge, Outcome
from rocmdoctor.cli.taking import take
from rocmdoctor.content import DataTables, bundled
from rocmdoctor.diagnosis.known import Known
from rocmdoctor.facts.gpus import Gpus
from rocmdoctor.facts.hip_probe import COMPILE_SECONDS, FOLDER, PROGRAM, RUN_SECONDS, SOURCE, TARGETS, probes
from rocmdoctor.facts.tools import Tools
from rocmdoctor.hosts.replay import from_raw
from rocmdoctor.model import Snapshot, Verdict, Wish

GROUP = "verify"


@dataclass(frozen=True)
class Verified:
    """What was proved. `state`: ran (on a GPU), compiled (no such GPU is here) or no."""

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
) -> Verified:
    """Asks the machine as the user, compiles for these targets (none: those of its GPUs), and judges the checks.

    `env` is the Python environment that is looked at, None for the active one.

    The variables that our own file exports are set, as in the next login. Raises OSError when nobody could ask.
    """
    judge = Judge(content, Wish())
    trial = _Compilation(tuple(gfx), patience)
    taken = take("/", patience, progress, env, trial=trial)
    proof = [item for item in judge.checks if item.group == GROUP]
    chosen = {*checks, *(item.id for item in proof), *(name for item in proof for name in item.explained_by)}
    outcome = judge.judge(taken, chosen)
    targets = taken.answers.get(f"env:{TARGETS}")
    return Verified(
        _state(outcome), tuple(targets.text.split(",")) if targets and targets.ok else (), outcome, taken
    )


def _state(outcome: Outcome) -> str:
    said = {v.id: v.status for v in outcome.diagnosis.verdicts}
    if said["verify.program-runs"] == "ok":
        return "ran"
    compiled = said["verify.hipcc-compiles"] == said["verify.code-object"] == "ok"
    return "compiled" if compiled and said["verify.program-runs"] == "skip" else "no"


class _Compilation(NextLogin):
    """Compiles the program in a private folder, looks into it, and runs it where a GPU of its target is."""

    def __init__(self, gfx: tuple[str, ...], patience: float) -> None:
        super().__init__(patience)
        self._gfx = gfx
        self.seconds = (COMPILE_SECONDS + RUN_SECONDS + 3 * PASS_SECONDS) * max(1.0, patience)

    def ask(self, answers: dict[str, Any], tell: Callable[[str], None] | None) -> dict[str, Any]:
        """The answers of hipcc, of the built file and of the program, each asked when the one before was good."""
        known = Known(from_raw({"schema": 1, "answers": answers}).answers, DataTables(bundled()), Wish())
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
                **self._tried(folder, targets, tell, runs=_offered(known, targets)),
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


def _offered(known: Known, targets: tuple[str, ...]) -> bool:
    """The driver, or under Windows ROCm itself, shows a GPU of one of the targets."""
    gpus, tools = known.maybe(Gpus), known.maybe(Tools)
    shown = {g.gfx for g in gpus.capable if g.node is not None} if gpus else set()
    rocminfo = tools.tools.get("rocminfo") if tools else None
    return bool(set(targets) & (shown | set(rocminfo.gfx if rocminfo else ())))
