"""Network addresses in foreign text, told from version numbers, PCI addresses and C++ names."""

from __future__ import annotations

import ipaddress
import re

from rocmdoctor.reports.pseudonyms import Pseudonyms

_MAC = re.compile(r"(?<![\w:.-])[0-9A-Fa-f]{2}([:-])(?:[0-9A-Fa-f]{2}\1){4}[0-9A-Fa-f]{2}(?![\w:-])")
_IPV6 = re.compile(r"(?<![\w:.])[0-9A-Fa-f]{1,4}:(?:[0-9A-Fa-f]{0,4}:){1,6}[0-9A-Fa-f]{0,4}(?![\w:])")
_IPV4 = re.compile(r"(?<![\w.~+-])(?<![<>=~!]=)(?:\d{1,3}\.){3}\d{1,3}(?![\w~+-]|\.\d)")
# Answers that hold versions of four parts, and what stands before such a version elsewhere.
_VERSIONED_KEY = re.compile(r"dpkg/status|version|metadata|\bpip\b|dkms|amd-smi|rocm-smi", re.IGNORECASE)
_VERSION_BEFORE = re.compile(r"(?:vers\w*|release|\brev)\W{0,6}$|(?<![:/])/$", re.IGNORECASE)


class Addresses:
    """Pseudonyms from the ranges that are set aside for documentation (RFC 5737, 3849 and 7042)."""

    def __init__(self) -> None:
        self._seen = Pseudonyms("", "address")

    def mask(self, text: str, key: str) -> str:
        """The text with its addresses masked. `key` says where the text comes from."""
        text = _MAC.sub(lambda m: self._mac(m.group(0)), text)
        text = _IPV6.sub(lambda m: self._ipv6(m.group(0)), text)
        return _IPV4.sub(lambda m: self._ipv4(m, key), text)

    def _mac(self, text: str) -> str:
        digits = re.sub("[:-]", "", text).lower()
        if digits in ("0" * 12, "f" * 12) or digits.startswith("00005e0053"):
            return text
        return f"00:00:5e:00:53:{self._seen.number(digits) & 0xFF:02x}"

    def _ipv6(self, text: str) -> str:
        try:
            address = ipaddress.IPv6Address(text)
        except ValueError:
            return text
        # Only networks that are in use: C++ names such as `ad::be` read like addresses too.
        used = int(address) >> 125 == 1 or int(address) >> 120 in (0xFC, 0xFD, 0xFE)
        if not used or int(address) >> 96 == 0x20010DB8:
            return text
        return f"2001:db8::{self._seen.number(str(address)):x}"

    def _ipv4(self, match: re.Match[str], key: str) -> str:
        text, before = match.group(0), match.string[max(0, match.start() - 24) : match.start()]
        parts = text.split(".")
        numbers = [int(part) for part in parts]
        if max(numbers) > 255 or any(len(part) > 1 and part[0] == "0" for part in parts):
            return text
        if numbers[0] in (0, 127, 255) or numbers[:3] in ([192, 0, 2], [198, 51, 100]):
            return text
        if _VERSION_BEFORE.search(before) or (
            _VERSIONED_KEY.search(key) and not before.endswith(("://", "@"))
        ):
            return text
        number = self._seen.number(text)
        return f"192.0.2.{number}" if number < 256 else f"198.51.100.{number & 0xFF}"
