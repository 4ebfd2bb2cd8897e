"""`rocmdoctor pip`."""

from __future__ import annotations

import click

from rocmdoctor.cli.options import json_option


@click.group(name="pip")
def command() -> None:
    """Install with pip, and leave alone what was installed for the GPUs.

    \b
    rocmdoctor pip install trl datasets          as pip would, looked at first
    rocmdoctor pip install -n axolotl            what it would change, and who asks for that
    rocmdoctor pip install -r requirements.txt --env ~/ft
    """


@command.command("install", context_settings={"ignore_unknown_options": True})
@click.option(
    "--env",
    metavar="PATH",
    help="The Python environment to install into. Default: the active one, else rocmdoctor's own.",
)
@click.option("-n", "--dry-run", "dry_run", is_flag=True, help="Say what would be done, and do nothing.")
@json_option
@click.argument("words", nargs=-1, type=click.UNPROCESSED, metavar="[PIP'S WORDS]...", required=True)
def install(words: tuple[str, ...], env: str | None, dry_run: bool, as_json: bool) -> int:
    """Install what pip's words name, by the environment's own pip.

    pip is asked first what it would install. Where that would replace torch or what else is protected, or bring in what
    is made for CUDA, versions that go with what is there are looked for, and what is for CUDA is left out. Where there
    are none, nothing is installed (exit code 3) and who asks for what is said.

    \b
    rocmdoctor pip install trl
    rocmdoctor pip install -n 'axolotl==0.21.0'
    rocmdoctor pip install -e . --no-build-isolation
    """
    from rocmdoctor.cli.pip_install import pip_install

    return pip_install(words, env, dry_run=dry_run, as_json=as_json)
