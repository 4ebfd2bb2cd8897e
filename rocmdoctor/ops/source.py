"""Sources from an archive: fetched, compared with their sha256, unpacked beside and renamed."""

from __future__ import annotations

import re
from collections.abc import Iterator
from urllib.parse import unquote

from rocmdoctor.actions import Action, Exec, Fetch, Undo
from rocmdoctor.facts.base import UnknownError
from rocmdoctor.model import Query, Read, Stat
from rocmdoctor.ops.arguments import Place, Sha256, Url
from rocmdoctor.ops.chores import chore
from rocmdoctor.ops.environments import cache_of
from rocmdoctor.ops.ground import ForbiddenError, Ground, file_questions
from rocmdoctor.ops.places import holds, resolved
from rocmdoctor.ops.registry import operation

# Written into what was unpacked, last of all: it holds the sha256 of the archive.
STAMP = ".rocmdoctor-source"
# Wheels and sdists: the name of a project and its version.
_TELLS = re.compile(r"[A-Za-z][A-Za-z0-9._]*(?:-[A-Za-z][A-Za-z0-9._]*)*-\d[^/]*")
_SLOWEST = 1_000_000


def _stamp(path: str) -> Read:
    return Read(f"{path}/{STAMP}", limit=256)


def _archive(ground: Ground, url: str, sha256: str) -> str:
    return f"{cache_of(ground)}/downloads/{sha256[:12]}-{file_of(url)}"


def file_of(url: str) -> str:
    """The name of the file that an address leads to."""
    return unquote(re.split(r"[?#]", url)[0].rstrip("/")).rpartition("/")[2]


def kept_as(url: str, sha256: str) -> str:
    """Its name in a folder that stands in for servers: names that tell no project get their digest in front."""
    name = file_of(url)
    return name if _TELLS.fullmatch(name) else f"{sha256[:12]}-{name}"


def source_questions(ground: Ground, url: str, sha256: str, path: str) -> tuple[Query, ...]:
    """What tells whether the sources are there."""
    archive = _archive(ground, url, sha256)
    return (Stat(path), _stamp(path), *file_questions(archive))


def _asks(ground: Ground, *, url: str, sha256: str, path: str, **_: object) -> Iterator[Query]:
    yield from source_questions(ground, url, sha256, resolved(ground, "path", path, "user"))


@operation("source.fetch", asks=_asks)
def source_fetch(
    ground: Ground, *, url: Url, sha256: Sha256, path: Place, size_mb: int = 5
) -> Iterator[Action]:
    """Fetch an archive of sources whose sha256 is known and unpack it, unless that was done.

    The archive's own top folder, where it has one, becomes `path`. Nothing in it may lie outside of that, and nothing is
    made that others could write.
    """
    full = resolved(ground, "path", path, "user")
    if not _called_for(ground, full, sha256):
        return
    archive = _archive(ground, url, sha256)
    size = size_mb * 1000**2
    instead = f"{ground.folder}/{kept_as(url, sha256)}" if ground.folder else ""
    if not holds(ground, archive, sha256):
        yield Action(
            do=Fetch(url, archive, sha256, instead=instead),
            says=f"copy {instead}" if instead else f"download {url}",
            undo=Undo("restore"),
            root=False,
            network=not (instead or url.startswith("file://")),
            timeout=120.0 + size / _SLOWEST,
            download=0 if instead else size,
            disk=size,
            seconds=1.0 + size / 5e6,
        )
    yield Action(
        do=Exec(chore("unpack", archive=archive, sha256=sha256, path=full)),
        says=f"unpack it to {full}",
        undo=Undo("commands", "removes what was unpacked", (("rm", "-rf", "--one-file-system", "--", full),)),
        root=False,
        timeout=900.0,
        disk=6 * size,
        seconds=1.0 + size / 2e6,
    )


def _called_for(ground: Ground, path: str, sha256: str) -> bool:
    """Raises ForbiddenError where something else lies there."""
    folder, stamp = ground.answer(Stat(path)), ground.answer(_stamp(path))
    if not folder.ok:
        if folder.why not in ("absent", "not-asked"):
            raise UnknownError(f"{path}: {folder.why}")
        ground.claim(f"sources in {path}", "absent")
        return True
    found = stamp.text.strip() if stamp.ok else ""
    ground.claim(f"sources in {path}", found[:16] or "of unknown origin")
    if found == sha256:
        return False
    what = f"the sources with sha256 {found}" if found else "something that was not unpacked by rocmdoctor"
    raise ForbiddenError(f"{path} holds {what}, wanted is {sha256}: move it away, then plan again")
