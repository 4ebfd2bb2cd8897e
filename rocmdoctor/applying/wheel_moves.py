"""The wheel cache cleared away, and carried to other machines: looked at wholly before anything is changed."""

from __future__ import annotations

import fcntl
import os
import re
import shutil
import tarfile
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from rocmdoctor.applying import wheels
from rocmdoctor.applying.wheels import ABOUT, CacheError, DamagedError, Entry
from rocmdoctor.wheel_key import KEY

SUMS = "SHA256SUMS"
DAY = 86_400.0
# What an interrupted build leaves may be gone on with for as long.
_LEFT = 7 * DAY
_ASIDE = re.compile(rf"\.{KEY.pattern}\..+|{KEY.pattern}\.damaged-\d+")


@dataclass(frozen=True)
class Kept:
    """An entry as it is shown. `used` in seconds since 1970; `wrong` says what is wrong with it."""

    folder: Path
    entry: Entry | None
    size: int
    used: float
    wrong: str = ""


@dataclass(frozen=True)
class Goes:
    """Something to remove, how large it is, and why it may go."""

    path: Path
    size: int
    why: str


def kept(cache: Path, *, verify: bool = False) -> list[Kept]:
    """Every entry, with a look at the wheels' digests where that is asked for. Raises OSError."""
    found = []
    for folder, entry in wheels.entries(cache):
        size, used = _size(folder), folder.stat().st_mtime
        if isinstance(entry, DamagedError):
            found.append(Kept(folder, None, size, used, str(entry)))
            continue
        wrong = ""
        if verify:
            try:
                wheels.verified(folder)
            except CacheError as error:
                wrong = str(error)
        found.append(Kept(folder, entry, size, used, wrong))
    return found


def _size(path: Path) -> int:
    if path.is_symlink() or path.is_file():
        return path.lstat().st_size
    return sum(p.lstat().st_size for p in path.rglob("*") if p.is_symlink() or not p.is_dir())


# ---------------------------------------------------------------- clearing away


def goes(
    cache: Path, now: float, *, older: float | None = None, most: int | None = None, sources: bool = False
) -> list[Goes]:
    """What clearing away removes: what is damaged or half, and wheels by their last use and by the room they take.

    Nothing of a build that runs. Raises OSError.
    """
    found = [*_leftovers(cache, now), *(_of_sources(cache) if sources else [])]
    left: list[Kept] = []
    for item in kept(cache):
        days = (now - item.used) / DAY
        if item.wrong:
            found.append(Goes(item.folder, item.size, item.wrong))
        elif older is not None and days > older:
            found.append(Goes(item.folder, item.size, f"not used for {days:.0f} days"))
        else:
            left.append(item)
    total = sum(item.size for item in left)
    for item in sorted(left, key=lambda k: k.used):
        if most is None or total <= most:
            break
        total -= item.size
        found.append(Goes(item.folder, item.size, "the least lately used of what is too much"))
    return found


def _leftovers(cache: Path, now: float) -> Iterator[Goes]:
    for path in _inside(cache / "wheels"):
        if _ASIDE.fullmatch(path.name) and (".damaged-" in path.name or now - path.lstat().st_mtime > DAY):
            yield Goes(path, _size(path), "set aside, or left half by a build that was cut off")
    for path in _inside(cache / "src"):
        key = path.name.removeprefix("build-")
        if KEY.fullmatch(key) and now - path.lstat().st_mtime > _LEFT and not _is_built(cache, key):
            yield Goes(path, _size(path), "an interrupted build that nobody went on with for a week")


def _of_sources(cache: Path) -> Iterator[Goes]:
    for path in (*_inside(cache / "src"), *_inside(cache / "downloads")):
        if not path.name.startswith("build-"):
            yield Goes(path, _size(path), "sources, which are fetched again when they are wanted")


def _inside(folder: Path) -> list[Path]:
    return sorted(folder.iterdir()) if folder.is_dir() else []


def _is_built(cache: Path, key: str) -> bool:
    """Somebody builds it at the moment."""
    try:
        handle = os.open(cache / "wheels" / f".{key}.lock", os.O_RDWR | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return True
    else:
        return False
    finally:
        os.close(handle)


def remove(item: Goes) -> None:
    """Raises OSError."""
    if item.path.is_dir() and not item.path.is_symlink():
        shutil.rmtree(item.path)
    else:
        item.path.unlink(missing_ok=True)


# ---------------------------------------------------------------- to other machines


def chosen(cache: Path, names: Sequence[str]) -> list[Kept]:
    """Entries by name, `name==version` or the beginning of the key; all where none is named. Raises CacheError."""
    every = kept(cache, verify=True)
    for item in every:
        if item.wrong:
            raise CacheError(f"{item.wrong}; 'rocmdoctor cache gc' clears it away")
    found: dict[str, Kept] = {}
    for name in names:
        mine = [k for k in every if k.entry and _named(k.entry, name)]
        if not mine:
            raise CacheError(f"the cache has no wheel '{name}'; 'rocmdoctor cache list' shows what there is")
        found.update({k.folder.name: k for k in mine})
    return list(found.values()) if names else every


def _named(entry: Entry, name: str) -> bool:
    words = (entry.name, f"{entry.name}=={entry.version}")
    return name in words or (len(name) >= 6 and entry.key.startswith(name))


def export(items: Sequence[Kept], target: Path) -> str:
    """Copies entries to a folder, or into one file that ends in .tar; the sha256 of that file, else nothing.

    Raises CacheError, OSError.
    """
    if target.exists() and (target.suffix == ".tar" or any(target.iterdir())):
        raise CacheError(f"{target} is there already; name a place that is not")
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".rocmdoctor-", dir=target.parent) as place:
        aside = Path(place) / "wheels"
        aside.mkdir()
        lines = []
        for item in items:
            shutil.copytree(item.folder, aside / item.folder.name)
            names = sorted(p.name for p in item.folder.iterdir())
            lines += [f"{wheels.digest_of(item.folder / n)}  {item.folder.name}/{n}\n" for n in names]
        (aside / SUMS).write_text("".join(lines), encoding="ascii")
        if target.suffix != ".tar":
            if target.exists():
                target.rmdir()
            aside.rename(target)
            return ""
        packed = Path(place) / target.name
        _pack(aside, packed)
        packed.rename(target)
    return wheels.digest_of(target)


def _pack(folder: Path, path: Path) -> None:
    """Equal entries make equal bytes: the digest of one export is that of the next."""
    with tarfile.open(path, "w") as archive:
        for file in sorted(p for p in folder.rglob("*") if p.is_file()):
            info = tarfile.TarInfo(str(file.relative_to(folder)))
            info.size, info.mode = file.stat().st_size, 0o644
            with file.open("rb") as data:
                archive.addfile(info, data)


def take(cache: Path, source: Path, sha256: str = "") -> tuple[list[Entry], list[Entry]]:
    """Takes entries over once all of them are right: those that are new, and those that were there.

    Raises CacheError, with nothing taken, and OSError.
    """
    if sha256:
        found = wheels.digest_of(source) if source.is_file() else "that of a folder"
        if found != sha256:
            raise CacheError(f"{source}: its sha256 is {found}, wanted is {sha256}; nothing was taken")
    with _opened(cache, source) as folder:
        places = [p for p in sorted(folder.iterdir()) if KEY.fullmatch(p.name)]
        if not places:
            raise CacheError(
                f"{source} holds no wheel that 'rocmdoctor cache export' wrote; nothing was taken"
            )
        try:
            _sums(folder)
            entries = [_right(place) for place in places]
        except (DamagedError, CacheError) as error:
            raise CacheError(f"{error}; nothing was taken") from error
        new = [e for place, e in zip(places, entries, strict=True) if wheels.add(cache, place)]
    return new, [e for e in entries if e not in new]


def _right(place: Path) -> Entry:
    entry = wheels.read(place)
    wheel = place / entry.wheel
    found = wheels.digest_of(wheel) if wheel.is_file() and not wheel.is_symlink() else "that of no file"
    if found != entry.sha256:
        raise DamagedError(
            f"{place.name}/{entry.wheel} is damaged: its sha256 is {found}, wanted is {entry.sha256}"
        )
    return entry


def _sums(folder: Path) -> None:
    """Raises CacheError where a file is another than it was when it was exported."""
    path = folder / SUMS
    for line in path.read_text(encoding="ascii").splitlines() if path.is_file() else ():
        digest, _, name = line.partition("  ")
        file = folder / name
        if ".." in name or name.startswith("/"):
            raise CacheError(f"{SUMS} names {name!r}")
        if not file.is_file() or wheels.digest_of(file) != digest:
            raise CacheError(f"{name} is not what it was when it was exported")


@contextmanager
def _opened(cache: Path, source: Path) -> Iterator[Path]:
    """The folder that holds the entries: the one that was named, or what is in a file."""
    if source.is_dir():
        yield source
        return
    folder = wheels.folder_of(cache)
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".import-", dir=folder) as place:
        try:
            _unpack(source, Path(place))
        except tarfile.TarError as error:
            raise CacheError(f"{source} is no file that 'rocmdoctor cache export' wrote ({error})") from error
        yield Path(place)


def _unpack(source: Path, place: Path) -> None:
    """Only what an export holds: plain files, one folder deep. Raises CacheError, tarfile.TarError, OSError."""
    with tarfile.open(source, "r:") as archive:
        for member in archive:
            folder, _, name = member.name.rpartition("/")
            fits = (KEY.fullmatch(folder) and (name == ABOUT or name.endswith(".whl"))) or member.name == SUMS
            data = archive.extractfile(member) if member.isreg() and fits else None
            if data is None:
                raise CacheError(
                    f"{source} holds {member.name!r}, and an export holds no such thing; nothing was taken"
                )
            target = place / folder / name
            target.parent.mkdir(exist_ok=True)
            with target.open("xb") as file:
                shutil.copyfileobj(data, file, 1 << 20)
