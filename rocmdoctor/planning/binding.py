"""A step's arguments with their `${names}` filled in, as the operation wants them. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from types import UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from rocmdoctor.ops.arguments import BadArgumentError, Shape
from rocmdoctor.ops.registry import Operation


def bind(operation: Operation, values: Mapping[str, Any]) -> dict[str, Any]:
    """The arguments, each of its parameter's kind. Raises BadArgumentError.

    The loader has checked what can be checked without a machine; a value that comes out of a name is checked here.
    """
    return {name: fitting(name, operation.parameters[name].kind, value) for name, value in values.items()}


def fitting(name: str, kind: Any, value: Any) -> Any:
    """The value as that kind: digits become a number, all else must be right already. Raises BadArgumentError."""
    origin, inner = get_origin(kind), get_args(kind)
    if origin is Annotated:
        return _shaped(name, inner, value)
    if origin in (Union, UnionType):
        if value is None and type(None) in inner:
            return None
        return fitting(name, next(k for k in inner if k is not type(None)), value)
    if origin is Literal:
        if value in inner:
            return value
        raise BadArgumentError(name, value, f"one of {', '.join(map(str, inner))}")
    if origin is list and isinstance(value, (list, tuple)):
        return [fitting(f"{name}.{n}", inner[0], item) for n, item in enumerate(value, 1)]
    if origin is dict and isinstance(value, Mapping):
        return {
            fitting(name, inner[0], key): fitting(f"{name}.{key}", inner[1], item)
            for key, item in value.items()
        }
    return _plain(name, kind, value)


def _shaped(name: str, inner: tuple[Any, ...], value: Any) -> Any:
    plain = fitting(name, inner[0], value)
    for shape in inner[1:]:
        if isinstance(shape, Shape) and not shape.fits(str(plain)):
            raise BadArgumentError(name, plain, shape.wanted)
    return plain


_NAMES = {str: "text", int: "a whole number", bool: "true or false", list: "a list", dict: "a map"}


def _plain(name: str, kind: Any, value: Any) -> Any:
    if kind is int and isinstance(value, str) and value.isascii() and value.isdigit():
        return int(value)
    if kind is str and isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    if isinstance(kind, type) and isinstance(value, kind) and (kind is bool or not isinstance(value, bool)):
        return value
    raise BadArgumentError(name, value, _NAMES.get(get_origin(kind) or kind, str(kind)))
