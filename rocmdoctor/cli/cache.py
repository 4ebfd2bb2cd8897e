"""`rocmdoctor cache`."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from rocmdoctor.cli import cache_fill
from rocmdoctor.cli.options import json_option
from rocmdoctor.reports.envelope import envelope

if TYPE_CHECKING:
    from rocmdoctor.applying.wheel_moves import Goes, Kept

_UNITS = {"": 1, "K": 1000, "M": 1000**2, "G": 1000**3, "T": 1000**4}
_FAILED = 4


@click.group(name="cache", invoke_without_command=False)
def command() -> None:
    """Show, clear away and carry to other machines what was built from source here.

    A wheel is kept under a key of everything that shaped it: its source, patches, variables, GPU targets, Python,
    compilers and C library. So one machine builds for all that are alike.

    \b
    rocmdoctor cache list                     what is kept, for which GPUs, how large
    rocmdoctor cache gc -n                    what clearing away would remove
    rocmdoctor cache gc --older-than 90       wheels that nothing used for so many days
    rocmdoctor cache export wheels.tar        for another machine
    rocmdoctor cache import wheels.tar        there
    rocmdoctor cache fill rocmdoctor.lock DIR everything that a lock names, for a machine without network
    """


def _cache() -> Path:
    base = os.environ.get("XDG_CACHE_HOME", "")
    # The XDG specification: a relative path is to be ignored.
    return (Path(base) if base.startswith("/") else Path("~/.cache").expanduser()) / "rocmdoctor"


class Size(click.ParamType):  # type: ignore[type-arg]
    """Bytes, as `500M` or `20G`."""

    name = "size"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        """A number of bytes."""
        found = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([KMGT]?)B?", str(value).strip(), re.IGNORECASE)
        if found is None:
            self.fail(f"'{value}' is no size; write it as 500M or 20G", param, ctx)
        return int(float(found.group(1)) * _UNITS[found.group(2).upper()])


@command.command("list", epilog="Exit codes: 0 shown, 1 an entry is damaged, 4 the cache cannot be read.")
@click.option("--verify", is_flag=True, help="Compare each wheel with its digest; reads all of them.")
@json_option
def list_(verify: bool, as_json: bool) -> int:
    """The wheels that are kept: for which GPUs and Python, how large, how long unused.

    \b
    rocmdoctor cache list
    rocmdoctor cache list --verify
    """
    from rocmdoctor.applying.wheel_moves import kept

    cache = _cache()
    try:
        found = kept(cache, verify=verify)
    except OSError as error:
        return _failed("list", error, as_json=as_json)
    wrong = [item.wrong for item in found if item.wrong]
    code = 1 if wrong else 0
    if as_json:
        data = {"cache": str(cache), "bytes": sum(k.size for k in found), "wheels": [_data(k) for k in found]}
        errors = [{"code": "damaged", "message": text, "where": ""} for text in wrong]
        click.echo(envelope("cache", "findings" if wrong else "ok", code, data, errors))
        return code
    _table(found, cache)
    for text in wrong:
        click.echo(f"✗ {text}; 'rocmdoctor cache gc' clears it away", err=True)
    return code


def _data(item: Kept) -> dict[str, Any]:
    entry = item.entry
    if entry is None:
        return {"key": item.folder.name, "bytes": item.size, "wrong": item.wrong}
    return {
        "key": entry.key,
        "name": entry.name,
        "version": entry.version,
        "gfx": entry.gfx,
        "python": entry.parts.get("python"),
        "tag": entry.parts.get("tag"),
        "wheel": str(item.folder / entry.wheel),
        "sha256": entry.sha256,
        "bytes": item.size,
        "made_at": entry.made,
        "used_at": item.used,
        "seconds": entry.seconds,
        "wrong": item.wrong,
    }


def _table(found: list[Kept], cache: Path) -> None:
    import time

    from rich import box
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    if not found:
        click.echo(f"{cache / 'wheels'} holds no wheel; those that are built from source are kept there.")
        return
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for number, title in enumerate(("key", "wheel", "for", "Python", "size", "unused for", "built in")):
        table.add_column(title, overflow="fold", no_wrap=number == 0)
    for item in found:
        age = f"{(time.time() - item.used) / 86_400:.0f} days"
        entry = item.entry
        row = [item.folder.name[:12], "damaged", "", "", _megabytes(item.size), age, ""]
        if entry is not None:
            what, goal = f"{entry.name} {entry.version}", " ".join(entry.gfx) or "no GPU"
            python, took = str(entry.parts.get("python", "")), f"{entry.seconds:.0f} s"
            row = [item.folder.name[:12], what, goal, python, _megabytes(item.size), age, took]
        table.add_row(*map(escape, row))
    Console(highlight=False).print(table)
    click.echo(f"{len(found)} in {cache / 'wheels'}, {_megabytes(sum(k.size for k in found))}")


def _megabytes(size: int) -> str:
    return f"{size / 1e9:.1f} GB" if size >= 1e9 else f"{size / 1e6:.1f} MB"


@command.command("gc", epilog="Exit codes: 0 done, 2 usage, 4 something could not be removed.")
@click.option("--older-than", type=click.FloatRange(0), metavar="DAYS", help="Wheels unused for longer.")
@click.option("--max-size", type=Size(), help="The least lately used, until no more than this is left.")
@click.option(
    "--sources", is_flag=True, help="Sources and downloads too; they are fetched again when wanted."
)
@click.option("-n", "--dry-run", is_flag=True, help="Show what would go, and remove nothing.")
@json_option
def gc(older_than: float | None, max_size: int | None, sources: bool, dry_run: bool, as_json: bool) -> int:
    """Clear away what is damaged or was left half, and wheels by age and size where that is asked for.

    Builds that are running are left alone.

    \b
    rocmdoctor cache gc                        what is damaged or half
    rocmdoctor cache gc --older-than 90 -n     look first
    rocmdoctor cache gc --max-size 20G --sources
    """
    import time

    from rocmdoctor.applying.wheel_moves import goes, remove

    try:
        found = goes(_cache(), time.time(), older=older_than, most=max_size, sources=sources)
        for item in () if dry_run else found:
            remove(item)
    except OSError as error:
        return _failed("gc", error, as_json=as_json)
    if as_json:
        rows = [{"path": str(g.path), "bytes": g.size, "why": g.why} for g in found]
        data = {"removed": not dry_run, "bytes": sum(g.size for g in found), "items": rows}
        click.echo(envelope("cache", "ok", 0, data))
        return 0
    _show_gone(found, dry_run)
    return 0


def _show_gone(found: list[Goes], dry_run: bool) -> None:
    word = "would go" if dry_run else "removed"
    for item in found:
        click.echo(f"{word}: {item.path}  {_megabytes(item.size)}  ({item.why})")
    total = _megabytes(sum(g.size for g in found))
    click.echo(f"{len(found)} {word}, {total}" if found else "Nothing to clear away.")


@command.command(
    "export", epilog="Exit codes: 0 written, 2 usage, 4 it cannot be written, or a wheel is damaged."
)
@click.argument("target", type=click.Path(path_type=Path), metavar="DIR|FILE.tar")
@click.argument("names", nargs=-1, metavar="[NAME[==VERSION]|KEY]...")
@json_option
def export_(target: Path, names: tuple[str, ...], as_json: bool) -> int:
    """Write wheels, with their digests, to a folder or to one file; all of them where none is named.

    The sha256 of a file is printed: give it to 'import' on the other machine, by another way than the file.

    \b
    rocmdoctor cache export wheels.tar
    rocmdoctor cache export /srv/wheels bitsandbytes flash_attn==2.8.3
    """
    from rocmdoctor.applying.wheel_moves import chosen, export
    from rocmdoctor.applying.wheels import CacheError

    try:
        items = chosen(_cache(), names)
        if not items:
            return _failed("export", CacheError(f"{_cache() / 'wheels'} holds no wheel"), as_json=as_json)
        digest = export(items, target)
    except (OSError, CacheError) as error:
        return _failed("export", error, as_json=as_json)
    if as_json:
        data = {"target": str(target), "sha256": digest or None, "wheels": [_data(k) for k in items]}
        click.echo(envelope("cache", "ok", 0, data))
        return 0
    for item in items:
        if item.entry:
            click.echo(f"{item.entry.name} {item.entry.version}  {item.folder.name}")
    click.echo(f"{len(items)} written to {target}" + (f"\nsha256 {digest}" if digest else ""))
    return 0


@command.command(
    "import", epilog="Exit codes: 0 taken, 2 usage, 4 something is not right, and nothing was taken."
)
@click.argument("source", type=click.Path(path_type=Path, exists=True), metavar="DIR|FILE.tar")
@click.option(
    "--sha256", default="", metavar="DIGEST", help="What 'export' printed; another file is refused."
)
@json_option
def import_(source: Path, sha256: str, as_json: bool) -> int:
    """Take over wheels that another machine exported. Every digest is compared before anything is taken.

    Wheels are programs: take them only from whom you trust.

    \b
    rocmdoctor cache import wheels.tar --sha256 4f0c...
    rocmdoctor cache import /srv/wheels
    """
    from rocmdoctor.applying.wheel_moves import take
    from rocmdoctor.applying.wheels import CacheError

    if sha256 and not re.fullmatch(r"[0-9a-f]{64}", sha256):
        raise click.UsageError(f"--sha256: '{sha256}' is not 64 hexadecimal digits")
    try:
        new, there = take(_cache(), source, sha256)
    except (OSError, CacheError) as error:
        return _failed("import", error, as_json=as_json)
    if as_json:
        data = {"new": [e.key for e in new], "there": [e.key for e in there]}
        click.echo(envelope("cache", "ok", 0, data))
        return 0
    for entry in (*new, *there):
        state = "taken" if entry in new else "there already"
        click.echo(
            f"{state}: {entry.name} {entry.version} for {' '.join(entry.gfx) or 'no GPU'}  {entry.key}"
        )
    return 0


command.add_command(cache_fill.command)


def _failed(verb: str, error: Exception, *, as_json: bool) -> int:
    text = str(error)
    if isinstance(error, OSError):
        from rocmdoctor.applying.steps import refused

        text = refused(str(error.filename or _cache()), error)
    if as_json:
        problem = {"code": "cache", "message": text, "where": ""}
        click.echo(envelope("cache", "error", _FAILED, {}, [problem]))
    else:
        click.echo(f"rocmdoctor: cache {verb}: {text}", err=True)
    return _FAILED
