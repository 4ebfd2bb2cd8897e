"""Plans as JSON and back. A file that is not wholly a plan is refused, with the place, the value found and the value wanted."""

from __future__ import annotations

import hashlib
import json
import math
import types
from collections.abc import Mapping
from dataclasses import MISSING, fields, is_dataclass
from functools import cache
from typing import Any, Union, get_args, get_origin, get_type_hints

from rocmdoctor.actions import PLAN_SCHEMA, ApplyPatch, Do, Exec, Fetch, Plan, Reboot, WriteFile

_DOES: Mapping[str, type[Any]] = {c.__name__: c for c in (Exec, WriteFile, Fetch, ApplyPatch, Reboot)}
UNDO_KINDS = ("restore", "packages", "commands", "nothing", "impossible")
_SHOWN = 60  # characters of a wrong value that are shown


class PlanFileError(Exception):
    """A plan that cannot be read. `where` is the file, `place` the keys that lead to the wrong value."""

    def __init__(self, where: str, place: str, found: str, wanted: str) -> None:
        super().__init__(f"{where}: {place + ': ' if place else ''}found {found}, wanted {wanted}")
        self.where = where
        self.place = place
        self.found = found
        self.wanted = wanted


class _WrongError(Exception):
    def __init__(self, place: str, found: object, wanted: str) -> None:
        super().__init__(place)
        self.place = place
        self.found = found if isinstance(found, _Said) else _shown(found)
        self.wanted = wanted


class _Said(str):
    """Words for what was found, shown as they stand."""

    __slots__ = ()


def plan_as_json(plan: Plan) -> dict[str, Any]:
    """The plan as what `json.dumps` takes; equal plans give equal values."""
    encoded: dict[str, Any] = _encode(Plan, plan)
    return {"schema": PLAN_SCHEMA, **encoded}


def plan_hash(plan: Plan) -> str:
    """The sha256 of the plan's JSON with sorted keys and no spaces."""
    text = json.dumps(plan_as_json(plan), sort_keys=True, separators=(",", ":"), allow_nan=False)
    return hashlib.sha256(text.encode("ascii")).hexdigest()


def plan_from_text(text: str, where: str) -> Plan:
    """A plan from the text of a JSON file. Raises PlanFileError."""
    try:
        data = json.loads(text, object_pairs_hook=_once)
    except _WrongError as error:
        raise PlanFileError(where, error.place, error.found, error.wanted) from None
    except RecursionError:
        raise PlanFileError(where, "", "values nested too deep to read", "a plan") from None
    except json.JSONDecodeError as error:
        place = f"line {error.lineno}, column {error.colno}"
        raise PlanFileError(where, place, f"no JSON ({error.msg})", "a plan as JSON") from None
    except ValueError as error:
        raise PlanFileError(where, "", f"no JSON ({error})", "a plan as JSON") from None
    return plan_from_json(data, where)


def plan_from_json(data: object, where: str) -> Plan:
    """A plan from decoded JSON. Raises PlanFileError."""
    try:
        plan: Plan = _decode(Plan, _of_this_schema(data), "")
        _coherent(plan)
    except _WrongError as error:
        raise PlanFileError(where, error.place, error.found, error.wanted) from None
    except RecursionError:
        raise PlanFileError(where, "", "values nested too deep to read", "a plan") from None
    return plan


def _of_this_schema(data: object) -> object:
    if not isinstance(data, dict):
        return data
    found = data.get("schema", _Said("nothing"))
    if found != PLAN_SCHEMA:
        raise _WrongError("schema", found, f"{PLAN_SCHEMA}, the format that this release reads")
    return {k: v for k, v in data.items() if k != "schema"}


def _coherent(plan: Plan) -> None:
    """What types cannot say: the journal goes by ids, and the executor knows five ways to take things back."""
    seen: set[str] = set()
    for number, action in enumerate(plan.actions):
        place = f"actions.{number}"
        if not action.id or action.id in seen:
            raise _WrongError(f"{place}.id", action.id, "an id that no other action has")
        seen.add(action.id)
        if action.undo.kind not in UNDO_KINDS:
            raise _WrongError(f"{place}.undo.kind", action.undo.kind, f"one of {', '.join(UNDO_KINDS)}")
        if isinstance(action.do, Exec):
            lists = {"argv": action.do.argv, **{f"heal.{n}": a for n, a in enumerate(action.do.heal)}}
            for name, argv in lists.items():
                if not argv or not argv[0]:
                    raise _WrongError(f"{place}.do.{name}", list(argv), "a program and its arguments")


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        twice = next(k for n, (k, _) in enumerate(pairs) if k in [p[0] for p in pairs[:n]])
        raise _WrongError("", _Said(f"the key {twice!r} twice in one object"), "each key once")
    return found


# ---------------------------------------------------------------- by annotation


def _is_record(kind: Any) -> bool:
    return is_dataclass(kind)


@cache
def _hints(kind: Any) -> dict[str, Any]:
    return get_type_hints(kind)


def _encode(kind: Any, value: Any) -> Any:
    """Goes by the annotation, so that 120 and 120.0 of a float field are one text."""
    if kind is Do:
        return {"kind": type(value).__name__, **_encode(type(value), value)}
    if _is_record(kind):
        hints = _hints(kind)
        return {f.name: _encode(hints[f.name], getattr(value, f.name)) for f in fields(kind)}
    origin, inside = get_origin(kind), get_args(kind)
    if origin is tuple:
        return [_encode(inside[0], item) for item in value]
    if origin is not None and origin not in _UNIONS:
        return {key: _encode(inside[1], item) for key, item in value.items()}
    return float(value) if kind is float else value


_UNIONS = (Union, types.UnionType)


def _decode(kind: Any, data: Any, place: str) -> Any:
    if kind is Do:
        return _do(data, place)
    if _is_record(kind):
        return _object(kind, data, place)
    origin, inside = get_origin(kind), get_args(kind)
    if origin is tuple:
        if not isinstance(data, list):
            raise _WrongError(place, data, "a list")
        return tuple(_decode(inside[0], item, _join(place, n)) for n, item in enumerate(data))
    if origin in _UNIONS:
        return None if data is None else _plain(inside[0], data, place, or_null=True)
    if origin is not None:
        if not isinstance(data, dict):
            raise _WrongError(place, data, "an object")
        return {key: _decode(inside[1], item, _join(place, key)) for key, item in data.items()}
    return _plain(kind, data, place)


_WORDS: Mapping[type[Any], str] = {
    str: "a text",
    bool: "true or false",
    int: "a whole number",
    float: "a number",
}


def _plain(kind: type[Any], data: Any, place: str, *, or_null: bool = False) -> Any:
    fits = type(data) is kind
    if kind is float:
        fits = type(data) in (int, float) and math.isfinite(_float(data))
    if not fits:
        raise _WrongError(place, data, _WORDS[kind] + (" or null" if or_null else ""))
    return float(data) if kind is float else data


def _float(data: float) -> float:
    try:
        return float(data)
    except OverflowError:
        return math.inf


def _do(data: Any, place: str) -> Any:
    kind = data.get("kind") if isinstance(data, dict) else None
    if not isinstance(kind, str) or kind not in _DOES:
        wanted = f"one of {', '.join(_DOES)}"
        raise _WrongError(_join(place, "kind") if isinstance(data, dict) else place, kind or data, wanted)
    return _object(_DOES[kind], {k: v for k, v in data.items() if k != "kind"}, place)


def _object(kind: Any, data: Any, place: str) -> Any:
    if not isinstance(data, dict):
        raise _WrongError(place, data, f"an object ({kind.__name__})")
    known = {f.name: f for f in fields(kind)}
    for key in data:
        if key not in known:
            raise _WrongError(_join(place, key), _Said("an unknown key"), f"one of {', '.join(known)}")
    for name, field in known.items():
        if name not in data and field.default is MISSING and field.default_factory is MISSING:
            raise _WrongError(_join(place, name), _Said("nothing"), _wanted(_hints(kind)[name]))
    return kind(**{key: _decode(_hints(kind)[key], value, _join(place, key)) for key, value in data.items()})


def _wanted(kind: Any) -> str:
    if kind in _WORDS:
        return _WORDS[kind]
    if get_origin(kind) is tuple:
        return "a list"
    return _WORDS[str] + " or null" if get_origin(kind) in _UNIONS and kind is not Do else "an object"


def _join(place: str, key: object) -> str:
    return f"{place}.{key}" if place else str(key)


def _shown(value: object) -> str:
    text = json.dumps(value, ensure_ascii=False, default=repr)
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}…"
