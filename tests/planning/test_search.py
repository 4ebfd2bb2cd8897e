"""The search: the first of each as far as all go together, and not by trying everything."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from itertools import product

from hypothesis import given, settings
from hypothesis import strategies as st

from rocmdoctor.planning.search import Clash, Search

Pairs = frozenset[tuple[str, int, str, int]]


def in_order(_name: str, values: Sequence[int], _taken: Mapping[str, int]) -> list[int]:
    return sorted(values)


def apart(pairs: Pairs) -> Callable[[str, int, Mapping[str, int], str], Clash | None]:
    """Values that do not go together, each pair by its names in order."""

    def clash(name: str, value: int, taken: Mapping[str, int], fresh: str) -> Clash | None:
        sides = sorted(((name, value), (fresh, taken[fresh])))
        return Clash("apart", (fresh,)) if (*sides[0], *sides[1]) in pairs else None

    return clash


def search(sizes: Sequence[int], pairs: Pairs) -> Search[int]:
    return Search({f"c{n}": range(size) for n, size in enumerate(sizes)}, apart(pairs), in_order)


def by_trying_all(sizes: Sequence[int], pairs: Pairs) -> dict[str, int] | None:
    """The first in the order of the names, of all combinations."""
    for values in product(*(range(size) for size in sizes)):
        named = [(f"c{n}", value) for n, value in enumerate(values)]
        if not any((*one, *other) in pairs for n, one in enumerate(named) for other in named[n + 1 :]):
            return dict(named)
    return None


@st.composite
def problems(draw: st.DrawFn) -> tuple[list[int], Pairs]:
    sizes = draw(st.lists(st.integers(0, 3), min_size=1, max_size=5))
    values = [(f"c{n}", value) for n, size in enumerate(sizes) for value in range(size)]
    every = [
        (*one, *other) for n, one in enumerate(values) for other in values[n + 1 :] if one[0] != other[0]
    ]
    return sizes, frozenset(draw(st.sets(st.sampled_from(every)))) if every else frozenset()


@settings(deadline=None, max_examples=300)
@given(problems())
def test_it_finds_what_trying_all_finds(problem: tuple[list[int], Pairs]) -> None:
    sizes, pairs = problem
    assert search(sizes, pairs).solve() == by_trying_all(sizes, pairs)


def test_what_has_no_part_in_a_conflict_is_not_tried_again() -> None:
    # The first and the last never go together; eight components of fifty stand between them.
    never = frozenset(("c0", a, "c9", b) for a in range(50) for b in range(50))
    made = search([50] * 10, never)
    assert made.solve() is None
    assert made.stuck == "c9"
    assert made.tried == 50


def test_a_conflict_that_shows_late_goes_back_to_where_it_began() -> None:
    # c8 and c9 can agree only where c0 is 49, and neither sees that by itself: plain backtracking tries 50 to the 8th.
    pairs = {("c8", a, "c9", b) for a in range(2) for b in range(2) if a != b}
    pairs |= {("c0", n, "c8", 0) for n in range(49)} | {("c0", n, "c9", 1) for n in range(49)}
    made = search([50, *[50] * 7, 2, 2], frozenset(pairs))
    found = made.solve()
    assert found is not None
    assert found["c0"] == 49
    assert made.tried < 1000


def test_a_component_without_anything_is_named() -> None:
    made = search([2, 0, 2], frozenset())
    assert made.solve() is None
    assert made.stuck == "c1"
