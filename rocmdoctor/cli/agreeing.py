"""Questions that a person answers with yes or no."""

from __future__ import annotations

import click

_YES, _NO = ("y", "yes"), ("", "n", "no")


def agrees(question: str) -> bool:
    """Whether the answer is yes; no is what Enter alone means. Raises click.Abort at Ctrl-C and where nobody is there.

    The question is written before input() is called, not by it: a Ctrl-C that comes between input()'s own writing and
    reading is not noticed until the line ends.
    """
    while True:
        click.echo(f"{question} [y/N]: ", nl=False, err=True)
        try:
            answer = input().strip().lower()
        except (KeyboardInterrupt, EOFError):
            raise click.Abort from None
        if answer in (*_YES, *_NO):
            return answer in _YES
        click.echo(f"'{answer}' is neither y nor n.", err=True)
