"""`rocmdoctor history`."""

from __future__ import annotations

import click

from rocmdoctor.cli.options import json_option


@click.command(name="history", epilog="Exit codes: 0 shown, 2 no such run.")
@click.argument("run", type=int, required=False)
@json_option
def command(run: int | None, as_json: bool) -> int:
    """Show what was installed on this machine, when, and how it ended.

    \b
    rocmdoctor history      every run, oldest first
    rocmdoctor history 3    one run, step by step, with its logs
    """
    from rocmdoctor.cli.continuing import show_history

    return show_history(run, as_json=as_json)
