"""Debian packages, with apt-get and dpkg themselves. Every change is simulated first."""

from __future__ import annotations

import re
from collections.abc import Iterator

from rocmdoctor.actions import Action, Exec, Undo
from rocmdoctor.facts.base import UnknownError
from rocmdoctor.frozen import frozen
from rocmdoctor.model import Answer, Query, Run
from rocmdoctor.ops.arguments import Package
from rocmdoctor.ops.ground import Ground
from rocmdoctor.ops.registry import operation

# apt waits this long for another package manager (seconds); the executor says who holds the lock.
LOCK_SECONDS = 600
APT = ("apt-get", "-y", "-q", "-o", f"DPkg::Lock::Timeout={LOCK_SECONDS}", "-o", "Dpkg::Use-Pty=0")
# Settings that packages bring stay as they are when the user changed them, and nothing asks on a screen.
KEEP = ("-o", "Dpkg::Options::=--force-confold", "-o", "Dpkg::Options::=--force-confdef")
ENV = {"DEBIAN_FRONTEND": "noninteractive", "NEEDRESTART_MODE": "l", "APT_LISTCHANGES_FRONTEND": "none", "LC_ALL": "C"}
MEND = (("dpkg", "--force-confold", "--force-confdef", "--configure", "-a"),)


@frozen
class Prediction:
    """What apt says that it would do. Sizes in bytes, 0 where it does not say."""

    installs: tuple[str, ...]
    removes: tuple[str, ...]
    download: int
    disk: int


def _question(packages: list[str], *, recommends: bool) -> Run:
    """Answered without root and without the lock: apt-get says what it would do, and stops."""
    extra = () if recommends else ("--no-install-recommends",)
    return Run(
        ("apt-get", "install", "--assume-no", "-o", "Debug::NoLocking=1", *extra, *packages), timeout=20.0, limit=1 << 18
    )


_UNITS = {"B": 1, "kB": 1000, "MB": 1000**2, "GB": 1000**3}


def predicted(answer: Answer) -> Prediction | None:
    """Reads apt-get's summary; None where there is none, as on a machine without package lists.

    Source: apt apt-private/private-install.cc and private-output.cc, with LC_ALL=C.
    """
    text = answer.stdout
    if not answer.ok or "newly installed" not in text:
        return None
    return Prediction(
        _names(text, "The following NEW packages will be installed:"),
        _names(text, "The following packages will be REMOVED:"),
        _size(text, r"Need to get (?:[\d.]+ [kMG]?B/)?([\d.,]+) ([kMG]?B) of archives"),
        _size(text, r"After this operation, ([\d.,]+) ([kMG]?B) of additional disk space"),
    )


def _names(text: str, title: str) -> tuple[str, ...]:
    _, found, rest = text.partition(title)
    lines = []
    for line in rest.splitlines()[1:] if found else []:
        if not line.startswith("  "):
            break
        lines.append(line)
    return tuple(name.rstrip("*") for name in " ".join(lines).split() if not name.startswith("("))


def _size(text: str, pattern: str) -> int:
    found = re.search(pattern, text)
    return int(float(found.group(1).replace(",", "")) * _UNITS[found.group(2)]) if found else 0


def _missing(ground: Ground, packages: list[str]) -> list[str]:
    missing = []
    for name in packages:
        version = ground.package(name)
        wanted = name.partition("=")[2]
        if version is None or (wanted and version != wanted):
            missing.append(name)
    return missing


def _asks(ground: Ground, *, packages: list[str], recommends: bool = False, **_: object) -> Iterator[Query]:
    try:
        missing = _missing(ground, packages)
    except UnknownError:
        missing = packages
    if missing:
        yield _question(missing, recommends=recommends)


@operation("apt.install", asks=_asks)
def install(
    ground: Ground, *, packages: list[Package], recommends: bool = False, download_mb: int = 0, disk_mb: int = 0
) -> Iterator[Action]:
    """Install Debian packages that are missing.

    `download_mb` and `disk_mb` are what the plan says where apt itself cannot tell yet.
    """
    missing = _missing(ground, packages)
    if not missing:
        return
    said = predicted(ground.answer(_question(missing, recommends=recommends)))
    extra = () if recommends else ("--no-install-recommends",)
    yield refresh()
    yield Action(
        do=Exec(
            argv=(*APT, *KEEP, *extra, "install", *missing),
            env=ENV,
            simulate=("apt-get", "-s", "-q", *extra, "install", *missing),
            heal=MEND,
        ),
        says=f"install {', '.join(missing)}",
        undo=Undo("packages", "purges the packages that this step newly installed"),
        network=True,
        timeout=3 * 3600.0,
        removes=said.removes if said else (),
        installs=said.installs if said else tuple(missing),
        download=said.download if said else download_mb * 1000**2,
        disk=said.disk if said else disk_mb * 1000**2,
        seconds=_seconds(said.disk if said else disk_mb * 1000**2),
    )


def _seconds(disk: int) -> float:
    """Unpacking writes some 25 MB a second on a plain disk; the rest is download at about 5 MB a second of archives."""
    return 5.0 + disk / 25e6 + disk / 5 / 5e6


def refresh() -> Action:
    """Fresh package lists."""
    return Action(
        do=Exec(argv=(*APT, "-o", "APT::Update::Error-Mode=any", "update"), env=ENV),
        says="refresh the package lists",
        undo=Undo("nothing", "package lists belong to apt"),
        network=True,
        timeout=1800.0,
        seconds=10.0,
    )
