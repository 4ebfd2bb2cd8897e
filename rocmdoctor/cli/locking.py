"""Locks as files: read, held against a plan, and written when an installation has come to its end."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click

from rocmdoctor.actions import Plan
from rocmdoctor.cli.errors import PlacedError
from rocmdoctor.planning.interpreter import folder as env_of
from rocmdoctor.planning.lock import BadLockError, against, built_with, lock_of, read
from rocmdoctor.planning.refusal import Refusal, RefusedError

NAME = "rocmdoctor.lock"
_SECONDS = 60.0


@dataclass(frozen=True)
class Locks:
    """Where the lock of an installation was written, "" for nowhere but its run, and what is wrong with it."""

    path: str = ""
    wrong: tuple[str, ...] = ()

    @property
    def says(self) -> list[str]:
        """The lines that tell."""
        same = f"The same on another machine: rocmdoctor install --locked {shlex.quote(self.path)}"
        return [*([same] if self.path else []), *(f"? {why}" for why in self.wrong)]


def lock_in(path: Path, option: str) -> dict[str, Any]:
    """The lock of a file. Raises UsageError, PlacedError."""
    try:
        return read(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise click.UsageError(f"{option}: {path} cannot be read: {error.strerror}") from error
    except (UnicodeDecodeError, BadLockError) as error:
        raise PlacedError(str(path), str(error)) from error


def hold(lock: Mapping[str, Any], plan: Plan, path: str, folder: str | None) -> None:
    """Raises RefusedError where a plan, or the folder that stands in for servers, is not what the lock says."""
    if found := against(lock, plan):
        raise RefusedError(
            Refusal(
                "lock-differs",
                f"what is planned here is not what {path} says: {'; '.join(found)}",
                "Write the lock anew with the release of rocmdoctor that is here, or take the release that wrote it.",
                path,
            )
        )
    if folder is None:
        return
    from rocmdoctor.applying.mirror import wrong

    if found := wrong(lock, plan, Path(folder)):
        raise RefusedError(
            Refusal(
                "mirror-folder",
                "; ".join(found),
                f"Fill it where there is a network: rocmdoctor cache fill {shlex.join([path, folder])}",
                folder,
            )
        )


def in_place(plan: Plan) -> dict[str, Any]:
    """The lock of an environment in which all is in place."""
    from rocmdoctor.applying.installed import noted

    return noted(lock_of(plan), Path(env_of(plan.request, plan.person.home)), plan.request.locked or "")


def keep_lock(plan: Plan, run: Path, wanted: str, *, done: bool) -> Locks:
    """Notes what pip installed, as the person whose environment it is; once all is done, writes the lock."""
    from rocmdoctor.applying import become, installed
    from rocmdoctor.applying.programs import ProgramError

    env = Path(env_of(plan.request, plan.person.home))
    lock = lock_of(plan)
    try:
        said = become.apart(
            lambda _tell: installed.keep(
                env, lock, wanted, plan.request.locked or "", built_with(plan), done=done
            ),
            person=plan.person,
            seconds=_SECONDS,
        )
        if done:
            installed.write(run / NAME, said["lock"])
    except (become.ChildError, become.ChildStoppedError, ProgramError, OSError) as error:
        return Locks(wrong=(f"no lock was written: {error}",))
    return Locks(said["path"], tuple(said["wrong"]))
