"""Debian machines to install on: booted with systemd in a container, with network, sudo that asks, and reboots."""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pexpect

from tests.e2e.boxes import _NSPAWN, _QUIET, HOME, BootedBox, Box, copy_checkout, layer
from tests.e2e.images import CA_INSIDE, Image
from tests.e2e.processes import bounded, envelope_of

PASSWORD = "correct horse"
# What a minimal server has, and nothing of ROCm. zsh is the login shell of a second user.
SERVER = (
    "python3", "python3-venv", "systemd-sysv", "udev", "dbus", "libpam-systemd", "sudo", "adduser", "kmod", "procps", "iproute2",
    "zsh", "ca-certificates",
)  # fmt: skip
INSTALLER = Image("trixie", SERVER)
# nspawn ends with this code when the machine inside asked for a reboot; it must be started again by whoever started it.
_AGAIN = 'while :; do "$@"; code=$?; [ $code = 133 ] || exit $code; done'


def archives(image: Image) -> Path:
    """Packages that were downloaded once are not downloaded again."""
    cache = (
        Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
        / "rocmdoctor"
        / f"archives-{image.suite}"
    )
    (cache / "partial").mkdir(parents=True, exist_ok=True)
    return cache


def with_users(fresh: Box) -> None:
    """ann may use sudo and is asked for her password; the doctor's environments are made, so that tests begin at once."""
    fresh.good(
        "useradd -m -s /bin/bash -G sudo ann && useradd -m -s /bin/zsh -G sudo zoe && "
        f"printf 'ann:{PASSWORD}\\nzoe:{PASSWORD}\\n' | chpasswd"
    )
    fresh.good("apt-get -q update", seconds=300)
    # Root, and root by way of sudo, share one environment of the doctor's here, to save time.
    fresh.good("mkdir -p /root/.cache /var/cache/rocmdoctor && ln -s /var/cache/rocmdoctor /root/.cache/")
    fresh.good("./run --version", user="ann", seconds=300)
    fresh.good("./run --version", seconds=300)


class Machine(BootedBox):
    """A booted container that comes back after it was rebooted."""

    def __init__(self, root: Path, supervisor: int, console: Path) -> None:
        super().__init__(root, 0)
        self._supervisor = supervisor
        self._console = console

    def find(self, seconds: float = 90) -> None:
        """Waits for a systemd that has started everything."""
        until = time.monotonic() + seconds
        self._leader = _leader(self._supervisor, until)
        self.wait(until, self._console)

    def wait_for_reboot(self, seconds: float = 180) -> None:
        """Until the present systemd is gone and another has come up."""
        until = time.monotonic() + seconds
        self.wait_until_down(seconds)
        self.find(max(10.0, until - time.monotonic()))

    def wait_until_down(self, seconds: float = 180) -> None:
        """Until the present systemd is gone."""
        until = time.monotonic() + seconds
        while Path(f"/proc/{self._leader}").exists():
            if time.monotonic() > until:
                raise AssertionError(
                    "the machine did not go down\n" + self._console.read_text(errors="replace")[-2000:]
                )
            # systemd stops all processes before it ends them. nsenter, outside, stops with its child, and would keep it
            # from being reaped for as long.
            bounded(["pkill", "-CONT", "-f", f"nsenter -t {self._leader} "])
            time.sleep(0.1)

    def settle(self, seconds: float = 600) -> None:
        """Until a boot is over with all that it starts, by way of as many reboots as these ask for."""
        until = time.monotonic() + seconds
        state = ""
        while time.monotonic() < until:
            # Nothing waits inside: what is inside when the machine goes down would hold it up.
            with suppress(AssertionError, subprocess.TimeoutExpired):
                self._leader = _leader(self._supervisor, time.monotonic() + 10)
                state = self.run("systemctl is-system-running", seconds=5).stdout.strip()
                if state in ("running", "degraded"):
                    return
            time.sleep(0.2)
        raise AssertionError(f"{state}\n{self._console.read_text(errors='replace')[-2000:]}")

    def wait_for_end_of(self, started: subprocess.Popen[bytes], seconds: float) -> None:
        """Until a script has ended, be it with the machine."""
        until = time.monotonic() + seconds
        while started.poll() is None:
            assert time.monotonic() < until, "it did not end"
            if not Path(f"/proc/{self._leader}").exists():
                started.kill()
            bounded(["pkill", "-CONT", "-f", f"nsenter -t {self._leader} "])
            time.sleep(0.2)

    def kill(self) -> None:
        """As if the plug were pulled: with its first process every process of the machine ends at once."""
        os.kill(self._leader, 9)

    def doctor(self, *argv: str, user: str = "root", seconds: float = 900) -> dict[str, Any]:
        """The envelope of a verb under --json, which may have talked on stderr."""
        return envelope_of(self.run('./run "$@" --json', *argv, user=user, seconds=seconds))

    def begin(self, script: str) -> subprocess.Popen[bytes]:
        """A shell script in the checkout, as root, that is not waited for."""
        enter = ["nsenter", "-t", str(self._leader), "-m", "-u", "-i", "-n", "-p", "--"]
        clean = [
            "env",
            "-i",
            "HOME=/root",
            "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
        ]
        return subprocess.Popen(
            [*enter, *clean, "sh", "-c", f"cd {HOME} && {script}"],
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True,
        )  # fmt: skip

    def terminal(self, command: str, user: str = "ann", seconds: float = 900) -> pexpect.spawn:
        """A shell command in a login of that user, on a terminal."""
        enter = ["-t", str(self._leader), "-m", "-u", "-i", "-n", "-p", "--"]
        clean = [
            "env",
            "-i",
            "TERM=xterm",
            "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
        ]
        line = f"cd {HOME} && {command}"
        # `script` opens a terminal of the container's own; the one outside is not known inside.
        argv = [*enter, *clean, "su", "-", user, "-c", f"script -qec {_quoted(line)} /dev/null"]
        return pexpect.spawn(
            "nsenter",
            argv,
            timeout=seconds,
            encoding="utf-8",
            codec_errors="backslashreplace",
            dimensions=(40, 110),
        )


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "'\\''") + "'"


def _leader(supervisor: int, until: float) -> int:
    while time.monotonic() < until:
        for nspawn in bounded(["pgrep", "-P", str(supervisor), "systemd-nspawn"]).stdout.split():
            for pid in bounded(["pgrep", "-P", nspawn]).stdout.split():
                # Short-lived helpers of nspawn come and go between the list and the look.
                with suppress(OSError):
                    if Path(f"/proc/{pid}/comm").read_text(encoding="utf-8").strip() in ("systemd", "init"):
                        return int(pid)
        time.sleep(0.1)
    raise AssertionError("the machine did not start")


def nspawn_argv(root: Path, *more: str) -> list[str]:
    """A booted container that shares the host's network."""
    return [
        *_QUIET, "sh", "-c", _AGAIN, "sh", *_NSPAWN, "--boot", f"--directory={root}", "--resolv-conf=copy-host",
        f"--setenv=PIP_CERT={CA_INSIDE}", *more,
    ]  # fmt: skip


@contextmanager
def machine(
    image: Image, folder: Path, prepare: Callable[[Box], None], *more: str, below: tuple[Path, ...] = ()
) -> Iterator[Machine]:
    """A server that boots and may reboot; it is powered off at the end."""
    with layer(image, folder, below) as root:
        if not (root / HOME[1:]).exists():
            copy_checkout(root / HOME[1:])
        prepare(Box(root))
        with running(root, folder, f"--bind={archives(image)}:/var/cache/apt/archives", *more) as booted:
            yield booted


@contextmanager
def running(
    root: Path, folder: Path, *more: str, ready: Callable[[Machine], None] = Machine.find
) -> Iterator[Machine]:
    """Boots what lies in a folder, and waits until it is ready."""
    console = folder / "console.log"
    with (
        console.open("ab") as log,
        subprocess.Popen(
            nspawn_argv(root, *more), stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True
        ) as proc,
    ):
        try:
            booted = Machine(root, proc.pid, console)
            ready(booted)
            yield booted
        finally:
            _off(proc)


def _off(proc: subprocess.Popen[bytes]) -> None:
    """Powers the machine off; a loop that would start it again is ended first."""
    nspawns = bounded(["pgrep", "-P", str(proc.pid), "systemd-nspawn"]).stdout.split()
    first = [pid for nspawn in nspawns for pid in bounded(["pgrep", "-P", nspawn]).stdout.split()]
    proc.kill()
    for pid in [*first, *nspawns]:
        with suppress(ProcessLookupError):
            os.kill(int(pid), 9)
    proc.wait(20)


# What moves by itself, or is a record of what was done: no part of a machine's state.
_MOVING = (
    r"/var/(?:log|cache|tmp|lib/(?:rocmdoctor|apt|systemd|dpkg/(?:info|updates|triggers|.*-old|status|lock.*|diversions|statoverride)))(?:/|$)"
    r"|/(?:proc|sys|dev|run|tmp|boot)(?:/|$)|/root/\.cache|/home/\w+/\.cache|/opt/rocmdoctor/|__pycache__|/etc/ld\.so\.cache$"
    r"|/etc/(?:group|gshadow|passwd|shadow|subuid|subgid)-$|/etc/\.pwd\.lock|/var/backups/|/etc/resolv\.conf|/etc/machine-id"
    r"|/\.sudo_as_admin_successful$|/etc/\.updated|/var/\.updated|/\.nspawn|/var/lib/(?:ucf|private)(?:/|$)"
)


def state_of(booted: Box) -> dict[str, str]:
    """The machine as far as an installation may change it: packages with state, files with kind, mode, owner and content."""
    text = booted.good(_STATE_SCRIPT, _MOVING, seconds=300)
    return dict(line.split("\t", 1) for line in text.splitlines())


_STATE_SCRIPT = """
dpkg-query -W -f 'package ${binary:Package}\\t${Version} ${db:Status-Abbrev}\\n'
getent group | sed 's/^\\([^:]*\\):/group \\1\\t/'
python3 - "$1" <<'END'
import hashlib, os, pwd, re, stat, sys
moving = re.compile(sys.argv[1])
for folder, folders, files in os.walk("/"):
    folders[:] = sorted(f for f in folders if not moving.search(os.path.join(folder, f)) and not os.path.ismount(os.path.join(folder, f)))
    for name in [*folders, *files]:
        path = os.path.join(folder, name)
        if moving.search(path):
            continue
        found = os.lstat(path)
        said = "%o %d:%d" % (found.st_mode, found.st_uid, found.st_gid)
        if stat.S_ISLNK(found.st_mode):
            said += " " + os.readlink(path)
        elif stat.S_ISREG(found.st_mode):
            with open(path, "rb") as file:
                said += " " + hashlib.sha256(file.read()).hexdigest()
        print(repr(path)[1:-1], said, sep="\\t")
END
"""


def targets_of_hipcc(booted: Box, bundler: str, gfx: str = "gfx90a") -> list[str]:
    """What hipcc really builds in a shell of ann's, as she has it after an installation; told by LLVM's own tool."""
    program = "__global__ void k(int *p) { *p = 1; } int main() { int *p = 0; k<<<1, 1>>>(p); }"
    booted.write("/home/ann/k.hip", f"#include <hip/hip_runtime.h>\n{program}\n")
    home = "/home/ann"
    compiled = f"hipcc --offload-arch={gfx} {home}/k.hip -o {home}/k"
    booted.good(f"bash -ic '{compiled}' 2>&1", user="ann", env={"HOME": home})
    listed = booted.good(
        f"cd {home} && objcopy --dump-section .hip_fatbin=k.bundle k && {bundler} --list --type=o --input=k.bundle; "
        "rm -f k k.bundle k.hip"
    )
    return [line for line in listed.split() if "gfx" in line]
