"""A healthy machine of each family that people have: the parts by figures, then what makes this family another one."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cache

from tests.machines.healthy import HEALTHY, MI210, RX7900XTX, build
from tests.machines.packages import status
from tests.machines.parts import ABSENT, Answers, GpuSpec, Spec, files, ran, text
from tests.machines.rocm import rocminfo

Change = Callable[[Answers, Spec], None]


@dataclass(frozen=True)
class Family:
    """What to build, and what to change then."""

    spec: Spec
    changes: tuple[Change, ...] = ()


# ---------------------------------------------------------------- AMD's driver by DKMS


def dkms_tree(
    answers: Answers, spec: Spec, version: str, *, installed: bool = True, headers: bool = True
) -> None:
    """/var/lib/dkms with one version of amdgpu, as `dkms install` or `dkms add` leaves it."""
    tree, kernel = "/var/lib/dkms", spec.kernel
    answers[f"list:{tree}"] = text("amdgpu/\n")
    names = f"{version}/\n" + (f"kernel-{kernel}-x86_64@\n" if installed else "")
    answers[f"list:{tree}/amdgpu"] = text(names)
    answers[f"glob:{tree}/*/*/source/dkms.conf"] = files({f"{tree}/amdgpu/{version}/source/dkms.conf": ""})
    answers[f"link:{tree}/amdgpu/{version}/source"] = text(f"/usr/src/amdgpu-{version}")
    module = f"{tree}/amdgpu/{version}/{kernel}/x86_64/module/amdgpu.ko"
    answers[f"glob:{tree}/amdgpu/*/*/*/module/*"] = files({module: ""} if installed else {})
    for log in ("*/build/make.log", "*/*/*/log/make.log"):
        answers[f"glob:{tree}/amdgpu/{log}"] = files({})
    state = f"amdgpu/{version}, {kernel}, x86_64: installed" if installed else f"amdgpu/{version}: added"
    answers["run:dkms status"] = ran(f"{state}\n")
    answers["list:/usr/src"] = text(f"amdgpu-{version}/\nlinux-headers-{kernel}/\n")
    answers[f"stat:/lib/modules/{kernel}/build/Makefile"] = text("file 0644 root root") if headers else ABSENT
    if installed:
        link = f"link:{tree}/amdgpu/kernel-{kernel}-x86_64"
        answers[link] = text(f"{version}/{kernel}/x86_64")
        answers[f"list:/lib/modules/{kernel}/updates/dkms"] = text("amdgpu.ko\namdkcl.ko\namdttm.ko\n")
        dep = f"read:/lib/modules/{kernel}/modules.dep"
        answers[dep] = text("updates/dkms/amdgpu.ko\n" + answers[dep]["text"])


def with_dkms(version: str) -> Change:
    """The DKMS driver serves this machine."""

    def change(answers: Answers, spec: Spec) -> None:
        dkms_tree(answers, spec, version)
        answers["read:/sys/module/amdgpu/version"] = text(version.partition("-")[0] + "\n")
        answers["stat:/sys/module/amdkcl"] = text("dir 0755 root root")
        code = f"1:{version.partition('-')[0]}.60204-2070768.22.04"
        add_packages(answers, {"amdgpu-dkms": code, "amdgpu-core": "1:6.2.60204-2070768.22.04"})

    return change


def add_packages(answers: Answers, packages: dict[str, str]) -> None:
    """More packages in dpkg's status file."""
    known = answers["read:/var/lib/dpkg/status"]["text"]
    answers["read:/var/lib/dpkg/status"] = text(known + status(packages))


# ---------------------------------------------------------------- Debian and its own ROCm


def debian_rocm(hip: str, packages: dict[str, str], clang: str) -> Change:
    """ROCm of the distribution, all of it below /usr."""

    def change(answers: Answers, spec: Spec) -> None:
        add_packages(answers, packages)
        gpus = [(gfx_of(g), g.device, "") for g in spec.gpus]
        config = (
            f"HIP version  : {hip}-0\nHIP_PATH     : /usr\nROCM_PATH    : /usr\nHIP_COMPILER : clang\n"
            f"HIP_PLATFORM : amd\nHIP_RUNTIME  : rocclr\nHIP_CLANG_PATH   : {clang}\n"
        )
        ids = "".join(f"GPU[{n}]\t\t: Device ID: \t\t0x{g.device}\n" for n, g in enumerate(spec.gpus))
        said = {
            "rocminfo": rocminfo(gpus),
            "hipconfig --full": config,
            "hipcc --version": f"HIP version: {hip}-0\nDebian clang version 15.0.6\n",
            "rocm-smi --showid": f"===== ROCm System Management Interface =====\n{ids}",
            "rocm_agent_enumerator": "".join(f"{name}\n" for name in ["gfx000", *(g[0] for g in gpus)]),
        }
        for key, value in said.items():
            answers[f"run:{key}"] = ran(value, path=f"/usr/bin/{key.split()[0]}")
        major, minor, patch = hip.split(".")
        answers["read:/usr/share/hip/version"] = text(
            f"HIP_VERSION_MAJOR={major}\nHIP_VERSION_MINOR={minor}\nHIP_VERSION_PATCH={patch}\n"
        )
        answers["stat:/usr/bin/hipconfig"] = text("file 0755 root root")

    return change


def gfx_of(gpu: GpuSpec) -> str:
    """The gfx target of a GPU."""
    from rocmdoctor.facts.gpus import gfx_name

    return gfx_name(gpu.gfx_target_version)


_DEBIAN_12 = {
    "rocminfo": "5.2.3-3", "hipcc": "5.2.3-12", "libamdhip64-5": "5.2.3-12", "libhsa-runtime64-1": "5.2.3-5",
    "rocm-smi": "5.2.3-3", "rocm-device-libs": "5.2.3-2",
}  # fmt: skip
_DEBIAN_13 = {
    "rocminfo": "6.1.2-1", "hipcc": "6.1.2-3", "libamdhip64-6": "6.1.2-3", "libhsa-runtime64-1": "6.1.2-3",
    "rocm-smi": "6.1.2-3", "rocm-device-libs-17": "6.1.2+ds-4",
}  # fmt: skip


# ---------------------------------------------------------------- inside of something


def boxed(answers: Answers, spec: Spec) -> None:
    """A Docker container that was started with the devices and groups that it needs."""
    answers["stat:/.dockerenv"] = text("file 0755 root root")
    answers["read:/proc/self/mountinfo"] = text("1200 1199 0:213 / / rw,relatime - overlay\n")
    answers["disk:/dev/shm"] = text(f"{64 << 30} {64 << 30}")
    answers["list:/lib/modules"] = ABSENT
    answers["list:/usr/src"] = text("")
    for key in [k for k in answers if "/lib/modules/" in k or k.startswith(("read:/boot", "glob:/boot"))]:
        answers[key] = ABSENT
    answers["stat:/run/systemd/system"] = answers["stat:/usr/sbin/update-grub"] = ABSENT
    for key in ("run:journalctl -k -b -o short --no-pager", "run:mokutil --sb-state"):
        answers[key] = ABSENT
    # udev does not run here: numbers whose names the image does not know stay numbers.
    answers["glob:/etc/udev/rules.d/*.rules"] = ABSENT


def under_windows(answers: Answers, spec: Spec) -> None:
    """A distribution under WSL 2, with the ROCm that AMD makes for it."""
    for key in list(answers):
        if "/sys/class/kfd" in key or "/sys/class/drm" in key:
            answers[key] = ABSENT
    pci = "/sys/bus/pci/devices"
    bdf = "94c0:00:00.0"
    answers[f"glob:{pci}/*/uevent"] = files(
        {f"{pci}/{bdf}/uevent": f"DRIVER=dxgkrnl\nPCI_CLASS=30200\nPCI_ID=1414:008E\nPCI_SLOT_NAME={bdf}\n"}
    )
    answers["stat:/dev/dxg"] = text("char 0666 root root")
    answers["stat:/usr/lib/wsl/lib/libdxcore.so"] = text("file 0555 root root")
    answers["list:/lib/modules"] = ABSENT
    answers["list:/usr/src"] = text("")
    for key in [k for k in answers if "/lib/modules/" in k or k.startswith("glob:/boot")]:
        answers[key] = ABSENT
    answers["stat:/sys/firmware/efi"] = ABSENT
    answers["run:rocminfo"] = ran(
        rocminfo([("gfx1100", "744c", "AMD Radeon RX 7900 XTX")]).replace(
            "ROCk module is loaded", "WSL environment detected."
        ),
        path="/opt/rocm/bin/rocminfo",
    )
    answers["run:rocm_agent_enumerator"] = ran(
        "gfx000\ngfx1100\n", path="/opt/rocm/bin/rocm_agent_enumerator"
    )
    for key in ("run:rocm-smi --showid", "run:amd-smi version"):
        answers[key] = ABSENT
        answers[f"run:/opt/rocm/bin/{key[4:]}"] = ABSENT
    add_packages(answers, {"hsa-runtime-rocr4wsl-amdgpu": "1.14.0-2057403.22.04"})


# ---------------------------------------------------------------- all of them


def _partitioned() -> tuple[GpuSpec, ...]:
    """Two MI300X boards, each as eight GPUs with a quarter of the memory for two of them."""
    board = GpuSpec(
        90402,
        "74a1",
        "00",
        "0000:05:00.0",
        128,
        152,
        num_xcc=1,
        vram=51_522_830_336,
        hive=0x31,
        modes=("CPX", "NPS4"),
    )
    return tuple(
        replace(board, bdf=bdf, partition=n, render_minor=first + n, unique_id=number)
        for bdf, first, number in (("0000:05:00.0", 128, 0x3001), ("0000:26:00.0", 136, 0x3002))
        for n in range(8)
    )


_JAMMY_WSL = "5.15.153.1-microsoft-standard-WSL2"
FAMILIES = {
    **{name: Family(spec) for name, spec in HEALTHY.items()},
    "mi210-dkms": Family(replace(HEALTHY["mi210"], name="mi210-dkms"), (with_dkms("6.8.5-2070768.22.04"),)),
    "mi300x-cpx": Family(
        Spec(
            "mi300x-cpx", gpus=_partitioned(), rocm="6.2.4", kernel="6.8.0-45-generic", threads=192,
            extra={"cmdline": "iommu=pt pci=realloc=off"},
        )
    ),
    "debian12": Family(
        Spec("debian12", "debian", "12", "bookworm", "6.1.0-28-amd64", gpus=(MI210,)),
        (debian_rocm("5.2.21153", _DEBIAN_12, "/usr/bin"),),
    ),
    "debian13": Family(
        Spec("debian13", "debian", "13", "trixie", "6.12.48+deb13-amd64", gpus=(RX7900XTX,)),
        (debian_rocm("6.1.40093", _DEBIAN_13, "/usr/lib/llvm-17/bin"),),
    ),
    "container": Family(replace(HEALTHY["mi210"], name="container"), (boxed,)),
    "wsl": Family(Spec("wsl", kernel=_JAMMY_WSL, rocm="6.2.4"), (under_windows,)),
}  # fmt: skip


@cache
def _built(name: str) -> Answers:
    family = FAMILIES[name]
    answers = build(family.spec)
    for change in family.changes:
        change(answers, family.spec)
    return answers


def family(name: str) -> Answers:
    """The answers of a healthy machine of a family; a copy that may be changed."""
    return {key: dict(value) for key, value in _built(name).items()}


def without(answers: Answers, pattern: str) -> None:
    """Forgets the answers whose keys match, as if their questions had never come up."""
    for key in [k for k in answers if re.search(pattern, k)]:
        del answers[key]
