"""Packages as dpkg records them, and which of them concern GPUs: the same source live, in an image, in a container."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any, ClassVar

from rocmdoctor.facts.base import Evidence, Fact, Table, UnknownError
from rocmdoctor.frozen import frozen
from rocmdoctor.model import List, Query, Read

# Packages that are fully installed and of the usual architectures need no line of their own: the file is big.
_KEEP = (
    r"^(?:(?:Package|Version): .*|Status: (?!install ok installed$).*|Architecture: (?!all$|amd64$).*"
    r"|Maintainer: .*(?:AMD|NVIDIA|nvidia|[Rr][Oo][Cc][Mm]|[Cc]uda).*)"
)
# dpkg(1), package states.
_GONE = "not-installed"
_SETTINGS = "config-files"


@frozen
class Package:
    """One package. `state` is dpkg's word; `whole` when nothing is left to do for it."""

    name: str
    version: str
    state: str = "installed"
    flag: str = "ok"
    arch: str = ""
    maintainer: str = ""

    @property
    def whole(self) -> bool:
        return self.state == "installed" and self.flag == "ok"


@frozen
class Dpkg(Fact):
    """All packages that are there, whole or not. `updates`: dpkg was stopped before it merged its notes.

    `settings`: packages that were removed and whose settings were left behind.
    """

    packages: Mapping[str, Package]
    updates: tuple[str, ...]
    settings: Mapping[str, Package]

    @property
    def unfinished(self) -> tuple[Package, ...]:
        """Packages that dpkg has begun and not finished."""
        return tuple(p for p in self.packages.values() if not p.whole)

    def installed(self, name: str) -> bool:
        return name in self.packages and self.packages[name].state == "installed"

    @classmethod
    def queries(cls) -> Mapping[str, Query]:
        return {
            "status": Read("/var/lib/dpkg/status", keep=_KEEP, limit=16 << 20, timeout=3.0),
            "updates": List("/var/lib/dpkg/updates"),
        }

    @classmethod
    def parse(cls, ev: Evidence) -> Dpkg:
        if ev["status"].why == "absent":
            raise UnknownError(f"{ev.key('status')}: absent; this system's packages are not dpkg's")
        found: dict[str, Package] = {}
        settings: dict[str, Package] = {}
        for package in _packages(ev.text("status")):
            into = settings if package.state == _SETTINGS else found
            name = package.name if package.name not in into else f"{package.name}:{package.arch}"
            into[name] = package
        if not found:
            raise UnknownError(f"{ev.key('status')}: names no package")
        # apt-pkg/deb/debsystem.cc: only names that are digits alone count as unfinished business.
        names = ev["updates"].text.split() if ev["updates"].ok else []
        return cls(found, tuple(n for n in names if n.isdigit()), settings)


def _packages(text: str) -> Iterator[Package]:
    values: dict[str, str] = {}
    for line in [*text.splitlines(), "Package: "]:
        name, _, value = line.partition(": ")
        if name == "Package":
            if values.get("Package"):
                package = _package(values)
                if package.state != _GONE:
                    yield package
            values = {}
        values[name] = value.strip()


def _package(values: Mapping[str, str]) -> Package:
    words = values.get("Status", "install ok installed").split()
    _, flag, state = words if len(words) == 3 else ("", "?", "unreadable")
    return Package(
        name=values["Package"],
        version=values.get("Version", ""),
        state=state,
        flag=flag,
        arch=values.get("Architecture", ""),
        maintainer=values.get("Maintainer", ""),
    )


@frozen
class PackageTable(Table):
    """Which packages concern GPUs, and whose they are.

    `amd_version` finds in a version of AMD's classic packages the digits that stand for the ROCm release.
    """

    file: ClassVar[str] = "packages.toml"
    rocm: re.Pattern[str]
    driver: re.Pattern[str]
    nvidia: re.Pattern[str]
    cuda: re.Pattern[str]
    newer: re.Pattern[str]
    amd_version: re.Pattern[str]
    amd_names: re.Pattern[str]
    amd_maintainer: re.Pattern[str]
    competing: tuple[str, ...]
    runtime: tuple[str, ...]

    @classmethod
    def load(cls, data: Mapping[str, Any]) -> PackageTable:
        names = {key: re.compile(value) for key, value in data["names"].items()}
        return cls(
            rocm=names["rocm"],
            driver=names["driver"],
            nvidia=names["nvidia"],
            cuda=names["cuda"],
            newer=names["newer"],
            amd_version=re.compile(data["origin"]["amd_version"]),
            amd_names=re.compile(data["origin"]["amd_names"]),
            amd_maintainer=re.compile(data["origin"]["amd_maintainer"]),
            competing=tuple(data["distribution"]["competing"]),
            runtime=tuple(data["distribution"]["runtime"]),
        )

    def origin(self, package: Package) -> str:
        """`amd` or `distribution`."""
        vendor = (
            self.newer.match(package.name)
            or self.amd_names.fullmatch(package.name)
            or self.amd_version.search(package.version)
        )
        return "amd" if vendor or self.amd_maintainer.search(package.maintainer) else "distribution"

    def release(self, package: Package) -> str | None:
        """The ROCm release that one of AMD's packages belongs to, None where the version does not say.

        Source: ROCm/ROCm repository layout; 60204 is 6.2.4.
        """
        match = self.amd_version.search(package.version)
        if match and match.group("code"):
            code = int(match.group("code"))
            return f"{code // 10000}.{code // 100 % 100}.{code % 100}"
        match = self.newer.match(package.name) and re.match(r"(?:\d+:)?(\d+\.\d+(?:\.\d+)?)", package.version)
        return match.group(1) if match else None

    def driver_release(self, package: Package) -> str | None:
        """The release of AMD's driver by the driver's own numbers: 30300300 is 30.30.3."""
        match = self.amd_version.search(package.version)
        code = match.group("driver") if match else None
        return ".".join(str(int(code[n : n + 2])) for n in (0, 2, 4)) if code else None


@frozen
class GpuPackage:
    """A package that concerns GPUs. `origin` is amd or distribution, `release` a ROCm version or None.

    `beside`: the name carries the version, so that several may stand side by side. `newer`: of the layout with
    /opt/rocm/core-*.
    """

    name: str
    version: str
    origin: str
    release: str | None = None
    beside: bool = False
    newer: bool = False


@frozen
class GpuPackages(Fact):
    """ROCm's user-space packages, AMD's driver packages, NVIDIA's and CUDA's packages."""

    rocm: tuple[GpuPackage, ...]
    driver: tuple[GpuPackage, ...]
    nvidia: tuple[GpuPackage, ...]
    cuda: tuple[GpuPackage, ...]

    def rocm_from(self, origin: str) -> tuple[GpuPackage, ...]:
        """The ROCm packages of one origin."""
        return tuple(p for p in self.rocm if p.origin == origin)

    @classmethod
    def derive(cls, dpkg: Dpkg, table: PackageTable) -> GpuPackages:
        sorted_out: dict[str, list[GpuPackage]] = {"rocm": [], "driver": [], "nvidia": [], "cuda": []}
        for package in sorted(dpkg.packages.values(), key=lambda p: p.name):
            kind = _kind(package.name, table)
            if kind:
                sorted_out[kind].append(_judged(package, table))
        return cls(**{kind: tuple(found) for kind, found in sorted_out.items()})


def _kind(name: str, table: PackageTable) -> str | None:
    patterns = {"cuda": table.cuda, "nvidia": table.nvidia, "driver": table.driver, "rocm": table.rocm}
    return next((kind for kind, pattern in patterns.items() if pattern.match(name)), None)


def _judged(package: Package, table: PackageTable) -> GpuPackage:
    return GpuPackage(
        name=package.name,
        version=package.version,
        origin=table.origin(package),
        release=table.release(package),
        beside=re.search(r"\d+\.\d+(?:\.\d+)?(?:-gfx\w+)?$", package.name) is not None,
        newer=table.newer.match(package.name) is not None,
    )


@frozen
class ShownPackages(Fact):
    """Packages that a saved report shows with `apt show`: what somebody pasted, where no status file came along."""

    packages: tuple[Package, ...]

    @classmethod
    def parse(cls, ev: Evidence) -> ShownPackages:
        found = []
        for argv, answer in ev.runs("apt") + ev.runs("apt-cache"):
            version = re.search(r"^Version: (\S+)", answer.stdout, re.MULTILINE)
            names = [word for word in argv[2:] if not word.startswith("-")]
            if argv[1:2] == ("show",) and names and version:
                found.append(Package(names[0], version.group(1)))
        return cls(tuple(found))
