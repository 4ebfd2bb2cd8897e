"""Which releases of components go with each other. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from functools import lru_cache

from packaging.specifiers import SpecifierSet
from packaging.version import Version

from rocmdoctor.actions import Request
from rocmdoctor.diagnosis.known import Known
from rocmdoctor.planning.here import plain, source_here, version_here
from rocmdoctor.planning.search import Clash
from rocmdoctor.planning.wish import NONE, ROCM, ROCM_SOURCES
from rocmdoctor.recipe import Release

Taken = Mapping[str, Release]


@lru_cache(maxsize=1 << 16)
def within(specifier: str, version: str) -> bool:
    """The version is in the set."""
    return SpecifierSet(specifier).contains(Version(version), prereleases=True)


def series(version: str) -> str:
    """The first two numbers of a version."""
    return ".".join([*re.findall(r"\d+", version), "0"][:2])


class Relations:
    """What recipes say of releases beside each other. `chosen`: the components that have releases in this plan."""

    def __init__(self, chosen: Iterable[str], known: Known, request: Request) -> None:
        self.chosen = frozenset(chosen)
        self.known = known
        self.request = request
        self._here: dict[str, str | None] = {}

    def here(self, component: str) -> str | None:
        """The version that the machine has already."""
        if component not in self._here:
            self._here[component] = version_here(component, self.known)
        return self._here[component]

    def alone(self, component: str, release: Release, provided: frozenset[str]) -> str | None:
        """Why a release does not go with what is here and not chosen in this plan. `provided` comes with what is chosen."""
        for name, specifier in release.needs.items():
            if name not in self.chosen and name not in provided:
                found = self.here(name)
                if found is not None and not within(specifier, found):
                    return f"it needs {name} {specifier}, and here is {found}"
        for name, sources in release.beside.items():
            if name == ROCM and name not in self.chosen:
                source = source_here(self.known)
                if source not in sources:
                    return f"it goes with {ROCM} from {_or(sources)}, and {_from(source)} is here"
        return None if ROCM in self.chosen else self._foreign(component, release, None)

    def clash(self, component: str, release: Release, taken: Taken, fresh: str = "") -> Clash | None:
        """Why a release does not go with those that are taken. With `fresh` only what has to do with that one is looked at."""
        for name, other in taken.items():
            if fresh and name != fresh:
                continue
            why = self._pair(component, release, name, other)
            if why:
                return Clash(why, (name,))
        return self._series(component, release, taken, fresh)

    def _pair(self, component: str, release: Release, name: str, other: Release) -> str | None:
        # Most pairs have nothing to do with each other.
        specifier = _wanted(other, component, release)
        if specifier and not self._goes(specifier, component, release):
            return f"{name} {other.version} needs {component} {specifier}"
        specifier = _wanted(release, name, other)
        if specifier and not self._goes(specifier, name, other):
            there = "none is planned" if other.source == NONE else f"{name} {other.version} is chosen"
            return f"it needs {name} {specifier}, and {there}"
        why = _virtual(release, name, other)
        if why:
            return why
        for mine, theirs, which, it in (
            (release, other, name, "it"),
            (other, release, component, f"{name} {other.version}"),
        ):
            sources = mine.beside.get(which)
            if sources is not None and theirs.source and theirs.source not in sources:
                return f"{it} goes with {which} from {_or(sources)}, and it comes from {theirs.source}"
        if name == ROCM:
            return self._foreign(component, release, other) or self._unneeded(release, other)
        return None

    def _goes(self, specifier: str, component: str, release: Release) -> bool:
        if release.source == NONE:
            return False
        if release.source == "kernel":
            return True
        version = release.version if plain(release.version) else self.here(component)
        return version is None or within(specifier, version)

    # ------------------------------------------------------------ series

    def _series(self, component: str, release: Release, taken: Taken, fresh: str) -> Clash | None:
        """Components whose versions must be of one series, as those that a build is made with and runs with."""
        for name, alike in self._alikes(component, release, taken):
            for one, other in alike.items():
                versions = (
                    self._version(one, component, release, taken),
                    self._version(other, component, release, taken),
                )
                (first, by_first), (second, by_second) = versions
                if first is None or second is None or series(first) == series(second):
                    continue
                if not self._concerned(fresh, name, by_first, by_second):
                    continue
                who = "it" if name == component else f"{name} {taken[name].version}"
                others = tuple({name, by_first, by_second} & set(taken))
                return Clash(
                    f"{who} needs {one} and {other} of one series, and {first} and {second} are not", others
                )
        return None

    def _alikes(
        self, component: str, release: Release, taken: Taken
    ) -> Iterator[tuple[str, Mapping[str, str]]]:
        if release.alike:
            yield component, release.alike
        mine = {component, *release.provides}
        for name, other in taken.items():
            if other.alike and (mine & {*other.alike, *other.alike.values()}):
                yield name, other.alike

    def _concerned(self, fresh: str, *names: str) -> bool:
        return not fresh or fresh in names

    def _version(self, name: str, component: str, release: Release, taken: Taken) -> tuple[str | None, str]:
        """The version of a component, and the one that it comes with."""
        for owner, item in ((component, release), *taken.items()):
            if owner == name:
                return (item.version if plain(item.version) else self.here(name)), owner
            if name in item.provides:
                return item.provides[name], owner
        return (None if name in self.chosen else self.here(name)), ""

    # ------------------------------------------------------------ where parts of ROCm come from

    def _foreign(self, component: str, release: Release, rocm: Release | None) -> str | None:
        """Parts of ROCm come from where ROCm comes from."""
        if component == ROCM or release.source not in ROCM_SOURCES:
            return None
        source = rocm.source if rocm is not None and rocm.source else source_here(self.known)
        if source is None and release.source == "amd":
            return f"no ROCm of AMD's is here whose repository has it; name {ROCM} beside {component}"
        if source in (None, release.source):
            return None
        return f"it comes from '{release.source}', and ROCm from '{source}'"

    def _unneeded(self, release: Release, rocm: Release) -> str | None:
        """A distribution's ROCm is made for the kernel's own driver."""
        if release.source != "dkms" or self.request.driver == "dkms" or rocm.source != "distro":
            return None
        return "the distribution's ROCm goes with the kernel's own driver"


def _wanted(release: Release, name: str, other: Release) -> str | None:
    """The versions of another component that a release works with; of one that is left out only where it needs it."""
    return release.needs.get(name) or (None if other.source == NONE else release.bounds.get(name))


def _virtual(release: Release, name: str, other: Release) -> str | None:
    """Needs of what comes with a release."""
    for part, version in other.provides.items():
        specifier = release.needs.get(part)
        if specifier and not within(specifier, version):
            return f"it needs {part} {specifier}, and {name} {other.version} comes with {part} {version}"
    for part, version in release.provides.items():
        specifier = other.needs.get(part)
        if specifier and not within(specifier, version):
            return f"{name} {other.version} needs {part} {specifier}, and it comes with {part} {version}"
    return None


def _or(words: Iterable[str]) -> str:
    return " or ".join(words)


def _from(source: str | None) -> str:
    return f"one from {source}" if source else "none"
