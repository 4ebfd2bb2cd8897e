"""What kind of text a line stands in, by marks in the lines around it."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

from rocmdoctor.frozen import frozen


@frozen
class Kind:
    """A kind of text: its name in files, what it is, and what tells it."""

    name: str
    says: str
    mark: re.Pattern[bytes]


def kind_of(plain: Mapping[str, str]) -> Kind:
    """From its plain form. Raises KeyError, re.error."""
    mark = re.compile(plain["mark"].encode(), re.MULTILINE)
    return Kind(plain["name"], plain["says"], mark)


def kinds_of(around: bytes, kinds: Iterable[Kind]) -> set[str]:
    """The kinds whose marks stand in the text."""
    return {kind.name for kind in kinds if kind.mark.search(around)}
