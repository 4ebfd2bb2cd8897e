"""Where files of the user's and of root's may lie, what tells whether one is as wanted, which words may be run. Pure."""

from __future__ import annotations

import hashlib
import re
import shlex
from typing import Literal

from rocmdoctor.facts.base import UnknownError
from rocmdoctor.model import Stat
from rocmdoctor.ops.arguments import BadArgumentError
from rocmdoctor.ops.ground import Ground

Owner = Literal["root", "user"]
_SHELLS = {"sh", "bash", "dash", "zsh", "ksh", "mksh", "fish", "csh", "tcsh", "busybox"}
_RISES = {"sudo", "su", "doas", "pkexec", "runuser"}


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


def no_shell(argument: str, argv: list[str], *, required: bool) -> None:
    """Raises BadArgumentError for words that would bring a shell, or other rights, in."""
    if required and not (argv and argv[0]):
        raise BadArgumentError(argument, argv, "a program and its arguments")
    for word in argv:
        if "\0" in word:
            raise BadArgumentError(argument, word, "text without zero bytes")
    names = [word.rpartition("/")[2] for word in argv]
    if names and names[0] in _RISES:
        raise BadArgumentError(
            argument, argv[0], "a program that keeps its rights; 'root: true' gives root's"
        )
    for number, name in enumerate(names):
        if name in _SHELLS and any(re.fullmatch(r"-[a-zA-Z]*c", word) for word in argv[number + 1 :]):
            raise BadArgumentError(
                argument, shlex.join(argv), "a program's own words, without a shell that reads them"
            )
