"""OpenPGP public keys as far as repositories need them: which keys a file holds, and one of them alone, armored. RFC 4880."""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
from collections.abc import Iterator

_BEGIN, _END = "-----BEGIN PGP PUBLIC KEY BLOCK-----", "-----END PGP PUBLIC KEY BLOCK-----"
_BLOCK = re.compile(
    rf"{_BEGIN}\r?\n(?P<head>(?:[^\r\n]+: [^\r\n]*\r?\n)*)\r?\n(?P<body>.*?){_END}", re.DOTALL
)
# Section 4.3: the packet that begins a key.
_PRIMARY = 6
_LARGEST = 1 << 20


class NoKeyError(Exception):
    """Bytes that hold no such key; the message says what they hold."""


def fingerprints(data: bytes) -> tuple[str, ...]:
    """Of the primary keys in a file, armored or not, in its order."""
    return tuple(name for name, _ in _keys(data))


def alone(data: bytes, fingerprint: str) -> str:
    """The key of this fingerprint, armored as apt wants it in a file named .asc. Raises NoKeyError."""
    found = dict(_keys(data))
    if fingerprint in found:
        return _armored(found[fingerprint])
    if not found:
        raise NoKeyError("no OpenPGP key")
    raise NoKeyError(f"the key {' and '.join(found)}")


def _keys(data: bytes) -> Iterator[tuple[str, bytes]]:
    """Fingerprint and packets of each key: its primary packet and all up to the next one."""
    name, packets = "", b""
    for tag, body, raw in _packets(_plain(data)):
        if tag == _PRIMARY:
            if name:
                yield name, packets
            name, packets = _fingerprint(body), b""
        packets += raw
    if name:
        yield name, packets


def _plain(data: bytes) -> bytes:
    text = data[:_LARGEST].decode("latin-1")
    blocks = list(_BLOCK.finditer(text))
    if not blocks:
        return data[:_LARGEST]
    plain = b""
    for block in blocks:
        # Section 6.1: the last line is a checksum, which only tells of lines that got lost.
        lines = [line.strip() for line in block["body"].splitlines() if not line.startswith("=")]
        try:
            plain += base64.b64decode("".join(lines), validate=True)
        except binascii.Error:
            return b""
    return plain


def _fingerprint(body: bytes) -> str:
    """Section 12.2, for keys of version 4; others have none that repositories use."""
    if body[:1] != b"\x04":
        return ""
    head = b"\x99" + len(body).to_bytes(2, "big")
    return hashlib.sha1(head + body, usedforsecurity=False).hexdigest().upper()


def _packets(data: bytes) -> Iterator[tuple[int, bytes, bytes]]:
    """Tag, body and raw bytes of each packet; ends at what is none."""
    at = 0
    while at + 2 <= len(data) and data[at] & 0x80:
        tag, start, length = _header(data, at)
        if length is None or start + length > len(data):
            return
        yield tag, data[start : start + length], data[at : start + length]
        at = start + length


def _header(data: bytes, at: int) -> tuple[int, int, int | None]:
    """Tag, place of the body, and its length; None where it cannot be told."""
    first = data[at]
    if first & 0x40:
        return _new_header(first & 0x3F, data, at + 1)
    width = 1 << (first & 0x03)
    if width > 4:
        return (first >> 2) & 0x0F, at + 1, None
    return (first >> 2) & 0x0F, at + 1 + width, int.from_bytes(data[at + 1 : at + 1 + width], "big")


def _new_header(tag: int, data: bytes, at: int) -> tuple[int, int, int | None]:
    said = data[at]
    if said < 192:
        return tag, at + 1, said
    if said < 224 and at + 1 < len(data):
        return tag, at + 2, ((said - 192) << 8) + data[at + 1] + 192
    if said == 255:
        return tag, at + 5, int.from_bytes(data[at + 1 : at + 5], "big")
    return tag, at, None


def _armored(packets: bytes) -> str:
    text = base64.b64encode(packets).decode("ascii")
    lines = [text[n : n + 64] for n in range(0, len(text), 64)]
    sum24 = base64.b64encode(_crc24(packets).to_bytes(3, "big")).decode("ascii")
    return "\n".join([_BEGIN, "", *lines, f"={sum24}", _END, ""])


def _crc24(data: bytes) -> int:
    """Section 6.1."""
    crc = 0xB704CE
    for byte in data:
        crc ^= byte << 16
        for _ in range(8):
            crc = (crc << 1) ^ (0x1864CFB if crc & 0x800000 else 0)
    return crc & 0xFFFFFF
