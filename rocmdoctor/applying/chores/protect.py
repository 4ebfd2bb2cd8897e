"""What lies in an environment, written down for pip, for uv and for later checks."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from rocmdoctor import protection
from rocmdoctor.applying.chores.running import ChoreError, say

Rows = Sequence[Mapping[str, Any]]


class Dist:
    """One distribution, as its METADATA tells it."""

    def __init__(self, folder: Path, head: str) -> None:
        self.folder = folder
        self.name = _normal(_field(head, "Name"))
        self.version = _field(head, "Version")
        asks = re.findall(r"^Requires-Dist: *([\w.-]+)(?![^\n]*\bextra\b)", head, re.MULTILINE)
        self.requires = {_normal(ask) for ask in asks}

    def digest(self) -> dict[str, Any]:
        """The sha256 and the size in bytes of its list of files."""
        try:
            data = (self.folder / "RECORD").read_bytes()
        except OSError:
            return {"sha256": "", "size": 0}
        return {"sha256": hashlib.sha256(data).hexdigest(), "size": len(data)}


def protect(*, env: str, keep: Rows, out: Mapping[str, str], bounds: Mapping[str, Sequence[str]]) -> None:
    """Writes constraints, overrides and record of an environment. Raises ChoreError, OSError.

    `keep`: rows of `names`, and of `file` and `pattern`, or `libraries`, where these tell the right build; `out`: name to
    why; `bounds`: name to specifier and why. A distribution that is not the right build is not written down.
    """
    found = distributions(Path(env))
    if not found:
        raise ChoreError(f"{env} holds no distributions that could be protected; install into it first")
    kept = standing(found, keep, out)
    for name, dist in kept.items():
        say(f"{name} {dist.version} is protected")
    others = {
        name: dist.version
        for name, dist in found.items()
        if name not in kept and any(protection.matches(name, row["names"]) for row in keep)
    }
    for name, version in others.items():
        say(f"{name} {version} is no build for ROCm, and is not protected")
    never = {name: why for name, why in out.items() if name not in kept}
    versions = {name: dist.version for name, dist in kept.items()}
    _write(Path(env, protection.CONSTRAINTS), protection.constraints_text(versions, never, bounds))
    _write(Path(env, protection.OVERRIDES), protection.overrides_text(never))
    rows = [{"name": name, "version": dist.version, **dist.digest()} for name, dist in kept.items()]
    # Last: a record that is there says that the rest is.
    _write(Path(env, protection.RECORD), protection.record_text(rows, list(never), others))


def distributions(env: Path) -> dict[str, Dist]:
    """What is installed in an environment, by name."""
    found = {}
    for folder in sorted(env.glob("lib/python3*/site-packages/*.dist-info")):
        # What begins so is left of one that pip could not remove.
        if folder.name.startswith("~"):
            continue
        try:
            text = (folder / "METADATA").read_text(encoding="utf-8", errors="replace")
        except OSError:
            continue
        dist = Dist(folder, text.partition("\n\n")[0])
        if dist.name and dist.version:
            found[dist.name] = dist
    return found


def standing(found: Mapping[str, Dist], keep: Rows, out: Mapping[str, str]) -> dict[str, Dist]:
    """Those that are to stay as they are, by name; what they ask for is to stay even where it is kept out elsewhere."""
    kept = {name: dist for name, dist in found.items() if any(_is_right(dist, row) for row in keep)}
    asked = {name for dist in kept.values() for name in dist.requires}
    return {**kept, **{name: found[name] for name in out if name in asked and name in found}}


def _is_right(dist: Dist, row: Mapping[str, Any]) -> bool:
    """It is of this row, and the build that its file and libraries tell."""
    if not protection.matches(dist.name, row["names"]):
        return False
    site = dist.folder.parent
    if row.get("libraries") and not any(any(site.glob(pattern)) for pattern in row["libraries"]):
        return False
    if not row.get("file"):
        return True
    try:
        text = (site / row["file"]).read_text(encoding="utf-8", errors="replace")
    except OSError:
        return False
    return re.search(row["pattern"], text, re.MULTILINE) is not None


def _field(head: str, name: str) -> str:
    found = re.search(rf"^{name}: *(\S+)", head, re.MULTILINE)
    return found.group(1) if found else ""


def _normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def _write(path: Path, text: str) -> None:
    aside = path.with_name(f".{path.name}.rocmdoctor-part")
    aside.write_text(text, encoding="utf-8")
    aside.replace(path)
