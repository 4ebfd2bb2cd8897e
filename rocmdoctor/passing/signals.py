"""Signals as a file that can be waited for, with who sent them: signalfd(2), which Python has no name for."""

from __future__ import annotations

import ctypes
import os
import signal
import struct
from dataclasses import dataclass

# <sys/signalfd.h>: SFD_NONBLOCK, SFD_CLOEXEC are O_NONBLOCK, O_CLOEXEC; the record has 128 bytes, as has sigset_t.
_RECORD = 128
_KERNEL = 0x80

WATCHED = (
    signal.SIGINT,
    signal.SIGQUIT,
    signal.SIGTERM,
    signal.SIGHUP,
    signal.SIGUSR1,
    signal.SIGUSR2,
    signal.SIGWINCH,
    signal.SIGCONT,
    signal.SIGCHLD,
)


@dataclass(frozen=True)
class Heard:
    """A signal. `by_kernel`: a key on the terminal or the terminal itself, not a process, sent it."""

    number: int
    by_kernel: bool


class Signals:
    """While it is open the watched signals do nothing by themselves. Children must be told to `release` them."""

    def __init__(self) -> None:
        self._before = signal.pthread_sigmask(signal.SIG_BLOCK, WATCHED)
        mask = sum(1 << (number - 1) for number in WATCHED).to_bytes(_RECORD, "little")
        library = ctypes.CDLL(None, use_errno=True)
        self.file: int = library.signalfd(-1, mask, os.O_NONBLOCK | os.O_CLOEXEC)
        if self.file < 0:
            self.release()
            number = ctypes.get_errno()
            raise OSError(number, os.strerror(number), "signalfd")

    def heard(self) -> list[Heard]:
        """Those that have come since the last look."""
        found: list[Heard] = []
        while True:
            try:
                record = os.read(self.file, _RECORD)
            except BlockingIOError:
                return found
            number, _, code = struct.unpack_from("=IiI", record)
            found.append(Heard(number, by_kernel=code == _KERNEL))

    def release(self) -> None:
        """Signals do what they did before."""
        signal.pthread_sigmask(signal.SIG_SETMASK, self._before)

    def close(self) -> None:
        """The same, and the file is closed."""
        os.close(self.file)
        self.release()
