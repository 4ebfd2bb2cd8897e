"""Plans of AMD's driver and ROCm for machines that people have, as they were reviewed, and what is refused, word by word."""

from __future__ import annotations

from typing import Any

import pytest

from rocmdoctor.actions import Fetch, Plan
from rocmdoctor.planning.choose import grouped
from rocmdoctor.planning.plan import RefusedError
from tests.machines.families import family
from tests.machines.used import DRIVER, NVIDIA, ROCM, used
from tests.planning.boxes import MOK, TOO_NEW, Box, answers_of, plan, planned, refused, summary
from tests.planning.rules import broken, needs_facts

WSL = "5.15.153.1-microsoft-standard-WSL2"
PLANS: list[tuple[str, Box, dict[str, Any], str]] = [
    (
        "clean 22.04 with an MI210",
        Box(),
        {},
        """\
amdgpu-driver 30.30.4 dkms
rocm 7.2.4 amd
amdgpu-driver.kernel-modules.1: apt-get update
amdgpu-driver.kernel-modules.2: apt-get install linux-modules-extra-5.15.0-119-generic
amdgpu-driver.headers.2: apt-get install linux-headers-5.15.0-119-generic
amdgpu-driver.repository.1: < https://repo.radeon.com/rocm/rocm.gpg.key CA8BB4727A47B4D09B4EE8969386B48A1A693C5C
amdgpu-driver.repository.2: + /etc/apt/sources.list.d/rocmdoctor-amdgpu.sources
amdgpu-driver.repository.3: apt-get update
amdgpu-driver.packages.2: apt-get install amdgpu-dkms
rocm.pin: + /etc/apt/preferences.d/rocmdoctor-rocm
rocm.repository.1: < https://repo.radeon.com/rocm/rocm.gpg.key CA8BB4727A47B4D09B4EE8969386B48A1A693C5C
rocm.repository.2: + /etc/apt/sources.list.d/rocmdoctor-rocm.sources
rocm.repository.3: apt-get update
rocm.packages.2: apt-get install rocm-hip-runtime-dev rocminfo rocm-smi-lib amd-smi-lib
amdgpu-driver.reboot: reboot: AMD's driver 30.30.4 is loaded
""",
    ),
    (
        "clean 22.04 with an MI210, and the release of 2024",
        Box(),
        {"rocm": "6.0.2"},
        """\
amdgpu-driver 6.0.2 dkms
rocm 6.0.2 amd
amdgpu-driver.kernel-modules.1: apt-get update
amdgpu-driver.kernel-modules.2: apt-get install linux-modules-extra-5.15.0-119-generic
amdgpu-driver.headers.2: apt-get install linux-headers-5.15.0-119-generic
amdgpu-driver.repository.1: < https://repo.radeon.com/rocm/rocm.gpg.key CA8BB4727A47B4D09B4EE8969386B48A1A693C5C
amdgpu-driver.repository.2: + /etc/apt/sources.list.d/rocmdoctor-amdgpu.sources
amdgpu-driver.repository.3: apt-get update
amdgpu-driver.packages.2: apt-get install amdgpu-dkms
rocm.pin: + /etc/apt/preferences.d/rocmdoctor-rocm
rocm.repository.1: < https://repo.radeon.com/rocm/rocm.gpg.key CA8BB4727A47B4D09B4EE8969386B48A1A693C5C
rocm.repository.2: + /etc/apt/sources.list.d/rocmdoctor-rocm.sources
rocm.repository.3: apt-get update
rocm.packages.2: apt-get install rocm-hip-runtime-dev rocminfo rocm-smi-lib amd-smi-lib
amdgpu-driver.reboot: reboot: AMD's driver 6.0.2 is loaded
""",
    ),
    (
        "24.04 with an HWE kernel that no driver of the wanted ROCm is for",
        Box(os="ubuntu-24.04", kernel="6.17.0-19-generic"),
        {"rocm": "6.2"},
        """\
amdgpu-driver 0+kernel kernel
rocm 6.2.4 amd
rocm.pin: + /etc/apt/preferences.d/rocmdoctor-rocm
rocm.repository.1: < https://repo.radeon.com/rocm/rocm.gpg.key CA8BB4727A47B4D09B4EE8969386B48A1A693C5C
rocm.repository.2: + /etc/apt/sources.list.d/rocmdoctor-rocm.sources
rocm.repository.3: apt-get update
rocm.packages.2: apt-get install rocm-hip-runtime-dev rocminfo rocm-smi-lib amd-smi-lib
note: amdgpu-driver is the kernel's own: 6.2.4 (dkms): it needs kernel >=5.15,<6.9, and here is 6.17.0
""",
    ),
    (
        "24.04 with an HWE kernel that the newest ROCm's driver does not build on, and a newer driver does",
        Box(os="ubuntu-24.04", kernel="7.0.0-14-generic"),
        {},
        """\
amdgpu-driver 31.50 dkms
rocm 7.2.4 amd
amdgpu-driver.kernel-modules.1: apt-get update
amdgpu-driver.kernel-modules.2: apt-get install linux-modules-extra-7.0.0-14-generic
amdgpu-driver.headers.2: apt-get install linux-headers-7.0.0-14-generic
amdgpu-driver.repository.1: < https://repo.radeon.com/rocm/rocm.gpg.key CA8BB4727A47B4D09B4EE8969386B48A1A693C5C
amdgpu-driver.repository.2: + /etc/apt/sources.list.d/rocmdoctor-amdgpu.sources
amdgpu-driver.repository.3: apt-get update
amdgpu-driver.packages.2: apt-get install amdgpu-dkms
rocm.pin: + /etc/apt/preferences.d/rocmdoctor-rocm
rocm.repository.1: < https://repo.radeon.com/rocm/rocm.gpg.key CA8BB4727A47B4D09B4EE8969386B48A1A693C5C
rocm.repository.2: + /etc/apt/sources.list.d/rocmdoctor-rocm.sources
rocm.repository.3: apt-get update
rocm.packages.2: apt-get install rocm-hip-runtime-dev rocminfo rocm-smi-lib amd-smi-lib
amdgpu-driver.reboot: reboot: AMD's driver 31.50 is loaded
""",
    ),
    (
        "24.04 with a kernel that is too new for all of them",
        Box(os="ubuntu-24.04", kernel=TOO_NEW),
        {},
        """\
amdgpu-driver 0+kernel kernel
rocm 7.2.4 amd
rocm.pin: + /etc/apt/preferences.d/rocmdoctor-rocm
rocm.repository.1: < https://repo.radeon.com/rocm/rocm.gpg.key CA8BB4727A47B4D09B4EE8969386B48A1A693C5C
rocm.repository.2: + /etc/apt/sources.list.d/rocmdoctor-rocm.sources
rocm.repository.3: apt-get update
rocm.packages.2: apt-get install rocm-hip-runtime-dev rocminfo rocm-smi-lib amd-smi-lib
note: amdgpu-driver is the kernel's own: 30.30.4 (dkms): it needs kernel >=5.15,<6.18, and here is 7.2.0
""",
    ),
    (
        "Secure Boot is on",
        Box(locked=True),
        {},
        """\
amdgpu-driver 0+locked kernel
rocm 7.2.4 amd
rocm.pin: + /etc/apt/preferences.d/rocmdoctor-rocm
rocm.repository.1: < https://repo.radeon.com/rocm/rocm.gpg.key CA8BB4727A47B4D09B4EE8969386B48A1A693C5C
rocm.repository.2: + /etc/apt/sources.list.d/rocmdoctor-rocm.sources
rocm.repository.3: apt-get update
rocm.packages.2: apt-get install rocm-hip-runtime-dev rocminfo rocm-smi-lib amd-smi-lib
note: amdgpu-driver is the kernel's own: Secure Boot is on and DKMS has no enrolled key, so the kernel would refuse AMD's; '--driver dkms' tells how to enrol one
""",
    ),
    (
        "MI300X wanting 6.0",
        Box("gfx942"),
        {"rocm": "6.0"},
        """\
amdgpu-driver 6.0.2 dkms
rocm 6.0.2 amd
amdgpu-driver.kernel-modules.1: apt-get update
amdgpu-driver.kernel-modules.2: apt-get install linux-modules-extra-5.15.0-119-generic
amdgpu-driver.headers.2: apt-get install linux-headers-5.15.0-119-generic
amdgpu-driver.repository.1: < https://repo.radeon.com/rocm/rocm.gpg.key CA8BB4727A47B4D09B4EE8969386B48A1A693C5C
amdgpu-driver.repository.2: + /etc/apt/sources.list.d/rocmdoctor-amdgpu.sources
amdgpu-driver.repository.3: apt-get update
amdgpu-driver.packages.2: apt-get install amdgpu-dkms
rocm.pin: + /etc/apt/preferences.d/rocmdoctor-rocm
rocm.repository.1: < https://repo.radeon.com/rocm/rocm.gpg.key CA8BB4727A47B4D09B4EE8969386B48A1A693C5C
rocm.repository.2: + /etc/apt/sources.list.d/rocmdoctor-rocm.sources
rocm.repository.3: apt-get update
rocm.packages.2: apt-get install rocm-hip-runtime-dev rocminfo rocm-smi-lib amd-smi-lib
amdgpu-driver.reboot: reboot: AMD's driver 6.0.2 is loaded, and the kernel starts with pci=realloc=off
""",
    ),
    (
        "MI300X wanting 6.0 on an HWE kernel",
        Box("gfx942", kernel="6.8.0-47-generic"),
        {"rocm": "6.0"},
        """\
amdgpu-driver 0+kernel kernel
rocm 6.0.2 amd
rocm.pin: + /etc/apt/preferences.d/rocmdoctor-rocm
rocm.repository.1: < https://repo.radeon.com/rocm/rocm.gpg.key CA8BB4727A47B4D09B4EE8969386B48A1A693C5C
rocm.repository.2: + /etc/apt/sources.list.d/rocmdoctor-rocm.sources
rocm.repository.3: apt-get update
rocm.packages.2: apt-get install rocm-hip-runtime-dev rocminfo rocm-smi-lib amd-smi-lib
note: amdgpu-driver is the kernel's own: 6.0.2 (dkms): it needs kernel >=5.15,<6.6, and here is 6.8.0
""",
    ),
    (
        "a 7900 XTX with an integrated GPU",
        Box("gfx1100 with a processor's", "ubuntu-24.04"),
        {},
        """\
amdgpu-driver 30.30.4 dkms
rocm 7.2.4 amd
amdgpu-driver.kernel-modules.1: apt-get update
amdgpu-driver.kernel-modules.2: apt-get install linux-modules-extra-6.8.0-45-generic
amdgpu-driver.headers.2: apt-get install linux-headers-6.8.0-45-generic
amdgpu-driver.repository.1: < https://repo.radeon.com/rocm/rocm.gpg.key CA8BB4727A47B4D09B4EE8969386B48A1A693C5C
amdgpu-driver.repository.2: + /etc/apt/sources.list.d/rocmdoctor-amdgpu.sources
amdgpu-driver.repository.3: apt-get update
amdgpu-driver.packages.2: apt-get install amdgpu-dkms
rocm.pin: + /etc/apt/preferences.d/rocmdoctor-rocm
rocm.repository.1: < https://repo.radeon.com/rocm/rocm.gpg.key CA8BB4727A47B4D09B4EE8969386B48A1A693C5C
rocm.repository.2: + /etc/apt/sources.list.d/rocmdoctor-rocm.sources
rocm.repository.3: apt-get update
rocm.packages.2: apt-get install rocm-hip-runtime-dev rocminfo rocm-smi-lib amd-smi-lib
amdgpu-driver.reboot: reboot: AMD's driver 30.30.4 is loaded
note: AMD Radeon 610M (gfx1036) is part of the processor and is left out; --arch names it if it is meant
""",
    ),
    (
        "gfx1030",
        Box("gfx1030"),
        {},
        """\
amdgpu-driver 30.30.4 dkms
rocm 7.2.4 amd
amdgpu-driver.kernel-modules.1: apt-get update
amdgpu-driver.kernel-modules.2: apt-get install linux-modules-extra-5.15.0-119-generic
amdgpu-driver.headers.2: apt-get install linux-headers-5.15.0-119-generic
amdgpu-driver.repository.1: < https://repo.radeon.com/rocm/rocm.gpg.key CA8BB4727A47B4D09B4EE8969386B48A1A693C5C
amdgpu-driver.repository.2: + /etc/apt/sources.list.d/rocmdoctor-amdgpu.sources
amdgpu-driver.repository.3: apt-get update
amdgpu-driver.packages.2: apt-get install amdgpu-dkms
rocm.pin: + /etc/apt/preferences.d/rocmdoctor-rocm
rocm.repository.1: < https://repo.radeon.com/rocm/rocm.gpg.key CA8BB4727A47B4D09B4EE8969386B48A1A693C5C
rocm.repository.2: + /etc/apt/sources.list.d/rocmdoctor-rocm.sources
rocm.repository.3: apt-get update
rocm.packages.2: apt-get install rocm-hip-runtime-dev rocminfo rocm-smi-lib amd-smi-lib
amdgpu-driver.reboot: reboot: AMD's driver 30.30.4 is loaded
""",
    ),
    (
        "gfx1032, which AMD lists nowhere",
        Box("gfx1032", "ubuntu-24.04"),
        {},
        """\
amdgpu-driver 0+kernel kernel
rocm 5.7.1 distro
rocm.packages.1: apt-get update
rocm.packages.2: apt-get install rocminfo hipcc rocm-smi libamdhip64-dev
note: amdgpu-driver is the kernel's own: 31.50 (dkms): the distribution's ROCm goes with the kernel's own driver
""",
    ),
    (
        "gfx908 wanting the newest",
        Box("gfx908", "ubuntu-24.04"),
        {},
        """\
amdgpu-driver 30.30.4 dkms
rocm 7.2.4 amd
amdgpu-driver.kernel-modules.1: apt-get update
amdgpu-driver.kernel-modules.2: apt-get install linux-modules-extra-6.8.0-45-generic
amdgpu-driver.headers.2: apt-get install linux-headers-6.8.0-45-generic
amdgpu-driver.repository.1: < https://repo.radeon.com/rocm/rocm.gpg.key CA8BB4727A47B4D09B4EE8969386B48A1A693C5C
amdgpu-driver.repository.2: + /etc/apt/sources.list.d/rocmdoctor-amdgpu.sources
amdgpu-driver.repository.3: apt-get update
amdgpu-driver.packages.2: apt-get install amdgpu-dkms
rocm.pin: + /etc/apt/preferences.d/rocmdoctor-rocm
rocm.repository.1: < https://repo.radeon.com/rocm/rocm.gpg.key CA8BB4727A47B4D09B4EE8969386B48A1A693C5C
rocm.repository.2: + /etc/apt/sources.list.d/rocmdoctor-rocm.sources
rocm.repository.3: apt-get update
rocm.packages.2: apt-get install rocm-hip-runtime-dev rocminfo rocm-smi-lib amd-smi-lib
amdgpu-driver.reboot: reboot: AMD's driver 30.30.4 is loaded
""",
    ),
    (
        "Debian 12",
        Box(os="debian-12"),
        {},
        """\
amdgpu-driver 0+kernel kernel
rocm 5.2.3 distro
rocm.packages.1: apt-get update
rocm.packages.2: apt-get install rocminfo hipcc rocm-smi libamdhip64-dev
note: amdgpu-driver is the kernel's own: 31.50 (dkms): it is for ubuntu-22.04, ubuntu-24.04, ubuntu-26.04, and this is debian-12
""",
    ),
    (
        "under Windows",
        Box("gfx1100", kernel=WSL, inside="wsl", rocm="6.2.4"),
        {"arch": "gfx1100"},
        """\
rocm 0.2+installed
note: no GPU of gfx1100 is seen here: what is built is compiled for it and not run
note: amdgpu-driver is left out: it is not for machines with Windows around it
note: rocm is the one that is here: under Windows ROCm comes with a runtime of its own
note: under Windows the GPU's driver is Windows' own; nothing of the kernel is changed here
""",
    ),
    (
        "a container with AMD's image",
        Box(inside="container", rocm="6.2.4"),
        {},
        """\
rocm 0+installed
note: amdgpu-driver is left out: it is not for machines with a container around it
note: rocm is the one that is here: this container comes with a ROCm of AMD's
""",
    ),
    (
        "a bare container",
        Box(inside="container"),
        {},
        """\
rocm 7.2.4 amd
rocm.pin: + /etc/apt/preferences.d/rocmdoctor-rocm
rocm.repository.1: < https://repo.radeon.com/rocm/rocm.gpg.key CA8BB4727A47B4D09B4EE8969386B48A1A693C5C
rocm.repository.2: + /etc/apt/sources.list.d/rocmdoctor-rocm.sources
rocm.repository.3: apt-get update
rocm.packages.2: apt-get install rocm-hip-runtime-dev rocminfo rocm-smi-lib amd-smi-lib
note: amdgpu-driver is left out: it is not for machines with a container around it
""",
    ),
    (
        "an NVIDIA and an AMD GPU",
        Box(nvidia=True),
        {},
        """\
amdgpu-driver 30.30.4 dkms
rocm 7.2.4 amd
amdgpu-driver.kernel-modules.1: apt-get update
amdgpu-driver.kernel-modules.2: apt-get install linux-modules-extra-5.15.0-119-generic
amdgpu-driver.headers.2: apt-get install linux-headers-5.15.0-119-generic
amdgpu-driver.repository.1: < https://repo.radeon.com/rocm/rocm.gpg.key CA8BB4727A47B4D09B4EE8969386B48A1A693C5C
amdgpu-driver.repository.2: + /etc/apt/sources.list.d/rocmdoctor-amdgpu.sources
amdgpu-driver.repository.3: apt-get update
amdgpu-driver.packages.2: apt-get install amdgpu-dkms
rocm.pin: + /etc/apt/preferences.d/rocmdoctor-rocm
rocm.repository.1: < https://repo.radeon.com/rocm/rocm.gpg.key CA8BB4727A47B4D09B4EE8969386B48A1A693C5C
rocm.repository.2: + /etc/apt/sources.list.d/rocmdoctor-rocm.sources
rocm.repository.3: apt-get update
rocm.packages.2: apt-get install rocm-hip-runtime-dev rocminfo rocm-smi-lib amd-smi-lib
amdgpu-driver.reboot: reboot: AMD's driver 30.30.4 is loaded
note: cuda-toolkit-12-4, nvidia-driver-550 stay: an NVIDIA GPU is here
""",
    ),
    (
        "a Ryzen processor alone",
        Box("gfx1151", "ubuntu-24.04", "6.17.0-19-generic"),
        {},
        """\
amdgpu-driver 0+apu kernel
rocm 7.2.4 amd
rocm.pin: + /etc/apt/preferences.d/rocmdoctor-rocm
rocm.repository.1: < https://repo.radeon.com/rocm/rocm.gpg.key CA8BB4727A47B4D09B4EE8969386B48A1A693C5C
rocm.repository.2: + /etc/apt/sources.list.d/rocmdoctor-rocm.sources
rocm.repository.3: apt-get update
rocm.packages.2: apt-get install rocm-hip-runtime-dev rocminfo rocm-smi-lib amd-smi-lib
note: amdgpu-driver is the kernel's own: AMD wants the kernel's own driver for GPUs of Ryzen processors
""",
    ),
    (
        "a kernel of one's own",
        Box(packaged=False),
        {},
        """\
amdgpu-driver 0+headers kernel
rocm 7.2.4 amd
rocm.pin: + /etc/apt/preferences.d/rocmdoctor-rocm
rocm.repository.1: < https://repo.radeon.com/rocm/rocm.gpg.key CA8BB4727A47B4D09B4EE8969386B48A1A693C5C
rocm.repository.2: + /etc/apt/sources.list.d/rocmdoctor-rocm.sources
rocm.repository.3: apt-get update
rocm.packages.2: apt-get install rocm-hip-runtime-dev rocminfo rocm-smi-lib amd-smi-lib
note: amdgpu-driver is the kernel's own: the running kernel comes from no package and has no headers here, so DKMS cannot build AMD's for it
""",
    ),
    (
        "the newest layout, with the key named",
        Box(),
        {"rocm": "10.0", "trust_key": "0123456789ABCDEF0123456789ABCDEF01234567"},
        """\
amdgpu-driver 31.50 dkms
rocm 10.0.0 amd
amdgpu-driver.kernel-modules.1: apt-get update
amdgpu-driver.kernel-modules.2: apt-get install linux-modules-extra-5.15.0-119-generic
amdgpu-driver.headers.2: apt-get install linux-headers-5.15.0-119-generic
amdgpu-driver.repository.1: < https://repo.radeon.com/rocm/rocm.gpg.key CA8BB4727A47B4D09B4EE8969386B48A1A693C5C
amdgpu-driver.repository.2: + /etc/apt/sources.list.d/rocmdoctor-amdgpu.sources
amdgpu-driver.repository.3: apt-get update
amdgpu-driver.packages.2: apt-get install amdgpu-dkms
rocm.repository.1: < https://stable.repo.amd.com/rocm/gpg/packages.gpg 0123456789ABCDEF0123456789ABCDEF01234567
rocm.repository.2: + /etc/apt/sources.list.d/rocmdoctor-rocm.sources
rocm.repository.3: apt-get update
rocm.packages.2: apt-get install amdrocm-core-sdk10.0-gfx90a
amdgpu-driver.reboot: reboot: AMD's driver 31.50 is loaded
""",
    ),
    (
        "a mirror with a key of its own",
        Box(),
        {"mirror": "http://127.0.0.1:8080", "trust_key": "0123456789ABCDEF0123456789ABCDEF01234567"},
        """\
amdgpu-driver 30.30.4 dkms
rocm 7.2.4 amd
amdgpu-driver.kernel-modules.1: apt-get update
amdgpu-driver.kernel-modules.2: apt-get install linux-modules-extra-5.15.0-119-generic
amdgpu-driver.headers.2: apt-get install linux-headers-5.15.0-119-generic
amdgpu-driver.repository.1: < http://127.0.0.1:8080/rocm/rocm.gpg.key 0123456789ABCDEF0123456789ABCDEF01234567
amdgpu-driver.repository.2: + /etc/apt/sources.list.d/rocmdoctor-amdgpu.sources
amdgpu-driver.repository.3: apt-get update
amdgpu-driver.packages.2: apt-get install amdgpu-dkms
rocm.pin: + /etc/apt/preferences.d/rocmdoctor-rocm
rocm.repository.1: < http://127.0.0.1:8080/rocm/rocm.gpg.key 0123456789ABCDEF0123456789ABCDEF01234567
rocm.repository.2: + /etc/apt/sources.list.d/rocmdoctor-rocm.sources
rocm.repository.3: apt-get update
rocm.packages.2: apt-get install rocm-hip-runtime-dev rocminfo rocm-smi-lib amd-smi-lib
amdgpu-driver.reboot: reboot: AMD's driver 30.30.4 is loaded
""",
    ),
    (
        "a user without root",
        Box(),
        {"no_root": True},
        """\
amdgpu-driver 31.50 dkms
rocm 10.0.0 pip
rocm.venv: python3 -m venv /home/ann/.local/share/rocmdoctor/rocm-10.0.0
rocm.wheels: /home/ann/.local/share/rocmdoctor/rocm-10.0.0/bin/pip install --index-url https://stable.repo.amd.com/rocm/whl-next/ rocm[libraries,devel,device-gfx90a]==10.0.0
""",
    ),
]


@pytest.mark.parametrize(("box", "wish", "expected"), [p[1:] for p in PLANS], ids=[p[0] for p in PLANS])
def test_a_plan_is_as_it_was_reviewed(box: Box, wish: dict[str, Any], expected: str) -> None:
    assert summary(plan(box, **wish), "amdgpu-driver", "rocm") == expected


@needs_facts
@pytest.mark.parametrize(("box", "wish"), [p[1:3] for p in PLANS if "mirror" not in p[2]])
def test_a_plan_is_borne_out_by_the_facts(box: Box, wish: dict[str, Any]) -> None:
    assert broken(plan(box, **wish), box) == []


# ---------------------------------------------------------------- a used machine


def test_a_used_machine_is_cleared_before_the_newest_is_installed() -> None:
    made = planned(used(), arch="gfx90a")
    assert (made.choice["rocm"].version, made.choice["amdgpu-driver"].version) == ("7.2.4", "30.30.4")
    recipes = list(dict.fromkeys(a.recipe for a in made.actions if not isinstance(a.do, Fetch)))
    assert recipes[:3] == ["purge", "amdgpu-driver", "rocm"]
    assert {*ROCM, *DRIVER, *NVIDIA} <= {name for a in made.actions for name in a.removes}
    assert made.notes[0] == "ROCm 5.7.0 of AMD's is here, and 7.2.4 takes its place; --rocm 5.7.0 keeps it"


@needs_facts
@pytest.mark.parametrize("nvidia", [False, True])
@pytest.mark.parametrize("rocm", [None, "6.0.2", "5.7.0"])
def test_a_used_machine_s_plan_is_borne_out_by_the_facts(rocm: str | None, *, nvidia: bool) -> None:
    made = planned(used(nvidia=nvidia), arch="gfx90a", rocm=rocm)
    assert broken(made, Box(nvidia=nvidia)) == []


def test_the_rocm_that_is_wanted_and_here_is_kept() -> None:
    made = planned(used(), arch="gfx90a", rocm="5.7.0")
    gone = {name for a in made.actions for name in a.removes}
    assert not gone & set(ROCM)
    assert "amdgpu-dkms" in gone
    # Its own driver did not build here.
    driver = made.choice["amdgpu-driver"]
    assert driver.version == "6.1.3"
    assert driver.others["5.7.0 (dkms)"] == (
        "its module 6.2.4-1652687.22.04 did not build here for 5.15.0-119-generic: drm.c:3:10: error: too few arguments to "
        "function 'drm_init'"
    )


def test_a_driver_of_dkms_that_serves_is_kept_where_it_goes_with_rocm() -> None:
    made = planned(family("mi210-dkms"), rocm="6.2.4")
    assert summary(made, "amdgpu-driver").splitlines()[:2] == [
        "amdgpu-driver 0+installed kept",
        "rocm 6.2.4 amd",
    ]
    assert not [a for a in made.actions if a.recipe == "amdgpu-driver"]
    assert (
        "amdgpu-driver is the one that is here: AMD's driver that is here serves this kernel and this ROCm"
        in made.notes
    )
    newer = planned(family("mi210-dkms"))
    assert newer.choice["amdgpu-driver"].version != "0+installed"
    assert (
        "rocm 7.2.4 needs amdgpu-driver >=6.4,<32"
        in newer.choice["amdgpu-driver"].others["0+installed (kept)"]
    )


def test_a_container_s_rocm_goes_with_the_driver_of_its_host() -> None:
    answers = answers_of(Box(inside="container"))
    answers["read:/sys/module/amdgpu/version"] = {"ok": True, "text": "6.3.6\n"}
    answers["stat:/sys/module/amdkcl"] = {"ok": True, "text": "dir 0755 root root"}
    made = planned(answers)
    assert made.choice["rocm"].version == "6.2.4"
    assert made.choice["rocm"].others["6.3.0 (amd)"] == "it needs amdgpu-driver >=6.1,<31.40, and here is 6.0"


# ---------------------------------------------------------------- why others fell out


def test_others_say_why_and_are_told_in_groups() -> None:
    others = grouped(plan(Box("gfx906")).choice["rocm"].others)
    said = {name: why for name, why in others if "+" not in name}
    assert said["7.2.4 to 7.2.0 (5 releases) (amd)"] == (
        "it is for gfx908, gfx90a, gfx942, gfx950, gfx1030, gfx1100, gfx1101, gfx1200, gfx1201, gfx1150, gfx1151, and the "
        "target here is gfx906"
    )
    assert said["6.1.5 (amd)"] == "only a tag of its source is known, no packages"
    assert said["6.2.2 to 5.4.0 (19 releases) (amd)"] == "an earlier one in the recipe's order fits"


def _left_out(made: Plan, recipe: str) -> dict[str, str]:
    return {name: why for name, why in made.left_out.items() if name.startswith(recipe)}


def test_what_is_left_out_says_why_the_kernel_s_own_driver_serves() -> None:
    made = plan(Box(locked=True))
    assert _left_out(made, "amdgpu-driver")["amdgpu-driver.packages"] == (
        "it is for releases from dkms, and the chosen one is the kernel's own (Secure Boot is on and DKMS has no enrolled key, "
        "so the kernel would refuse AMD's; '--driver dkms' tells how to enrol one)"
    )
    assert _left_out(plan(Box(inside="container")), "amdgpu-driver") == {
        "amdgpu-driver": "it is not for machines with a container around it"
    }


def test_without_root_an_administrator_is_told_the_rest() -> None:
    left = plan(Box(), no_root=True).left_out
    assert left["amdgpu-driver.packages.2"] == "needs root; for an administrator: install amdgpu-dkms"
    assert left["amdgpu-driver.headers.2"].startswith(
        "needs root; for an administrator: install linux-headers-"
    )


# ---------------------------------------------------------------- refusals

REFUSALS: list[tuple[Box, dict[str, Any], str, str]] = [
    (
        Box("gfx942", "ubuntu-24.04"),
        {"rocm": "6.0"},
        (
            "--rocm 6.0 and this machine do not go together: rocm 6.0.2, 6.0.0 (amd): it is for ubuntu-20.04, ubuntu-22.04, and "
            "this is ubuntu-24.04"
        ),
        (
            "Without --rocm 6.0: rocm 7.2.4 from amd, amdgpu-driver 30.30.4 from dkms. 'rocmdoctor recipe show rocm' shows what "
            "each release is for."
        ),
    ),
    (
        Box("gfx1201"),
        {"rocm": "6.2.4", "arch": "gfx1201"},
        (
            "--rocm 6.2.4 --arch gfx1201 and this machine do not go together: rocm 6.2.4 (amd): it is for gfx906, gfx908, gfx90a, "
            "gfx942, gfx1030, gfx1100, and the target here is gfx1201"
        ),
        (
            "Without --rocm 6.2.4: rocm 7.2.4 from amd, amdgpu-driver 30.30.4 from dkms. 'rocmdoctor recipe show rocm' shows what "
            "each release is for."
        ),
    ),
    (
        Box(os="ubuntu-24.04", kernel="6.17.0-19-generic"),
        {"rocm": "6.2.4", "driver": "dkms"},
        (
            "--rocm 6.2.4 and --driver dkms do not go together here: amdgpu-driver 31.50 to 30.30 (8 releases) (dkms): rocm "
            "6.2.4 needs amdgpu-driver >=6.0,<30.20; 30.20.1 to 30.10 (5 releases) (dkms): it needs kernel >=5.15,<6.15, and here "
            "is 6.17.0; 6.4.4 to 6.3.0 (10 releases) (dkms): it needs kernel >=5.15,<6.12, and here is 6.17.0; 6.2.4, 6.2.2, 6.2.1 "
            "(dkms): it needs kernel >=5.15,<6.9, and here is 6.17.0; 6.2.0 (dkms): it needs kernel >=5.15,<6.8, and here is "
            "6.17.0; 6.1.3 to 5.4.0 (16 releases) (dkms): it is for ubuntu-20.04, ubuntu-22.04, and this is ubuntu-24.04"
        ),
        (
            "Without --rocm 6.2.4: rocm 7.2.4 from amd, amdgpu-driver 30.30.4 from dkms. Without --driver dkms: rocm 6.2.4 from "
            "amd, amdgpu-driver the kernel's own. 'rocmdoctor recipe show amdgpu-driver' shows what each release is for."
        ),
    ),
    (
        Box(),
        {"rocm": "10.0"},
        (
            "--rocm 10.0 and this machine do not go together: rocm 10.0.0 (amd): the fingerprint of the key that signs it is "
            "published nowhere that could be checked; --rocm 10.0.0 --trust-key FPR takes it; 10.0.0 (pip): it is taken with "
            "--no-root, or when it is asked for: --rocm-source pip"
        ),
        (
            "Without --rocm 10.0: rocm 7.2.4 from amd, amdgpu-driver 30.30.4 from dkms. 'rocmdoctor recipe show rocm' shows what "
            "each release is for."
        ),
    ),
    (
        Box(),
        {"rocm": "4.5"},
        (
            "--rocm 4.5: rocmdoctor knows no such release of rocm; there are 10.1.0 to 5.4.0 (48 releases) (amd), 7.1.1, 5.7.1, "
            "5.2.3 (distro), 10.0.0, 7.14.0 (pip)"
        ),
        (
            "Without --rocm 4.5: rocm 7.2.4 from amd, amdgpu-driver 30.30.4 from dkms. 'rocmdoctor recipe show rocm' shows what "
            "each release is for."
        ),
    ),
    (
        Box(locked=True),
        {"driver": "dkms"},
        (
            f"amdgpu-driver.ready: Secure Boot is on, and the key {MOK} that DKMS signs with is not enrolled: the kernel would "
            "refuse the module"
        ),
        (
            f"Enrol it once: (1) 'sudo mokutil --import {MOK}' asks for a password of your choice, twice; (2) 'sudo reboot'; (3) a "
            "blue screen, MOK management, waits ten seconds for a key, on the machine's own display: choose Enroll MOK, Continue, "
            f"Yes, type that password, Reboot; (4) 'mokutil --test-key {MOK}' says 'is already enrolled'; then ask for this again. "
            "Or take the kernel's own driver, which is signed: --driver kernel."
        ),
    ),
]


@pytest.mark.parametrize(("box", "wish", "says", "instead"), REFUSALS)
def test_what_cannot_be_says_which_demands_collide_and_what_to_give_up(
    box: Box, wish: dict[str, Any], says: str, instead: str
) -> None:
    assert refused(box, **wish) == (says, instead)


def test_a_driver_for_a_container_is_refused_by_name() -> None:
    says, _ = refused(Box(inside="container"), "amdgpu-driver")
    assert says == "amdgpu-driver: it is not for machines with a container around it"


def test_nothing_is_planned_where_the_wish_contradicts_the_gpu() -> None:
    with pytest.raises(RefusedError, match="code for gfx1100 would not run on it"):
        plan(Box(), arch="gfx1100")


def test_an_older_release_is_not_put_over_a_newer_one_that_stays() -> None:
    says, _ = refused(Box(rocm="6.2.4"), "rocm", rocm="6.0.2")
    assert says == (
        "--rocm 6.0.2 and this machine do not go together: rocm 6.0.2 (amd): ROCm 6.2.4 of AMD's is here and must go first; "
        "'rocmdoctor install base' sees to that"
    )
    assert plan(Box(rocm="6.2.4"), rocm="6.0.2").choice["rocm"].version == "6.0.2"
    assert plan(Box(rocm="6.2.4"), "rocm").choice["rocm"].version == "7.2.4"


# ---------------------------------------------------------------- libraries


def _libraries(box: Box, *targets: str, **wish: Any) -> list[str]:
    made = plan(box, *targets, **wish)
    return [word for a in made.actions if a.recipe == "rocm-libraries" for word in a.installs]


@pytest.mark.parametrize(
    ("box", "wish", "some", "none"),
    [
        (Box(), {}, {"hipblas-dev", "hipblaslt-dev", "hiprand-dev"}, {"libhipblas-dev"}),
        (Box(), {"rocm": "5.7"}, {"hipblaslt-dev", "rocrand-dev"}, {"hiprand-dev"}),
        (Box(), {"rocm": "5.4"}, {"hipblas-dev", "rocrand-dev"}, {"hipblaslt-dev"}),
        (Box(os="debian-13"), {}, {"libhipblas-dev"}, {"hipblas-dev"}),
    ],
)
def test_libraries_come_from_where_rocm_comes_from(
    box: Box, wish: dict[str, Any], some: set[str], none: set[str]
) -> None:
    names = set(_libraries(box, "rocm", "rocm-libraries", **wish))
    assert some <= names
    assert not none & names


def test_libraries_alone_want_a_rocm_or_are_the_distribution_s() -> None:
    assert "libhipblas-dev" in _libraries(Box(os="debian-13"), "rocm-libraries")
    assert "hipblas-dev" in _libraries(Box(rocm="6.2.4"), "rocm-libraries")
    says, _ = refused(Box(), "rocm-libraries")
    assert "no ROCm of AMD's is here whose repository has it; name rocm beside rocm-libraries" in says
