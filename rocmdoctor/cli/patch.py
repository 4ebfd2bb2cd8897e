"""`rocmdoctor patch`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from rocmdoctor.cli.errors import PlacedError
from rocmdoctor.cli.options import content_option, env_option, json_option
from rocmdoctor.reports.envelope import envelope

if TYPE_CHECKING:
    from rocmdoctor.patching import Project


@click.group(name="patch")
def command() -> None:
    """Say which patches a source tree needs here, and apply them. Needs no root.

    \b
    rocmdoctor patch list                       all patches, and for which versions they are
    rocmdoctor patch status deepspeed SOURCES   what a checkout, an sdist or an installed DeepSpeed needs
    rocmdoctor patch apply deepspeed SOURCES    apply that
    """


def projects(content: tuple[Path, ...]) -> dict[str, Project]:
    """Those of this release and of one's own content. Raises PlacedError with the first thing that is wrong."""
    from rocmdoctor.content import ContentError, bundled, load_checks, load_patches, own_folders
    from rocmdoctor.patching import BadPatchError

    folders = (bundled(), *own_folders(content))
    try:
        return load_patches(folders, {item.id for item in load_checks(folders).ordered()})
    except ContentError as error:
        raise PlacedError(error.where, str(error)) from error
    except BadPatchError as error:
        raise PlacedError(error.where, error.message) from error


def complete_project(_ctx: click.Context, _param: click.Parameter, incomplete: str) -> list[str]:
    """Projects that have patches."""
    return [name for name in projects(()) if name.startswith(incomplete)]


def complete_id(ctx: click.Context, _param: click.Parameter, incomplete: str) -> list[str]:
    """Patches of the project that was typed."""
    project = projects(()).get(str(ctx.params.get("project", "")))
    return [p.id for p in project.patches if p.id.startswith(incomplete)] if project else []


_project = click.argument("project", metavar="PROJECT", shell_complete=complete_project)
_tree = click.argument("tree", metavar="TREE", type=click.Path(path_type=Path))
_version = click.option(
    "--version", "version", metavar="V", help="Take the tree for this version, whatever it calls itself."
)
_tree_only = click.option(
    "--tree-only", is_flag=True, help="Judge the tree alone; leave out whether this machine shows the fault."
)
_snapshot = click.option(
    "--snapshot",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Judge for a machine saved with 'rocmdoctor collect'.",
)


@command.command("list", epilog="Exit codes: 0, or 2 when a patch file is wrong.")
@click.argument("project", metavar="[PROJECT]", required=False, shell_complete=complete_project)
@content_option
@json_option
def list_(project: str | None, content: tuple[Path, ...], as_json: bool) -> int:
    """All patches: their versions, the check that makes them needed, and the releases that are not patched.

    \b
    rocmdoctor patch list
    rocmdoctor patch list deepspeed
    """
    from rocmdoctor.reports.patch_text import list_data, list_page, refused_data

    known = projects(content)
    if project is not None:
        known = {project: chosen(project, known)}
    if as_json:
        data = {"patches": list_data(known), "refused": refused_data(known)}
        click.echo(envelope("patch list", "ok", 0, data))
    else:
        click.echo(list_page(known))
    return 0


def chosen(name: str, known: dict[str, Project]) -> Project:
    """The project of this name. Raises UsageError with did-you-mean."""
    import difflib

    if name in known:
        return known[name]
    near = difflib.get_close_matches(name.lower(), known, n=1, cutoff=0.5)
    hint = f", did you mean '{near[0]}'?" if near else f"; there are patches for {', '.join(known)}"
    raise click.UsageError(f"there is no patch for '{name}'{hint}")


@command.command(
    "status",
    epilog="Exit codes: 0 nothing to apply, 1 a patch is needed or something stands in its way, 2 usage. Changes nothing.",
)
@_project
@_tree
@_version
@_tree_only
@env_option
@_snapshot
@content_option
@json_option
def status(as_json: bool, **given: Any) -> int:
    """Say of each patch whether a tree needs it: a git checkout, an unpacked sdist, or the folder it is installed in.

    It counts what the sources say, not whether the patch would fit.

    \b
    rocmdoctor patch status deepspeed ~/DeepSpeed
    rocmdoctor patch status axolotl axolotl-0.16.1 --tree-only   whatever this machine is
    rocmdoctor patch status deepspeed ~/venv/lib/python3.11/site-packages --env ~/venv
    rocmdoctor patch status deepspeed . --version 0.14.0 --json
    """
    from rocmdoctor.cli.patch_seen import Wanted, show_status

    return show_status(Wanted(**given), as_json=as_json)


@command.command(
    "apply",
    epilog="Exit codes: 0 applied or nothing to apply, 2 usage, 4 something stands in the way and nothing was changed.",
)
@_project
@_tree
@click.argument("ids", nargs=-1, metavar="[ID...]", shell_complete=complete_id)
@click.option(
    "-n", "--dry-run", is_flag=True, help="Say what would be applied, and whether git would; change nothing."
)
@_version
@_tree_only
@env_option
@_snapshot
@content_option
@json_option
def apply(ids: tuple[str, ...], dry_run: bool, as_json: bool, **given: Any) -> int:
    """Apply the patches that a tree needs, each wholly or not at all.

    Without an ID those that 'patch status' calls needed. One that is named is applied although this machine does without;
    its number is enough. A second time nothing is left to do. 'git diff' shows, 'git checkout' takes back.

    \b
    rocmdoctor patch apply deepspeed ~/DeepSpeed -n       what would be done
    rocmdoctor patch apply deepspeed ~/DeepSpeed
    rocmdoctor patch apply axolotl ~/axolotl 0001 0005
    """
    from rocmdoctor.cli.patch_apply import apply_wanted
    from rocmdoctor.cli.patch_seen import Wanted

    return apply_wanted(Wanted(**given), ids, dry_run=dry_run, as_json=as_json)
