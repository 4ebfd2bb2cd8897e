"""Errors that name a place."""

from __future__ import annotations

import click


class PlacedError(click.UsageError):
    """Bad input: `where` is the file, with line and column or key where they are known."""

    def __init__(self, where: str, message: str) -> None:
        super().__init__(message)
        self.where = where

    def format_message(self) -> str:
        """The place before the message, as compilers do."""
        return f"{self.where}: {self.message}"
