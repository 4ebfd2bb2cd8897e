"""The operating system, its kernel, and what it runs inside of."""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping

from rocmdoctor.facts.base import Evidence, Fact, UnknownError
from rocmdoctor.frozen import frozen
from rocmdoctor.model import List, Query, Read, Stat

# Fields of os-release(5) that are read; the rest can hold links with names in them.
_OS_FIELDS = r"^(?:ID|ID_LIKE|VERSION_ID|VERSION_CODENAME|UBUNTU_CODENAME|PRETTY_NAME)=.*"


@frozen
class OsRelease(Fact):
    """The distribution, from os-release(5). `codename` is the one that package repositories use."""

    id: str
    like: tuple[str, ...]
    version: str
    codename: str
    name: str

    @property
    def family(self) -> tuple[str, ...]:
        """The distribution and those that it says it is like."""
        return (self.id, *self.like)

    @classmethod
    def queries(cls) -> Mapping[str, Query]:
        return {
            "etc": Read("/etc/os-release", keep=_OS_FIELDS),
            "usr": Read("/usr/lib/os-release", keep=_OS_FIELDS),
        }

    @classmethod
    def parse(cls, ev: Evidence) -> OsRelease:
        text = ev["etc"].text if ev["etc"].ok else ev.text("usr")
        values = {}
        for line in text.splitlines():
            name, _, value = line.partition("=")
            try:
                values[name] = "".join(shlex.split(value)) if " " not in value else shlex.split(value)[0]
            except (ValueError, IndexError):
                continue
        if "ID" not in values:
            raise UnknownError(f"{ev.key('etc')}: names no distribution")
        return cls(
            id=values["ID"],
            like=tuple(values.get("ID_LIKE", "").split()),
            version=values.get("VERSION_ID", ""),
            codename=values.get("UBUNTU_CODENAME") or values.get("VERSION_CODENAME", ""),
            name=values.get("PRETTY_NAME", values["ID"]),
        )


@frozen
class Kernel(Fact):
    """The running kernel and its command line."""

    release: str
    cmdline: tuple[str, ...]

    @property
    def version(self) -> tuple[int, int]:
        """Major and minor number."""
        match = re.match(r"(\d+)\.(\d+)", self.release)
        return (int(match.group(1)), int(match.group(2))) if match else (0, 0)

    @property
    def wsl(self) -> bool:
        """The kernel is Microsoft's, of the Windows Subsystem for Linux."""
        return "microsoft" in self.release.lower()

    @classmethod
    def queries(cls) -> Mapping[str, Query]:
        # Only parameters that GPUs depend on: a command line can hold names and addresses.
        keep = (
            r"(?:(?<=\s)|^)(?:amdgpu|amdkfd|radeon|nvidia|amd_iommu|intel_iommu|iommu|pci|pcie_aspm|nomodeset|nomodule"
            r"|modprobe|module_blacklist|initcall_blacklist|numa_balancing|module\.sig_enforce|lockdown"
            r"|transparent_hugepage|processor|quiet)\b[^\s]*"
        )
        return {"release": Read("/proc/sys/kernel/osrelease"), "cmdline": Read("/proc/cmdline", keep=keep)}

    @classmethod
    def parse(cls, ev: Evidence) -> Kernel:
        release = ev.text("release").strip()
        cmdline = ev["cmdline"].text if ev["cmdline"].ok else ""
        return cls(release=release, cmdline=tuple(cmdline.split()))


@frozen
class Hardware(Fact):
    """Processors and memory. Memory in bytes."""

    threads: int
    memory_total: int
    memory_available: int
    cpu: str

    @classmethod
    def queries(cls) -> Mapping[str, Query]:
        return {
            "memory": Read("/proc/meminfo", keep=r"^(?:MemTotal|MemAvailable):.*"),
            "cpus": Read("/sys/devices/system/cpu/online"),
            "model": Read("/proc/cpuinfo", keep=r"^model name\s*:.*", limit=4096),
        }

    @classmethod
    def parse(cls, ev: Evidence) -> Hardware:
        sizes = {
            k: int(v) * 1024 for k, v in re.findall(r"^(\w+):\s+(\d+) kB", ev.text("memory"), re.MULTILINE)
        }
        if "MemTotal" not in sizes:
            raise UnknownError(f"{ev.key('memory')}: names no MemTotal")
        model = re.search(r"model name\s*:\s*(.*)", ev["model"].text)
        return cls(
            threads=_count(ev["cpus"].text),
            memory_total=sizes["MemTotal"],
            memory_available=sizes.get("MemAvailable", 0),
            cpu=model.group(1).strip() if model else "",
        )


def _count(ranges: str) -> int:
    """Number of items in a kernel list such as `0-3,8`."""
    total = 0
    for part in ranges.strip().split(","):
        low, _, high = part.partition("-")
        if low.isdigit() and (high or low).isdigit():
            total += int(high or low) - int(low) + 1
    return total


@frozen
class Inside(Fact):
    """What this system runs inside of: `container` names the kind or is None; `wsl` when under Windows.

    `/.dockerenv` alone proves nothing: machine images made from container images carry it too. It counts when the
    root file system is one that container engines use.
    """

    container: str | None
    wsl: bool
    user_namespace: bool

    @classmethod
    def queries(cls) -> Mapping[str, Query]:
        return {
            "docker": Stat("/.dockerenv"),
            "podman": Stat("/run/.containerenv"),
            "systemd": Read("/run/systemd/container", limit=256),
            "cgroup": Read("/proc/self/cgroup", keep=r"docker|kubepods|libpod|lxc|containerd|garden"),
            "root": Read("/proc/self/mountinfo", keep=r"^\d+ \d+ \S+ \S+ / .*? - \S+", limit=1 << 16),
            "uid_map": Read("/proc/self/uid_map"),
            "apptainer": Stat("/.singularity.d"),
            "release": Read("/proc/sys/kernel/osrelease"),
            "dxg": Stat("/dev/dxg"),
        }

    @classmethod
    def parse(cls, ev: Evidence) -> Inside:
        if ev["release"].why == "not-asked" and ev["docker"].why == "not-asked":
            raise UnknownError(f"{ev.key('release')}: not asked")
        uid_map = ev["uid_map"].text.split()
        return cls(
            container=_container(ev),
            wsl="microsoft" in ev["release"].text.lower() or ev["dxg"].ok,
            user_namespace=bool(uid_map) and uid_map[:3] != ["0", "0", "4294967295"],
        )


def _container(ev: Evidence) -> str | None:
    root = ev["root"].text.rpartition(" - ")[2].strip()
    if ev["podman"].ok:
        return "podman"
    if ev["apptainer"].ok:
        return "apptainer"
    if ev["systemd"].ok and ev["systemd"].text.strip():
        return ev["systemd"].text.strip()
    named = ev["cgroup"].text.split()
    if named:
        return named[0]
    if ev["docker"].ok and root in ("overlay", "btrfs", "zfs", "fuse-overlayfs"):
        return "docker"
    return None


@frozen
class Installed(Fact):
    """Kernels that have a module folder here. Others than the running one are booted next."""

    kernels: tuple[str, ...]

    @classmethod
    def queries(cls) -> Mapping[str, Query]:
        return {"modules": List("/lib/modules")}

    @classmethod
    def parse(cls, ev: Evidence) -> Installed:
        names = [
            line.rstrip("/@")
            for line in ev.text("modules", absent="").splitlines()
            if line.endswith(("/", "@"))
        ]
        return cls(kernels=tuple(names))
