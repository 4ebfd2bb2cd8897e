"""`@frozen`: a frozen dataclass that costs a third of the time to define.

`dataclass(frozen=True)` compiles six methods for each class. A hundred facts make that a fifth of a second, more than
judging a snapshot takes; here only `__init__` is compiled, and the other methods are shared.
"""

from __future__ import annotations

from dataclasses import FrozenInstanceError, dataclass
from typing import TYPE_CHECKING, Any, TypeVar

T = TypeVar("T")

if TYPE_CHECKING:
    from typing_extensions import dataclass_transform
else:

    def dataclass_transform(**_: bool) -> Any:
        return lambda function: function


def _set_once(self: Any, name: str, new: object) -> None:
    if name in self.__dict__ or name not in type(self).__dataclass_fields__:
        raise FrozenInstanceError(f"cannot assign to field {name!r}")
    object.__setattr__(self, name, new)


def _delete_never(_self: Any, name: str) -> None:
    raise FrozenInstanceError(f"cannot delete field {name!r}")


def _same(self: Any, other: object) -> Any:
    return self.__dict__ == other.__dict__ if other.__class__ is self.__class__ else NotImplemented


def _hash(self: Any) -> int:
    return hash(tuple(self.__dict__.values()))


def _shown(self: Any) -> str:
    return f"{type(self).__qualname__}({', '.join(f'{k}={v!r}' for k, v in self.__dict__.items())})"


_SHARED = {
    "__setattr__": _set_once,
    "__delattr__": _delete_never,
    "__eq__": _same,
    "__hash__": _hash,
    "__repr__": _shown,
}


@dataclass_transform(frozen_default=True)
def frozen(cls: type[T]) -> type[T]:
    """Makes a frozen dataclass: fields are set once, values of one class with equal fields are equal."""
    made = dataclass(repr=False, eq=False)(cls)
    for name, method in _SHARED.items():
        setattr(made, name, method)
    return made
