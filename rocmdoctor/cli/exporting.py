"""The exports of this machine: printed, written into the user's shells, or taken out of them."""

from __future__ import annotations

import tempfile
import textwrap
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click

from rocmdoctor.actions import Action, WriteFile
from rocmdoctor.cli.asking import patient, take
from rocmdoctor.cli.planned import ask_here, person_here
from rocmdoctor.content import DataTables, bundled
from rocmdoctor.diagnosis.known import Known
from rocmdoctor.facts.gpus import Gpus
from rocmdoctor.hosts.replay import from_raw
from rocmdoctor.model import Wish
from rocmdoctor.ops.exports import Exports, decide, shell_exports
from rocmdoctor.ops.ground import Ground
from rocmdoctor.ops.shell_env import ENV_FILE, exports_text, shell_env, shell_questions
from rocmdoctor.reports.envelope import envelope

FAILED = 4


@dataclass(frozen=True)
class Wanted:
    """What the options ask for."""

    arch: str | None
    write: bool
    remove: bool
    patience: float


def export(wanted: Wanted, *, as_json: bool) -> int:
    """The verb."""
    with patient() as progress:
        taken = take("/", wanted.patience, progress)
    known = Known(taken.answers, DataTables(bundled()), Wish(arch=wanted.arch))
    gpus = known.maybe(Gpus)
    here = tuple(dict.fromkeys(g.gfx for g in (gpus.discrete if gpus else ()) if g.gfx))
    gfx = (wanted.arch,) if wanted.arch else here
    exports = decide(known, gfx)
    if not (wanted.write or wanted.remove):
        click.echo(envelope("env", "ok", 0, data_of(exports)) if as_json else text_of(exports), nl=as_json)
        return 0
    person = person_here()
    ground = Ground(known, taken.answers, person, gfx)
    answers = ask_here(wanted.patience)(shell_questions(ground))
    ground = Ground(
        known, {**taken.answers, **from_raw({"schema": 1, "answers": answers}).answers}, person, gfx
    )
    actions = list(shell_env(ground) if wanted.remove else shell_exports(ground))
    return _done(actions, exports, ground, wanted, as_json=as_json)


def text_of(exports: Exports) -> str:
    """Shell text: what is set with the reason above it, and as comments what is not."""
    parts = [exports_text(exports.variables, exports.notes, path_append=exports.folders)]
    if not exports.written:
        parts = ["# This machine needs no variables.\n"]
    for one in exports.left:
        said = f"Left out: {one.name}. {one.why}."
        parts.append("".join(f"# {line}\n" for line in textwrap.wrap(said, 110, break_on_hyphens=False)))
    return "\n".join(parts)


def data_of(exports: Exports) -> dict[str, Any]:
    """`data` of the envelope."""
    return {
        "exports": [
            {"name": e.name, "value": e.value, "append": e.path, "why": e.why, "readers": list(e.readers), "source": e.source}
            for e in exports.written
        ],
        "left_out": [
            {"name": one.name, "why": one.why, "readers": list(one.readers), "source": one.source} for one in exports.left
        ],
    }  # fmt: skip


def _done(actions: list[Action], exports: Exports, ground: Ground, wanted: Wanted, *, as_json: bool) -> int:
    from rocmdoctor.applying.steps import StepError, StoppedError

    paths = [action.do.path for action in actions if isinstance(action.do, WriteFile)]
    try:
        _apply(actions, ground)
    except (StepError, StoppedError) as error:
        if as_json:
            problem = {"code": "step-failed", "message": str(error), "where": ""}
            click.echo(envelope("env", "error", FAILED, data_of(exports), [problem]))
        else:
            click.echo(f"rocmdoctor: {error}", err=True)
        return FAILED
    if as_json:
        click.echo(envelope("env", "ok", 0, {**data_of(exports), "changed": paths}))
        return 0
    for action in actions:
        click.echo(f"done: {action.says}")
    click.echo(_closing(paths, exports, ground, wanted))
    return 0


def _apply(actions: Iterable[Action], ground: Ground) -> None:
    """Raises StepError, StoppedError."""
    from rocmdoctor.applying.changes import write_file
    from rocmdoctor.applying.steps import Context

    with tempfile.TemporaryDirectory(prefix="rocmdoctor-") as folder:
        for number, action in enumerate(actions, 1):
            if isinstance(action.do, WriteFile):
                # What is written and removed here takes itself back, so that no record of it is kept.
                context = Context(Path(folder), ground.person, number, Path(folder, "log"))
                write_file(action.do, ground.person, context)


def _closing(paths: list[str], exports: Exports, ground: Ground, wanted: Wanted) -> str:
    file = f"{ground.person.home.rstrip('/')}/{ENV_FILE}"
    if wanted.remove:
        return (
            "Shells that are open keep their variables until they end."
            if paths
            else "Nothing of rocmdoctor's is there."
        )
    if not exports.written:
        return "This machine needs no variables; 'rocmdoctor env' says why."
    return (
        f"New shells have them. For this one: . {file}"
        if paths
        else f"{file} is as it should be; nothing was changed."
    )
