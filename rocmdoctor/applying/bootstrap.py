"""The step from a user's process to root's, made once.

sudo starts the system's own Python with the program below in its arguments, where nobody can change it any more. It
takes the archive and the wish from its standard input, compares both with the digests in its arguments, unpacks the
archive into a folder that only root can write, and becomes the runner in there.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import signal
import stat
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

# Standard library only, any Python from 3.10 on; it runs as root before anything of ours does.
PROGRAM = r"""
import hashlib, io, json, os, shutil, sys, tempfile, zipfile
state, verb, tool, a_sha, a_len, w_sha, w_len = sys.argv[1:8]
os.umask(0o022)
def stop(text, code=4):
    if tool:
        error = {"code": "not-begun", "message": text, "where": ""}
        print(json.dumps({"schema": 1, "tool": tool, "command": "install", "status": "error", "exit_code": code,
                          "data": {}, "errors": [error]}))
    else:
        sys.stderr.write("rocmdoctor: " + text + "\n")
    sys.exit(code)
def take(sha, size):
    data = sys.stdin.buffer.read(int(size))
    if hashlib.sha256(data).hexdigest() != sha:
        stop("what arrived is not what was sent; nothing was changed")
    return data
def only_root(path):
    # Above our own folders one that all may write to does no harm, when only owners may rename in it, as in /tmp.
    while True:
        own = path == state or path.startswith(state + "/")
        if os.path.lexists(path):
            s = os.lstat(path)
            if s.st_uid != 0 or (s.st_mode & 0o022 and (own or not s.st_mode & 0o1000)):
                stop("%s can be written by others than root (owner %d, mode %04o), so root keeps nothing in %s;"
                     " nothing was changed" % (path, s.st_uid, s.st_mode & 0o7777, state))
        if path == "/":
            break
        path = os.path.dirname(path)
archive, wish = take(a_sha, a_len), take(w_sha, w_len)
try:
    # From here on without links, which their owners could point elsewhere.
    state = os.path.realpath(state)
    home = os.path.join(state, "versions", a_sha)
    only_root(home)
    os.makedirs(os.path.dirname(home), exist_ok=True)
    only_root(home)
    if not os.path.isdir(home):
        aside = tempfile.mkdtemp(dir=os.path.dirname(home))
        try:
            os.chmod(aside, 0o755)
            zipfile.ZipFile(io.BytesIO(archive)).extractall(aside)
            os.sync()
            os.rename(aside, home)
        except BaseException as error:
            shutil.rmtree(aside, ignore_errors=True)
            if not (isinstance(error, OSError) and os.path.isdir(home)):
                raise
    handle, name = tempfile.mkstemp(prefix="wish.", dir=state)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(wish)
    except OSError:
        os.unlink(name)
        raise
    os.execv(sys.executable, [sys.executable, "-I", "-B", os.path.join(home, "start.py"), verb, "--state", state, name])
except OSError as error:
    cure = {28: ": make room there, then try again", 30: ": mount it writable, then try again"}.get(error.errno, "")
    stop("%s: %s; nothing was changed%s" % (error.filename or state, error.strerror, cure))
except KeyboardInterrupt:
    stop("stopped by Ctrl-C; nothing was changed", 130)
"""


INTERRUPTED = -1


class NoRootError(Exception):
    """Root work cannot be started here; says why and what would help."""


def root_python() -> str:
    """The system's own Python, 3.10 or newer, in folders that only root can write. Raises NoRootError."""
    said = []
    for name in ("/usr/bin/python3", *(f"/usr/bin/python3.{minor}" for minor in range(14, 9, -1))):
        path = Path(name).resolve()
        if not path.is_file():
            continue
        loose = next((p for p in (path, *path.parents) if not _only_root(p)), None)
        if loose is not None:
            said.append(f"{loose} can be written by others than root")
        elif not _new_enough(path):
            said.append(f"{name} is older than 3.10")
        else:
            return str(path)
    reason = "; ".join(said) or "there is no /usr/bin/python3"
    raise NoRootError(
        f"root work needs the system's own Python, 3.10 or newer, and {reason}; install the package python3"
    )


def _only_root(path: Path) -> bool:
    found = path.stat()
    return found.st_uid == 0 and not found.st_mode & (stat.S_IWGRP | stat.S_IWOTH)


def _new_enough(path: Path) -> bool:
    code = "import sys; sys.exit(sys.version_info < (3, 10))"
    done = subprocess.run(
        [path, "-I", "-c", code], stdin=subprocess.DEVNULL, capture_output=True, check=False
    )
    return done.returncode == 0


def sudo(*, asks: bool, steps: int) -> list[str]:
    """The words before a command that make it root's; none when we are root. `asks`: there is a terminal to ask on.

    Raises NoRootError.
    """
    if os.geteuid() == 0:
        return []
    path = shutil.which("sudo", path="/usr/bin:/bin:/usr/local/bin")
    if path is None:
        raise NoRootError(
            f"{_needing(steps)} root, and sudo is not installed; run it as root, or let an administrator install sudo"
        )
    if not asks:
        return [path, "-n", "--"]
    return [path, "-p", f"[sudo] {_needing(steps)} root. Password of %p: ", "--"]


def _needing(steps: int) -> str:
    return "1 step needs" if steps == 1 else f"{steps} steps need"


def hand_over(
    archive: bytes, wish: Mapping[str, Any], state: str, before: Sequence[str], tool: str = ""
) -> int:
    """Starts the runner as root and waits for it; its exit code. Ctrl-C is the runner's business, not ours.

    `tool` is our name and version where what is said must be a JSON envelope.
    """
    message = json.dumps(wish, sort_keys=True).encode()
    argv = [
        *before, root_python(), "-I", "-B", "-c", PROGRAM, state, "begin", tool,
        hashlib.sha256(archive).hexdigest(), str(len(archive)), hashlib.sha256(message).hexdigest(), str(len(message)),
    ]  # fmt: skip
    return waited(argv, archive + message)


def waited(argv: Sequence[str], given: bytes) -> int:
    """A program in our own terminal, with these bytes on its standard input; its exit code.

    INTERRUPTED where it ended with 1 after Ctrl-C, as sudo does while it asks for a password.
    """
    sys.stdout.flush()
    pressed: list[int] = []
    # Heard and not ignored: a child that ignores SIGINT from birth could not be stopped.
    before = signal.signal(signal.SIGINT, lambda number, _frame: pressed.append(number))
    try:
        with subprocess.Popen(list(argv), stdin=subprocess.PIPE) as child:
            if child.stdin is not None:
                try:
                    child.stdin.write(given)
                    child.stdin.close()
                except BrokenPipeError:
                    pass
            code = child.wait()
    finally:
        signal.signal(signal.SIGINT, before)
    if code == 1 and pressed:
        return INTERRUPTED
    return code if code >= 0 else 128 - code
