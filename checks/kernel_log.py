"""What the kernel says about GPUs that it leaves out, could not start, or lost."""

from rocmdoctor.diagnosis import Remedy, Verdict, check, fail, ok, skip, unknown, warn
from rocmdoctor.facts.driver import AmdgpuModule
from rocmdoctor.facts.gpus import Gpus
from rocmdoctor.facts.kernel_log import Hit, KernelFindings
from rocmdoctor.facts.left_out import LeftOut, named
from rocmdoctor.facts.system import Kernel, OsRelease


@check("driver.knows-gpu", fault="unsupported-gfx")
def knows_gpu(left: LeftOut | None, found: KernelFindings | None, kernel: Kernel | None) -> Verdict:
    """The compute driver knows every GPU."""
    hits = found.of("unknown-device") if found else ()
    if left and not left.gpus:
        return ok("the driver leaves no GPU out")
    if left is None and not hits:
        return unknown("neither the PCI bus nor /sys/class/kfd could be read")
    if found is None:
        return unknown(
            f"no compute node for {_which(left)}, and the kernel log that says why could not be read"
        )
    devices = {h.values["device"] for h in hits if "device" in h.values}
    guilty = left.of(devices) if left else ()
    if not hits or (left and devices and not guilty):
        return ok("the kernel log names no GPU that the driver does not know")
    release = kernel.release if kernel else "this kernel"
    why = f"the compute driver of {release} does not know {named(guilty) or _which(left)}"
    remedy = Remedy(
        "Boot a newer kernel, or install an amdgpu-dkms that knows this GPU; what has no gfx target in ROCm stays out.",
    )
    evidence = _lines(hits)
    others = left is not None and not left.all
    return warn(why, *evidence, remedy=remedy) if others else fail(why, *evidence, remedy=remedy)


def _which(left: LeftOut | None) -> str:
    return left.named if left else "a GPU of this machine"


def _lines(hits: tuple[Hit, ...]) -> tuple[str, ...]:
    return tuple(f"kernel: {h.line}" + (f" ({h.count} times)" if h.count > 1 else "") for h in hits[:6])


@check("driver.firmware", fault="firmware-missing", after=("gpu.present",))
def firmware(
    left: LeftOut, module: AmdgpuModule | None, found: KernelFindings | None, system: OsRelease | None
) -> Verdict:
    """The firmware of every GPU was found."""
    if not left.gpus:
        optional = found.of("firmware") if found else ()
        said = f"; {len(optional)} optional file(s) were not there" if optional else ""
        return ok(f"every GPU came up{said}", *_lines(optional))
    if found is None:
        return unknown(
            f"no compute node for {left.named}, and the kernel log that says why could not be read"
        )
    hits = found.of("firmware")
    if not hits:
        return ok(
            "the kernel log misses no firmware" + ("" if found.whole else ", as far as it reaches back")
        )
    files = ", ".join(dict.fromkeys(f"/lib/firmware/{h.values['file']}" for h in hits))
    return fail(
        f"the kernel did not find {files}, and {left.named} did not come up",
        *_lines(hits),
        remedy=_firmware_remedy(system, dkms=bool(module and module.dkms)),
    )


def _firmware_remedy(system: OsRelease | None, *, dkms: bool) -> Remedy:
    family = system.family if system else ()
    if dkms:
        return Remedy(
            "Install the firmware that belongs to AMD's DKMS driver, and rebuild the initial RAM disk.",
            ("sudo apt install --reinstall amdgpu-dkms-firmware", "sudo update-initramfs -u", "sudo reboot"),
        )
    package = "linux-firmware" if "ubuntu" in family else "firmware-amd-graphics"
    told = "" if "ubuntu" in family else " It is in Debian's component non-free-firmware."
    if family and "debian" not in family:
        return Remedy(
            "Install your distribution's linux-firmware package, rebuild the initial RAM disk, reboot."
        )
    return Remedy(
        f"Install the firmware, and rebuild the initial RAM disk.{told}",
        (f"sudo apt install {package}", "sudo update-initramfs -u", "sudo reboot"),
        recipe="gpu-firmware",
    )


@check("driver.kernel-log", fault="gpu-reset", explained_by=("driver.firmware", "driver.secure-boot"))
def kernel_log(gpus: Gpus | None, left: LeftOut | None, found: KernelFindings | None) -> Verdict:
    """The kernel log tells of no GPU that failed to start, hung or was lost."""
    lost = found.of("gpu-lost") if found else ()
    if gpus is not None and not gpus.capable and not lost:
        return skip("no AMD GPU that the log could speak of")
    if found is None:
        return unknown(
            "run:dmesg: the kernel log could not be read; where only rights are missing, run the check with sudo"
        )
    missing = left is None or bool(left.gpus)
    symbols = found.of("module-symbols")
    if symbols and missing:
        return _misfit(symbols)
    dead = found.of("init-failed", "gpu-lost")
    if dead and (missing or lost):
        return fail(
            f"a GPU did not start or was lost since the last boot: {dead[0].line}",
            *_lines(dead + found.of("reset")),
            remedy=Remedy(
                "Switch the machine off and on, since a lost GPU seldom returns by itself. When it happens again, look at "
                "power supply, cooling, PCIe risers and the GPU's firmware.",
            ),
        )
    resets = found.of("reset")
    if resets:
        return warn(
            "the kernel log tells of a ring timeout or a reset since the last boot: work on the GPU was lost",
            *_lines(resets),
            remedy=Remedy(
                "Look at the lines before them for the program or the fault that caused them.",
                ("sudo dmesg",),
            ),
        )
    soft = found.of("recovered", "init-failed")
    reach = "" if found.whole else ", as far as it reaches back"
    return ok(f"nothing of the kind in the kernel log{reach}", *_lines(soft))


def _misfit(symbols: tuple[Hit, ...]) -> Verdict:
    values = symbols[0].values
    return fail(
        f"module {values['module']} does not fit the running kernel: {values['symbol']}",
        *_lines(symbols),
        remedy=Remedy(
            "Build the driver anew for this kernel.", ("sudo dkms autoinstall", "sudo modprobe amdgpu")
        ),
        fault="dkms-build-failure",
    )
