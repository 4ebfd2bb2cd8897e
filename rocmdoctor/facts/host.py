"""Limits, room, and settings of the kernel that training depends on."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, ClassVar

from rocmdoctor.facts.base import Evidence, Fact, Table, UnknownError
from rocmdoctor.facts.gpus import Gpus
from rocmdoctor.facts.system import OsRelease
from rocmdoctor.frozen import frozen
from rocmdoctor.model import Answer, Disk, Env, Glob, Link, List, Query, Read, Run, Stat

UNLIMITED = 1 << 62


def size_in_words(number: int) -> str:
    """Bytes as people read them."""
    if number >= UNLIMITED:
        return "unlimited"
    return f"{number / (1 << 30):.1f} GiB" if number >= 1 << 30 else f"{number / (1 << 20):.0f} MiB"


@frozen
class Limit:
    """What a process may use now (`soft`) and may raise it to (`hard`)."""

    soft: int
    hard: int


@frozen
class Limits(Fact):
    """Limits of this session: locked memory in bytes, open files. `UNLIMITED` stands for no limit."""

    memlock: Limit
    nofile: Limit

    @classmethod
    def queries(cls) -> Mapping[str, Query]:
        return {"limits": Read("/proc/self/limits", keep=r"^Max (?:locked memory|open files) .*", limit=8192)}

    @classmethod
    def parse(cls, ev: Evidence) -> Limits:
        text = ev.text("limits")
        return cls(memlock=_limit(text, "locked memory", ev), nofile=_limit(text, "open files", ev))


def _limit(text: str, name: str, ev: Evidence) -> Limit:
    found = re.search(rf"^Max {name}\s+(unlimited|\d{{1,20}})\s+(unlimited|\d{{1,20}})\b", text, re.MULTILINE)
    if found is None:
        raise UnknownError(f"{ev.key('limits')}: has no limit of {name}")
    soft, hard = (UNLIMITED if v == "unlimited" else min(int(v), UNLIMITED) for v in found.groups())
    return Limit(soft, hard)


@frozen
class Room:
    """A file system: bytes in all, bytes free for this user."""

    total: int
    free: int


@frozen
class DiskSpace(Fact):
    """Room where packages, builds and caches go; paths that could not be asked are left out."""

    rooms: Mapping[str, Room]
    home: str | None

    templates: ClassVar[tuple[str, ...]] = ("disk:<HOME>",)

    @classmethod
    def queries(cls) -> Mapping[str, Query]:
        fixed = {path: Disk(path) for path in ("/", "/opt", "/tmp", "/var", "/dev/shm")}  # noqa: S108 - asked, not used
        return {"HOME": Env(("HOME",)), **fixed}

    @classmethod
    def follow_up(cls, ev: Evidence) -> Mapping[str, Query]:
        home = home_of(ev)
        return {home: Disk(home)} if home and home not in ev else {}

    @classmethod
    def parse(cls, ev: Evidence) -> DiskSpace:
        rooms = {}
        for name in ev.names():
            numbers = ev[name].text.split() if name != "HOME" and ev[name].ok else []
            if len(numbers) == 2 and all(n.isascii() and n.isdigit() for n in numbers):
                rooms[name] = Room(int(numbers[0]), int(numbers[1]))
        if not rooms:
            ev.text("/")
            raise UnknownError(f"{ev.key('/')}: is not two numbers")
        return cls(rooms, home_of(ev))


def home_of(ev: Evidence) -> str | None:
    """The asking user's home folder, where the environment names an absolute path."""
    try:
        home = ev.env("HOME")
    except UnknownError:
        return None
    return plain_path(home)


def plain_path(path: str | None) -> str | None:
    """An absolute path without anything that a pattern would read otherwise, None for all else."""
    if (
        not path
        or not path.startswith("/")
        or len(path) > 1000
        or re.search(r"[\x00-\x1f*?\[\]]|/\.\.(?:/|$)", path)
    ):
        return None
    return path.rstrip("/") or "/"


@frozen
class Iommu(Fact):
    """`active`: an IOMMU works here. `domains`: PCI address to the kind of its transfers (`identity`, `DMA`, ...)."""

    active: bool
    domains: Mapping[str, str]

    @classmethod
    def queries(cls) -> Mapping[str, Query]:
        return {
            "units": List("/sys/class/iommu"),
            "groups": List("/sys/kernel/iommu_groups"),
            "types": Glob("/sys/bus/pci/devices/*/iommu_group/type", limit=64),
        }

    @classmethod
    def parse(cls, ev: Evidence) -> Iommu:
        units, groups = ev.text("units", absent=""), ev["groups"].text
        types = ev["types"].files if ev["types"].ok else {}
        domains = {path.split("/")[5].lower(): text.strip() for path, text in types.items() if text.strip()}
        return cls(active=bool(units.strip() or groups.strip()), domains=domains)


_SETTINGS = {
    "numa_balancing": "/proc/sys/kernel/numa_balancing",
    "hugepages": "/sys/kernel/mm/transparent_hugepage/enabled",
    "compaction_proactiveness": "/proc/sys/vm/compaction_proactiveness",
    "compact_unevictable": "/proc/sys/vm/compact_unevictable_allowed",
    "amdttm_pages": "/sys/module/amdttm/parameters/pages_limit",
    "ttm_pages": "/sys/module/ttm/parameters/pages_limit",
    "numa_nodes": "/sys/devices/system/node/online",
}


@frozen
class Settings(Fact):
    """Settings of the running kernel, None where it has none such. `hugepages` is the chosen word."""

    numa_balancing: int | None
    hugepages: str | None
    compaction_proactiveness: int | None
    compact_unevictable: int | None
    ttm_pages: int | None
    numa_nodes: int
    deep_idle: tuple[str, ...]

    @classmethod
    def queries(cls) -> Mapping[str, Query]:
        idle = "/sys/devices/system/cpu/cpu0/cpuidle/state*"
        reads = {name: Read(path, limit=256) for name, path in _SETTINGS.items()}
        return {
            **reads,
            "idle-name": Glob(f"{idle}/name", limit=64),
            "idle-off": Glob(f"{idle}/disable", limit=64),
            "proc": Stat("/proc/sys/kernel"),
        }

    @classmethod
    def parse(cls, ev: Evidence) -> Settings:
        if not ev["proc"].ok and not any(ev[name].ok for name in _SETTINGS):
            raise UnknownError(f"{ev.key('proc')}: the kernel's settings are not here")
        chosen = re.search(r"\[(\w+)\]", ev["hugepages"].text)
        amd_ttm = _whole(ev["amdttm_pages"])
        return cls(
            numa_balancing=_whole(ev["numa_balancing"]),
            hugepages=chosen.group(1) if chosen else None,
            compaction_proactiveness=_whole(ev["compaction_proactiveness"]),
            compact_unevictable=_whole(ev["compact_unevictable"]),
            ttm_pages=amd_ttm if amd_ttm is not None else _whole(ev["ttm_pages"]),
            numa_nodes=_items(ev["numa_nodes"].text),
            deep_idle=_enabled_states(ev),
        )


def _whole(answer: Answer) -> int | None:
    text = answer.text.strip()
    return int(text) if answer.ok and re.fullmatch(r"\d{1,20}", text, re.ASCII) else None


def _items(ranges: str) -> int:
    total = 0
    for low, high in re.findall(r"(\d{1,6})(?:-(\d{1,6}))?", ranges):
        total += max(0, int(high or low) - int(low)) + 1
    return total


def _enabled_states(ev: Evidence) -> tuple[str, ...]:
    """Names of the idle states that processor 0 may enter."""
    names = ev["idle-name"].files if ev["idle-name"].ok else {}
    off = ev["idle-off"].files if ev["idle-off"].ok else {}
    return tuple(
        name.strip()
        for path, name in sorted(names.items())
        if off.get(path.rpartition("/")[0] + "/disable", "").strip() == "0"
    )


@frozen
class PeerSupport(Fact):
    """Options for transfers between GPUs in the running kernel's configuration; value `y`, `m` or `n`."""

    path: str
    options: Mapping[str, str]

    templates: ClassVar[tuple[str, ...]] = ("glob:/boot/config-<release>",)

    @classmethod
    def queries(cls) -> Mapping[str, Query]:
        return {"release": Read("/proc/sys/kernel/osrelease")}

    @classmethod
    def follow_up(cls, ev: Evidence) -> Mapping[str, Query]:
        release = ev["release"].text.strip()
        if not re.fullmatch(r"[\w.+~-]{1,100}", release):
            return {}
        # As a pattern, so that the file is asked under a name of its own: others read other options of it.
        keep = r"^(?:# )?CONFIG_(?:PCI_P2PDMA|HSA_AMD_P2P|DMABUF_MOVE_NOTIFY)(?:=[ym]| is not set)$"
        return {"config": Glob(f"/boot/config-{release}", keep=keep, limit=1 << 20)}

    @classmethod
    def parse(cls, ev: Evidence) -> PeerSupport:
        if "config" not in ev:
            raise UnknownError(f"{ev.key('release')}: names no kernel")
        for path, text in ev.files("config").items():
            options = {
                name: value or "n" for name, value in re.findall(r"CONFIG_(\w+?)(?:=([ym])| is)", text)
            }
            return cls(path, options)
        raise UnknownError(f"{ev.key('config')}: absent")


@frozen
class Glibc(Fact):
    """Version of the C library as major and minor number, and where it was read."""

    version: tuple[int, int]
    source: str

    @classmethod
    def queries(cls) -> Mapping[str, Query]:
        return {
            "link": Link("/lib/x86_64-linux-gnu/libc.so.6"),
            "link64": Link("/lib64/libc.so.6"),
            "ldd": Run(("ldd", "--version"), keep=r"\A.{0,200}$", limit=4096),
        }

    @classmethod
    def parse(cls, ev: Evidence) -> Glibc:
        for name in ("link", "link64"):
            found = re.search(r"libc-(\d)\.(\d{1,3})\.so$", ev[name].text)
            if ev[name].ok and found:
                return cls((int(found.group(1)), int(found.group(2))), ev.key(name))
        found = re.search(r"\b(\d)\.(\d{1,3})\s*$", ev["ldd"].stdout.partition("\n")[0])
        if ev["ldd"].ok and found:
            return cls((int(found.group(1)), int(found.group(2))), ev.key("ldd"))
        raise UnknownError(f"{ev.key('ldd')}: {ev['ldd'].why or 'names no version'}")


@frozen
class SystemGlibc(Fact):
    """The C library of a machine, from its files or else None, with the distribution's name for a table."""

    version: tuple[int, int] | None
    source: str
    distribution: str

    @classmethod
    def derive(cls, glibc: Glibc | None, os: OsRelease | None) -> SystemGlibc:
        if glibc is None and os is None:
            raise UnknownError("neither the C library nor the distribution could be read")
        distribution = f"{os.id} {os.version}" if os else ""
        return cls(glibc.version if glibc else None, glibc.source if glibc else "", distribution)


_TOOLS = ("git", "cmake", "ninja", "gcc", "g++", "make", "pkg-config")


@frozen
class BuildTools(Fact):
    """Programs and headers that source builds want, by whether they are there."""

    programs: Mapping[str, bool]
    python_headers: bool
    drm_headers: bool

    @classmethod
    def queries(cls) -> Mapping[str, Query]:
        programs = {name: Stat(f"/usr/bin/{name}") for name in _TOOLS}
        return {
            **programs,
            "python": Glob("/usr/include/python3*/Python.h", keep="(?!)", limit=16),
            "drm": Stat("/usr/include/libdrm"),
        }

    @classmethod
    def parse(cls, ev: Evidence) -> BuildTools:
        for name in _TOOLS:
            ev.text(name, absent="")
        return cls(
            programs={name: ev[name].ok for name in _TOOLS},
            python_headers=bool(ev.files("python")),
            drm_headers=ev["drm"].ok,
        )


@frozen
class Wanted:
    """A setting and the machines that it is for: PCI device ids, none for all; `gpus` is the least number of them."""

    value: int
    devices: tuple[str, ...]
    gpus: int
    source: str


@frozen
class HostTable(Table):
    """What hosts need, by subject; the C library by distribution; rows that were made no check, with the reason."""

    file: ClassVar[str] = "host.toml"
    wanted: Mapping[str, Wanted]
    glibc: Mapping[str, tuple[int, int]]
    not_made: Mapping[str, str]

    def value(self, name: str) -> int:
        """The figure of a row."""
        return self.wanted[name].value

    def applies(self, name: str, gpus: Gpus) -> bool:
        """Whether a row is for a machine with these GPUs; integrated ones beside a discrete one do not count."""
        devices = {g.pci_id.partition(":")[2] for g in gpus.discrete}
        row = self.wanted[name]
        return len({g.bdf for g in gpus.discrete}) >= max(1, row.gpus) and (
            not row.devices or bool(devices & set(row.devices))
        )

    @classmethod
    def load(cls, data: Mapping[str, Any]) -> HostTable:
        wanted = {
            name: Wanted(
                row.get("value", 0), tuple(row.get("devices", ())), row.get("gpus", 1), row["source"]
            )
            for name, row in data["wanted"].items()
        }
        glibc = {name: (pair[0], pair[1]) for name, pair in data["glibc"].items()}
        return cls(wanted, glibc, {row["id"]: row["reason"] for row in data["not_made"]})
