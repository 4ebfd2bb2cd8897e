"""`rocmdoctor plan`: what `install` would do, and nothing else."""

from __future__ import annotations

from pathlib import Path

import click

from rocmdoctor.cli.install_options import Wanted, complete_target, planning_options
from rocmdoctor.cli.options import json_option, root_option


@click.command(
    name="plan",
    epilog="Exit codes: 0 planned, 2 usage, bad recipe or snapshot, 3 this machine does not fit. Changes nothing.",
)
@click.argument("targets", nargs=-1, metavar="[TARGET...]", shell_complete=complete_target)
@planning_options
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Also write the plan here, to be installed later.",
)
@click.option(
    "--snapshot",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Plan for a machine saved with 'rocmdoctor collect'.",
)
@root_option
@json_option
def command(
    targets: tuple[str, ...],
    wanted: Wanted,
    output: Path | None,
    snapshot: Path | None,
    root: str | None,
    as_json: bool,
) -> int:
    """Show what `install` would do: steps, versions, removals, sizes, reboots.

    \b
    rocmdoctor plan base                        driver access, ROCm, settings and exports for the GPU here
    rocmdoctor plan base --arch gfx90a          for an MI210, whether or not one is here
    rocmdoctor plan base -o base.json           to review; then: rocmdoctor install base.json
    rocmdoctor plan rocm -v                     with every command and file
    rocmdoctor plan base --snapshot box.json --arch gfx90a
    """
    if snapshot is not None and root is not None:
        raise click.UsageError("--snapshot and --root both say where to look; give one")
    from rocmdoctor.cli.installing import show_plan

    return show_plan(targets, wanted, output, snapshot, root, as_json=as_json)
