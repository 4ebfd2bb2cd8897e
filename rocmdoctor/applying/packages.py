"""Debian packages before and after a step, and the wait for whoever else is changing them."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rocmdoctor.applying import files, lock
from rocmdoctor.applying.programs import Order, ProgramError, run
from rocmdoctor.applying.steps import Context, StepError, StoppedError, refused
from rocmdoctor.applying.stopping import AFTER_THIS
from rocmdoctor.frozen import frozen

PROGRAMS = ("apt-get", "apt", "dpkg", "aptitude")
# These too leave a machine half-changed when they are cut off.
FINISH = (*PROGRAMS, "dpkg-reconfigure", "dkms", "update-initramfs", "update-grub", "grub-mkconfig", "depmod")
_QUERY = ("dpkg-query", "-W", "-f", "${binary:Package}\t${Version}\t${db:Status-Status}\n")
THERE = (
    "installed",
    "unpacked",
    "half-configured",
    "half-installed",
    "triggers-awaited",
    "triggers-pending",
)
_POLL = 0.5

Packages = Mapping[str, tuple[str, str]]


@frozen
class Difference:
    """What became other. `had_settings`: installed ones whose settings had stayed behind from an earlier time."""

    installed: tuple[str, ...]
    had_settings: tuple[str, ...]
    upgraded: Mapping[str, tuple[str, str]]
    removed: Mapping[str, str]

    def as_json(self) -> dict[str, Any]:
        """As the journal keeps it."""
        return {
            "installed": list(self.installed),
            "had_settings": list(self.had_settings),
            "upgraded": {name: list(pair) for name, pair in self.upgraded.items()},
            "removed": dict(self.removed),
        }


def parse(text: str) -> dict[str, tuple[str, str]]:
    """Name to version and state, from dpkg-query's lines."""
    rows = (line.split("\t") for line in text.splitlines())
    return {row[0]: (row[1], row[2]) for row in rows if len(row) == 3}


def now(env: Mapping[str, str]) -> dict[str, tuple[str, str]]:
    """What is there now, nothing on a machine without dpkg. `env` is that of the step: it may name another root.

    Raises StepError.
    """
    try:
        said = run(Order(_QUERY, env, timeout=60, keep=64 << 20))
    except ProgramError:
        return {}
    if said.code != 0:
        raise StepError(f"dpkg-query does not answer: {' '.join(said.tail[-3:]) or 'it hangs'}")
    return parse(said.kept)


def difference(before: Packages, after: Packages) -> Difference:
    """What one list has and the other has not."""
    there = {name: version for name, (version, state) in before.items() if state in THERE}
    then = {name: version for name, (version, state) in after.items() if state in THERE}
    installed = tuple(name for name in then if name not in there)
    return Difference(
        installed,
        tuple(name for name in installed if name in before and before[name][1] == "config-files"),
        {n: (there[n], v) for n, v in then.items() if n in there and there[n] != v},
        {n: v for n, v in there.items() if n not in then},
    )


def note(env: Mapping[str, str], context: Context) -> None:
    """Writes down what is there before the step, once: a second try starts from the first one's list. Raises StepError."""
    if context.packages.exists():
        return
    try:
        files.put(str(context.packages), json.dumps(now(env)).encode("ascii"), 0o600)
    except OSError as error:
        raise StepError(
            f"the list of packages could not be kept, so none is changed: {refused(str(context.packages), error)}"
        ) from error


def since(noted: Path, env: Mapping[str, str]) -> Difference | None:
    """What became other since it was noted; None when nothing was. Raises StepError."""
    try:
        before = {name: (pair[0], pair[1]) for name, pair in json.loads(noted.read_bytes()).items()}
    except FileNotFoundError:
        return None
    except (OSError, ValueError, LookupError, TypeError, AttributeError) as error:
        raise StepError(f"{noted} cannot be read: {error}") from error
    return difference(before, now(env))


def wait_until_free(context: Context, timeout: float) -> None:
    """Waits while somebody else changes packages, and says who. Raises StepError, StoppedError."""
    begun = time.monotonic()
    limit = min(timeout, context.lock_seconds)
    while (holder := lock.dpkg_lock_holder(context.locks)) is not None:
        if context.stop.wish() >= AFTER_THIS:
            raise StoppedError
        waited = time.monotonic() - begun
        if waited >= limit:
            raise StepError(
                f"packages are being changed by {holder}, waited {waited:.0f} s for it; nothing was done by this step:"
                " wait until it has ended (or end it), then resume"
            )
        context.on_line(f"waits for {holder}, which is changing packages")
        time.sleep(min(_POLL, limit / 4))
