"""Faults planted into healthy machines, so that each leaves the trace that it leaves on real ones.

`PLANTED` lists them; `UNSEEN` says of every other fault of these layers why nothing can be planted that a check sees.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from tests.machines.families import FAMILIES, add_packages, dkms_tree, without
from tests.machines.packages import KEYRING, SHOW_KEYS
from tests.machines.parts import ABSENT, Answers, Spec, files, ran, text
from tests.machines.rocm import rocminfo

BARE = ("mi210", "mi210-no-rocm", "rx7900xtx-with-igpu", "mi210-dkms", "mi300x-cpx", "debian12", "debian13")
OWN_DRIVER = tuple(name for name in BARE if name != "mi210-dkms")
AMDS_ROCM = ("mi210", "rx7900xtx-with-igpu", "mi210-dkms", "mi300x-cpx", "container")
WITH_GPU = (*BARE, "container")
WITH_ROCM = (*AMDS_ROCM, "debian12", "debian13")
EVERYWHERE = tuple(FAMILIES)

Plant = Callable[[Answers, Spec], None]


@dataclass(frozen=True)
class Fault:
    """`cause` is the check that must name it, `on` the families; `level` warn where the machine still works."""

    name: str
    label: str
    plant: Plant
    cause: str
    on: tuple[str, ...]
    level: str = "fail"


PLANTED: list[Fault] = []


def fault(name: str, cause: str, on: tuple[str, ...], level: str = "fail") -> Callable[[Plant], Plant]:
    """Registers a function that plants a fault."""

    def register(plant: Plant) -> Plant:
        PLANTED.append(Fault(name, plant.__name__.strip("_").replace("_", "-"), plant, cause, on, level))
        return plant

    return register


# ---------------------------------------------------------------- states that several faults lead to


def said(answers: Answers, *lines: str) -> None:
    """More lines at the end of the kernel log."""
    old = answers["run:dmesg"]["stdout"]
    answers["run:dmesg"] = ran(old + "".join(f"[  9.{n:06}] {line}\n" for n, line in enumerate(lines)))


def _rocminfo_says(answers: Answers, told: str, code: int = 0) -> None:
    for key in [k for k in answers if k.startswith("run:") and k.endswith("rocminfo")]:
        if answers[key]["ok"]:
            answers[key] = ran(told, code, path=answers[key].get("path", ""))


def _tools_see_no_gpu(answers: Answers, *, loaded: bool) -> None:
    names = {
        "rocminfo": ran(rocminfo([]))
        if loaded
        else ran("ROCk module is NOT loaded, possibly no GPU devices\n", 1),
        "rocm_agent_enumerator": ran("gfx000\n"),
        "rocm-smi --showid": ran("", 0, "ERROR:root:Driver not initialized (amdgpu not found in modules)\n"),
    }
    for key, answer in names.items():
        old = answers[f"run:{key}"]
        if old["ok"] and (key != "rocm-smi --showid" or not loaded):
            answers[f"run:{key}"] = {**answer, "path": old.get("path", "")}


def unloaded(answers: Answers, spec: Spec) -> None:
    """amdgpu is not loaded: no nodes, no cards, nothing bound on the bus, nothing in the log."""
    for key in list(answers):
        if (
            "/sys/class/kfd" in key
            or "/sys/module/amdgpu" in key
            or key.startswith(("stat:/dev/kfd", "access:/dev/"))
        ):
            answers[key] = ABSENT
        elif "/sys/class/drm/card" in key:
            answers[key] = files({})
    answers["stat:/sys/module/amdkcl"] = ABSENT
    answers["list:/dev/dri"] = answers["stat:/dev/dri/renderD128"] = ABSENT
    without(
        answers,
        r"^(?:stat|access):/dev/dri/renderD(?!128$)|^access:/dev/dri/renderD128|^env:HSA_OVERRIDE_GFX_VERSION_",
    )
    bus = answers["glob:/sys/bus/pci/devices/*/uevent"]["files"]
    answers["glob:/sys/bus/pci/devices/*/uevent"] = files(
        {p: t.replace("DRIVER=amdgpu\n", "") for p, t in bus.items()}
    )
    answers["run:dmesg"] = ran(f"[    0.000000] Linux version {spec.kernel}\n")
    _tools_see_no_gpu(answers, loaded=False)


def left_out(answers: Answers, spec: Spec, *, started: bool = True) -> None:
    """amdgpu is loaded and the compute driver has the processor's node alone. Not `started`: it let go of the GPUs."""
    nodes = "/sys/class/kfd/kfd/topology/nodes"
    for key in [k for k in answers if "/sys/class/kfd/" in k]:
        kept = {p: t for p, t in answers[key]["files"].items() if p.startswith(f"{nodes}/0/")}
        answers[key] = files(kept)
    without(answers, r"^env:HSA_OVERRIDE_GFX_VERSION_")
    answers["run:dmesg"] = ran(
        f"[    0.000000] Linux version {spec.kernel}\n[    3.0] [drm] amdgpu kernel modesetting enabled.\n"
    )
    if not started:
        without(answers, r"^(?:stat|access):/dev/dri/renderD(?!128$)|^access:/dev/dri/renderD128")
        answers["list:/dev/dri"] = answers["stat:/dev/dri/renderD128"] = ABSENT
        for key in [k for k in answers if "/sys/class/drm/card" in k]:
            answers[key] = files({})
        bus = answers["glob:/sys/bus/pci/devices/*/uevent"]["files"]
        answers["glob:/sys/bus/pci/devices/*/uevent"] = files(
            {p: t.replace("DRIVER=amdgpu\n", "") for p, t in bus.items()}
        )
    _tools_see_no_gpu(answers, loaded=True)


def closed(answers: Answers, *, why: str = "permission", detail: str = "EACCES") -> None:
    """No device node opens, and rocminfo says so."""
    for key in answers:
        if key.startswith("access:/dev/") and answers[key]["ok"]:
            answers[key] = {"ok": False, "why": why, "detail": detail}
    _rocminfo_says(
        answers,
        "ROCk module is loaded\nUnable to open /dev/kfd read-write: Permission denied\n"
        'ann is not member of "render" group, the default DRM access group. Users must be a member of it.\n',
        1,
    )


# ---------------------------------------------------------------- hardware


@fault("pcie-atomics", "hardware.pcie-atomics", BARE)
def _no_atomics(answers: Answers, spec: Spec) -> None:
    left_out(answers, spec)
    for gpu in spec.cards:
        said(answers, f"kfd kfd: amdgpu: skipped device 1002:{gpu.device}, PCI rejects atomics 730<0")


@fault("unsupported-gfx", "driver.knows-gpu", OWN_DRIVER)
def _kernel_does_not_know_it(answers: Answers, spec: Spec) -> None:
    left_out(answers, spec)
    for gpu in spec.cards:
        said(
            answers,
            f"kfd kfd: DID {gpu.device} is missing in supported_devices",
            "kfd kfd: kgd2kfd_probe failed",
        )


@fault("ras-ecc", "hardware.ras", ("mi210", "mi210-dkms", "mi300x-cpx", "debian12", "container"))
def _memory_errors(answers: Answers, spec: Spec) -> None:
    count = "/sys/class/drm/card0/device/ras/umc_err_count"
    counts = answers["glob:/sys/class/drm/card*/device/ras/*_err_count"]["files"]
    answers["glob:/sys/class/drm/card*/device/ras/*_err_count"] = files({**counts, count: "ue: 3\nce: 7\n"})
    said(
        answers, f"amdgpu {spec.cards[0].bdf}: amdgpu: 3 uncorrectable hardware errors detected in umc block"
    )


@fault("iommu", "host.iommu", ("mi300x-cpx",), "warn")
def _translated(answers: Answers, spec: Spec) -> None:
    types = answers["glob:/sys/bus/pci/devices/*/iommu_group/type"]["files"]
    answers["glob:/sys/bus/pci/devices/*/iommu_group/type"] = files(dict.fromkeys(types, "DMA-FQ\n"))
    answers["read:/proc/cmdline"] = text("pci=realloc=off\nquiet\n")


# ---------------------------------------------------------------- driver


def _other_kernel(answers: Answers, spec: Spec, release: str) -> None:
    """Another kernel runs; the old one is still installed."""
    for key in [
        k for k in answers if spec.kernel in k and ("/lib/modules/" in k or k.startswith("glob:/boot"))
    ]:
        answer = answers[key]
        if "files" in answer:
            answer = files({p.replace(spec.kernel, release): t for p, t in answer["files"].items()})
        answers[key.replace(spec.kernel, release)] = answer
    answers["read:/proc/sys/kernel/osrelease"] = text(f"{release}\n")
    answers["list:/lib/modules"] = text(f"{spec.kernel}/\n{release}/\n")
    answers["run:dmesg"] = ran(answers["run:dmesg"]["stdout"].replace(spec.kernel, release))


def _not_loaded_from_dkms(answers: Answers, release: str) -> None:
    """The kernel's own driver serves instead."""
    answers[f"list:/lib/modules/{release}/updates/dkms"] = ABSENT
    answers[f"read:/lib/modules/{release}/modules.dep"] = text(
        "kernel/drivers/gpu/drm/amd/amdgpu/amdgpu.ko\n"
    )
    answers["read:/sys/module/amdgpu/version"] = answers["stat:/sys/module/amdkcl"] = ABSENT


@fault("kernel-too-new", "driver.dkms-built", ("mi210-dkms",))
def _new_kernel(answers: Answers, spec: Spec) -> None:
    release = "6.11.0-8-generic"
    _other_kernel(answers, spec, release)
    _not_loaded_from_dkms(answers, release)
    answers["run:dkms status"] = ran(f"amdgpu/6.8.5-2070768.22.04, {spec.kernel}, x86_64: installed\n")


_MAKE_LOG = (
    "DKMS make.log for amdgpu-{version} for kernel {kernel} (x86_64)\n"
    "amd/amdgpu/amdgpu_x.c:2:27: error: implicit declaration of function 'f'\nmake: *** [Makefile:2050: x] Error 2\n"
)


@fault("dkms-build-failure", "driver.dkms-built", OWN_DRIVER)
def _does_not_build(answers: Answers, spec: Spec) -> None:
    version = "6.12.12-2147987"
    dkms_tree(answers, spec, version, installed=False)
    log = f"/var/lib/dkms/amdgpu/{version}/build/make.log"
    answers["glob:/var/lib/dkms/amdgpu/*/build/make.log"] = files(
        {log: _MAKE_LOG.format(version=version, kernel=spec.kernel)}
    )
    packages = answers["read:/var/lib/dpkg/status"]["text"]
    answers["read:/var/lib/dpkg/status"] = text(
        f"{packages}Package: amdgpu-dkms\nStatus: install ok half-configured\nVersion: 1:6.12.12.60400-2147987.22.04\n"
    )


@fault("dkms-stale-tree", "driver.dkms-tree", (*OWN_DRIVER, "no-gpu"))
def _stale_tree(answers: Answers, spec: Spec) -> None:
    version = "6.3.6-1697589.22.04"
    dkms_tree(answers, spec, version)
    _not_loaded_from_dkms(answers, spec.kernel)
    answers["glob:/var/lib/dkms/*/*/source/dkms.conf"] = files({})
    answers["list:/usr/src"] = text(f"linux-headers-{spec.kernel}/\n")
    answers["run:dkms status"] = ran(
        "", 0, "Error! Could not locate dkms.conf file.\n"
        f"File: /var/lib/dkms/amdgpu/{version}/source/dkms.conf does not exist.\n",
    )  # fmt: skip


@fault("missing-headers", "driver.headers", OWN_DRIVER)
def _no_headers(answers: Answers, spec: Spec) -> None:
    dkms_tree(answers, spec, "6.12.12-2147987", installed=False, headers=False)


@fault("dkms-not-needed", "access.container-driver", ("container",), "warn")
def _driver_in_a_container(answers: Answers, spec: Spec) -> None:
    answers["list:/usr/src"] = text("amdgpu-6.8.5-2070768.22.04/\n")


@fault("secure-boot", "driver.secure-boot", ("mi210-dkms",))
def _key_not_enrolled(answers: Answers, spec: Spec) -> None:
    unloaded(answers, spec)
    key = "/var/lib/shim-signed/mok/MOK.der"
    variable = "read:/sys/firmware/efi/efivars/SecureBoot-8be4df61-93ca-11d2-aa0d-00e098032b8c"
    answers[variable] = text("\x06\x00\x00\x00\x01")
    answers["run:mokutil --sb-state"] = ran("SecureBoot enabled\n")
    answers["read:/sys/kernel/security/lockdown"] = text("none [integrity] confidentiality\n")
    answers[f"stat:{key}"] = text("file 0644 root root")
    answers[f"run:mokutil --test-key {key}"] = ran(f"{key} is not enrolled\n")
    said(answers, "Loading of module with unavailable key is rejected")


@fault("module-blacklisted", "driver.not-blacklisted", BARE)
def _blacklisted(answers: Answers, spec: Spec) -> None:
    unloaded(answers, spec)
    answers["glob:/etc/modprobe.d/*.conf"] = files(
        {"/etc/modprobe.d/blacklist-amdgpu.conf": "blacklist amdgpu\n"}
    )


@fault("module-blacklisted", "driver.not-blacklisted", BARE)
def _nomodeset(answers: Answers, spec: Spec) -> None:
    unloaded(answers, spec)
    answers["read:/proc/cmdline"] = text("quiet\nnomodeset\n")


@fault("firmware-missing", "driver.firmware", BARE)
def _no_firmware(answers: Answers, spec: Spec) -> None:
    left_out(answers, spec, started=False)
    for gpu in spec.cards:
        said(
            answers,
            f"amdgpu {gpu.bdf}: Direct firmware load for amdgpu/aldebaran_sos.bin failed with error -2",
            f"amdgpu {gpu.bdf}: amdgpu: Fatal error during GPU init",
            f"amdgpu: probe of {gpu.bdf} failed with error -2",
        )


@fault("driver-userspace-mismatch", "driver.rocm-range", ("mi210-dkms",))
def _old_driver(answers: Answers, spec: Spec) -> None:
    version = "5.18.13-1538762.22.04"
    dkms_tree(answers, spec, version)
    answers["read:/sys/module/amdgpu/version"] = text("5.18.13\n")


@fault("gpu-reset", "driver.kernel-log", WITH_GPU)
def _lost(answers: Answers, spec: Spec) -> None:
    bdf = spec.cards[0].bdf
    said(
        answers,
        f"amdgpu {bdf}: amdgpu: GPU reset begin!",
        f"amdgpu {bdf}: amdgpu: GPU reset end with ret = -110",
    )


@fault("gpu-reset", "driver.kernel-log", WITH_GPU, "warn")
def _was_reset(answers: Answers, spec: Spec) -> None:
    bdf = spec.cards[0].bdf
    said(answers, f"amdgpu {bdf}: amdgpu: GPU reset begin!", f"amdgpu {bdf}: amdgpu: GPU reset(1) succeeded!")


@fault("wsl", "access.wsl-bridge", ("wsl",), "warn")
def _no_bridge(answers: Answers, spec: Spec) -> None:
    answers["stat:/usr/lib/wsl/lib/libdxcore.so"] = ABSENT


# ---------------------------------------------------------------- access


@fault("device-permissions", "driver.kfd-access", BARE)
def _not_in_the_groups(answers: Answers, spec: Spec) -> None:
    closed(answers)
    answers["read:/proc/self/status"] = text(
        f"Uid:\t{spec.uid}\t{spec.uid}\t{spec.uid}\t{spec.uid}\nGid:\t1000\t1000\t1000\t1000\nGroups:\t27 1000 \n"
    )
    answers["read:/etc/group"] = text(f"\n0\n\n27\n{spec.user}\nvideo\n44\nrender\n110\n\n1000\n")


@fault("device-permissions", "driver.kfd-access", BARE)
def _older_session(answers: Answers, spec: Spec) -> None:
    closed(answers)
    answers["read:/proc/self/status"] = text(
        f"Uid:\t{spec.uid}\t{spec.uid}\t{spec.uid}\t{spec.uid}\nGid:\t1000\t1000\t1000\t1000\nGroups:\t27 1000 \n"
    )


@fault("docker-device-flags", "driver.kfd-present", ("container",))
def _container_without_devices(answers: Answers, spec: Spec) -> None:
    without(answers, r"^(?:stat|access):/dev/dri/renderD(?!128$)|^access:/dev/dri/renderD128")
    for key in ("stat:/dev/kfd", "access:/dev/kfd", "list:/dev/dri", "stat:/dev/dri/renderD128"):
        answers[key] = ABSENT
    told = "ROCk module is loaded\nUnable to open /dev/kfd read-write: No such file or directory\n"
    _rocminfo_says(answers, told, 1)


@fault("docker-device-flags", "driver.kfd-access", ("container",))
def _container_without_the_group(answers: Answers, spec: Spec) -> None:
    closed(answers)
    for key in ("stat:/dev/kfd", *(f"stat:/dev/dri/renderD{g.render_minor}" for g in spec.gpus)):
        answers[key] = text("char 0660 root 993")
    answers["read:/proc/self/status"] = text(
        f"Uid:\t{spec.uid}\t{spec.uid}\t{spec.uid}\t{spec.uid}\nGid:\t1000\t1000\t1000\t1000\nGroups:\t44 1000 \n"
    )


@fault("memlock-or-shm", "host.shared-memory", ("container",), "warn")
def _small_shared_memory(answers: Answers, spec: Spec) -> None:
    answers["disk:/dev/shm"] = text("67108864 67108864")


# ---------------------------------------------------------------- packages


@fault(
    "apt-universe-clash",
    "packages.distribution-rocm",
    ("mi210", "rx7900xtx-with-igpu", "mi210-dkms", "container"),
)
def _rocminfo_of_the_distribution(answers: Answers, spec: Spec) -> None:
    packages = answers["read:/var/lib/dpkg/status"]["text"]
    mine = next(line for line in packages.split("Package: ") if line.startswith("rocminfo\n"))
    answers["read:/var/lib/dpkg/status"] = text(packages.replace(mine, "rocminfo\nVersion: 5.0.0-1\n"))
    answers["run:rocminfo"] = {**answers["run:rocminfo"], "path": "/usr/bin/rocminfo"}


@fault("apt-pin", "packages.pin", AMDS_ROCM)
def _pin_without_effect(answers: Answers, spec: Spec) -> None:
    pin = "Package: *\nPin: release o=\nPin-Priority: 600\n"
    answers["glob:/etc/apt/preferences.d/*"] = files({"/etc/apt/preferences.d/rocm-pin-600": pin})


@fault("gpg-key", "packages.repository-key", AMDS_ROCM)
def _no_key(answers: Answers, spec: Spec) -> None:
    answers[f"stat:{KEYRING}"] = ABSENT
    answers[SHOW_KEYS] = ran("", 2, f"gpg: can't open '{KEYRING}': No such file or directory\n")


@fault("gpg-key", "packages.repository-key", AMDS_ROCM)
def _expired_key(answers: Answers, spec: Spec) -> None:
    old = answers[SHOW_KEYS]["stdout"]
    answers[SHOW_KEYS] = ran(
        old.replace("pub:-:", "pub:e:").replace(":1465409123:::", ":1465409123:1700000000::", 1)
    )


@fault("repo-codename-mismatch", "packages.repository-release", AMDS_ROCM)
def _repository_of_another_release(answers: Answers, spec: Spec) -> None:
    other = "noble" if spec.codename == "jammy" else "jammy"
    sources = answers["glob:/etc/apt/sources.list.d/*.list"]["files"]
    answers["glob:/etc/apt/sources.list.d/*.list"] = files(
        {p: t.replace(f" {spec.codename} ", f" {other} ") for p, t in sources.items()}
    )


@fault(
    "mixed-rocm-versions",
    "packages.one-rocm",
    ("mi210", "rx7900xtx-with-igpu", "mi210-dkms", "mi300x-cpx", "container"),
)
def _packages_of_two_releases(answers: Answers, spec: Spec) -> None:
    add_packages(answers, {"rocm-libs": "5.3.3.50303-99~22.04", "rocblas": "2.45.0.50303-99~22.04"})


@fault("mixed-rocm-versions", "rocm.whole", AMDS_ROCM)
def _link_to_nowhere(answers: Answers, spec: Spec) -> None:
    answers["link:/etc/alternatives/rocm"] = text("/opt/rocm-5.7.1")
    for key in ("stat:/opt/rocm", "list:/opt/rocm", "glob:/opt/rocm/core-*/.info/version"):
        answers[key] = ABSENT
    answers["glob:/opt/rocm/core-*/share/hip/version"] = ABSENT
    root = f"/opt/rocm-{spec.rocm}"
    answers["glob:/opt/rocm*/.info/version"] = files({f"{root}/.info/version": f"{spec.rocm}-139\n"})
    # PATH of AMD's guides holds the folder with the version.
    for key in [
        k for k in answers if k.startswith("run:") and answers[k].get("path", "").startswith("/opt/rocm/")
    ]:
        answers[key] = {**answers[key], "path": answers[key]["path"].replace("/opt/rocm/", f"{root}/")}


@fault("half-configured-dpkg", "packages.dpkg-consistent", EVERYWHERE)
def _half_configured(answers: Answers, spec: Spec) -> None:
    packages = answers["read:/var/lib/dpkg/status"]["text"]
    answers["read:/var/lib/dpkg/status"] = text(
        f"{packages}Package: postfix\nStatus: install ok half-configured\nVersion: 3.6.4-1ubuntu1\n"
    )


@fault("missing-libstdcxx-dev", "packages.libstdcxx", WITH_ROCM)
def _gcc_without_headers(answers: Answers, spec: Spec) -> None:
    answers["list:/usr/lib/gcc/x86_64-linux-gnu"] = text("12/\n14/\n")
    answers["stat:/usr/lib/gcc/x86_64-linux-gnu/14/crtbegin.o"] = text("file 0644 root root")


@fault("nvidia-leftovers", "packages.nvidia", WITH_GPU, "warn")
def _cuda_toolkit(answers: Answers, spec: Spec) -> None:
    add_packages(answers, {"cuda-toolkit-12-4": "12.4.1-1", "cuda-nvcc-12-4": "12.4.131-1"})
    answers["stat:/usr/local/cuda/bin/nvcc"] = text("file 0755 root root")
    answers["link:/usr/local/cuda"] = text("/usr/local/cuda-12.4")


@fault("disk-full", "host.disk", WITH_GPU)
def _full(answers: Answers, spec: Spec) -> None:
    answers[f"disk:/home/{spec.user}"] = text("500000000000 1000000")


# ---------------------------------------------------------------- environment


def _agents(answers: Answers, gpus: list[tuple[str, str, str]]) -> None:
    """rocminfo lists these GPUs."""
    _rocminfo_says(answers, rocminfo(gpus))


@fault("hsa-override-wrong", "environment.hsa-override", WITH_GPU)
def _override(answers: Answers, spec: Spec) -> None:
    answers["env:HSA_OVERRIDE_GFX_VERSION"] = text("10.3.0")
    _agents(answers, [("gfx1030", gpu.device, "") for gpu in spec.gpus])


@fault("hsa-override-wrong", "environment.hsa-override", WITH_GPU)
def _override_in_bashrc(answers: Answers, spec: Spec) -> None:
    answers[f"read:/home/{spec.user}/.bashrc"] = text("\n\nexport\nHSA_OVERRIDE_GFX_VERSION=10.3.0\n")


@fault("hip-visible-devices", "environment.visible-devices", WITH_GPU)
def _hidden_by_rocr(answers: Answers, spec: Spec) -> None:
    answers["env:ROCR_VISIBLE_DEVICES"] = text("")
    _agents(answers, [])


@fault("hip-visible-devices", "environment.visible-devices", WITH_GPU)
def _hidden_by_hip(answers: Answers, spec: Spec) -> None:
    answers["env:HIP_VISIBLE_DEVICES"] = text("-1")


@fault("hip-platform-nvidia", "rocm.hip-platform", WITH_ROCM)
def _nvidia_platform(answers: Answers, spec: Spec) -> None:
    old = answers["run:hipconfig --full"]
    told = old["stdout"].replace("HIP_PLATFORM : amd", "HIP_PLATFORM : nvidia").replace(": rocclr", ": cuda")
    answers["run:hipconfig --full"] = {
        **old,
        "stdout": told.replace("HIP_COMPILER : clang", "HIP_COMPILER : nvcc"),
    }
    answers["env:HIP_PLATFORM"] = text("nvidia")
    hipcc = answers["run:hipcc --version"]
    nvcc = "sh: 1: /usr/local/cuda/bin/nvcc: not found\n"
    answers["run:hipcc --version"] = ran("", 127, nvcc, path=hipcc["path"])


@fault("ld-library-path", "environment.ld-library-path", WITH_GPU, "warn")
def _cuda_libraries(answers: Answers, spec: Spec) -> None:
    folder = "/usr/local/cuda-12.4/lib64"
    answers["env:LD_LIBRARY_PATH"] = text(folder)
    answers[f"stat:{folder}"] = text("dir 0755 root root")
    for name in ("libamdhip64.so*", "libhsa-runtime64.so*", "libstdc++.so*"):
        answers[f"glob:{folder}/{name}"] = files({})
    answers[f"glob:{folder}/libcudart.so*"] = files({f"{folder}/libcudart.so.12": ""})


@fault("rocm-home-unresolved", "environment.rocm-paths", WITH_GPU)
def _path_that_is_gone(answers: Answers, spec: Spec) -> None:
    answers["env:ROCM_HOME"] = text("/srv/rocm")
    answers["stat:/srv/rocm"] = answers["link:/srv/rocm"] = ABSENT


@fault(
    "rocm-home-unresolved",
    "rocm.home",
    ("mi210", "rx7900xtx-with-igpu", "mi300x-cpx", "mi210-dkms", "container"),
)
def _nothing_leads_to_it(answers: Answers, spec: Spec) -> None:
    root = f"/opt/rocm-{spec.rocm}"
    for key in ("link:/opt/rocm", "stat:/opt/rocm", "list:/opt/rocm", "link:/etc/alternatives/rocm"):
        answers[key] = ABSENT
    answers["list:/opt"] = text(f"rocm-{spec.rocm}/\n")
    for key in ("glob:/opt/rocm/core-*/.info/version", "glob:/opt/rocm/core-*/share/hip/version"):
        answers[key] = ABSENT
    answers["glob:/opt/rocm*/.info/version"] = files({f"{root}/.info/version": f"{spec.rocm}-139\n"})
    without(answers, r"^run:/opt/rocm/bin/")
    for key in [
        k for k in answers if k.startswith("run:") and answers[k].get("path", "").startswith("/opt/rocm/")
    ]:
        answers[f"run:{root}/bin/{key[4:]}"] = {**answers[key], "path": f"{root}/bin/{key[4:].split()[0]}"}
        answers[key] = ABSENT


@fault("miopen-cache", "environment.miopen-cache", WITH_GPU, "warn")
def _cache_of_root(answers: Answers, spec: Spec) -> None:
    answers[f"stat:/home/{spec.user}/.config/miopen"] = text("dir 0755 root root")


# ---------------------------------------------------------------- what cannot be planted

UNSEEN = {
    "gpu-power-hang": "it takes two discrete GPUs, which no family has; tests/cases/hardware.toml has a machine with two",
    "amdgpu-builtin-kernel": "a state of healthy machines, told by an ok of driver.builtin",
}


# The driver is not up, or never took the GPUs. A machine is in one of these states, and each hides what comes later.
STATES = (
    "no-atomics",
    "kernel-does-not-know-it",
    "blacklisted",
    "nomodeset",
    "no-firmware",
    "key-not-enrolled",
)
_LATER = ("lost", "was-reset", "hidden-by-rocr", "hidden-by-hip", "old-driver")
HIDDEN: dict[str, tuple[str, ...]] = {
    "no-atomics": _LATER,
    "kernel-does-not-know-it": _LATER,
    "no-firmware": (*_LATER, "memory-errors"),
    **dict.fromkeys(
        ("blacklisted", "nomodeset", "key-not-enrolled"),
        (*_LATER, "memory-errors", "not-in-the-groups", "older-session"),
    ),
    # The package of the driver waits for the build, and whatever else stopped with it is seen when that is done.
    "does-not-build": ("half-configured",),
    # hipcc hands everything to nvcc, whatever its own compiler is.
    "nvidia-platform": ("hipcc-without-clang",),
}
# Two of one group cannot be at once.
EXCLUSIVE = (
    STATES,
    ("does-not-build", "stale-tree", "no-headers", "new-kernel", "old-driver", "key-not-enrolled"),
    ("link-to-nowhere", "nothing-leads-to-it"),
    ("container-without-devices", "container-without-the-group"),
)
# Planted after all others, since they take answers away.
_LAST = ("nothing-leads-to-it", "container-without-devices", *STATES)


def planted(labels: tuple[str, ...], family: str, healthy: Answers) -> Answers:
    """A healthy machine of a family with faults of these labels."""
    by_label = {f.label: f for f in PLANTED}
    for label in sorted(labels, key=lambda name: _LAST.index(name) if name in _LAST else -1):
        by_label[label].plant(healthy, FAMILIES[family].spec)
    return healthy


def together(one: Fault, other: Fault) -> bool:
    """Whether one machine can have both."""
    return one.name != other.name and not any(one.label in g and other.label in g for g in EXCLUSIVE)
