"""Where apt takes packages from: repositories with the key that signs them, and pins."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated

from rocmdoctor.actions import Action, Fetch, Undo, WriteFile
from rocmdoctor.facts.apt import AptKeys, AptSources, Source
from rocmdoctor.facts.base import UnknownError
from rocmdoctor.frozen import frozen
from rocmdoctor.model import Query
from rocmdoctor.ops.apt import refresh
from rocmdoctor.ops.arguments import (
    NO_WORDS,
    AbsolutePath,
    BadArgumentError,
    Fingerprint,
    Name,
    Sha256,
    Shape,
    Url,
)
from rocmdoctor.ops.ground import ForbiddenError, Ground, file_questions
from rocmdoctor.ops.places import holds, sha256_of, there
from rocmdoctor.ops.registry import operation

_HEAD = "# Written by rocmdoctor.\n"
SUITE = Shape("a suite such as 'jammy' or './'", r"[A-Za-z0-9][A-Za-z0-9._/-]*/?|\./")
COMPONENT = Shape("a component such as 'main'", r"[A-Za-z0-9][A-Za-z0-9._/-]*")
ARCHITECTURE = Shape("an architecture such as 'amd64'", r"[a-z0-9][a-z0-9-]*")
# apt_preferences(5): a name, a name with * ? [], or a /regular expression/.
PINNED = Shape(
    "a package name, a pattern with '*', or a /regular expression/",
    r"[a-z0-9*?\[][a-z0-9+.*?\[\]:-]*|/[^/\s]+/",
)
PIN = Shape("a pin: 'release ...', 'origin ...' or 'version ...'", r"(?:release|origin|version) [ -~]*[!-~]")

Suite = Annotated[str, SUITE]
Component = Annotated[str, COMPONENT]
Architecture = Annotated[str, ARCHITECTURE]
Pinned = Annotated[str, PINNED]
Pin = Annotated[str, PIN]


@frozen
class _Wanted:
    """A repository: its file, the file of its key, and what stands in the former."""

    id: str
    uri: str
    suite: str
    components: tuple[str, ...]
    arch: str
    fingerprint: str

    @property
    def file(self) -> str:
        return f"/etc/apt/sources.list.d/rocmdoctor-{self.id}.sources"

    @property
    def keyring(self) -> str:
        # apt reads armored keys from .asc alone.
        return f"/etc/apt/keyrings/rocmdoctor-{self.id}.asc"

    @property
    def text(self) -> str:
        # sources.list(5): behind a keyring, a fingerprint selects the one key of it whose signature counts.
        parts = f"Components: {' '.join(self.components)}\n" if self.components else ""
        return (
            f"{_HEAD}Types: deb\nURIs: {self.uri}\nSuites: {self.suite}\n{parts}"
            f"Architectures: {self.arch}\nSigned-By: {self.keyring} {self.fingerprint}\n"
        )


def _asks(_ground: Ground, *, id: str, replaces: list[str] = NO_WORDS, **_: object) -> Iterator[Query]:  # noqa: A002
    wanted = _Wanted(id, "", "", (), "", "")
    for path in (wanted.file, wanted.keyring, *replaces):
        yield from file_questions(path)


@operation("apt.repository", asks=_asks)
def repository(  # noqa: PLR0913 - the keys of a step
    ground: Ground,
    *,
    id: Name,  # noqa: A002 - the key's name
    uri: Url,
    suite: Suite,
    components: list[Component] = NO_WORDS,
    arch: Architecture = "amd64",
    fingerprint: Fingerprint,
    key_url: Url | None = None,
    key_sha256: Sha256 | None = None,
    key: str = "",
    replaces: list[AbsolutePath] = NO_WORDS,
) -> Iterator[Action]:
    """Let apt take packages from a repository, signed by the key of this fingerprint and no other.

    The key, armored, is text in `key`, or comes from `key_url`: then it must have the fingerprint, and the file the
    `key_sha256` where that is given. apt itself holds the signature to the fingerprint. `replaces` are files of sources that are removed first. Nothing is planned where another file names the
    repository with a key; where one names it without, that is a refusal, because apt would stop at two that differ.
    """
    _check_key(key_url, key)
    wanted = _Wanted(
        id, uri.rstrip("/") if suite != "./" else uri, suite, tuple(components), arch, fingerprint
    )
    for path in replaces:
        if there(ground, path):
            yield _file(path, None, f"remove {path}, which names the same packages")
    if _elsewhere(ground, wanted, replaces):
        return
    keyed = list(_key(ground, wanted, key_url, key_sha256, key))
    yield from keyed
    if not holds(ground, wanted.file, sha256_of(wanted.text)):
        yield _file(wanted.file, wanted.text, f"add the repository {uri} {suite} ({wanted.file})")
    elif not keyed:
        return
    yield refresh()


def _check_key(url: str | None, key: str) -> None:
    if bool(url) == bool(key):
        raise BadArgumentError("key", key or url or "", "either a key's text or a key_url, and not both")
    if key and not key.startswith("-----BEGIN PGP PUBLIC KEY BLOCK-----"):
        raise BadArgumentError("key", key[:40], "an armored public key")


def _key(ground: Ground, wanted: _Wanted, url: str | None, sha256: str | None, key: str) -> Iterator[Action]:
    if (
        _kept(ground, wanted)
        if url and not sha256
        else holds(ground, wanted.keyring, sha256 or sha256_of(key))
    ):
        return
    says = f"keep the key {wanted.fingerprint} in {wanted.keyring}"
    if url:
        yield Action(
            do=Fetch(url, wanted.keyring, sha256 or "", key="" if sha256 else wanted.fingerprint),
            says=f"{says}, from {url}",
            undo=Undo("restore"),
            network=not url.startswith("file://"),
            seconds=2.0,
            sources=True,
        )
    else:
        yield _file(wanted.keyring, key, says)


def _kept(ground: Ground, wanted: _Wanted) -> bool:
    """The file is there and holds the key, as far as gpg was asked, which has not expired."""
    try:
        if ground.digest(wanted.keyring) is None:
            return False
    except UnknownError:
        return False
    known = ground.maybe(AptKeys)
    file = known.named.get(wanted.keyring) if known else None
    if file is None or file.keys is None:
        return True
    whole = any(k.fingerprint == wanted.fingerprint and k.validity not in ("e", "r") for k in file.keys)
    ground.claim(f"key in {wanted.keyring}", "good" if whole else "another one, expired or revoked")
    return whole


def _elsewhere(ground: Ground, wanted: _Wanted, replaces: list[str]) -> Source | None:
    """The same repository in another file, with a key. Raises ForbiddenError for one without."""
    found = None
    for source in ground.known.get(AptSources).sources:
        if source.place in (wanted.file, *replaces) or source in ground.dropped:
            continue
        if (source.uri.rstrip("/"), source.suite) == (wanted.uri.rstrip("/"), wanted.suite):
            whole = set(wanted.components) <= set(source.components)
            if source.trusted or not source.signed_by or not whole:
                raise ForbiddenError(
                    f"{source.place} names {source.line} already, and not with all of "
                    f"'{' '.join(wanted.components)}' and a key of its own; apt stops where two files differ in that. "
                    f"Remove that line, or name the file under 'replaces'"
                )
            found = source
    ground.claim(f"repository {wanted.uri} {wanted.suite}", found.place if found else "in no other file")
    return found


def _file(path: str, text: str | None, says: str) -> Action:
    return Action(do=WriteFile(path, text), says=says, undo=Undo("restore"), seconds=0.1, sources=True)


def _pins(id: str) -> str:  # noqa: A002
    return f"/etc/apt/preferences.d/rocmdoctor-{id.replace('.', '-')}"


def _asks_pin(_ground: Ground, *, id: str, **_: object) -> Iterator[Query]:  # noqa: A002
    yield from file_questions(_pins(id))


@operation("apt.pin", asks=_asks_pin)
def pin(
    ground: Ground,
    *,
    id: Name,  # noqa: A002 - the key's name
    pin: Pin,
    priority: int,
    packages: list[Pinned] = NO_WORDS,
) -> Iterator[Action]:
    """Say which versions apt prefers: packages (all where none is named), a pin and its priority, as in apt_preferences(5)."""
    if priority == 0 or abs(priority) > 32767:
        raise BadArgumentError(
            "priority", priority, "a number from -32767 to 32767 other than 0, which apt refuses"
        )
    path = _pins(id)
    names = " ".join(packages) or "*"
    text = f"Explanation: Written by rocmdoctor.\nPackage: {names}\nPin: {pin}\nPin-Priority: {priority}\n"
    if not holds(ground, path, sha256_of(text)):
        yield _file(path, text, f"prefer '{pin}' with priority {priority} for {names} ({path})")
