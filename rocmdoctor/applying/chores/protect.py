"""What lies in an environment, written down for pip, for uv and for later checks."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from rocmdoctor import protection
from rocmdoctor.applying.chores.running import ChoreError, say


def protect(
    *,
    env: str,
    keep: Sequence[Mapping[str, Any]],
    out: Mapping[str, str],
    bounds: Mapping[str, Sequence[str]],
) -> None:
    """Writes constraints, overrides and record of an environment. Raises ChoreError, OSError.

    `keep`: rows of `names`, and of `file` and `pattern` where a file tells the right build; `out`: name to why; `bounds`:
    name to specifier and why. A distribution that should be kept and is not the right build is not written down.
    """
    found = _distributions(Path(env))
    if not found:
        raise ChoreError(f"{env} holds no distributions that could be protected; install into it first")
    asked = {name for dist in found.values() for name in dist["requires"] if _is_kept(dist, keep)}
    kept: dict[str, dict[str, Any]] = {}
    for name, dist in found.items():
        wanted = next((row for row in keep if protection.matches(name, row["names"])), None)
        if wanted is None and not (name in out and name in asked):
            continue
        if wanted is not None and not _is_right(dist, wanted):
            say(f"{name} {dist['version']} is no build for ROCm, and is not protected")
            continue
        kept[name] = dist
        say(f"{name} {dist['version']} is protected")
    never = {name: why for name, why in out.items() if name not in kept}
    versions = {name: dist["version"] for name, dist in kept.items()}
    _write(Path(env, protection.CONSTRAINTS), protection.constraints_text(versions, never, bounds))
    _write(Path(env, protection.OVERRIDES), protection.overrides_text(never))
    rows = [
        {"name": name, "version": dist["version"], **_digest(dist["folder"])} for name, dist in kept.items()
    ]
    # Last: a record that is there says that the rest is.
    _write(Path(env, protection.RECORD), protection.record_text(rows, list(never)))


def _distributions(env: Path) -> dict[str, dict[str, Any]]:
    """Name to version, folder and names that it asks for."""
    found: dict[str, dict[str, Any]] = {}
    for folder in sorted(env.glob("lib/python3*/site-packages/*.dist-info")):
        if folder.name.startswith("~"):
            continue
        try:
            text = (folder / "METADATA").read_text(encoding="utf-8", errors="replace")
        except OSError:
            continue
        head = text.partition("\n\n")[0]
        name, version = (re.search(rf"^{key}: *(\S+)", head, re.MULTILINE) for key in ("Name", "Version"))
        if name and version:
            asks = re.findall(r"^Requires-Dist: *([\w.-]+)(?![^\n]*\bextra\b)", head, re.MULTILINE)
            found[_normal(name.group(1))] = {
                "version": version.group(1), "folder": folder, "requires": {_normal(ask) for ask in asks},
            }  # fmt: skip
    return found


def _normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def _is_kept(dist: Mapping[str, Any], keep: Sequence[Mapping[str, Any]]) -> bool:
    name = _normal(dist["folder"].name.partition("-")[0])
    return any(protection.matches(name, row["names"]) and _is_right(dist, row) for row in keep)


def _is_right(dist: Mapping[str, Any], row: Mapping[str, Any]) -> bool:
    """The file that tells the build says that it is the right one; where none is named any is."""
    if not row.get("file"):
        return True
    try:
        text = (dist["folder"].parent / row["file"]).read_text(encoding="utf-8", errors="replace")
    except OSError:
        return False
    return re.search(row["pattern"], text, re.MULTILINE) is not None


def _digest(folder: Path) -> dict[str, Any]:
    try:
        data = (folder / "RECORD").read_bytes()
    except OSError:
        return {"sha256": "", "size": 0}
    return {"sha256": hashlib.sha256(data).hexdigest(), "size": len(data)}


def _write(path: Path, text: str) -> None:
    aside = path.with_name(f".{path.name}.rocmdoctor-part")
    aside.write_text(text, encoding="utf-8")
    aside.replace(path)
