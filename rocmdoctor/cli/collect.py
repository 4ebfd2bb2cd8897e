"""`rocmdoctor collect`."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from rocmdoctor.cli.options import json_option, root_option
from rocmdoctor.reports.envelope import envelope


@click.command(name="collect", epilog="Exit codes: 0 written, 2 usage or a file that cannot be written.")
@click.option(
    "-o", "--output", type=click.Path(path_type=Path, dir_okay=False), help="Write here; default is stdout."
)
@root_option
@click.option("--list", "listing", is_flag=True, help="Print every question and template, ask nothing.")
@click.option(
    "--patience",
    type=click.FloatRange(0.1, 100),
    default=1.0,
    help="Stretches all time limits by this factor.",
)
@json_option
def command(output: Path | None, root: str | None, listing: bool, patience: float, as_json: bool) -> int:
    """Save what can be asked of this machine, raw, to be judged elsewhere.

    Changes nothing. No secret enters: shell and package files are read through patterns, credentials in URLs are cut.

    \b
    rocmdoctor collect -o box.json      then: rocmdoctor check --snapshot box.json
    rocmdoctor collect --list           what would be read and run
    ./run collect > box.json            the same on a machine that has only python3
    """
    from rocmdoctor.cli.asking import patient, take
    from rocmdoctor.hosts.replay import dumps, save

    if listing:
        questions = listed()
        click.echo(
            envelope("collect", "ok", 0, {"questions": questions}) if as_json else "\n".join(questions)
        )
        return 0
    with patient() as progress:
        taken = take(root or "/", patience, progress)
    if output is None:
        if as_json:
            click.echo(envelope("collect", "ok", 0, {"snapshot": taken.raw}))
        else:
            sys.stdout.write(dumps(taken.raw))
        return 0
    try:
        save(output, taken.raw)
    except OSError as error:
        raise click.UsageError(f"-o: {output} cannot be written: {error.strerror}") from error
    said = f"{len(taken.answers)} answers written to {output}; judge them with: rocmdoctor check --snapshot {output}"
    click.echo(envelope("collect", "ok", 0, {"path": str(output)}) if as_json else said, err=not as_json)
    return 0


def listed() -> list[str]:
    """Every question of the first pass, and what the second may add."""
    from rocmdoctor.asking import distinct, keys
    from rocmdoctor.facts import all_facts
    from rocmdoctor.facts.base import first_questions

    facts = all_facts()
    lines = [key for query in distinct(first_questions(facts)) for key in keys(query)]
    templates = [template for fact in facts for template in fact.templates]
    return [*sorted(set(lines)), *(f"then {t}" for t in sorted(set(templates)))]
