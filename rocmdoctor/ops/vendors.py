"""Whose packages stay: those of the releases that a plan wants, and NVIDIA's beside such a GPU. Pure."""

from __future__ import annotations

from rocmdoctor.facts.apt import RepositoryTable, Source
from rocmdoctor.facts.dpkg import Package, PackageTable
from rocmdoctor.facts.pci import PciDisplays
from rocmdoctor.facts.rocm import RocmInstalls
from rocmdoctor.facts.system import Inside
from rocmdoctor.frozen import frozen
from rocmdoctor.ops.ground import Ground

# The releases of these components are AMD's; others have versions of their own.
ROCM, DRIVER = "rocm", "amdgpu-driver"
# Where a release comes from when it is not AMD's repository.
_OTHERS = ("distro", "pip", "kernel")
# Versions with such a part are no releases: what is here stays, whichever it is.
_HERE = "+installed"


@frozen
class WantedAmd:
    """The releases from AMD's repositories that a plan wants, None where it wants none. `kept`: whatever is there."""

    rocm: str | None
    driver: str | None
    driver_kept: bool

    @property
    def any(self) -> bool:
        return self.rocm is not None or self.driver is not None or self.driver_kept

    def takes(self, package: Package, table: PackageTable) -> bool:
        """A package of AMD's belongs to what is wanted."""
        release = table.release(package)
        if table.driver.match(package.name):
            release = release or table.driver_release(package)
            return self.driver_kept or (release is not None and _same(release, self.driver))
        return release is not None and _same(release, self.rocm)

    def serves(self, source: Source, table: RepositoryTable) -> bool:
        """A repository of AMD's holds what is wanted."""
        release, kind = table.release(source), table.kind(source)
        if kind == "rocm":
            return release is not None and _same(release, self.rocm)
        if kind == "amdgpu":
            return self.driver_kept or (release is not None and _same(release, self.driver))
        return False


def wanted_amd(ground: Ground) -> WantedAmd:
    """What the plan chooses of AMD's."""
    rocm, driver = (_chosen(ground, name) for name in (ROCM, DRIVER))
    if rocm is not None and rocm.endswith(_HERE):
        installs = ground.maybe(RocmInstalls)
        rocm = installs.version if installs else None
    kept = driver is not None and driver.endswith(_HERE)
    return WantedAmd(rocm, None if kept else driver, kept)


def kept_rocm(ground: Ground) -> str | None:
    """The folder of the ROCm that is here and that the plan keeps, None where it keeps none."""
    choice, installs = ground.wanted.get(ROCM), ground.maybe(RocmInstalls)
    if choice is None or not choice.version.endswith(_HERE) or installs is None:
        return None
    return installs.active.root if installs.active else None


def _chosen(ground: Ground, name: str) -> str | None:
    choice = ground.wanted.get(name)
    return None if choice is None or choice.source in _OTHERS else choice.version


def _same(one: str, other: str | None) -> bool:
    """6.0 is 6.0.0: folders of repositories drop a trailing zero."""
    return other is not None and _plain(one) == _plain(other)


def _plain(version: str) -> list[str]:
    parts = version.partition("+")[0].split(".")
    while len(parts) > 2 and parts[-1] == "0":
        parts.pop()
    return parts


def nvidia_stays(ground: Ground) -> str:
    """Why NVIDIA's packages and sources stay, "" when they may go."""
    if "nvidia" in ground.keep:
        return "--keep nvidia was asked for"
    inside, displays = ground.maybe(Inside), ground.maybe(PciDisplays)
    if inside is not None and inside.wsl:
        return "under Windows an NVIDIA GPU does not show on the PCI bus"
    if displays is None:
        return "whether an NVIDIA GPU is here cannot be told"
    return "an NVIDIA GPU is here" if displays.nvidia else ""


__all__ = ["DRIVER", "ROCM", "WantedAmd", "kept_rocm", "nvidia_stays", "wanted_amd"]
