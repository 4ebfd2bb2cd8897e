"""How far a build is, as its tool counts: ninja's `[12/340]`, and the `[ 12%]` of makefiles that CMake writes."""

from __future__ import annotations

import re

_OF = re.compile(r"^\s*\[\s*(\d{1,7})/(\d{1,7})\]")
_PERCENT = re.compile(r"^\s*\[\s*(\d{1,3})%\]")


def counted(line: str) -> str:
    """`12 of 340` or `12 %`, nothing for a line that counts nothing."""
    if (found := _OF.match(line)) and 0 < int(found.group(1)) <= int(found.group(2)):
        return f"{int(found.group(1))} of {int(found.group(2))}"
    if (found := _PERCENT.match(line)) and int(found.group(1)) <= 100:
        return f"{int(found.group(1))} %"
    return ""
