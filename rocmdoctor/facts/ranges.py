"""Which driver goes with which ROCm and with which kernel."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from rocmdoctor.facts.base import Table
from rocmdoctor.facts.driver import release_key
from rocmdoctor.frozen import frozen


@frozen
class TooNew:
    """From this kernel on, a version of the DKMS module does not build."""

    module: str
    since: str
    source: str


@frozen
class NeedsKernel:
    """The kernel whose own driver is good enough for some GPUs; `ubuntu` by flavour, where it has the fixes earlier."""

    gfx: tuple[str, ...]
    upstream: str
    ubuntu: Mapping[str, str]
    source: str

    def met(self, release: str, *, ubuntu: bool) -> bool:
        """This kernel is good enough."""
        least = self.ubuntu.get(release.rpartition("-")[2]) if ubuntu else None
        return release_key(release)[:4] >= release_key(least or self.upstream)


@frozen
class DriverTable(Table):
    """Driver releases by module version, ROCm releases by driver release, limits of the DKMS source."""

    file: ClassVar[str] = "drivers.toml"
    rocm_of_driver: Mapping[str, tuple[str, ...]]
    driver_of_module: Mapping[str, str]
    limits: tuple[TooNew, ...]
    inbox: tuple[str, ...]
    needs: tuple[NeedsKernel, ...] = ()

    @classmethod
    def load(cls, data: Mapping[str, Any]) -> DriverTable:
        return cls(
            {name: tuple(row) for name, row in data["rocm_of_driver"].items()},
            dict(data["driver_of_module"]),
            tuple(TooNew(row["module"], row["from"], row["source"]) for row in data["too_new"]),
            tuple(data["inbox"]["gfx"]),
            tuple(
                NeedsKernel(tuple(row["gfx"]), row["upstream"], row["ubuntu"], row["source"])
                for row in data["needs_kernel"]
            ),
        )

    def driver(self, module_version: str) -> str | None:
        """The driver release of a module version such as `6.8.5` or `6.8.5-2041575.24.04`."""
        return self.driver_of_module.get(module_version.partition("-")[0])

    def too_new(self, module_version: str, kernel: str) -> TooNew | None:
        """Why this kernel is known to be too new for a version of the DKMS module."""
        found = [
            limit
            for limit in self.limits
            if f"{module_version}-".startswith((f"{limit.module}-", f"{limit.module}."))
            and release_key(kernel)[:4] >= release_key(limit.since)
        ]
        return max(found, key=lambda limit: release_key(limit.since), default=None)
