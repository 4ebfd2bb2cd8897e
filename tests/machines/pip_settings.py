"""Variables of pip and uv: none is set. Their files are answered with the environment that they belong to."""

from __future__ import annotations

from tests.machines.parts import ABSENT, Answers, Spec

_NAMES = (
    *(f"PIP_{name}" for name in ("INDEX_URL", "EXTRA_INDEX_URL", "CONSTRAINT", "USER", "TARGET")),
    "UV_INDEX_URL",
    "UV_EXTRA_INDEX_URL",
)


def variables(_spec: Spec) -> Answers:
    """A shell as it comes."""
    return {f"env:{name}": ABSENT for name in _NAMES}


PARTS = (variables,)
