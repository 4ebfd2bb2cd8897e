"""`rocmdoctor fix`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from rocmdoctor.cli.install_options import Wanted, planning_options
from rocmdoctor.cli.options import json_option


def complete_check(_ctx: click.Context, _param: click.Parameter, incomplete: str) -> list[Any]:
    """Checks by id."""
    from rocmdoctor.content import bundled, load_checks

    return [c.id for c in load_checks((bundled(),)).ordered() if c.id.startswith(incomplete)]


@click.command(
    name="fix",
    epilog="Exit codes: 0 nothing to fix, or all cured; 1 something still fails, with -n: something is to fix; 2 usage; 6 could "
    "not assess; 3 this machine does not fit; 4 a step failed; 5 declined; 102 done so far and a reboot is needed; 130 Ctrl-C.",
)
@click.argument("named", nargs=-1, metavar="[CHECK-ID...]", shell_complete=complete_check)
@planning_options
@click.option("--skip", "leave", multiple=True, metavar="GLOB", help="Leave these checks out.")
@click.option(
    "--snapshot",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Say what would be done on a machine saved with 'rocmdoctor collect'.",
)
@click.option(
    "--log",
    "logs",
    multiple=True,
    metavar="FILE",
    help="Cure what this log tells of, as 'explain' reads it; - is standard input. May be given several times.",
)
@click.option("-y", "--yes", is_flag=True, help="Agree to everything but removals and reboots.")
@click.option("--allow-remove", is_flag=True, help="Agree to the removals that the plan names.")
@click.option("--reboot", is_flag=True, help="Agree to reboots; the cure goes on after them by itself.")
@click.option("-n", "--dry-run", is_flag=True, help="Only show the faults and the plan.")
@json_option
def command(
    named: tuple[str, ...],
    wanted: Wanted,
    leave: tuple[str, ...],
    snapshot: Path | None,
    logs: tuple[str, ...],
    yes: bool,
    allow_remove: bool,
    reboot: bool,
    dry_run: bool,
    as_json: bool,
) -> int:
    """Cure what 'check' finds, where a recipe can, after a look at the plan and one yes.

    Takes the root causes, or the checks that are named: these may be warnings, and patterns such as 'host.*'. What no recipe
    cures is listed with what to do; nothing is carried out from such a text. Afterwards the checks are asked again, and each
    is said to be cured, or not and why. Versions that are here stay where they are not what is wrong.

    \b
    rocmdoctor fix                          all root causes
    rocmdoctor fix -n                       which they are, and what would be done
    rocmdoctor fix driver.kfd-access        one of them
    rocmdoctor fix 'host.*'                 warnings are cured when they are named
    rocmdoctor fix -y --allow-remove        without questions, for scripts
    rocmdoctor fix --log build.log          what a log tells of
    rocmdoctor fix --snapshot box.json      for a machine that is elsewhere
    """
    from rocmdoctor.cli.carrying import Consent
    from rocmdoctor.cli.fixing import fix

    if wanted.asked.locked or wanted.asked.mirror_folder or wanted.lock:
        raise click.UsageError("--lock, --locked and --mirror-folder are for 'install': a cure has no lock")
    if logs and (named or leave):
        raise click.UsageError("--log says itself what is to be cured; leave names and --skip out")
    consent = None if dry_run or snapshot is not None else Consent(yes, allow_remove, reboot)
    return fix(named, leave, wanted, snapshot, consent, logs, as_json=as_json)
