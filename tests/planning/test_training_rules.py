"""The training stack on machines, systems, Pythons and wishes in all pairs, each plan held to the facts alone."""

from __future__ import annotations

import re
from dataclasses import replace
from functools import cache
from typing import Any

import pytest

from rocmdoctor.actions import Exec, Plan
from rocmdoctor.planning.refusal import RefusedError
from tests.machines.parts import Answers, files, ran
from tests.planning.boxes import GPUS, Box, answers_of, planned
from tests.planning.pairs import all_pairs
from tests.planning.rules import needs_facts
from tests.planning.training_rules import RULES, broken, chosen

pytestmark = needs_facts

WISHES: dict[str, dict[str, Any]] = {
    "nothing": {},
    "an older torch": {"pins": ("torch==2.9.*",)},
    "a torch of 2024": {"pins": ("torch==2.3.*",)},
    "a torch of 2025": {"pins": ("torch>=2.5,<2.9",)},
    "an older ROCm": {"rocm": "6.4"},
    "ROCm of the post": {"rocm": "6.0.2"},
    "bitsandbytes built": {"from_source": ("bitsandbytes",)},
    "no root": {"no_root": True},
    "axolotl": {"more": ("axolotl",)},
    "an older DeepSpeed": {"pins": ("deepspeed<0.16.3",)},
    "the stack of 2024": {},
}
PYTHONS = ("3.8", "3.10", "3.11", "3.12", "3.13", "3.14", "uv")
PAIRS = all_pairs(
    {
        "gpu": tuple(GPUS),
        "os": ("ubuntu-20.04", "ubuntu-22.04", "ubuntu-24.04", "debian-12", "debian-13"),
        "python": PYTHONS,
        "wish": tuple(WISHES),
    }
)


def answers(box: Box, python: str) -> Answers:
    """A machine with this Python, or with uv beside one that is too old."""
    found = answers_of(box)
    own = "3.8" if python == "uv" else python
    found["glob:/usr/bin/python3.[0-9]*"] = files({f"/usr/bin/python{own}": ""})
    found["link:/usr/bin/python3"] = {"ok": True, "text": f"python{own}"}
    if python == "uv":
        found["run:uv --version"] = ran("uv 0.9.5\n")
    return found


@cache
def made(gpu: str, os: str, python: str, wish: str) -> tuple[Box, Plan | RefusedError]:
    box = Box(gpu=gpu, os=os)
    target = "axolotl-2024" if wish == "the stack of 2024" else "training"
    try:
        return box, planned(answers(box, python), target, **WISHES[wish])
    except RefusedError as error:
        return box, error


@pytest.mark.parametrize("pair", PAIRS, ids=lambda p: f"{p['gpu']}-{p['os']}-{p['python']}-{p['wish']}")
def test_each_plan_keeps_to_the_facts(pair: dict[str, str]) -> None:
    box, found = made(**pair)
    if isinstance(found, RefusedError):
        (only,) = found.refusals
        assert re.search(r"\w", only.says)
        assert only.instead
        return
    assert broken(found, box) == []


def test_most_of_the_pairs_have_a_plan() -> None:
    plans = [found for pair in PAIRS if isinstance(found := made(**pair)[1], Plan)]
    assert len(plans) > len(PAIRS) // 3
    for name, least in (
        ("torch", 30),
        ("bitsandbytes", 20),
        ("flash-attention", 12),
        ("deepspeed", 20),
        ("axolotl", 2),
    ):
        assert sum(bool(chosen(plan, name)) for plan in plans) >= least, name


def _bent(plan: Plan, old: str, new: str) -> Plan:
    """The plan with one word of its commands exchanged."""
    actions = tuple(
        replace(a, do=replace(a.do, argv=tuple(word.replace(old, new) for word in a.do.argv)))
        if isinstance(a.do, Exec)
        else a
        for a in plan.actions
    )
    return replace(plan, actions=actions)


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("torch==2.14.0+rocm7.2", "torch>=2.14.0", "every_pin_is_exact"),
        ("--index-url", "--extra-index-url", "every_pin_is_exact"),
        ("whl/rocm7.2", "whl/rocm7.1", "torch_comes_from_the_index_of_its_rocm"),
        ("torchvision==0.29.0", "torchvision==0.28.0", "the_companions_are_those_of_the_torch"),
        ("triton-rocm==3.8.0", "triton==3.8.0", "the_companions_are_those_of_the_torch"),
        ('"GPU_ARCHS": "gfx90a"', '"GPU_ARCHS": "native"', "flash_attention_takes_the_backend_of_the_gpu"),
        ('"gfx": ["gfx90a"]', '"gfx": ["gfx942"]', "what_is_compiled_fits_the_rocm_here_and_in_torch"),
        ('"DS_BUILD_OPS": "0"', '"DS_BUILD_OPS": "1"', "deepspeed_is_whole_and_asks_for_no_cuda"),
    ],
)
def test_the_rules_see_what_is_wrong(old: str, new: str, said: str) -> None:
    box = Box()
    good = planned(answers(box, "3.12"), "training")
    assert broken(good, box) == []
    assert said in {text.partition(":")[0] for text in broken(_bent(good, old, new), box)}


@pytest.mark.parametrize(
    ("component", "version", "said"),
    [
        ("torch", "2.14.0+rocm7.14", "the_driver_serves_the_wheels_rocm"),
        ("python", "3.9", "the_python_has_a_wheel"),
        ("deepspeed", "0.17.5", "deepspeed_is_whole_and_asks_for_no_cuda"),
        ("bitsandbytes", "0.49.1", "bitsandbytes_has_a_library_for_it"),
    ],
)
def test_the_rules_see_a_wrong_choice(component: str, version: str, said: str) -> None:
    box = Box()
    good = planned(answers(box, "3.12"), "training")
    driver = replace(good.choice["amdgpu-driver"], version="6.4.4")
    choice = {**good.choice, component: replace(good.choice[component], version=version)}
    if component == "torch":
        choice["amdgpu-driver"] = driver
    assert said in {text.partition(":")[0] for text in broken(replace(good, choice=choice), box)}


def test_there_are_rules() -> None:
    assert len(RULES) >= 14
