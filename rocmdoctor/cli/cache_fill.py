"""`rocmdoctor cache fill`."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from rocmdoctor.cli.options import json_option
from rocmdoctor.reports.envelope import envelope

_MISSING = 4


@click.command(
    "fill",
    epilog="Exit codes: 0 all is there, 2 usage or no lock, 4 something is missing or cannot be written.",
)
@click.argument("lock", type=click.Path(path_type=Path), metavar="LOCK")
@click.argument("folder", type=click.Path(path_type=Path, file_okay=False), metavar="DIR")
@json_option
def command(lock: Path, folder: Path, as_json: bool) -> int:
    """Put everything that a lock names into a folder, for a machine without network.

    Wheels and archives by their names, repositories by host; each is compared with the digest or commit of the lock.
    What is there already stays, and what cannot be had is named.

    \b
    rocmdoctor cache fill rocmdoctor.lock /media/stick/parts
    rocmdoctor install --locked rocmdoctor.lock --mirror-folder /media/stick/parts      there
    """
    from rocmdoctor.applying.mirror import Filled, built_by_pip, fill
    from rocmdoctor.applying.steps import refused
    from rocmdoctor.cli.locking import lock_in

    wanted = lock_in(lock, "cache fill")
    found: list[Filled] = []
    try:
        for item in fill(wanted, folder.absolute(), _tell):
            found.append(item)
            if not as_json:
                click.echo(f"{item.state}: {item.name}{': ' + item.why if item.why else ''}")
    except OSError as error:
        text = refused(str(error.filename or folder), error)
        if as_json:
            problem = {"code": "cache", "message": text, "where": str(folder)}
            click.echo(envelope("cache", "error", _MISSING, {}, [problem]))
        else:
            click.echo(f"rocmdoctor: cache fill: {text}", err=True)
        return _MISSING
    return _ended(found, built_by_pip(wanted), lock, folder, as_json=as_json)


def _ended(found: list, built: list[str], lock: Path, folder: Path, *, as_json: bool) -> int:  # type: ignore[type-arg]
    missing = [item for item in found if item.state == "missing"]
    code = _MISSING if missing else 0
    if as_json:
        rows = [{"name": i.name, "state": i.state, "why": i.why} for i in found]
        problems = [{"code": "missing", "message": f"{i.name}: {i.why}", "where": i.name} for i in missing]
        data = {"folder": str(folder), "items": rows, "built": built}
        click.echo(envelope("cache", "error" if missing else "ok", code, data, problems))
        return code
    if built:
        click.echo(
            f"? pip builds {', '.join(built)} from source where it installs them, and asks for setuptools and such then:"
            f" put their wheels into {folder} too"
        )
    if missing:
        click.echo(f"✗ {len(missing)} of {len(found)} missing in {folder}")
    else:
        click.echo(
            f"{len(found)} in {folder}. There: rocmdoctor install --locked {lock} --mirror-folder {folder}"
        )
    return code


def _tell(text: str) -> None:
    if sys.stderr.isatty():
        sys.stderr.write(f"\r\x1b[K{text[:100]}\r")
        sys.stderr.flush()
