"""dpkg, apt's sources, keys and pins: AMD's ROCm from AMD's repository where the machine has one."""

from __future__ import annotations

from tests.machines.parts import ABSENT, Answers, Spec, files, ran, text

KEYRING = "/etc/apt/keyrings/rocm.gpg"
SHOW_KEYS = (
    "run:gpg --batch --no-options --no-keyring --no-autostart --homedir /proc --trust-model always "
    f"--fast-list-mode --with-colons --show-keys {KEYRING}"
)
_UBUNTU = {"jammy": "22.04", "noble": "24.04"}


def release_code(version: str) -> str:
    """The digits of a ROCm release in package versions."""
    major, minor, patch = (int(n) for n in version.split("."))
    return str(major * 10000 + minor * 100 + patch)


def rocm_packages(version: str, codename: str) -> dict[str, str]:
    """The packages of AMD's that make up a small ROCm."""
    tail = f"{release_code(version)}-139~{_UBUNTU.get(codename, '22.04')}"
    return {
        "hip-runtime-amd": f"6.2.41134.{tail}",
        "hipcc": f"1.1.1.{tail}",
        "hsa-rocr": f"1.14.0.{tail}",
        "rocm-core": f"{version}.{tail}",
        "rocm-smi-lib": f"7.3.0.{tail}",
        "rocminfo": f"1.0.0.{tail}",
    }


def status(packages: dict[str, str]) -> str:
    """dpkg's status file as it leaves the machine."""
    return "".join(f"Package: {name}\nVersion: {version}\n" for name, version in packages.items())


def dpkg(spec: Spec) -> Answers:
    """A base system, ROCm's packages, and nothing half done."""
    packages = {
        "apt": "2.4.12",
        "bash": "5.1-6ubuntu1.1",
        "libdrm-amdgpu1": "2.4.113-2",
        "python3": "3.10.6-1",
    }
    if spec.rocm:
        packages.update(rocm_packages(spec.rocm, spec.codename))
    return {"read:/var/lib/dpkg/status": text(status(packages)), "list:/var/lib/dpkg/updates": text("")}


def apt(spec: Spec) -> Answers:
    """AMD's repository with key and pin, or none of AMD's."""
    line = f"deb [arch=amd64 signed-by={KEYRING}] https://repo.radeon.com/rocm/apt/{spec.rocm} {spec.codename} main\n"
    pin = "Package: *\nPin: release o=repo.radeon.com\nPin-Priority: 600\n"
    colons = (
        "pub:-:4096:1:9386B48A1A693C5C:1465409123:::-:::scSC::::::23::0:\n"
        "fpr:::::::::CA8BB4727A47B4D09B4EE8969386B48A1A693C5C:\n"
        "uid:-::::1465409123::0000000000000000000000000000000000000000::AMD ROCm release::::::::::0:\n"
    )
    folder = "/etc/apt/sources.list.d"
    answers: Answers = {
        "read:/etc/apt/sources.list": text(""),
        f"glob:{folder}/*.list": files({f"{folder}/rocm.list": line} if spec.rocm else {}),
        f"glob:{folder}/*.sources": files({}),
        "list:/etc/apt/trusted.gpg.d": text("ubuntu-keyring-2018-archive.gpg\n"),
        "list:/etc/apt/keyrings": text("rocm.gpg\n" if spec.rocm else ""),
        "list:/usr/share/keyrings": text("ubuntu-archive-keyring.gpg\n"),
        "stat:/etc/apt/trusted.gpg": ABSENT,
        "read:/etc/apt/preferences": ABSENT,
        "glob:/etc/apt/preferences.d/*": files(
            {"/etc/apt/preferences.d/rocm-pin-600": pin} if spec.rocm else {}
        ),
    }
    if spec.rocm:
        answers[f"stat:{KEYRING}"] = text("file 0644 root root")
        answers[SHOW_KEYS] = ran(colons)
    return answers


PARTS = (dpkg, apt)
