"""Whether a module that DKMS builds could be loaded here: the key that Secure Boot asks for, and the headers. Pure."""

from __future__ import annotations

from collections.abc import Iterator

from rocmdoctor.actions import Action
from rocmdoctor.diagnosis.known import Known
from rocmdoctor.facts.boot import KEYS, SecureBoot
from rocmdoctor.facts.dpkg import Dpkg
from rocmdoctor.facts.driver import KernelTrees
from rocmdoctor.facts.system import Kernel
from rocmdoctor.ops.ground import ForbiddenError, Ground
from rocmdoctor.ops.registry import operation


class NotReadyError(ForbiddenError):
    """What DKMS builds could not be loaded; `instead` says, step by step, how that changes."""

    def __init__(self, message: str, instead: str) -> None:
        super().__init__(message)
        self.instead = instead


def locked_boot(known: Known) -> bool:
    """Modules must be signed by an enrolled key, and DKMS' key is none, or nobody could say so. Raises UnknownError."""
    boot = known.get(SecureBoot)
    return (boot.on or boot.lockdown in ("integrity", "confidentiality")) and boot.enrolled is not True


@operation("dkms.ready")
def ready(ground: Ground) -> Iterator[Action]:
    """Refuse where a module that DKMS builds could not be built or loaded.

    Secure Boot without an enrolled key is such a machine, and so is a kernel whose headers are neither here nor in a
    package. Nothing is done where all is well.
    """
    boot = ground.maybe(SecureBoot)
    if boot is not None:
        ground.claim("Secure Boot", f"{'on' if boot.on else 'off'}, key {_word(boot)}")
        if locked_boot(ground.known):
            raise NotReadyError(_locked(boot), _enrol(boot))
    kernel, trees = ground.known.get(Kernel), ground.maybe(KernelTrees)
    there = trees is not None and trees.current is not None and bool(trees.current.headers)
    if not there and f"linux-image-{kernel.release}" not in ground.known.get(Dpkg).packages:
        raise NotReadyError(
            f"kernel {kernel.release} comes from no package, and its headers are not in "
            f"/lib/modules/{kernel.release}/build: DKMS cannot build for it",
            "Boot a kernel of the distribution, or take the kernel's own driver: --driver kernel.",
        )
    yield from ()


def _word(boot: SecureBoot) -> str:
    return {True: "enrolled", False: "not enrolled", None: "unknown"}[boot.enrolled]


def _locked(boot: SecureBoot) -> str:
    what = "Secure Boot is on" if boot.on else f"the kernel is locked down ({boot.lockdown})"
    if boot.key is None:
        return f"{what}, and DKMS has no key yet that the firmware knows: the kernel would refuse the module"
    known = "is not enrolled" if boot.enrolled is False else "is enrolled as far as nobody could say"
    return f"{what}, and the key {boot.key} that DKMS signs with {known}: the kernel would refuse the module"


def _enrol(boot: SecureBoot) -> str:
    """The way of the machine owner's key (MOK): mokutil(1), shim's MokManager."""
    key = boot.key or KEYS[0]
    make = (
        ""
        if boot.key
        else "'sudo apt install mokutil shim-signed' and 'sudo update-secureboot-policy --new-key' make a key; "
    )
    return (
        f"Enrol it once: {make}(1) 'sudo mokutil --import {key}' asks for a password of your choice, twice; (2) 'sudo reboot'; "
        "(3) a blue screen, MOK management, waits ten seconds for a key, on the machine's own display: choose Enroll MOK, "
        f"Continue, Yes, type that password, Reboot; (4) 'mokutil --test-key {key}' says 'is already enrolled'; then ask for "
        "this again. Or take the kernel's own driver, which is signed: --driver kernel."
    )
