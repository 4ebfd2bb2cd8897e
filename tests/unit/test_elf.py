"""Shared libraries, looked into: made here byte by byte, since no compiler is at hand."""

from __future__ import annotations

import ctypes
import struct
import zlib
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from rocmdoctor.hosts.elf import NotElfError, describe

_HOST = "host-x86_64-unknown-linux--"


def bundle(*targets: str, prefix: str = "hipv4-amdgcn-amd-amdhsa--") -> bytes:
    """A clang offload bundle with code of no length."""
    names = [_HOST, *(prefix + t for t in targets)]
    head = b"__CLANG_OFFLOAD_BUNDLE__" + struct.pack("<Q", len(names))
    return head + b"".join(struct.pack("<QQQ", 4096, 0, len(n)) + n.encode() for n in names)


def packed(plain: bytes, version: int, method: int, body: bytes) -> bytes:
    """A compressed bundle as each version of its header has it."""
    form = {1: "<HIQ", 2: "<HIIQ", 3: "<HQQQ"}[version]
    size = 6 + struct.calcsize(form) + len(body)
    fields = (method, len(plain), 0) if version == 1 else (method, size, len(plain), 0)
    return b"CCOB" + struct.pack("<H", version) + struct.pack(form, *fields) + body


def zstd(plain: bytes) -> bytes:
    """Compressed by the system's libzstd; skips where there is none."""
    try:
        lib = ctypes.CDLL("libzstd.so.1")
    except OSError:
        pytest.skip("no libzstd here")
    lib.ZSTD_compress.restype = ctypes.c_size_t
    lib.ZSTD_compress.argtypes = [
        ctypes.c_char_p,
        ctypes.c_size_t,
        ctypes.c_char_p,
        ctypes.c_size_t,
        ctypes.c_int,
    ]
    room = ctypes.create_string_buffer(len(plain) + 1024)
    size = lib.ZSTD_compress(room, len(room), plain, len(plain), 3)
    return room.raw[:size]


def library(fatbin: bytes = b"", needed: tuple[str, ...] = (), runpath: str = "") -> bytes:
    """A minimal 64-bit ELF file with a section table."""
    strings, entries = b"\0", b""
    for tag, name in [*((1, n) for n in needed), *([(29, runpath)] if runpath else [])]:
        entries += struct.pack("<QQ", tag, len(strings))
        strings += name.encode() + b"\0"
    entries += struct.pack("<QQ", 0, 0)
    sections = {"": b"", ".dynstr": strings, ".dynamic": entries, ".hip_fatbin": fatbin, ".shstrtab": b""}
    names = b"".join(n.encode() + b"\0" for n in sections)
    sections[".shstrtab"] = names
    body, rows, at = b"", b"", 64
    for name, data in sections.items():
        where = names.find(name.encode() + b"\0")
        rows += struct.pack("<IIQQQQ", where, 1, 0, 0, at + len(body), len(data)) + b"\0" * 24
        body += data
    head = b"\x7fELF\x02\x01\x01" + b"\0" * 9 + struct.pack("<HHIQQQ", 3, 62, 1, 0, 0, 64 + len(body))
    head += struct.pack("<IHHHHHH", 0, 64, 56, 0, 64, len(sections), len(sections) - 1)
    return head + body + rows


@pytest.fixture
def look(tmp_path: Path):
    def looked(data: bytes) -> list[str]:
        path = tmp_path / "lib.so"
        path.write_bytes(data)
        with path.open("rb") as file:
            return describe(file).splitlines()

    return looked


def test_what_it_needs_and_where_it_looks(look) -> None:
    said = look(library(needed=("libamdhip64.so.6", "libc.so.6"), runpath="$ORIGIN:/opt/rocm/lib"))
    assert said == ["needed libamdhip64.so.6", "needed libc.so.6", "runpath $ORIGIN:/opt/rocm/lib"]


def test_targets_of_several_bundles_each_once(look) -> None:
    fatbin = bundle("gfx90a:xnack-", "gfx90a:xnack+") + b"\0" * 100 + bundle("gfx1030", "gfx90a:xnack-")
    assert look(library(fatbin)) == ["gfx gfx90a:xnack-", "gfx gfx90a:xnack+", "gfx gfx1030"]


def test_names_of_old_compilers(look) -> None:
    assert look(library(bundle("gfx803", prefix="hip-amdgcn-amd-amdhsa-"))) == ["gfx gfx803"]


@pytest.mark.parametrize("version", [1, 2, 3])
def test_bundles_compressed_with_zlib(look, version: int) -> None:
    plain = bundle("gfx90a", "gfx1100") + b"code" * 5000
    assert look(library(packed(plain, version, 0, zlib.compress(plain)))) == ["gfx gfx90a", "gfx gfx1100"]


@pytest.mark.touches_machine
@pytest.mark.parametrize("version", [2, 3])
def test_bundles_compressed_with_zstd(look, version: int) -> None:
    plain = bundle("gfx942", "gfx950") + b"code" * 5000
    two = (
        packed(plain, version, 1, zstd(plain))
        + b"\0" * 8
        + packed(bundle("gfx1201"), version, 1, zstd(bundle("gfx1201")))
    )
    assert look(library(two)) == ["gfx gfx942", "gfx gfx950", "gfx gfx1201"]


def test_a_bundle_that_starts_where_two_reads_meet(look, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("rocmdoctor.hosts.elf._BLOCK", 64)
    for lead in range(40, 70):
        assert look(library(b"\0" * lead + bundle("gfx90a"))) == ["gfx gfx90a"], lead


def test_a_broken_bundle_hides_no_other(look) -> None:
    bad = packed(bundle("gfx90a"), 2, 0, b"no zlib at all")
    assert look(library(bad + bundle("gfx1030"))) == ["gfx gfx1030"]


@pytest.mark.parametrize("data", [b"", b"\x7fELF", b"#!/bin/sh\n", b"\x7fELF\x01\x01" + b"\0" * 60])
def test_what_is_no_library(look, data: bytes) -> None:
    with pytest.raises(NotElfError):
        look(data)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=200)
@given(data=st.data())
def test_any_damage(look, data: st.DataObject) -> None:
    whole = bytearray(library(bundle("gfx90a", "gfx1030"), ("libc.so.6",)))
    for _ in range(data.draw(st.integers(1, 8))):
        whole[data.draw(st.integers(0, len(whole) - 1))] = data.draw(st.integers(0, 255))
    cut = data.draw(st.integers(0, len(whole)))
    try:
        said = look(bytes(whole[:cut]))
    except NotElfError:
        return
    assert all(line.split(" ", 1)[0] in ("needed", "runpath", "gfx") for line in said if line)


def test_a_name_with_a_line_break_is_one_line(look) -> None:
    assert look(library(b"", ("lib\ngfx gfx942", "lib\x85gfx gfx1100"))) == [
        "needed lib\\x0agfx gfx942", "needed lib\\x85gfx gfx1100"
    ]  # fmt: skip
