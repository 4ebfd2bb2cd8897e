"""Machines made of an image and a layer of their own: entered with systemd-nspawn, booted or not."""

from __future__ import annotations

import json
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from tests.conftest import CHECKOUT
from tests.e2e.images import CA_INSIDE, Image
from tests.e2e.processes import bounded, good

HOME = "/opt/rocmdoctor"  # the checkout, inside
_LEFT_OUT = (
    ".git", "__pycache__", ".*_cache", ".hypothesis", ".venv", ".rocmdoctor", "dist", "build", "*.egg-info"
)  # fmt: skip
# nspawn complains at exit unless its own folder is a file system that may go away.
_QUIET = (
    "unshare", "-m", "--propagation", "slave", "sh", "-c",
    'mkdir -p /run/systemd/nspawn && mount -t tmpfs tmpfs /run/systemd/nspawn && exec "$@"', "sh",
)  # fmt: skip
_NSPAWN = ("systemd-nspawn", "--quiet", "--register=no", "--keep-unit", "--link-journal=no")
Done = subprocess.CompletedProcess[str]


def copy_checkout(target: Path) -> None:
    """The project as it stands, without what tools left in it."""
    shutil.copytree(CHECKOUT, target, symlinks=True, ignore=shutil.ignore_patterns(*_LEFT_OUT))


class Box:
    """A root file system that may be changed, with the checkout in it."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def run(
        self,
        script: str,
        *argv: str,
        user: str = "root",
        network: bool = True,
        seconds: float = 120,
        env: Mapping[str, str] | None = None,
    ) -> Done:
        """A shell script in the checkout, with arguments; without `network` there is only a loopback."""
        settings = [f"--setenv={k}={v}" for k, v in {"PIP_CERT": CA_INSIDE, **(env or {})}.items()]
        net = ["--resolv-conf=copy-host"] if network else ["--private-network"]
        inside = ["sh", "-c", script, "sh", *argv]
        return bounded(
            [*_QUIET, *_NSPAWN, "--pipe", f"--directory={self.root}", f"--user={user}", f"--chdir={HOME}", *net,
             *settings, *inside],
            seconds,
        )  # fmt: skip

    def good(self, script: str, *argv: str, **more: Any) -> str:
        """The output of a script that must succeed."""
        done = self.run(script, *argv, **more)
        assert done.returncode == 0, (
            f"exit code {done.returncode}\n{done.stdout[-3000:]}\n{done.stderr[-3000:]}"
        )
        return done.stdout

    def check(self, *argv: str, **more: Any) -> dict[str, Any]:
        """The JSON envelope of `./run check`."""
        done = self.run('./run check --json "$@"', *argv, **more)
        assert "Traceback" not in done.stdout + done.stderr, done.stderr[-3000:]
        try:
            envelope: dict[str, Any] = json.loads(done.stdout)
        except ValueError:
            raise AssertionError(
                f"exit code {done.returncode}\n{done.stdout[-2000:]}\n{done.stderr[-2000:]}"
            ) from None
        assert envelope["exit_code"] == done.returncode
        return envelope

    def write(self, path: str, text: str, mode: int = 0o644) -> None:
        """A file inside."""
        target = self.root / path.lstrip("/")
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text, encoding="utf-8")
        target.chmod(mode)


@contextmanager
def layer(image: Image, folder: Path, below: tuple[Path, ...] = (), *, keep: bool = False) -> Iterator[Path]:
    """The image under a layer that is thrown away, unless it is to be kept; `below` are kept ones, the newest first."""
    lower = ":".join(map(str, (*below, image.build())))
    for name in ("upper", "work", "root"):
        (folder / name).mkdir(parents=True)
    root = folder / "root"
    options = f"lowerdir={lower},upperdir={folder / 'upper'},workdir={folder / 'work'}"
    good(["mount", "-t", "overlay", "overlay", "-o", options, root])
    try:
        yield root
    finally:
        good(["umount", *([] if keep else ["--lazy"]), root])
        if not keep:
            shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def box(image: Image, folder: Path) -> Iterator[Box]:
    """A fresh machine that is not booted; every command is a container of its own."""
    with layer(image, folder) as root:
        copy_checkout(root / HOME[1:])
        yield Box(root)


class BootedBox(Box):
    """A machine with systemd as process 1. Its kernel is the host's."""

    def __init__(self, root: Path, leader: int) -> None:
        super().__init__(root)
        self._leader = leader

    def run(
        self,
        script: str,
        *argv: str,
        user: str = "root",
        network: bool = True,
        seconds: float = 120,
        env: Mapping[str, str] | None = None,
    ) -> Done:
        """A shell script in the checkout, in a new login session of `user`."""
        settings = [f"{k}={v}" for k, v in (env or {}).items()]
        inside = ["env", "-i", "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", *settings]
        command = f"cd {HOME} || exit; {script}"
        become = ["setpriv", f"--reuid={user}", f"--regid={user}", "--init-groups", "--reset-env"]
        enter = ["nsenter", "-t", str(self._leader), "-m", "-u", "-i", "-n", "-p", "--"]
        return bounded(
            [*enter, *inside, *become, "env", *settings, "sh", "-c", command, "sh", *argv], seconds
        )

    def wait(self, until: float, console: Path) -> None:
        """Until systemd has started everything."""
        state = ""
        while time.monotonic() < until:
            # It prints nothing as long as there is no bus to ask.
            state = self.run("systemctl is-system-running --wait").stdout.strip()
            if state in ("running", "degraded"):
                return
            time.sleep(0.1)
        raise AssertionError(f"{state}\n{console.read_text(errors='replace')[-2000:]}")


def _leader(nspawn: int, until: float) -> int:
    while time.monotonic() < until:
        for pid in bounded(["pgrep", "-P", str(nspawn)]).stdout.split():
            # Short-lived helpers of nspawn come and go between the list and the look.
            with suppress(OSError):
                if Path(f"/proc/{pid}/comm").read_text(encoding="utf-8").strip() in ("systemd", "init"):
                    return int(pid)
        time.sleep(0.1)
    raise AssertionError("the machine did not start")


@contextmanager
def booted(
    image: Image, folder: Path, prepare: Callable[[Box], None], seconds: float = 60
) -> Iterator[BootedBox]:
    """The machine after its systemd has come up; it is powered off at the end.

    It has no network, since it would share the host's: `prepare` gets it before it boots, when it has one.
    """
    with layer(image, folder) as root:
        copy_checkout(root / HOME[1:])
        prepare(Box(root))
        log = (folder / "console.log").open("wb")
        argv = [
            *_QUIET, *_NSPAWN, "--boot", f"--directory={root}", "--resolv-conf=off", "--private-network"
        ]  # fmt: skip
        with log, subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=log, stderr=log) as proc:
            try:
                machine = BootedBox(root, _leader(proc.pid, time.monotonic() + seconds))
                machine.wait(time.monotonic() + seconds, folder / "console.log")
                yield machine
            finally:
                proc.terminate()
                try:
                    proc.wait(20)
                except subprocess.TimeoutExpired:
                    proc.kill()
