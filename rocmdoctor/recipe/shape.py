"""What pydantic says of a file, in our words and with the place."""

from __future__ import annotations

import difflib
from collections.abc import Collection, Iterator
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from rocmdoctor.recipe.arguments import found
from rocmdoctor.recipe.models import ExemptionModel, ExtraModel, FitsModel, ReleaseModel, StepModel
from rocmdoctor.recipe.page import Page, Path
from rocmdoctor.recipe.values import Problem

M = TypeVar("M", bound=BaseModel)
_WANTED = {
    "string_type": "a text",
    "list_type": "a list",
    "dict_type": "a mapping",
    "model_type": "a mapping",
    "bool_type": "true or false",
    "literal_error": "1, without quotes",
    "too_short": "at least one",
}


def near(word: str, words: Collection[str], otherwise: str = "") -> str:
    """`, did you mean 'this'?`, or else the other words."""
    close = difflib.get_close_matches(word[:60], words, n=1, cutoff=0.6) if len(words) <= 200 else []
    return f", did you mean '{close[0]}'?" if close else otherwise


def shaped(model: type[M], page: Page, problems: list[Problem]) -> M | None:
    """The file as the model has it; None where it is not, with the reasons."""
    try:
        return model.model_validate(page.data)
    except ValidationError as error:
        problems += [_problem(model, page, item) for item in error.errors(include_url=False)]
        return None


def _problem(model: type[BaseModel], page: Page, error: Any) -> Problem:
    path: Path = tuple(error["loc"])
    kind = error["type"]
    if kind == "missing":
        field = next(
            f for n, f in _model(model, path[:-1]).model_fields.items() if (f.alias or n) == path[-1]
        )
        return page.problem(path, f"missing: {_first(field.description or '')}")
    if kind == "extra_forbidden":
        keys = [f.alias or n for n, f in _model(model, path[:-1]).model_fields.items()]
        hint = near(str(path[-1]), keys, f"; keys here are {', '.join(keys)}")
        return page.problem(path, f"unknown key{hint}", at_key=True)
    wanted = error["ctx"]["wanted"] if kind == "wanted" else _WANTED.get(kind, error["msg"])
    at_key = path[-1:] == ("[key]",)
    path = path[:-1] if at_key else path
    return page.problem(path, f"found {found(error['input'])}, wanted {wanted}", at_key=at_key)


def _first(description: str) -> str:
    sentence = description.partition(". ")[0].rstrip(".")
    return sentence[:1].lower() + sentence[1:]


def _model(model: type[BaseModel], path: Path) -> type[BaseModel]:
    if path[-1:] == ("fits",):
        return FitsModel
    if path[-2:-1] == ("but",):
        return ExemptionModel
    if path[-2:-1] == ("also",):
        return ExtraModel
    parts: dict[object, type[BaseModel]] = {"steps": StepModel, "releases": ReleaseModel}
    return parts.get(path[0], model) if path else model


def entries(value: object) -> Iterator[tuple[int, str]]:
    """The texts of a list, with their numbers; nothing where it is no list."""
    if isinstance(value, list):
        yield from ((number, item) for number, item in enumerate(value) if isinstance(item, str))


def mapping(value: object) -> dict[str, Any]:
    """The value where it is a mapping, else an empty one."""
    return value if isinstance(value, dict) else {}


def mappings(value: object) -> Iterator[tuple[int, dict[str, Any]]]:
    """The mappings of a list, with their numbers."""
    if isinstance(value, list):
        yield from ((number, item) for number, item in enumerate(value) if isinstance(item, dict))
