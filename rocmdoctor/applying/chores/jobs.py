"""The memory and the processors that compilers may use here."""

from __future__ import annotations

import os
import re
from pathlib import Path

_CGROUP = Path("/sys/fs/cgroup")


def threads() -> int:
    """The processors that we may use."""
    return len(os.sched_getaffinity(0))


def available_mb(meminfo: Path = Path("/proc/meminfo"), cgroup: Path = _CGROUP) -> int:
    """Memory that is free here: what the machine has, and what the groups that we are in may still take."""
    found = re.search(r"^MemAvailable:\s+(\d+) kB", _text(meminfo), re.MULTILINE)
    free = [int(found.group(1)) // 1024 if found else 1024]
    free += [left for folder in _groups(cgroup) if (left := _left(folder)) is not None]
    return max(0, min(free))


def _groups(cgroup: Path) -> list[Path]:
    """The groups that we are in, of either version of the kernel's interface: cgroups(7), /proc/pid/cgroup."""
    said = _text(Path("/proc/self/cgroup"))
    found = []
    for top, line in (
        (cgroup, r"^0::(/[^\n]*)"),
        (cgroup / "memory", r"^\d+:(?:[^:\n]*,)?memory(?:,[^:\n]*)?:(/[^\n]*)"),
    ):
        named = re.search(line, said, re.MULTILINE)
        path = top / named.group(1).lstrip("/") if named else top
        found += [p for p in (path, *path.parents) if p.is_relative_to(top)]
    return found


def _left(folder: Path) -> int | None:
    for limit_name, used_name, kept in (
        ("memory.max", "memory.current", "inactive_file"),
        ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file"),
    ):
        limit, used = _text(folder / limit_name).strip(), _text(folder / used_name).strip()
        if limit.isdigit() and used.isdigit():
            # What the kernel keeps of files is given back when memory is wanted.
            cached = re.search(rf"^{kept} (\d+)", _text(folder / "memory.stat"), re.MULTILINE)
            return (int(limit) - int(used) + (int(cached.group(1)) if cached else 0)) >> 20
    return None


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""
