"""Guests of QEMU, without acceleration: started, spoken to over ssh, rebooted, frozen in a snapshot, unplugged.

A reboot is a shutdown of the guest's own and a cold start: QEMU ends when the guest asks for a reboot, and is started again
with the same disk. Unplugging is SIGKILL to QEMU. What the guest's kernel had not written is lost with it; what it had
flushed is kept, since `cache=unsafe` still hands it to the host's kernel, which goes on.
"""

from __future__ import annotations

import shlex
import shutil
import socket
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pexpect
import pytest

from tests.e2e.boxes import HOME, Box
from tests.e2e.processes import bounded, envelope_of, good

_SSH = (
    "-o", "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=/dev/null", "-o", "ConnectTimeout=5", "-o",
    "LogLevel=ERROR", "-o", "BatchMode=yes", "-o", "ServerAliveInterval=10", "-o", "ServerAliveCountMax=3",
)  # fmt: skip
needs_qemu = pytest.mark.skipif(
    shutil.which("qemu-system-x86_64") is None, reason="needs qemu-system-x86_64; .ci/run installs it"
)
PARTITION = 2048 * 512  # where the file system begins on the disks of `tests.e2e.disks`, in bytes
Done = subprocess.CompletedProcess[str]


@dataclass
class Guest:
    """A guest in a folder of its own; `drive` is QEMU's description of its disk, `key` opens root's and ann's account."""

    folder: Path
    drive: str
    key: Path
    devices: tuple[str, ...] = ()
    memory: int = 1536
    port: int = 0
    took: dict[str, float] = field(default_factory=dict)
    _qemu: subprocess.Popen[bytes] | None = None

    # ------------------------------------------------------------ on and off

    def start(self, snapshot: str = "") -> None:
        """Switches it on, or goes on from a snapshot; waits until ssh answers."""
        self.launch(snapshot)
        self.wait()

    def launch(self, snapshot: str = "") -> None:
        """Switches it on."""
        assert not self.running
        self.port = self.port or _free_port()
        (self.folder / "monitor").unlink(missing_ok=True)
        with (self.folder / "qemu.log").open("ab") as log:
            # Should this process be killed, QEMU ends with it.
            self._qemu = subprocess.Popen(
                ["setpriv", "--pdeathsig", "KILL", "qemu-system-x86_64", "-machine", "q35", "-accel", "tcg,thread=multi",
                 "-cpu", "max", "-smp", "2", "-m", str(self.memory), "-display", "none", "-vga", "none", *self.devices,
                 "-chardev", f"file,id=console,path={self.serial},append=on", "-serial", "chardev:console", "-monitor", f"unix:{self.folder / 'monitor'},server,nowait", "-no-reboot",
                 "-drive", f"{self.drive},if=virtio,cache=unsafe",
                 "-netdev", f"user,id=n,hostfwd=tcp:127.0.0.1:{self.port}-:22", "-device", "virtio-net-pci,netdev=n",
                 *(["-loadvm", snapshot] if snapshot else [])],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True,
            )  # fmt: skip

    @property
    def running(self) -> bool:
        """Whether it is on."""
        return self._qemu is not None and self._qemu.poll() is None

    @property
    def serial(self) -> Path:
        """What the guest wrote to its console, in all its boots."""
        return self.folder / "serial.log"

    def wait(self, seconds: float = 240) -> None:
        """Until ssh answers."""
        began = time.monotonic()
        while time.monotonic() < began + seconds:
            assert self.running, f"QEMU ended{self._console()}"
            # The port is open before the guest listens; only an answer counts.
            with suppress(subprocess.TimeoutExpired):
                if bounded([*self._ssh("root"), "true"], 8).returncode == 0:
                    self.took["ssh"] = time.monotonic() - began
                    return
            time.sleep(0.3)
        raise AssertionError(f"no ssh within {seconds:.0f} s{self._console()}")

    def wait_until_off(self, seconds: float = 300) -> None:
        """Until the guest has shut down, for a reboot or for good."""
        assert self._qemu is not None
        try:
            self._qemu.wait(seconds)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"not down within {seconds:.0f} s{self._console()}") from None

    def unplug(self) -> None:
        """As if the plug were pulled."""
        assert self._qemu is not None
        self._qemu.kill()
        self._qemu.wait(20)

    def power_off(self) -> None:
        """Shuts down properly."""
        self.run("systemctl poweroff")
        self.wait_until_off()

    def _console(self) -> str:
        said = "".join(
            p.read_text(errors="replace")[-3000:]
            for p in (self.serial, self.folder / "qemu.log")
            if p.exists()
        )
        return f"; the console:\n{said}"

    # ------------------------------------------------------------ words

    def _ssh(self, user: str, *options: str) -> list[str]:
        return ["ssh", "-i", str(self.key), "-p", str(self.port), *_SSH, *options, f"{user}@127.0.0.1"]

    def run(
        self,
        script: str,
        *argv: str,
        user: str = "root",
        seconds: float = 120,
        env: Mapping[str, str] | None = None,
    ) -> Done:
        """A shell script in the checkout, in a login session of its own."""
        settings = [f"{name}={value}" for name, value in (env or {}).items()]
        inside = ["env", *settings, "sh", "-c", f"cd {HOME} && {{ {script}\n}}", "sh", *argv]
        return bounded([*self._ssh(user), shlex.join(inside)], seconds)

    def good(self, script: str, *argv: str, **more: Any) -> str:
        """The output of a script that must succeed."""
        done = self.run(script, *argv, **more)
        assert done.returncode == 0, (
            f"exit code {done.returncode}\n{done.stdout[-3000:]}\n{done.stderr[-3000:]}{self._console()}"
        )
        return done.stdout

    def doctor(self, *argv: str, user: str = "root", seconds: float = 900) -> dict[str, Any]:
        """The envelope of a verb under --json."""
        return envelope_of(self.run('./run "$@" --json', *argv, user=user, seconds=seconds))

    def check(self, *options: str, user: str = "root") -> dict[str, Any]:
        """The envelope of `check`; emulation is slow, so its time limits are stretched."""
        return self.doctor("check", "--patience", "5", *options, user=user)

    def begin(self, script: str, user: str = "root") -> subprocess.Popen[bytes]:
        """A shell script in the checkout that is not waited for; its output goes to a file beside the disk."""
        command = shlex.join(["sh", "-c", f"cd {HOME} && {{ {script}\n}}"])
        with (self.folder / "begun.log").open("ab") as log:
            return subprocess.Popen(
                [*self._ssh(user), command],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    def terminal(self, command: str, user: str = "ann", seconds: float = 600) -> pexpect.spawn:
        """A shell command in the checkout, in a login of that user on a terminal."""
        ssh, *argv = self._ssh(user, "-t")
        return pexpect.spawn(
            ssh, [*argv, f"cd {HOME} && {command}"], timeout=seconds, encoding="utf-8",
            codec_errors="backslashreplace", dimensions=(40, 110),
        )  # fmt: skip

    def write(self, path: str, text: str, mode: int = 0o644) -> None:
        """A file of root's inside."""
        script = 'mkdir -p "$(dirname "$1")" && printf %s "$2" > "$1" && chmod "$3" "$1"'
        self.good(script, path, text, f"{mode:o}")

    def copy(self, folder: Path, target: str) -> None:
        """A folder of this machine, into the guest; all of it becomes root's."""
        unpack = shlex.join(["sh", "-c", 'mkdir -p "$1" && tar -C "$1" --no-same-owner -xf -', "sh", target])
        pipe = 'folder=$1; shift; tar -C "$folder" -cf - . | "$@"'
        good(["sh", "-c", pipe, "sh", folder, *self._ssh("root"), unpack], 180)

    @property
    def ssh_config(self) -> str:
        """The options as a file for testinfra."""
        pairs = [o.replace("=", " ") for o in _SSH if o != "-o"]
        return "\n".join(["Host *", f"IdentityFile {self.key}", *pairs]) + "\n"

    # ------------------------------------------------------------ snapshots

    def monitor(self, command: str, seconds: float = 120) -> str:
        """What QEMU's monitor answers."""
        with socket.socket(socket.AF_UNIX) as wire:
            wire.settimeout(seconds)
            wire.connect(str(self.folder / "monitor"))
            _until_prompt(wire)
            wire.sendall(command.encode() + b"\n")
            return _until_prompt(wire)

    def save(self, name: str) -> None:
        """Keeps memory and disk as they are now, in the disk's file."""
        said = self.monitor(f"savevm {name}")
        assert "Error" not in said, said
        assert name in self.monitor("info snapshots")


def _until_prompt(wire: socket.socket) -> str:
    said = b""
    while not said.endswith(b"(qemu) "):
        data = wire.recv(65536)
        assert data, said
        said += data
    return said.decode(errors="replace")


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


# ---------------------------------------------------------------- guests of a test


@contextmanager
def guest_on(disk: Path, folder: Path, key: Path, **more: Any) -> Iterator[Guest]:
    """A guest on a new layer over a disk, not yet started. The layer is thrown away."""
    folder.mkdir(parents=True, exist_ok=True)
    layer = folder / "disk.qcow2"
    good(["qemu-img", "create", "-q", "-f", "qcow2", "-F", "qcow2", "-b", disk, layer])
    with _ending(Guest(folder, f"file={layer},format=qcow2", key, **more)) as guest:
        yield guest


@contextmanager
def copy_of(frozen: Guest, folder: Path) -> Iterator[Guest]:
    """A second guest with the disk of one that does not run, and the snapshots in it. It is thrown away."""
    assert not frozen.running
    folder.mkdir(parents=True, exist_ok=True)
    layer = folder / "disk.qcow2"
    shutil.copyfile(frozen.folder / "disk.qcow2", layer)
    copied = Guest(folder, f"file={layer},format=qcow2", frozen.key, frozen.devices, frozen.memory)
    with _ending(copied) as guest:
        yield guest


@contextmanager
def _ending(guest: Guest) -> Iterator[Guest]:
    try:
        yield guest
    finally:
        if guest.running:
            guest.unplug()
        (guest.folder / "disk.qcow2").unlink(missing_ok=True)


@contextmanager
def read_outside(guest: Guest) -> Iterator[Box]:
    """A copy of the disk of a guest that does not run, to look into as a container: emulation would take minutes for it.

    What lies in the file system's own journal comes into effect, as at the guest's next boot.
    """
    assert not guest.running
    if not Path("/dev/loop-control").exists():
        pytest.skip("needs loop devices, to look into a guest's disk")
    raw, root = guest.folder / "disk.raw", guest.folder / "disk"
    good(["qemu-img", "convert", "-O", "raw", guest.folder / "disk.qcow2", raw], 300)
    root.mkdir()
    try:
        good(["mount", "-o", f"loop,offset={PARTITION}", raw, root])
        try:
            yield Box(root)
        finally:
            good(["umount", root])
    finally:
        raw.unlink()
        root.rmdir()


def until(holds: Callable[[], object], what: str, seconds: float = 60) -> None:
    """Waits for it, with a bound."""
    end = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < end, f"{what}: not within {seconds:.0f} s"
        time.sleep(0.2)
