"""Which chore is which, and what it says when it cannot be done."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from rocmdoctor.applying.chores import build, checkout, install, protect, unpack
from rocmdoctor.applying.chores.running import SAID, ChoreError, in_words

CHORES: Mapping[str, Callable[..., None]] = {
    "build": build.build,
    "checkout": checkout.checkout,
    "install": install.install,
    "protect": protect.protect,
    "unpack": unpack.unpack,
}


def main(argv: Sequence[str]) -> int:
    """The exit code; the last line that is printed tells why it is not 0."""
    os.umask(0o022)
    name, text = argv
    given: dict[str, Any] = json.loads(text)
    try:
        CHORES[name](**given)
    except ChoreError as error:
        return _failed(str(error))
    except OSError as error:
        return _failed(in_words(error))
    return 0


def _failed(message: str) -> int:
    sys.stdout.flush()
    sys.stdout.buffer.write(f"{SAID}{message}\n".encode("utf-8", "backslashreplace"))
    sys.stdout.flush()
    return 1
