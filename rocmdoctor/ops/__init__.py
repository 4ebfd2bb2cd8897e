"""Operations that recipe steps call by name: facts and arguments in, actions out. Pure."""

from __future__ import annotations

import importlib
import pkgutil

from rocmdoctor.ops.registry import OPERATIONS, Operation


def all_operations() -> dict[str, Operation]:
    """Every operation of this package by name."""
    for module in pkgutil.iter_modules(__path__, f"{__name__}."):
        importlib.import_module(module.name)
    return dict(sorted(OPERATIONS.items()))
