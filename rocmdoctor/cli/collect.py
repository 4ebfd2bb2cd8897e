"""`rocmdoctor collect`."""

from __future__ import annotations

from pathlib import Path

import click

from rocmdoctor.cli.options import deep_option, env_option, json_option, root_option


@click.command(name="collect", epilog="Exit codes: 0 written, 2 usage or a file that cannot be written.")
@click.option(
    "-o", "--output", type=click.Path(path_type=Path, dir_okay=False), help="Write here; default is stdout."
)
@root_option
@env_option
@deep_option
@click.option("--list", "listing", is_flag=True, help="Print every question and template, ask nothing.")
@click.option(
    "--patience",
    type=click.FloatRange(0.1, 100),
    default=1.0,
    help="Stretches all time limits by this factor.",
)
@click.option(
    "--share",
    "shared",
    is_flag=True,
    help="Mask names, home folders, addresses and serial numbers; checks say the same.",
)
@json_option
def command(
    output: Path | None,
    root: str | None,
    env: str | None,
    deep: bool,
    listing: bool,
    patience: float,
    shared: bool,
    as_json: bool,
) -> int:
    """Save what can be asked of this machine, raw, to be judged elsewhere.

    Changes nothing. No secret enters: shell and package files are read through patterns, credentials in URLs are cut.

    \b
    rocmdoctor collect -o box.json      then: rocmdoctor check --snapshot box.json
    rocmdoctor collect --share -o box.json   the same for strangers: who and where is masked
    rocmdoctor collect --list           what would be read and run
    ./run collect > box.json            the same on a machine that has only python3
    """
    if root is not None and deep:
        raise click.UsageError("--deep starts a Python; nothing is started in a tree that --root names")
    from rocmdoctor.cli import taking

    if listing:
        return taking.show_list(as_json=as_json)
    try:
        return taking.collect(output, root, patience, env, as_json=as_json, shared=shared, deep=deep)
    except taking.WrongUseError as error:
        raise click.UsageError(str(error)) from error
