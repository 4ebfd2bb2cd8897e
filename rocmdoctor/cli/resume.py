"""`rocmdoctor resume`."""

from __future__ import annotations

import click

from rocmdoctor.cli.options import json_option


@click.command(
    name="resume", epilog="Exit codes: those of 'rocmdoctor install'; 2 when there is nothing to go on with."
)
@click.argument("run", type=int, required=False)
@click.option("--reboot", is_flag=True, help="Agree to reboots from here on.")
@json_option
def command(run: int | None, reboot: bool, as_json: bool) -> int:
    """Go on with an installation that was interrupted.

    What is done is not done again; a step that was cut off is mended and repeated.

    \b
    rocmdoctor resume       the newest run that has not ended
    rocmdoctor resume 3     a run by its number; 'rocmdoctor history' shows them
    """
    from rocmdoctor.cli.continuing import resume

    return resume(run, reboot=reboot, as_json=as_json)
