"""Lets the libraries of an environment compute, each in a child of that environment's own Python, in a folder of ours."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from rocmdoctor.cli.next_login import PASS_SECONDS, NextLogin
from rocmdoctor.content import ContentError, DataTables, bundled
from rocmdoctor.diagnosis.known import Known
from rocmdoctor.facts.distributions import Dists
from rocmdoctor.facts.gpus import Gpus
from rocmdoctor.facts.proofs import ASKED, DEVICE, FOLDER, WORK, Proofs, ProofTable, ProofTask, proof_of
from rocmdoctor.facts.tools import Tools
from rocmdoctor.hosts.replay import from_raw
from rocmdoctor.model import Wish

GROUP = "proof"
TRAINING = "proof.training-"
# Nothing is downloaded and nobody is told: each of these is read by a library that may be in the environment.
_OFFLINE = {
    "HF_HUB_OFFLINE": "1",  # huggingface_hub, and through it transformers and datasets
    "TRANSFORMERS_OFFLINE": "1",
    "HF_DATASETS_OFFLINE": "1",
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "DO_NOT_TRACK": "1",
    "AXOLOTL_DO_NOT_TRACK": "1",
    "WANDB_MODE": "disabled",
    "TOKENIZERS_PARALLELISM": "false",
}
# With --cpu no GPU is shown, so that libraries choose what they have for processors.
_HIDDEN = {"HIP_VISIBLE_DEVICES": "-1", "CUDA_VISIBLE_DEVICES": "-1", "ROCR_VISIBLE_DEVICES": "-1"}


class Proving(NextLogin):
    """Asks one proof after another, on the GPU or, with `cpu`, on the processor; with `train` small trainings too."""

    def __init__(self, *, cpu: bool, train: bool, patience: float = 1.0) -> None:
        super().__init__(patience)
        self.cpu = cpu
        self.train = train
        table: ProofTable = DataTables(bundled())(ProofTable)
        self._tasks = [task for task in table.tasks if train or not task.train]
        self.seconds = sum(t.seconds + PASS_SECONDS for t in self._tasks) * max(1.0, patience)

    def proves(self, check: str) -> bool:
        """Whether a check judges something that this asks."""
        return check.startswith(f"{GROUP}.") and (self.train or not check.startswith(TRAINING))

    def ask(self, answers: dict[str, Any], tell: Callable[[str], None] | None) -> dict[str, Any]:
        """The answers of all proofs; none where there is no GPU to compute on and no processor was asked for."""
        known = known_from(answers)
        if not self.cpu and not offered(known):
            return {}
        folder = tempfile.mkdtemp(prefix="rocmdoctor-")
        try:
            wish = {
                FOLDER: folder,
                DEVICE: "cpu" if self.cpu else "gpu",
                ASKED: ",".join(task.subject for task in self._tasks),
            }
            found = {f"env:{name}": {"ok": True, "text": text} for name, text in wish.items()}
            if os.geteuid() == 0:
                return found if self.cpu or _has_torch(known) else {}
            _lay_out(folder)
            os.environ.update(self._variables(folder))
            python = known.get(Proofs).python
            for task in self._tasks:
                found.update(self._proved(python, folder, task, wish[DEVICE], tell))
            return found
        finally:
            shutil.rmtree(folder, ignore_errors=True)

    def _variables(self, folder: str) -> dict[str, str]:
        # What compilers and caches put aside goes with the folder.
        own = {"TMPDIR": folder, "HF_HOME": f"{folder}/hub", "HF_DATASETS_CACHE": f"{folder}/hub/datasets"}
        return {**_OFFLINE, **own, **(_HIDDEN if self.cpu else {})}

    def _proved(
        self, python: str, folder: str, task: ProofTask, device: str, tell: Callable[[str], None] | None
    ) -> dict[str, Any]:
        if tell:
            tell(f"now {task.says}")
        # Each has an empty folder, so that none stumbles over what another left.
        work = Path(folder, WORK)
        shutil.rmtree(work, ignore_errors=True)
        work.mkdir()
        return self.asked(proof_of(python, folder, task.subject, device, task.seconds))


def proof_files(folder: Path) -> dict[str, str]:
    """The programs of proofs/, by name. They are data here: an environment's own Python runs them. Raises ContentError."""
    place = folder / "proofs"
    try:
        return {path.name: path.read_text(encoding="utf-8") for path in sorted(place.glob("*.py"))}
    except OSError as error:
        raise ContentError(str(place), f"cannot be read: {error.strerror}") from error


def _has_torch(known: Known) -> bool:
    """Whether there is something that root leaves unproved; where nobody could tell, there may be."""
    dists = known.maybe(Dists)
    return dists is None or dists.get("torch") is not None


def _lay_out(folder: str) -> None:
    """The programs, where the user can read them: ours may lie where only root or another user does."""
    for name, text in proof_files(bundled()).items():
        Path(folder, name).write_text(text, encoding="utf-8")


def known_from(answers: dict[str, Any]) -> Known:
    """What the first answers tell."""
    return Known(from_raw({"schema": 1, "answers": answers}).answers, DataTables(bundled()), Wish())


def offered(known: Known) -> set[str]:
    """The targets of the GPUs that the driver, or under Windows ROCm itself, shows."""
    gpus, tools = known.maybe(Gpus), known.maybe(Tools)
    shown = {g.gfx for g in gpus.capable if g.node is not None and g.gfx} if gpus else set()
    rocminfo = tools.tools.get("rocminfo") if tools else None
    return shown | set(rocminfo.gfx if rocminfo else ())
