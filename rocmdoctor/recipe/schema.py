"""JSON Schema of recipes and stacks, for editors and for continuous integration elsewhere."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rocmdoctor.ops.registry import Operation
from rocmdoctor.ops.traits import TRAITS
from rocmdoctor.recipe import kinds
from rocmdoctor.recipe.models import RecipeModel, StackModel

_DRAFT = "https://json-schema.org/draft/2020-12/schema"


def recipe_schema(operations: Mapping[str, Operation]) -> dict[str, Any]:
    """What a file of recipes/ may hold; `with` by the operation that `uses` names."""
    made = _made(RecipeModel, "a rocmdoctor recipe")
    step = made["$defs"]["StepModel"]
    step["properties"]["uses"] = {
        "description": step["properties"]["uses"]["description"],
        "oneOf": [{"const": name, "description": item.says} for name, item in operations.items()],
    }
    step["allOf"] = [_of(item) for item in operations.values()]
    kinds_of = ("FitsModel", "ExemptionModel", "ExtraModel")
    traits = [
        {"const": name, "description": f"This machine has {trait.says}."} for name, trait in TRAITS.items()
    ]
    for limits in (made["$defs"][name]["properties"] for name in kinds_of):
        limits["has"]["items"] = limits["lacks"]["items"] = {"oneOf": traits}
    return made


def stack_schema() -> dict[str, Any]:
    """What a file of recipes/stacks/ may hold."""
    return _made(StackModel, "a rocmdoctor stack")


def _made(model: type[RecipeModel | StackModel], title: str) -> dict[str, Any]:
    made = model.model_json_schema(by_alias=True)
    return {"$schema": _DRAFT, **_untitled(made), "title": title}


def _untitled(value: Any) -> Any:
    """Without pydantic's titles, which repeat the names of keys; a key called `title` stays."""
    if isinstance(value, dict):
        return {
            name: _untitled(item)
            for name, item in value.items()
            if name != "title" or not isinstance(item, str)
        }
    return [_untitled(item) for item in value] if isinstance(value, list) else value


def _of(operation: Operation) -> dict[str, Any]:
    then: dict[str, Any] = {"properties": {"with": kinds.arguments(operation)}}
    if any(parameter.required for parameter in operation.parameters.values()):
        then["required"] = ["with"]
    return {"if": {"properties": {"uses": {"const": operation.name}}, "required": ["uses"]}, "then": then}
