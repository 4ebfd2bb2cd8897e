"""Packages with the names, versions and relations of Ubuntu's and NVIDIA's."""

from __future__ import annotations

from collections.abc import Iterator

from tests.lookalike.amd import TABLE
from tests.lookalike.debs import Deb, File

_UBUNTU = "look-alike of Ubuntu Developers <ubuntu-devel-discuss@lists.ubuntu.com>"
_NVIDIA = "look-alike of cudatools <cudatools@nvidia.com>"


def universe() -> Iterator[Deb]:
    """What has AMD's names, at versions that are higher."""
    for name, version in TABLE["universe"].items():
        says = f"#!/bin/sh\necho 'look-alike of Ubuntu'\\''s {name}'\nexit 1\n"
        program = name if name in ("rocminfo", "hipcc", "rocm-smi") else f"{name}-look-alike"
        yield Deb(
            name=name,
            version=version,
            about=f"look-alike of Ubuntu's {name}, for tests",
            maintainer=_UBUNTU,
            section="universe/devel",
            files={f"/usr/bin/{program}": File(says, 0o755)},
        )


_HEADERS_POSTINST = """\
#!/bin/sh
# A look-alike: Debian's headers are what modules are built with.
set -e
[ "$1" = configure ] || exit 0
real=$(ls -d /usr/src/linux-headers-*-amd64 | tail -n 1)
mkdir -p /lib/modules/@KERNEL@
ln -sfn "$real" /lib/modules/@KERNEL@/build
! command -v dkms >/dev/null || dkms autoinstall -k @KERNEL@ || true
"""
_HEADERS_PRERM = "#!/bin/sh\nset -e\nrm -f /lib/modules/@KERNEL@/build\n"


def kernel(release: str, flavour: str) -> Iterator[Deb]:
    """A kernel of Ubuntu's: image, modules, headers, and the packages whose names carry no version."""
    version = f"{release.removesuffix('-generic').replace('-', '.')}.1"
    image = {
        f"/boot/vmlinuz-{release}": File("look-alike of a kernel\n"),
        f"/boot/config-{release}": File("# look-alike\n"),
    }
    modules = {
        f"/lib/modules/{release}/modules.order": File(),
        f"/lib/modules/{release}/modules.builtin": File(),
        f"/lib/modules/{release}/modules.builtin.modinfo": File(),
    }
    parts = {
        f"linux-modules-{release}": Deb("", "", "", "", files=modules),
        f"linux-image-{release}": Deb("", "", "", "", depends=(f"linux-modules-{release}",), files=image),
        f"linux-headers-{release}": Deb(
            "", "", "", "",
            scripts={"postinst": _HEADERS_POSTINST.replace("@KERNEL@", release),
                     "prerm": _HEADERS_PRERM.replace("@KERNEL@", release)},
        ),
        f"linux-modules-extra-{release}": Deb("", "", "", "", depends=(f"linux-modules-{release}",)),
        f"linux-image-{flavour}": Deb(
            "", "", "", "", depends=(f"linux-image-{release}", f"linux-modules-extra-{release}", "linux-firmware")
        ),
        f"linux-headers-{flavour}": Deb("", "", "", "", depends=(f"linux-headers-{release}",)),
    }  # fmt: skip
    for name, part in parts.items():
        yield Deb(
            name=name,
            version=version,
            about=f"look-alike of Ubuntu's {name}, for tests",
            maintainer=_UBUNTU,
            section="kernel",
            depends=part.depends,
            files=part.files or {f"/usr/share/doc/{name}/README": File("A look-alike.\n")},
            scripts=part.scripts,
        )


def cuda() -> Iterator[Deb]:
    """NVIDIA's toolkit and driver."""
    for name, spec in TABLE["cuda"].items():
        files = {f"/usr/share/doc/{name}/README": File(f"A look-alike of NVIDIA's {name}.\n")}
        scripts = {}
        if name == "cuda-nvcc-12-4":
            says = (
                '#!/bin/sh\necho "nvcc: NVIDIA (R) Cuda compiler driver, a look-alike of it"\n'
                "echo 'Cuda compilation tools, release 12.4, V12.4.131'\n"
            )
            files["/usr/local/cuda-12.4/bin/nvcc"] = File(says, 0o755)
        if name == "cuda-toolkit-12-4-config-common":
            links = "".join(
                f"update-alternatives --{{verb}} /usr/local/{n} {n} /usr/local/cuda-12.4 124\n"
                for n in ("cuda", "cuda-12")
            )
            scripts = {
                "postinst": f'#!/bin/sh\nset -e\n[ "$1" = configure ] || exit 0\n{links.format(verb="install")}',
                "prerm": "#!/bin/sh\nset -e\nfor n in cuda cuda-12; do update-alternatives --remove $n /usr/local/cuda-12.4; done\n",
            }
            files["/etc/ld.so.conf.d/988_cuda-12.conf"] = File(
                "/usr/local/cuda-12/targets/x86_64-linux/lib\n"
            )
        yield Deb(
            name=name,
            version=spec["version"],
            about=f"look-alike of NVIDIA's {name}, for tests; nothing of NVIDIA's is in it",
            maintainer=_UBUNTU if "ubuntu" in spec["version"] else _NVIDIA,
            arch=spec.get("arch", "amd64"),
            section="multiverse/devel",
            depends=tuple(spec.get("needs", ())),
            files=files,
            scripts=scripts,
        )


def half_done() -> Deb:
    """A package whose script fails as long as a file is there: dpkg leaves it half configured."""
    script = '#!/bin/sh\n[ "$1" = configure ] || exit 0\n! [ -e /etc/lookalike-fails ]\n'
    return Deb(
        name="half-done",
        version="1.0-1",
        about="look-alike of a package that was interrupted, for tests",
        maintainer=_UBUNTU,
        arch="all",
        files={"/usr/share/doc/half-done/README": File("A look-alike.\n")},
        scripts={"postinst": script},
    )


def displays() -> Iterator[Deb]:
    """What must stay on any machine, whatever is purged."""
    for name, version in {
        "xserver-xorg-video-amdgpu": "22.0.0-1build1",
        "mesa-vulkan-drivers": "23.2.1-1ubuntu3.1~22.04.2",
        "linux-firmware": "20220329.git681281e4-0ubuntu3.29",
        "libgl1-mesa-dri": "23.2.1-1ubuntu3.1~22.04.2",
    }.items():
        yield Deb(
            name=name,
            version=version,
            about=f"look-alike of Ubuntu's {name}, for tests",
            maintainer=_UBUNTU,
            section="x11",
            files={f"/usr/share/doc/{name}/README": File("A look-alike.\n")},
        )
