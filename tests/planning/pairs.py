"""All pairs: few combinations in which every two values of different factors stand together once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import combinations, product
from typing import Any

Pair = tuple[tuple[str, Any], tuple[str, Any]]


def pairs_of(combination: Mapping[str, Any]) -> set[Pair]:
    """The pairs of values that stand in a combination."""
    return set(combinations(sorted(combination.items(), key=lambda item: item[0]), 2))


def all_pairs(factors: Mapping[str, Sequence[Any]]) -> list[dict[str, Any]]:
    """Greedy: each combination begins with a pair that is still missing and takes what covers most of the rest."""
    names = sorted(factors)
    left = {
        ((a, x), (b, y)): None for a, b in combinations(names, 2) for x, y in product(factors[a], factors[b])
    }
    found: list[dict[str, Any]] = []
    while left:
        chosen = dict(next(iter(left)))
        for name in names:
            if name not in chosen:
                chosen[name] = max(
                    factors[name], key=lambda v: len(pairs_of({**chosen, name: v}) & left.keys())
                )
        for pair in pairs_of(chosen):
            left.pop(pair, None)
        found.append(chosen)
    return found
