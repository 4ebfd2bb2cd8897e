"""dpkg's status file, and whose packages are whose."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rocmdoctor.content import DataTables, bundled
from rocmdoctor.facts.base import UnknownError, read
from rocmdoctor.facts.dpkg import Dpkg, Package, PackageTable
from rocmdoctor.hosts.replay import from_raw

TABLE = DataTables(bundled())(PackageTable)
STATUS = """Package: amdgpu-dkms
Status: install ok half-configured
Priority: optional
Maintainer: Advanced Micro Devices (AMD) <gpudriverdevsupport@amd.com>
Architecture: all
Version: 1:6.8.5.60202-2041575.24.04
Conffiles:
 /etc/secret 00000000000000000000000000000000

Package: rocm-gdb
Status: deinstall ok config-files
Maintainer: ROCm GDB Support <rocm-gdb.support@amd.com>
Version: 14.2.60204-139~22.04

Package: bash
Status: hold ok installed
Maintainer: Somebody Private <somebody@example.org>
Version: 5.1-6ubuntu1.1

Package: held-broken
Status: install reinstreq half-installed
Version: 1.0
"""


def _dpkg(status: str, updates: str = "") -> Dpkg:
    query = Dpkg.queries()["status"]
    kept = "".join(m.group(0) + "\n" for m in re.finditer(query.keep, status, re.MULTILINE))
    answers = {
        "read:/var/lib/dpkg/status": {"ok": True, "text": kept},
        "list:/var/lib/dpkg/updates": {"ok": True, "text": updates},
    }
    return read(Dpkg, from_raw({"schema": 1, "answers": answers}).answers)


def test_states_are_read_and_removed_packages_are_gone() -> None:
    dpkg = _dpkg(STATUS)
    assert {p.name: p.state for p in dpkg.unfinished} == {
        "amdgpu-dkms": "half-configured",
        "held-broken": "half-installed",
    }
    assert "rocm-gdb" not in dpkg.packages
    assert dpkg.installed("bash")


def test_private_names_stay_on_the_machine() -> None:
    keep = Dpkg.queries()["status"].keep
    kept = [m.group(0) for m in re.finditer(keep, STATUS, re.MULTILINE)]
    assert not [line for line in kept if "example.org" in line or "secret" in line]
    assert any("amd.com" in line for line in kept)


def test_only_numbered_notes_are_unfinished_business() -> None:
    assert _dpkg(STATUS, "0001\n0002\ntmp.i\n").updates == ("0001", "0002")


@pytest.mark.parametrize("text", ["", "nonsense\n", "Package:\n"])
def test_a_file_without_packages_is_unknown(text: str) -> None:
    with pytest.raises(UnknownError):
        _dpkg(text)


@given(st.text())
def test_any_text_is_read_or_unknown(text: str) -> None:
    try:
        _dpkg(text)
    except UnknownError:
        return


@pytest.mark.parametrize(
    ("name", "version", "origin", "release"),
    [
        ("rocm-libs", "5.3.3.50303-99~22.04", "amd", "5.3.3"),
        ("hip-runtime-amd", "6.2.41134.60204-139~22.04", "amd", "6.2.4"),
        ("rocm-cmake", "0.14.0.70204-93~24.04", "amd", "7.2.4"),
        ("rocm-core", "6.12.3.61203-1~24.04", "amd", "6.12.3"),
        ("amdgpu-dkms", "1:6.8.5.60202-2041575.24.04", "amd", "6.2.2"),
        ("amdrocm-core-sdk7.14-gfx1100", "7.14.0-1", "amd", "7.14.0"),
        ("rocminfo", "5.0.0-1", "distribution", None),
        ("hipcc", "5.7.1-3build1", "distribution", None),
        ("hipcc", "5.7.1-6+deb13u1", "distribution", None),
        ("libamd-comgr2", "6.0+git20231212.4510c28+dfsg-3+b2", "distribution", None),
        ("rocm-cmake", "6.0.0-1", "distribution", None),
    ],
)
def test_origin_and_release_stand_in_the_version(
    name: str, version: str, origin: str, release: str | None
) -> None:
    package = Package(name, version)
    assert (TABLE.origin(package), TABLE.release(package)) == (origin, release)


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("rocminfo", "rocm"),
        ("hip-runtime-amd", "rocm"),
        ("hipblaslt", "rocm"),
        ("libamdhip64-5", "rocm"),
        ("amdrocm10.0-gfx90a", "rocm"),
        ("amdgpu-dkms", "driver"),
        ("nvidia-driver-535", "nvidia"),
        ("cuda-toolkit-12-4", "cuda"),
        ("nvidia-cuda-toolkit", "cuda"),
        ("hippo", None),
        ("rocksdb-tools", None),
        ("rocs", None),
        ("amdgpu-top", None),
        ("libdrm2", None),
    ],
)
def test_names_tell_what_a_package_is_about(name: str, kind: str | None) -> None:
    tables = {"cuda": TABLE.cuda, "nvidia": TABLE.nvidia, "driver": TABLE.driver, "rocm": TABLE.rocm}
    assert next((k for k, pattern in tables.items() if pattern.match(name)), None) == kind
