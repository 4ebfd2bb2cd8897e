"""Passes a program's streams, keys, signals and terminal through, unchanged and at once, and keeps what it printed.

Two ways. Where all streams are one terminal and we have its foreground, the program gets a terminal of its own in a session
of its own, and our terminal is raw meanwhile: keys, job control and sizes are then the business of the program's terminal.
Else it stays in our process group and reads our standard input itself, so that whatever reaches us from a terminal reaches
it too; each of its outputs goes through a pipe, or through a terminal where ours is one.
"""

from __future__ import annotations

import errno
import fcntl
import os
import select
import signal
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field

from rocmdoctor.passing.child import Wiring, line, start
from rocmdoctor.passing.signals import Heard, Signals
from rocmdoctor.passing.terminal import (
    STDERR,
    STDIN,
    STDOUT,
    Raw,
    copy_size,
    imitation,
    in_foreground,
    is_terminal,
)

# Pieces of this size cost least: larger ones are new pages each time, smaller ones more calls.
_PIECE, _PIPE = 1 << 16, 1 << 20
_KEYS = 1 << 12
# After so many milliseconds without anything to pass on there is time for other things.
_QUIET = 20


@dataclass
class _Stream:
    """Where output comes from and where it goes; `out` is None once nobody reads it."""

    source: int
    out: int


@dataclass
class Ended:
    """How the program ended: its wait status, and the pipes that others still hold open."""

    status: int
    held: list[_Stream] = field(default_factory=list)

    @property
    def code(self) -> int:
        """The exit code as a shell tells it: 128 and the number for a signal."""
        return 128 + self.signal if self.signal else os.WEXITSTATUS(self.status)

    @property
    def signal(self) -> int:
        """The signal that ended it, 0 where it ended by itself."""
        return os.WTERMSIG(self.status) if os.WIFSIGNALED(self.status) else 0


class Relay:
    """One program. `keep` gets all that it prints; `idle` is called while nothing is to be passed on, until it says False."""

    def __init__(self, argv: Sequence[str], keep: Callable[[bytes], None], idle: Callable[[], bool]) -> None:
        self._argv = argv
        self._keep = keep
        self._idle = idle
        self._closed = _plugged()
        self._streams: list[_Stream] = []
        self._master: int | None = None
        self._raw: Raw | None = None
        self._model: tuple[int, int] | None = None
        self._gone = False
        self._pid, self._told, self._leader = 0, -1, 0
        self._status: int | None = None

    def run(self) -> Ended:
        """Until the program has ended. Raises NotStartedError."""
        signals = Signals()
        try:
            wiring, theirs = self._wired()
            started = start(self._argv, wiring, signals.release)
            self._pid, self._told, self._leader = started.pid, started.told, started.leader
            for file in theirs:
                os.close(file)
            if self._raw is not None:
                self._raw.enter()
            self._pass_on(signals)
        finally:
            if self._raw is not None:
                self._raw.leave()
            signals.close()
        return Ended(self._status or 0, self._streams)

    # ------------------------------------------------------------ streams

    def _wired(self) -> tuple[Wiring, set[int]]:
        if STDIN not in self._closed and is_terminal(STDIN) and is_terminal(STDOUT) and in_foreground():
            return self._on_a_terminal()
        streams: dict[int, int] = {}
        shared: int | None = None
        for stream in (STDOUT, STDERR):
            if stream in self._closed:
                continue
            if is_terminal(stream):
                if shared is None:
                    ours, shared = imitation(stream, plain=True)
                    self._streams.append(_Stream(ours, stream))
                    self._model = (stream, ours)
                streams[stream] = shared
            else:
                streams[stream] = self._pipe(stream)
        return Wiring(streams, self._closed), set(streams.values())

    def _on_a_terminal(self) -> tuple[Wiring, set[int]]:
        ours, theirs = imitation(STDIN, plain=False)
        self._master, self._raw = ours, Raw()
        self._streams.append(_Stream(ours, STDOUT))
        streams = {STDIN: theirs, STDOUT: theirs}
        if STDERR not in self._closed:
            streams[STDERR] = theirs if is_terminal(STDERR) else self._pipe(STDERR)
        return Wiring(streams, self._closed, session=True), set(streams.values())

    def _pipe(self, stream: int) -> int:
        ours, theirs = os.pipe()
        with suppress(OSError):
            fcntl.fcntl(ours, fcntl.F_SETPIPE_SZ, _PIPE)
        self._streams.append(_Stream(ours, stream))
        return theirs

    # ------------------------------------------------------------ the loop

    def _pass_on(self, signals: Signals) -> None:
        poll = select.poll()
        poll.register(signals.file, select.POLLIN)
        if self._told >= 0:
            poll.register(self._told, select.POLLIN)
        sources = {stream.source: stream for stream in self._streams}
        for source in sources:
            poll.register(source, select.POLLIN)
        keys, more = False, True
        while True:
            if keys != self._typing():
                keys = not keys
                poll.register(STDIN, select.POLLIN) if keys else poll.unregister(STDIN)
            # Once it has ended, what it left in the pipes is read, and nobody is waited for.
            files = [file for file, _ in poll.poll(self._patience(more=more))]
            more = self._idle() if not files and self._status is None else True
            if signals.file in files:
                self._hear(signals.heard())
            if self._told in files and not self._was_told():
                poll.unregister(self._told)
            for file in files:
                if file in sources and not self._output(sources[file]):
                    poll.unregister(file)
                    self._streams.remove(sources.pop(file))
                elif file == STDIN and keys and not self._input():
                    self._gone = True
            if self._status is not None and not any(file in sources for file in files):
                return

    def _patience(self, *, more: bool) -> int | None:
        """Milliseconds to wait for something to pass on: while output pours, nothing else is done."""
        if self._status is not None:
            return 0
        return _QUIET if more else None

    def _typing(self) -> bool:
        return self._raw is not None and self._raw.on and not self._gone

    def _output(self, stream: _Stream) -> bool:
        """Passes a piece on; False where none will come any more."""
        try:
            data = os.read(stream.source, _PIECE)
        except OSError as error:
            # What the last process at a terminal leaves behind.
            if error.errno != errno.EIO:
                raise
            data = b""
        if not data:
            os.close(stream.source)
            return False
        try:
            write(stream.out, data)
        except OSError:
            # Nobody reads any more: the program is to learn that by itself.
            os.close(stream.source)
            return False
        finally:
            self._keep(data)
        return True

    def _input(self) -> bool:
        try:
            data = os.read(STDIN, _KEYS)
        except OSError:
            return False
        if data and self._master is not None:
            with suppress(OSError):
                write(self._master, data)
        return bool(data)

    # ------------------------------------------------------------ signals

    def _hear(self, heard: list[Heard]) -> None:
        for one in heard:
            if one.number == signal.SIGCHLD:
                self._look()
            elif one.number == signal.SIGWINCH:
                self._resize()
            elif one.number == signal.SIGCONT:
                self._continue()
            elif self._raw is not None or not one.by_kernel:
                # What a terminal sent to our group has reached the program already where that is its group too.
                self._send(one.number)

    def _resize(self) -> None:
        if self._master is not None:
            copy_size(STDIN, self._master)
        elif self._model is not None:
            copy_size(*self._model)
            self._send(signal.SIGWINCH)

    def _send(self, number: int) -> None:
        if self._status is None:
            with suppress(ProcessLookupError):
                os.kill(self._pid, number)

    def _look(self) -> None:
        """Whether the program has ended. What is in a session of its own is looked after there."""
        if self._status is None and self._raw is None:
            pid, status = os.waitpid(self._pid, os.WNOHANG)
            if pid:
                self._status = status

    def _was_told(self) -> bool:
        """The program has stopped or ended; False when nothing will be told any more."""
        said = line(self._told)
        if said and os.WIFSTOPPED(int(said)):
            self._stop()
            return True
        if self._status is None:
            self._status = int(said) if said else int(signal.SIGKILL)
            # With it the last of ours lets go of the program's terminal.
            os.waitpid(self._leader, 0)
        return False

    def _stop(self) -> None:
        """The program was stopped by a key: so are we and whoever shares our terminal's foreground, until `fg` or `bg`."""
        if self._raw is None:
            return
        self._raw.leave()
        os.kill(0, signal.SIGTSTP)
        self._continue()

    def _continue(self) -> None:
        if self._raw is None or self._status is not None:
            return
        self._raw.enter()
        self._resize()
        with suppress(ProcessLookupError):
            os.killpg(self._pid, signal.SIGCONT)


def write(file: int, data: bytes) -> None:
    """All of it, also to a file that somebody has made non-blocking. Raises OSError."""
    rest = memoryview(data)
    while rest:
        try:
            rest = rest[os.write(file, rest) :]
        except BlockingIOError:
            select.select([], [file], [])


def _plugged() -> tuple[int, ...]:
    """The streams that we were started without; files that we open must not take their numbers."""
    closed = []
    for stream in (STDIN, STDOUT, STDERR):
        try:
            os.fstat(stream)
        except OSError:
            closed.append(stream)
    for stream in closed:
        file = os.open("/dev/null", os.O_RDWR)
        if file != stream:
            os.dup2(file, stream, inheritable=False)
            os.close(file)
    return tuple(closed)


def pass_on_apart(ended: Ended) -> None:
    """Others, such as a daemon that the program left behind, still hold its outputs: a process of its own serves them."""
    if not ended.held or os.fork():
        return
    try:
        os.setsid()
        while ended.held:
            ready, _, _ = select.select([stream.source for stream in ended.held], [], [])
            for stream in [s for s in ended.held if s.source in ready]:
                data = _read(stream.source)
                try:
                    write(stream.out, data)
                except OSError:
                    data = b""
                if not data:
                    os.close(stream.source)
                    ended.held.remove(stream)
    finally:
        os._exit(0)


def _read(file: int) -> bytes:
    try:
        return os.read(file, _PIECE)
    except OSError:
        return b""
