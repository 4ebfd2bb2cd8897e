"""What kind of text a line stands in, by marks in the lines around it."""

from __future__ import annotations

import re

_MARKS: tuple[tuple[str, re.Pattern[bytes]], ...] = tuple(
    (kind, re.compile(pattern, re.MULTILINE))
    for kind, pattern in (
        (
            "pip",
            rb"^ *(?:Collecting \S|Looking in indexes:|Requirement already satisfied|Building wheels? for|Installing collected|ERROR: (?:Could not|No matching|Cannot install|pip)|note: This error originates from a subprocess|Preparing metadata|  Downloading http|WARNING: Retrying)|error: subprocess-exited-with-error|\bpip3? install\b",
        ),
        (
            "uv",
            rb"^ *(?:Resolved \d+ package|Prepared \d+ package|Installed \d+ package|Using CPython|  (?:x|\xc3\x97) (?:No solution found|Failed to))|\buv (?:pip|sync|add)\b|hint: .*uv",
        ),
        (
            "cmake",
            rb"^(?:#\d+ [\d.]+ )?(?:-- (?:The |Configuring|Check for working|Detecting|Looking for|Found|Could NOT)|CMake (?:Error|Warning) )",
        ),
        ("ninja", rb"ninja: |^(?:#\d+ [\d.]+ )?\[\d+/\d+\] |^FAILED: "),
        ("make", rb"\bmake(?:\[\d+\])?: |^\[ {0,2}\d+%\] "),
        (
            "compiler",
            rb":\d+:(?:\d+:)? (?:fatal )?(?:error|warning|note): |\b(?:hipcc|clang|clang\+\+|g\+\+|c\+\+|cc1plus|nvcc)\b",
        ),
        (
            "linker",
            rb"\b(?:ld|lld|ld\.lld|collect2|lld-link)(?:\.\w+)?: |relocation |undefined reference|linker command failed",
        ),
        (
            "apt",
            rb"^(?:Reading package lists|Building dependency tree|Get:\d+ |Hit:\d+ |Err:\d+ |Ign:\d+ |E: |W: |Setting up |Unpacking |dpkg: |Selecting previously)|\bapt(?:-get)? (?:install|update|upgrade)\b",
        ),
        ("dkms", rb"\bdkms\b|DKMS|/var/lib/dkms/|Building (?:initial )?module"),
        ("kernel", rb"\[ *\d+\.\d{6}\] |\bkernel: |\bkfd kfd: |\bamdgpu [0-9a-f]{4}:"),
        ("python", rb"Traceback \(most recent call last\)|^ *File \"[^\"\n]+\", line \d+"),
        ("rccl", rb"\bN?R?CCL (?:INFO|WARN|TRACE)\b|\bNCCL\b"),
        (
            "docker",
            rb"^#\d+ (?:\[|\d+\.\d+ |DONE|ERROR)|^ => |docker: |^Step \d+/\d+ : |\bdocker (?:run|build)\b|^(?:RUN|FROM) ",
        ),
    )
)


def kinds_of(around: bytes) -> set[str]:
    """The kinds whose marks stand in the text."""
    return {kind for kind, mark in _MARKS if mark.search(around)}
