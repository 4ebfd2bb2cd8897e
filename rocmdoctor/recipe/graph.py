"""Circles in what comes after what."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence


def circles(after: Mapping[str, Sequence[str]]) -> Iterator[tuple[str, ...]]:
    """Each circle once, from its first name in the mapping's order, each followed by one that it names.

    A name that stands in several circles is told with one of them.
    """
    done: set[str] = set()
    for start in after:
        if start in done:
            continue
        trail: list[str] = [start]
        left = [iter(after[start])]
        on_trail = {start: 0}
        while trail:
            following = next(left[-1], None)
            if following is None:
                done.add(trail[-1])
                del on_trail[trail.pop()]
                left.pop()
            elif following in on_trail:
                yield (*trail[on_trail[following] :], following)
            elif following in after and following not in done:
                on_trail[following] = len(trail)
                trail.append(following)
                left.append(iter(after[following]))
