"""From the options `--snapshot` and `--root` to a snapshot, with progress when it takes long."""

from __future__ import annotations

from collections.abc import Callable

import click

from rocmdoctor.cli import taking
from rocmdoctor.cli.taking import patient
from rocmdoctor.model import Snapshot

__all__ = ["patient", "take"]


def take(
    root: str = "/",
    patience: float = 1.0,
    progress: Callable[[str], None] | None = None,
    env: str | None = None,
    *,
    deep: bool = False,
    trial: taking.Trial | None = None,
) -> Snapshot:
    """As `taking.take`, with click's error for a wrong option."""
    try:
        return taking.take(root, patience, progress, env, deep=deep, trial=trial)
    except taking.WrongUseError as error:
        raise click.UsageError(str(error)) from error
