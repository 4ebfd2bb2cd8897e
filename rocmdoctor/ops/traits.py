"""Words that `fits: {has: [...], lacks: [...]}` of a recipe may use, each a fact about the machine. Pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from rocmdoctor.diagnosis.known import Known
from rocmdoctor.facts.access import DeviceNodes, DeviceRules, Udev
from rocmdoctor.facts.base import UnknownError
from rocmdoctor.facts.boot import Booted
from rocmdoctor.facts.dkms import Dkms
from rocmdoctor.facts.dpkg import Dpkg
from rocmdoctor.facts.driver import AmdgpuModule, KernelTrees
from rocmdoctor.facts.gpus import Gpus, GpuTable
from rocmdoctor.facts.hip import Compilers, CxxHeaders, Looked
from rocmdoctor.facts.own import OWN_RULES, OwnExports
from rocmdoctor.facts.pci import PciDisplays
from rocmdoctor.facts.ranges import DriverTable
from rocmdoctor.facts.rocm import RocmFolders, RocmInstalls
from rocmdoctor.facts.shell import Environment, ShellFiles
from rocmdoctor.facts.system import Inside, Kernel, OsRelease
from rocmdoctor.frozen import frozen
from rocmdoctor.ops.dkms_ready import locked_boot


@frozen
class Trait:
    """`says` completes "this machine has ..."; `holds` raises UnknownError where it cannot be told."""

    says: str
    holds: Callable[[Known], bool]


def _packaged_kernel(known: Known) -> bool:
    return f"linux-image-{known.get(Kernel).release}" in known.get(Dpkg).packages


def _apt(known: Known) -> bool:
    system = known.maybe(OsRelease)
    if known.maybe(Dpkg) is None and system is not None and "debian" not in system.family:
        return False
    return bool(known.get(Dpkg).packages)


def _amd_rocm(known: Known) -> bool:
    return any(i.layout in ("classic", "core") for i in known.get(RocmInstalls).installs)


def _without_headers(known: Known) -> bool:
    headers = known.get(CxxHeaders)
    return headers.chosen is not None and headers.chosen not in headers.headers


def _closed_nodes(known: Known) -> bool:
    nodes = known.get(DeviceNodes)
    there = [n for n in (nodes.kfd, *nodes.renders.values()) if n is not None]
    return any(n.group != "render" or n.mode & 0o060 != 0o060 for n in there)


def _without_amdgpu(known: Known) -> bool:
    tree = known.get(KernelTrees).current
    if tree is None:
        raise UnknownError("the modules of the running kernel could not be listed")
    return not (tree.has_module or known.get(AmdgpuModule).loaded)


def _buildable(known: Known) -> bool:
    trees = known.maybe(KernelTrees)
    tree = trees.current if trees else None
    return bool(tree and tree.headers) or _packaged_kernel(known)


def _dkms_serves(known: Known) -> bool:
    """AMD's driver is built for the running kernel and is the one that runs."""
    return known.get(AmdgpuModule).dkms and known.get(Dkms).serving(known.get(Kernel).release) is not None


def _apu_alone(known: Known) -> bool:
    gpus, table = known.get(Gpus).capable, known.get(DriverTable)
    return bool(gpus) and all(g.integrated and g.gfx in table.inbox for g in gpus)


def _foreign_rules(known: Known) -> bool:
    return any(path != OWN_RULES for path in known.get(DeviceRules).modes)


def rocm_bin(known: Known) -> str | None:
    """The folder of ROCm's programs where it is none that every PATH has; by the link that follows updates if there is one.

    Raises UnknownError.
    """
    active = known.get(RocmInstalls).active
    if active is None or active.layout not in ("classic", "core"):
        return None
    return f"{'/opt/rocm' if known.get(RocmFolders).target == active.root else active.root}/bin"


def _off_path(known: Known) -> bool:
    folder = rocm_bin(known)
    return folder is not None and off_path(known, folder)


def off_path(known: Known, folder: str) -> bool:
    """A folder of ROCm's programs that is not on PATH, but for what our own file adds. Raises UnknownError."""
    if folder in known.get(OwnExports).folders:
        # It is there because our own file adds it, and needed as before.
        return True
    found = dict(known.get(Looked).places).get("hipcc on PATH", "")
    path = known.get(Environment).values.get("PATH", "").split(":")
    return folder not in path and f"{found}/bin" != folder


def _supported(known: Known) -> bool:
    targets = known.get(GpuTable).targets
    gpus = known.get(Gpus).discrete
    return bool(gpus) and all((t := targets.get(g.gfx or "")) is not None and t.official for g in gpus)


def _chooses_devices(known: Known) -> bool:
    files = known.maybe(ShellFiles)
    own = known.get(OwnExports).path
    set_in = {a.name for a in (files.assignments if files else ()) if a.file != own}
    here = set(known.get(Environment).values)
    return bool(
        {"HIP_VISIBLE_DEVICES", "CUDA_VISIBLE_DEVICES"} & (here | set_in) or "ROCR_VISIBLE_DEVICES" in set_in
    )


TRAITS: Mapping[str, Trait] = {
    "amd-gpu": Trait("an AMD GPU that can compute", lambda k: bool(k.get(Gpus).capable)),
    "several-gpus": Trait("several AMD GPUs", lambda k: k.get(Gpus).physical > 1),
    "integrated-beside-discrete": Trait(
        "an integrated AMD GPU beside a discrete one",
        lambda k: len({g.integrated for g in k.get(Gpus).capable}) == 2,
    ),
    "rdna": Trait(
        "a GPU of the RDNA families",
        lambda k: any((g.gfx or "").startswith("gfx1") for g in k.get(Gpus).discrete),
    ),
    "supported-gpu": Trait("discrete GPUs that ROCm supports", _supported),
    "nvidia-gpu": Trait("an NVIDIA GPU", lambda k: bool(k.get(PciDisplays).nvidia)),
    "nvcc": Trait("NVIDIA's compiler nvcc", lambda k: k.get(Compilers).nvcc is not None),
    "container": Trait("a container around it", lambda k: k.get(Inside).container is not None),
    "wsl": Trait("Windows around it", lambda k: k.get(Inside).wsl),
    "apt": Trait("packages of dpkg and apt", _apt),
    "systemd": Trait("systemd as its first process", lambda k: k.get(Booted).systemd),
    "grub": Trait("GRUB as its boot loader", lambda k: k.get(Booted).grub),
    "udev": Trait("a running udev", lambda k: k.get(Udev).running),
    "gpu-udev-rules": Trait("udev rules for GPUs that are not rocmdoctor's", _foreign_rules),
    "closed-gpu-nodes": Trait("device nodes of GPUs that are not open to group render", _closed_nodes),
    "amd-rocm": Trait("a ROCm of AMD's own below /opt", _amd_rocm),
    "gcc-without-headers": Trait(
        "a GCC that clang picks and whose C++ headers are missing", _without_headers
    ),
    "rocm-off-path": Trait("a ROCm whose programs are not on PATH", _off_path),
    "device-choice": Trait("variables of the user's that already choose among GPUs", _chooses_devices),
    "packaged-kernel": Trait("a running kernel from a package", _packaged_kernel),
    "buildable-kernel": Trait("headers of the running kernel, or a package of it that has some", _buildable),
    "kernel-without-amdgpu": Trait("a running kernel that lacks the amdgpu module", _without_amdgpu),
    "dkms-driver": Trait("AMD's DKMS driver at work for the running kernel", _dkms_serves),
    "locked-boot": Trait("Secure Boot and no enrolled key for modules of its own", locked_boot),
    "apu-alone": Trait("none but GPUs of processors that want the kernel's own driver", _apu_alone),
    "mixed-gpus": Trait(
        "discrete AMD GPUs of several targets", lambda k: len({g.gfx for g in k.get(Gpus).discrete}) > 1
    ),
}
