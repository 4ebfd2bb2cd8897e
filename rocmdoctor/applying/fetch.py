"""Downloads: written aside, resumed when cut, renamed once the sha256 is right."""

from __future__ import annotations

import contextlib
import encodings.idna  # noqa: F401 - looked up by name when a host is; the child may be somebody who cannot read it
import http.client
import os
import random
import ssl
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable, Mapping
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from rocmdoctor.actions import Fetch, Person
from rocmdoctor.applying import become, files, openpgp
from rocmdoctor.applying.changes import for_root, keep, look, too_large
from rocmdoctor.applying.journal import sync_folder
from rocmdoctor.applying.programs import ProgramError
from rocmdoctor.applying.steps import Context, StepError, StoppedError, refused

TRIES = 3
PAUSE = 2.0  # seconds before the second try, twice that before the third, and up to half of it by chance
SILENCE = 30.0  # seconds without a byte after which a try counts as cut
_CHUNK = 1 << 18
_TELL = 0.2
_SCHEMES = ("https", "http", "file")


class FetchError(Exception):
    """A download that came to nothing. `again`: another try may have more luck."""

    def __init__(self, message: str, *, again: bool = False) -> None:
        super().__init__(message)
        self.again = again


def fetch(do: Fetch, timeout: float, person: Person | None, context: Context) -> Mapping[str, Any]:
    """Brings the file to its place; what undo needs. Raises StepError, StoppedError."""
    for_root(do.path, person)
    former = look(do.path, person, context)
    if do.sha256 and former.sha256 == do.sha256:
        noted = context.backup.exists()
        more = {"backup": str(context.backup.relative_to(context.folder)), "sha256": do.sha256}
        return {"path": former.path, **(more if noted else {"unchanged": True})}
    if former.kind == "large":
        raise StepError(too_large(former.path))
    kept = keep(former, context)
    try:
        done = become.apart(
            lambda tell: download(do, former.path, tell),
            person=person,
            seconds=timeout,
            on_line=context.on_line,
            stop=context.stop,
        )
    except become.ChildStoppedError as error:
        if str(error) == "stopped":
            raise StoppedError from error
        raise StepError(
            f"{do.url}: not done within {timeout:.0f} s; what has come is kept, resume goes on from there"
        ) from error
    except become.ChildError as error:
        number = error.errno
        raise StepError(
            refused(former.path, OSError(number, os.strerror(number))) if number else str(error)
        ) from error
    except ProgramError as error:
        raise StepError(str(error)) from error
    return {
        "path": former.path,
        "backup": kept,
        "new": former.kind != "file",
        "sha256": done[1],
        "size": done[0],
    }


def part(path: str) -> Path:
    """Where a download lies until it is whole and right."""
    target = Path(path)
    return target.with_name(f".{target.name}.rocmdoctor-part")


def download(do: Fetch, path: str, tell: Callable[[str], None]) -> tuple[int, str]:
    """Size in bytes and sha256 of the file that is now at the path. Raises FetchError, OSError."""
    if urllib.parse.urlsplit(do.url).scheme not in _SCHEMES:
        raise FetchError(f"{do.url}: an address that begins with one of {', '.join(_SCHEMES)} is wanted")
    aside = part(path)
    files.make_folders(aside.parent)
    resumed = aside.exists()
    _tried(do, aside, tell)
    wrong = _wrong(do, aside, path)
    if wrong and resumed:
        # What an earlier try left may be of another file: once more from the beginning.
        aside.unlink()
        _tried(do, aside, tell)
        wrong = _wrong(do, aside, path)
    if wrong:
        aside.unlink()
        raise FetchError(f"{do.instead or do.url}: {wrong}")
    if do.key:
        aside.write_text(openpgp.alone(aside.read_bytes(), do.key), encoding="ascii")
    done = aside.stat().st_size, files.digest(aside)
    aside.chmod(do.mode)
    aside.replace(path)
    sync_folder(aside.parent)
    return done


def _wrong(do: Fetch, aside: Path, path: str) -> str:
    """Why what has come is not what is wanted; "" when it is."""
    if do.key:
        try:
            openpgp.alone(aside.read_bytes(), do.key)
        except openpgp.NoKeyError as error:
            return _unknown_key(do, str(error))
        return ""
    found = files.digest(aside)
    if found == do.sha256:
        return ""
    return (
        f"sha256 is {found}, wanted is {do.sha256}: it is not the file that the plan was made for"
        f" (changed there, or on the way); {path} was left as it is"
    )


def _unknown_key(do: Fetch, found: str) -> str:
    trust = f"; when the vendor says that it is theirs, plan with --trust-key {found[8:48]}"
    return (
        f"found {found}, wanted the key {do.key}: what is signed by another key is not taken"
        f"{trust if found.startswith('the key ') else ''}"
    )


def _tried(do: Fetch, aside: Path, tell: Callable[[str], None]) -> None:
    for number in range(1, TRIES + 1):
        try:
            _once(f"file://{urllib.parse.quote(do.instead)}" if do.instead else do.url, aside, tell)
        except FetchError as error:
            if not error.again or number == TRIES:
                tries = f" ({number} tries)" if number > 1 else ""
                raise FetchError(f"{do.instead or do.url}: {error}{tries}") from error
            pause = PAUSE * number * random.uniform(1.0, 1.5)  # noqa: S311 - spreads tries, guards nothing
            tell(f"{error}; tries again in {pause:.0f} s")
            time.sleep(pause)
        else:
            return
    raise AssertionError


def _once(url: str, aside: Path, tell: Callable[[str], None]) -> int:
    if url.startswith("file:"):
        return _local(url, aside, tell)
    have = aside.stat().st_size if aside.exists() else 0
    request = urllib.request.Request(url, headers={"User-Agent": "rocmdoctor", "Accept-Encoding": "identity"})  # noqa: S310
    if have:
        request.add_header("Range", f"bytes={have}-")
    try:
        with urllib.request.urlopen(request, timeout=SILENCE) as answer:  # noqa: S310 - schemes were looked at
            return _take(answer, have, aside, tell)
    except urllib.error.HTTPError as error:
        with contextlib.suppress(OSError):
            error.close()
        if error.code == 416:
            # It has all already, or more than there is: the hash tells, and a wrong one begins anew.
            return have
        again = error.code >= 500 or error.code in (408, 429)
        raise FetchError(f"the server answers {error.code} {error.reason}", again=again) from error
    except urllib.error.URLError as error:
        raise _unreachable(error.reason) from error
    except ssl.SSLError as error:
        raise _unreachable(error) from error
    except (TimeoutError, ConnectionError, http.client.HTTPException) as error:
        raise FetchError(f"the connection was cut ({error or type(error).__name__})", again=True) from error


def _local(url: str, aside: Path, tell: Callable[[str], None]) -> int:
    place = urllib.parse.urlsplit(url)
    if place.netloc not in ("", "localhost"):
        raise FetchError("a file of this machine is wanted, as in file:///srv/mirror/file")
    source = urllib.request.url2pathname(place.path)
    try:
        with Path(source).open("rb") as file:
            return _store(file, 0, os.fstat(file.fileno()).st_size, aside, tell)
    except OSError as error:
        # Trouble with the place that it goes to is told by whoever knows that place.
        if error.filename not in (source, Path(source)):
            raise
        raise FetchError(str(error.strerror)) from error


def _take(answer: Any, have: int, aside: Path, tell: Callable[[str], None]) -> int:
    goes_on = answer.status == 206 and str(answer.headers.get("Content-Range", "")).startswith(
        f"bytes {have}-"
    )
    done = have if goes_on else 0
    length = answer.headers.get("Content-Length", "")
    total = done + int(length) if length.isdigit() else 0
    done = _store(answer, done, total, aside, tell)
    if total and done < total:
        raise FetchError(f"the connection was cut after {done} of {total} bytes", again=True)
    return done


def _store(source: Any, have: int, total: int, aside: Path, tell: Callable[[str], None]) -> int:
    """Puts what is read behind the bytes that are there; how many there are then."""
    done, told = have, 0.0
    flags = os.O_WRONLY | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC | (os.O_APPEND if have else os.O_TRUNC)
    with os.fdopen(os.open(aside, flags, 0o600), "wb") as file:
        while data := source.read(_CHUNK):
            file.write(data)
            done += len(data)
            if time.monotonic() >= told + _TELL:
                told = time.monotonic()
                tell(_progress(done, total))
        file.flush()
        os.fsync(file.fileno())
    return done


def _progress(done: int, total: int) -> str:
    return f"{done / 1e6:.1f} of {total / 1e6:.1f} MB" if total else f"{done / 1e6:.1f} MB"


def _unreachable(reason: object) -> FetchError:
    """In words that tell what to do: a clock that is wrong looks like a bad certificate."""
    if isinstance(reason, ssl.SSLCertVerificationError):
        if reason.verify_code in (9, 10):
            clock = datetime.now(timezone.utc).strftime("%Y-%m-%d %H:%M UTC")
            when = "not valid yet" if reason.verify_code == 9 else "no longer valid"
            return FetchError(
                f"the server's certificate is {when} by this machine's clock, which says {clock};"
                " when that is wrong, set it (timedatectl set-ntp true), then resume"
            )
        return FetchError(
            f"the server's certificate is not trusted ({reason.verify_message}); behind a company's proxy its CA must"
            " be installed (ca-certificates)"
        )
    words = getattr(reason, "strerror", None) or str(reason)
    return FetchError(f"not reached ({words}); look at the network, then resume", again=True)
