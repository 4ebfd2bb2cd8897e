"""What pip installed into an environment, kept there without what belongs to nobody else, and the lock of it."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from rocmdoctor.facts.distributions import normalized
from rocmdoctor.hosts.words import without_secrets
from rocmdoctor.ops.pip import REPORT
from rocmdoctor.planning.lock import BadLockError, read
from rocmdoctor.planning.locked import Row, merged, rows_of, still

NOTES, LOCK, BUILT_WITH = ".rocmdoctor-installed.json", "rocmdoctor.lock", "built-with.json"
NOT_BUILT: Mapping[str, Sequence[str]] = {}
_LARGEST = 64 << 20


def keep(
    env: Path,
    lock: Mapping[str, Any],
    wanted: str,
    taken: str,
    built: Mapping[str, Sequence[str]] = NOT_BUILT,
    *,
    done: bool,
) -> dict[str, Any]:
    """Notes what pip reported; once all is `done`, writes the lock into the environment and to `wanted`. Raises OSError.

    Of a run that was not, the sources and patches are noted: the next plan may find them used. `built` are folders of caches, with what the
    wheels that came from there were built with: another machine may have to build them. `taken` is the lock that was installed from. `path` is where a person finds the new one, `lock` all that it holds,
    `wrong` what of it another machine cannot be held to.
    """
    if env.is_dir():
        _note(env, None if done else lock, _held(taken, lock) if done else [])
    if not done:
        return {"path": "", "lock": None, "wrong": []}
    full = noted(lock, env, taken)
    here = {row["name"] for row in full["wheels"]}
    for cache, needs in built.items():
        rows = [row for row in _once_installed(Path(cache), full["wheels"], needs) if row["name"] not in here]
        full["wheels"] = sorted([*full["wheels"], *rows], key=lambda row: row["name"])
        here |= {row["name"] for row in rows}
    goals = [Path(wanted)] if wanted else []
    if env.is_dir() and (full["distributions"] or full["sources"] or full["wheels"]):
        goals.append(env / LOCK)
    for goal in goals:
        write(goal, full)
    return {"path": str(goals[0]) if goals else "", "lock": full, "wrong": _without(full) if goals else []}


def noted(lock: Mapping[str, Any], env: Path, taken: str = "") -> dict[str, Any]:
    """The lock with what former installations into the environment brought, and the files that came. Raises OSError."""
    full = dict(lock)
    for former in (_lock(json.dumps(_notes(env).get("begun"))), _lock(_text(env / LOCK))):
        full = merged(former, full) if former is not None else full
    # A folder that stood in for the servers is none that another machine has.
    known = {row["sha256"]: row["url"] for row in (_lock(_text(Path(taken))) or {"wheels": []})["wheels"]}
    rows = [{**row, "url": known.get(row["sha256"], row["url"])} for row in _rows(env)]
    full["wheels"] = still(rows, _there(env))
    return full


def _lock(text: str) -> dict[str, Any] | None:
    """The lock in a text; None where it is something else."""
    try:
        return read(text)
    except BadLockError:
        return None


def write(path: Path, lock: Mapping[str, Any]) -> None:
    """Wholly or not at all. Raises OSError."""
    aside = path.with_name(f".{path.name}.rocmdoctor-part")
    aside.write_text(json.dumps(lock, indent=1, sort_keys=True) + "\n", encoding="utf-8")
    aside.replace(path)


def _once_installed(cache: Path, rows: Sequence[Row], needs: Sequence[str]) -> list[Row]:
    """What wheels were built with, as far as it was installed by the same person once; notes what is installed now."""
    path = cache / BUILT_WITH
    kept = _files(path, "files")
    known = {f"{row['name']}=={row['version']}": row for row in (*kept, *rows)}
    if len(known) > len(kept) and cache.is_dir():
        write(path, {"schema": 1, "files": list(known.values())})
    found: dict[str, Row] = {}
    todo = [
        known.get("{}=={}".format(normalized(need.split("==")[0]), need.split("==")[1])) for need in needs
    ]
    while todo:
        row = todo.pop()
        if row is not None and row["name"] not in found:
            found[row["name"]] = row
            todo += [other for name in row.get("needs", "").split() for other in _named(known, name)]
    return list(found.values())


def _named(known: Mapping[str, Row], name: str) -> list[Row]:
    """The last that was noted of this name."""
    return [row for row in known.values() if row["name"] == name][-1:]


def _without(lock: Mapping[str, Any]) -> list[str]:
    """Distributions of which no file is known: an old pip does not tell, and what was there before was not installed."""
    known = {row["name"] for row in lock["wheels"]}
    names = sorted({row["name"] for row in lock["distributions"] if normalized(row["name"]) not in known})
    told = f"the lock has no sha256 of {', '.join(names)}: pip did not say which files these are (it does from 22.2 on)"
    return [told] if names else []


def _held(taken: str, lock: Mapping[str, Any]) -> list[Row]:
    """What a plan installed from another lock: pip was held to these digests, also one that is too old to say so."""
    named = {(normalized(row["name"]), row["version"]) for row in lock["distributions"]}
    former = _lock(_text(Path(taken))) if taken else None
    return [row for row in (former or {"wheels": []})["wheels"] if (row["name"], row["version"]) in named]


def _note(env: Path, begun: Mapping[str, Any] | None, held: Sequence[Row]) -> None:
    reports = sorted(env.glob(REPORT.format("*")), key=lambda path: path.stat().st_mtime)
    said = [row for path in reports for row in _reported(path)]
    kept = {row["name"]: row for row in (*_rows(env), *held, *said)}
    notes = {"schema": 1, "installed": list(kept.values()), "begun": _notes(env).get("begun")}
    if begun is not None:
        parts = {**begun, "targets": [], "components": {}}
        former = _lock(json.dumps(notes["begun"]))
        notes["begun"] = merged(former, parts) if former is not None else parts
    if kept or begun is not None:
        write(env / NOTES, notes)
    for path in reports:
        path.unlink()


def _reported(path: Path) -> list[Row]:
    try:
        rows = rows_of(json.loads(_text(path)))
    except (ValueError, RecursionError):
        return []
    return [{**row, "url": without_secrets(row["url"])} for row in rows]


def _notes(env: Path) -> dict[str, Any]:
    return _said(env / NOTES)


def _said(path: Path) -> dict[str, Any]:
    try:
        said = json.loads(_text(path))
    except (ValueError, RecursionError):
        return {}
    return said if isinstance(said, dict) else {}


def _rows(env: Path) -> list[Row]:
    return _files(env / NOTES, "installed")


def _files(path: Path, name: str) -> list[Row]:
    said = _said(path).get(name)
    wanted = {"name", "version", "url", "sha256"}
    return (
        [row for row in said if isinstance(row, dict) and wanted <= set(row)]
        if isinstance(said, list)
        else []
    )


def _text(path: Path) -> str:
    """What a file says; "" where there is none."""
    try:
        with path.open("rb") as file:
            return file.read(_LARGEST).decode("utf-8", "replace")
    except OSError:
        return ""


def _there(env: Path) -> dict[str, str]:
    """Name to version of what lies in the environment."""
    found = {}
    for path in env.glob("lib/python3*/site-packages/*.dist-info"):
        name, _, version = path.name.removesuffix(".dist-info").partition("-")
        found[normalized(name)] = version
    return found
