"""`@operation` and the register that recipes look names up in."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Mapping
from typing import Any, get_type_hints

from rocmdoctor.actions import Action
from rocmdoctor.frozen import frozen
from rocmdoctor.model import Query
from rocmdoctor.ops.ground import Ground

Function = Callable[..., Iterable[Action]]
Asks = Callable[..., Iterable[Query]]


@frozen
class Parameter:
    """One argument of an operation. `kind` is its annotation, `required` when it has no default."""

    name: str
    kind: Any
    required: bool
    default: Any


@frozen
class Operation:
    """An operation. `asks` gives the questions that it needs answered for its arguments before it can be planned.

    Those of them that are `foretold` are the same on every machine, so that they can be asked before anything is known.
    """

    name: str
    says: str
    function: Function
    parameters: Mapping[str, Parameter]
    asks: Asks | None
    foretold: tuple[Query, ...] = ()


OPERATIONS: dict[str, Operation] = {}


def operation(
    name: str, *, asks: Asks | None = None, foretold: tuple[Query, ...] = ()
) -> Callable[[Function], Function]:
    """Declares an operation: `function(ground, *, arguments)` yields actions, none when nothing is left to do.

    The keyword arguments, with their annotations, are the schema of a step's `with:`; annotations are str, int, bool,
    list[str], dict[str, str], a Literal, or one of the kinds in `arguments.py`. `asks(ground, *, arguments)` takes the same.
    The docstring's first line goes into the reference. Raises ValueError for a name that is taken.
    """

    def declare(function: Function) -> Function:
        if name in OPERATIONS:
            raise ValueError(f"operation {name}: the name is taken")
        doc = (inspect.getdoc(function) or "").strip().splitlines()
        says = doc[0] if doc else ""
        OPERATIONS[name] = Operation(name, says, function, _parameters(function), asks, foretold)
        return function

    return declare


def _parameters(function: Function) -> dict[str, Parameter]:
    hints = get_type_hints(function, include_extras=True)
    return {
        p.name: Parameter(
            p.name, hints[p.name], p.default is p.empty, None if p.default is p.empty else p.default
        )
        for p in inspect.signature(function).parameters.values()
        if p.kind is p.KEYWORD_ONLY
    }


__all__ = ["OPERATIONS", "Ground", "Operation", "Parameter", "operation"]
