"""What programs print when they fail, and what that means: a table, `checks/data/step-failures.toml`."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable
from functools import cache
from pathlib import Path

from rocmdoctor.content import bundled
from rocmdoctor.frozen import frozen

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

_KEYS = {"pattern", "source", "says", "cure"}


class FailureTableError(Exception):
    """A table that cannot be used; names the file and the entry."""


@frozen
class Failure:
    """One pattern, the source that prints it, and what it means. `{name}` in the texts is a group of the pattern."""

    pattern: re.Pattern[str]
    source: str
    says: str
    cure: str


@frozen
class Meaning:
    """What a failure comes down to, and what to do."""

    says: str
    cure: str

    def __str__(self) -> str:
        return f"{self.says}; {self.cure}"


@cache
def table() -> tuple[Failure, ...]:
    """The table that came along. Raises FailureTableError."""
    return load(bundled() / "checks" / "data" / "step-failures.toml")


def load(path: Path) -> tuple[Failure, ...]:
    """The table. Raises FailureTableError."""
    try:
        entries = tomllib.loads(path.read_text(encoding="utf-8")).get("failure", [])
    except (OSError, ValueError) as error:
        raise FailureTableError(f"{path}: {error}") from error
    found = []
    for number, entry in enumerate(entries, 1):
        if (
            not isinstance(entry, dict)
            or set(entry) != _KEYS
            or not all(isinstance(v, str) for v in entry.values())
        ):
            raise FailureTableError(
                f"{path}: failure {number}: wanted are the texts {', '.join(sorted(_KEYS))}"
            )
        try:
            found.append(Failure(re.compile(entry["pattern"]), entry["source"], entry["says"], entry["cure"]))
            _filled(found[-1], dict.fromkeys(found[-1].pattern.groupindex, ""))
        except (re.error, KeyError, IndexError, ValueError) as error:
            raise FailureTableError(f"{path}: failure {number}: {error}") from error
    return tuple(found)


def meaning(lines: Iterable[str], failures: tuple[Failure, ...]) -> Meaning | None:
    """The first entry of the table that any line matches, as it stands there from the most telling to the least."""
    kept = list(lines)
    for failure in failures:
        for line in kept:
            if found := failure.pattern.search(line):
                return _filled(failure, {k: v or "" for k, v in found.groupdict().items()})
    return None


def _filled(failure: Failure, groups: dict[str, str]) -> Meaning:
    return Meaning(failure.says.format(**groups), failure.cure.format(**groups))
