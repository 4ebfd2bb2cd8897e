"""What to ask a machine and how to read its answers, one file per subject. Pure."""

from __future__ import annotations

import importlib
import pkgutil

from rocmdoctor.facts.base import Fact


def all_facts() -> list[type[Fact]]:
    """Every fact of this package that asks something."""
    for module in pkgutil.iter_modules(__path__, f"{__name__}."):
        importlib.import_module(module.name)
    return [fact for fact in Fact.registered if not hasattr(fact, "derive")]
