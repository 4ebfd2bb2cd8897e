"""Packages with the names, versions, relations and scripts of AMD's."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.lookalike.debs import Deb, File
from tests.lookalike.programs import LIBRARY, LINKED, PROGRAMS, filled

try:
    import tomllib
except ModuleNotFoundError:  # Python 3.10
    import tomli as tomllib

TABLE: dict[str, Any] = tomllib.loads((Path(__file__).parent / "packages.toml").read_text(encoding="utf-8"))
_ROCM = "look-alike of ROCm Dev Support <rocm-dev.support@amd.com>"
_DRIVER = "look-alike of Advanced Micro Devices (AMD) <gpudriverdevsupport@amd.com>"


@dataclass(frozen=True)
class Release:
    """A release of ROCm with the driver that came with it. `number` is its place in the lists of versions."""

    name: str
    number: int
    code: str
    build: str
    hip: str
    driver: str
    driver_build: str
    installer: str

    @property
    def root(self) -> str:
        return f"/opt/rocm-{self.name}"

    @property
    def module(self) -> str:
        """The version that dkms knows."""
        return f"{self.driver}-{self.driver_build}"

    @property
    def driver_version(self) -> str:
        return f"1:{self.driver}.{self.code}-{self.driver_build}"

    def version(self, spec: Mapping[str, Any]) -> str | None:
        """A package's whole version, None where this release does not have it."""
        said = spec["version"]
        own = said[self.number] if isinstance(said, list) else said
        own = {"release": self.name, "hip": self.hip}.get(own, own)
        return f"{own}.{self.code}-{self.build}" if own else None


RELEASES = {
    name: Release(name=name, number=number, **values)
    for number, (name, values) in enumerate(TABLE["releases"].items())
}


def rocm(release: Release) -> Iterator[Deb]:
    """All of rocm/apt/<release>."""
    versions = dict(_versions(release))
    for name, version in versions.items():
        yield _rocm_package(release, name, version, versions)


def _versions(release: Release) -> Iterator[tuple[str, str]]:
    for name, spec in TABLE["rocm"].items():
        version = release.version(spec)
        if version:
            yield name, version
            if spec.get("dev"):
                yield f"{name}-dev", version


def _rocm_package(release: Release, name: str, version: str, versions: Mapping[str, str]) -> Deb:
    spec = TABLE["rocm"].get(name) or {"needs": ["rocm-core", name.removesuffix("-dev")]}
    return Deb(
        name=name,
        version=version,
        about=f"look-alike of AMD's {name} of ROCm {release.name}, for tests; nothing of AMD's is in it",
        maintainer=_ROCM,
        depends=tuple(_needs(spec.get("needs", ()), versions)),
        files=dict(_files(release, name)),
        scripts=_scripts(release, name),
    )


def _needs(names: list[str], versions: Mapping[str, str]) -> Iterator[str]:
    for name in names:
        plain = name.rstrip("=")
        if plain.removesuffix("-dev") not in TABLE["rocm"] and plain not in TABLE["rocm"]:
            yield name  # the distribution's
        elif plain in versions:
            yield f"{plain} (= {versions[plain]})" if name.endswith("=") else plain


def _files(release: Release, name: str) -> Iterator[tuple[str, File]]:
    yield f"{release.root}/share/doc/{name}/README", File(f"A look-alike of AMD's package {name}.\n")
    for path, text in PROGRAMS.get(name, {}).items():
        yield f"{release.root}/{path}", File(filled(text, release.name, release.hip), 0o755)
    if name == "rocm-core":
        yield f"{release.root}/.info/version", File(f"{release.name}-{release.build.partition('~')[0]}\n")
    if name == "hip-dev":
        major, minor, patch = release.hip.split(".")
        yield (
            f"{release.root}/share/hip/version",
            File(f"HIP_VERSION_MAJOR={major}\nHIP_VERSION_MINOR={minor}\nHIP_VERSION_PATCH={patch}\n"),
        )
        yield f"{release.root}/include/hip/hip_version.h", File("/* look-alike */\n")
    if name == "hip-runtime-amd":
        major = release.name.partition(".")[0]
        yield f"{release.root}/lib/libamdhip64.so.{major}", File(LIBRARY)
        yield f"{release.root}/lib/libamdhip64.so", File(link=f"libamdhip64.so.{major}")
    if name == "hsa-rocr":
        yield f"{release.root}/lib/libhsa-runtime64.so.1", File(LIBRARY)
    if name.startswith(("roc", "hip", "rccl", "miopen")) and TABLE["rocm"].get(name, {}).get("dev"):
        yield f"{release.root}/lib/lib{name.removesuffix('-hip')}.so.1", File(LIBRARY)
    if name == "rocm-opencl":
        yield "/etc/OpenCL/vendors/amdocl64.icd", File("libamdocl64.so\n")
        yield "/etc/ld.so.conf.d/10-rocm-opencl.conf", File(f"{release.root}/lib\n")


def _scripts(release: Release, name: str) -> dict[str, str]:
    links = [("/opt/rocm", "rocm", release.root)] if name == "rocm-core" else []
    links += [(f"/usr/bin/{p}", p, f"{release.root}/bin/{p}") for p in LINKED.get(name, ())]
    if not links:
        return {}
    adds = "".join(f"update-alternatives --install {at} {n} {to} {release.code}\n" for at, n, to in links)
    drops = "".join(f"update-alternatives --remove {n} {to}\n" for _, n, to in links)
    return {
        "postinst": f'#!/bin/sh\nset -e\n[ "$1" = configure ] || exit 0\n{adds}',
        "prerm": f'#!/bin/sh\nset -e\n[ "$1" = upgrade ] && exit 0\n{drops}',
    }


# ---------------------------------------------------------------- the driver

_MODULE = """\
// A look-alike of AMD's kernel module: it drives nothing.
#include <linux/module.h>
static int __init begin(void) { return 0; }
static void __exit end(void) { }
module_init(begin);
module_exit(end);
MODULE_LICENSE("GPL");
MODULE_DESCRIPTION("look-alike of amdgpu");
MODULE_VERSION("@VERSION@");
"""
# As when the kernel's interface is newer than the driver; the words are those of ROCm/ROCm#3870.
_TOO_NEW = '#error macro "__assign_str" passed 2 arguments, but takes just 1 (look-alike of a driver too old for this kernel)\n'
_CONF = """\
# look-alike
PACKAGE_NAME="amdgpu"
PACKAGE_VERSION="@VERSION@"
BUILT_MODULE_NAME[0]="amdgpu"
DEST_MODULE_LOCATION[0]="/updates/dkms"
AUTOINSTALL="yes"
"""
_DKMS_POSTINST = """\
#!/bin/sh
set -e
[ "$1" = configure ] || exit 0
/usr/lib/dkms/common.postinst amdgpu @VERSION@ /usr/share/amdgpu-dkms x86_64 "$2"
"""
_DKMS_PRERM = """\
#!/bin/sh
set -e
if [ -n "$(dkms status -m amdgpu -v @VERSION@ 2>/dev/null)" ]; then
    dkms remove -m amdgpu -v @VERSION@ --all
fi
"""


def driver(release: Release, *, builds: bool = True) -> Iterator[Deb]:
    """All of amdgpu/<release>. Unless it `builds`, the module does not compile, on any kernel."""
    firmware = _driver_package(release, "amdgpu-dkms-firmware", release.driver_version, {
        "/lib/firmware/updates/amdgpu/aldebaran_look-alike.bin": File("look-alike\n"),
    })  # fmt: skip
    yield firmware
    yield _dkms(release, builds=builds)
    core = f"1:{release.installer}.{release.code}-{release.driver_build}"
    yield _driver_package(release, "amdgpu-core", core, {})
    drm = {"5.7.1": "2.4.115", "6.0.2": "2.4.116"}.get(release.name, "2.4.120")
    drm = f"1:{drm}.{release.code}-{release.driver_build}"
    yield _driver_package(
        release,
        "libdrm-amdgpu-common",
        f"1.0.0.{release.code}-{release.driver_build}",
        {},
        needs=("amdgpu-core",),
    )
    yield _driver_package(release, "libdrm2-amdgpu", drm, {}, needs=("amdgpu-core",), arch="amd64")
    yield _driver_package(
        release, "libdrm-amdgpu-amdgpu1", drm,
        {"/opt/amdgpu/lib/x86_64-linux-gnu/libdrm_amdgpu.so.1": File(LIBRARY),
         "/etc/ld.so.conf.d/20-amdgpu.conf": File("/opt/amdgpu/lib/x86_64-linux-gnu\n")},
        needs=("libdrm2-amdgpu", "libdrm-amdgpu-common"), arch="amd64",
    )  # fmt: skip


def _driver_package(
    release: Release,
    name: str,
    version: str,
    files: Mapping[str, File],
    needs: tuple[str, ...] = (),
    arch: str = "all",
) -> Deb:
    return Deb(
        name=name,
        version=version,
        about=f"look-alike of AMD's {name} of release {release.name}, for tests; nothing of AMD's is in it",
        maintainer=_DRIVER,
        arch=arch,
        section="kernel",
        depends=needs,
        files=files or {f"/usr/share/doc/{name}/README": File(f"A look-alike of AMD's package {name}.\n")},
    )


def _dkms(release: Release, *, builds: bool) -> Deb:
    source = f"/usr/src/amdgpu-{release.module}"
    text = _MODULE if builds else _TOO_NEW + _MODULE
    rules = "/etc/udev/rules.d/70-amdgpu.rules"
    fill = {"@VERSION@": release.module}
    return Deb(
        name="amdgpu-dkms",
        version=release.driver_version,
        about=f"look-alike of AMD's amdgpu-dkms of release {release.name}, for tests; nothing of AMD's is in it",
        maintainer=_DRIVER,
        arch="all",
        section="kernel",
        depends=(
            "dkms (>= 1.95)",
            f"amdgpu-dkms-firmware (= {release.driver_version})",
            "autoconf",
            "automake",
        ),
        conflicts=("amdgpu-pro-dkms", "rock-dkms"),
        replaces=("amdgpu-pro-dkms", "rock-dkms"),
        files={
            f"{source}/amdgpu.c": File(_fill(text, fill)),
            f"{source}/Makefile": File("obj-m += amdgpu.o\n"),
            f"{source}/dkms.conf": File(_fill(_CONF, fill)),
            rules: File('# look-alike\nKERNEL=="kfd", GROUP="render", MODE="0660"\n'),
        },
        scripts={"postinst": _fill(_DKMS_POSTINST, fill), "prerm": _fill(_DKMS_PRERM, fill)},
        conffiles=(rules,),
    )


def _fill(text: str, values: Mapping[str, str]) -> str:
    for name, value in values.items():
        text = text.replace(name, value)
    return text


# ---------------------------------------------------------------- amdgpu-install


def installer(release: Release, key: bytes) -> Deb:
    """The package that brings AMD's lists, key, pin and script."""
    where = "https://repo.radeon.com"
    lists = {
        "amdgpu": f"deb {where}/amdgpu/{release.name}/ubuntu jammy main\n#deb-src {where}/amdgpu/{release.name}/ubuntu jammy main\n",
        "rocm": f"deb [arch=amd64] {where}/rocm/apt/{release.name} jammy main\n",
    }
    pin = "Package: *\nPin: release o=repo.radeon.com\nPin-Priority: 600\n"
    says = "#!/bin/sh\necho 'look-alike of amdgpu-install: it installs nothing' >&2\nexit 1\n"
    settings = {
        "/etc/amdgpu-install/amdgpu-setup.conf": File(f"BASEURL={where}\nRELEASE={release.name}\n"),
        "/etc/apt/preferences.d/repo-radeon-pin-600": File(pin),
        "/etc/apt/trusted.gpg.d/rocm-keyring.gpg": File(key),
        **{f"/etc/apt/sources.list.d/{name}.list": File(text) for name, text in lists.items()},
    }
    return Deb(
        name="amdgpu-install",
        version=f"{release.installer}.{release.code}-{release.driver_build}",
        about=f"look-alike of AMD's amdgpu-install of release {release.name}, for tests; nothing of AMD's is in it",
        maintainer=_DRIVER,
        arch="all",
        section="misc",
        files={
            **settings,
            "/usr/bin/amdgpu-install": File(says, 0o755),
            **{f"/usr/share/amdgpu-install/orig/{n}.list": File(text) for n, text in lists.items()},
        },
        conffiles=tuple(settings),
    )
