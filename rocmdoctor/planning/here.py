"""Which versions of components are on a machine already. Pure."""

from __future__ import annotations

import re

from packaging.version import Version

from rocmdoctor.diagnosis.known import Known
from rocmdoctor.facts.dkms import Dkms
from rocmdoctor.facts.driver import AmdgpuModule
from rocmdoctor.facts.host import HostTable, SystemGlibc
from rocmdoctor.facts.ranges import DriverTable
from rocmdoctor.facts.rocm import RocmInstalls
from rocmdoctor.facts.system import Kernel
from rocmdoctor.ops.vendors import DRIVER, ROCM
from rocmdoctor.recipe import Release

_NAMED = re.compile(r"0(?:\.\d+)?\+")
# The C library, of which no recipe chooses a version.
GLIBC = "glibc"
_SOURCES = {"classic": "amd", "core": "amd", "distribution": "distro", "wheel": "pip"}


def version_here(component: str, known: Known) -> str | None:
    """Its version, None where it is not here, cannot be told, or has no version of its own, as the kernel's driver."""
    if component == ROCM:
        installs = known.maybe(RocmInstalls)
        return installs.version if installs else None
    if component == GLIBC:
        return _glibc(known)
    module = known.maybe(AmdgpuModule)
    if component != DRIVER or module is None or not module.version:
        return None
    return known.get(DriverTable).driver(module.version)


def _glibc(known: Known) -> str | None:
    """The C library's version, by its files or else by the distribution."""
    found = known.maybe(SystemGlibc)
    if found is None:
        return None
    version = found.version or known.get(HostTable).glibc.get(found.distribution)
    return f"{version[0]}.{version[1]}" if version else None


def failed_here(release: Release, known: Known) -> str | None:
    """Why a driver is not built once more: a module of its series did not build for the running kernel."""
    dkms, kernel = known.maybe(Dkms), known.maybe(Kernel)
    if release.source != "dkms" or dkms is None or kernel is None or dkms.serving(kernel.release):
        return None
    table = known.get(DriverTable)
    for version in dkms.versions:
        series = table.driver(version.version)
        if series and f"{release.version}.".startswith(f"{series}."):
            for failed in version.failed:
                if failed.kernel in ("", kernel.release):
                    said = f": {failed.errors[0]}" if failed.errors else ""
                    return f"its module {version.version} did not build here for {kernel.release}{said}"
    return None


def older_than_here(release: Release, known: Known) -> str | None:
    """Why AMD's packages cannot take the place of AMD's that are here: apt puts no older ones there by itself."""
    here = version_here(ROCM, known) if source_here(known) == "amd" else None
    if here is None or release.source != "amd" or Version(here) <= Version(release.version):
        return None
    return f"ROCm {here} of AMD's is here and must go first; 'rocmdoctor install base' sees to that"


def source_here(known: Known) -> str | None:
    """Where the ROCm that is here comes from."""
    installs = known.maybe(RocmInstalls)
    return _SOURCES.get(installs.active.layout) if installs and installs.active else None


def plain(version: str) -> bool:
    """A version of its own; `0+` and a word name what is there already, what the kernel has, or nothing at all."""
    return _NAMED.match(version) is None
