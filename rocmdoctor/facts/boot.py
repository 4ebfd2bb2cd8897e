"""Secure Boot and kernel lockdown: whether a module needs a key that the firmware knows."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import ClassVar

from rocmdoctor.facts.base import Evidence, Fact, UnknownError
from rocmdoctor.frozen import frozen
from rocmdoctor.model import Query, Read, Run, Stat

# UEFI specification, EFI_GLOBAL_VARIABLE. The file is four bytes of attributes and one of value.
_VARIABLE = "/sys/firmware/efi/efivars/SecureBoot-8be4df61-93ca-11d2-aa0d-00e098032b8c"
# Where DKMS finds the key that it signs with: Ubuntu's and Debian's shim-signed, then its own (/etc/dkms/framework.conf).
KEYS = ("/var/lib/shim-signed/mok/MOK.der", "/var/lib/dkms/mok.pub")


@frozen
class SecureBoot(Fact):
    """`on`: the firmware checks signatures. `lockdown` is the kernel's word, "" when it has none.

    `key` is the file that DKMS signs with, None when there is none; `enrolled` is None when nobody could say.
    """

    on: bool
    efi: bool
    lockdown: str
    key: str | None
    enrolled: bool | None

    templates: ClassVar[tuple[str, ...]] = ("run:mokutil --test-key <key>",)

    @classmethod
    def queries(cls) -> Mapping[str, Query]:
        return {
            "sysfs": Stat("/sys/firmware"),
            "efi": Stat("/sys/firmware/efi"),
            "variable": Read(_VARIABLE, limit=16),
            "state": Run(("mokutil", "--sb-state"), limit=4096),
            "lockdown": Read("/sys/kernel/security/lockdown"),
            **{key: Stat(key) for key in KEYS},
        }

    @classmethod
    def follow_up(cls, ev: Evidence) -> Mapping[str, Query]:
        key = _key(ev)
        if key is None or not _on(ev):
            return {}
        return {"test": Run(("mokutil", "--test-key", key), limit=4096)}

    @classmethod
    def parse(cls, ev: Evidence) -> SecureBoot:
        on = _on(ev)
        if on is None:
            raise UnknownError(f"{ev.key('variable')}: {ev['variable'].why or 'cannot be read as a switch'}")
        current = re.search(r"\[(\w+)\]", ev["lockdown"].text)
        tested = (ev["test"].stdout + ev["test"].stderr) if "test" in ev else ""
        # mokutil.c: `<file> is already enrolled`, `<file> is not enrolled`
        enrolled = False if "is not enrolled" in tested else True if "already enrolled" in tested else None
        return cls(on, ev["efi"].ok, current.group(1) if current else "", _key(ev), enrolled)


def _on(ev: Evidence) -> bool | None:
    # mokutil.c: the firmware checks, and shim was told to let everything pass.
    if "validation is disabled in shim" in ev["state"].stdout:
        return False
    raw = ev["variable"].text
    if ev["variable"].ok and raw and raw[-1] in "\x00\x01":
        return raw[-1] == "\x01"
    said = re.search(r"SecureBoot (enabled|disabled)", ev["state"].stdout)
    if said:
        return said.group(1) == "enabled"
    if "EFI variables are not supported" in ev["state"].stdout + ev["state"].stderr:
        return False
    return False if ev["efi"].why == "absent" and ev["sysfs"].ok else None


def _key(ev: Evidence) -> str | None:
    return next((key for key in KEYS if ev[key].ok), None)


@frozen
class Booted(Fact):
    """How this system comes up. `systemd`: it is process 1; `grub`: its settings are made by update-grub."""

    systemd: bool
    grub: bool
    boot_id: str

    @classmethod
    def queries(cls) -> Mapping[str, Query]:
        return {
            # sd_booted(3).
            "systemd": Stat("/run/systemd/system"),
            "grub": Stat("/usr/sbin/update-grub"),
            "boot_id": Read("/proc/sys/kernel/random/boot_id", limit=64),
        }

    @classmethod
    def parse(cls, ev: Evidence) -> Booted:
        ev.text("systemd", absent="")
        return cls(ev["systemd"].ok, ev["grub"].ok, ev["boot_id"].text.strip())
