"""The look-alike packages themselves: they say what they are, fit together, and are made the same each time."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path

import pytest

from tests.lookalike import amd, others
from tests.lookalike.debs import Deb, stanzas
from tests.lookalike.repository import add

_OTHERS = {
    "libdrm-amdgpu1",
    "libelf1",
    "libnuma1",
    "kmod",
    "pciutils",
    "python3",
    "perl",
    "libgcc-12-dev",
    "libstdc++-12-dev",
}


def _all() -> list[Deb]:
    ours = [deb for release in amd.RELEASES.values() for deb in (*amd.rocm(release), *amd.driver(release))]
    return [*ours, *others.universe(), *others.cuda(), *others.displays(), others.half_done()]


def _names(packages: Iterable[Deb]) -> dict[str, str]:
    return {deb.name: deb.version for deb in packages}


@pytest.mark.parametrize("deb", _all(), ids=lambda deb: f"{deb.name}={deb.version}")
def test_each_says_that_it_is_a_look_alike(deb: Deb) -> None:
    assert "look-alike" in deb.about
    assert deb.maintainer.startswith("look-alike of ")
    for path, file in deb.files.items():
        if file.mode == 0o755:
            assert b"look-alike" in file.data, path


@pytest.mark.parametrize("release", amd.RELEASES.values(), ids=list(amd.RELEASES))
def test_what_a_release_needs_is_there_in_the_version_that_is_wanted(release: amd.Release) -> None:
    here = _names((*amd.rocm(release), *amd.driver(release)))
    for deb in amd.rocm(release):
        for need in deb.depends:
            ways = [re.fullmatch(r"(\S+)(?: \(= (\S+)\))?", way) for way in need.split(" | ")]
            assert any(
                way and (way[1] in _OTHERS or (way[1] in here and way[2] in (None, here[way[1]])))
                for way in ways
            ), f"{deb.name} needs {need}"


def test_every_version_names_its_release() -> None:
    for release in amd.RELEASES.values():
        for deb in (*amd.rocm(release), *amd.driver(release)):
            assert f".{release.code}-" in deb.version, deb


def test_ubuntu_s_versions_are_higher_than_amd_s_of_the_same_name() -> None:
    universe = _names(others.universe())
    for release in amd.RELEASES.values():
        ours = _names(amd.rocm(release))
        both = set(universe) & set(ours)
        assert both >= {"rocminfo", "hipcc", "rocm-cmake", "rocm-device-libs"}
        for name in both:
            number = [int(v.split(".")[0]) for v in (universe[name], ours[name])]
            assert number[0] > number[1], name


def test_the_same_package_is_the_same_bytes_and_is_described_as_it_is(tmp_path: Path) -> None:
    release = amd.RELEASES["6.2.4"]
    for name in ("one", "two"):
        add(tmp_path / name, amd.driver(release))
    texts = ["\n".join(stanzas(tmp_path / name, tmp_path / name)) for name in ("one", "two")]
    assert texts[0] == texts[1]
    (dkms,) = [s for s in stanzas(tmp_path / "one", tmp_path) if s.startswith("Package: amdgpu-dkms\n")]
    assert "Version: 1:6.8.5.60204-2070768.22.04\n" in dkms
    assert "Filename: one/a/amdgpu-dkms/amdgpu-dkms_6.8.5.60204-2070768.22.04_all.deb\n" in dkms
    assert "Conflicts: amdgpu-pro-dkms, rock-dkms\n" in dkms
