"""What a run tells whoever watches it."""

from __future__ import annotations

from collections.abc import Callable

from rocmdoctor.frozen import frozen


@frozen
class Event:
    """Something happened. `number` of `total` is the action, `says` what it does, `text` what is told.

    `kind`: begin, line (what a program printed last; at least once a second), done, skipped, failed, stopping, note.
    """

    kind: str
    number: int = 0
    total: int = 0
    says: str = ""
    text: str = ""


Watch = Callable[[Event], None]


def nobody(_event: Event) -> None:
    """Watches nothing."""
