"""Limits, room and kernel settings that are as AMD's guides want them."""

from __future__ import annotations

from tests.machines.parts import ABSENT, Answers, Spec, files, ran, text

_GIB = 1 << 30


def limits(spec: Spec) -> Answers:
    """Limits and file systems."""
    free = f"{900 * _GIB} {600 * _GIB}"
    return {
        "read:/proc/self/limits": text(
            "Max open files            1024                 1048576              files     \n"
            "Max locked memory         unlimited            unlimited            bytes     \n"
        ),
        **{f"disk:{path}": text(free) for path in ("/", "/opt", "/tmp", "/var", f"/home/{spec.user}")},
        "disk:/dev/shm": text(f"{256 * _GIB} {256 * _GIB}"),
    }


def starting(_spec: Spec) -> Answers:
    """systemd and GRUB, as a server has them."""
    return {
        "stat:/run/systemd/system": text("dir 0755 root root"),
        "stat:/usr/sbin/update-grub": text("file 0755 root root"),
        "read:/proc/sys/kernel/random/boot_id": text("0f5ba5b1-6e6e-4d6a-9b1e-2c7f0b5a9d11\n"),
    }


def settings(spec: Spec) -> Answers:
    """The running kernel."""
    idle = "/sys/devices/system/cpu/cpu0/cpuidle"
    options = "CONFIG_PCI_P2PDMA=y\nCONFIG_DMABUF_MOVE_NOTIFY=y\nCONFIG_HSA_AMD_P2P=y\n"
    return {
        "stat:/proc/sys/kernel": text("dir 0555 root root"),
        "read:/proc/sys/kernel/numa_balancing": text("0\n"),
        "read:/sys/kernel/mm/transparent_hugepage/enabled": text("always [madvise] never\n"),
        "read:/proc/sys/vm/compaction_proactiveness": text("20\n"),
        "read:/proc/sys/vm/compact_unevictable_allowed": text("1\n"),
        "read:/sys/module/amdttm/parameters/pages_limit": ABSENT,
        "read:/sys/module/ttm/parameters/pages_limit": text(f"{spec.memory_kib // 8}\n"),
        "read:/sys/devices/system/node/online": text("0-1\n"),
        f"glob:{idle}/state*/name": files({f"{idle}/state0/name": "POLL\n", f"{idle}/state1/name": "C1\n"}),
        f"glob:{idle}/state*/disable": files(
            {f"{idle}/state0/disable": "0\n", f"{idle}/state1/disable": "0\n"}
        ),
        f"glob:/boot/config-{spec.kernel}": files({f"/boot/config-{spec.kernel}": options}),
    }


def bus(spec: Spec) -> Answers:
    """An IOMMU that passes transfers through."""
    devices = "/sys/bus/pci/devices"
    return {
        "list:/sys/class/iommu": text("ivhd0@\n"),
        "list:/sys/kernel/iommu_groups": text("0/\n1/\n"),
        f"glob:{devices}/*/iommu_group/type": files(
            {f"{devices}/{gpu.bdf}/iommu_group/type": "identity\n" for gpu in spec.gpus}
        ),
    }


def libraries(_spec: Spec) -> Answers:
    """The C library and what builds from source want."""
    tools = ("git", "cmake", "ninja", "gcc", "g++", "make", "pkg-config")
    return {
        "link:/lib/x86_64-linux-gnu/libc.so.6": {"ok": False, "why": "error", "detail": "EINVAL"},
        "link:/lib64/libc.so.6": ABSENT,
        "run:ldd --version": ran("ldd (Ubuntu GLIBC 2.35-0ubuntu3.8) 2.35\n"),
        **{f"stat:/usr/bin/{name}": text("file 0755 root root") for name in tools},
        "glob:/usr/include/python3*/Python.h": files({"/usr/include/python3.10/Python.h": ""}),
        "stat:/usr/include/libdrm": text("dir 0755 root root"),
    }


PARTS = (starting, limits, settings, bus, libraries)
