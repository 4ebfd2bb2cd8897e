"""Packages removed with their settings: by name and origin, predicted, and never those that a machine lives on."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from fnmatch import fnmatchcase
from typing import Annotated, Literal

from rocmdoctor.actions import Action, Exec, Undo
from rocmdoctor.facts.base import UnknownError
from rocmdoctor.facts.dpkg import Dpkg, GpuPackages, Package, PackageTable
from rocmdoctor.facts.pci import PciDisplays
from rocmdoctor.facts.system import Kernel
from rocmdoctor.model import Query
from rocmdoctor.ops.apt import APT, ENV, KEEP, MEND, predicted, question
from rocmdoctor.ops.arguments import Shape
from rocmdoctor.ops.ground import ForbiddenError, Ground
from rocmdoctor.ops.registry import operation

PATTERN = Shape(
    "a package name, where '*' and '?' stand for any letters", r"[a-z0-9*?][a-z0-9+.*?-]*(?::[a-z0-9]+)?"
)
Pattern = Annotated[str, PATTERN]
Origin = Literal["any", "amd", "distribution", "nvidia"]

# What Debian and Ubuntu mark as essential, and what one needs to come back: package tools, first process, ssh, sudo.
# apt refuses the former by itself; they are named so that a pattern passes them by.
_KEPT = (
    "apt", "apt-utils", "base-files", "base-passwd", "bash", "bsdutils", "coreutils*", "dash", "debianutils", "diffutils",
    "dpkg", "findutils", "grep", "grub*", "gzip", "hostname", "init", "init-system-helpers", "initramfs-tools*", "libc-bin",
    "libc6", "login*", "mount", "ncurses-base", "ncurses-bin", "netplan*", "network-manager", "openssh-*", "perl-base",
    "sed", "shim-signed", "ssh", "sudo*", "systemd*", "sysvinit-utils", "tar", "udev", "util-linux*",
)  # fmt: skip
# Of the distribution's only: what shows pictures, with a GPU or without.
_SHOWN = ("firmware-*", "linux-firmware*", "mesa-*", "xserver-xorg*")
_LIBRARIES = ("libdrm*", "libegl*", "libgl*", "libgbm*", "libvulkan*")


def _any(name: str, patterns: Iterable[str]) -> bool:
    return any(fnmatchcase(name, pattern) for pattern in patterns)


def _matched(ground: Ground, names: list[str], origin: Origin) -> tuple[list[str], dict[str, str]]:
    """Installed packages that are meant, and those that stay, with the reason. Raises UnknownError."""
    meant: list[str] = []
    stay: dict[str, str] = {}
    nvidia = _nvidia(ground)
    for key, package in sorted(ground.known.get(Dpkg).packages.items()):
        if not (_any(key, names) or _any(package.name, names)):
            continue
        if origin not in ("any", _origin(ground, package, nvidia)):
            continue
        why = _why_kept(ground, package, nvidia)
        if why:
            stay[key] = why
        else:
            meant.append(key)
    return meant, stay


def _nvidia(ground: Ground) -> frozenset[str]:
    found = ground.known.get(GpuPackages)
    return frozenset(p.name for p in (*found.nvidia, *found.cuda))


def _origin(ground: Ground, package: Package, nvidia: frozenset[str]) -> str:
    return "nvidia" if package.name in nvidia else ground.known.get(PackageTable).origin(package)


def _why_kept(ground: Ground, package: Package, nvidia: frozenset[str]) -> str:
    """Why a package stays, "" when it may go. Raises UnknownError."""
    name = package.name
    release = ground.known.get(Kernel).release
    if re.fullmatch(rf"linux-(?:image|modules|headers)(?:-\w+)*-{re.escape(release)}", name):
        return f"the running kernel {release} is made of it"
    if _any(name, _KEPT):
        return "the machine could not be started, reached or mended without it"
    if name in nvidia:
        return "an NVIDIA GPU is here" if ground.known.get(PciDisplays).nvidia else ""
    if _any(name, (*_SHOWN, *_LIBRARIES)) and _origin(ground, package, nvidia) == "distribution":
        return "the distribution's displays and firmware stay"
    return ""


def _extra(*, autoremove: bool) -> tuple[str, ...]:
    return ("--auto-remove",) if autoremove else ()


def _asks(
    ground: Ground, *, names: list[str], origin: Origin = "any", autoremove: bool = False
) -> Iterator[Query]:
    try:
        meant, _ = _matched(ground, names, origin)
    except UnknownError:
        return
    if meant:
        yield question(*_extra(autoremove=autoremove), "purge", *meant)


@operation("apt.purge", asks=_asks)
def purge(
    ground: Ground, *, names: list[Pattern], origin: Origin = "any", autoremove: bool = False
) -> Iterator[Action]:
    """Remove installed packages with their settings, and what depends on them.

    `names` may hold '*'; `origin` narrows to AMD's, the distribution's or NVIDIA's packages. `autoremove` also removes
    what only they needed. The running kernel, what the machine needs to start, ssh, and the distribution's displays and
    firmware stay, and NVIDIA's packages stay beside an NVIDIA GPU: a pattern passes them by, their full name or a package
    that would take them along is a refusal. What stands in the plan is all that may go.
    """
    meant, stay = _matched(ground, names, origin)
    for name, why in stay.items():
        if name in names:
            raise ForbiddenError(f"package {name} stays: {why}. Leave it out of 'names'")
    ground.claim(f"packages {' '.join(names)} of origin {origin}", ", ".join(meant) or "none")
    if not meant:
        return
    extra = _extra(autoremove=autoremove)
    said = predicted(ground.answer(question(*extra, "purge", *meant)))
    removes = said.removes if said else tuple(meant)
    _refuse_kept(ground, removes, meant, autoremove=autoremove)
    yield Action(
        do=Exec(
            argv=(*APT, *KEEP, *extra, "purge", *meant),
            env=ENV,
            simulate=("apt-get", "-s", "-q", *extra, "purge", *meant),
            heal=MEND,
        ),
        says=f"purge {', '.join(meant)}{_along(removes, meant)}",
        undo=Undo(
            "impossible",
            "their settings are gone; the packages come back with apt-get install, from where they came",
        ),
        timeout=3600.0,
        removes=removes,
        installs=said.installs if said else (),
        seconds=5.0 + len(removes),
    )


def _along(removes: tuple[str, ...], meant: list[str]) -> str:
    more = [name for name in removes if name not in meant]
    return f", and with them {', '.join(more)}" if more else ""


def _refuse_kept(ground: Ground, removes: tuple[str, ...], meant: list[str], *, autoremove: bool) -> None:
    packages, nvidia = ground.known.get(Dpkg).packages, _nvidia(ground)
    for name in removes:
        # A library that nothing else needs shows no pictures either.
        if autoremove and _any(name, _LIBRARIES):
            continue
        why = _why_kept(ground, packages.get(name) or Package(name, ""), nvidia)
        if why:
            raise ForbiddenError(f"purging {', '.join(meant)} would remove {name}, which stays: {why}")
