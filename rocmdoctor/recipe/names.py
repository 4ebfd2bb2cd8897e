"""`${name}` in recipes: variables and a short list of facts. No expressions, no loops, no defaults."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import suppress
from typing import Any

from rocmdoctor.recipe.values import Recipe, Release, Words

# What the planner fills in. `words` of several targets are joined by it as their readers want them.
FACTS: Mapping[str, str] = {
    "gfx": "the targets that code is compiled for, such as `gfx90a`; several are joined by `;`",
    "rocm": "the version of ROCm, such as `6.4.1`",
    "rocm_home": "the folder of the ROCm that is planned or here, such as `/opt/rocm`",
    "env": "the folder of the Python environment",
    "python": "the version of the environment's Python, such as `3.12`",
    "jobs": "how many compilers may run at once on this machine",
    "src": "the folder that sources are put in",
    "kernel": "the release of the running kernel, as `uname -r` says it",
    "gcc": "the major version of the newest libstdc++ that clang picks, such as `14`",
    "user": "the name of the user for whom the machine is set up",
    "home": "that user's home folder",
    "codename": "the code name of the distribution's release, such as `trixie`",
    "system": "the distribution and its release as paths of repositories name them, such as `ubuntu2404`",
}
# A release says these of itself. What it needs are names too: each is the version that is chosen, `-` written as `_`.
OF_RELEASE = ("version", "source", "url", "sha256", "commit")

NOTHING: Mapping[str, Words] = {}

_TOKEN = re.compile(
    r"\$(?:(?P<dollar>\$)|\{(?P<name>[a-z][a-z0-9_]*)\}|(?P<bad>\{[^}]*\}?|[A-Za-z_]\w*|.?))", re.DOTALL
)


class BadNameError(Exception):
    """A `$` that is none of `${name}` and `$$`, or a list where one word must stand."""


class UnknownNameError(BadNameError):
    """A name that nothing says; its text is the name."""


def variable_of(component: str) -> str:
    """The name of a component's version in recipes."""
    return component.replace("-", "_")


def used(text: str) -> Iterator[str]:
    """The names in a text. Raises BadNameError for a `$` that is none of `${name}` and `$$`."""
    for token in _TOKEN.finditer(text):
        if token["name"]:
            yield token["name"]
        elif not token["dollar"]:
            raise BadNameError(
                f"found {token[0][:40]!r}: write '${{name}}' for a name and '$$' for a dollar sign"
            )


def alone(text: object) -> str:
    """The name, where a text is one `${name}` and nothing else; else nothing."""
    found = _TOKEN.fullmatch(text) if isinstance(text, str) else None
    return (found["name"] or "") if found else ""


def texts(value: Any, path: tuple[str | int, ...] = ()) -> Iterator[tuple[tuple[str | int, ...], str]]:
    """Every text in a value, with its path."""
    if isinstance(value, str):
        yield path, value
    elif isinstance(value, Mapping):
        for key, item in value.items():
            yield from texts(item, (*path, key))
    elif isinstance(value, Sequence):
        for number, item in enumerate(value):
            yield from texts(item, (*path, number))


def substitute(value: Any, names: Mapping[str, Words]) -> Any:
    """The value with every `${name}` replaced and every `$$` made a `$`; lists and mappings are gone through.

    An item of a list that is `${name}` and nothing else becomes all words of a name that has several. Raises BadNameError.
    """
    if isinstance(value, str):
        words = _words(alone(value), names)
        return list(words) if words is not None else _text(value, names)
    if isinstance(value, Mapping):
        return {key: substitute(item, names) for key, item in value.items()}
    if isinstance(value, list | tuple):
        made: list[Any] = []
        for item in value:
            words = _words(alone(item), names)
            made += [substitute(item, names)] if words is None else words
        return made
    return value


def _words(name: str, names: Mapping[str, Words]) -> Sequence[str] | None:
    found = names.get(name)
    return None if found is None or isinstance(found, str) else found


def _text(text: str, names: Mapping[str, Words]) -> str:
    for name in used(text):
        if name not in names:
            raise UnknownNameError(name)
        if not isinstance(names[name], str):
            raise BadNameError(
                f"${{{name}}} has several words and must stand alone, found it in {text[:60]!r}"
            )
    return _TOKEN.sub(lambda token: str(names[token["name"]]) if token["name"] else "$", text)


def names_of(
    recipe: Recipe, release: Release | None, facts: Mapping[str, Words], given: Mapping[str, Words] = NOTHING
) -> dict[str, Words]:
    """All names of a recipe for a chosen release.

    A variable may use the facts, what the release says of itself, and the variables above it; those of the release come
    first and stand in for the recipe's. `given` stand in for both. One that uses what is not known has no entry.
    """
    names: dict[str, Words] = {**facts, **given}
    if release is not None:
        names.update({name: value for name in OF_RELEASE if (value := getattr(release, name))})
        _add(names, release.vars, given)
    _add(names, recipe.vars, {*given, *(release.vars if release is not None else ())})
    return names


def _add(names: dict[str, Words], variables: Mapping[str, Words], but: Collection[str]) -> None:
    for name, value in variables.items():
        if name not in but:
            with suppress(UnknownNameError):
                made = substitute(value, names)
                names[name] = made if isinstance(made, str) else tuple(made)
