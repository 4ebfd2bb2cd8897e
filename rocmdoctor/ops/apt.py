"""Debian packages, with apt-get and dpkg themselves. Every change is simulated first."""

from __future__ import annotations

import re
from collections.abc import Iterator

from rocmdoctor.actions import Action, Exec, Undo
from rocmdoctor.facts.base import UnknownError
from rocmdoctor.facts.dpkg import Dpkg
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
ENV = {
    "DEBIAN_FRONTEND": "noninteractive",
    "NEEDRESTART_MODE": "l",
    "APT_LISTCHANGES_FRONTEND": "none",
    "LC_ALL": "C",
}
MEND = (("dpkg", "--force-confold", "--force-confdef", "--configure", "-a"),)


@frozen
class Prediction:
    """What apt says that it would do. Sizes in bytes, 0 where it does not say.

    `upgrades` and `unfinished` are numbers of packages; the latter it would only set up.
    """

    installs: tuple[str, ...]
    removes: tuple[str, ...]
    upgrades: int
    unfinished: int
    download: int
    disk: int

    @property
    def nothing(self) -> bool:
        return not (self.installs or self.removes or self.upgrades)


def question(*words: str) -> Run:
    """Answered without root and without the lock: apt-get says what it would do, and stops.

    `--assume-no` alone is no fence: what was named word for word apt-get installs without asking, when root runs it.
    """
    argv = ("apt-get", "--print-uris", "--assume-no", "-o", "Debug::NoLocking=1", *words)
    return Run(argv, timeout=20.0, limit=1 << 18)


_UNITS = {"B": 1, "kB": 1000, "MB": 1000**2, "GB": 1000**3, "TB": 1000**4}


def predicted(answer: Answer) -> Prediction | None:
    """Reads apt-get's summary; None where there is none, as on a machine without package lists.

    Source: apt apt-private/private-install.cc and private-output.cc, with LC_ALL=C.
    """
    text = answer.stdout
    counts = re.search(
        r"^(\d+) upgraded, \d+ newly installed,(?: \d+ reinstalled,)?(?: (\d+) downgraded,)?",
        text,
        re.MULTILINE,
    )
    if not answer.ok or counts is None:
        return None
    unfinished = re.search(r"^(\d+) not fully installed or removed", text, re.MULTILINE)
    return Prediction(
        _names(text, "The following NEW packages will be installed:"),
        _names(text, "The following packages will be REMOVED:"),
        int(counts.group(1)) + int(counts.group(2) or 0),
        int(unfinished.group(1)) if unfinished else 0,
        # `Need to get 1162 kB/5 MB`: what is in apt's cache already is not downloaded again.
        _size(text, r"^Need to get (\d[\d,]*(?:\.\d+)?) ([kMGT]?B)(?:/\S+ [kMGT]?B)? of archives"),
        _size(text, r"^After this operation, (\d[\d,]*(?:\.\d+)?) ([kMGT]?B) of additional disk space"),
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
    found = re.search(pattern, text, re.MULTILINE)
    return round(float(found.group(1).replace(",", "")) * _UNITS[found.group(2)]) if found else 0


def _missing(ground: Ground, packages: list[str]) -> list[str]:
    missing = []
    for name in packages:
        version = ground.package(name)
        wanted = name.partition("=")[2]
        if version is None or (wanted and version != wanted):
            missing.append(name)
    return missing


def _extra(packages: list[str], *, recommends: bool) -> tuple[str, ...]:
    older = ("--allow-downgrades",) if any("=" in name for name in packages) else ()
    return (*older, *(() if recommends else ("--no-install-recommends",)))


def _asks(ground: Ground, *, packages: list[str], recommends: bool = False, **_: object) -> Iterator[Query]:
    try:
        missing = _missing(ground, packages)
    except UnknownError:
        missing = packages
    if missing:
        yield question(*_extra(missing, recommends=recommends), "install", *missing)


@operation("apt.install", asks=_asks)
def install(
    ground: Ground,
    *,
    packages: list[Package],
    recommends: bool = False,
    download_mb: int = 0,
    disk_mb: int = 0,
) -> Iterator[Action]:
    """Install Debian packages that are missing.

    `name=1.2` wants that version, also when it is older than the installed one. `download_mb` and `disk_mb` are what the
    plan says where apt itself cannot tell yet. A system whose packages are not dpkg's is a refusal.
    """
    missing = _missing(ground, packages)
    if not missing:
        return
    extra = _extra(missing, recommends=recommends)
    # apt answers for the machine as it is: what this plan removes before counts there as installed.
    said = None if ground.leaving else predicted(ground.answer(question(*extra, "install", *missing)))
    # A name that another package provides is no package of its own, and is there all the same.
    if said and said.nothing and not said.unfinished:
        return
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
        installs=said.installs if said else tuple(_name(name) for name in missing),
        download=said.download if said else download_mb * 1000**2,
        disk=said.disk if said else disk_mb * 1000**2,
        seconds=_seconds(said.disk if said else disk_mb * 1000**2),
    )


def _name(package: str) -> str:
    return package.partition("=")[0]


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


# ---------------------------------------------------------------- repair


_FIX = question("-f", "install")


def _asks_repair(_ground: Ground) -> Iterator[Query]:
    yield _FIX


# apt-get reads all package lists for it, which takes as long as all that is collected.
@operation("apt.repair", asks=_asks_repair, foretold=(_FIX,))
def repair(ground: Ground) -> Iterator[Action]:
    """Finish what dpkg has begun, then let apt mend dependencies that are not met.

    Nothing is planned when no package is half done and apt finds none that lacks what it depends on, nor when a step of
    the same plan did it before. Where apt cannot be asked, dpkg's own records decide. A system whose packages are not
    dpkg's is a refusal.
    """
    if ground.mended:
        return
    ground.mended = True
    unfinished = ground.unfinished()
    begun = bool(unfinished or ground.known.get(Dpkg).updates)
    said = predicted(ground.answer(_FIX))
    ground.claim("dependencies", "unknown" if said is None else "met" if said.nothing else "not met")
    if ground.leaving:
        # What apt says counts for before that; removals that follow mend dependencies themselves.
        said = Prediction((), (), 0, 0, 0, 0)
    if begun:
        names = (
            f": {', '.join(unfinished[:5])}{' and more' if len(unfinished) > 5 else ''}" if unfinished else ""
        )
        yield Action(
            # 1: some need packages that are not there yet, which the next action brings.
            do=Exec(argv=MEND[0], env=ENV, codes=(0, 1)),
            says=f"finish what dpkg was stopped in{names}",
            undo=Undo("impossible", "packages that are set up stay set up"),
            timeout=3600.0,
            seconds=30.0,
        )
    if (begun and said is None) or (said is not None and not said.nothing):
        yield Action(
            do=Exec(
                argv=(*APT, *KEEP, "-f", "install"),
                env=ENV,
                simulate=("apt-get", "-s", "-q", "-f", "install"),
                heal=MEND,
            ),
            says="let apt mend dependencies that are not met",
            undo=Undo("packages", "purges the packages that this step newly installed"),
            network=True,
            timeout=3600.0,
            removes=said.removes if said else (),
            installs=said.installs if said else (),
            download=said.download if said else 0,
            disk=said.disk if said else 0,
            seconds=_seconds(said.disk if said else 0),
        )


# ---------------------------------------------------------------- check


@operation("apt.check")
def check(ground: Ground) -> Iterator[Action]:
    """Let apt say whether the dependencies of all packages are met, where steps before this one remove some."""
    if ground.leaving:
        yield Action(
            do=Exec(argv=("apt-get", "-q", "-o", f"DPkg::Lock::Timeout={LOCK_SECONDS}", "check"), env=ENV),
            says="check that the dependencies of all packages are met",
            undo=Undo("nothing", "asking changes nothing"),
            timeout=900.0,
            seconds=3.0,
        )
