"""Other texts of the same kind: versions, targets, paths and names changed, logs' prefixes put before lines, lines wrapped, noise around."""

from __future__ import annotations

import random
import re

_VERSION = re.compile(r"(?<![\w.])\d{1,3}\.\d{1,3}(?:\.\d{1,6}){0,3}(?![\w.]*\d{5})")
_GFX = re.compile(r"gfx(?:9[0-9a-f]{2}|1[0-9]{3})\b")
_HOME = re.compile(r"/(?:home/[\w-]+|root|Users/[\w-]+)(?=/)")
_ROCM = re.compile(r"/opt/rocm(?:-\d[\d.]*)?(?=/)")
_PYTHON = re.compile(r"python3\.\d+")
_HEX = re.compile(r"0x[0-9a-f]{6,16}")
_BDF = re.compile(r"\b0000:[0-9a-f]{2}:00\.0")
_TMP = re.compile(r"/tmp/[\w.-]+(?=/)")
_TARGETS = ("gfx90a", "gfx942", "gfx908", "gfx1100", "gfx1201", "gfx1151", "gfx1030", "gfx906")
_NOISE = (
    "[12/345] Building CXX object CMakeFiles/x.dir/src/error_handling.cpp.o",
    "Collecting packaging>=20.0 (from some-package)",
    "  0 errors, 3 warnings",
    "INFO:root:step 100 loss 0.53, no failed requests",
    "Setting up libgomp1:amd64 (12.2.0-14) ...",
    "[    1.234567] usb 1-1: new high-speed USB device number 2 using xhci_hcd",
    "-- Looking for pthread_create in pthreads - not found",
)


def changed(text: str, rng: random.Random) -> str:
    """Versions, targets, paths and names are others; one that stands twice stays the same in both places."""
    memory: dict[str, str] = {}

    def other(make):
        def swap(found: re.Match[str]) -> str:
            key = found[0]
            if key not in memory:
                memory[key] = make(key)
            return memory[key]

        return swap

    def version(old: str) -> str:
        parts = old.split(".")
        # Two that differ in their first numbers still do.
        shift = rng.randrange(1, 4)
        return ".".join([str(int(parts[0]) + 1), parts[1], *(str(int(p) + shift) for p in parts[2:])])

    text = _PYTHON.sub(other(lambda _: f"python3.{rng.choice((10, 11, 12, 13))}"), text)
    text = _VERSION.sub(other(version), text) if "glibc" not in text.lower() else text
    text = _GFX.sub(other(lambda _: rng.choice(_TARGETS)), text)
    text = _HOME.sub(other(lambda _: rng.choice(("/home/jane", "/data/users/bob", "/root"))), text)
    text = _ROCM.sub(other(lambda _: rng.choice(("/opt/rocm", "/opt/rocm-6.4.1", "/usr"))), text)
    text = _TMP.sub(other(lambda _: f"/tmp/{rng.choice(('build.x1', 'amd.Q9zz', 'pip-install-7abc'))}"), text)
    text = _HEX.sub(other(lambda k: "0x" + "".join(rng.choices("0123456789abcdef", k=len(k) - 2))), text)
    return _BDF.sub(other(lambda _: f"0000:{rng.randrange(16, 255):02x}:00.0"), text)


def dressed(text: str, rng: random.Random) -> str:
    """Every line behind one of the prefixes that logs put there."""
    lines = text.strip("\n").split("\n")
    kind = rng.choice(("github", "docker", "rank", "journal", "indent", "ansi", "crlf", "quote"))
    made = []
    for number, line in enumerate(lines):
        made.append(
            {
                "github": f"2026-03-01T10:00:{number % 60:02d}.1234567Z {line}",
                "docker": f"#12 {number}.512 {line}",
                "rank": f"[rank0]: {line}",
                "journal": f"Mar 01 10:00:{number % 60:02d} box trainer[4711]: {line}",
                "indent": f"      {line}",
                "ansi": f"\x1b[31m{line}\x1b[0m",
                "crlf": f"{line}\r",
                "quote": f"> {line}",
            }[kind]
        )
    return "\n".join(made)


def wrapped(text: str, rng: random.Random) -> str:
    """As a terminal cuts long lines."""
    width = rng.choice((80, 100, 120))
    made = []
    for line in text.split("\n"):
        made += [line[at : at + width] for at in range(0, len(line), width)] or [""]
    return "\n".join(made)


def noisy(text: str, rng: random.Random) -> str:
    """In the middle of a long log of what went well."""
    before, after = ([rng.choice(_NOISE) for _ in range(rng.randrange(50, 300))] for _ in range(2))
    return "\n".join([*before, text.strip("\n"), *after])


KINDS = {"changed": changed, "dressed": dressed, "wrapped": wrapped, "noisy": noisy}
