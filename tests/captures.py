"""Captured trees of other people's machines, some of which are packed."""

from __future__ import annotations

import tarfile
from pathlib import Path


def tree_of(folder: Path, aside: Path) -> Path:
    """The root of a captured tree; a packed one is unpacked into `aside`."""
    packed = folder / "tree.tar.gz"
    if not packed.exists():
        return folder
    with tarfile.open(packed) as tar:
        for member in (m for m in tar.getmembers() if m.isfile() and ".." not in m.name and m.name[0] != "/"):
            path = aside / member.name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(tar.extractfile(member).read())
    return aside
