"""A look-alike of Ubuntu 22.04: Debian 12 that calls itself so, with look-alike kernels and repositories. Fresh or used.

What is real: dpkg, apt, dkms, systemd, the compiler and headers that modules are built with, and Debian's clang, which
compiles for GPUs behind the look-alike hipcc. What is not: the kernel that seems to run, AMD's, NVIDIA's and Ubuntu's
packages, and any GPU.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.e2e.boxes import HOME, Box, copy_checkout, layer
from tests.e2e.images import ROCM, Image
from tests.e2e.installer import Machine, running, with_users
from tests.lookalike.build import AMD, CUDA, NVIDIA, UBUNTU, Built
from tests.lookalike.programs import COMPILER
from tests.lookalike.serve import Server

# What Ubuntu's server has, and what AMD's packages want from it that has no look-alike.
IMAGE = Image(
    "bookworm",
    ("python3", "python3-venv", "systemd-sysv", "udev", "dbus", "libpam-systemd", "sudo", "adduser", "kmod", "procps",
     "iproute2", "zsh", "ca-certificates", "dkms", "make", "gcc", "g++", "autoconf", "automake", "perl", "pciutils",
     "gpg", "gpgv", "libnuma1", "libelf1", "libdrm-amdgpu1", "libtinfo6", "linux-headers-amd64"),
)  # fmt: skip
GA, HWE = "5.15.0-94-generic", "6.8.0-45-generic"
STALE = "5.18.13-1580598.22.04"
_OURS = "/usr/lib/lookalike"
_OS = """\
PRETTY_NAME="Ubuntu 22.04.4 LTS (look-alike made of Debian 12)"
NAME="Ubuntu"
VERSION_ID="22.04"
VERSION="22.04.4 LTS (Jammy Jellyfish)"
VERSION_CODENAME=jammy
ID=ubuntu
ID_LIKE=debian
UBUNTU_CODENAME=jammy
"""
# A container's kernel is its host's. Programs that read the file see the look-alike; for those that ask the kernel there is
# a uname in the place of the real one. Nothing of this is a container's business, so that no container is to be seen, too.
_UNAME = f"""\
#!/bin/sh
# look-alike: the kernel that this machine seems to run
[ "$*" = -r ] && exec cat {_OURS}/osrelease
exec /usr/bin/uname.distrib "$@"
"""
_UNIT = f"""\
[Unit]
Description=look-alike of a running kernel
DefaultDependencies=no
Before=sysinit.target
[Service]
Type=oneshot
ExecStart=/bin/mount --bind {_OURS}/osrelease /proc/sys/kernel/osrelease
ExecStart=/bin/rm -f /run/systemd/container
[Install]
WantedBy=sysinit.target
"""
_SOURCES = f"""\
Types: deb
URIs: https://{UBUNTU}/ubuntu
Suites: jammy
Components: main restricted universe
Signed-By: /usr/share/keyrings/ubuntu-archive-keyring.gpg
"""
_OWN_MODULE = """\
set -e
cd /root && mkdir own && cd own
cat > amdgpu.c <<'END'
// A look-alike of the kernel's own driver.
#include <linux/module.h>
MODULE_LICENSE("GPL");
END
echo 'obj-m += amdgpu.o' > Makefile
make -s -C /lib/modules/$1/build M=$PWD modules
install -D -m 644 amdgpu.ko /lib/modules/$1/kernel/drivers/gpu/drm/amd/amdgpu/amdgpu.ko
cd /root && rm -r own
depmod $1 2>/dev/null
"""
_APT = "DEBIAN_FRONTEND=noninteractive apt-get -qq -y -o Dpkg::Use-Pty=0"


def fresh(box: Box, built: Built, server: Server, kernel: str = GA) -> None:
    """A newly installed machine with two users."""
    root = box.root
    (root / "etc/os-release").unlink(missing_ok=True)
    (root / "etc/os-release").symlink_to("../usr/lib/os-release")
    box.write("/usr/lib/os-release", _OS)
    box.write("/etc/debian_version", "bookworm/sid\n")
    box.write(f"{_OURS}/osrelease", f"{kernel}\n")
    box.good("dpkg-divert --quiet --rename --add /usr/bin/uname")
    box.write("/usr/bin/uname", _UNAME, 0o755)
    box.write("/etc/systemd/system/lookalike-kernel.service", _UNIT)
    box.good("systemctl -q enable lookalike-kernel.service")
    sources(box, built, server)
    with_users(box)
    flavour = "generic" if kernel == GA else "generic-hwe-22.04"
    box.good(
        f"{_APT} install linux-image-{flavour} linux-headers-{flavour} mesa-vulkan-drivers linux-firmware libgl1-mesa-dri",
        seconds=300,
    )
    # Of Debian's headers only the folder that modules are built with stays to be seen.
    box.good(f"rm -r /lib/modules/*-amd64; {_OWN_MODULE}", kernel, seconds=120)


def address() -> str:
    """An address on loopback that is this process's own, so that its server can have port 443."""
    return f"127.{64 + os.getpid() // 64000 % 64}.{os.getpid() // 250 % 256}.{1 + os.getpid() % 250}"


def sources(box: Box, built: Built, server: Server) -> None:
    """Ubuntu's archive, and the names of the servers that the look-alike stands in for; it has their port, 443."""
    for path in (box.root / "etc/apt").glob("sources.list*"):
        for file in path.glob("*") if path.is_dir() else [path]:
            file.unlink()
    address = server.server_address[0]
    names = {
        "127.0.0.1": "localhost",
        "127.0.1.1": socket.gethostname(),
        str(address): f"{AMD} {UBUNTU} {NVIDIA}",
    }
    box.write("/etc/hosts", "".join(f"{number} {name}\n" for number, name in names.items()))
    _bytes(box, "/usr/local/share/ca-certificates/lookalike.crt", built.read("server.crt"))
    box.good("update-ca-certificates 2>/dev/null")
    _bytes(box, "/usr/share/keyrings/ubuntu-archive-keyring.gpg", built.read("other.gpg"))
    box.write("/etc/apt/sources.list.d/ubuntu.sources", _SOURCES)
    box.good("rm -rf /var/lib/apt/lists/*")


def _bytes(box: Box, path: str, data: bytes) -> None:
    target = box.root / path.lstrip("/")
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_bytes(data)
    target.chmod(0o644)


def cuda(box: Box, built: Built) -> None:
    """CUDA 12.4 and NVIDIA's driver, from NVIDIA's repository, as NVIDIA's pages say."""
    _bytes(box, "/usr/share/keyrings/cuda-archive-keyring.gpg", built.read("other.gpg"))
    box.write(
        "/etc/apt/sources.list.d/cuda-ubuntu2204-x86_64.list",
        f"deb [signed-by=/usr/share/keyrings/cuda-archive-keyring.gpg] https://{NVIDIA}/{CUDA}/ /\n",
    )
    box.write(
        "/etc/apt/preferences.d/cuda-repository-pin-600",
        "Package: *\nPin: release l=NVIDIA CUDA look-alike\nPin-Priority: 600\n",
    )
    box.good(f"{_APT} update && {_APT} install cuda-toolkit-12-4 cuda-drivers", seconds=300)


def old_rocm(box: Box, built: Built, release: str = "5.7.1") -> None:
    """An older ROCm from AMD's repository, as AMD's pages said."""
    _bytes(box, "/etc/apt/keyrings/rocm.gpg", built.read("amd.gpg"))
    options = "[arch=amd64 signed-by=/etc/apt/keyrings/rocm.gpg]"
    lists = {"rocm": f"https://{AMD}/rocm/apt/{release}", "amdgpu": f"https://{AMD}/amdgpu/{release}/ubuntu"}
    for name, where in lists.items():
        box.write(f"/etc/apt/sources.list.d/{name}.list", f"deb {options} {where} jammy main\n")
    box.write(
        "/etc/apt/preferences.d/rocm-pin-600",
        "Package: *\nPin: release o=repo.radeon.com\nPin-Priority: 600\n",
    )
    box.good(f"{_APT} update && {_APT} install rocm-hip-sdk rocm-smi-lib rocm-opencl", seconds=300)


def expired_key(box: Box, built: Built) -> None:
    """The copy of AMD's key is from before the key was prolonged."""
    _bytes(box, "/etc/apt/keyrings/rocm.gpg", built.read("amd-expired.gpg"))


def failed_driver(box: Box, server: Server) -> None:
    """AMD's driver of that release, whose build has failed: dpkg has it half configured."""
    server.broken_driver = True
    try:
        box.good(f"{_APT} update")
        done = box.run(f"{_APT} install amdgpu-dkms", seconds=300)
    finally:
        server.broken_driver = False
    assert done.returncode != 0, done.stdout
    assert "Bad return status for module build" in done.stdout + done.stderr, done.stdout + done.stderr


def half_configured(box: Box) -> None:
    """A package that was interrupted; what kept it is gone."""
    box.write("/etc/lookalike-fails", "")
    assert box.run(f"{_APT} install half-done", seconds=120).returncode != 0
    box.good("rm /etc/lookalike-fails")


def stale_tree(box: Box) -> None:
    """A tree of DKMS whose source was deleted by hand."""
    tree = f"/var/lib/dkms/amdgpu/{STALE}"
    box.good(
        f"mkdir -p {tree}/build && ln -s /usr/src/amdgpu-{STALE} {tree}/source && echo old > {tree}/build/notes"
    )


def leftovers(box: Box) -> None:
    """What removed packages and people left behind."""
    box.write("/opt/rocm-5.4.3/lib/libold.so.1", "look-alike\n")
    box.write("/opt/amdgpu-pro-21.50/README", "look-alike\n")
    box.write("/etc/rocm.d/old.conf", "look-alike\n")
    box.write("/etc/amd/amdapfxx.blb", "look-alike\n")
    box.write("/etc/OpenCL/vendors/amdocl-orca64.icd", "libamdocl-orca64.so\n")
    box.write("/usr/lib/x86_64-linux-gnu/amdvlk/README", "look-alike\n")
    box.write(
        "/etc/apt/sources.list.d/amdgpu-proprietary.list",
        f"# deb https://{AMD}/amdgpu/21.50.2/ubuntu jammy proprietary\n",
    )
    box.write("/home/ann/notes.txt", "ann's own\n")


def used(box: Box, built: Built, server: Server) -> None:
    """CUDA 12, an older ROCm whose key has expired, a driver that does not build, and what hands have left."""
    cuda(box, built)
    old_rocm(box, built)
    failed_driver(box, server)
    half_configured(box)
    stale_tree(box)
    leftovers(box)
    expired_key(box, built)


@contextmanager
def frozen(folder: Path, below: tuple[Path, ...] = ()) -> Iterator[Box]:
    """A machine that is not booted, to be made ready and kept; its layer is `folder`/upper."""
    with layer(IMAGE, folder, below, keep=True) as root:
        if not (root / HOME[1:]).exists():
            copy_checkout(root / HOME[1:])
        yield Box(root)


@contextmanager
def boot(folder: Path, below: tuple[Path, ...]) -> Iterator[Machine]:
    """A machine on top of layers, which stay as they are."""
    with layer(IMAGE, folder, below) as root, running(
        root, folder, f"--bind-ro={ROCM['bookworm'].build()}:{COMPILER}"
    ) as booted:  # fmt: skip
        yield booted
