"""Runs a program so that neither it nor what it starts can hold us. Standard library only, down to Python 3.8."""

from __future__ import annotations

import os
import selectors
import signal
import subprocess
import time
from typing import Any

from rocmdoctor.hosts.words import decode

# Programs of ROCm and of system administration are looked for here after the caller's own PATH.
EXTRA_PATH = ("/usr/local/sbin", "/usr/sbin", "/sbin", "/usr/local/bin", "/usr/bin", "/bin")
GRACE = 0.1
# Children that outlived SIGKILL; kept so that their finalizers stay silent.
_ABANDONED: list[subprocess.Popen[bytes]] = []
_RUNNING: set[int] = set()
_STOPS = [0]


def which(program: str) -> str | None:
    """Where a program lies, None where there is none."""
    if "/" in program:
        return program if os.access(program, os.X_OK) and os.path.isfile(program) else None
    folders = [f for f in os.environ.get("PATH", "").split(":") if f.startswith("/")]
    for folder in folders + [f for f in EXTRA_PATH if f not in folders]:
        path = os.path.join(folder, program)
        if os.path.isfile(path) and os.access(path, os.X_OK):
            return path
    return None


FLOOD = 16 << 20  # bytes beyond which a program is taken to print for ever


def child(argv: list[str], timeout: float, limit: int) -> tuple[int | None, str, str]:
    """Exit code (None: it hung), stdout and stderr, `limit` bytes of each. Returns in `timeout` + 2 x GRACE."""
    stops = _STOPS[0]
    env = dict(os.environ, LC_ALL="C", LANGUAGE="C", TERM="dumb")
    proc = subprocess.Popen(
        argv, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=env, cwd="/",
        start_new_session=True,
    )  # fmt: skip
    _RUNNING.add(proc.pid)
    # One that was started while all were being stopped stops itself.
    until = time.monotonic() + timeout if _STOPS[0] == stops else 0.0
    texts = _drain(proc, until, limit)
    ended = _has_ended(proc.pid)
    if not ended:
        _kill_session(proc.pid)
    # Grandchildren of a child that ended by itself are stopped too: nothing that we started stays behind. The child
    # is reaped after that, so that its number cannot have become somebody else's.
    _kill(proc.pid)
    _RUNNING.discard(proc.pid)
    try:
        proc.wait(GRACE)
    except subprocess.TimeoutExpired:
        _ABANDONED.append(proc)
    for stream in (proc.stdout, proc.stderr):
        if stream:
            stream.close()
    return proc.returncode if ended else None, texts[0], texts[1]


def stop_all() -> None:
    """Stops what still runs, for a caller that will not wait for its threads."""
    _STOPS[0] += 1
    for pid in list(_RUNNING):
        _kill_session(pid)
        _kill(pid)


def _kill(group: int) -> None:
    try:
        os.killpg(group, signal.SIGKILL)
    except OSError:
        pass


def _kill_session(leader: int) -> None:
    """Those of a session that made groups of their own, as the compilers do that ninja starts."""
    try:
        everybody = [int(name) for name in os.listdir("/proc") if name.isdigit()]
    except OSError:
        return
    for pid in everybody:
        try:
            with open("/proc/%d/stat" % pid, "rb") as file:
                # Behind the name, which may hold anything: state, parent, group, session.
                session = int(file.read().rpartition(b")")[2].split()[3])
            if session == leader and pid != leader:
                os.kill(pid, signal.SIGKILL)
        except (OSError, ValueError, IndexError):
            continue


def _has_ended(pid: int) -> bool:
    """Whether a child has ended, without reaping it."""
    return os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None


def _drain(proc: subprocess.Popen[bytes], until: float, limit: int) -> list[str]:
    """What the child prints until it ends or time is up; a pipe held by a grandchild is not waited for."""
    chosen = selectors.DefaultSelector()
    streams = [s for s in (proc.stdout, proc.stderr) if s]
    parts: dict[Any, list[bytes]] = {stream: [] for stream in streams}
    sizes: dict[Any, int] = dict.fromkeys(streams, 0)
    for stream in streams:
        os.set_blocking(stream.fileno(), False)
        chosen.register(stream, selectors.EVENT_READ)
    ended = None
    while True:
        now = time.monotonic()
        if ended is None and _has_ended(proc.pid):
            ended = now
        if ended is not None and (not chosen.get_map() or now >= ended + GRACE):
            break
        if now >= until:
            break
        # A selector without files returns at once in some releases of Python.
        if not chosen.get_map():
            time.sleep(0.01)
            continue
        for item, _ in chosen.select(0.02):
            data = os.read(item.fd, 1 << 16)
            if not data:
                chosen.unregister(item.fileobj)
                continue
            parts[item.fileobj].append(data[: max(0, limit - sizes[item.fileobj])])
            sizes[item.fileobj] += len(data)
        if max(sizes.values()) > FLOOD + 4 * limit:
            break  # it prints without end
    chosen.close()
    return [decode(b"".join(parts[stream]), sizes[stream] >= limit) for stream in streams]
