"""`rocmdoctor undo`."""

from __future__ import annotations

import click

from rocmdoctor.cli.options import json_option


@click.command(
    name="undo",
    epilog="Exit codes: 0 taken back, 2 no such run, 4 a step failed, 5 declined, 130 Ctrl-C.",
)
@click.argument("run", type=int, required=False)
@click.option("-y", "--yes", is_flag=True, help="Do not ask.")
@click.option("--force", is_flag=True, help="Also restore files that somebody changed since.")
@json_option
def command(run: int | None, yes: bool, force: bool, as_json: bool) -> int:
    """Take an installation back: its packages go, its files become what they were.

    Only what that run did is taken back, its last step first. What cannot be taken back is named.

    \b
    rocmdoctor undo         the newest run
    rocmdoctor undo 3       a run by its number; 'rocmdoctor history' shows them
    """
    from rocmdoctor.cli.continuing import undo

    return undo(run, yes=yes, force=force, as_json=as_json)
