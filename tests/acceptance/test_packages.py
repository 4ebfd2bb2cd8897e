"""The packages of the machine are whole, and ROCm is of one release."""

from __future__ import annotations

import re

import pytest

# 6.2.4.60204-139~22.04: AMD writes the release into every version.
_RELEASE = re.compile(r"\.(\d{5,6})-\d+~")
# Names that Ubuntu's universe has too, often with higher versions.
_IN_UNIVERSE = ("rocminfo", "hipcc", "rocm-cmake", "rocm-device-libs", "comgr", "hsa-rocr", "rocm-smi-lib")
# A list ends where its file does.
_LISTS = "for list in /etc/apt/sources.list /etc/apt/sources.list.d/*; do cat $list 2>/dev/null; echo; done"
_WHOLE = {"ii", "rc", "hi", "un"}  # installed, only settings left, held, not there


def test_dpkg_finds_nothing_half_done(machine, packages) -> None:
    rows = machine.good("dpkg-query -W -f '${db:Status-Abbrev} ${Package}\\n'").splitlines()
    assert [row for row in rows if row[:2] not in _WHOLE or row[2] != " "] == []
    assert machine.good("dpkg --audit") == ""


def test_apt_finds_all_dependencies(machine, packages) -> None:
    assert machine.good("apt-get -o Debug::NoLocking=true -qq check 2>&1") == ""


def test_apt_would_do_nothing_to_finish_what_was_begun(machine, packages) -> None:
    said = machine.good("apt-get -o Debug::NoLocking=true -s -f install 2>&1")
    assert re.search(r"^0 upgraded, 0 newly installed, 0 to remove", said, re.MULTILINE), said[-1000:]
    assert "not fully installed" not in said, said[-1000:]


def test_rocm_is_of_the_wanted_source(source, pytestconfig) -> None:
    wanted = pytestconfig.getoption("rocm_source", None)
    if wanted is None:
        pytest.skip(f"--rocm-source was not given; ROCm here is of {source}")
    assert source == wanted


def test_rocm_is_of_one_release(machine, packages, source) -> None:
    if source != "amd":
        pytest.skip("a distribution's packages have no number of a release in common")
    core = packages["rocm-core"]
    found = _RELEASE.search(core)
    assert found, f"rocm-core {core} names no release"
    others = {n: v for n, v in packages.items() if (m := _RELEASE.search(v)) and m[1] != found[1]}
    assert {n: v for n, v in others.items() if "amdgpu" not in n} == {}
    told = machine.good("cat /opt/rocm/.info/version").strip()
    assert core.startswith(re.match(r"[\d.]+", told)[0]), f"/opt/rocm is {told}, rocm-core {core}"


def test_an_upgrade_will_not_bring_another_rocm(machine, packages, source) -> None:
    if source != "amd":
        pytest.skip("ROCm is the distribution's own, and its upgrades are meant")
    release = _RELEASE.search(packages["rocm-core"])[1]
    for name in sorted(set(_IN_UNIVERSE) & set(packages)):
        policy = machine.good('apt-cache policy "$1"', name)
        candidate = re.search(r"Candidate: (\S+)", policy)[1]
        assert f".{release}-" in candidate, policy


def test_the_sources_of_rocm_are_signed(machine, packages, source) -> None:
    if source != "amd":
        pytest.skip("ROCm is of the distribution's own archive")
    release = _RELEASE.search(packages["rocm-core"])[1]
    policy = machine.good("apt-cache policy rocm-core")
    version = re.escape(packages["rocm-core"])
    assert release in version
    found = re.search(rf"\*\*\* {version} .*\n((?:\s+-?\d+ \S+.*\n)+)", policy)
    assert found, policy
    urls = set(re.findall(r"-?\d+ (https?://\S+)", found[1]))
    assert urls, f"apt knows no repository of the installed rocm-core\n{policy}"
    lists = re.sub(r"(?m)^\s*#.*\n", "", machine.good(_LISTS))
    for url in urls:
        there = [part for part in re.split(r"\n\s*\n|\n(?=deb )", lists) if url in part]
        assert there, f"{url} stands in no list"
        for part in there:
            assert re.search(r"signed-by", part, re.IGNORECASE), part
            assert not re.search(r"trusted\s*[=:]\s*yes", part, re.IGNORECASE), part
