#!/usr/bin/env python3
"""Measures how long the releases of a stack take to be chosen, on machines and wishes of all kinds. Never part of a test verdict.

    PYTHONPATH=. python benchmarks/choosing.py      with an interpreter that has rocmdoctor's dependencies

The budget is 0.2 s for one choice. `harder` are choices among 50 releases of 10 components that mostly do not go together.
"""

from __future__ import annotations

import random
import statistics
import time
from collections.abc import Mapping, Sequence
from itertools import product
from typing import Any

from rocmdoctor.actions import Request
from rocmdoctor.content import DataTables, bundled, load_recipes
from rocmdoctor.diagnosis.known import Known
from rocmdoctor.facts import all_facts
from rocmdoctor.model import Wish
from rocmdoctor.planning.compat import OF_MACHINES, blank, fitting, systems
from rocmdoctor.planning.search import Clash, Search

WISHES: dict[str, dict[str, Any]] = {
    "nothing": {},
    "an older torch": {"pins": ("torch==2.9.*",)},
    "an older flash-attention": {"pins": ("flash-attention==2.6.3",)},
    "what collides": {"pins": ("torch<2.5", "bitsandbytes>=0.50")},
    "bitsandbytes built": {"from_source": ("bitsandbytes",)},
    "axolotl": {"more": ("axolotl",)},
}


def real() -> None:
    """The stack `training`, for each wish on each system and some targets."""
    found, facts, tables = load_recipes((bundled(),)), all_facts(), DataTables(bundled())
    for name, wish in WISHES.items():
        spent = []
        for system, gfx in product(systems(found), ("gfx90a", "gfx942", "gfx1100", "gfx1030", "gfx906")):
            known = Known(blank(system, facts), tables, Wish())
            began = time.perf_counter()
            fitting(Request(("training",), **wish), found, known, (gfx,), OF_MACHINES)
            spent.append(time.perf_counter() - began)
        _say(name, spent)


def harder(seed: int = 1) -> None:
    """Releases that go with each other by chance; the last component goes with none where `stuck`."""
    for tight, stuck in ((0.3, False), (0.6, False), (0.8, False), (0.6, True), (0.8, True)):
        spent = []
        for run in range(20):
            apart = _chance(random.Random(seed * 1000 + run), tight, stuck=stuck)
            names = [f"c{n}" for n in range(10)]
            search: Search[int] = Search({name: range(50) for name in names}, apart, _in_order)
            began = time.perf_counter()
            search.solve()
            spent.append(time.perf_counter() - began)
        _say(f"harder: {tight:.0%} of pairs apart{', nothing fits' if stuck else ''}", spent)


def _in_order(_name: str, values: Sequence[int], _taken: Mapping[str, int]) -> list[int]:
    return sorted(values)


def _chance(chance: random.Random, tight: float, *, stuck: bool) -> Any:
    salt = chance.random()
    # Each component has to do with a few others, as packages have.
    near = {
        frozenset(pair)
        for pair in (("c0", "c1"), *((f"c{n}", f"c{chance.randrange(n)}") for n in range(1, 10)))
    }

    def clash(name: str, value: int, taken: Mapping[str, int], fresh: str) -> Clash | None:
        if stuck and name == "c9" and fresh == "c0":
            return Clash("never", (fresh,))
        if frozenset((name, fresh)) not in near:
            return None
        sides = sorted(((name, value), (fresh, taken[fresh])))
        return Clash("by chance", (fresh,)) if random.Random(f"{salt}{sides}").random() < tight else None

    return clash


def _say(what: str, spent: list[float]) -> None:
    print(
        f"{what:45} {statistics.median(spent) * 1e3:7.1f} ms   at most {max(spent) * 1e3:7.1f} ms   {len(spent)} choices"
    )


if __name__ == "__main__":
    real()
    harder()
