"""One commit of a repository, without its history."""

from __future__ import annotations

import urllib.parse
from pathlib import Path

from rocmdoctor.applying.chores.running import ChoreError, ProgramFailedError, output, run, say

# What a git that was killed leaves, in a checkout that only we work on.
_LOCKS = ("index.lock", "shallow.lock", "HEAD.lock", "config.lock", "FETCH_HEAD.lock")


def checkout(*, url: str, commit: str, path: str, submodules: bool, mirror: str) -> None:
    """Fetches the commit and checks it out; goes on where it was cut off. Raises ChoreError, OSError."""
    folder = Path(path)
    folder.mkdir(parents=True, exist_ok=True)
    git = ["git", *_instead(url, mirror)]
    if not (folder / ".git").exists():
        run([*git, "init", "--quiet"], folder, what="git init")
    for lock in (folder / ".git" / name for name in _LOCKS):
        lock.unlink(missing_ok=True)
    if not _has(folder, commit):
        _fetch(git, folder, url, commit)
    moving = folder / ".git" / "rocmdoctor-moving"
    if not moving.exists():
        _no_changes(folder)
    # From here on files that differ are those of a checkout that was cut off, and not somebody's work.
    moving.touch()
    words = ["-c", "advice.detachedHead=false", "checkout", "--force", "--detach", commit]
    run([*git, *words], folder, what="git checkout")
    moving.unlink()
    if submodules:
        # Submodules may be named from where their project lies.
        run([*git, "config", "remote.origin.url", url], folder)
        _submodules(git, folder)
    found = (output(["git", "rev-parse", "HEAD"], folder) or "").strip()
    if found != commit:
        raise ChoreError(f"{path}: {found or 'nothing'} is checked out, wanted is {commit}")


def _instead(url: str, mirror: str) -> list[str]:
    """Options of git that let a folder stand in for every server."""
    if not mirror:
        return ["-c", "protocol.file.allow=always"] if url.startswith("file://") else []
    words = ["-c", "protocol.file.allow=always"]
    hosts = {urllib.parse.urlsplit(url).netloc, *(p.name for p in Path(mirror).iterdir() if p.is_dir())}
    for host in sorted(filter(None, hosts)):
        words += ["-c", f"url.file://{mirror}/{host}/.insteadOf=https://{host}/"]
    return words


# A folder of repositories may be somebody else's: git would not read one, though nothing in it is run.
_ANY_OWNER = "--upload-pack=git -c safe.directory=* upload-pack"


def _has(folder: Path, commit: str) -> bool:
    return output(["git", "cat-file", "-e", f"{commit}^{{tree}}"], folder) is not None


def _fetch(git: list[str], folder: Path, url: str, commit: str) -> None:
    fetch, what = (
        [*git, "fetch", "--progress", *([_ANY_OWNER] if len(git) > 1 else [])],
        f"git fetch from {url}",
    )
    try:
        run([*fetch, "--no-tags", "--depth=1", url, commit], folder, what=what)
    except ProgramFailedError:
        # Servers may refuse to hand out what no branch points to at the moment, or to hand out a part.
        say("once more, with all branches and their history")
        heads = "+refs/heads/*:refs/remotes/origin/*"
        run([*fetch, "--tags", url, heads], folder, what=what)
    if not _has(folder, commit):
        raise ChoreError(f"{url} has no commit {commit}; it may have been taken back there")


def _no_changes(folder: Path) -> None:
    """Raises ChoreError where files would get lost that somebody changed since the plan was made."""
    if output(["git", "rev-parse", "--verify", "--quiet", "HEAD^{commit}"], folder) is None:
        return
    said = output(["git", "status", "--porcelain", "--untracked-files=no"], folder, 300) or ""
    changed = [line[3:] for line in said.splitlines()]
    if changed:
        raise ChoreError(
            f"{folder} has changes that are not committed: {', '.join(changed[:5])}; nothing was checked out"
        )


def _submodules(git: list[str], folder: Path) -> None:
    words = ["submodule", "update", "--init", "--recursive", "--force", "--progress"]
    try:
        run([*git, *words, "--depth=1"], folder, what="git submodule update")
    except ProgramFailedError:
        say("once more, with the history")
        run([*git, *words], folder, what="git submodule update")
