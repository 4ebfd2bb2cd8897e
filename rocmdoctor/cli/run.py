"""`rocmdoctor run -- PROGRAM...`."""

from __future__ import annotations

from pathlib import Path

import click

from rocmdoctor.cli.options import content_option


@click.command(
    name="run",
    context_settings={"ignore_unknown_options": False, "allow_interspersed_args": False},
    epilog="Exit codes: those of the program, and its signal where one ends it; 127 it is not there, 126 it cannot be started.",
)
@click.argument("argv", nargs=-1, required=True, type=click.UNPROCESSED, metavar="-- PROGRAM [WORD...]")
@click.option(
    "--json",
    "as_json",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE",
    help="Also write the diagnosis here, as one JSON envelope.",
)
@click.option(
    "--report",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE",
    help="Write the diagnosis here, and not to standard error.",
)
@click.option("--elsewhere", is_flag=True, help="Ask nothing of this machine: the text alone decides.")
@content_option
def command(
    argv: tuple[str, ...],
    as_json: Path | None,
    report: Path | None,
    elsewhere: bool,
    content: tuple[Path, ...],
) -> int:
    """Run a program as if it were run alone, and say why when it fails.

    What it prints comes out unchanged and at once, colours and progress bars included; keys, signals and the size of the
    terminal reach it; its exit code, or the signal that ended it, becomes ours. When it succeeds nothing is added. When it
    fails the diagnosis of 'rocmdoctor explain' follows on standard error.

    \b
    rocmdoctor run -- python train.py
    rocmdoctor run -- pip install flash-attn --no-build-isolation
    rocmdoctor run --json why.json -- make -j8
    """
    from rocmdoctor.cli.passing import pass_on

    return pass_on(argv, as_json, report, content, asks=not elsewhere)
