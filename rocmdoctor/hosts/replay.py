"""Saved snapshots: read with suspicion, since they come from other machines, and written whole or not at all."""

from __future__ import annotations

import json
import os
import stat
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rocmdoctor.model import SCHEMA, Answer, Snapshot

LIMIT = 64 << 20  # bytes; the largest real snapshot seen is two orders smaller
DIGITS = 40  # of a whole number; the largest that a kernel prints has 20

_TEXTS = ("why", "text", "stdout", "stderr", "path", "detail")


class BadSnapshotError(Exception):
    """A file that is no snapshot. `where` is the path, with the key where there is one."""

    def __init__(self, where: str, message: str) -> None:
        super().__init__(message)
        self.where = where


def load(path: Path) -> Snapshot:
    """The snapshot in a file. Raises BadSnapshotError."""
    where = str(path)
    data = _bytes(path, where)
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise BadSnapshotError(
            where, f"is not UTF-8 text: byte 0x{data[error.start]:02x} at {error.start}"
        ) from error
    return from_raw(_decoded(text, where), where)


def _bytes(path: Path, where: str) -> bytes:
    try:
        # Asked before it is opened: to open a FIFO waits for a writer.
        info = path.stat()
        if not stat.S_ISREG(info.st_mode):
            raise BadSnapshotError(where, "is not a regular file; a snapshot is a JSON file")
        if info.st_size > LIMIT:
            raise BadSnapshotError(where, f"is larger than {LIMIT >> 20} MiB; no machine's snapshot is")
        with path.open("rb") as file:
            return file.read(LIMIT)
    except ValueError as error:  # a NUL in the name
        raise BadSnapshotError(where, f"cannot be read: {error}") from error
    except OSError as error:
        raise BadSnapshotError(where, f"cannot be read: {error.strerror}") from error


def _decoded(text: str, where: str) -> Any:
    def pairs(items: list[tuple[str, Any]]) -> dict[str, Any]:
        found = dict(items)
        if len(found) < len(items):
            double = next(key for n, (key, _) in enumerate(items) if key in dict(items[:n]))
            raise BadSnapshotError(where, f"holds the key {double!r} twice in one object")
        return found

    def whole(digits: str) -> int:
        if len(digits) > DIGITS:
            raise BadSnapshotError(
                where, f"holds a number of {len(digits)} digits; no machine's snapshot does"
            )
        return int(digits)

    def constant(name: str) -> None:
        raise BadSnapshotError(where, f"holds {name}, which is not JSON")

    try:
        return json.loads(text, object_pairs_hook=pairs, parse_int=whole, parse_constant=constant)
    except json.JSONDecodeError as error:
        end = (
            "; the file may be cut short"
            if error.pos >= len(text.rstrip()) - 1 or "string" in error.msg
            else ""
        )
        place = f"{where}:{error.lineno}:{error.colno}"
        raise BadSnapshotError(place, f"is not JSON: {error.msg[0].lower()}{error.msg[1:]}{end}") from error
    except RecursionError as error:
        raise BadSnapshotError(where, "is nested deeper than any machine's snapshot") from error


def from_raw(raw: Any, where: str = "snapshot") -> Snapshot:
    """The snapshot in decoded JSON. Raises BadSnapshotError that names the key, what was found and what is wanted."""
    if not isinstance(raw, dict):
        raise BadSnapshotError(where, f"holds {_kind(raw)}, wanted an object with 'schema' and 'answers'")
    schema = raw.get("schema")
    if isinstance(schema, bool) or not isinstance(schema, int):
        raise BadSnapshotError(where, f"schema: found {_kind(schema)}, wanted the number {SCHEMA}")
    if schema != SCHEMA:
        later = "; a newer rocmdoctor wrote it, update this one" if schema > SCHEMA else ""
        raise BadSnapshotError(where, f"schema: found {schema}, this release reads {SCHEMA}{later}")
    answers = raw.get("answers")
    if not isinstance(answers, dict):
        raise BadSnapshotError(where, f"answers: found {_kind(answers)}, wanted an object")
    host = raw.get("host", {})
    if not isinstance(host, dict):
        raise BadSnapshotError(where, f"host: found {_kind(host)}, wanted an object")
    for name in ("tool", "taken_at"):
        if not isinstance(raw.get(name, ""), str):
            raise BadSnapshotError(where, f"{name}: found {_kind(raw[name])}, wanted a text")
    return Snapshot(
        tool=raw.get("tool", ""),
        taken_at=raw.get("taken_at", ""),
        host=host,
        answers={key: _answer(value, f"{where}: answers[{key!r}]") for key, value in answers.items()},
        raw=raw,
    )


def _answer(raw: Any, where: str) -> Answer:
    if not isinstance(raw, dict):
        raise BadSnapshotError(where, f"found {_kind(raw)}, wanted an object with 'ok'")
    ok = raw.get("ok")
    if not isinstance(ok, bool):
        raise BadSnapshotError(where, f"ok: found {_kind(ok)}, wanted true or false")
    values: dict[str, Any] = {"ok": ok}
    for name in _TEXTS:
        if name in raw:
            if not isinstance(raw[name], str):
                raise BadSnapshotError(where, f"{name}: found {_kind(raw[name])}, wanted a text")
            values[name] = raw[name]
    for name in ("files", "unreadable"):
        values[name] = _texts_by_path(raw.get(name, {}), name, where)
    code = raw.get("exit_code")
    if code is not None and (isinstance(code, bool) or not isinstance(code, int)):
        raise BadSnapshotError(where, f"exit_code: found {_kind(code)}, wanted a whole number")
    values["exit_code"] = code
    seconds = raw.get("seconds", 0.0)
    if isinstance(seconds, bool) or not isinstance(seconds, (int, float)):
        raise BadSnapshotError(where, f"seconds: found {_kind(seconds)}, wanted a number")
    if not -1e9 < seconds < 1e9:  # not a number is not in between either
        raise BadSnapshotError(where, "seconds: found a number beyond all measure")
    values["seconds"] = float(seconds)
    if not ok and not values.get("why"):
        values["why"] = "error"
    return Answer(**values)


def _texts_by_path(raw: Any, name: str, where: str) -> dict[str, str]:
    if not isinstance(raw, dict):
        raise BadSnapshotError(where, f"{name}: found {_kind(raw)}, wanted an object of path to text")
    for path, text in raw.items():
        if not isinstance(text, str):
            raise BadSnapshotError(where, f"{name}[{path!r}]: found {_kind(text)}, wanted a text")
    return raw


def _kind(value: Any) -> str:
    names = {dict: "an object", list: "a list", str: "a text", bool: "true or false", type(None): "nothing"}
    return names.get(type(value), "a number")


def document(answers: Mapping[str, Any], host: Mapping[str, Any], tool: str, taken_at: str) -> dict[str, Any]:
    """A snapshot as it is written."""
    return {
        "schema": SCHEMA,
        "tool": tool,
        "taken_at": taken_at,
        "host": dict(host),
        "answers": {key: answers[key] for key in sorted(answers)},
    }


def dumps(raw: Mapping[str, Any]) -> str:
    """One answer a line, so that two snapshots can be compared with diff."""
    head = {k: v for k, v in raw.items() if k != "answers"}
    lines = [f"{json.dumps(k)}: {json.dumps(v)}" for k, v in head.items()]
    answers = ",\n".join(f"  {json.dumps(k)}: {json.dumps(v)}" for k, v in raw["answers"].items())
    return "{" + ",\n ".join([*lines, f'"answers": {{\n{answers}\n }}']) + "}\n"


def save(path: Path, raw: Mapping[str, Any]) -> None:
    """Written aside and renamed. Readable by its owner alone, because it describes a machine."""
    aside = path.with_name(f".{path.name}.{os.getpid()}")
    handle = os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(dumps(raw))
        aside.replace(path)
    except BaseException:
        aside.unlink(missing_ok=True)
        raise
