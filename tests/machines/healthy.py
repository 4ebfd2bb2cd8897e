"""Healthy machines of each family. A check that raises an alarm on one of them is wrong."""

from __future__ import annotations

import importlib
import pkgutil
from functools import cache
from pathlib import Path

from tests.machines.parts import Answers, GpuSpec, Part, Spec

MI210 = GpuSpec(
    90010, "740f", "02", "0000:63:00.0", 128, 416, vram=68_702_699_520, hive=0x11, unique_id=0x1001
)
RX7900XTX = GpuSpec(
    110000,
    "744c",
    "c8",
    "0000:03:00.0",
    128,
    192,
    2,
    vram=25_753_026_560,
    unique_id=0x2001,
    pci_class="30000",
)
RAPHAEL = GpuSpec(100306, "164e", "d8", "0000:7a:00.0", 129, 4, 2, vram=536_870_912, pci_class="30000")

HEALTHY = {
    "mi210": Spec("mi210", gpus=(MI210,), rocm="6.2.4"),
    "mi210-no-rocm": Spec("mi210-no-rocm", gpus=(MI210,)),
    "rx7900xtx-with-igpu": Spec(
        "rx7900xtx-with-igpu",
        os_version="24.04",
        codename="noble",
        kernel="6.8.0-45-generic",
        gpus=(RX7900XTX, RAPHAEL),
        rocm="6.2.4",
        threads=32,
    ),
    "no-gpu": Spec("no-gpu"),
}


def _parts() -> list[Part]:
    found: list[Part] = []
    for module in pkgutil.iter_modules([str(Path(__file__).parent)]):
        found += getattr(importlib.import_module(f"tests.machines.{module.name}"), "PARTS", ())
    return found


@cache
def _built(name: str) -> Answers:
    answers: Answers = {}
    for part in _parts():
        more = part(HEALTHY[name])
        doubled = sorted(set(more) & set(answers))
        assert not doubled, f"two parts answer {doubled}"
        answers.update(more)
    return answers


def machine(name: str) -> Answers:
    """The answers of a healthy machine; a copy that may be changed."""
    return {key: dict(value) for key, value in _built(name).items()}
