"""Keys of GPU vendors that lie where apt finds keys, whether or not a repository names them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import ClassVar

from rocmdoctor.facts.apt import KeyFile, ask_keys, read_key_file
from rocmdoctor.facts.base import Evidence, Fact, UnknownError
from rocmdoctor.frozen import frozen
from rocmdoctor.model import List, Query, Stat

FOLDERS = ("/etc/apt/keyrings", "/etc/apt/trusted.gpg.d", "/usr/share/keyrings")
SHARED = "/etc/apt/trusted.gpg"
_NAMED = re.compile(r"rocm|amdgpu|radeon|cuda|nvidia", re.IGNORECASE)


@frozen
class VendorKeys(Fact):
    """Key files that are called after a GPU vendor, and `shared`, the old file of keys for every repository."""

    files: tuple[KeyFile, ...]
    shared: KeyFile | None

    templates: ClassVar[tuple[str, ...]] = (
        "stat:<key file that is called after a vendor>",
        f"run:{' '.join(ask_keys('').argv)}<key file that is called after a vendor>",
    )

    @classmethod
    def queries(cls) -> Mapping[str, Query]:
        return {**{folder: List(folder) for folder in FOLDERS}, "old": Stat(SHARED)}

    @classmethod
    def follow_up(cls, ev: Evidence) -> Mapping[str, Query]:
        asked: dict[str, Query] = {}
        for path in _paths(ev):
            asked[f"stat {path}"] = Stat(path)
            asked[f"keys {path}"] = ask_keys(path)
        return asked

    @classmethod
    def parse(cls, ev: Evidence) -> VendorKeys:
        if all(ev[folder].why == "not-asked" for folder in FOLDERS):
            raise UnknownError(f"{ev.key(FOLDERS[0])}: not asked")
        read = [read_key_file(path, ev) for path in _paths(ev)]
        return cls(
            tuple(file for file in read if file.path != SHARED),
            next((file for file in read if file.path == SHARED), None),
        )


def _paths(ev: Evidence) -> list[str]:
    found = [
        f"{folder}/{name.rstrip('@')}"
        for folder in FOLDERS
        for name in ev[folder].text.splitlines()
        if _NAMED.search(name) and name.rstrip("@").endswith((".gpg", ".asc"))
    ]
    return found + ([SHARED] if ev["old"].ok else [])
