"""A recipe or a stack for people: what it installs, for which machines, in which steps. Pure."""

from __future__ import annotations

import json
import textwrap
from collections.abc import Iterator, Mapping
from typing import Any

from rocmdoctor.ops.registry import Operation
from rocmdoctor.ops.traits import TRAITS
from rocmdoctor.recipe import Exemption, Extra, Fits, Recipe, Release, Stack, Step, Words


def recipe_page(recipe: Recipe, operations: Mapping[str, Operation], width: int = 100) -> str:
    """The page of one recipe."""
    lines = [f"{recipe.id}: {recipe.title}", *_about(recipe.about, width), ""]
    lines += _labelled("for", limits(recipe.fits))
    lines += _labelled("after", ", ".join(recipe.after))
    lines += _labelled("brings", ", ".join(recipe.brings))
    lines += _labelled("file", recipe.path)
    if recipe.releases:
        lines += ["", "Releases, the first that is for a machine is taken:"]
        for release in recipe.releases:
            lines += _release(release)
    if recipe.vars:
        lines += ["", "Variables:", *(f"  {name} = {_value(value)}" for name, value in recipe.vars.items())]
    lines += ["", "Steps:"]
    for number, step in enumerate(recipe.steps, 1):
        lines += _step(number, step, operations)
    if recipe.verify:
        lines += ["", "Checked afterwards:", *(f"  {name}" for name in recipe.verify)]
    return "\n".join(lines) + "\n"


def stack_page(stack: Stack, recipes: Mapping[str, Recipe], width: int = 100) -> str:
    """The page of one stack."""
    note = " (meant when nothing is named)" if stack.default else ""
    lines = [f"{stack.id}: {stack.title}{note}", *_about(stack.about, width), ""]
    lines += _labelled("file", stack.path)
    lines += _labelled("held to", ", ".join(stack.pins))
    lines += ["", "Recipes:", *(f"  {name}: {recipes[name].title}" for name in stack.recipes)]
    return "\n".join(lines) + "\n"


def limits(fits: Fits) -> str:
    """For which machines, in words; nothing where there is no limit."""
    parts = [
        " or ".join(fits.os),
        " ".join(fits.gfx),
        *(
            f"{name} {said}"
            for name, said in (("kernel", fits.kernel), ("ROCm", fits.rocm), ("Python", fits.python))
            if said
        ),
        *(f"with {_trait(name)}" for name in fits.has),
        *(f"without {_trait(name)}" for name in fits.lacks),
    ]
    return "; ".join(part for part in parts if part)


def _trait(name: str) -> str:
    return TRAITS[name].says if name in TRAITS else name


def _about(text: str, width: int) -> Iterator[str]:
    for paragraph in text.split("\n\n"):
        yield from textwrap.wrap(
            " ".join(paragraph.split()), width, initial_indent="  ", subsequent_indent="  "
        )


def _labelled(label: str, text: str) -> Iterator[str]:
    if text:
        yield f"  {label}: {text}"


def _exempt(item: Exemption) -> str:
    said = limits(item.fits)
    return f"{said}: {item.why}" if said else f"any machine: {item.why}"


def _said(versions: Mapping[str, str]) -> str:
    return ", ".join(f"{name} {said}" for name, said in versions.items())


def _release(release: Release) -> Iterator[str]:
    yield f"  {release.version}{f' ({release.source})' if release.source else ''}"
    for label, text in (
        ("for", limits(release.fits)),
        ("needs", _said(release.needs)),
        *((f"needs on {limits(item.fits)}", _said(item.needs)) for item in release.also),
        ("where it is there", _said(release.bounds)),
        ("comes with", _said(release.provides)),
        ("of one series", ", ".join(f"{one} and {other}" for one, other in release.alike.items())),
        ("goes with", ", ".join(f"{name} from {' or '.join(s)}" for name, s in release.beside.items())),
        ("prefers", _said(release.prefers)),
        *(("not for", _exempt(item)) for item in release.but),
        ("first because", release.why),
        ("only with --rocm and --trust-key", release.untrusted),
        ("only with --pin", release.pinned),
        ("from", release.url),
        ("sha256", release.sha256),
        ("commit", release.commit),
    ):
        if text:
            yield f"      {label}: {text}"
    yield from (f"      {name} = {_value(value)}" for name, value in release.vars.items())


def _step(number: int, step: Step, operations: Mapping[str, Operation]) -> Iterator[str]:
    says = operations[step.uses].says.partition(". ")[0].rstrip(".") if step.uses in operations else ""
    yield f"  {number}. {step.id}: {step.uses}{f', {says[:1].lower()}{says[1:]}' if says else ''}"
    for label, text in (
        ("after", ", ".join(step.after)),
        ("for", limits(step.fits)),
        ("only where it warns or fails", ", ".join(step.cures)),
        ("not where it is ok", step.skip_if),
        ("for releases from", ", ".join(step.source)),
    ):
        if text:
            yield f"       {label}: {text}"
    yield from (f"       {name} = {_value(value)}" for name, value in step.with_.items())


def _value(value: Words | Any) -> str:
    if isinstance(value, str):
        return value if value and value.isprintable() else json.dumps(value)
    if isinstance(value, list | tuple):
        return " ".join(_value(item) for item in value) or "none"
    if isinstance(value, Mapping):
        return " ".join(f"{key}={_value(item)}" for key, item in value.items()) or "none"
    return json.dumps(value)


def recipe_data(recipe: Recipe) -> dict[str, Any]:
    """The recipe under --json."""
    return {
        "id": recipe.id,
        "title": recipe.title,
        "about": recipe.about,
        "fits": _plain(recipe.fits),
        "after": list(recipe.after),
        "brings": list(recipe.brings),
        "serves": recipe.serves,
        "anywhere": recipe.anywhere,
        "by_hand": recipe.by_hand,
        "releases": [_plain(release) for release in recipe.releases],
        "vars": _plain(recipe.vars),
        "steps": [_plain(step) for step in recipe.steps],
        "verify": list(recipe.verify),
        "path": recipe.path,
    }


def stack_data(stack: Stack) -> dict[str, Any]:
    """The stack under --json."""
    return {
        "id": stack.id,
        "title": stack.title,
        "about": stack.about,
        "default": stack.default,
        "recipes": list(stack.recipes),
        "pins": list(stack.pins),
        "path": stack.path,
    }


def _plain(value: Any) -> Any:
    if isinstance(value, Exemption | Extra | Fits | Release | Step):
        return {name.rstrip("_"): _plain(item) for name, item in vars(value).items()}
    if isinstance(value, Mapping):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, tuple | list):
        return [_plain(item) for item in value]
    return value
