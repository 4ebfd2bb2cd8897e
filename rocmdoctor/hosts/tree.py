"""The files of a machine: this one's, or those of one that lies in a folder."""

from __future__ import annotations

import errno
import fnmatch
import glob as globbing
import os
import re
import stat as st
from collections.abc import Iterator
from contextlib import contextmanager
from typing import BinaryIO

MAX_FILES = 16384


class Tree:
    """The files of a machine below `root`; links are followed inside it and cannot climb out."""

    def __init__(self, root: str = "/") -> None:
        self.root = os.path.abspath(root)
        self.live = self.root == "/"

    def real(self, path: str) -> str:
        """The path on this machine of a path on that one. Raises OSError as `open` would."""
        if self.live:
            return path
        done: list[str] = []
        todo = [p for p in path.split("/") if p]
        hops = 0
        while todo:
            part = todo.pop(0)
            if part == ".":
                continue
            if part == "..":
                done = done[:-1]
                continue
            here = "/".join([self.root, *done, part])
            try:
                target = os.readlink(here)
            except OSError:
                done.append(part)
                continue
            hops += 1
            if hops > 40:
                raise OSError(errno.ELOOP, os.strerror(errno.ELOOP), path)
            if target.startswith("/"):
                done = []
            todo = [p for p in target.split("/") if p] + todo
        return "/".join([self.root, *done])

    @contextmanager
    def opened(self, path: str) -> Iterator[BinaryIO]:
        """A regular file, open for reading. Raises OSError for anything else, and never waits on a FIFO."""
        flags = os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOCTTY
        real = self.real(path)
        # Asked before it is opened, because to open a device can start something.
        if not st.S_ISREG(os.stat(real).st_mode):
            raise OSError(errno.EINVAL, "not a regular file", path)
        with os.fdopen(os.open(real, flags), "rb", 0) as file:
            if not st.S_ISREG(os.fstat(file.fileno()).st_mode):
                raise OSError(errno.EINVAL, "not a regular file", path)
            yield file

    def read(self, path: str, limit: int) -> tuple[bytes, bool]:
        """The first `limit` bytes of a regular file and whether there was more."""
        with self.opened(path) as file:
            parts: list[bytes] = []
            size = 0
            while size <= limit:
                part = file.read(min(1 << 16, limit + 1 - size))
                if not part:
                    break
                parts.append(part)
                size += len(part)
        data = b"".join(parts)
        return data[:limit], len(data) > limit

    def matches(self, pattern: str) -> list[str]:
        """Paths that match a pattern in which `*` stands for one part of a name, sorted, at most MAX_FILES."""
        found = [""]
        for part in (p for p in pattern.split("/") if p):
            following = []
            for folder in found:
                if not globbing.has_magic(part):
                    following.append(folder + "/" + part)
                    continue
                try:
                    names = os.listdir(self.real(folder or "/"))
                except OSError:
                    continue
                shape = re.compile(fnmatch.translate(part))
                # As in a shell, `*` does not match hidden files.
                names = [n for n in names if part.startswith(".") or not n.startswith(".")]
                following += [folder + "/" + n for n in sorted(names) if shape.match(n) and utf8(n)]
            found = following[:MAX_FILES]
        return found


def utf8(name: str) -> bool:
    try:
        name.encode("utf-8")
    except UnicodeEncodeError:
        return False
    return True
