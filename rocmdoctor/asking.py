"""The names under which answers are kept, and the plain form in which questions reach the collector."""

from __future__ import annotations

import shlex
from collections.abc import Iterable
from dataclasses import fields
from typing import Any

from rocmdoctor.model import Elf, Env, Glob, Query, Run

_KIND = {"Read": "read", "Stat": "stat", "Link": "link", "List": "list", "Disk": "disk", "Access": "access"}


def keys(query: Query) -> tuple[str, ...]:
    """The keys of a question in a snapshot: one, or one for each variable of an `Env`."""
    if isinstance(query, Env):
        return tuple(f"env:{name}" for name in query.names)
    if isinstance(query, Run):
        return (f"run:{shlex.join(query.argv)}",)
    if isinstance(query, Glob):
        return (f"glob:{query.pattern}",)
    if isinstance(query, Elf):
        return (f"elf:{query.pattern}",)
    return (f"{_KIND[type(query).__name__]}:{query.path}",)  # type: ignore[attr-defined]


def as_question(query: Query) -> dict[str, Any]:
    """The question as plain JSON data, which is all that the collector knows."""
    plain = {f.name: getattr(query, f.name) for f in fields(query)}
    return {"kind": type(query).__name__.lower(), "keys": list(keys(query)), **plain}


def distinct(queries: Iterable[Query]) -> list[Query]:
    """The questions without repeats.

    Raises ValueError when two of them share a key and differ, since only one answer could be kept.
    """
    merged: dict[tuple[str, ...], Query] = {}
    for query in queries:
        name = keys(query)
        known = merged.get(name)
        if known is None or known == query:
            merged[name] = query
        else:
            msg = f"two facts ask {name[0]} differently: {known} and {query}"
            raise ValueError(msg)
    return list(merged.values())
