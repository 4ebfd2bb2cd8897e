"""What a shared library needs and which GPUs it has code for, read from its bytes.

Standard library only, like the collector that calls it. Compressed bundles are unpacked as far as their list of
entries: with zlib, or with the libzstd that every Debian and Ubuntu has, since Python itself has no zstd before 3.14.
"""

from __future__ import annotations

import ctypes
import os
import struct
import zlib
from collections.abc import Iterator
from typing import Any

# clang/lib/Driver/OffloadBundler.cpp: magic of plain bundles, of compressed ones, and what follows `CCOB` and the
# version in each version of the header: method, sizes, hash. Method 0 is zlib, 1 is zstd.
_PLAIN = b"__CLANG_OFFLOAD_BUNDLE__"
_PACKED = b"CCOB"
_HEADERS = {1: "<HIQ", 2: "<HIIQ", 3: "<HQQQ"}
_FATBIN = ".hip_fatbin"
_HEAD = 1 << 17  # bytes of a bundle in which its list of entries ends; 64 targets take less than 8 KiB
_BLOCK = 1 << 22  # bytes read at a time
_MOST = 4096  # entries, sections and bundles: more of them than that is garbage

_DT_NEEDED, _DT_RPATH, _DT_RUNPATH = 1, 15, 29


class NotElfError(ValueError):
    """The file is no 64-bit little-endian ELF file, or is cut short."""


def describe(file: Any) -> str:
    """Lines `needed NAME`, `runpath PATH` and `gfx TARGET` of an open binary file. Raises NotElfError, OSError."""
    try:
        return "".join(f"{kind} {_shown(value)}\n" for kind, value in _facts(_Bytes(file.fileno())))
    except (struct.error, ValueError, IndexError) as error:
        raise NotElfError(str(error)) from error


def _shown(value: str) -> str:
    """On one line, also where a damaged file says that a name has line ends in it."""
    return "".join(letter if letter.isprintable() else "\N{REPLACEMENT CHARACTER}" for letter in value)


class _Bytes:
    """A file as bytes. Not mapped into memory: one that shrinks meanwhile would end the whole process."""

    def __init__(self, handle: int) -> None:
        self._handle = handle

    def part(self, at: int, size: int) -> bytes:
        """Up to `size` bytes from `at` on."""
        # No file reaches further; larger numbers come from damaged ones.
        return os.pread(self._handle, max(0, size), at) if 0 <= at < 1 << 62 else b""

    def numbers(self, form: str, at: int) -> tuple[int, ...]:
        """What `form` of the struct module says stands at `at`. Raises struct.error past the end."""
        return struct.unpack(form, self.part(at, struct.calcsize(form)))

    def text(self, at: int) -> str:
        """The bytes up to the next NUL."""
        return self.part(at, 4096).partition(b"\0")[0].decode("utf-8", "backslashreplace")

    def find(self, words: tuple[bytes, ...], at: int, end: int) -> tuple[int, bytes]:
        """Where the first of the words stands between `at` and `end`, and which; -1 when none does."""
        overlap = max(map(len, words)) - 1
        while at < end:
            block = self.part(at, min(_BLOCK, end - at))
            if len(block) <= overlap:
                break
            found = [(where, word) for word in words if (where := block.find(word)) >= 0]
            if found:
                where, word = min(found)
                return at + where, word
            at += len(block) - overlap
        return -1, b""


def _facts(data: _Bytes) -> Iterator[tuple[str, str]]:
    table = _sections(data)
    yield from _dynamic(data, table)
    seen = set()
    for target in _targets(data, *table.get(_FATBIN, (0, 0))):
        if target not in seen:
            seen.add(target)
            yield "gfx", target


def _sections(data: _Bytes) -> dict[str, tuple[int, int]]:
    """Section name to offset and size in bytes."""
    if data.part(0, 6) != b"\x7fELF\x02\x01":
        raise NotElfError("no 64-bit little-endian ELF file")
    (start,) = data.numbers("<Q", 0x28)
    step, count, names_at = data.numbers("<HHH", 0x3A)
    if not start or not count:
        return {}
    rows = [data.numbers("<IIQQQQ", start + n * step) for n in range(min(count, _MOST))]
    names = rows[names_at][4]
    return {data.text(names + row[0]): (row[4], row[5]) for row in rows}


def _dynamic(data: _Bytes, table: dict[str, tuple[int, int]]) -> Iterator[tuple[str, str]]:
    start, size = table.get(".dynamic", (0, 0))
    strings = table.get(".dynstr", (0, 0))[0]
    for at in range(start, start + min(size, 16 * _MOST), 16):
        tag, value = data.numbers("<QQ", at)
        if tag == _DT_NEEDED:
            yield "needed", data.text(strings + value)
        elif tag in (_DT_RPATH, _DT_RUNPATH):
            yield "runpath", data.text(strings + value)


def _targets(data: _Bytes, start: int, size: int) -> Iterator[str]:
    at, end = start, start + size
    for _ in range(_MOST):
        at, word = data.find((_PLAIN, _PACKED), at, end)
        if at < 0:
            return
        if word == _PLAIN:
            yield from _entries(data.part(at, min(_HEAD, end - at)))
            at += len(_PLAIN)
        else:
            head, length = _unpacked(data, at, end)
            yield from _entries(head)
            at += max(length, len(_PACKED))


def _entries(head: bytes) -> Iterator[str]:
    """The targets of a bundle: after the magic a count, then offset, size and length of the id, and the id."""
    if not head.startswith(_PLAIN) or len(head) < len(_PLAIN) + 8:
        return
    (count,) = struct.unpack_from("<Q", head, len(_PLAIN))
    at = len(_PLAIN) + 8
    for _ in range(min(count, _MOST)):
        if at + 24 > len(head):
            return
        length = struct.unpack_from("<QQQ", head, at)[2]
        name = head[at + 24 : at + 24 + length].decode("ascii", "replace")
        at += 24 + length
        # hipv4-amdgcn-amd-amdhsa--gfx90a:xnack-, older hip-amdgcn-amd-amdhsa-gfx803; the host's entry has no gfx.
        where = name.find("gfx")
        if where > 0:
            yield name[where:]


def _unpacked(data: _Bytes, start: int, end: int) -> tuple[bytes, int]:
    """The beginning of a compressed bundle, and its whole length in bytes (0 where the header does not say)."""
    (version,) = data.numbers("<H", start + len(_PACKED))
    form = _HEADERS.get(version)
    if form is None:
        return b"", 0
    fields = data.numbers(form, start + len(_PACKED) + 2)
    body = start + len(_PACKED) + 2 + struct.calcsize(form)
    length = fields[1] if version > 1 else 0
    # A list of entries is packed into far less than this.
    packed = data.part(body, min(_BLOCK, (start + length if length else end) - body, end - body))
    return (_zstd(packed) if fields[0] == 1 else _zlib(packed)), length


def _zlib(packed: bytes) -> bytes:
    try:
        return zlib.decompressobj().decompress(packed, _HEAD)
    except zlib.error:
        return b""


class _Buffer(ctypes.Structure):
    """ZSTD_inBuffer and ZSTD_outBuffer of zstd.h."""

    _fields_ = (("data", ctypes.c_void_p), ("size", ctypes.c_size_t), ("pos", ctypes.c_size_t))


def _zstd(packed: bytes) -> bytes:
    try:
        lib = ctypes.CDLL("libzstd.so.1")
    except OSError:
        return b""
    lib.ZSTD_createDStream.restype = ctypes.c_void_p
    lib.ZSTD_decompressStream.restype = ctypes.c_size_t
    lib.ZSTD_decompressStream.argtypes = [ctypes.c_void_p, ctypes.POINTER(_Buffer), ctypes.POINTER(_Buffer)]
    lib.ZSTD_isError.argtypes = [ctypes.c_size_t]
    lib.ZSTD_freeDStream.argtypes = [ctypes.c_void_p]
    source, target = ctypes.create_string_buffer(packed, len(packed)), ctypes.create_string_buffer(_HEAD)
    given = _Buffer(ctypes.addressof(source), len(packed), 0)
    taken = _Buffer(ctypes.addressof(target), _HEAD, 0)
    stream = lib.ZSTD_createDStream()
    try:
        while given.pos < given.size and taken.pos < taken.size:
            before = (given.pos, taken.pos)
            left = lib.ZSTD_decompressStream(stream, ctypes.byref(taken), ctypes.byref(given))
            if lib.ZSTD_isError(left) or left == 0 or (given.pos, taken.pos) == before:
                break
    finally:
        lib.ZSTD_freeDStream(stream)
    return bytes(target.raw[: taken.pos])
