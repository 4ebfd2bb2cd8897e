"""Where files of the user's and of root's may lie, and what tells whether one is as wanted. Pure."""

from __future__ import annotations

import hashlib
from typing import Literal

from rocmdoctor.facts.base import UnknownError
from rocmdoctor.model import Stat
from rocmdoctor.ops.arguments import BadArgumentError
from rocmdoctor.ops.ground import Ground

Owner = Literal["root", "user"]


def resolved(ground: Ground, argument: str, path: str, owner: Owner) -> str:
    """The absolute path; `~/` is the home of the person. Raises BadArgumentError.

    Root never writes where a user could put a link to somewhere else in its way.
    """
    home = ground.person.home.rstrip("/")
    full = f"{home}{path[1:]}" if path.startswith("~/") else path
    if owner == "root" and ground.person.uid != 0 and f"{full}/".startswith(f"{home}/"):
        raise BadArgumentError(argument, path, f"a path outside {home}, in which root writes nothing")
    return full


def sha256_of(text: str) -> str:
    """The digest of a text as it stands in a file."""
    return hashlib.sha256(text.encode()).hexdigest()


def holds(ground: Ground, path: str, sha256: str) -> bool:
    """A file has this digest. One that nobody could read does not: writing it once more changes nothing."""
    try:
        return ground.digest(path) == sha256
    except UnknownError:
        return False


def there(ground: Ground, path: str) -> bool:
    """There is a file, or nobody could tell."""
    try:
        return ground.digest(path) is not None
    except UnknownError:
        return True


def owner_of(ground: Ground, path: str) -> str | None:
    """Who owns a file, None when there is none."""
    words = ground.answer(Stat(path)).text.split()
    return words[2] if len(words) == 4 else None
