"""A virtual machine made of a root file system that containers use, too: its kernel is started by QEMU, without GRUB."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.e2e.boxes import HOME, Box, copy_checkout, layer
from tests.e2e.guests import Guest
from tests.e2e.images import Image
from tests.e2e.processes import good

_NETWORK = "[Match]\nName=e*\n[Network]\nDHCP=ipv4\n"


def _disk(image: Image, folder: Path, prepare: Callable[[Box], None]) -> Path:
    """A disk image without partitions, beside the kernel and its first root; made without mounting it."""
    good(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", folder / "key"])
    public = (folder / "key.pub").read_text(encoding="utf-8")
    with layer(image, folder / "box") as root:
        copy_checkout(root / HOME[1:])
        fresh = Box(root)
        fresh.write("/etc/systemd/network/all.network", _NETWORK)
        fresh.write("/etc/fstab", "/dev/vda / ext4 rw,relatime 0 1\n")
        fresh.write("/etc/ssh/sshd_config.d/quick.conf", "UseDNS no\n")
        fresh.good("systemctl enable systemd-networkd")
        prepare(fresh)
        for home, user in (("/root", "root"), ("/home/ann", "ann")):
            fresh.write(f"{home}/.ssh/authorized_keys", public, 0o600)
            fresh.good(f"chown -R {user}: {home}/.ssh && chmod 700 {home}/.ssh")
        for name in ("vmlinuz", "initrd.img"):
            (file,) = (root / "boot").glob(f"{name}-*")
            (folder / name).write_bytes(file.read_bytes())
        good(["truncate", "-s", "6G", folder / "disk.raw"])
        good(["mke2fs", "-q", "-t", "ext4", "-d", root, folder / "disk.raw"], 300)
    return folder / "disk.raw"


@contextmanager
def started(
    image: Image, folder: Path, devices: tuple[str, ...], prepare: Callable[[Box], None]
) -> Iterator[Guest]:
    """The guest once ssh answers and udev has loaded what it will. It ends with the test."""
    disk = _disk(image, folder, prepare)
    kernel = (
        "-kernel", str(folder / "vmlinuz"), "-initrd", str(folder / "initrd.img"),
        "-append", "root=/dev/vda rw console=ttyS0 net.ifnames=0",
    )  # fmt: skip
    guest = Guest(folder, f"file={disk},format=raw", folder / "key", (*devices, *kernel))
    try:
        guest.start()
        guest.run("udevadm settle --timeout=60", seconds=90)
        yield guest
    finally:
        if guest.running:
            guest.unplug()
        disk.unlink()
