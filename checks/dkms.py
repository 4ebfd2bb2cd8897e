"""AMD's DKMS driver: its tree, its builds, the headers that they need, the key that Secure Boot asks for."""

from rocmdoctor.diagnosis import Remedy, Verdict, check, fail, ok, skip, unknown, warn
from rocmdoctor.facts.boot import SecureBoot
from rocmdoctor.facts.dkms import TREE, Dkms, DkmsVersion, Failed
from rocmdoctor.facts.driver import AmdgpuModule, KernelTree, KernelTrees, release_key
from rocmdoctor.facts.gpus import Gpus
from rocmdoctor.facts.kernel_log import Hit, KernelFindings
from rocmdoctor.facts.ranges import DriverTable
from rocmdoctor.facts.system import Inside, OsRelease

_NO_DKMS = "no amdgpu in the DKMS tree"


@check("driver.dkms-tree", fault="dkms-stale-tree")
def dkms_tree(dkms: Dkms) -> Verdict:
    """The DKMS tree holds no remains of an earlier driver."""
    stale = [v for v in dkms.versions if v.stale]
    if stale:
        return _stale(stale, dkms.complaint)
    if dkms.complaint and not dkms.walked:
        return warn(
            f"dkms status complains: {dkms.complaint}",
            remedy=Remedy(
                "Look at what it names below /var/lib/dkms and /usr/src.", ("ls -l /var/lib/dkms/* /usr/src",)
            ),
        )
    if dkms.stale_others and (dkms.versions or dkms.complaint):
        commands = tuple(f"sudo rm -r {TREE}/{name}" for name in dkms.stale_others)
        say = fail if dkms.versions else warn
        return say(
            f"{TREE}/{dkms.stale_others[0]} has lost its source: dkms stops at it, and amdgpu is neither shown nor built",
            remedy=Remedy(
                "Remove what is left of it.", (*commands, "sudo dkms autoinstall"), recipe="dkms-clean"
            ),
        )
    if not dkms.versions:
        return skip(_NO_DKMS)
    names = ", ".join(v.version for v in dkms.versions)
    old = [v for v in dkms.versions[1:] if not any(b.installed for b in v.built)]
    if old:
        return warn(
            f"the DKMS tree holds {names}: the older one is in no kernel, and is built again with every new kernel",
            remedy=Remedy("Remove it.", tuple(f"sudo dkms remove amdgpu/{v.version} --all" for v in old)),
        )
    return ok(f"amdgpu {names}, with its source")


def _stale(stale: list[DkmsVersion], complaint: str) -> Verdict:
    first = stale[0]
    gone = first.source or "the source that it was built from"
    folders = tuple(f"sudo rm -r {TREE}/amdgpu/{v.version}" for v in stale)
    links = tuple(
        f"sudo rm -f {TREE}/amdgpu/kernel-{b.kernel}-{b.arch}" for v in stale for b in v.built if b.installed
    )
    return fail(
        f"{TREE}/amdgpu/{first.version}/source/dkms.conf is not there ({gone} is gone): dkms can neither build nor "
        "remove it, and its older releases list no other module any more",
        *([f"dkms status: {complaint}"] if complaint else []),
        remedy=Remedy(
            "Remove what is left, and build what is wanted.",
            (*folders, *links, "sudo dkms autoinstall"),
            recipe="dkms-clean",
        ),
    )


@check("driver.dkms-built", fault="dkms-build-failure", explained_by=("driver.headers", "driver.dkms-tree"))
def dkms_built(dkms: Dkms, trees: KernelTrees | None, table: DriverTable, inside: Inside | None) -> Verdict:
    """AMD's DKMS driver is built and installed for this kernel."""
    whole = [v for v in dkms.versions if not v.stale]
    if not whole:
        return skip(_NO_DKMS if not dkms.versions else "only stale remains; driver.dkms-tree says more")
    tree = trees.judged if trees else None
    kernel = tree.release if tree else None
    serving = dkms.serving(kernel) if kernel else None
    failures = [(v, f) for v in whole for f in v.failed if not kernel or f.kernel in ("", kernel)]
    newest = max(whole, key=lambda v: release_key(v.version))
    if failures and (serving is None or _newer_than(failures[0][0], serving)):
        return _build_failed(*failures[0], kernel, table, serving)
    if serving:
        return ok(f"amdgpu {serving.version} is installed for {kernel}")
    return _not_installed(newest, whole, kernel, table, inside)


def _not_installed(
    newest: DkmsVersion,
    whole: list[DkmsVersion],
    kernel: str | None,
    table: DriverTable,
    inside: Inside | None,
) -> Verdict:
    elsewhere = sorted({b.kernel for v in whole for b in v.built if b.installed})
    if kernel is None:
        if elsewhere:
            return ok(f"amdgpu {newest.version} is installed for {', '.join(elsewhere)}")
        why = f"amdgpu {newest.version} was added and is installed for no kernel"
        return warn(why, remedy=_build(newest, None))
    if inside and inside.container:
        return skip(
            f"amdgpu {newest.version} is without use here: the driver of a container is that of its host"
        )
    half = next((v for v in whole if any(b.kernel == kernel for b in v.built)), None)
    if half:
        return fail(
            f"amdgpu {half.version} is built, but not installed for {kernel}", remedy=_build(half, kernel)
        )
    limit = table.too_new(newest.version, kernel)
    if limit:
        return fail(
            f"amdgpu {newest.version} is not installed for {kernel}, and does not build on Linux {limit.since} and later",
            f"source: {limit.source}",
            remedy=_replace(newest),
            fault="kernel-too-new",
        )
    state = (
        f"installed for {', '.join(elsewhere)}, not" if elsewhere else "in the DKMS tree, and not installed"
    )
    told = [f"its dkms.conf says BUILD_EXCLUSIVE_KERNEL={newest.exclusive}"] if newest.exclusive else []
    return fail(f"amdgpu {newest.version} is {state} for {kernel}", *told, remedy=_build(newest, kernel))


def _newer_than(version: DkmsVersion, other: DkmsVersion) -> bool:
    return release_key(version.version) > release_key(other.version)


def _build_failed(
    version: DkmsVersion, failed: Failed, kernel: str | None, table: DriverTable, serving: DkmsVersion | None
) -> Verdict:
    where = failed.kernel or kernel or "a kernel"
    limit = table.too_new(version.version, where)
    instead = f"; {serving.version} serves instead" if serving else ""
    told = f": {failed.errors[0]}" if failed.errors else ""
    return fail(
        f"the build of amdgpu {version.version} for {where} failed{told}{instead}",
        f"log: {failed.log}",
        *failed.errors[1:],
        *([f"does not build on Linux {limit.since} and later: {limit.source}"] if limit else []),
        remedy=_replace(version) if limit else _build(version, where),
        fault="kernel-too-new" if limit else None,
    )


def _build(version: DkmsVersion, kernel: str | None) -> Remedy:
    aim = f" -k {kernel}" if kernel else ""
    return Remedy(
        "Build it again and read the log when it fails; without the DKMS driver the kernel's own amdgpu serves.",
        (
            f"sudo dkms install amdgpu/{version.version}{aim}",
            f"grep -n 'error' {TREE}/amdgpu/{version.version}/build/make.log",
        ),
        recipe="kernel-driver",
    )


def _replace(version: DkmsVersion) -> Remedy:
    return Remedy(
        "Remove this driver. The kernel's own amdgpu then serves; or install a newer amdgpu-dkms that supports this kernel, "
        "or boot an older kernel.",
        (
            f"sudo dkms remove amdgpu/{version.version} --all",
            "sudo apt purge amdgpu-dkms amdgpu-dkms-firmware",
        ),
        recipe="kernel-driver",
    )


@check("driver.headers", fault="missing-headers")
def headers(
    dkms: Dkms, trees: KernelTrees | None, inside: Inside | None, system: OsRelease | None
) -> Verdict:
    """The headers of the running kernel are there for the DKMS driver."""
    if not dkms.versions:
        return skip("no DKMS driver that would need them")
    if inside and (inside.container or inside.wsl):
        return skip("the kernel is the business of the host")
    if trees is None:
        return unknown("list:/lib/modules: which kernels are installed could not be read")
    tree = trees.judged
    release = tree.release if tree else trees.running
    if release is None:
        return skip("no kernel is installed here")
    if tree and tree.headers:
        return ok(f"/lib/modules/{release}/build leads to them")
    if tree and tree.headers is None:
        return unknown(f"stat:/lib/modules/{release}/build/Makefile: could not be read")
    remedy = _headers_of(release, system)
    if dkms.serving(release):
        return warn(
            f"/lib/modules/{release}/build leads nowhere: the driver is built, and cannot be built again",
            remedy=remedy,
        )
    return fail(
        f"/lib/modules/{release}/build leads nowhere: without the headers of {release} the DKMS driver cannot be built",
        remedy=remedy,
    )


def _headers_of(release: str, system: OsRelease | None) -> Remedy:
    family = system.family if system else ()
    if {"fedora", "rhel", "centos"} & set(family):
        install = f"sudo dnf install kernel-devel-{release} kernel-headers"
    elif {"suse", "sles", "opensuse"} & set(family):
        install = "sudo zypper install kernel-default-devel"
    else:
        install = f"sudo apt install linux-headers-{release}"
    recipe = "kernel-headers" if "apt" in install else None
    return Remedy("Install the headers, then build the driver.", (install, "sudo dkms autoinstall"), recipe)


@check("driver.next-kernel", fault="dkms-build-failure", after=("driver.dkms-built",))
def next_kernel(dkms: Dkms, trees: KernelTrees, table: DriverTable, inside: Inside | None) -> Verdict:
    """The DKMS driver is built for the other kernels too, above all for the one that the next start brings."""
    if trees.current is None or (inside and inside.container):
        return skip("no kernel of this system runs")
    serving = dkms.serving(trees.current.release)
    later = _later(trees)
    failed = [f for v in dkms.versions for f in v.failed if f.kernel not in ("", trees.current.release)]
    if serving and failed:
        return _other_failed(failed[0])
    if serving is None or later is None:
        return skip(
            "no newer kernel waits for a restart" if serving else "the DKMS driver does not serve this kernel"
        )
    if dkms.serving(later.release):
        return ok(f"{later.release} has the DKMS driver too")
    limit = table.too_new(serving.version, later.release)
    why = "its headers are missing" if later.headers is False else "it was not built"
    if limit:
        why = f"this driver does not build on Linux {limit.since} and later"
    return warn(
        f"the next start brings {later.release}, which has no DKMS driver: {why}",
        remedy=Remedy(
            "Keep the present kernel." if limit else "Build it before the restart.",
            (f"sudo apt-mark hold linux-image-{trees.running}",)
            if limit
            else (
                f"sudo apt install linux-headers-{later.release}",
                f"sudo dkms autoinstall -k {later.release}",
            ),
        ),
        fault="kernel-too-new" if limit else None,
    )


def _other_failed(failed: Failed) -> Verdict:
    return warn(
        f"the DKMS driver did not build for {failed.kernel}, which is installed too: apt may stay half-way because of it",
        f"log: {failed.log}",
        *failed.errors,
        remedy=Remedy(
            "Remove that kernel with its headers when it is not wanted, and let apt finish.",
            (
                f"sudo apt remove linux-headers-{failed.kernel} linux-image-{failed.kernel}",
                "sudo dpkg --configure -a",
            ),
        ),
    )


def _later(trees: KernelTrees) -> KernelTree | None:
    """The newest kernel, when it is newer than the running one."""
    if not trees.bootable or trees.current is None:
        return None
    newest = trees.bootable[0]
    return newest if release_key(newest.release) > release_key(trees.current.release) else None


@check("driver.dkms-needed", fault="dkms-not-needed", after=("gpu.present",))
def dkms_needed(dkms: Dkms, gpus: Gpus, table: DriverTable) -> Verdict:
    """The DKMS driver is not in the way of a better one that the kernel brings."""
    whole = [v for v in dkms.versions if any(b.installed for b in v.built)]
    if not whole:
        return skip("no DKMS driver is installed")
    apus = [g for g in gpus.capable if g.integrated and g.gfx in table.inbox]
    if not apus or len(apus) < len(gpus.capable):
        return ok("AMD's DKMS driver serves the GPUs of this machine")
    return warn(
        f"{apus[0].name} ({apus[0].gfx}) wants the kernel's own driver, and amdgpu {whole[0].version} of DKMS replaces it",
        remedy=Remedy(
            "Remove the DKMS driver, and take a recent kernel: on Ubuntu 24.04 the HWE or OEM one.",
            ("sudo apt purge amdgpu-dkms", "sudo reboot"),
        ),
    )


@check("driver.secure-boot", fault="secure-boot")
def secure_boot(
    boot: SecureBoot | None,
    dkms: Dkms | None,
    module: AmdgpuModule | None,
    found: KernelFindings | None,
    gpus: Gpus | None,
    inside: Inside | None,
) -> Verdict:
    """Secure Boot does not refuse the driver."""
    if inside and (inside.container or inside.wsl):
        return skip("modules are the business of the host")
    signed = dkms is not None and not any(b.installed for v in dkms.versions for b in v.built)
    if boot is None:
        return (
            skip("no DKMS driver that would need a key")
            if signed
            else unknown("Secure Boot's state could not be read")
        )
    strict = boot.on or boot.lockdown in ("integrity", "confidentiality")
    if not strict:
        return ok("Secure Boot is off" if boot.efi else "this machine was not started by UEFI")
    if signed:
        return ok("Secure Boot is on; the kernel's own driver is signed")
    if module and module.loaded:
        return ok("Secure Boot is on, and the driver was loaded")
    wanted = gpus is not None and bool(gpus.capable)
    return _strict(boot, found.of("module-rejected") if found else (), wanted=wanted and module is not None)


def _strict(boot: SecureBoot, rejected: tuple[Hit, ...], *, wanted: bool) -> Verdict:
    """A DKMS driver that is not loaded, under Secure Boot. `wanted`: there is a GPU for it."""
    lines = tuple(f"kernel: {hit.line}" for hit in rejected[:3])
    why = "Secure Boot is on, and the key that the DKMS driver is signed with is not enrolled"
    if wanted and (rejected or boot.enrolled is False):
        return fail(f"{why}: the kernel refuses the module", *lines, remedy=_enrol(boot))
    if boot.enrolled is False:
        return warn(f"{why}: the kernel will refuse the module", remedy=_enrol(boot))
    if boot.enrolled is None and wanted:
        return warn(
            "Secure Boot is on and the DKMS driver is not loaded; whether its key is enrolled nobody could say",
            remedy=_enrol(boot),
        )
    return ok(
        "Secure Boot is on, and no refusal is known" + (": the key is enrolled" if boot.enrolled else "")
    )


def _enrol(boot: SecureBoot) -> Remedy:
    return Remedy(
        "Enrol the key: mokutil asks for a password, and the blue screen at the next start asks for it again. Or switch "
        "Secure Boot off in the firmware's setup.",
        (f"sudo mokutil --import {boot.key or '/var/lib/dkms/mok.pub'}", "sudo reboot"),
    )
