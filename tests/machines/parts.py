"""Machines described by their figures: each part gives the answers that a real machine of that kind gives.

Every part is a function from a `Spec` to answers by key. The healthy machines of `HEALTHY` must raise no alarm.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

Answers = dict[str, dict[str, Any]]


@dataclass(frozen=True)
class GpuSpec:
    """A GPU as KFD and PCI show it. `vram` in bytes, `hive` 0 for none.

    A partitioned GPU is several of these at one address, `partition` being the number; `modes` are those of compute and
    memory.
    """

    gfx_target_version: int
    device: str
    revision: str
    bdf: str
    render_minor: int
    simd_count: int
    simd_per_cu: int = 4
    num_xcc: int = 1
    vram: int = 64 << 30
    hive: int = 0
    unique_id: int = 0
    pci_class: str = "38000"
    partition: int = 0
    modes: tuple[str, str] | None = None


@dataclass(frozen=True)
class Spec:
    """One machine. `rocm` is a version, "" for none; `user` the login that asks."""

    name: str
    os_id: str = "ubuntu"
    os_version: str = "22.04"
    codename: str = "jammy"
    kernel: str = "5.15.0-119-generic"
    gpus: tuple[GpuSpec, ...] = ()
    rocm: str = ""
    user: str = "ann"
    uid: int = 1000
    threads: int = 64
    memory_kib: int = 527_953_000
    extra: dict[str, Any] = field(default_factory=dict)

    @property
    def cards(self) -> tuple[GpuSpec, ...]:
        """The GPUs as the bus has them: a partitioned one is one."""
        return tuple(gpu for gpu in self.gpus if gpu.partition == 0)


Part = Callable[[Spec], Answers]


def text(value: str, **more: Any) -> dict[str, Any]:
    """An answer that is a text."""
    return {"ok": True, "text": value, **more}


def files(values: dict[str, str]) -> dict[str, Any]:
    """An answer to a glob."""
    return {"ok": True, "files": values}


def ran(stdout: str = "", code: int = 0, stderr: str = "", **more: Any) -> dict[str, Any]:
    """An answer of a program."""
    return {"ok": True, "exit_code": code, "stdout": stdout, "stderr": stderr, "seconds": 0.02, **more}


ABSENT: dict[str, Any] = {"ok": False, "why": "absent"}
