"""What rocmdoctor itself has put on a machine, as far as plans must tell it from the work of others."""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping
from typing import ClassVar

from rocmdoctor.facts.base import Evidence, Fact
from rocmdoctor.facts.host import home_of
from rocmdoctor.frozen import frozen
from rocmdoctor.model import Env, Glob, Query

ENV_FILE = ".config/rocmdoctor/env.sh"
_RUNS = "rocmdoctor/runs/*/promised"
OWN_RULES = "/etc/udev/rules.d/70-rocmdoctor.rules"


@frozen
class OwnExports(Fact):
    """Our file of exports, which sets `variables` and adds `folders` to PATH. `path` is None when no home is known."""

    path: str | None
    variables: Mapping[str, str]
    folders: tuple[str, ...]

    templates: ClassVar[tuple[str, ...]] = (f"glob:<HOME>/{ENV_FILE}",)

    @classmethod
    def queries(cls) -> Mapping[str, Query]:
        return {"HOME": Env(("HOME",))}

    @classmethod
    def follow_up(cls, ev: Evidence) -> Mapping[str, Query]:
        path = _path(ev)
        # As a pattern, so that it is asked under a name of its own: others read other lines of it.
        keep = r"^export [A-Z][A-Z0-9_]*=[^\n]{0,300}$|^\*:[^\n]{1,300}:\*\) ;;$"
        return {"file": Glob(path, keep=keep)} if path else {}

    @classmethod
    def parse(cls, ev: Evidence) -> OwnExports:
        path = _path(ev)
        text = ev.files("file").get(path, "") if path and "file" in ev else ""
        values = (_plain(v) for v in re.findall(r"^export (\w+=.*)$", text, re.MULTILINE))
        folders = (_plain(f) for f in re.findall(r"^\*:(.*):\*\) ;;$", text, re.MULTILINE))
        return cls(
            path,
            {v.partition("=")[0]: v.partition("=")[2] for v in values if v is not None},
            tuple(f for f in folders if f),
        )


def _plain(word: str) -> str | None:
    """A word of a shell without its quotes, None where it is more than one word or computed."""
    try:
        words = shlex.split(word)
    except ValueError:
        return None
    return words[0] if len(words) == 1 and not re.search(r"[$`]", word) else None


def _path(ev: Evidence) -> str | None:
    home = home_of(ev)
    return f"{home.rstrip('/')}/{ENV_FILE}" if home else None


@frozen
class Promised(Fact):
    """Ids of checks that finished installations named: what they put here is not merely absent when it is gone."""

    checks: tuple[str, ...]

    templates: ClassVar[tuple[str, ...]] = (f"glob:<HOME>/.local/state/{_RUNS}",)

    @classmethod
    def queries(cls) -> Mapping[str, Query]:
        return {"HOME": Env(("HOME",)), "machine": Glob(f"/var/lib/{_RUNS}", limit=1 << 14)}

    @classmethod
    def follow_up(cls, ev: Evidence) -> Mapping[str, Query]:
        home = home_of(ev)
        return {"user": Glob(f"{home}/.local/state/{_RUNS}", limit=1 << 14)} if home else {}

    @classmethod
    def parse(cls, ev: Evidence) -> Promised:
        texts = [text for name in ("machine", "user") if name in ev for text in ev[name].files.values()]
        return cls(tuple(dict.fromkeys(line for text in texts for line in text.split())))


@frozen
class CacheFolder(Fact):
    """Where the person wants what can be made again: XDG's variable, None where it is not set or nobody could ask."""

    named: str | None

    @classmethod
    def queries(cls) -> Mapping[str, Query]:
        return {"named": Env(("XDG_CACHE_HOME",))}

    @classmethod
    def parse(cls, ev: Evidence) -> CacheFolder:
        said = ev["named"]
        # XDG Base Directory Specification: a relative path is to be ignored.
        fits = said.ok and re.fullmatch(r"(?!.*/\.\.(?:/|$))/[^\x00-\x1f]+", said.text)
        return cls(said.text.rstrip("/") if fits else None)
