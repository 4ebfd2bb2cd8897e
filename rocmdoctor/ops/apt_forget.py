"""Vendors' repositories, keys and pins taken out of apt, by what they contain."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Literal

from rocmdoctor.actions import Action, Exec, Undo, WriteFile
from rocmdoctor.facts.apt import AptPins, AptSources, Key, KeyFile, RepositoryTable, Source
from rocmdoctor.facts.base import UnknownError
from rocmdoctor.facts.vendor_keys import SHARED, VendorKeys
from rocmdoctor.frozen import frozen
from rocmdoctor.model import Query, Run
from rocmdoctor.ops.ground import Ground
from rocmdoctor.ops.registry import operation
from rocmdoctor.ops.vendors import nvidia_stays, wanted_amd

Vendor = Literal["amd", "nvidia"]
OWN = "rocmdoctor-"
_MARK = "# rocmdoctor: "
_FIELDS = r"^(URIs|uris):"


@frozen
class _Sources:
    """A vendor's repositories: those that go and those that are wanted."""

    going: tuple[Source, ...]
    staying: tuple[Source, ...]


def _sources(ground: Ground, vendor: Vendor) -> _Sources:
    """Raises UnknownError."""
    table = ground.known.get(RepositoryTable)
    wanted = wanted_amd(ground)
    going: list[Source] = []
    staying: list[Source] = []
    for source in ground.known.get(AptSources).sources:
        stays = table.vendor(source) != vendor
        if vendor == "amd" and not stays:
            ours = source.place.rpartition("/")[2].startswith(OWN)
            # Ours are written anew by the step that wants another release. A line without a key of its own would
            # stand in the way of one with a key.
            keyed = wanted.driver_kept or (bool(source.signed_by) and not source.trusted)
            stays = wanted.any if ours else keyed and wanted.serves(source, table)
        (staying if stays else going).append(source)
    return _Sources(tuple(going), tuple(staying))


def _plain(text: str) -> str:
    """A text as an extended regular expression that stands between '@'."""
    return re.sub(r"([.\[\]*^$+?(){}|\\@])", r"\\\1", text)


def _lines(sources: list[Source]) -> str:
    """Lines of one-line lists that name one of these."""
    names = "|".join(sorted({f"{_plain(s.uri)}/?[[:space:]]+{_plain(s.suite)}" for s in sources}))
    return rf"[[:space:]]*deb(-src)?[[:space:]]([^#]*[[:space:]])?({names})([[:space:]].*)?"


def rest_question(place: str, sources: list[Source]) -> Run:
    """How many lines of a file are about something else: stanzas with addresses, or lines that are no comment."""
    if place.endswith(".sources"):
        return Run(("grep", "-cE", _FIELDS, place), limit=4096)
    return Run(("grep", "-cvE", f"^([[:space:]]*(#.*)?|{_lines(sources)})$", place), limit=4096)


def _owner_question(path: str) -> Run:
    return Run(("dpkg-query", "-S", path), limit=4096)


def by_place(going: tuple[Source, ...]) -> dict[str, list[Source]]:
    found: dict[str, list[Source]] = {}
    for source in going:
        found.setdefault(source.place, []).append(source)
    return dict(sorted(found.items()))


def _asks(ground: Ground, *, vendor: Vendor) -> Iterator[Query]:
    try:
        sources = _sources(ground, vendor)
        keys = [file.path for file in ground.known.get(VendorKeys).files]
    except UnknownError:
        return
    for place, going in by_place(sources.going).items():
        yield rest_question(place, going)
    for path in keys:
        yield _owner_question(path)


@operation("apt.forget", asks=_asks)
def forget(ground: Ground, *, vendor: Vendor) -> Iterator[Action]:
    """Take a vendor's repositories out of apt, with the keys that only they used and the pins for them.

    Repositories are known by their servers, keys by their fingerprints and owners. What holds a release that the same
    plan chooses stays; so does what is NVIDIA's beside an NVIDIA GPU. Lines of other repositories in the same file stay.
    The old file of keys for every repository stays where others' keys are in it; the user is told.
    """
    if vendor == "nvidia" and (why := nvidia_stays(ground)):
        ground.claim("NVIDIA's repositories", why)
        return
    sources = _sources(ground, vendor)
    ground.dropped.update(sources.going)
    names = sorted({f"{s.place}: {s.line}" for s in sources.going})
    ground.claim(f"repositories of {vendor} that nobody wants", "; ".join(names) or "none")
    for place, going in by_place(sources.going).items():
        yield from one_file(ground, place, going)
    wanted = vendor == "amd" and wanted_amd(ground).any
    yield from _keys(ground, vendor, sources, wanted=wanted)
    if not wanted:
        yield from _pins(ground, vendor)


def _removed(path: str, says: str) -> Action:
    return Action(do=WriteFile(path, None), says=says, undo=Undo("restore"), seconds=0.1, sources=True)


def one_file(ground: Ground, place: str, going: list[Source]) -> Iterator[Action]:
    named = "; ".join(dict.fromkeys(s.line for s in going))
    if _alone(ground, place, going):
        yield _removed(place, f"remove {place}, which names {named}")
    elif place.endswith(".sources"):
        ground.note(f"{place} names {named} beside other repositories, and stays: take that stanza out of it")
    else:
        shape = f"^{_lines(going)}$"
        yield Action(
            do=Exec(("sed", "-i", "-E", f"s@{shape}@{_MARK}&@", place)),
            says=f"comment out in {place} what names {named}; its other lines stay",
            undo=Undo("commands", "takes the comment signs away", (("sed", "-i", f"s@^{_MARK}@@", place),)),
            seconds=0.1,
            sources=True,
        )


def _alone(ground: Ground, place: str, going: list[Source]) -> bool:
    """Nothing else stands in a file. Where nobody could look, its name and what else it says of vendors decide."""
    said = ground.answer(rest_question(place, going)).stdout.strip()
    if not said.isdigit():
        own = re.search(r"rocm|amdgpu|radeon|cuda|nvidia", place.rpartition("/")[2])
        others = [s for s in ground.known.get(AptSources).sources if s.place == place and s not in going]
        return own is not None and not others
    # A stanza may hold several addresses; then it counts for less than they do.
    return int(said) <= len({(s.uri, s.suite) for s in going}) if place.endswith(".sources") else said == "0"


# ---------------------------------------------------------------- keys


def _keys(ground: Ground, vendor: Vendor, sources: _Sources, *, wanted: bool) -> Iterator[Action]:
    keys = ground.known.get(VendorKeys)
    used = {s.signed_by for s in sources.staying}
    for file in keys.files:
        folder, _, name = file.path.rpartition("/")
        # A line without a key of its own takes what lies in apt's own folder.
        general = "" in used and folder == "/etc/apt/trusted.gpg.d"
        ours = name.startswith(OWN) and wanted
        if file.path in used or general or ours or not _signs_only(ground, file, vendor):
            continue
        if not _owned(ground, file.path):
            yield _removed(file.path, f"remove {file.path}, which holds {_named(file)}")
    if keys.shared is not None and not wanted:
        yield from _shared(ground, keys.shared, vendor)


def _signs_only(ground: Ground, file: KeyFile, vendor: Vendor) -> bool:
    """All keys in it are the vendor's; by its name where its keys could not be read."""
    if not file.keys:
        shape = r"rocm|amdgpu|radeon" if vendor == "amd" else r"cuda|nvidia"
        return bool(file.there) and re.search(shape, file.path.rpartition("/")[2]) is not None
    return {ground.known.get(RepositoryTable).signs_for(key) for key in file.keys} == {vendor}


def _named(file: KeyFile) -> str:
    return ", ".join(_key(key) for key in file.keys) if file.keys else "a key that could not be read"


def _key(key: Key) -> str:
    return f"the key {key.fingerprint[-16:]} of {key.owner or 'nobody named'}"


def _owned(ground: Ground, path: str) -> bool:
    """A package that stays has brought it; one that goes takes it along."""
    said = ground.answer(_owner_question(path))
    return said.ok and said.exit_code == 0


def _shared(ground: Ground, file: KeyFile, vendor: Vendor) -> Iterator[Action]:
    table = ground.known.get(RepositoryTable)
    mine = [key for key in file.keys or () if table.signs_for(key) == vendor]
    if not mine:
        return
    if len(mine) == len(file.keys or ()):
        yield _removed(SHARED, f"remove {SHARED}, which holds {_named(file)} and no other")
        return
    ids = " ".join(key.fingerprint[-16:] for key in mine)
    ground.note(
        f"{SHARED} holds {', '.join(_key(key) for key in mine)} beside keys of others, and apt trusts it for every "
        f"repository; 'sudo apt-key del {ids}' takes it out"
    )


# ---------------------------------------------------------------- pins


def _pins(ground: Ground, vendor: Vendor) -> Iterator[Action]:
    hosts = ground.known.get(RepositoryTable).hosts(vendor)
    places: dict[str, bool] = {}
    for pin in ground.known.get(AptPins).pins:
        mine = any(pin.prefers(host) for host in hosts)
        places[pin.place] = places.get(pin.place, True) and mine
    for place, mine in places.items():
        if mine:
            yield _removed(
                place, f"remove {place}, which only prefers packages from {' or '.join(hosts[:1])}"
            )
