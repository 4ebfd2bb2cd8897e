"""The terminal that a program believes to have, and the one that it stands for."""

from __future__ import annotations

import fcntl
import os
import pty
import termios
import tty
from contextlib import suppress

STDIN, STDOUT, STDERR = 0, 1, 2
_OFLAG = 1


def is_terminal(file: int) -> bool:
    """Whether an open file is a terminal; a closed one is none."""
    try:
        return os.isatty(file)
    except OSError:
        return False


def in_foreground() -> bool:
    """Whether what is typed comes to us. A job that a shell has put into the background must not touch its terminal."""
    try:
        return os.tcgetpgrp(STDIN) == os.getpgrp()
    except OSError:
        return False


def copy_size(source: int, target: int) -> None:
    """Lines and columns of one terminal become those of another; whoever uses it is told by the kernel."""
    with suppress(OSError):
        fcntl.ioctl(target, termios.TIOCSWINSZ, fcntl.ioctl(source, termios.TIOCGWINSZ, b"\0" * 8))


def imitation(model: int, *, plain: bool) -> tuple[int, int]:
    """A new terminal that is set as another one: the end that we hold, and the end that the program has.

    `plain`: what the program writes comes out as it is, because the terminal behind it translates line ends itself.
    """
    ours, theirs = pty.openpty()
    with suppress(termios.error):
        settings = termios.tcgetattr(model)
        if plain:
            settings[_OFLAG] &= ~termios.OPOST
        termios.tcsetattr(theirs, termios.TCSANOW, settings)
    copy_size(model, theirs)
    return ours, theirs


class Raw:
    """Our terminal while every key goes to the program: keys mean something only on the program's own terminal."""

    def __init__(self) -> None:
        self._settings = termios.tcgetattr(STDIN)
        self.on = False

    def enter(self) -> None:
        """Every key is passed on as it is; nothing where we are in the background."""
        if in_foreground():
            tty.setraw(STDIN, termios.TCSADRAIN)
            self.on = True

    def leave(self) -> None:
        """As it was before."""
        if self.on and in_foreground():
            with suppress(termios.error):
                termios.tcsetattr(STDIN, termios.TCSADRAIN, self._settings)
        self.on = False
