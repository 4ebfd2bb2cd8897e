"""For which GPUs a wheel holds code, read from its libraries and not believed."""

from __future__ import annotations

import shutil
import tempfile
import zipfile
from collections.abc import Collection, Mapping
from pathlib import Path

from rocmdoctor.applying.chores.running import ChoreError
from rocmdoctor.hosts.elf import NotElfError, describe


def targets(wheel: Path) -> dict[str, list[str]]:
    """Library to the targets that it has code for, of those that have any. Raises ChoreError, OSError."""
    found = {}
    try:
        with zipfile.ZipFile(wheel) as archive, tempfile.TemporaryFile(dir=wheel.parent) as copy:
            for name in archive.namelist():
                if ".so" not in name.rpartition("/")[2]:
                    continue
                copy.seek(0)
                copy.truncate()
                with archive.open(name) as library:
                    shutil.copyfileobj(library, copy, 1 << 20)
                copy.flush()
                if inside := _of(copy):
                    found[name] = inside
    except zipfile.BadZipFile as error:
        raise ChoreError(f"{wheel} is no wheel: {error}") from error
    return found


def _of(file: object) -> list[str]:
    try:
        lines = describe(file).splitlines()
    except NotElfError:
        return []
    # Features such as :xnack- are kinds of the same target.
    return sorted({line[4:].partition(":")[0] for line in lines if line.startswith("gfx ")})


def judged(found: Mapping[str, list[str]], wanted: Collection[str]) -> str:
    """What is wrong with these libraries, nothing when they hold code for exactly the wanted targets."""
    goal = sorted(wanted)
    said = ", ".join(goal) or "no GPU"
    for name, inside in found.items():
        if inside != goal:
            return f"{name} holds code for {', '.join(inside)}, wanted is {said}"
    return f"no library of the wheel holds code for a GPU, wanted is {said}" if goal and not found else ""
