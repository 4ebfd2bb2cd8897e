"""Finds and loads what is known of logs: known errors, signs of failures, kinds of text."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from rocmdoctor.content import ContentError, bundled, keep_table, kept_table, recipe_text, toml_of

if TYPE_CHECKING:
    from rocmdoctor.explaining import KnownError, Lines, Sign
    from rocmdoctor.explaining.kinds import Kind
    from rocmdoctor.explaining.loading import Names
    from rocmdoctor.recipe import Problem

T = TypeVar("T")


def known_error_files(folder: Path) -> list[Path]:
    """The files of known errors of a folder, sorted."""
    return sorted((folder / "checks" / "known-errors").glob("*.yaml"))


def load_known_errors(folders: Iterable[Path], names: Names | None = None) -> tuple[KnownError, ...]:
    """All of the folders' checks/known-errors/*.yaml. A file that was read before is taken as it was kept then.

    `names` are those that files may refer to; without them, names are not looked up. Raises ContentError with all that is
    wrong in all files, at the place of the first.
    """
    from rocmdoctor.explaining import error_of  # noqa: PLC0415 - checks need none

    plain: list[Mapping[str, Any]] = []
    wrong: list[Problem] = []
    for path in (path for folder in folders for path in known_error_files(folder)):
        held, problems = _known_errors(path, names)
        plain += held
        wrong += problems
    if wrong:
        first, *more = sorted(wrong, key=lambda problem: (problem.place.file, problem.place.line))
        where = str(first.place)
        raise ContentError(where, "\n".join([str(first).removeprefix(f"{where}: "), *map(str, more)]))
    if names is not None:
        from rocmdoctor.explaining.loading import check_together  # noqa: PLC0415

        for said in check_together(plain):
            raise ContentError("checks/known-errors", said)
    return tuple(error_of(item) for item in plain)


def _known_errors(path: Path, names: Names | None) -> tuple[list[Mapping[str, Any]], list[Problem]]:
    """The errors of a file as plain data, or what is wrong with them."""
    try:
        stamp = path.stat()
    except OSError as error:
        raise ContentError(str(path), f"cannot be read: {error.strerror}") from error
    kept = path.parent / "__pycache__" / f"{path.stem}.{stamp.st_mtime_ns:x}.{stamp.st_size:x}.json"
    held = kept_table(kept) if names is None else None
    if held is None:
        # Reading YAML takes fifty times as long, and importing what reads it as well.
        from rocmdoctor.explaining.loading import BadKnownErrorError, Names, read_errors  # noqa: PLC0415

        try:
            held = {"errors": read_errors(recipe_text(path), str(path), names or Names())}
        except BadKnownErrorError as error:
            return [], list(error.problems)
        keep_table(path, kept, held)
    return list(held["errors"]), []


def load_lines(folders: Iterable[Path]) -> Lines:
    """Known errors, signs of failures and kinds of text, ready for readers. Raises ContentError."""
    from rocmdoctor.explaining import Lines  # noqa: PLC0415

    return Lines(load_known_errors(folders), load_signs(), load_kinds())


def load_signs() -> tuple[Sign, ...]:
    """The lines that tell of a failure, and not which. Raises ContentError."""
    from rocmdoctor.explaining import Says, Sign, says_of  # noqa: PLC0415

    def made(row: Any) -> Sign:
        return Sign(says_of(row), tuple(Says(text) for text in row.get("unless", ())))

    return _rows("failure-signs.toml", "sign", made)


def where_to_ask() -> tuple[str, ...]:
    """Where people answer questions about what is not known here. Raises ContentError."""
    return tuple(toml_of(bundled() / "checks" / "data" / "failure-signs.toml")["ask"]["where"])


def load_kinds() -> tuple[Kind, ...]:
    """The kinds of text that known errors may ask for. Raises ContentError."""
    from rocmdoctor.explaining.kinds import kind_of  # noqa: PLC0415

    return _rows("log-kinds.toml", "kind", kind_of)


def _rows(name: str, key: str, make: Callable[[Any], T]) -> tuple[T, ...]:
    path = bundled() / "checks" / "data" / name
    try:
        return tuple(make(row) for row in toml_of(path)[key])
    except (KeyError, TypeError, AttributeError, re.error) as error:
        raise ContentError(str(path), f"is not what it should be: {error!r}") from error
