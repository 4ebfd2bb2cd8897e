"""The facts that recipes may use as `${name}`. Pure."""

from __future__ import annotations

from rocmdoctor.facts.hip import CxxHeaders
from rocmdoctor.facts.rocm import RocmInstalls
from rocmdoctor.facts.system import Hardware, Kernel, OsRelease
from rocmdoctor.ops.ground import Ground

# A compiler of templates wants two GiB; more jobs than that end in the kernel's out-of-memory killer.
JOB_BYTES = 2 << 30


def facts_of(
    ground: Ground, rocm: str | None, env: str = "", python: str | None = None, rocm_home: str | None = None
) -> dict[str, str]:
    """Name to text; what cannot be told has no entry. `rocm` is the release that is planned, else the one that is here."""
    installs, hardware = ground.maybe(RocmInstalls), ground.maybe(Hardware)
    kernel, system, headers = ground.maybe(Kernel), ground.maybe(OsRelease), ground.maybe(CxxHeaders)
    found = {
        "gfx": ";".join(ground.gfx),
        "rocm": rocm or (installs.version if installs else None),
        "rocm_home": rocm_home or (installs.active.root if installs and installs.active else None),
        "env": env,
        "python": python,
        "jobs": str(_jobs(hardware)) if hardware else None,
        "src": f"{ground.person.home}/.cache/rocmdoctor/src",
        "kernel": kernel.release if kernel else None,
        "gcc": str(headers.chosen) if headers and headers.chosen else None,
        "user": ground.person.name,
        "home": ground.person.home,
        "codename": system.codename if system else None,
        "system": f"{system.id}{system.version.replace('.', '')}" if system else None,
    }
    return {name: text for name, text in found.items() if text}


def _jobs(hardware: Hardware) -> int:
    return max(1, min(hardware.threads, hardware.memory_available // JOB_BYTES))
