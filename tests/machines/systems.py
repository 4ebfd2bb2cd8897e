"""Machines with a system whose packages are not dpkg's: os-release as these systems ship it, nothing of dpkg and apt.

The other answers are those of the machine by its figures; no such system was at hand.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

from tests.machines.healthy import MI210, build
from tests.machines.parts import ABSENT, Answers, Spec, text


@dataclass(frozen=True)
class System:
    """`release` is what os-release says, `kernel` what uname does, `systemd` whether that is the first process."""

    release: str
    kernel: str
    systemd: bool = True


SYSTEMS = {
    "fedora": System(
        'NAME="Fedora Linux"\nVERSION="42 (Server Edition)"\nID=fedora\nVERSION_ID=42\nVERSION_CODENAME=""\n'
        'PRETTY_NAME="Fedora Linux 42 (Server Edition)"\n',
        "6.14.0-63.fc42.x86_64",
    ),
    "rhel": System(
        'NAME="Red Hat Enterprise Linux"\nVERSION="9.4 (Plow)"\nID="rhel"\nID_LIKE="fedora"\nVERSION_ID="9.4"\n'
        'PRETTY_NAME="Red Hat Enterprise Linux 9.4 (Plow)"\n',
        "5.14.0-427.13.1.el9_4.x86_64",
    ),
    "rocky": System(
        'NAME="Rocky Linux"\nVERSION="9.4 (Blue Onyx)"\nID="rocky"\nID_LIKE="rhel centos fedora"\nVERSION_ID="9.4"\n'
        'PRETTY_NAME="Rocky Linux 9.4 (Blue Onyx)"\n',
        "5.14.0-427.13.1.el9_4.x86_64",
    ),
    "sles": System(
        'NAME="SLES"\nVERSION="15-SP6"\nVERSION_ID="15.6"\nPRETTY_NAME="SUSE Linux Enterprise Server 15 SP6"\n'
        'ID="sles"\nID_LIKE="suse"\n',
        "6.4.0-150600.21-default",
    ),
    "opensuse": System(
        'NAME="openSUSE Tumbleweed"\nID="opensuse-tumbleweed"\nID_LIKE="opensuse suse"\nVERSION_ID="20251120"\n'
        'PRETTY_NAME="openSUSE Tumbleweed"\n',
        "6.17.8-1-default",
    ),
    "arch": System(
        'NAME="Arch Linux"\nPRETTY_NAME="Arch Linux"\nID=arch\nBUILD_ID=rolling\n', "6.17.8-arch1-1"
    ),
    "alpine": System(
        'NAME="Alpine Linux"\nID=alpine\nVERSION_ID=3.21.0\nPRETTY_NAME="Alpine Linux v3.21"\n',
        "6.12.1-3-lts",
        systemd=False,
    ),
}


@cache
def _built(name: str) -> Answers:
    system = SYSTEMS[name]
    answers = build(Spec(name, name, kernel=system.kernel, gpus=(MI210,)))
    for key in answers:
        words = ("/etc/apt", "/var/lib/dpkg", "/usr/share/keyrings", "run:dpkg", "dist-packages")
        if any(word in key for word in words):
            answers[key] = ABSENT
    answers["read:/etc/os-release"] = answers["read:/usr/lib/os-release"] = text(system.release)
    answers["stat:/usr/sbin/update-grub"] = answers["stat:/etc/default/grub"] = ABSENT
    if not system.systemd:
        for key in ("stat:/run/systemd/system", "run:journalctl -k -b -o short --no-pager"):
            answers[key] = ABSENT
    return answers


def system(name: str) -> Answers:
    """The answers of an MI210 machine with such a system and no ROCm; a copy that may be changed."""
    return {key: dict(value) for key, value in _built(name).items()}
