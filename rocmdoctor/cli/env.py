"""`rocmdoctor env`."""

from __future__ import annotations

import click

from rocmdoctor.cli.options import KNOWN_ARCH, json_option


@click.command(name="env", epilog="Exit codes: 0 printed or written, 2 usage, 4 a file cannot be written.")
@click.option(
    "--arch", type=KNOWN_ARCH, help="The gfx target that is meant; default: the discrete GPUs that are here."
)
@click.option(
    "--write", is_flag=True, help="Write ~/.config/rocmdoctor/env.sh, and a marked block that reads it."
)
@click.option("--remove", is_flag=True, help="Take both back.")
@click.option(
    "--patience",
    type=click.FloatRange(0.1, 100),
    default=1.0,
    help="Stretches all time limits by this factor.",
)
@json_option
def command(arch: str | None, write: bool, remove: bool, patience: float, as_json: bool) -> int:
    """Print the few variables that this machine needs, each with who reads it and why, and the others with why not.

    Needs no root. What is printed is shell text for sh, bash and zsh.

    \b
    rocmdoctor env                     look
    eval "$(rocmdoctor env)"           for this shell alone
    rocmdoctor env --write             for every shell from now on
    rocmdoctor env --remove            take that back
    """
    if write and remove:
        raise click.UsageError("--write and --remove are opposites; give one")
    if remove and arch:
        raise click.UsageError("--arch says what to write, and --remove writes nothing; give one")
    from rocmdoctor.cli.exporting import Wanted, export

    return export(Wanted(arch, write, remove, patience), as_json=as_json)
