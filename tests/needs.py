"""Programs that some tests want; where they are missing, as on a bare machine, the tests are skipped and say so."""

from __future__ import annotations

import shutil

import pytest


def needs(*programs: str) -> pytest.MarkDecorator:
    """Skips what it marks where one of these programs is not on PATH."""
    missing = _missing(programs)
    return pytest.mark.skipif(bool(missing), reason=f"needs {', '.join(missing)}")


def skip_without(*programs: str) -> None:
    """The same for fixtures."""
    if missing := _missing(programs):
        pytest.skip(f"needs {', '.join(missing)}")


def _missing(programs: tuple[str, ...]) -> list[str]:
    return [program for program in programs if shutil.which(program) is None]
