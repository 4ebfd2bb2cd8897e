"""`rocmdoctor check`."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import click

from rocmdoctor.cli.errors import PlacedError
from rocmdoctor.cli.options import KNOWN_ARCH, deep_option, env_option, json_option, root_option

if TYPE_CHECKING:
    from rocmdoctor.cli.running import Judge
    from rocmdoctor.model import Snapshot


@click.command(
    name="check",
    epilog="Exit codes: 0 fine or nothing installed yet, 1 a check failed, 2 usage or unreadable snapshot, 6 could not "
    "assess. Warnings never change the code.",
)
@click.option(
    "--snapshot",
    "snapshot",
    type=click.Path(path_type=Path),
    help="Judge a saved snapshot, or every *.json in a folder.",
)
@root_option
@env_option
@deep_option
@click.option(
    "--for", "level", type=click.Choice(["driver", "rocm", "torch", "training"]), help="What must be there."
)
@click.option("--arch", type=KNOWN_ARCH, help="The gfx target that must be there, such as gfx90a.")
@click.option(
    "--only", multiple=True, metavar="GLOB", help="Report only these checks; others still explain them."
)
@click.option("--skip", "leave", multiple=True, metavar="GLOB", help="Leave these checks out.")
@click.option(
    "--jobs", type=click.IntRange(1, 256), default=None, help="Processes for a folder of snapshots."
)
@click.option(
    "--content", type=click.Path(path_type=Path), multiple=True, help="A folder with checks/ of your own."
)
@click.option(
    "--patience",
    type=click.FloatRange(0.1, 100),
    default=1.0,
    help="Stretches all time limits by this factor.",
)
@click.option(
    "-v", "--verbose", count=True, help="-v: evidence of every check; -vv: every question with its time."
)
@click.option("-q", "--quiet", is_flag=True, help="Only what is wrong.")
@click.option("--no-color", is_flag=True, help="Plain text; NO_COLOR does the same.")
@click.option(
    "--format",
    "form",
    type=click.Choice(["text", "json", "markdown"]),
    default="text",
    help="json is --json; markdown is for an issue or a forum, with names and addresses masked.",
)
@json_option
def command(
    snapshot: Path | None,
    root: str | None,
    env: str | None,
    deep: bool,
    level: str | None,
    arch: str | None,
    only: tuple[str, ...],
    leave: tuple[str, ...],
    jobs: int | None,
    content: tuple[Path, ...],
    patience: float,
    verbose: int,
    quiet: bool,
    no_color: bool,
    form: str,
    as_json: bool,
) -> int:
    """Say how far this machine is from fine-tuning, what is wrong first, and what cures it.

    Reads only, changes nothing, needs no root.

    \b
    rocmdoctor check                            this machine
    rocmdoctor check --for rocm                 fails when ROCm is not there
    rocmdoctor check --only 'driver.*' -v       some checks, with their evidence
    rocmdoctor check --snapshot box.json        a machine saved with 'rocmdoctor collect'
    rocmdoctor check --root /mnt                a mounted disk image
    rocmdoctor check --env ~/venv --deep        a Python environment, and whether its torch runs
    rocmdoctor check --format markdown          a page to post in an issue
    """
    if snapshot is not None and root is not None:
        raise click.UsageError("--snapshot and --root both say where to look; give one")
    if snapshot is not None and (env is not None or deep):
        raise click.UsageError(
            "--env and --deep ask a machine; a snapshot holds what was asked when it was taken"
        )
    if root is not None and deep:
        raise click.UsageError("--deep starts a Python; nothing is started in a tree that --root names")
    if as_json and form == "markdown":
        raise click.UsageError("--json and --format markdown are two formats; give one")
    as_json = as_json or form == "json"
    from rocmdoctor.cli.running import Judge, select
    from rocmdoctor.model import Wish

    judge = Judge(content, Wish(level=level, arch=arch))
    chosen = select(judge.checks, only, leave)
    if snapshot is not None and os.path.isdir(snapshot):  # noqa: PTH112 - never raises
        return _folder(judge, snapshot, chosen, jobs, as_json=as_json)
    if jobs is not None:
        raise click.UsageError("--jobs is for a folder of snapshots: give one with --snapshot DIR")
    taken = _loaded(snapshot) if snapshot is not None else _taken(root, patience, env, deep=deep)
    if form == "markdown":
        return _markdown(judge, taken, chosen)
    outcome = judge.judge(taken, chosen)
    if as_json:
        click.echo(outcome.envelope())
    else:
        from rocmdoctor.cli.terminal import style
        from rocmdoctor.reports.text import report

        width, paint = style(no_color=no_color)
        page = report(outcome.diagnosis, outcome.known, taken, paint, width, verbose, quiet=quiet)
        # The page is painted for this terminal already; click would strip the colours from a pipe.
        click.echo(page, color=True)
    return outcome.diagnosis.exit_code


def _markdown(judge: Judge, taken: Snapshot, chosen: set[str]) -> int:
    """The page is made to be posted, so it is made from a masked snapshot."""
    from rocmdoctor.hosts.replay import from_raw
    from rocmdoctor.reports.markdown import markdown
    from rocmdoctor.reports.sharing import share

    masked = from_raw(share(taken.raw))
    outcome = judge.judge(masked, chosen)
    click.echo(markdown(outcome.diagnosis, outcome.known, masked), nl=False)
    return outcome.diagnosis.exit_code


def _loaded(snapshot: Path) -> Snapshot:
    from rocmdoctor.hosts.replay import BadSnapshotError, load

    try:
        return load(snapshot)
    except BadSnapshotError as error:
        raise PlacedError(error.where, str(error)) from error


def _taken(root: str | None, patience: float, env: str | None, *, deep: bool) -> Snapshot:
    from rocmdoctor.cli.asking import patient, take

    with patient() as progress:
        return take(root or "/", patience, progress, env, deep=deep)


def _folder(judge: Judge, folder: Path, chosen: set[str], jobs: int | None, *, as_json: bool) -> int:
    from rocmdoctor.cli.running import judge_files
    from rocmdoctor.reports.text import summary

    files = sorted(folder.glob("*.json"))
    if not files:
        raise click.UsageError(f"--snapshot: {folder} holds no *.json file")
    worst = 0
    for path, line, code in judge_files(judge, files, chosen, jobs or os.cpu_count() or 1):
        worst = max(worst, code, key=_severity)
        click.echo(line if as_json else f"{path.name}: {summary(line)}")
    return worst


def _severity(code: int) -> int:
    return {0: 0, 6: 1, 1: 2, 2: 3}.get(code, 4)
