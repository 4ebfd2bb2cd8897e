"""The values that everything else passes around: frozen, without behaviour.

Importable by Python 3.8, because `./run collect` runs on machines that have nothing newer.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field
from typing import Any

from rocmdoctor.frozen import frozen

SCHEMA = 1

# ---------------------------------------------------------------- questions


@frozen
class Query:
    """A question to a machine. Data, never a callable."""


@frozen
class Read(Query):
    """The text of a regular file. With `keep`, only what the pattern matches leaves the machine.

    `limit` is in bytes, `timeout` in seconds.
    """

    path: str
    keep: str = ""
    limit: int = 1 << 20
    timeout: float = 2.0


@frozen
class Stat(Query):
    """Kind, octal mode, owner and group: `char 0660 root render`. Links are followed."""

    path: str
    timeout: float = 2.0


@frozen
class Link(Query):
    """The target of a symbolic link, as stored."""

    path: str
    timeout: float = 2.0


@frozen
class List(Query):
    """The names in a folder, one a line, sorted; folders end in `/`, links in `@`."""

    path: str
    timeout: float = 2.0


@frozen
class Glob(Query):
    """The texts of all regular files that match. `limit` is in bytes for each file."""

    pattern: str
    keep: str = ""
    limit: int = 1 << 16
    timeout: float = 2.5


@frozen
class Elf(Query):
    """Shared libraries that match, looked into: lines `needed NAME`, `runpath PATH`, `gfx TARGET` for each file."""

    pattern: str
    timeout: float = 2.5


@frozen
class Env(Query):
    """Environment variables of the process that asks; one answer each. `keep` is as in `Read`."""

    names: tuple[str, ...]
    keep: str = ""


@frozen
class Disk(Query):
    """Bytes in all and bytes free for this user on the file system that holds `path`: `total free`."""

    path: str
    timeout: float = 2.0


@frozen
class Access(Query):
    """Opens `path` for reading and writing, because access lists and id maps make mode bits lie."""

    path: str
    timeout: float = 2.0


@frozen
class Run(Query):
    """A program, as an argument list. `touches` says what it costs: nothing, process or gpu."""

    argv: tuple[str, ...]
    timeout: float = 3.0
    touches: str = "process"
    keep: str = ""
    limit: int = 1 << 18


# ---------------------------------------------------------------- answers


@frozen
class Answer:
    """What a machine said. `why` is absent, permission, timeout, not-asked or error when not `ok`."""

    ok: bool
    why: str = ""
    text: str = ""
    files: Mapping[str, str] = field(default_factory=dict)
    exit_code: int | None = None
    stdout: str = ""
    stderr: str = ""
    seconds: float = 0.0
    path: str = ""
    detail: str = ""
    unreadable: Mapping[str, str] = field(default_factory=dict)


NOT_ASKED = Answer(ok=False, why="not-asked")


@frozen
class Snapshot:
    """Raw answers of one machine at one moment; `raw` keeps the keys that this release does not know."""

    tool: str
    taken_at: str
    host: Mapping[str, Any]
    answers: Mapping[str, Answer]
    raw: Mapping[str, Any]


# ---------------------------------------------------------------- judgement

STATUSES = ("ok", "warn", "fail", "skip", "unknown", "broken")
RUNGS = ("gpu", "driver", "rocm", "torch", "training")
LAYERS = ("hardware", "driver", "access", "packages", "environment", "torch", "training")


@frozen
class Remedy:
    """What to do, written once: a sentence with the commands, or the id of a recipe."""

    text: str
    commands: tuple[str, ...] = ()
    recipe: str | None = None


@frozen
class Verdict:
    """What one check says about one machine. `absent`: the thing was never installed, which is no fault."""

    status: str
    why: str
    evidence: tuple[str, ...] = ()
    remedy: Remedy | None = None
    fault: str | None = None
    absent: bool = False
    id: str = ""
    title: str = ""
    after: tuple[str, ...] = ()
    explained_by: tuple[str, ...] = ()


@frozen
class Wish:
    """What the user asked for: `level` is a rung below which nothing may be absent; `arch` a gfx target."""

    level: str | None = None
    arch: str | None = None
