"""`rocmdoctor install`."""

from __future__ import annotations

import click

from rocmdoctor.cli.install_options import Wanted, complete_target, planning_options
from rocmdoctor.cli.options import json_option


@click.command(
    name="install",
    epilog="Exit codes: 0 done and verified, 1 done and a check failed, 2 usage or bad recipe, 3 this machine does not fit, "
    "4 a step failed, 5 declined, 102 done so far and a reboot is needed, 130 Ctrl-C.",
)
@click.argument("targets", nargs=-1, metavar="[TARGET...|FILE]", shell_complete=complete_target)
@planning_options
@click.option("-y", "--yes", is_flag=True, help="Agree to everything but removals and reboots.")
@click.option("--allow-remove", is_flag=True, help="Agree to the removals that the plan names.")
@click.option(
    "--reboot", is_flag=True, help="Agree to reboots; the installation goes on after them by itself."
)
@click.option("-n", "--dry-run", is_flag=True, help="Only show the plan; the same as 'rocmdoctor plan'.")
@json_option
def command(
    targets: tuple[str, ...],
    wanted: Wanted,
    yes: bool,
    allow_remove: bool,
    reboot: bool,
    dry_run: bool,
    as_json: bool,
) -> int:
    """Install what a recipe or stack says, after a look at the plan and one yes.

    A run that was interrupted, by Ctrl-C, a failure, a reboot or a power cut, goes on with 'rocmdoctor resume', and is
    taken back with 'rocmdoctor undo'.

    \b
    rocmdoctor install base                      for the GPU that is here
    rocmdoctor install base --arch gfx90a        for an MI210
    rocmdoctor install base.json                 a plan made with 'rocmdoctor plan -o base.json'
    rocmdoctor install base -y --reboot          without questions, for scripts
    rocmdoctor install shell-env                 one recipe; 'rocmdoctor list recipes' shows them
    """
    from rocmdoctor.cli.carrying import Consent
    from rocmdoctor.cli.installing import install, show_plan

    if dry_run:
        return show_plan(targets, wanted, None, None, None, as_json=as_json)
    return install(targets, wanted, Consent(yes, allow_remove, reboot), as_json=as_json)
