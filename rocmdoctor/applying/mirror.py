"""A folder that stands in for every server of a lock: wheels and archives by name, repositories by host.

`<folder>/<file>` and `<folder>/<host>/<path>.git`, as pip's --find-links and git's insteadOf expect them.
"""

from __future__ import annotations

import os
import re
import subprocess
import urllib.parse
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rocmdoctor.actions import Fetch, Plan
from rocmdoctor.applying import files
from rocmdoctor.applying.chores.running import ChoreError, output
from rocmdoctor.applying.fetch import FetchError, download
from rocmdoctor.facts.distributions import normalized
from rocmdoctor.hosts.words import decode
from rocmdoctor.ops.source import file_of, kept_as
from rocmdoctor.planning.lock import lock_of

Tell = Callable[[str], None]
_DEEPEST, _SECONDS = 6, 1800.0


@dataclass(frozen=True)
class Piece:
    """Something that the folder is to hold. `digest` is a sha256, or the commit of a repository."""

    url: str
    digest: str
    path: Path
    repository: bool = False


@dataclass(frozen=True)
class Filled:
    """What became of a piece. `state`: fetched, there or missing; `why` when it is missing."""

    name: str
    state: str
    why: str = ""


def pieces(lock: Mapping[str, Any], folder: Path) -> Iterator[Piece]:
    """Everything that a lock names."""
    for row in lock["wheels"]:
        # pip tells files by their names alone.
        yield Piece(row["url"], row["sha256"], folder / (file_of(row["url"]) or "_"))
    for row in lock["sources"]:
        if "commit" in row:
            yield Piece(row["url"], row["commit"], repository(folder, row["url"]), repository=True)
        else:
            yield Piece(row["url"], row["sha256"], folder / kept_as(row["url"], row["sha256"]))


def repository(folder: Path, url: str) -> Path:
    """Where a repository lies."""
    parts = urllib.parse.urlsplit(url)
    path = [part for part in parts.path.split("/") if part not in ("", ".", "..")]
    name = "/".join(path)
    return folder / (parts.hostname or "localhost") / (name if name.endswith(".git") else f"{name}.git")


def unnamed(lock: Mapping[str, Any]) -> list[str]:
    """Requirements of which the lock names no file."""
    known = {row["name"] for row in lock["wheels"]}
    rows = (row for row in lock["distributions"] if normalized(row["name"]) not in known)
    return sorted({f"{row['name']}=={row['version']}" for row in rows})


def built_by_pip(lock: Mapping[str, Any]) -> list[str]:
    """Distributions that pip itself builds, with what they ask for to be built."""
    return [row["name"] for row in lock["wheels"] if not file_of(row["url"]).endswith(".whl")]


# ---------------------------------------------------------------- compare


def wrong(lock: Mapping[str, Any], plan: Plan, folder: Path) -> list[str]:
    """What the folder lacks of what the plan takes from it, or has otherwise than the lock says."""
    now = lock_of(plan)
    names = {normalized(row["name"]) for row in now["distributions"]}
    used = {
        **lock,
        "wheels": [row for row in lock["wheels"] if row["name"] in names],
        "sources": now["sources"],
    }
    found = [problem for piece in pieces(used, folder) if (problem := _wrong(piece))]
    if not lock["wheels"] and names:
        found.append("the lock names no files of distributions: take one that an installation wrote")
    return found


def _wrong(piece: Piece) -> str:
    if piece.repository:
        return (
            ""
            if _has(piece.path, piece.digest)
            else f"{piece.path} has no commit {piece.digest} of {piece.url}"
        )
    try:
        found = files.digest(piece.path)
    except OSError as error:
        return f"{piece.path}, from {piece.url}: {error.strerror}"
    return "" if found == piece.digest else f"{piece.path}: sha256 is {found}, the lock says {piece.digest}"


def _has(path: Path, commit: str) -> bool:
    words = ["git", "-c", "safe.directory=*", "-C", str(path), "cat-file", "-e", f"{commit}^{{tree}}"]
    return path.is_dir() and output(words) is not None


# ---------------------------------------------------------------- fill


def fill(lock: Mapping[str, Any], folder: Path, tell: Tell) -> Iterator[Filled]:
    """Brings what is not there yet; a piece that cannot be had does not keep the others away. Raises OSError."""
    folder.mkdir(parents=True, exist_ok=True)
    for piece in pieces(lock, folder):
        yield from _repository(piece, tell, 0) if piece.repository else [_file(piece, tell)]
    for requirement in unnamed(lock):
        why = "the lock does not say which file it is; install it, the lock that this writes does"
        yield Filled(requirement, "missing", why)


def _file(piece: Piece, tell: Tell) -> Filled:
    name = piece.path.name
    if piece.path.is_file() and files.digest(piece.path) == piece.digest:
        return Filled(name, "there")
    try:
        download(Fetch(piece.url, str(piece.path), piece.digest), str(piece.path), tell)
    except FetchError as error:
        return Filled(name, "missing", str(error))
    return Filled(name, "fetched")


def _repository(piece: Piece, tell: Tell, depth: int) -> Iterator[Filled]:
    """A commit, and those of the submodules that it names."""
    name = f"{piece.url} at {piece.digest[:12]}"
    if _has(piece.path, piece.digest):
        yield Filled(name, "there")
    else:
        tell(name)
        try:
            _fetched(piece)
        except ChoreError as error:
            yield Filled(name, "missing", str(error))
            return
        yield Filled(name, "fetched")
    for url, commit in _submodules(piece) if depth < _DEEPEST else ():
        base = piece.path
        for _ in (*urllib.parse.urlsplit(piece.url).path.strip("/").split("/"), "host"):
            base = base.parent
        yield from _repository(Piece(url, commit, repository(base, url), repository=True), tell, depth + 1)


def _fetched(piece: Piece) -> None:
    """Raises ChoreError, OSError."""
    if not (piece.path / "HEAD").is_file():
        piece.path.mkdir(parents=True, exist_ok=True)
        _git(piece.path, "init", "--quiet", "--bare")
    try:
        _git(piece.path, "fetch", "--quiet", "--no-tags", "--depth=1", piece.url, piece.digest)
    except ChoreError:
        # Servers may refuse to hand out what no branch points to, or to hand out a part.
        _git(piece.path, "fetch", "--quiet", "--tags", piece.url, "+refs/heads/*:refs/heads/*")
    if not _has(piece.path, piece.digest):
        raise ChoreError(f"{piece.url} has no commit {piece.digest}; it may have been taken back there")
    # What no branch points to would be swept away one day, and not be handed out.
    _git(piece.path, "update-ref", f"refs/heads/rocmdoctor-{piece.digest[:12]}", piece.digest)


def _git(folder: Path, *words: str) -> None:
    """Raises ChoreError, with what git said last."""
    argv = ["git", "-C", str(folder), *words]
    try:
        done = subprocess.run(
            argv,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            env={**os.environ, "GIT_TERMINAL_PROMPT": "0"},
            timeout=_SECONDS,
            check=False,
        )
    except FileNotFoundError:
        raise ChoreError("git is not here, and repositories are fetched by it") from None
    except subprocess.TimeoutExpired:
        raise ChoreError(f"git {words[0]} did not end within {_SECONDS:.0f} s") from None
    if done.returncode:
        said = decode(done.stderr).strip().splitlines()
        raise ChoreError(f"git {words[0]}: {said[-1] if said else f'exit code {done.returncode}'}")


def _submodules(piece: Piece) -> Iterator[tuple[str, str]]:
    git = ["git", "-c", "safe.directory=*", "-C", str(piece.path)]
    config = (
        output([*git, "config", "--blob", f"{piece.digest}:.gitmodules", "--get-regexp", r"\.(path|url)$"])
        or ""
    )
    rows = re.findall(r"^submodule\.(.*)\.(path|url) (.*)$", config, re.MULTILINE)
    found = {(name, key): value for name, key, value in rows}
    for (name, key), path in found.items():
        url = found.get((name, "url"), "")
        tree = output([*git, "ls-tree", piece.digest, "--", path]) or "" if key == "path" else ""
        at = re.match(r"160000 commit ([0-9a-f]{40})", tree)
        if at and url:
            yield urllib.parse.urljoin(f"{piece.url}/", url) if url.startswith(".") else url, at.group(1)
