"""`@frozen` behaves as `dataclass(frozen=True)` does."""

from __future__ import annotations

import dataclasses

import pytest

from rocmdoctor.frozen import frozen


@frozen
class Ours:
    a: int
    b: tuple[str, ...] = ()


@dataclasses.dataclass(frozen=True)
class Theirs:
    a: int
    b: tuple[str, ...] = ()


@pytest.mark.parametrize("kind", [Ours, Theirs])
def test_a_value(kind: type) -> None:
    made = kind(1, b=("x",))
    assert made == kind(1, ("x",))
    assert made != kind(2, ("x",))
    assert made != (1, ("x",))
    assert hash(made) == hash(kind(1, ("x",)))
    assert len({made, kind(1, ("x",)), kind(1)}) == 2
    assert repr(made) == f"{kind.__qualname__}(a=1, b=('x',))"
    assert [f.name for f in dataclasses.fields(made)] == ["a", "b"]
    assert dataclasses.replace(made, a=3) == kind(3, ("x",))
    with pytest.raises(dataclasses.FrozenInstanceError):
        made.a = 2
    with pytest.raises(dataclasses.FrozenInstanceError):
        made.c = 2
    with pytest.raises(dataclasses.FrozenInstanceError):
        del made.a
    with pytest.raises(TypeError):
        kind()


def test_values_of_two_classes_differ() -> None:
    assert Ours(1) != Theirs(1)
