"""Where an environment was changed, what it had before is what is planned."""

from __future__ import annotations

import json
from typing import Any

import pytest

from rocmdoctor.actions import Request
from rocmdoctor.content import bundled, load_recipes
from rocmdoctor.planning.recorded import as_recorded
from tests.judging import judge
from tests.machines.healthy import machine
from tests.ops.test_operations import ground_of

_ENV = "/home/ann/ft"
_IDS = {verdict.id for verdict in judge(machine("no-gpu")).diagnosis.verdicts}
_RECIPES = load_recipes((bundled(),), _IDS).recipes


def _held(recorded: dict[str, str], **wish: Any) -> list[str]:
    """What is held in an environment with torch 2.7.1 and bitsandbytes 0.49.2."""
    rows = [{"name": n, "version": v, "size": 7, "sha256": ""} for n, v in recorded.items()]
    answers = machine("mi210-training")
    text = json.dumps({"schema": 1, "kept_out": [], "distributions": rows})
    answers[f"read:{_ENV}/.rocmdoctor-protected.json"] = {"ok": True, "text": text}
    request = Request(**{"targets": ("torch",), "env": _ENV, **wish})
    return list(as_recorded(request, _RECIPES, ground_of(answers).known, "/home/ann"))


_CHANGED = {"torch": "2.9.1+rocm6.4", "bitsandbytes": "0.49.2"}


@pytest.mark.parametrize(
    ("recorded", "wish", "held"),
    [
        # What was built for a torch goes with it, though it is itself what it was.
        (_CHANGED, {}, ["torch==2.9.1+rocm6.4", "bitsandbytes==0.49.2"]),
        (_CHANGED, {"pins": ("torch==2.10.*",)}, ["bitsandbytes==0.49.2"]),
        (_CHANGED, {"from_source": ("bitsandbytes",)}, ["torch==2.9.1+rocm6.4"]),
        (_CHANGED, {"env": "/home/ann/other"}, []),
        (_CHANGED, {"env": None}, []),
        ({"torch": "2.7.1+rocm6.2.4"}, {}, []),
        ({"torch": "1.0+rocm1.0"}, {}, []),
        ({"torch": "2.9.1+rocm6.4", "torchvision": "0.24.1+rocm6.4", "numpy": "1"}, {}, ["torch==2.9.1+rocm6.4"]),
        ({}, {}, []),
    ],
)  # fmt: skip
def test_what_is_taken_again(recorded: dict[str, str], wish: dict[str, Any], held: list[str]) -> None:
    assert _held(recorded, **wish) == held
