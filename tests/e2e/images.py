"""Root file systems of Debian, made once and kept under a key of everything that shapes them."""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.e2e.processes import good

_LAYOUT = "2"  # change it when `build` makes something else from the same list
_CA_BUNDLE = Path("/etc/ssl/certs/ca-certificates.crt")
# Beside Debian's own bundle, which the package ca-certificates writes anew: a network may have an authority of its own.
CA_INSIDE = "/etc/ssl/host-certificates.crt"


@contextmanager
def one_at_a_time(target: Path) -> Iterator[bool]:
    """Whether it is missing, while nobody else makes it."""
    target.parent.mkdir(parents=True, exist_ok=True)
    with (target.parent / f".{target.name}.lock").open("w", encoding="utf-8") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield not target.exists()


@dataclass(frozen=True)
class Image:
    """A Debian release with some packages and nothing else."""

    suite: str
    packages: tuple[str, ...] = ("python3",)
    # Of mmdebstrap, for a mirror that no longer keeps a suite's lists fresh.
    options: tuple[str, ...] = ()

    @property
    def path(self) -> Path:
        """Where it lies when it is built."""
        cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
        bundle = _CA_BUNDLE.read_bytes() if _CA_BUNDLE.exists() else b""
        text = "\n".join([_LAYOUT, self.suite, *self.packages, *self.options]).encode()
        key = hashlib.sha256(text + bundle).hexdigest()[:12]
        return cache / "rocmdoctor" / "images" / f"{self.suite}-{key}"

    def build(self) -> Path:
        """The folder; about half a minute for a bare one. It is a lower layer: nobody writes to it."""
        with one_at_a_time(self.path) as missing:
            if missing:
                self._make()
        return self.path

    def _make(self) -> None:
        aside = Path(tempfile.mkdtemp(prefix=f".{self.suite}.", dir=self.path.parent))
        try:
            good(
                ["mmdebstrap", "--quiet", "--variant=minbase", f"--include={','.join(self.packages)}",
                 '--aptopt=Apt::Install-Recommends "false"', *self.options, self.suite, aside],
                seconds=900,
            )  # fmt: skip
            aside.chmod(0o755)
            if _CA_BUNDLE.exists():
                target = aside / CA_INSIDE[1:]
                target.parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(_CA_BUNDLE, target)
            aside.rename(self.path)
        except BaseException:
            shutil.rmtree(aside, ignore_errors=True)
            raise


BOOKWORM = Image("bookworm")
TRIXIE = Image("trixie")
_ROCM = ("python3", "python3-venv", "rocminfo", "hipcc", "rocm-smi", "libamdhip64-dev")
ROCM = {"bookworm": Image("bookworm", _ROCM), "trixie": Image("trixie", _ROCM)}
# What builds code for GPUs: all of ROCm that Debian has, as current as it gets.
BUILDER = Image(
    "sid",
    ("python3", "python3-venv", "python3-dev", "git", "g++", "cmake", "ninja-build", "hipcc", "rocminfo", "ca-certificates",
     "librocblas-dev", "libhipblas-dev", "libhipblaslt-dev", "libhiprand-dev", "librocrand-dev", "libhipcub-dev",
     "librocprim-dev", "libhipsparse-dev", "procps"),
    ('--aptopt=Acquire::Check-Valid-Until "false"',),
)  # fmt: skip
# Boots in systemd-nspawn and, since it has a whole kernel, in a virtual machine.
MACHINE = Image(
    "bookworm",
    ("python3", "python3-venv", "systemd-sysv", "udev", "dbus", "libpam-systemd", "sudo", "kmod", "procps", "pciutils",
     "iproute2", "openssh-server", "linux-image-amd64", "linux-headers-amd64", "dkms", "make"),
)  # fmt: skip
