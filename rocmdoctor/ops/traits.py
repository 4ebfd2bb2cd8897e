"""Words that `fits: {has: [...], lacks: [...]}` of a recipe may use, each a fact about the machine. Pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from rocmdoctor.diagnosis.known import Known
from rocmdoctor.facts.base import UnknownError
from rocmdoctor.facts.boot import Booted
from rocmdoctor.facts.dpkg import Dpkg
from rocmdoctor.facts.gpus import Gpus
from rocmdoctor.facts.hip import Compilers
from rocmdoctor.facts.pci import PciDisplays
from rocmdoctor.facts.system import Inside, Kernel
from rocmdoctor.frozen import frozen


@frozen
class Trait:
    """`says` completes "this machine has ..."; `holds` raises UnknownError where it cannot be told."""

    says: str
    holds: Callable[[Known], bool]


def _packaged_kernel(known: Known) -> bool:
    return f"linux-image-{known.get(Kernel).release}" in known.get(Dpkg).packages


TRAITS: Mapping[str, Trait] = {
    "amd-gpu": Trait("an AMD GPU that can compute", lambda k: bool(k.get(Gpus).capable)),
    "several-gpus": Trait("several AMD GPUs", lambda k: k.get(Gpus).physical > 1),
    "integrated-beside-discrete": Trait(
        "an integrated AMD GPU beside a discrete one",
        lambda k: len({g.integrated for g in k.get(Gpus).capable}) == 2,
    ),
    "rdna": Trait("a GPU of the RDNA families", lambda k: any((g.gfx or "").startswith("gfx1") for g in k.get(Gpus).discrete)),
    "nvidia-gpu": Trait("an NVIDIA GPU", lambda k: bool(k.get(PciDisplays).nvidia)),
    "nvcc": Trait("NVIDIA's compiler nvcc", lambda k: k.get(Compilers).nvcc is not None),
    "container": Trait("a container around it", lambda k: k.get(Inside).container is not None),
    "wsl": Trait("Windows around it", lambda k: k.get(Inside).wsl),
    "apt": Trait("packages of dpkg and apt", lambda k: bool(k.get(Dpkg).packages)),
    "systemd": Trait("systemd as its first process", lambda k: k.get(Booted).systemd),
    "grub": Trait("GRUB as its boot loader", lambda k: k.get(Booted).grub),
    "packaged-kernel": Trait("a running kernel from a package", _packaged_kernel),
}


def has(name: str, known: Known) -> bool | None:
    """Whether a trait holds, None when it cannot be told."""
    try:
        return TRAITS[name].holds(known)
    except UnknownError:
        return None
