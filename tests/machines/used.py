"""An Ubuntu 22.04 with an MI210 that has seen much: CUDA 12 from NVIDIA's repository, ROCm 5.7 and a driver that does not
build from AMD's, a ROCm 5.4 that was removed by half, and what all of them left behind.

Names and versions: package lists of repo.radeon.com and developer.download.nvidia.com as quoted in issues of ROCm/ROCm.
"""

from __future__ import annotations

from functools import cache

from tests.machines.healthy import MI210, build
from tests.machines.packages import status
from tests.machines.parts import Answers, Spec, files, ran, text

ROCM = {
    "comgr": "2.5.0.50700-63~22.04",
    "hip-runtime-amd": "5.7.31921.50700-63~22.04",
    "hipcc": "1.0.0.50700-63~22.04",
    "hsa-rocr": "1.11.0.50700-63~22.04",
    "rocm-core": "5.7.0.50700-63~22.04",
    "rocminfo": "1.0.0.50700-63~22.04",
}
DRIVER = {
    "amdgpu-core": "1:5.7.50700-1652687.22.04",
    "amdgpu-dkms": "1:6.2.4.50700-1652687.22.04",
    "amdgpu-dkms-firmware": "1:6.2.4.50700-1652687.22.04",
    "amdgpu-install": "5.7.50700-1652687.22.04",
    "libdrm-amdgpu-amdgpu1": "1:2.4.115.50700-1652687.22.04",
}
NVIDIA = {
    "cuda-keyring": "1.1-1",
    "cuda-toolkit-12-4": "12.4.1-1",
    "libcudnn8": "8.9.7.29-1+cuda12.2",
    "libnvidia-compute-550": "550.54.15-0ubuntu1",
    "nvidia-driver-550": "550.54.15-0ubuntu1",
}
# What a purge must never take: the system's own.
OWN = {
    "dkms": "2.8.7-2ubuntu2.2",
    "firmware-sof-signed": "2.0-1ubuntu4.7",
    "libdrm-amdgpu1": "2.4.113-2~ubuntu0.22.04.1",
    "libgl1-mesa-dri": "23.2.1-1ubuntu3.1~22.04.2",
    "linux-firmware": "20220329.git681281e4-0ubuntu3.29",
    "linux-headers-5.15.0-119-generic": "5.15.0-119.129",
    "linux-image-5.15.0-119-generic": "5.15.0-119.129",
    "linux-modules-5.15.0-119-generic": "5.15.0-119.129",
    "linux-modules-extra-5.15.0-119-generic": "5.15.0-119.129",
    "mesa-vulkan-drivers": "23.2.1-1ubuntu3.1~22.04.2",
    "openssh-server": "1:8.9p1-3ubuntu0.10",
    "sudo": "1.9.9-1ubuntu2.4",
    "xserver-xorg-core": "2:21.1.4-2ubuntu1.7~22.04.11",
    "xserver-xorg-video-amdgpu": "22.0.0-1ubuntu0.2",
}
BASE = {"apt": "2.4.12", "bash": "5.1-6ubuntu1.1", "python3": "3.10.6-1"}
DKMS, STALE = "6.2.4-1652687.22.04", "5.18.13-1580598.22.04"
GEFORCE = "DRIVER=nvidia\nPCI_CLASS=30000\nPCI_ID=10DE:2684\nPCI_SLOT_NAME=0000:01:00.0\n"
_OWNERS = (
    "run:grep -rsxE '--include=*.list' "
    "'(/opt/rocm-[^/]*|/opt/rocm|/opt/amdgpu|/opt/amdgpu-[^/]*)' /var/lib/dpkg/info"
)
_OWNERS_ETC = (
    "run:grep -rsxE '--include=*.list' '(/etc/amd|/etc/rocm\\.d|/etc/OpenCL\\.conf|/etc/OpenCL/vendors/amdocl[^/]*"
    "|/etc/profile\\.d/[^/]*rocm[^/]*|/etc/profile\\.d/[^/]*amdgpu[^/]*)' /var/lib/dpkg/info"
)


def _sources() -> Answers:
    folder = "/etc/apt/sources.list.d"
    amd = "https://repo.radeon.com"
    cuda = "https://developer.download.nvidia.com/compute/cuda/repos/ubuntu2204/x86_64/"
    keyring = "/usr/share/keyrings/cuda-archive-keyring.gpg"
    return {
        f"glob:{folder}/*.list": files(
            {
                f"{folder}/amdgpu.list": f"deb {amd}/amdgpu/5.7/ubuntu jammy main\n",
                f"{folder}/cuda-ubuntu2204-x86_64.list": f"deb [signed-by={keyring}] {cuda} /\n",
                f"{folder}/rocm.list": f"deb [arch=amd64] {amd}/rocm/apt/5.7 jammy main\n",
            }
        ),
        "list:/etc/apt/keyrings": text(""),
        "list:/etc/apt/trusted.gpg.d": text("rocm-keyring.gpg\nubuntu-keyring-2018-archive.gpg\n"),
        "stat:/etc/apt/trusted.gpg.d/rocm-keyring.gpg": text("file 0644 root root"),
        "run:dpkg-query -S /etc/apt/trusted.gpg.d/rocm-keyring.gpg": ran(
            "amdgpu-install: /etc/apt/trusted.gpg.d/rocm-keyring.gpg\n"
        ),
        "list:/usr/share/keyrings": text("cuda-archive-keyring.gpg\nubuntu-archive-keyring.gpg\n"),
        f"stat:{keyring}": text("file 0644 root root"),
        f"run:dpkg-query -S {keyring}": ran(f"cuda-keyring: {keyring}\n"),
        "glob:/etc/apt/preferences.d/*": files(
            {
                "/etc/apt/preferences.d/repo-radeon-pin-600": "Package: *\nPin: release o=repo.radeon.com\nPin-Priority: 600\n"
            }
        ),
    }


def _trees(kernel: str) -> Answers:
    tree = "/var/lib/dkms"
    return {
        f"list:{tree}": text("amdgpu/\n"),
        f"list:{tree}/amdgpu": text(f"{STALE}/\n{DKMS}/\n"),
        f"glob:{tree}/*/*/source/dkms.conf": files({f"{tree}/amdgpu/{DKMS}/source/dkms.conf": ""}),
        f"link:{tree}/amdgpu/{DKMS}/source": text(f"/usr/src/amdgpu-{DKMS}"),
        f"link:{tree}/amdgpu/{STALE}/source": text(f"/usr/src/amdgpu-{STALE}"),
        f"glob:{tree}/amdgpu/*/build/make.log": files(
            {
                f"{tree}/amdgpu/{DKMS}/build/make.log": f"DKMS make.log for amdgpu-{DKMS} for kernel {kernel} (x86_64)\n"
                "drm.c:3:10: error: too few arguments to function 'drm_init'\n"
            }
        ),
        "run:dkms status": ran(
            f"amdgpu/{DKMS}: added\nError! Could not locate dkms.conf file.\n"
            f"File: {tree}/amdgpu/{STALE}/source/dkms.conf does not exist.\n"
        ),
    }


def _leftovers() -> Answers:
    info = "/var/lib/dpkg/info"
    return {
        "list:/opt": text("amdgpu/\ngoogle/\nrocm@\nrocm-5.4.3/\nrocm-5.7.0/\n"),
        "link:/opt/rocm": text("/etc/alternatives/rocm"),
        "link:/etc/alternatives/rocm": text("/opt/rocm-5.7.0"),
        "list:/var/backups/rocmdoctor": {"ok": False, "why": "absent"},
        _OWNERS: ran(
            f"{info}/rocm-core.list:/opt/rocm-5.7.0\n{info}/libdrm-amdgpu-amdgpu1.list:/opt/amdgpu\n"
            f"{info}/hipcc.list:/opt/rocm-5.7.0\n"
        ),
        "list:/etc/OpenCL/vendors": text("amdocl64_50403_121.icd\nmesa.icd\n"),
        "list:/etc/profile.d": text("bash_completion.sh\nrocm.sh\n"),
        _OWNERS_ETC: ran(code=1),
        "list:/home/ann": text("amdgpu-install_6.0.60002-1_all.deb\nDownloads/\nthesis.tex\n"),
        "run:find /etc/alternatives -maxdepth 1 '(' -lname '/opt/rocm*' -o -lname '/opt/amdgpu*' ')' -printf '%f\t%l\t%Y\n'": ran(
            "rocm\t/opt/rocm-5.7.0\td\nrocminfo\t/opt/rocm-5.4.3/bin/rocminfo\tN\n"
        ),
    }


@cache
def _built() -> Answers:
    answers = build(Spec("used", gpus=(MI210,), rocm="5.7.0"))
    answers |= _sources() | _trees("5.15.0-119-generic") | _leftovers()
    packages = status(BASE | OWN | NVIDIA | ROCM | DRIVER).replace(
        "Package: amdgpu-dkms\n", "Package: amdgpu-dkms\nStatus: install ok half-configured\n"
    )
    gone = "Package: rocm-opencl\nStatus: deinstall ok config-files\nVersion: 2.0.0.50403-121~22.04\n"
    answers["read:/var/lib/dpkg/status"] = text(packages + gone)
    return answers


def used(*, nvidia: bool = False) -> Answers:
    """The answers of that machine, with a GeForce beside or without; a copy that may be changed."""
    answers = {key: dict(value) for key, value in _built().items()}
    if nvidia:
        bus = "glob:/sys/bus/pci/devices/*/uevent"
        cards = {**answers[bus]["files"], "/sys/bus/pci/devices/0000:01:00.0/uevent": GEFORCE}
        answers[bus] = files(cards)
    return answers
