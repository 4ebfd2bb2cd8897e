"""Which driver goes with which ROCm, and which kernel with which GPU."""

from rocmdoctor.diagnosis import Remedy, Verdict, check, fail, ok, skip, unknown, warn
from rocmdoctor.facts.driver import AmdgpuModule
from rocmdoctor.facts.gpus import Gpus
from rocmdoctor.facts.ranges import DriverTable
from rocmdoctor.facts.rocm import RocmInstalls
from rocmdoctor.facts.system import Kernel, OsRelease


@check("driver.rocm-range", fault="driver-userspace-mismatch", after=("driver.present",))
def rocm_range(module: AmdgpuModule, installs: RocmInstalls | None, table: DriverTable) -> Verdict:
    """The DKMS driver and ROCm are a pair that AMD supports."""
    if not module.dkms:
        return skip("the kernel's own driver is not tied to ROCm releases")
    if installs is None:
        return unknown("which ROCm is installed could not be read")
    driver = table.driver(module.version)
    if driver is None:
        return skip(f"the table of drivers does not know amdgpu {module.version or 'without a version'}")
    supported = table.rocm_of_driver.get(driver, ())
    chosen = [i for i in installs.installs if i.active] or list(installs.installs)
    versions = [i.version for i in chosen if i.version]
    if not versions or not supported:
        return skip("no ROCm with a known version is installed")
    wrong = [v for v in versions if ".".join(v.split(".")[:2]) not in supported]
    pair = f"driver {driver} (module {module.version}) supports ROCm {', '.join(supported)}"
    if not wrong:
        return ok(f"ROCm {', '.join(versions)}: {pair}")
    newer = [name for name, row in table.rocm_of_driver.items() if ".".join(wrong[0].split(".")[:2]) in row]
    if not newer:
        return skip(f"the table of drivers does not know ROCm {wrong[0]}")
    return fail(
        f"ROCm {wrong[0]} stands on a driver that it does not support: {pair}",
        remedy=Remedy(
            f"Install an amdgpu-dkms of release {newer[-1]} up to {newer[0]}, or a ROCm of that list."
        ),
    )


@check("driver.new-enough", after=("driver.present",))
def new_enough(
    gpus: Gpus, kernel: Kernel, module: AmdgpuModule | None, system: OsRelease | None, table: DriverTable
) -> Verdict:
    """The kernel's own driver is new enough for these GPUs."""
    if module and (module.dkms or module.dxg):
        return skip("another driver than the kernel's own")
    ubuntu = system is not None and "ubuntu" in system.family
    for need in table.needs:
        gpu = next((g for g in gpus.discrete if g.gfx in need.gfx), None)
        if gpu and not need.met(kernel.release, ubuntu=ubuntu):
            flavour = kernel.release.rpartition("-")[2]
            least = need.ubuntu.get(flavour, need.upstream) if ubuntu else need.upstream
            return warn(
                f"kernel {kernel.release} drives {gpu.name} ({gpu.gfx}) with known faults; wanted is {least} or later",
                f"source: {need.source}",
                remedy=Remedy(
                    "Install a newer kernel, on Ubuntu 24.04 the HWE one, and restart."
                    if ubuntu
                    else "Install a newer kernel of your distribution, and restart.",
                    ("sudo apt install linux-generic-hwe-24.04", "sudo reboot")
                    if ubuntu and system and system.version == "24.04"
                    else (),
                ),
            )
    return ok(f"nothing is known against {kernel.release} with these GPUs")
