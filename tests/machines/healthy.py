"""Healthy machines of each family. A check that raises an alarm on one of them is wrong."""

from __future__ import annotations

import importlib
import pkgutil
from dataclasses import replace
from functools import cache
from pathlib import Path

from tests.machines.parts import Answers, GpuSpec, Part, Spec
from tests.machines.python_env import HEALTHY_ENV

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
    "mi210-training": Spec("mi210-training", gpus=(MI210,), rocm="6.2.4", extra={"env": HEALTHY_ENV}),
}

_RX6600XT = GpuSpec(100302, "73ff", "c1", "0000:03:00.0", 128, 64, 2, vram=8_573_157_376, pci_class="30000")
_MI300X = GpuSpec(90402, "74a1", "00", "0000:05:00.0", 128, 1216, num_xcc=8, vram=206_141_652_992, hive=0x31)

# Machines to start from that are not tried for silence: some check has a remark on each by design.
OTHERS = {
    "rx6600xt": Spec("rx6600xt", gpus=(_RX6600XT,), kernel="6.8.0-45-generic"),
    "igpu-first": Spec("igpu-first", gpus=(replace(RAPHAEL, bdf="0000:01:00.0"), RX7900XTX)),
    "rx7900xtx-2x": Spec(
        "rx7900xtx-2x",
        gpus=(RX7900XTX, replace(RX7900XTX, bdf="0000:06:00.0", render_minor=129, unique_id=0x2002)),
        extra={"cmdline": "iommu=pt"},
    ),
    "igpu-only": Spec("igpu-only", gpus=(RAPHAEL,)),
    "mi300a": Spec("mi300a", gpus=(replace(_MI300X, device="74a0", num_xcc=6, simd_count=912, hive=0),)),
    "mi210-2x": Spec(
        "mi210-2x", gpus=(MI210, replace(MI210, bdf="0000:83:00.0", render_minor=129, unique_id=0x1002))
    ),
    "mi300x-2x": Spec(
        "mi300x-2x",
        gpus=(
            replace(_MI300X, unique_id=0x3001),
            replace(_MI300X, bdf="0000:26:00.0", render_minor=136, unique_id=0x3002),
        ),
        extra={"cmdline": "iommu=pt pci=realloc=off"},
    ),
}


@cache
def _parts() -> list[Part]:
    found: list[Part] = []
    for module in pkgutil.iter_modules([str(Path(__file__).parent)]):
        found += getattr(importlib.import_module(f"tests.machines.{module.name}"), "PARTS", ())
    return found


def build(spec: Spec) -> Answers:
    """The answers of a machine of these figures."""
    answers: Answers = {}
    for part in _parts():
        more = part(spec)
        doubled = sorted(set(more) & set(answers))
        assert not doubled, f"two parts answer {doubled}"
        answers.update(more)
    return answers


@cache
def _built(name: str) -> Answers:
    return build(HEALTHY.get(name) or OTHERS[name])


def machine(name: str) -> Answers:
    """The answers of a healthy machine; a copy that may be changed."""
    return {key: dict(value) for key, value in _built(name).items()}
