"""The files behind a lock: what pip said that it installed, and what of it another machine is held to. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from packaging.markers import UndefinedComparison, UndefinedEnvironmentName
from packaging.requirements import InvalidRequirement, Requirement
from packaging.version import InvalidVersion, Version

from rocmdoctor.facts.distributions import normalized
from rocmdoctor.ops.ground import Locked

Row = dict[str, str]


def rows_of(report: object) -> list[Row]:
    """The distributions of one of pip's reports: name, version, address, sha256, and what each needs.

    Source: pip's documentation, "Installation report", version 1. What is not as it says there is left out.
    """
    items = [
        i for i in _list(report, "install") if _name(i) and isinstance(_of(i, "metadata", "version"), str)
    ]
    environment = {k: v for k, v in _dict(report, "environment").items() if isinstance(v, str)}
    needs = _needs(items, environment)
    rows = []
    for item in items:
        url, digest = _of(item, "download_info", "url"), _sha256(item)
        if isinstance(url, str) and digest:
            name = normalized(_name(item))
            rows.append(
                {
                    "name": name,
                    "version": str(_of(item, "metadata", "version")),
                    "url": url,
                    "sha256": digest,
                    "needs": " ".join(sorted(needs.get(name, ()))),
                }
            )
    return rows


def _sha256(item: object) -> str:
    info = _of(item, "download_info", "archive_info")
    found = _of(info, "hashes", "sha256")
    if isinstance(found, str):
        return found
    # So pips before 23 say it.
    former = _of(info, "hash")
    return former.removeprefix("sha256=") if isinstance(former, str) and former.startswith("sha256=") else ""


def _needs(items: list[object], environment: Mapping[str, str]) -> dict[str, set[str]]:
    """Name to the names that it does not work without here, its extras as far as something asks for them."""
    by_name = {normalized(_name(item)): item for item in items}
    extras = {name: {"", *_texts(_of(item, "requested_extras"))} for name, item in by_name.items()}
    needs: dict[str, set[str]] = {name: set() for name in by_name}
    todo = list(by_name)
    while todo:
        name = todo.pop()
        for need in _requirements(by_name[name], environment, extras[name]):
            other = normalized(need.name)
            needs[name].add(other)
            if other in extras and not need.extras <= extras[other]:
                extras[other] |= need.extras
                todo.append(other)
    return needs


def _requirements(item: object, environment: Mapping[str, str], extras: set[str]) -> Iterator[Requirement]:
    for text in _texts(_of(item, "metadata", "requires_dist")):
        try:
            found = Requirement(text)
            if found.marker is None or any(
                found.marker.evaluate({**environment, "extra": e}) for e in extras
            ):
                yield found
        except (InvalidRequirement, InvalidVersion, UndefinedComparison, UndefinedEnvironmentName):
            continue


def files_of(lock: Mapping[str, Any]) -> dict[str, Locked]:
    """The files that a lock holds another machine to, by distribution."""
    return {
        row["name"]: Locked(row["name"], row["version"], row["sha256"], tuple(row.get("needs", "").split()))
        for row in lock.get("wheels", ())
    }


def still(rows: Iterable[Row], there: Mapping[str, str]) -> list[Row]:
    """Those of the rows that are installed; the last of each name counts. `there`: name to version."""
    last = {row["name"]: row for row in rows}
    return [row for name, row in sorted(last.items()) if name in there and _same(row["version"], there[name])]


def _same(one: str, other: str) -> bool:
    try:
        return Version(one) == Version(other)
    except InvalidVersion:
        return one == other


def merged(former: Mapping[str, Any], now: Mapping[str, Any]) -> dict[str, Any]:
    """One lock for an environment that several installations filled; what the last one says counts."""
    targets = dict.fromkeys([*former["targets"], *now["targets"]])
    both: dict[str, Any] = {**now, "targets": list(targets)}
    both["components"] = dict(sorted({**former["components"], **now["components"]}.items()))
    for key, name in (("distributions", "name"), ("sources", "url"), ("patches", "patch")):
        new = {row[name] for row in now[key]}
        rows = [*(row for row in former[key] if row[name] not in new), *now[key]]
        both[key] = sorted(rows, key=lambda row: (row[name], *row.values()))
    return both


def _of(value: object, *names: str) -> object:
    for name in names:
        value = value.get(name) if isinstance(value, dict) else None
    return value


def _name(item: object) -> str:
    found = _of(item, "metadata", "name")
    return found if isinstance(found, str) else ""


def _list(value: object, name: str) -> list[object]:
    found = _of(value, name)
    return found if isinstance(found, list) else []


def _dict(value: object, name: str) -> dict[str, object]:
    found = _of(value, name)
    return found if isinstance(found, dict) else {}


def _texts(value: object) -> list[str]:
    return [text for text in value if isinstance(text, str)] if isinstance(value, list) else []
