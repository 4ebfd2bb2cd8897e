"""Whether something is for this machine, and if not, why. Pure."""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Iterable

from packaging.specifiers import SpecifierSet
from packaging.version import Version

from rocmdoctor.diagnosis.known import Known
from rocmdoctor.facts.base import UnknownError
from rocmdoctor.facts.system import Kernel, OsRelease
from rocmdoctor.ops.traits import TRAITS
from rocmdoctor.recipe import Fits


def misfit(
    fits: Fits, known: Known, gfx: tuple[str, ...], rocm: str | None = None, python: str | None = None
) -> str | None:
    """Why it is not for this machine, None when it is. What cannot be told does not fit, and is said."""
    return next(
        (
            why
            for why in (
                _os(fits.os, known),
                _gfx(fits.gfx, gfx),
                _version("kernel", fits.kernel, _release(known.maybe(Kernel)), known.why(Kernel)),
                _version("ROCm", fits.rocm, rocm),
                _version("Python", fits.python, python),
                *(_trait(name, known, wanted=True) for name in fits.has),
                *(_trait(name, known, wanted=False) for name in fits.lacks),
            )
            if why
        ),
        None,
    )


def _os(wanted: Iterable[str], known: Known) -> str | None:
    names = tuple(wanted)
    if not names:
        return None
    found = known.maybe(OsRelease)
    if found is None:
        return f"it is for {_words(names)}, and which system this is cannot be told{_because(known.why(OsRelease))}"
    if found.id in names or f"{found.id}-{found.version}" in names:
        return None
    return f"it is for {_words(names)}, and this is {found.id}-{found.version or 'without a version'}"


def _gfx(wanted: Iterable[str], found: tuple[str, ...]) -> str | None:
    patterns = tuple(wanted)
    left = [gfx for gfx in found if not any(fnmatch.fnmatchcase(gfx, p) for p in patterns)]
    if not patterns or (found and not left):
        return None
    return f"it is for {_words(patterns)}, and the target here is {_words(left) or 'not known'}"


def _release(kernel: Kernel | None) -> str | None:
    found = re.match(r"\d+(?:\.\d+)*", kernel.release) if kernel else None
    return found.group() if found else None


def _version(what: str, wanted: str, found: str | None, unknown: str = "") -> str | None:
    if not wanted:
        return None
    number = re.match(r"\d+(?:\.\d+)*", found or "")
    if number is None:
        return f"it needs {what} {wanted}, and which is here cannot be told{_because(unknown)}"
    if SpecifierSet(wanted).contains(Version(number.group()), prereleases=True):
        return None
    return f"it needs {what} {wanted}, and here is {found}"


def _trait(name: str, known: Known, *, wanted: bool) -> str | None:
    says = TRAITS[name].says
    try:
        here = TRAITS[name].holds(known)
    except UnknownError as error:
        return f"whether this machine has {says} cannot be told{_because(str(error))}"
    if here is wanted:
        return None
    return f"it is for machines with {says}" if wanted else f"it is not for machines with {says}"


def _because(unknown: str) -> str:
    return f" ({unknown})" if unknown else ""


def _words(names: Iterable[str]) -> str:
    return ", ".join(names)
