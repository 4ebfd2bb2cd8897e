"""Which versions of components are on a machine already. Pure."""

from __future__ import annotations

from rocmdoctor.diagnosis.known import Known
from rocmdoctor.facts.driver import AmdgpuModule
from rocmdoctor.facts.ranges import DriverTable
from rocmdoctor.facts.rocm import RocmInstalls
from rocmdoctor.ops.vendors import DRIVER, ROCM

_SOURCES = {"classic": "amd", "core": "amd", "distribution": "distro", "wheel": "pip"}


def version_here(component: str, known: Known) -> str | None:
    """Its version, None where it is not here, cannot be told, or has no version of its own, as the kernel's driver."""
    if component == ROCM:
        installs = known.maybe(RocmInstalls)
        return installs.version if installs else None
    module = known.maybe(AmdgpuModule)
    if component != DRIVER or module is None or not module.version:
        return None
    return known.get(DriverTable).driver(module.version)


def source_here(known: Known) -> str | None:
    """Where the ROCm that is here comes from."""
    installs = known.maybe(RocmInstalls)
    return _SOURCES.get(installs.active.layout) if installs and installs.active else None


def plain(version: str) -> bool:
    """A version of its own; one with a + and a word names what is there already, or the kernel's."""
    return "+" not in version
