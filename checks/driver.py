"""The kernel driver: is it there, is it loaded, does it offer every GPU for computing."""

from rocmdoctor.diagnosis import Remedy, Verdict, absent, check, fail, ok, skip, unknown, warn
from rocmdoctor.facts.dkms import Dkms
from rocmdoctor.facts.driver import AmdgpuModule, Block, Blocks, KernelTrees
from rocmdoctor.facts.gpus import Gpus
from rocmdoctor.facts.kfd import KfdTopology
from rocmdoctor.facts.left_out import LeftOut, named
from rocmdoctor.facts.system import Inside, OsRelease

# What can keep amdgpu from running here: a failure of one of them is the cause of a missing driver.
_CAUSES = (
    "gpu.present",
    "driver.not-blacklisted",
    "driver.module-loaded",
    "driver.secure-boot",
    "driver.dkms-tree",
    "driver.dkms-built",
    "driver.firmware",
    "driver.kernel-log",
    "driver.knows-gpu",
    "hardware.pcie-atomics",
)


@check("driver.present", rung="driver", required=True, explained_by=_CAUSES)
def driver_present(
    gpus: Gpus | None,
    kfd: KfdTopology | None,
    module: AmdgpuModule | None,
    trees: KernelTrees | None,
    blocks: Blocks | None,
    dkms: Dkms | None,
    inside: Inside | None,
    system: OsRelease | None,
) -> Verdict:
    """The compute driver of the kernel runs."""
    if kfd and kfd.gpus:
        return ok(f"the kernel offers {len(kfd.gpus)} GPU node(s) for computing, by {_which(module)}")
    if module and module.dxg:
        return ok("/dev/dxg is there: the driver of Windows serves this system")
    if gpus is None:
        return unknown("neither the PCI bus nor /sys/class/kfd could be read")
    if not gpus.capable:
        return absent(
            "no AMD GPU that can compute is there, so there is nothing to drive",
            remedy=Remedy("First the GPU."),
        )
    if owner := LeftOut.derive(gpus).owner:
        return absent(f"{named(gpus.capable)} is bound to {owner}, not to amdgpu", remedy=_TAKE_BACK)
    if module is None or kfd is None:
        return unknown(
            "/sys/module or /sys/class/kfd could not be read: whether the driver runs cannot be told"
        )
    if module.loaded:
        return fail(
            f"amdgpu is loaded, but /sys/class/kfd has no node for {named(gpus.capable)}",
            remedy=_READ,
        )
    own = None if inside and inside.container else trees and trees.current
    if own and not own.has_module and not (blocks and blocks.all) and not (dkms and dkms.versions):
        why = f"kernel {own.release} has no amdgpu module, and {named(gpus.capable)} waits for one"
        return absent(why, remedy=_bring(system, own.release))
    return fail(_idle(gpus), remedy=_LOAD_ON_HOST if inside and inside.container else _LOAD)


def _idle(gpus: Gpus) -> str:
    return f"amdgpu is not loaded, so {named(gpus.capable)} cannot compute"


_READ = Remedy("Read what the kernel says about the GPU.", ("sudo dmesg | grep -E 'amdgpu|kfd|\\[drm'",))
_TAKE_BACK = Remedy(
    "Take the GPU from that driver: its settings are in /etc/modprobe.d and on the kernel command line."
)
_LOAD_ON_HOST = Remedy("Load the driver on the host; a container cannot.", ("sudo modprobe amdgpu",))
_LOAD = Remedy(
    "Load the driver, and see why it was not loaded.",
    ("sudo modprobe amdgpu", "sudo dmesg | tail -n 30"),
    recipe="load-driver",
)


def _which(module: AmdgpuModule | None) -> str:
    if module is None:
        return "amdgpu"
    if module.dkms:
        return f"AMD's DKMS driver {module.version}".rstrip()
    return "amdgpu built into the kernel" if module.loadable is False else "the kernel's own amdgpu"


def _bring(system: OsRelease | None, release: str) -> Remedy:
    """How to get an amdgpu module for a kernel that has none."""
    family = system.family if system else ()
    if "ubuntu" in family:
        return Remedy(
            "Install the extra modules of this kernel: Ubuntu keeps amdgpu there.",
            (f"sudo apt install linux-modules-extra-{release}", "sudo modprobe amdgpu"),
        )
    if "debian" in family and "cloud" in release:
        return Remedy(
            "Debian's cloud kernel has no amdgpu: install the full kernel, boot it, then remove the cloud kernel.",
            ("sudo apt install linux-image-amd64", "sudo reboot"),
        )
    return Remedy("Boot a kernel that brings the amdgpu module, or install AMD's amdgpu-dkms for this one.")


@check("driver.module-available", fault="missing-headers", after=("gpu.present",))
def module_available(
    trees: KernelTrees, module: AmdgpuModule | None, inside: Inside | None, system: OsRelease | None
) -> Verdict:
    """The running kernel has an amdgpu module."""
    if inside and (inside.container or inside.wsl):
        return skip("modules are the business of the host")
    if trees.running is None:
        return skip("no kernel runs here")
    if module and module.loaded:
        return ok(f"kernel {trees.running} has loaded it")
    tree = trees.current
    if tree is None:
        return warn(
            f"/lib/modules has nothing for the running kernel {trees.running}, so no module can be loaded",
            remedy=Remedy("Restart into a kernel that is installed here.", ("sudo reboot",)),
        )
    if tree.has_module:
        return ok(f"kernel {tree.release}: {tree.files[0] if tree.files else 'built in'}")
    return warn(
        f"/lib/modules/{tree.release} has no amdgpu.ko: this kernel cannot drive the GPU",
        remedy=_bring(system, tree.release),
    )


@check("driver.not-blacklisted", fault="module-blacklisted")
def not_blacklisted(
    settings: Blocks, gpus: Gpus | None, left: LeftOut | None, module: AmdgpuModule | None
) -> Verdict:
    """Nothing keeps amdgpu from being loaded."""
    blocks = settings.all
    if not blocks:
        said = "" if settings.boot_read else "; the kernel command line could not be read"
        return ok(f"no blacklist and no boot parameter names amdgpu{said}")
    evidence = [f"{b.where}: {b.text}" for b in blocks]
    first = f"{blocks[0].where} says '{blocks[0].text}'"
    if gpus and left and (not gpus.capable or left.owner):
        return skip(f"{first}, and there is no AMD GPU for it", *evidence)
    remedy = _unblock(blocks)
    # A driver in the kernel image is there under nomodeset too, and drives nothing.
    idle = any(b.hard for b in blocks) and left is not None and left.all
    if module and module.loaded and not idle:
        return warn(
            f"{first}: amdgpu is loaded now, but at the next start it may not be", *evidence, remedy=remedy
        )
    if gpus is None or module is None:
        return warn(f"{first}: amdgpu is not loaded by itself, and no GPU computes", *evidence, remedy=remedy)
    return fail(f"{first}: amdgpu is kept from driving {named(gpus.capable)}", *evidence, remedy=remedy)


def _unblock(blocks: tuple[Block, ...]) -> Remedy:
    files = list(dict.fromkeys(b.where for b in blocks if not b.where.startswith("/proc/")))
    words = [b.text for b in blocks if b.where.startswith("/proc/")]
    commands = [rf"sudo sed -i -E 's/^[ \t]*(blacklist|install)[ \t]+amdgpu\b/# &/' {name}" for name in files]
    if files:
        commands += ["sudo update-initramfs -u"]
    told = f"Take {' and '.join(words)} out of GRUB_CMDLINE_LINUX in /etc/default/grub. " if words else ""
    commands += ["sudo update-grub"] if words else []
    commands += ["sudo reboot"] if words else ["sudo modprobe amdgpu"]
    return Remedy(
        f"{told}{'Comment out the line that names amdgpu. ' if files else ''}".strip(),
        tuple(commands),
        recipe="unblacklist" if files and not words else None,
    )


@check(
    "driver.module-loaded",
    after=("gpu.present",),
    explained_by=("driver.not-blacklisted", "driver.secure-boot", "driver.dkms-built", "driver.dkms-tree"),
)
def module_loaded(
    gpus: Gpus,
    kfd: KfdTopology | None,
    module: AmdgpuModule | None,
    trees: KernelTrees | None,
    inside: Inside | None,
) -> Verdict:
    """The amdgpu module is loaded."""
    if kfd and kfd.gpus:
        return ok("amdgpu publishes the GPUs below /sys/class/kfd")
    if (module and module.dxg) or (inside and inside.wsl):
        return skip("under Windows, Windows drives the GPU")
    if module and module.loaded:
        return ok("/sys/module/amdgpu is there" + ("" if module.live else ", still starting"))
    if owner := LeftOut.derive(gpus).owner:
        return skip(f"the GPUs are bound to {owner}")
    bound = [g for g in gpus.capable if g.driver == "amdgpu"]
    if bound:
        return ok(f"amdgpu is bound to {named(tuple(bound))}")
    if module is None:
        return unknown("stat:/sys/module/amdgpu: could not be read")
    tree = trees.current if trees else None
    if inside and inside.container:
        return fail(
            "/sys/module/amdgpu is not there: the host of this container has not loaded it",
            remedy=_LOAD_ON_HOST,
        )
    if tree is None or not tree.has_module:
        return skip("the running kernel has no amdgpu module to load; driver.module-available says more")
    where = tree.files[0] if tree.files else f"kernel {tree.release} itself"
    return fail(f"/sys/module/amdgpu is not there although {where} brings it", remedy=_LOAD)


@check("driver.builtin", after=("driver.module-loaded",))
def builtin(module: AmdgpuModule, trees: KernelTrees | None) -> Verdict:
    """It is known whether amdgpu is a module or a part of the kernel image.

    lsmod and modinfo do not show a built-in driver, which misleads tools that ask them. It works all the same.
    """
    tree = trees.current if trees else None
    if module.loadable is False or (tree and tree.builtin and not tree.files):
        return ok("amdgpu is part of the kernel image: lsmod does not list it, and it works all the same")
    if module.loadable is None:
        return skip("/sys/module/amdgpu/initstate could not be read")
    return ok(f"a module: {_which(module)}")


@check("driver.kfd-present", fault="device-permissions", after=("driver.present",))
def kfd_present(module: AmdgpuModule, inside: Inside | None) -> Verdict:
    """/dev/kfd is there."""
    if module.dxg:
        return skip("under Windows, /dev/dxg takes the place of /dev/kfd")
    if module.kfd_node is None:
        return unknown("there is no /dev in this tree")
    if module.kfd_node:
        return ok("/dev/kfd is there")
    if inside and inside.container:
        return fail(
            f"/dev/kfd is not passed into this container ({inside.container}), so no program in it can compute",
            remedy=Remedy(
                "Start the container with the devices.",
                ("docker run --device /dev/kfd --device /dev/dri --group-add video --group-add render ...",),
            ),
            fault="docker-device-flags",
        )
    return fail(
        "the driver runs, but /dev/kfd is not there: nothing makes the device nodes",
        remedy=Remedy(
            "Let udev make them anew.",
            ("sudo udevadm control --reload", "sudo udevadm trigger"),
            "gpu-access",
        ),
    )
