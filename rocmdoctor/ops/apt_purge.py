"""Packages removed with their settings: by name and origin, predicted, and never those that a machine lives on."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from fnmatch import fnmatchcase
from typing import Annotated, Literal

from rocmdoctor.actions import Action, Exec, Undo
from rocmdoctor.facts.base import UnknownError
from rocmdoctor.facts.dpkg import Dpkg, Package, PackageTable
from rocmdoctor.facts.system import Kernel
from rocmdoctor.frozen import frozen
from rocmdoctor.model import Query
from rocmdoctor.ops.apt import APT, ENV, KEEP, MEND, predicted, question
from rocmdoctor.ops.arguments import Shape
from rocmdoctor.ops.ground import ForbiddenError, Ground
from rocmdoctor.ops.registry import operation
from rocmdoctor.ops.vendors import ROCM, nvidia_stays, wanted_amd

PATTERN = Shape(
    "a package name, where '*' and '?' stand for any letters", r"[a-z0-9*?][a-z0-9+.*?-]*(?::[a-z0-9]+)?"
)
Pattern = Annotated[str, PATTERN]
Origin = Literal["any", "amd", "distribution", "nvidia"]
RocmFrom = Literal["anywhere", "amd", "distro", "pip"]

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


# dpkg removes a package whose files are half there, and one that others need, only when told to.
_FORCE = ("--force-depends", "--force-remove-reinstreq", "--purge")


@frozen
class _Wish:
    """What is to go: `names` and `origin` as given, and what narrows them."""

    names: list[str]
    origin: Origin
    spare_wanted: bool
    unfinished: bool
    rocm_from: RocmFrom

    @property
    def title(self) -> str:
        more = [
            word
            for word, on in (("but those wanted", self.spare_wanted), ("unfinished", self.unfinished))
            if on
        ]
        return ", ".join([f"packages {' '.join(self.names)} of origin {self.origin}", *more])


def _any(name: str, patterns: Iterable[str]) -> bool:
    return any(fnmatchcase(name, pattern) for pattern in patterns)


def _matched(ground: Ground, wish: _Wish) -> tuple[list[str], dict[str, str]]:
    """Packages that are meant, and those that stay, with the reason. Raises UnknownError.

    Settings that removed packages left behind count as packages.
    """
    meant: list[str] = []
    stay: dict[str, str] = {}
    if wish.rocm_from not in ("anywhere", _rocm_source(ground)):
        return meant, stay
    nvidia = _nvidia(ground)
    dpkg = ground.known.get(Dpkg)
    for key, package in sorted({**dpkg.settings, **dpkg.packages}.items()):
        if not (_any(key, wish.names) or _any(package.name, wish.names)) or key in ground.leaving:
            continue
        if wish.origin not in ("any", _origin(ground, package, nvidia)):
            continue
        if wish.unfinished and (package.whole or key in dpkg.settings):
            continue
        if wish.spare_wanted and wanted_amd(ground).takes(package, ground.known.get(PackageTable)):
            continue
        why = _why_kept(ground, package, nvidia)
        if why:
            stay[key] = why
        else:
            meant.append(key)
    return meant, stay


def _rocm_source(ground: Ground) -> str:
    choice = ground.wanted.get(ROCM)
    return choice.source if choice else ""


def _nvidia(ground: Ground) -> frozenset[str]:
    table = ground.known.get(PackageTable)
    dpkg = ground.known.get(Dpkg)
    return frozenset(
        p.name
        for p in (*dpkg.packages.values(), *dpkg.settings.values())
        if table.cuda.match(p.name) or table.nvidia.match(p.name)
    )


def _origin(ground: Ground, package: Package, nvidia: frozenset[str]) -> str:
    return "nvidia" if package.name in nvidia else ground.known.get(PackageTable).origin(package)


def _why_kept(ground: Ground, package: Package, nvidia: frozenset[str]) -> str:
    """Why a package stays, "" when it may go. Raises UnknownError."""
    name = package.name
    release = ground.known.get(Kernel).release
    if name in nvidia:
        return nvidia_stays(ground)
    if re.fullmatch(rf"linux-(?:image|modules|headers)(?:-\w+)*-{re.escape(release)}", name):
        return f"the running kernel {release} is made of it"
    if _any(name, _KEPT):
        return "the machine could not be started, reached or mended without it"
    if _any(name, (*_SHOWN, *_LIBRARIES)) and _origin(ground, package, nvidia) == "distribution":
        return "the distribution's displays and firmware stay"
    return ""


def _extra(*, autoremove: bool) -> tuple[str, ...]:
    # -f: what depended on a package that dpkg alone removed is mended in the same breath.
    return ("-f", "--auto-remove") if autoremove else ("-f",)


def _asks(
    ground: Ground,
    *,
    names: list[str],
    origin: Origin = "any",
    autoremove: bool = False,
    spare_wanted: bool = False,
    unfinished: bool = False,
    rocm_from: RocmFrom = "anywhere",
) -> Iterator[Query]:
    try:
        meant, _ = _matched(ground, _Wish(names, origin, spare_wanted, unfinished, rocm_from))
    except UnknownError:
        return
    ground.leaving.update(meant)
    if meant and not unfinished:
        yield question(*_extra(autoremove=autoremove), "purge", *meant)


@operation("apt.purge", asks=_asks)
def purge(
    ground: Ground,
    *,
    names: list[Pattern],
    origin: Origin = "any",
    autoremove: bool = False,
    spare_wanted: bool = False,
    unfinished: bool = False,
    rocm_from: RocmFrom = "anywhere",
) -> Iterator[Action]:
    """Remove installed packages with their settings, what depends on them, and settings that removed ones left behind.

    `names` may hold '*'; `origin` narrows to AMD's, the distribution's or NVIDIA's packages. `autoremove` also removes
    what only they needed. With `spare_wanted` AMD's packages of the releases that the same plan chooses stay. With
    `rocm_from` nothing goes unless that plan takes ROCm from there. With `unfinished` those alone are meant that dpkg has
    begun and not finished; dpkg removes them without apt, which refuses all else until then. The running kernel, what the
    machine needs to start, ssh, and the distribution's displays and firmware stay, and NVIDIA's packages stay beside an
    NVIDIA GPU or where they were asked to: a pattern passes them by, their full name or a package that would take them
    along is a refusal. What stands in the plan is all that may go.
    """
    wish = _Wish(names, origin, spare_wanted, unfinished, rocm_from)
    meant, stay = _matched(ground, wish)
    for name, why in stay.items():
        if name in names:
            raise ForbiddenError(f"package {name} stays: {why}. Leave it out of 'names'")
    ground.claim(wish.title, ", ".join(meant) or "none")
    _note_nvidia(ground, stay)
    if not meant:
        return
    before, extra = bool(ground.leaving), _extra(autoremove=autoremove)
    ground.leaving.update(meant)
    if unfinished:
        yield _by_dpkg(meant)
        return
    said = predicted(ground.answer(question(*extra, "purge", *meant)))
    removes = said.removes if said else tuple(meant)
    _refuse_kept(ground, removes, meant, autoremove=autoremove)
    ground.leaving.update(removes)
    yield _by_apt(meant, removes, said.installs if said and not before else (), extra)


def _note_nvidia(ground: Ground, stay: Mapping[str, str]) -> None:
    nvidia = _nvidia(ground)
    names = [name for name in stay if name.partition(":")[0] in nvidia]
    if names:
        ground.note(f"{_some(names)} stay{'s' if len(names) == 1 else ''}: {stay[names[0]]}")


def _some(names: list[str]) -> str:
    return ", ".join(names[:4]) + (
        f" and {len(names) - 4} more of NVIDIA's packages" if len(names) > 4 else ""
    )


def _by_dpkg(meant: list[str]) -> Action:
    return Action(
        do=Exec(argv=("dpkg", *_FORCE, *meant), env=ENV),
        says=f"let dpkg alone purge {', '.join(meant)}, which stopped half way and which nobody wants",
        undo=Undo(
            "impossible",
            "they were never whole; apt-get install brings such a package anew, from where it came",
        ),
        timeout=3600.0,
        removes=tuple(meant),
        seconds=5.0 + 5.0 * len(meant),
    )


def _by_apt(
    meant: list[str], removes: tuple[str, ...], installs: tuple[str, ...], extra: tuple[str, ...]
) -> Action:
    return Action(
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
        installs=installs,
        seconds=5.0 + len(removes),
    )


def _along(removes: tuple[str, ...], meant: list[str]) -> str:
    more = [name for name in removes if name not in meant]
    return f", and with them {', '.join(more)}" if more else ""


def _refuse_kept(ground: Ground, removes: tuple[str, ...], meant: list[str], *, autoremove: bool) -> None:
    dpkg, nvidia = ground.known.get(Dpkg), _nvidia(ground)
    packages = {**dpkg.settings, **dpkg.packages}
    for name in removes:
        # A library that nothing else needs shows no pictures either.
        if autoremove and _any(name, _LIBRARIES):
            continue
        why = _why_kept(ground, packages.get(name) or Package(name, ""), nvidia)
        if why:
            raise ForbiddenError(f"purging {', '.join(meant)} would remove {name}, which stays: {why}")
