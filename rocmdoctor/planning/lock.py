"""A lock: every version, address, digest, commit and patch of a plan, from which another machine plans the same. Pure.

What belongs to one machine stays out: its driver, its packages of apt, its folders.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from packaging.version import InvalidVersion, Version

from rocmdoctor.actions import Action, ApplyPatch, Exec, Fetch, Plan, Request, WriteFile
from rocmdoctor.facts.distributions import normalized
from rocmdoctor.ops.vendors import DRIVER
from rocmdoctor.planning.here import plain
from rocmdoctor.planning.wish import BUILT, NONE

LOCK_SCHEMA = 1
_NAME = re.compile(r"[a-z0-9]+(?:-[a-z0-9]+)*")
_REQUIREMENT = re.compile(r"([A-Za-z0-9._-]+)(?:\[[^\]]*\])?==(\S+)")


class BadLockError(Exception):
    """A text that is no lock; the message says the key, what was found and what is wanted."""


def lock_of(plan: Plan) -> dict[str, Any]:
    """The lock of a plan, as what `json.dumps` takes."""
    chosen = {
        name: {"version": choice.version, "source": choice.source}
        for name, choice in sorted(plan.choice.items())
        if name != DRIVER and (plain(choice.version) or choice.source == NONE)
    }
    return {
        "schema": LOCK_SCHEMA,
        "gfx": list(plan.gfx),
        "targets": [*plan.request.targets, *plan.request.more],
        "components": chosen,
        "distributions": sorted(_distributions(plan), key=lambda row: (row["name"], row["index"])),
        "sources": sorted(_sources(plan), key=lambda row: row["url"]),
        "patches": sorted(_patches(plan), key=lambda row: row["patch"]),
        "wheels": [],
    }


def _distributions(plan: Plan) -> Iterator[dict[str, str]]:
    written = {a.do.path: a.do.text or "" for a in plan.actions if isinstance(a.do, WriteFile)}
    for action in plan.actions:
        words = action.do.argv if isinstance(action.do, Exec) else ()
        if "pip" in words and "install" in words:
            index = words[words.index("--index-url") + 1] if "--index-url" in words else ""
            listed = written.get(words[words.index("-r") + 1], "").split() if "-r" in words else []
            for name, version in filter(None, map(_requirement, (*words, *listed))):
                if (
                    name == "pip"
                ):  # the machine's tool, which an environment of another Python may have already
                    continue
                yield {"name": name, "version": version, "index": index}


def _requirement(word: str) -> tuple[str, str] | None:
    found = _REQUIREMENT.fullmatch(word)
    return (found[1], found[2]) if found else None


def _sources(plan: Plan) -> Iterator[dict[str, str]]:
    for action in plan.actions:
        if isinstance(action.do, Fetch) and action.do.sha256:
            yield {"url": action.do.url, "sha256": action.do.sha256}
        told = _chore(action, "checkout") or _chore(action, "install").get("origin", {})
        if told:
            yield {name: told[name] for name in ("url", "commit", "sha256") if name in told}


def _chore(action: Action, name: str) -> Mapping[str, Any]:
    words = action.do.argv if isinstance(action.do, Exec) else ()
    if len(words) != 3 or words[1] != name:
        return {}
    try:
        found = json.loads(words[2])
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def _patches(plan: Plan) -> Iterator[dict[str, str]]:
    for action in plan.actions:
        if isinstance(action.do, ApplyPatch):
            yield _patch(action.do.patch, action.do.sha256)
        for path, digest in _chore(action, "install").get("origin", {}).get("patches", {}).items():
            yield _patch(path, digest)


def built_with(plan: Plan) -> dict[str, list[str]]:
    """The folders of caches that wheels are kept in or come from, with what those that come from there were built with."""
    found: dict[str, list[str]] = {}
    for action in plan.actions:
        if told := _chore(action, "install"):
            found.setdefault(told["cache"], []).extend(told.get("origin", {}).get("needs", []))
    return found


def _patch(path: str, sha256: str) -> dict[str, str]:
    return {"patch": "/".join(path.split("/")[-2:]), "sha256": sha256}


# ---------------------------------------------------------------- back


def read(text: str) -> dict[str, Any]:
    """The lock in a text. Raises BadLockError."""
    try:
        data = json.loads(text)
    except RecursionError:
        raise BadLockError("found values nested too deep to read, wanted a lock") from None
    except ValueError as error:
        raise BadLockError(f"found no JSON ({error}), wanted a lock") from None
    if not isinstance(data, dict) or data.get("schema") != LOCK_SCHEMA:
        found = data.get("schema", "nothing") if isinstance(data, dict) else "no object"
        raise BadLockError(f"schema: found {found!r}, wanted {LOCK_SCHEMA}, the form that this release reads")
    data.setdefault("wheels", [])
    for key, wanted in _SHAPES.items():
        if not wanted(data.get(key)):
            raise BadLockError(f"{key}: found {data.get(key, 'nothing')!r}, wanted what 'plan --lock' writes")
    return data


def _texts(value: object) -> bool:
    return isinstance(value, list) and all(isinstance(item, str) for item in value)


def _rows(key: str) -> Callable[[object], bool]:
    def rows(value: object) -> bool:
        return isinstance(value, list) and all(
            isinstance(row, dict) and key in row and all(isinstance(item, str) for item in row.values())
            for row in value
        )

    return rows


def _chosen(value: object) -> bool:
    return isinstance(value, dict) and all(
        _NAME.fullmatch(name)
        and isinstance(row, dict)
        and _is_version(row.get("version"))
        and isinstance(row.get("source"), str)
        for name, row in value.items()
    )


def _is_version(value: object) -> bool:
    try:
        Version(value if isinstance(value, str) else "")
    except InvalidVersion:
        return False
    return True


def _files(value: object) -> bool:
    return _rows("url")(value) and all(
        _NAME.fullmatch(row.get("name", ""))
        and _is_version(row.get("version"))
        and re.fullmatch(r"[0-9a-f]{64}", row.get("sha256", ""))
        for row in value  # type: ignore[attr-defined]
    )


_SHAPES: Mapping[str, Callable[[object], object]] = {
    "gfx": _texts,
    "targets": _texts,
    "components": _chosen,
    "distributions": _rows("name"),
    "sources": _rows("url"),
    "patches": _rows("patch"),
    "wheels": _files,
}


def request_of(lock: Mapping[str, Any], asked: Request) -> Request:
    """The request that plans the same; what belongs to a machine is taken from `asked`."""
    components = lock["components"]
    pins = [f"{name}=={row['version']}" for name, row in components.items() if row["source"] != NONE]
    built = [name for name, row in components.items() if row["source"] in BUILT]
    return Request(
        targets=tuple(lock["targets"]),
        arch=asked.arch or (lock["gfx"][0] if len(lock["gfx"]) == 1 else None),
        no_root=asked.no_root,
        driver=asked.driver,
        keep=asked.keep,
        mirror=asked.mirror,
        trust_key=asked.trust_key,
        env=asked.env,
        locked=asked.locked,
        mirror_folder=asked.mirror_folder,
        pins=tuple(pins),
        from_source=tuple(built),
    )


def against(lock: Mapping[str, Any], plan: Plan) -> list[str]:
    """What a plan would do otherwise than the lock says; nothing where it is the same or less, as where parts are here."""
    now = lock_of(plan)
    found: list[str] = []
    held = {(row["name"], row["version"]) for row in lock["wheels"]}
    for key, name in (("distributions", "name"), ("sources", "url"), ("patches", "patch")):
        known = {row[name]: row for row in lock[key]}
        other = [row for row in now[key] if row not in lock[key]]
        if key == "distributions":
            # What others need is no wish of a recipe's, and stands among the files alone.
            other = [
                r for r in other if r["name"] in known or (normalized(r["name"]), r["version"]) not in held
            ]
        found += [
            f"{r[name]}: {_told(known.get(r[name]))} in the lock, {_told(r)} in this plan" for r in other
        ]
    for name, row in lock["components"].items():
        mine = now["components"].get(name)
        if row["source"] == NONE and mine is not None and mine["source"] != NONE:
            found.append(f"{name}: left out in the lock, {mine['version']} in this plan")
    return found


def _told(row: Mapping[str, str] | None) -> str:
    return "not" if row is None else " ".join(list(row.values())[1:]).strip()
