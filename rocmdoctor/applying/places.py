"""Where runs are kept: `<state>/runs/<n>/{plan.json,journal.jsonl,logs/,backup/}`, n = 1, 2, 3, ..."""

from __future__ import annotations

import os
import stat
from collections.abc import Mapping
from pathlib import Path

from rocmdoctor.applying import journal
from rocmdoctor.frozen import frozen

ROOT_STATE = "/var/lib/rocmdoctor"
PLAN = "plan.json"
UNFINISHED = ("interrupted", "failed", "stopped", "reboot", "undoing")


class PlaceError(Exception):
    """A folder that cannot be used, or must not be."""


@frozen
class Run:
    """A run that was begun once. `state`: done, undone, unreadable, empty (nothing was ever noted), or one of UNFINISHED.

    An `interrupted` one may also be running: the lock tells.
    """

    number: int
    folder: Path
    state: str
    says: str = ""


def machine_state(given: str = "") -> Path:
    """The folder of machine-wide runs. The variables of whoever calls are not looked at: root must be told."""
    return Path(given or ROOT_STATE)


def user_state(environ: Mapping[str, str]) -> Path:
    """The folder of a user's own runs; ROCMDOCTOR_STATE moves it."""
    if moved := environ.get("ROCMDOCTOR_STATE"):
        return Path(moved)
    base = environ.get("XDG_STATE_HOME", "")
    # The XDG specification: a relative path is to be ignored.
    home = (
        Path(base) if base.startswith("/") else Path(environ.get("HOME") or "~").expanduser() / ".local/state"
    )
    return home / "rocmdoctor"


def make_run(state: Path) -> Path:
    """A new run folder, with the next number. Raises PlaceError."""
    try:
        _folder(state)
        _folder(state / "runs")
        if os.geteuid() == 0:
            trusted(state / "runs")
        while True:
            folder = state / "runs" / str(max([0, *_numbers(state)]) + 1)
            try:
                folder.mkdir(mode=0o755)
            except FileExistsError:
                continue
            break
        folder.chmod(0o755)
        for name, mode in (("logs", 0o755), ("backup", 0o700)):
            (folder / name).mkdir(mode=mode)
            (folder / name).chmod(mode)
        journal.sync_folder(folder)
        journal.sync_folder(folder.parent)
    except OSError as error:
        raise PlaceError(
            f"{error.filename or state}: {error.strerror}; runs are kept there, so none is begun"
        ) from error
    return folder


def _folder(path: Path) -> None:
    missing = [p for p in (path, *path.parents) if not p.exists()]
    for part in reversed(missing):
        part.mkdir(mode=0o755, exist_ok=True)
        part.chmod(0o755)


def trusted(path: Path) -> None:
    """Raises PlaceError when somebody other than root could change what lies at the path.

    A folder that everybody may write to does not matter when only owners may rename in it, as in /tmp.
    """
    real = Path(os.path.realpath(path))
    for part in {path.absolute(), *path.absolute().parents, real, *real.parents}:
        try:
            found = part.lstat()
        except FileNotFoundError:
            continue
        except OSError as error:
            raise PlaceError(f"{part}: {error.strerror}") from error
        if stat.S_ISLNK(found.st_mode) and found.st_uid == 0:
            continue
        loose = found.st_mode & 0o002 or (found.st_mode & 0o020 and found.st_gid != 0)
        if found.st_uid != 0 or (
            loose and not (stat.S_ISDIR(found.st_mode) and found.st_mode & stat.S_ISVTX)
        ):
            raise PlaceError(
                f"{part}: owner {found.st_uid}, mode {stat.S_IMODE(found.st_mode):04o}; root uses {path} only"
                " where nobody else could have changed it (owner 0, not writable by group or others)"
            )


def _numbers(state: Path) -> list[int]:
    try:
        names = [path.name for path in (state / "runs").iterdir()]
    except (FileNotFoundError, NotADirectoryError):
        return []
    return sorted(int(n) for n in names if n.isascii() and n.isdigit() and not n.startswith("0"))


def runs(state: Path) -> list[Run]:
    """Every run, oldest first. Raises PlaceError when the folder cannot be read."""
    try:
        return [_run(number, state / "runs" / str(number)) for number in _numbers(state)]
    except OSError as error:
        raise PlaceError(f"{state / 'runs'}: {error.strerror}") from error


def latest_unfinished(state: Path) -> Run | None:
    """The newest run that was begun and neither came to its end nor was taken back. Raises PlaceError."""
    return next((r for r in reversed(runs(state)) if r.state in UNFINISHED), None)


def _run(number: int, folder: Path) -> Run:
    try:
        lines = journal.read(folder / journal.FILE)
    except journal.JournalError as error:
        return Run(number, folder, "unreadable", str(error))
    return Run(number, folder, *_judged(lines))


def _judged(lines: list[journal.Line]) -> tuple[str, str]:
    if not lines:
        return "empty", ""
    now = journal.state(lines)
    last = lines[-1]
    if now.undoing:
        ended = last.event == "end"
        return ("undone" if ended else "undoing"), ""
    if now.ended:
        return "done", ""
    if last.event == "failed":
        return "failed", str(last.more.get("message", ""))
    if last.event in ("stopped", "reboot-asked"):
        return ("stopped" if last.event == "stopped" else "reboot"), str(last.more.get("why", ""))
    return "interrupted", last.action
