"""Recipes: how components get onto a machine, read from YAML. Pure: takes texts, opens nothing.

Importing this costs neither yaml nor pydantic; only reading a file does.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping

from rocmdoctor.ops.registry import Operation
from rocmdoctor.recipe.names import FACTS, BadNameError, UnknownNameError, names_of, substitute, variable_of
from rocmdoctor.recipe.together import together
from rocmdoctor.recipe.values import (
    BadRecipeError,
    Exemption,
    Extra,
    Fits,
    Place,
    Problem,
    Recipe,
    Recipes,
    Release,
    Stack,
    Step,
    Words,
)

__all__ = [
    "FACTS",
    "BadNameError",
    "BadRecipeError",
    "Exemption",
    "Extra",
    "Fits",
    "Place",
    "Problem",
    "Recipe",
    "Recipes",
    "Release",
    "Stack",
    "Step",
    "UnknownNameError",
    "Words",
    "load_recipe",
    "load_stack",
    "names_of",
    "substitute",
    "together",
    "variable_of",
]


def load_recipe(
    text: str,
    file: str,
    check_ids: Collection[str] | None = None,
    operations: Mapping[str, Operation] | None = None,
) -> Recipe:
    """The recipe in a text. `file` is for messages. Raises BadRecipeError with all that is wrong.

    Without `check_ids` checks that are named may be any; `operations` are by default all that there are.
    """
    from rocmdoctor.ops import all_operations  # noqa: PLC0415 - reading is rare, and needs much
    from rocmdoctor.recipe import loading, meaning  # noqa: PLC0415

    every = all_operations() if operations is None else operations
    return loading.recipe(text, file, meaning.Known(every, check_ids))


def load_stack(text: str, file: str) -> Stack:
    """The stack in a text. Raises BadRecipeError with all that is wrong."""
    from rocmdoctor.recipe import loading  # noqa: PLC0415 - reading is rare, and needs much

    return loading.stack(text, file)
