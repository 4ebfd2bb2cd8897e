"""What the terminal can show."""

from __future__ import annotations

import os
import shutil
import sys
from typing import TextIO

import click

from rocmdoctor.reports.text import Paint


def style(*, no_color: bool = False, stream: TextIO | None = None) -> tuple[int, Paint]:
    """Columns to write in, and how to colour: not without a terminal, nor with NO_COLOR, TERM=dumb or --no-color.

    FORCE_COLOR colours without a terminal, for logs that show colours. `stream` is where it is shown, by default stdout.
    """
    stream = stream or sys.stdout
    terminal = stream.isatty() and os.environ.get("TERM") != "dumb"
    coloured = terminal or bool(os.environ.get("FORCE_COLOR"))
    if no_color or os.environ.get("NO_COLOR"):
        coloured = False
    width = shutil.get_terminal_size((100, 24)).columns if terminal else 100
    encoding = (stream.encoding or "").lower().replace("-", "")
    return max(40, min(width, 120)), Paint(
        _colour if coloured else _plain, ascii_only=not encoding.startswith("utf")
    )


def _plain(text: str, _name: str) -> str:
    return text


def _colour(text: str, name: str) -> str:
    bold = name.startswith("bold ")
    return click.style(text, fg=name.removeprefix("bold ") or None, bold=bold or None)
