"""A virtual machine with a kernel of its own: QEMU without acceleration, reached over ssh."""

from __future__ import annotations

import json
import os
import signal
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.e2e.boxes import HOME, Box, copy_checkout, layer
from tests.e2e.images import Image
from tests.e2e.processes import bounded, good

_NETWORK = "[Match]\nName=e*\n[Network]\nDHCP=ipv4\n"
_SSH_OPTIONS = (
    "-o", "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=/dev/null", "-o", "ConnectTimeout=5", "-o",
    "LogLevel=ERROR", "-o", "BatchMode=yes",
)  # fmt: skip


class Vm:
    """A running guest; `key` opens root's and ann's account."""

    def __init__(self, port: int, key: Path) -> None:
        self.port = port
        self.key = key

    def run(self, script: str, user: str = "root", seconds: float = 120) -> Any:
        """A shell script in the checkout, in a login session of its own."""
        ssh = ["ssh", "-i", self.key, "-p", str(self.port), *_SSH_OPTIONS, f"{user}@127.0.0.1"]
        return bounded([*ssh, f"cd {HOME} && {script}"], seconds)

    def check(self, options: str = "", user: str = "root") -> dict[str, Any]:
        """The JSON envelope of `./run check`; emulation is slow, so its time limits are stretched."""
        done = self.run(f"./run check --json --patience 5 {options}", user)
        assert "Traceback" not in done.stdout + done.stderr, done.stderr[-3000:]
        envelope: dict[str, Any] = json.loads(done.stdout)
        assert envelope["exit_code"] == done.returncode
        return envelope

    @property
    def ssh_config(self) -> str:
        """The options as a file for testinfra."""
        pairs = [o.replace("=", " ") for o in _SSH_OPTIONS if o != "-o"]
        return "\n".join(["Host *", f"IdentityFile {self.key}", *pairs]) + "\n"


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


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def started(
    image: Image, folder: Path, devices: tuple[str, ...], prepare: Callable[[Box], None], seconds: float = 600
) -> Iterator[Vm]:
    """The guest once ssh answers. It ends with the test, by the number in its pid file."""
    disk = _disk(image, folder, prepare)
    vm = Vm(_free_port(), folder / "key")
    pidfile = folder / "qemu.pid"
    good(
        ["qemu-system-x86_64", "-machine", "q35", "-accel", "tcg,thread=multi", "-cpu", "max", "-smp", "2",
         "-m", "1536", "-display", "none", "-vga", "none", *devices,
         "-serial", f"file:{folder / 'serial.log'}", "-pidfile", pidfile, "-daemonize", "-no-reboot",
         "-kernel", folder / "vmlinuz", "-initrd", folder / "initrd.img",
         "-append", "root=/dev/vda rw console=ttyS0 net.ifnames=0",
         "-drive", f"file={disk},if=virtio,format=raw,cache=unsafe",
         "-netdev", f"user,id=n,hostfwd=tcp:127.0.0.1:{vm.port}-:22", "-device", "virtio-net-pci,netdev=n"]
    )  # fmt: skip
    pid = int(pidfile.read_text(encoding="utf-8"))
    try:
        _wait(vm, time.monotonic() + seconds, folder / "serial.log")
        yield vm
    finally:
        _end(pid)
        disk.unlink()


def _wait(vm: Vm, until: float, serial: Path) -> None:
    while time.monotonic() < until:
        # The port is open before the guest listens; only an answer counts.
        if (
            bounded(
                [
                    "timeout",
                    "8",
                    "ssh",
                    "-i",
                    vm.key,
                    "-p",
                    str(vm.port),
                    *_SSH_OPTIONS,
                    "root@127.0.0.1",
                    "true",
                ]
            ).returncode
            == 0
        ):
            vm.run("udevadm settle --timeout=60", seconds=90)
            return
        time.sleep(0.5)
    raise AssertionError(f"no ssh:\n{serial.read_text(errors='replace')[-800:]}")


def _end(pid: int) -> None:
    os.kill(pid, signal.SIGTERM)
    for _ in range(100):
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            return
        time.sleep(0.1)
    os.kill(pid, signal.SIGKILL)
