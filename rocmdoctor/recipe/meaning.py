"""What a recipe's file says beyond its shape: steps that exist, operations and checks that exist, names that are known.

Looks at the values as they were read, so that one wrong key does not hide what else is wrong.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from typing import Any

from rocmdoctor.frozen import frozen
from rocmdoctor.ops.registry import Operation
from rocmdoctor.ops.traits import TRAITS
from rocmdoctor.recipe.arguments import Taking, found
from rocmdoctor.recipe.graph import circles
from rocmdoctor.recipe.names import FACTS, OF_RELEASE, BadNameError, alone, texts, used, variable_of
from rocmdoctor.recipe.page import Page, Path, dotted
from rocmdoctor.recipe.shape import entries, mapping, mappings, near
from rocmdoctor.recipe.values import Problem


@frozen
class Known:
    """What a recipe may name. `checks` is None where nobody knows which there are."""

    operations: Mapping[str, Operation]
    checks: Collection[str] | None = None


def problems(page: Page, known: Known) -> Iterator[Problem]:
    """All that is wrong with a recipe's meaning."""
    data = mapping(page.data)
    yield from _steps(page, data, known)
    yield from _arguments(page, data, known)
    yield from _releases(page, data)
    yield from _variables(page, data)
    yield from _traits(page, data)
    yield from _unknown_checks(page, data, known.checks)


def _steps(page: Page, data: Mapping[str, Any], known: Known) -> Iterator[Problem]:
    steps = dict(mappings(data.get("steps")))
    numbers: dict[str, int] = {}
    for number, step in steps.items():
        name = step.get("id")
        if isinstance(name, str) and name in numbers:
            first = page.value(("steps", numbers[name], "id")).line
            yield page.problem(("steps", number, "id"), f"'{name}' is taken by the step in line {first}")
        elif isinstance(name, str):
            numbers[name] = number
        uses = step.get("uses")
        if isinstance(uses, str) and uses not in known.operations:
            hint = near(uses, known.operations, "; 'rocmdoctor list operations' shows them")
            yield page.problem(("steps", number, "uses"), f"no operation is called {uses[:60]!r}{hint}")
    for number, step in steps.items():
        for place, name in entries(step.get("after")):
            if name not in numbers:
                said = f"no step is called {name[:60]!r}{near(name, numbers)}"
                yield page.problem(("steps", number, "after", place), said)
    after = {name: [a for _, a in entries(steps[number].get("after"))] for name, number in numbers.items()}
    for circle in circles(after):
        said = f"the steps wait for each other in a circle: {' after '.join(circle)}"
        yield page.problem(("steps", numbers[circle[0]], "after"), said)


def _arguments(page: Page, data: Mapping[str, Any], known: Known) -> Iterator[Problem]:
    lists = {name for name, value in _all_vars(data) if isinstance(value, list)}
    for number, step in mappings(data.get("steps")):
        operation = known.operations.get(str(step.get("uses")))
        if operation is None:
            continue
        given = step.get("with", {})
        path: Path = ("steps", number, "with")
        if isinstance(given, dict):
            yield from _of(page, operation, given, path, lists)
        if operation.name == "run" and not (
            step.get("skip_if") or step.get("cures") or mapping(given).get("creates")
        ):
            said = "run needs 'skip_if' or 'cures' (checks), or 'creates' (a path): else it would run again each time"
            yield page.problem(("steps", number, "uses"), said)


def _of(
    page: Page, operation: Operation, given: Mapping[str, Any], path: Path, lists: Collection[str]
) -> Iterator[Problem]:
    wrong: list[Problem] = []
    taking = Taking(
        lambda below, value, wanted: wrong.append(
            page.problem((*path, *below), f"found {found(value)}, wanted {wanted}")
        ),
        lists=lists,
    )
    for name, value in given.items():
        parameter = operation.parameters.get(name)
        if parameter is None:
            hint = near(
                name,
                operation.parameters,
                f"; {operation.name} takes {', '.join(operation.parameters) or 'none'}",
            )
            wrong.append(page.problem((*path, name), f"unknown argument{hint}", at_key=True))
        else:
            taking.take(parameter.kind, value, (name,))
    for name, parameter in operation.parameters.items():
        if parameter.required and name not in given:
            place = path if path in page.values else path[:-1]
            wrong.append(
                Problem(page.value(place), dotted((*path, name)), f"missing: {operation.name} needs it")
            )
    yield from wrong


def _releases(page: Page, data: Mapping[str, Any]) -> Iterator[Problem]:
    seen: dict[tuple[str, str], int] = {}
    for number, release in mappings(data.get("releases")):
        path: Path = ("releases", number)
        if release.get("url") and not (release.get("sha256") or release.get("commit")):
            said = "an address needs 'sha256' or 'commit' beside it: what is downloaded is pinned"
            yield page.problem((*path, "url"), said)
        name = (str(release.get("version")), str(release.get("source", "")))
        if name in seen:
            line = page.value(("releases", seen[name])).line
            said = f"the release {name[0]!r}{f' from {name[1]!r}' if name[1] else ''} stands in line {line} already"
            yield page.problem((*path, "version"), said)
        seen.setdefault(name, number)
    sources = {source for _, source in seen if source}
    for number, step in mappings(data.get("steps")):
        for place, wanted in entries(step.get("source")):
            if wanted not in sources:
                said = f"no release comes from {wanted[:60]!r}{near(wanted, sources)}"
                yield page.problem(("steps", number, "source", place), said)


def _all_vars(data: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    yield from mapping(data.get("vars")).items()
    for _, release in mappings(data.get("releases")):
        yield from mapping(release.get("vars")).items()


def _variables(page: Page, data: Mapping[str, Any]) -> Iterator[Problem]:
    """Every `${name}` is known where it stands: facts, what releases say, and variables above."""
    releases = dict(mappings(data.get("releases")))
    lists = {name for name, value in _all_vars(data) if isinstance(value, list)}
    of_all = [
        {n for n in OF_RELEASE if r.get(n)} | set(mapping(r.get("vars"))) | _needed(r)
        for r in releases.values()
    ]
    always = set.intersection(*of_all) if of_all else set()
    partly = set().union(*of_all) - always
    for number, release in releases.items():
        names = {*FACTS, *(n for n in OF_RELEASE if release.get(n)), *_needed(release)}
        yield from _of_mapping(page, mapping(release.get("vars")), ("releases", number, "vars"), names, lists)
    names = {*FACTS, *always}
    yield from _of_mapping(page, mapping(data.get("vars")), ("vars",), names, lists, partly)
    sources = [str(release.get("source", "")) for release in releases.values()]
    for number, step in mappings(data.get("steps")):
        meant = {source for _, source in entries(step.get("source"))}
        its = [said for said, source in zip(of_all, sources, strict=True) if source in meant]
        here = names | set.intersection(*its) if its else names
        for path, text in texts(step.get("with")):
            yield from _of_text(page, text, ("steps", number, "with", *path), here, partly - here)


def _needed(release: Mapping[str, Any]) -> set[str]:
    """The names of the components that a release needs: each is the version that is chosen."""
    return {variable_of(str(name)) for name in mapping(release.get("needs"))}


def _of_mapping(
    page: Page,
    variables: Mapping[str, Any],
    path: Path,
    names: set[str],
    lists: Collection[str],
    partly: Collection[str] = (),
) -> Iterator[Problem]:
    for name, value in variables.items():
        if name in FACTS or name in OF_RELEASE:
            said = f"'{name}' is a name that every recipe has; call the variable something else"
            yield page.problem((*path, name), said, at_key=True)
        for below, text in texts(value):
            yield from _of_text(page, text, (*path, name, *below), names, partly)
            several = [n for n in lists if f"${{{n}}}" in text and not alone(text)]
            if several:
                yield page.problem((*path, name, *below), f"${{{several[0]}}} is a list and must stand alone")
        names.add(name)


def _of_text(
    page: Page, text: str, path: Path, names: Collection[str], partly: Collection[str]
) -> Iterator[Problem]:
    try:
        wanted = list(dict.fromkeys(used(text)))
    except BadNameError as error:
        yield page.problem(path, str(error))
        return
    for name in wanted:
        if name in names:
            continue
        why = "not every release says it" if name in partly else "no variable above and no fact is called so"
        hint = near(name, names, f"; names here are {', '.join(sorted(names))}")
        yield page.problem(path, f"${{{name}}}: {why}{hint}")


def _traits(page: Page, data: Mapping[str, Any]) -> Iterator[Problem]:
    for path, fits in _fits(data):
        for word in ("has", "lacks"):
            for number, name in entries(fits.get(word)):
                if name not in TRAITS:
                    hint = near(name, TRAITS, f"; traits are {', '.join(TRAITS)}")
                    yield page.problem((*path, word, number), f"no trait is called {name[:60]!r}{hint}")


def _fits(data: Mapping[str, Any]) -> Iterator[tuple[Path, dict[str, Any]]]:
    yield ("fits",), mapping(data.get("fits"))
    for key in ("releases", "steps"):
        for number, item in mappings(data.get(key)):
            yield (key, number, "fits"), mapping(item.get("fits"))
            for word in ("but", "also"):
                for place, more in mappings(item.get(word)):
                    yield (key, number, word, place), more


def _unknown_checks(page: Page, data: Mapping[str, Any], checks: Collection[str] | None) -> Iterator[Problem]:
    if checks is None:
        return
    named: list[tuple[Path, object]] = [(("verify", n), name) for n, name in entries(data.get("verify"))]
    for number, release in mappings(data.get("releases")):
        named += [(("releases", number, "verify", n), name) for n, name in entries(release.get("verify"))]
    for number, step in mappings(data.get("steps")):
        named.append((("steps", number, "skip_if"), step.get("skip_if")))
        named += [(("steps", number, "cures", n), name) for n, name in entries(step.get("cures"))]
    for path, name in named:
        if isinstance(name, str) and name not in checks:
            hint = near(name, checks, "; 'rocmdoctor list checks' shows them")
            yield page.problem(path, f"no check is called {name[:60]!r}{hint}")
