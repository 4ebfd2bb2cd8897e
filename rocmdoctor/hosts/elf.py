"""What a shared library needs and which GPUs it has code for, read from its bytes.

Standard library only, like the collector that calls it. Compressed bundles are unpacked as far as their list of
entries: with zlib, or with the libzstd that every Debian and Ubuntu has, since Python itself has no zstd before 3.14.
"""

from __future__ import annotations

import ctypes
import mmap
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
_MOST = 4096  # entries, sections and bundles: more of them than that is garbage

_DT_NEEDED, _DT_RPATH, _DT_RUNPATH = 1, 15, 29


class NotElfError(ValueError):
    """The file is no 64-bit little-endian ELF file, or is cut short."""


def describe(file: Any) -> str:
    """Lines `needed NAME`, `runpath PATH` and `gfx TARGET` of an open binary file. Raises NotElfError, OSError."""
    try:
        with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
            return "".join(f"{kind} {value}\n" for kind, value in _facts(data))
    except (struct.error, ValueError, IndexError) as error:
        raise NotElfError(str(error)) from error


def _facts(data: mmap.mmap) -> Iterator[tuple[str, str]]:
    table = _sections(data)
    yield from _dynamic(data, table)
    seen = set()
    for target in _targets(data, *table.get(_FATBIN, (0, 0))):
        if target not in seen:
            seen.add(target)
            yield "gfx", target


def _sections(data: mmap.mmap) -> dict[str, tuple[int, int]]:
    """Section name to offset and size in bytes."""
    if data[:6] != b"\x7fELF\x02\x01":
        raise NotElfError("no 64-bit little-endian ELF file")
    (start,) = struct.unpack_from("<Q", data, 0x28)
    step, count, names_at = struct.unpack_from("<HHH", data, 0x3A)
    if not start or not count:
        return {}
    rows = [struct.unpack_from("<IIQQQQ", data, start + n * step) for n in range(min(count, _MOST))]
    names = rows[names_at][4]
    return {_text(data, names + row[0]): (row[4], row[5]) for row in rows}


def _text(data: mmap.mmap, start: int) -> str:
    return data[start : data.find(b"\0", start, start + 4096)].decode("utf-8", "backslashreplace")


def _dynamic(data: mmap.mmap, table: dict[str, tuple[int, int]]) -> Iterator[tuple[str, str]]:
    start, size = table.get(".dynamic", (0, 0))
    strings = table.get(".dynstr", (0, 0))[0]
    for at in range(start, start + min(size, 16 * _MOST), 16):
        tag, value = struct.unpack_from("<QQ", data, at)
        if tag == _DT_NEEDED:
            yield "needed", _text(data, strings + value)
        elif tag in (_DT_RPATH, _DT_RUNPATH):
            yield "runpath", _text(data, strings + value)


def _targets(data: mmap.mmap, start: int, size: int) -> Iterator[str]:
    at, end = start, start + size
    for _ in range(_MOST):
        plain, packed = data.find(_PLAIN, at, end), data.find(_PACKED, at, end)
        if plain < 0 and packed < 0:
            return
        if packed < 0 or 0 <= plain < packed:
            yield from _entries(data[plain : min(end, plain + _HEAD)])
            at = plain + len(_PLAIN)
        else:
            head, length = _unpacked(data, packed, end)
            yield from _entries(head)
            at = packed + max(length, len(_PACKED))


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


def _unpacked(data: mmap.mmap, start: int, end: int) -> tuple[bytes, int]:
    """The beginning of a compressed bundle, and its whole length in bytes (0 where the header does not say)."""
    (version,) = struct.unpack_from("<H", data, start + len(_PACKED))
    form = _HEADERS.get(version)
    if form is None:
        return b"", 0
    fields = struct.unpack_from(form, data, start + len(_PACKED) + 2)
    body = start + len(_PACKED) + 2 + struct.calcsize(form)
    length = fields[1] if version > 1 else 0
    packed = data[body : min(end, start + length if length else end)]
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
