"""Every ROCm on the machine: AMD's folders below /opt, the distribution's packages, wheels, and what is left of them."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any, ClassVar

from rocmdoctor.facts.base import Evidence, Fact, Table, UnknownError
from rocmdoctor.facts.dpkg import Dpkg, GpuPackages, PackageTable
from rocmdoctor.facts.tools import Tools, opt_target
from rocmdoctor.frozen import frozen
from rocmdoctor.model import Env, Glob, Link, List, Query, Read, Stat

_CLASSIC = re.compile(r"rocm(?:-(?P<version>\d+(?:\.\d+)*))?")
_CORE = re.compile(r"core-(?P<version>\d+(?:\.\d+)*)")
_NUMBER = re.compile(r"\d+\.\d+(?:\.\d+)?")
_WHEEL = "lib/python3*/site-packages/rocm_sdk_core-*.dist-info/METADATA"


@frozen
class RocmFolder:
    """What lies at one root. `version` is what the folder says of itself, else its name; `hip` HIP's own version.

    `layout` is classic or core. `programs` and `libraries`: bin/ holds hipconfig or hipcc, lib/ the HIP runtime.
    """

    root: str
    version: str | None
    layout: str
    hip: str | None
    programs: bool
    libraries: bool
    empty: bool

    @property
    def whole(self) -> bool:
        return self.programs or self.libraries


@frozen
class RocmFolders(Fact):
    """Folders of ROCm. `link` is what /opt/rocm points to (None: no link), `dangling` when that is not there.

    `wheels` are (environment, version) of rocm-sdk-core, `distribution` HIP's version where it lies below /usr.
    """

    folders: tuple[RocmFolder, ...]
    link: str | None
    target: str | None
    dangling: bool
    distribution: str | None
    wheels: tuple[tuple[str, str], ...]
    templates: ClassVar[tuple[str, ...]] = (
        "list:/opt/<rocm*>",
        "list:/opt/<rocm*>/bin",
        "list:/opt/<rocm*>/lib",
        "link:/opt/<rocm*>",
        "list:/opt/rocm/<core-*>",
        "list:/opt/rocm/<core-*>/bin",
        "list:/opt/rocm/<core-*>/lib",
        f"glob:<VIRTUAL_ENV or CONDA_PREFIX>/{_WHEEL}",
    )

    @classmethod
    def queries(cls) -> Mapping[str, Query]:
        return {
            "opt": List("/opt"),
            "rocm": List("/opt/rocm"),
            "link": Link("/opt/rocm"),
            "target": Stat("/opt/rocm"),
            "alternative": Link("/etc/alternatives/rocm"),
            "versions": Glob("/opt/rocm*/.info/version", limit=256),
            "core versions": Glob("/opt/rocm/core-*/.info/version", limit=256),
            "hip": Glob("/opt/rocm*/share/hip/version", keep=r"^HIP_VERSION_\w+=\d+"),
            "core hip": Glob("/opt/rocm/core-*/share/hip/version", keep=r"^HIP_VERSION_\w+=\d+"),
            "usr hip": Read("/usr/share/hip/version", keep=r"^HIP_VERSION_\w+=\d+"),
            "usr hipconfig": Stat("/usr/bin/hipconfig"),
            "environment": Env(("VIRTUAL_ENV", "CONDA_PREFIX")),
        }

    @classmethod
    def follow_up(cls, ev: Evidence) -> Mapping[str, Query]:
        asked: dict[str, Query] = {}
        for root in _roots(ev):
            asked[f"link {root}"] = Link(root)
            asked[f"list {root}"] = List(root)
            asked[f"bin {root}"] = List(f"{root}/bin")
            asked[f"lib {root}"] = List(f"{root}/lib")
        for prefix in _environments(ev):
            asked[f"wheel {prefix}"] = Glob(f"{prefix}/{_WHEEL}", keep=r"^Version: \S{1,40}", limit=4096)
        return asked

    @classmethod
    def parse(cls, ev: Evidence) -> RocmFolders:
        if ev["opt"].why == "not-asked":
            raise UnknownError(f"{ev.key('opt')}: not asked")
        link = ev["link"].text.strip() if ev["link"].ok else None
        return cls(
            folders=tuple(f for f in (_folder(root, ev) for root in _roots(ev)) if f is not None),
            link=link,
            target=_target(ev),
            dangling=link is not None and ev["target"].why == "absent",
            distribution=_hip(ev["usr hip"].text) if ev["usr hipconfig"].ok else None,
            wheels=tuple(_wheels(ev)),
        )


def _target(ev: Evidence) -> str | None:
    """The folder that /opt/rocm leads to."""
    return opt_target(ev) or ("/opt/rocm" if ev["target"].ok else None)


def _roots(ev: Evidence) -> list[str]:
    """Folders that may hold a ROCm; /opt/rocm itself only where it is no link."""
    names = [n for n in ev["opt"].text.splitlines() if _CLASSIC.fullmatch(n.rstrip("/@"))]
    roots = [f"/opt/{n.rstrip('/@')}" for n in names if not (n == "rocm@" or n.endswith("@"))]
    cores = [n.rstrip("/@") for n in ev["rocm"].text.splitlines() if _CORE.fullmatch(n.rstrip("/@"))]
    if cores and "/opt/rocm" in roots:
        roots.remove("/opt/rocm")
    return roots + [f"/opt/rocm/{name}" for name in cores]


def _environments(ev: Evidence) -> list[str]:
    found = []
    for name in ("VIRTUAL_ENV", "CONDA_PREFIX"):
        try:
            value = ev.env(name)
        except UnknownError:
            continue
        if value and re.fullmatch(r"/[^*?\[\]\n]+", value):
            found.append(value.rstrip("/"))
    return found


def _folder(root: str, ev: Evidence) -> RocmFolder | None:
    core = _CORE.fullmatch(root.rpartition("/")[2])
    prefix = "core " if core else ""
    said = ev[f"{prefix}versions"].files.get(f"{root}/.info/version", "")
    name = core or _CLASSIC.fullmatch(root.rpartition("/")[2])
    number = _NUMBER.match(said.strip())
    bin_names = {n.rstrip("/@") for n in ev[f"bin {root}"].text.splitlines()}
    lib_names = [n.rstrip("/@") for n in ev[f"lib {root}"].text.splitlines()]
    return RocmFolder(
        root=root,
        version=number.group() if number else name.group("version") if name else None,
        layout="core" if core else "classic",
        hip=_hip(ev[f"{prefix}hip"].files.get(f"{root}/share/hip/version", "")),
        programs=bool({"hipconfig", "hipcc"} & bin_names),
        libraries=any(n.startswith("libamdhip64.so") for n in lib_names),
        empty=ev[f"list {root}"].ok and not ev[f"list {root}"].text.strip(),
    )


def _hip(text: str) -> str | None:
    """Source: ROCm/clr hipamd/CMakeLists.txt writes share/hip/version."""
    values = dict(line.split("=", 1) for line in text.splitlines() if "=" in line)
    parts = [values.get(f"HIP_VERSION_{name}", "") for name in ("MAJOR", "MINOR", "PATCH")]
    return ".".join(parts) if all(p.isdigit() for p in parts) else None


def _wheels(ev: Evidence) -> Iterator[tuple[str, str]]:
    for prefix in _environments(ev):
        for text in ev[f"wheel {prefix}"].files.values():
            if text.startswith("Version: "):
                yield prefix, text.split()[1]


@frozen
class RocmInstall:
    """One usable ROCm. `layout`: classic, core, distribution or wheel; `origin`: amd, distribution, pip or unpackaged."""

    root: str
    version: str | None
    layout: str
    origin: str
    active: bool


@frozen
class RocmInstalls(Fact):
    """All of them. The active one is what /opt/rocm leads to, else where the tools on PATH come from."""

    installs: tuple[RocmInstall, ...]

    @property
    def active(self) -> RocmInstall | None:
        return next((i for i in self.installs if i.active), None)

    @property
    def version(self) -> str | None:
        """The version of the active one."""
        return self.active.version if self.active else None

    @classmethod
    def derive(
        cls,
        folders: RocmFolders,
        packages: GpuPackages | None,
        dpkg: Dpkg | None,
        tools: Tools | None,
        table: PackageTable,
    ) -> RocmInstalls:
        found = [(f.root, f.version, f.layout, _origin(packages)) for f in folders.folders if f.whole]
        distribution = _distribution(folders, packages, dpkg, table)
        if distribution:
            found.append(("/usr", distribution[0], "distribution", "distribution"))
        found += [(prefix, version, "wheel", "pip") for prefix, version in folders.wheels]
        active = _active([f[0] for f in found], folders, tools)
        return cls(tuple(RocmInstall(*each, active=each[0] == active) for each in found))


def _origin(packages: GpuPackages | None) -> str:
    if packages is None:
        return "unknown"
    return "amd" if packages.rocm_from("amd") else "unpackaged"


def _distribution(
    folders: RocmFolders, packages: GpuPackages | None, dpkg: Dpkg | None, table: PackageTable
) -> tuple[str | None] | None:
    """The version of a HIP below /usr, in a tuple; None where there is none."""
    if packages is not None and dpkg is not None:
        ours = {p.name: p.version for p in packages.rocm_from("distribution") if dpkg.installed(p.name)}
        runtime = next((ours[n] for n in table.runtime if n in ours), ours.get("hipcc"))
        number = _NUMBER.search(runtime) if runtime else None
        if runtime:
            return (number.group() if number else None,)
        if packages.rocm_from("amd"):
            return None
    if folders.distribution:
        return (".".join(folders.distribution.split(".")[:2]),)
    return None


def _active(roots: list[str], folders: RocmFolders, tools: Tools | None) -> str | None:
    if not roots:
        return None
    if folders.target in roots:
        return folders.target
    for name in ("hipconfig", "hipcc", "rocminfo"):
        tool = tools.tools.get(name) if tools else None
        if tool and tool.path:
            owner = max((r for r in roots if tool.path.startswith(r + "/")), key=len, default=None)
            if owner:
                return owner
    opt = [r for r in roots if r.startswith("/opt/")]
    return max(opt or roots, key=_sortable)


def _sortable(root: str) -> list[int]:
    return [int(n) for n in re.findall(r"\d+", root)]


@frozen
class RocmTable(Table):
    """What to install today, and the boundaries between generations of ROCm."""

    file: ClassVar[str] = "rocm.toml"
    last_classic: tuple[int, ...]
    releases: tuple[tuple[str, tuple[str, ...], tuple[str, ...]], ...]
    apt_line: str
    distribution: Mapping[str, tuple[str, ...]]
    failures: tuple[tuple[re.Pattern[str], str], ...]
    libstdcxx_solved: tuple[int, ...]

    @classmethod
    def load(cls, data: Mapping[str, Any]) -> RocmTable:
        return cls(
            last_classic=tuple(data["classic"]["last"]),
            releases=tuple((r["version"], tuple(r["codenames"]), tuple(r["gfx"])) for r in data["release"]),
            apt_line=data["classic"]["apt_line"],
            distribution={name: tuple(row["packages"]) for name, row in data["distribution"].items()},
            failures=tuple((re.compile(row["pattern"]), row["kind"]) for row in data["failure"]),
            libstdcxx_solved=tuple(data["libstdcxx"]["solved"]),
        )

    def newest(self, codename: str, gfx: tuple[str, ...]) -> str | None:
        """The newest classic release that has packages for this system and officially knows these GPUs."""
        for version, codenames, targets in self.releases:
            if codename in codenames and set(gfx) <= set(targets):
                return version
        return None
