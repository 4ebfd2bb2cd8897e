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
    named = re.search(r"^0::(/[^\n]*)", _text(Path("/proc/self/cgroup")), re.MULTILINE)
    path = cgroup / named.group(1).lstrip("/") if named else cgroup
    return [p for p in (path, *path.parents) if p.is_relative_to(cgroup)]


def _left(folder: Path) -> int | None:
    limit, used = _text(folder / "memory.max").strip(), _text(folder / "memory.current").strip()
    # What the kernel keeps of files is given back when memory is wanted.
    cached = re.search(r"^inactive_file (\d+)", _text(folder / "memory.stat"), re.MULTILINE)
    if not limit.isdigit() or not used.isdigit():
        return None
    return (int(limit) - int(used) + (int(cached.group(1)) if cached else 0)) >> 20


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""
