"""A Debian 13 server in a guest of QEMU: the checkout, the doctor's environments, what an installation left there."""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.e2e.boxes import HOME, copy_checkout
from tests.e2e.disks import TRIXIE, Disk, private_key
from tests.e2e.faults import users_layer
from tests.e2e.guests import Guest, guest_on, read_outside
from tests.e2e.installer import state_of

CACHE = "/var/cache/rocmdoctor"
RUN = "/var/lib/rocmdoctor/runs/1"
# Emulation is slow, on a busy machine so slow that questions would go unanswered.
BASE = "install base --rocm-source distro --arch gfx90a --patience 10"
AS_ANN = "SUDO_UID=$(id -u ann) SUDO_GID=$(id -g ann) SUDO_USER=ann"


@dataclass
class Clock:
    """How long each part of a test took."""

    laps: dict[str, float] = field(default_factory=dict)
    _since: float = field(default_factory=time.monotonic)

    def lap(self, name: str) -> None:
        """What was done since the last one; of the same name, together."""
        now = time.monotonic()
        self.laps[name] = self.laps.get(name, 0.0) + now - self._since
        self._since = now

    def tell(self, title: str = "") -> None:
        """Prints it, for those who watch (`pytest -s`)."""
        laps = [f"{seconds:6.0f} s  {name}" for name, seconds in self.laps.items()]
        print("", title, *laps, f"{sum(self.laps.values()):6.0f} s  in all", sep="\n", flush=True)


@contextmanager
def server(folder: Path, clock: Clock, disk: Disk = TRIXIE) -> Iterator[Guest]:
    """A running server that has the checkout and no ROCm. Its packages of ROCm lie downloaded in apt's archives."""
    layer = disk.build()
    users_layer()
    clock.lap("images, unless they were in the cache")
    with guest_on(layer, folder, private_key()) as guest:
        guest.start()
        clock.lap("boot to ssh")
        _furnish(guest, folder / "checkout")
        clock.lap("the checkout and its environments")
        yield guest


def _furnish(guest: Guest, checkout: Path) -> None:
    """Environments are those of a container of the same Debian: emulated, pip takes minutes."""
    copy_checkout(checkout)
    guest.run(f"mkdir -p {HOME}")
    guest.copy(checkout, HOME)
    shutil.rmtree(checkout)
    guest.copy(users_layer() / CACHE[1:], CACHE)
    guest.good(
        f"mkdir -p /root/.cache && ln -s {CACHE} /root/.cache/ && mkdir /home/ann/.cache && "
        f"cp -a {CACHE} /home/ann/.cache/ && chown -R ann: /home/ann/.cache"
    )
    # A file of this name that can be run is all that hipconfig looks for; the real nvcc is gigabytes.
    guest.write("/usr/local/bin/nvcc", "#!/bin/sh\necho stand-in for nvcc\n", 0o755)


# ---------------------------------------------------------------- what is there


def journal(guest: Guest) -> list[dict[str, Any]]:
    """The lines of the first run's journal."""
    return [json.loads(line) for line in guest.good(f"cat {RUN}/journal.jsonl").splitlines()]


def words(lines: list[dict[str, Any]]) -> list[str]:
    """The events of a journal."""
    return [f"{line['event']} {line['action']}".strip() for line in lines]


def wait_for_event(guest: Guest, event: str, seconds: float = 600) -> None:
    """Until the journal has it; the waiting is done inside."""
    wait_inside(guest, f'grep -q \'"event":"{event}"\' {RUN}/journal.jsonl', seconds)


def wait_inside(guest: Guest, condition: str, seconds: float) -> None:
    """Until a shell's condition holds in the guest."""
    rounds = int(seconds)
    done = guest.run(
        f"for i in $(seq {rounds}); do {{ {condition}; }} 2>/dev/null && exit 0; sleep 1; done; exit 9",
        seconds=2 * seconds + 60,
    )
    if done.returncode != 0:
        begun = guest.folder / "begun.log"
        said = begun.read_text(errors="replace")[-2000:] if begun.exists() else ""
        noted = guest.run(f"tail -n 3 {RUN}/journal.jsonl; tail -n 20 {RUN}/logs/*").stdout
        raise AssertionError(f"{condition}: not within {seconds:.0f} s\n{said}\n{noted}")


def settled(guest: Guest, seconds: float = 900) -> None:
    """Until the run has ended and the unit has taken itself away."""
    ended = f'grep -q -e \'"event":"end"\' -e \'"event":"verified"\' {RUN}/journal.jsonl'
    wait_inside(guest, f"{ended} && [ -z \"$(find /etc/systemd -name '*rocmdoctor*')\" ]", seconds)


def noted_by_dpkg(what: str) -> str:
    """A shell's word: how often dpkg has noted something, such as `status unpacked`."""
    return f"$(grep -c ' {what} ' /var/log/dpkg.log || true)"


def left_by(guest: Guest) -> dict[str, str]:
    """Packages, groups and files, as far as an installation may change them, and what dpkg and apt find wrong.

    The guest is switched off for it.
    """
    guest.good("sync")
    guest.unplug()
    with read_outside(guest) as box:
        wrong = box.good("dpkg --audit; apt-get check -qq", network=False)
        return {**state_of(box), "wrong": wrong}


def differing(found: dict[str, str], wanted: dict[str, str]) -> list[str]:
    """What is not the same, in words."""
    names = sorted(name for name in {*found, *wanted} if found.get(name) != wanted.get(name))
    return [f"{name}: {found.get(name)} / {wanted.get(name)}" for name in names[:20]]
