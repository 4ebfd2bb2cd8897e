"""Builds the look-alike repositories: python -m tests.lookalike.build DIR.

DIR gets one folder for each server that they stand in for (repo.radeon.com, archive.ubuntu.com,
developer.download.nvidia.com), and `keys`. `python -m tests.lookalike.serve DIR` serves them.
"""

from __future__ import annotations

import argparse
import json
from dataclasses import dataclass
from pathlib import Path

from tests.lookalike import amd, others
from tests.lookalike.keys import Key, certificate, keys
from tests.lookalike.repository import About, publish, publish_flat

AMD, UBUNTU, NVIDIA = "repo.radeon.com", "archive.ubuntu.com", "developer.download.nvidia.com"
OWNER = "ROCm look-alike, not AMD's <look-alike@localhost>"
OTHER = "Ubuntu and NVIDIA look-alike <look-alike@localhost>"
# General availability of 22.04, and hardware enablement.
KERNELS = {"5.15.0-94-generic": "generic", "6.8.0-45-generic": "generic-hwe-22.04"}
CUDA = "compute/cuda/repos/ubuntu2204/x86_64"
# A driver that does not build, whatever the kernel, in the place of the one that does.
BROKEN = "broken-driver"


@dataclass(frozen=True)
class Built:
    """What was built where."""

    folder: Path
    fingerprint: str
    other_fingerprint: str

    def read(self, name: str) -> bytes:
        """A file of `keys`: amd, amd-expired and other, as .asc and .gpg; server.crt, which the servers show."""
        return (self.folder / "keys" / name).read_bytes()

    @classmethod
    def load(cls, folder: Path) -> Built:
        return cls(folder, **json.loads((folder / "built.json").read_text(encoding="utf-8")))


def build(folder: Path) -> Built:
    """All repositories; a few seconds."""
    with keys(OWNER, OTHER) as made:
        own, other = made[OWNER], made[OTHER]
        _keys(folder, own, other)
        _amd(folder, own)
        _ubuntu(folder, other)
        publish_flat(
            folder / NVIDIA / CUDA, others.cuda(), About("NVIDIA", "NVIDIA CUDA look-alike", "."), other
        )
        names = {"fingerprint": own.fingerprint, "other_fingerprint": other.fingerprint}
    (folder / "built.json").write_text(json.dumps(names), encoding="utf-8")
    return Built(folder, **names)


def _keys(folder: Path, own: Key, other: Key) -> None:
    place = folder / "keys"
    place.mkdir(parents=True)
    for name, text in {"amd": own.public, "amd-expired": own.expired, "other": other.public}.items():
        (place / f"{name}.asc").write_text(text, encoding="ascii")
        (place / f"{name}.gpg").write_bytes(own.binary(text))
    certificate(place, (AMD, UBUNTU, NVIDIA))


def _amd(folder: Path, key: Key) -> None:
    base = folder / AMD
    about = About(AMD, f"{AMD} look-alike", "jammy")
    for name, release in amd.RELEASES.items():
        publish(base / "rocm" / "apt" / name, {"main": amd.rocm(release)}, about, key)
        publish(base / "amdgpu" / name / "ubuntu", {"main": amd.driver(release)}, about, key)
        broken = folder / BROKEN / "amdgpu" / name / "ubuntu"
        publish(broken, {"main": amd.driver(release, builds=False)}, about, key)
        package = amd.installer(release, key.binary(key.public))
        place = base / "amdgpu-install" / name / "ubuntu" / "jammy"
        place.mkdir(parents=True)
        (place / package.file_name).write_bytes(package.build())
    (base / "rocm" / "rocm.gpg.key").write_text(key.public, encoding="ascii")


def _ubuntu(folder: Path, key: Key) -> None:
    main = [deb for release, flavour in KERNELS.items() for deb in others.kernel(release, flavour)]
    main += [*others.displays(), others.half_done()]
    drivers = [deb for deb in others.cuda() if "ubuntu" in deb.version]
    about = About("Ubuntu", "Ubuntu look-alike", "jammy")
    parts = {"main": main, "universe": others.universe(), "restricted": drivers}
    publish(folder / UBUNTU / "ubuntu", parts, about, key)


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m tests.lookalike.build", description=(__doc__ or "").partition("\n")[0]
    )
    parser.add_argument("folder", type=Path, metavar="DIR", help="a folder that is new or empty")
    folder = parser.parse_args().folder
    if folder.exists() and any(folder.iterdir()):
        parser.error(f"{folder} is not empty")
    built = build(folder)
    count = sum(1 for _ in folder.rglob("*.deb"))
    print(f"{count} look-alike packages in {folder}, signed by {built.fingerprint}")
    print(f"serve them: python -m tests.lookalike.serve {folder}")


if __name__ == "__main__":
    main()
