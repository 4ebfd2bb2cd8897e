"""A tree with the states of its patches: what `patch status` shows, and `patch apply` begins with."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click

from rocmdoctor.cli.errors import PlacedError
from rocmdoctor.cli.patch import chosen, projects
from rocmdoctor.cli.patch_tree import Read, TreeError, read_tree
from rocmdoctor.model import Verdict
from rocmdoctor.patching import CONFLICT, NEEDED, Judged, Project, judge
from rocmdoctor.patching.versions import OtherProjectError
from rocmdoctor.reports.envelope import envelope
from rocmdoctor.reports.patch_text import status_data, status_page


@dataclass(frozen=True)
class Wanted:
    """What the command line asks for."""

    project: str
    tree: Path
    version: str | None
    tree_only: bool
    env: str | None
    snapshot: Path | None
    content: tuple[Path, ...]


@dataclass(frozen=True)
class Seen:
    """A tree with the states of its patches."""

    project: Project
    read: Read
    version: str
    by: str
    verdicts: Mapping[str, Verdict] | None
    given: bool
    judged: tuple[Judged, ...]

    def again(self, read: Read) -> tuple[Judged, ...]:
        """The states of the tree as it was read anew."""
        return tuple(judge(self.project, read.files, self.version, self.verdicts, given=self.given))

    def data(self) -> dict[str, Any]:
        """For JSON."""
        return {
            "project": self.project.name,
            "tree": str(self.read.top),
            "version": self.version or None,
            "version_from": self.by or None,
            "machine": self.verdicts is not None,
            "patches": status_data(self.judged),
        }


def show_status(wanted: Wanted, *, as_json: bool) -> int:
    """The states; 1 when one asks for something."""
    seen = look(wanted)
    asks = any(item.state in (NEEDED, CONFLICT) for item in seen.judged)
    if as_json:
        click.echo(envelope("patch status", "findings" if asks else "ok", int(asks), seen.data()))
    else:
        click.echo(status_page(seen.project.name, seen.version, seen.by, str(wanted.tree), seen.judged))
    return int(asks)


def look(wanted: Wanted) -> Seen:
    """Reads and judges. Raises UsageError and PlacedError."""
    project = chosen(wanted.project, projects(wanted.content))
    read = _read(project, wanted)
    version, by = _version(wanted, read)
    # Whether a machine shows a fault matters only where the tree has one.
    alone = judge(project, read.files, version, given=bool(wanted.version))
    asked = {i.patch.needed_if for i in alone if i.state in (NEEDED, CONFLICT)} - {""}
    verdicts = _verdicts(wanted, asked) if asked and not wanted.tree_only else None
    judged = judge(project, read.files, version, verdicts, given=bool(wanted.version))
    if verdicts is None and not wanted.tree_only:
        verdicts = {}
    return Seen(project, read, version, by, verdicts, bool(wanted.version), tuple(judged))


def _read(project: Project, wanted: Wanted) -> Read:
    try:
        read = read_tree(project, wanted.tree)
    except TreeError as error:
        raise PlacedError(str(wanted.tree), str(error)) from error
    except OtherProjectError as error:
        raise PlacedError(
            str(wanted.tree), f"is no tree of {project.name}: {error}; name the project that it is"
        ) from error
    for path, why in read.unreadable.items():
        raise PlacedError(f"{wanted.tree}/{path}", why)
    if not set(project.paths) & set(read.files):
        raise PlacedError(str(wanted.tree), _no_tree(project, wanted.tree))
    return read


def _no_tree(project: Project, top: Path) -> str:
    inside = [
        folder.name
        for folder in sorted(p for p in top.iterdir() if p.is_dir())[:200]
        if any((folder / path).is_file() for path in project.paths)
    ]
    hint = (
        f", did you mean {top / inside[0]}?"
        if inside
        else "; give the folder that a checkout or an sdist has at its top"
    )
    return f"is no tree of {project.name}: none of {', '.join(project.paths[:4])} is there{hint}"


def _version(wanted: Wanted, read: Read) -> tuple[str, str]:
    if wanted.version is None:
        return read.said.version, read.said.by
    from packaging.version import InvalidVersion, Version

    try:
        Version(wanted.version)
    except InvalidVersion:
        raise click.UsageError(f"--version: '{wanted.version}' is not a version such as 0.14.0") from None
    return wanted.version, "--version"


def _verdicts(wanted: Wanted, ids: set[str]) -> Mapping[str, Verdict]:
    from rocmdoctor.cli.asking import patient, take
    from rocmdoctor.cli.running import Judge
    from rocmdoctor.hosts.replay import BadSnapshotError, load
    from rocmdoctor.model import Wish

    if wanted.snapshot is not None and wanted.env is not None:
        raise click.UsageError("--env asks this machine; a snapshot holds what was asked when it was taken")
    if wanted.snapshot is not None:
        try:
            taken = load(wanted.snapshot)
        except BadSnapshotError as error:
            raise PlacedError(error.where, str(error)) from error
    else:
        with patient() as progress:
            taken = take("/", 1.0, progress, wanted.env)
    diagnosis = Judge(wanted.content, Wish()).judge(taken, ids).diagnosis
    return {verdict.id: verdict for verdict in diagnosis.verdicts}
