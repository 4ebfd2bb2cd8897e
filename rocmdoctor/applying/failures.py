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
_LOG_KEYS = {"log", "telling"}
# Of a log that a program names: so much of its end is read, so many lines of it are shown.
_READ, _SHOWN, _LONGEST = 1 << 20, 3, 300


class FailureTableError(Exception):
    """A table that cannot be used; names the file and the entry."""


@frozen
class Failure:
    """One pattern, the source that prints it, and what it means. `{name}` in the texts is a group of the pattern.

    `log` finds the path of a file that says more, and `telling` the lines of it that are worth showing.
    """

    pattern: re.Pattern[str]
    source: str
    says: str
    cure: str
    log: re.Pattern[str] | None = None
    telling: re.Pattern[str] | None = None


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
            or set(entry) not in (_KEYS, _KEYS | _LOG_KEYS)
            or not all(isinstance(v, str) for v in entry.values())
        ):
            raise FailureTableError(
                f"{path}: failure {number}: wanted are the texts {', '.join(sorted(_KEYS))}"
            )
        try:
            more = {name: re.compile(entry[name]) for name in _LOG_KEYS & set(entry)}
            found.append(
                Failure(re.compile(entry["pattern"]), entry["source"], entry["says"], entry["cure"], **more)
            )
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
                known = _filled(failure, {k: v or "" for k, v in found.groupdict().items()})
                told = _told(failure, kept)
                return Meaning(f"{known.says}: {' / '.join(told)}", known.cure) if told else known
    return None


def _told(failure: Failure, lines: list[str]) -> tuple[str, ...]:
    """The telling lines of the log that the program named; nothing where it cannot be read."""
    if failure.log is None or failure.telling is None:
        return ()
    for line in reversed(lines):
        if named := failure.log.search(line):
            try:
                with Path(named.group(1)).open("rb") as file:
                    file.seek(max(0, Path(named.group(1)).stat().st_size - _READ))
                    text = file.read(_READ).decode("utf-8", "backslashreplace")
            except OSError:
                return ()
            telling = (line.strip()[:_LONGEST] for line in text.splitlines() if failure.telling.search(line))
            return tuple(dict.fromkeys(telling))[:_SHOWN]
    return ()


def _filled(failure: Failure, groups: dict[str, str]) -> Meaning:
    return Meaning(failure.says.format(**groups), failure.cure.format(**groups))
