"""`rocmdoctor list`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from rocmdoctor.cli.options import KNOWN_ARCH, content_option, json_option
from rocmdoctor.reports.envelope import envelope


@click.group(name="list", invoke_without_command=False)
def command() -> None:
    """Show what this release knows.

    \b
    rocmdoctor list checks           every check, its fault and what it waits for
    rocmdoctor list gpus gfx90a      GPUs by product, target or device id
    rocmdoctor list recipes          what can be installed
    rocmdoctor list stacks           recipes that belong together, and what fits here
    rocmdoctor list compat           which versions go with which GPU and system
    rocmdoctor list operations       what a step of a recipe can do
    """


def _show(what: str, rows: list[dict[str, Any]], columns: dict[str, str], *, as_json: bool) -> None:
    if as_json:
        click.echo(envelope("list", "ok", 0, {what: rows}))
        return
    from rich import box
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    console = Console(highlight=False)
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for number, title in enumerate(columns.values()):
        table.add_column(title, overflow="fold", no_wrap=number == 0)
    for row in rows:
        table.add_row(*(escape(str(row[name] if row[name] is not None else "")) for name in columns))
    console.print(table)


@command.command("checks")
@json_option
@click.argument("pattern", default="*", metavar="[GLOB]")
def checks(pattern: str, as_json: bool) -> int:
    """Every check: what it states, its fault, what it waits for.

    \b
    rocmdoctor list checks 'driver.*'
    """
    from rocmdoctor.cli.running import Judge, select
    from rocmdoctor.model import Wish

    judge = Judge((), Wish())
    chosen = select(judge.checks, (pattern,), ())
    rows = [
        {
            "id": item.id,
            "title": item.title,
            "fault": item.fault,
            "rung": item.rung,
            "required": item.required,
            "after": list(item.after),
            "explained_by": list(item.explained_by),
        }
        for item in sorted(judge.checks, key=lambda c: c.id)
        if item.id in chosen
    ]
    _show("checks", rows, {"id": "check", "title": "healthy when", "fault": "fault"}, as_json=as_json)
    return 0


@command.command("gpus")
@json_option
@click.argument("wanted", default="", metavar="[WORDS]")
def gpus(wanted: str, as_json: bool) -> int:
    """GPUs that are recognised, by product, gfx target or PCI device id.

    \b
    rocmdoctor list gpus MI210
    rocmdoctor list gpus gfx1100
    rocmdoctor list gpus 744c
    """
    from rocmdoctor.content import DataTables, bundled
    from rocmdoctor.facts.gpus import GpuTable

    table = DataTables(bundled())(GpuTable)
    rows = []
    for device, model in table.models.items():
        target = table.targets.get(model.gfx)
        for name in dict.fromkeys(model.names.values()):
            revisions = [r for r, n in model.names.items() if n == name and r]
            rows.append(
                {
                    "gfx": model.gfx,
                    "name": name,
                    "device": f"1002:{device}",
                    "revisions": revisions,
                    "family": target.family if target else None,
                    "official": target.official if target else False,
                }
            )
    words = wanted.lower().split()
    rows = [row for row in rows if all(any(w in str(v).lower() for v in row.values()) for w in words)]
    rows.sort(key=lambda row: (str(row["gfx"]), str(row["name"])))
    if not rows:
        raise click.UsageError(
            f"no GPU matches '{wanted}'; give part of a product, a gfx target or a device id"
        )
    for row in rows:
        row["revision"] = " ".join(row["revisions"][:6]) + (" ..." if len(row["revisions"]) > 6 else "")
    columns = {
        "gfx": "target",
        "name": "product",
        "device": "PCI id",
        "revision": "revisions",
        "family": "family",
    }
    _show("gpus", rows, columns, as_json=as_json)
    return 0


@command.command("recipes")
@content_option
@json_option
def recipes(content: tuple[Path, ...], as_json: bool) -> int:
    """What can be installed, with the versions that there are.

    \b
    rocmdoctor list recipes
    rocmdoctor recipe show rocm     one of them, in full
    """
    from rocmdoctor.cli.recipe import recipes as all_recipes

    rows = [
        {
            "id": recipe.id,
            "title": recipe.title,
            "releases": [release.version for release in recipe.releases],
            "after": list(recipe.after),
            "path": recipe.path,
        }
        for recipe in all_recipes(content).recipes.values()
    ]
    if not as_json:
        rows = [{**row, "releases": " ".join(row["releases"])} for row in rows]
    _show(
        "recipes",
        rows,
        {"id": "recipe", "title": "what is there afterwards", "releases": "releases"},
        as_json=as_json,
    )
    return 0


@command.command("stacks")
@click.option("--arch", type=KNOWN_ARCH, help="The gfx target; default: the discrete GPUs that are here.")
@click.option(
    "--snapshot",
    type=click.Path(path_type=Path, dir_okay=False),
    help="A machine saved with 'rocmdoctor collect'.",
)
@content_option
@json_option
def stacks(arch: str | None, snapshot: Path | None, content: tuple[Path, ...], as_json: bool) -> int:
    """Recipes that belong together, under one name, and which versions of them fit here.

    \b
    rocmdoctor list stacks
    rocmdoctor list stacks --arch gfx90a
    """
    from rocmdoctor.cli.fitting import stacks_here

    rows = stacks_here(content, arch, snapshot)
    if not as_json:
        rows = [{**row, "default": "default" if row["default"] else "", "here": _here(row)} for row in rows]
    columns = {"id": "stack", "title": "what is there afterwards", "here": "here", "default": ""}
    _show("stacks", rows, columns, as_json=as_json)
    return 0


def _here(row: dict[str, Any]) -> str:
    said = [f"{name} {version}" for name, version in row["versions"].items()]
    out = [f"without {name}" for name in row["left_out"]]
    return row["why"] or ", ".join([*said, *out])


@command.command("compat")
@click.option("--arch", type=KNOWN_ARCH, help="One gfx target; default: all that ROCm supports.")
@click.option(
    "--os",
    "system",
    metavar="GLOB",
    help="Systems such as 'debian-13' or 'ubuntu-*'; default: all that recipes name.",
)
@click.option("--stack", default="training", help="The stack that is looked at.")
@content_option
@json_option
def compat(arch: str | None, system: str | None, stack: str, content: tuple[Path, ...], as_json: bool) -> int:
    """Which versions would be chosen, by GPU and system. The driver and Python are taken to be right.

    \b
    rocmdoctor list compat
    rocmdoctor list compat --arch gfx90a
    rocmdoctor list compat --os 'ubuntu-*' --json
    """
    from rocmdoctor.cli.fitting import matrix, table

    rows = matrix(content, arch, system, stack)
    columns = {
        "os": "system",
        "rocm": "ROCm",
        "torch": "torch",
        "bitsandbytes": "bitsandbytes",
        "flash-attention": "flash-attention",
        "deepspeed": "DeepSpeed",
        "gfx": "targets",
    }
    _show("compat", rows if as_json else table(rows), columns, as_json=as_json)
    return 0


@command.command("operations")
@json_option
def operations(as_json: bool) -> int:
    """What a step of a recipe can do; the reference page tells their arguments.

    \b
    rocmdoctor list operations
    """
    from rocmdoctor.ops import all_operations

    rows = [
        {"name": item.name, "says": item.says, "arguments": list(item.parameters)}
        for item in all_operations().values()
    ]
    if not as_json:
        rows = [{**row, "arguments": " ".join(row["arguments"])} for row in rows]
    columns = {"name": "operation", "says": "what it does", "arguments": "arguments"}
    _show("operations", rows, columns, as_json=as_json)
    return 0
