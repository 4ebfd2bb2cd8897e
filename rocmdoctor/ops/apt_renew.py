"""A vendor's repositories set up anew: the same packages, for this system, each once, with the key that signs them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Literal

from rocmdoctor.actions import Action
from rocmdoctor.facts.apt import AptSources, RepositoryTable, Source
from rocmdoctor.facts.base import UnknownError
from rocmdoctor.facts.rocm import RocmInstalls
from rocmdoctor.facts.system import OsRelease
from rocmdoctor.model import Query
from rocmdoctor.ops.apt_forget import OWN, by_place, one_file, rest_question
from rocmdoctor.ops.apt_sources import repository
from rocmdoctor.ops.arguments import Fingerprint, Url
from rocmdoctor.ops.ground import ForbiddenError, Ground, file_questions
from rocmdoctor.ops.registry import operation


def _of(ground: Ground, vendor: str) -> list[Source]:
    """Raises UnknownError."""
    table = ground.known.get(RepositoryTable)
    return [s for s in ground.known.get(AptSources).sources if table.vendor(s) == vendor]


def _theirs(sources: list[Source]) -> tuple[Source, ...]:
    """Those that stand in files of others than us; ours are written over."""
    return tuple(s for s in sources if not s.place.rpartition("/")[2].startswith(OWN))


def _dead(source: Source, table: RepositoryTable) -> str | None:
    said = f"{source.host}/{source.path} {source.suite}"
    return next((why for pattern, why in table.dead if pattern.search(said)), None)


def _name(source: Source, table: RepositoryTable) -> str:
    """What its files are called: its kind, else the first part of its path."""
    return table.kind(source) or re.sub(r"[^a-z0-9]+", "-", source.path.lower()).strip("-")[:40] or "amd"


def _kept(ground: Ground, sources: list[Source]) -> dict[str, Source]:
    """One of each kind: the release of the ROCm that is here, else the newest."""
    table, installs = ground.known.get(RepositoryTable), ground.maybe(RocmInstalls)
    here = installs.version if installs else None
    kept: dict[str, Source] = {}
    for source in sources:
        if _dead(source, table):
            continue
        name = _name(source, table)
        kept[name] = max(kept.get(name, source), source, key=lambda s: _rank(table.release(s), here))
    return kept


def _rank(release: str | None, here: str | None) -> tuple[bool, list[int]]:
    return release is not None and release == here, [int(part) for part in re.findall(r"\d+", release or "")]


def _suite(source: Source, ground: Ground) -> str:
    """What the vendor calls the suite of this system; as written where the line names none of its suites."""
    table, system = ground.known.get(RepositoryTable), ground.known.get(OsRelease)
    fitting = [name for name, works in table.codenames.items() if system.codename in (name, *works)]
    if source.suite not in table.codenames or not fitting:
        return source.suite
    return fitting[0]


def _asks(ground: Ground, *, vendor: str, **_: object) -> Iterator[Query]:
    try:
        sources = _of(ground, vendor)
        names = _kept(ground, sources)
    except UnknownError:
        return
    for place, going in by_place(_theirs(sources)).items():
        yield rest_question(place, going)
    for name in names:
        yield from file_questions(f"/etc/apt/sources.list.d/{OWN}{name}.sources")
        yield from file_questions(f"/etc/apt/keyrings/{OWN}{name}.asc")


@operation("apt.renew", asks=_asks)
def renew(
    ground: Ground, *, vendor: Literal["amd"], fingerprint: Fingerprint, key_url: Url
) -> Iterator[Action]:
    """Set a vendor's repositories up anew, each once, in files of ours, and signed by the key of this fingerprint.

    What they hold stays the same: the release of the ROCm that is here where several are set up. The suite becomes that
    of this system, addresses that were retired go, and lines of other repositories in the same files stay. A server whose
    key nobody knows is a refusal.
    """
    sources = _of(ground, vendor)
    table = ground.known.get(RepositoryTable)
    for source in sources:
        if source.host != table.pin_origin:
            raise ForbiddenError(
                f"{source.place} names {source.uri}, and no fingerprint of that server's key is known that it could be held to"
            )
    kept = _kept(ground, sources)
    ground.claim(f"repositories of {vendor}", "; ".join(f"{s.place}: {s.line}" for s in sources) or "none")
    theirs = _theirs(sources)
    ground.dropped.update(theirs)
    for place, going in by_place(theirs).items():
        yield from one_file(ground, place, going)
    for name, source in kept.items():
        yield from repository(
            ground,
            id=name,
            uri=source.uri,
            suite=_suite(source, ground),
            components=list(source.components),
            fingerprint=fingerprint,
            key_url=key_url,
        )
    for source in sources:
        why = _dead(source, table)
        if why:
            ground.note(f"{source.line} goes: {why}; 'install rocm' sets up the one that is served")
