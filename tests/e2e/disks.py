"""Disks of virtual machines, and Vagrant boxes of them: made once and kept under a key of everything that shapes them.

    python -m tests.e2e.disks disk trixie      a qcow2 with GRUB on an MBR partition
    python -m tests.e2e.disks box bookworm     the same as a box for Vagrant's libvirt provider

Accounts: `vagrant` with Vagrant's public insecure key and sudo without a password, `ann` with a password that her sudo asks
for, `root`. A key of this cache opens all three. Nothing is mounted and no loop device is needed: GRUB is installed by a
throw-away boot of the disk itself.
"""

from __future__ import annotations

import argparse
import gzip
import hashlib
import io
import json
import os
import re
import shutil
import struct
import sys
import tarfile
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from tests.e2e.boxes import HOME, Box, layer
from tests.e2e.guests import PARTITION
from tests.e2e.images import CA_INSIDE, Image, one_at_a_time
from tests.e2e.installer import PASSWORD, archives
from tests.e2e.processes import bounded, good

KERNELS = {"cloud": "linux-image-cloud-amd64", "full": "linux-image-amd64"}  # only the full one has amdgpu
_GIB = 8
_START = PARTITION // 512  # in sectors; GRUB's core lies before it
# What Vagrant wants of a guest, and what a Debian server has. Without libpam-systemd Vagrant waits for ever at a reboot.
_SERVER = (
    "grub-pc", "systemd-sysv", "systemd-resolved", "udev", "dbus", "libpam-systemd", "openssh-server", "sudo", "adduser",
    "python3", "python3-venv", "iproute2", "procps", "rsync", "pciutils", "kmod", "ca-certificates",
)  # fmt: skip
# What a machine has on which people build; of ROCm's 88 packages these and what they bring leave few to an emulated apt.
_COMPILERS = ("g++", "clang-17", "clang-tools-17", "lld-17", "llvm-17")
# What `install base --rocm-source distro` wants; lists and archives of one moment, so that nothing has to be downloaded.
_ARCHIVES = ("rocminfo", "hipcc", "rocm-smi", "libamdhip64-dev")

_HOOK = """
set -eu
echo rocmdoctor-vm > /etc/hostname
printf '127.0.0.1 localhost\\n127.0.1.1 rocmdoctor-vm\\n' > /etc/hosts
useradd -m -s /bin/bash vagrant
useradd -m -s /bin/bash -G sudo ann
printf 'ann:%s\\n' "$1" | chpasswd
printf 'vagrant ALL=(ALL) NOPASSWD: ALL\\n' > /etc/sudoers.d/vagrant
chmod 0440 /etc/sudoers.d/vagrant
keys() {
    mkdir -p "$2/.ssh"
    printf '%s\\n' "$3" > "$2/.ssh/authorized_keys"
    chmod 700 "$2/.ssh"; chmod 600 "$2/.ssh/authorized_keys"; chown -R "$1:" "$2/.ssh"
}
keys root /root "$2"
keys ann /home/ann "$2"
keys vagrant /home/vagrant "$2
$3"
echo 'UseDNS no' > /etc/ssh/sshd_config.d/vm.conf
printf '[Match]\\nName=e*\\n[Network]\\nDHCP=ipv4\\n[DHCPv4]\\nClientIdentifier=mac\\n' > /etc/systemd/network/vm.network
systemctl -q enable systemd-networkd systemd-resolved ssh
# No package of a test's own choice is unpacked behind its back.
systemctl -q mask apt-daily.timer apt-daily-upgrade.timer
echo '/dev/vda1 / ext4 rw,relatime 0 1' > /etc/fstab
mkdir -p /etc/default/grub.d
cat > /etc/default/grub.d/vm.cfg <<'END'
GRUB_TIMEOUT=0
GRUB_RECORDFAIL_TIMEOUT=0
GRUB_TERMINAL=serial
GRUB_DISABLE_LINUX_UUID=true
GRUB_CMDLINE_LINUX="console=ttyS0 net.ifnames=0 root=/dev/vda1"
END
update-ca-certificates >/dev/null 2>&1
rm -f /etc/resolv.conf
ln -s ../run/systemd/resolve/stub-resolv.conf /etc/resolv.conf
: > /etc/machine-id
"""
# Process 1 of the throw-away boot. It must not end: the kernel would panic, and the time limit run out.
_MKGRUB = """#!/bin/sh
export PATH=/usr/sbin:/usr/bin:/sbin:/bin
mount -t proc proc /proc; mount -t sysfs sysfs /sys
rm -f /mkgrub
grub-install --target=i386-pc /dev/vda && update-grub && echo GRUB-DONE
sync
echo u > /proc/sysrq-trigger; sleep 2
echo o > /proc/sysrq-trigger
while :; do sleep 20; done
"""
_VAGRANTFILE = """\
Vagrant.configure("2") do |config|
  config.ssh.insert_key = false
  config.vm.provider :libvirt do |libvirt|
    libvirt.driver = "qemu"
    libvirt.machine_type = "q35"
    libvirt.graphics_type = "none"
    libvirt.video_type = "none"
  end
end
"""
_PEM = re.compile(r"-----BEGIN CERTIFICATE-----.*?-----END CERTIFICATE-----\n", re.DOTALL)


@dataclass(frozen=True)
class Disk:
    """A Debian release with a kernel of one flavour and some packages; `archives` are downloaded and not installed."""

    suite: str
    kernel: str = "cloud"
    packages: tuple[str, ...] = _SERVER
    archives: tuple[str, ...] = ()

    @property
    def image(self) -> Image:
        """The root file system below it. The CA bundle of this host is part of its key."""
        return Image(self.suite, (KERNELS[self.kernel], *self.packages))

    @property
    def path(self) -> Path:
        """Where the qcow2 lies when it is built."""
        shaped = [
            self.image.path.name,
            *self.archives,
            str(_GIB),
            PASSWORD,
            _HOOK,
            _MKGRUB,
            public_key(),
            *_insecure(),
        ]
        return self.image.path.parent / f"disk-{self.suite}-{self.kernel}-{_key(*shaped)}.qcow2"

    @property
    def box(self) -> Path:
        """Where the box lies when it is built."""
        return self.path.parent / f"box-{self.suite}-{self.kernel}-{_key(self.path.name, _VAGRANTFILE)}.box"

    def build(self) -> Path:
        """The qcow2; two minutes. Nobody writes to it: it is below overlays."""
        with one_at_a_time(self.path) as missing:
            if missing:
                self.image.build()
                with _aside(self.path) as folder:
                    _partitioned(self, folder)
                    _with_grub(folder)
                    raw, done = folder / "disk.raw", folder / "done"
                    good(["qemu-img", "convert", "-f", "raw", "-O", "qcow2", "-c", raw, done], 300)
                    done.rename(self.path)
        return self.path

    def build_box(self) -> Path:
        """The box; some seconds more."""
        assert _insecure(), "Vagrant's public key is in the package vagrant, which is not installed"
        disk = self.build()
        with one_at_a_time(self.box) as missing:
            if missing:
                with _aside(self.box) as folder:
                    _pack(disk, folder / "done")
                    (folder / "done").rename(self.box)
        return self.box


TRIXIE = Disk("trixie", archives=_ARCHIVES)
TRIXIE_WITH_COMPILERS = Disk("trixie", packages=(*_SERVER, *_COMPILERS), archives=_ARCHIVES)
BOOKWORM = Disk("bookworm")


# ---------------------------------------------------------------- keys


def _key(*texts: str) -> str:
    return hashlib.sha256("\n".join(texts).encode()).hexdigest()[:12]


def private_key() -> Path:
    """Opens every account of every disk in this cache; made when it is missing."""
    path = Image("any").path.parent / "key"
    with one_at_a_time(path) as missing:
        if missing:
            with _aside(path) as folder:
                good(
                    [
                        "ssh-keygen",
                        "-q",
                        "-t",
                        "ed25519",
                        "-N",
                        "",
                        "-C",
                        "rocmdoctor-tests",
                        "-f",
                        folder / "key",
                    ]
                )
                (folder / "key.pub").rename(path.with_suffix(".pub"))
                (folder / "key").rename(path)
    return path


def public_key() -> str:
    """Its other half."""
    return private_key().with_suffix(".pub").read_text(encoding="utf-8").strip()


def _insecure() -> list[str]:
    """Vagrant's well-known public key, from its own package; nothing where there is no Vagrant."""
    found = sorted(Path("/usr/share/rubygems-integration").glob("*/gems/vagrant-*/keys/vagrant.pub"))
    return [found[-1].read_text(encoding="utf-8").strip()] if found else []


# ---------------------------------------------------------------- written aside


@contextmanager
def _aside(target: Path) -> Iterator[Path]:
    """A folder beside it, on the same file system, that does not stay."""
    folder = Path(tempfile.mkdtemp(prefix=".new.", dir=target.parent))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


# ---------------------------------------------------------------- the steps


def _partitioned(disk: Disk, folder: Path) -> None:
    """disk.raw with one partition that can be booted but has no GRUB yet; kernel and initial root beside it."""
    with layer(disk.image, folder / "layer") as root:
        (root / HOME[1:]).mkdir(parents=True)
        fresh = Box(root)
        _own_authorities(root)
        _download(disk, fresh)
        fresh.good(_HOOK, PASSWORD, public_key(), "".join(_insecure()), network=False)
        fresh.write("/mkgrub", _MKGRUB, 0o755)
        (root / HOME[1:]).rmdir()
        for name in ("vmlinuz", "initrd.img"):
            (file,) = (root / "boot").glob(f"{name}-*")
            shutil.copyfile(file, folder / name)
        raw = folder / "disk.raw"
        raw.write_bytes(_partition_table())
        os.truncate(raw, _GIB << 30)
        size = f"{(_GIB << 20) - (_START // 2)}k"
        good(
            [
                "mke2fs",
                "-q",
                "-t",
                "ext4",
                "-L",
                "root",
                "-E",
                f"offset={_START * 512}",
                "-d",
                root,
                raw,
                size,
            ],
            300,
        )


def _partition_table() -> bytes:
    """An MBR with one partition of Linux, marked to be booted. Positions in cylinders are not used by anybody."""
    sectors = (_GIB << 21) - _START
    entry = struct.pack("<B3sB3sII", 0x80, b"\xfe\xff\xff", 0x83, b"\xfe\xff\xff", _START, sectors)
    return entry.rjust(0x1BE + 16, b"\0").ljust(510, b"\0") + b"\x55\xaa"


def _own_authorities(root: Path) -> None:
    """Authorities that this host trusts and Debian does not, one a file, so that update-ca-certificates keeps them."""
    host, theirs = root / CA_INSIDE[1:], root / "etc/ssl/certs/ca-certificates.crt"
    if not host.exists():
        return
    known = set(_PEM.findall(theirs.read_text(encoding="utf-8")))
    folder = root / "usr/local/share/ca-certificates"
    folder.mkdir(parents=True, exist_ok=True)
    own = [pem for pem in _PEM.findall(host.read_text(encoding="utf-8")) if pem not in known]
    for number, pem in enumerate(own):
        (folder / f"host-{number}.crt").write_text(pem, encoding="ascii")


def _download(disk: Disk, fresh: Box) -> None:
    # systemd-resolved made it a link into /run, which is empty here.
    (fresh.root / "etc/resolv.conf").unlink(missing_ok=True)
    fresh.write("/etc/resolv.conf", "")
    fresh.good("apt-get -q update -o APT::Update::Error-Mode=any", seconds=300)
    if not disk.archives:
        return
    inside, kept = fresh.root / "var/cache/apt/archives", archives(disk.image)
    for file in kept.glob("*.deb"):
        shutil.copyfile(file, inside / file.name)
    script = 'apt-get -q -y --no-install-recommends install --download-only "$@" && apt-get -q autoclean'
    fresh.good(script, *disk.archives, seconds=600, env={"DEBIAN_FRONTEND": "noninteractive"})
    for file in inside.glob("*.deb"):
        if not (kept / file.name).exists():
            shutil.copyfile(file, kept / file.name)


def _with_grub(folder: Path) -> None:
    """Boots the disk once, with its own kernel, to install GRUB."""
    done = bounded(
        ["qemu-system-x86_64", "-machine", "q35,accel=tcg", "-cpu", "max", "-smp", "2", "-m", "768", "-nographic",
         "-no-reboot", "-net", "none", "-drive", f"file={folder / 'disk.raw'},if=virtio,format=raw,cache=unsafe",
         "-kernel", folder / "vmlinuz", "-initrd", folder / "initrd.img",
         "-append", "root=/dev/vda1 rw console=ttyS0 quiet init=/mkgrub"],
        seconds=300,
    )  # fmt: skip
    assert "GRUB-DONE" in done.stdout, done.stdout[-3000:] + done.stderr[-1000:]


def _pack(disk: Path, target: Path) -> None:
    described = {"provider": "libvirt", "format": "qcow2", "virtual_size": _GIB}
    # The disk is compressed already.
    with gzip.open(target, "wb", compresslevel=1) as zipped, tarfile.open(fileobj=zipped, mode="w") as tar:
        for name, text in (("metadata.json", json.dumps(described)), ("Vagrantfile", _VAGRANTFILE)):
            entry = tarfile.TarInfo(name)
            entry.size = len(text)
            tar.addfile(entry, io.BytesIO(text.encode()))
        tar.add(disk, "box.img")


# ---------------------------------------------------------------- from a shell


def main(argv: list[str]) -> int:
    """Prints the path of what was asked for; makes it when it is not in the cache."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.e2e.disks", description=(__doc__ or "").partition("\n")[0]
    )
    parser.add_argument(
        "what", choices=("disk", "box"), help="a qcow2, or a box for Vagrant's libvirt provider"
    )
    parser.add_argument("suite", choices=("bookworm", "trixie"))
    parser.add_argument(
        "--kernel", choices=tuple(KERNELS), default="cloud", help="only `full` has amdgpu (default: cloud)"
    )
    said = parser.parse_args(argv)
    disk = replace(TRIXIE if said.suite == "trixie" else BOOKWORM, kernel=said.kernel)
    began = time.monotonic()
    path = disk.build() if said.what == "disk" else disk.build_box()
    print(path)
    print(f"{time.monotonic() - began:.1f} s", file=sys.stderr)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
