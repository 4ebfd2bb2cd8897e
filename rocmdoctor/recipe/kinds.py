"""The kinds of operations' arguments, in words and as JSON Schema."""

from __future__ import annotations

from types import NoneType, UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from rocmdoctor.ops.arguments import Shape
from rocmdoctor.ops.registry import Operation

_WORDS = {str: "text", int: "whole number", bool: "`true` or `false`"}
_TYPES = {str: "string", int: "integer", bool: "boolean"}
_NAME = r"^\$\{[a-z][a-z0-9_]*\}$"
_HOLDS_NAME = r"\$\{"


def words(kind: Any) -> str:
    """What a kind is called; raises KeyError for one that recipes cannot say."""
    origin, inner = get_origin(kind), get_args(kind)
    if origin in (Union, UnionType):
        return " or ".join("nothing" if part is NoneType else words(part) for part in inner)
    if origin is Annotated:
        return next((part.wanted for part in inner[1:] if isinstance(part, Shape)), words(inner[0]))
    if origin is Literal:
        return " or ".join(f"`{part}`" for part in inner)
    if origin is list:
        return f"list, each {words(inner[0])}"
    if origin is dict:
        return f"mapping of {words(inner[0])} to {words(inner[1])}"
    return _WORDS[kind]


def schema(kind: Any) -> dict[str, Any]:
    """JSON Schema of a kind; `${...}` is allowed where the loader lets it pass."""
    origin, inner = get_origin(kind), get_args(kind)
    if origin in (Union, UnionType):
        return {"anyOf": [{"type": "null"} if part is NoneType else schema(part) for part in inner]}
    if origin is Annotated:
        return _shaped(schema(inner[0]), [part for part in inner[1:] if isinstance(part, Shape)])
    if origin is Literal:
        return {"enum": list(inner)}
    if origin is list:
        item = {"anyOf": [{"type": "string", "pattern": _NAME}, schema(inner[0])]}
        return {"anyOf": [{"type": "array", "items": item}, {"type": "string", "pattern": _NAME}]}
    if origin is dict:
        return {"type": "object", "propertyNames": schema(inner[0]), "additionalProperties": schema(inner[1])}
    plain = {"type": _TYPES[kind]}
    return {"anyOf": [plain, {"type": "string", "pattern": _HOLDS_NAME}]} if kind is int else plain


def _shaped(base: dict[str, Any], shapes: list[Shape]) -> dict[str, Any]:
    patterns = [{"pattern": f"^(?:{shape.pattern})$"} for shape in shapes]
    return {
        **base,
        "description": ", ".join(shape.wanted for shape in shapes),
        "anyOf": [*patterns, {"pattern": _HOLDS_NAME}],
    }


def arguments(operation: Operation) -> dict[str, Any]:
    """JSON Schema of the `with:` of an operation."""
    made: dict[str, Any] = {
        "type": "object",
        "description": operation.says,
        "additionalProperties": False,
        "properties": {},
    }
    for name, parameter in operation.parameters.items():
        made["properties"][name] = schema(parameter.kind)
        if not parameter.required and parameter.default is not None:
            made["properties"][name]["default"] = parameter.default
    required = [name for name, parameter in operation.parameters.items() if parameter.required]
    return {**made, "required": required} if required else made
