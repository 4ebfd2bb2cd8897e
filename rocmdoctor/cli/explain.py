"""`rocmdoctor explain`."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import click

from rocmdoctor.cli.options import content_option, env_option, json_option, root_option

if TYPE_CHECKING:
    from rocmdoctor.model import Snapshot


@click.command(
    name="explain",
    epilog="Exit codes: 0 nothing failed in the text, 1 a fault is named, 2 usage or a file that cannot be read, 6 something "
    "failed that is not known here.",
)
@click.argument("logs", nargs=-1, required=True, metavar="LOG...")
@click.option(
    "--snapshot",
    type=click.Path(path_type=Path),
    help="The log is of the machine of this snapshot: its facts decide between causes.",
)
@root_option
@env_option
@click.option("--here", is_flag=True, help="The log is certainly of this machine, whatever it looks like.")
@click.option(
    "--elsewhere", is_flag=True, help="The log is of a machine that is not at hand: ask nothing of this one."
)
@content_option
@click.option(
    "--patience",
    type=click.FloatRange(0.1, 100),
    default=1.0,
    help="Stretches all time limits by this factor.",
)
@click.option("--no-color", is_flag=True, help="Plain text; NO_COLOR does the same.")
@json_option
def command(
    logs: tuple[str, ...],
    snapshot: Path | None,
    root: str | None,
    env: str | None,
    here: bool,
    elsewhere: bool,
    content: tuple[Path, ...],
    patience: float,
    no_color: bool,
    as_json: bool,
) -> int:
    """Name the fault in a log: the line that shows it, how sure it is and why, and the cure.

    LOG is a file (gz, xz and bz2 are unpacked) or - for standard input; several are read as one. Where one text has
    several causes, facts of the machine decide: this one's, unless an option names another. Reads only, changes nothing.

    \b
    rocmdoctor explain build.log
    pip install flash-attn 2>&1 | rocmdoctor explain -
    sudo dmesg | rocmdoctor explain -
    rocmdoctor explain --snapshot box.json train.log    a log and a snapshot of another machine
    rocmdoctor explain --elsewhere train.log            a log of a machine that is not at hand
    """
    given = [
        name
        for name, value in (
            ("--snapshot", snapshot),
            ("--root", root),
            ("--here", here),
            ("--elsewhere", elsewhere),
        )
        if value
    ]
    if len(given) > 1:
        raise click.UsageError(f"{' and '.join(given)} say both of which machine the log is; give one")
    if env is not None and (snapshot is not None or elsewhere):
        raise click.UsageError(
            f"--env names an environment of a machine that can be asked, and {given[0]} says it cannot"
        )
    if logs.count("-") > 1:
        raise click.UsageError("standard input can be read once; give - once")
    from rocmdoctor.cli.explaining import read_all, reader, told

    if "-" in logs and sys.stdin.isatty():
        click.echo("reading from the terminal: paste the text, then Ctrl-D", err=True)
    explainer = reader(content)
    notes = read_all(explainer, logs)
    machine = (
        f"the machine of {snapshot}" if snapshot else f"the system in {root}" if root else "this machine"
    )
    take = None if elsewhere else _taker(snapshot, root, env, patience)
    said = told(explainer, logs, take, content, machine, notes, sure=bool(given or env))
    if as_json:
        from rocmdoctor.reports.envelope import envelope

        click.echo(envelope("explain", "findings" if said.exit_code else "ok", said.exit_code, said.data()))
        return said.exit_code
    from rocmdoctor.cli.terminal import style

    width, paint = style(no_color=no_color)
    click.echo(said.text(paint, width), color=True)
    return said.exit_code


def _taker(
    snapshot: Path | None, root: str | None, env: str | None, patience: float
) -> Callable[[], Snapshot]:
    """How the machine is asked, when it comes to that. A snapshot that cannot be read is said at once."""
    if snapshot is not None:
        from rocmdoctor.cli.errors import PlacedError
        from rocmdoctor.hosts.replay import BadSnapshotError, load

        try:
            loaded = load(snapshot)
        except BadSnapshotError as error:
            raise PlacedError(error.where, str(error)) from error
        return lambda: loaded

    def take() -> Snapshot:
        from rocmdoctor.cli import asking

        with asking.patient() as progress:
            return asking.take(root or "/", patience, progress, env)

    return take
