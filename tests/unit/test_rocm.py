"""Folders of ROCm of every layout."""

from __future__ import annotations

from typing import Any

import pytest

from rocmdoctor.content import DataTables, bundled
from rocmdoctor.diagnosis.known import Known
from rocmdoctor.facts.rocm import RocmInstalls, RocmTable
from rocmdoctor.hosts.replay import from_raw
from tests.machines.healthy import machine

DEBIAN = "Package: hipcc\nVersion: 5.7.1-6+deb13u1\nPackage: libamdhip64-5\nVersion: 5.7.1-6+deb13u1\n"


def _installs(answers: dict[str, Any]) -> RocmInstalls:
    return Known(from_raw({"schema": 1, "answers": answers}).answers, DataTables(bundled())).get(RocmInstalls)


def _text(value: str) -> dict[str, Any]:
    return {"ok": True, "text": value}


def _said(installs: RocmInstalls) -> list[tuple[str, str | None, str, str, bool]]:
    return [(i.root, i.version, i.layout, i.origin, i.active) for i in installs.installs]


def test_amds_packages() -> None:
    installs = _installs(machine("mi210"))
    assert _said(installs) == [("/opt/rocm-6.2.4", "6.2.4", "classic", "amd", True)]
    assert installs.version == "6.2.4"


def test_none() -> None:
    installs = _installs(machine("mi210-no-rocm"))
    assert (installs.installs, installs.version) == ((), None)


def test_side_by_side_the_link_decides() -> None:
    answers = machine("mi210")
    answers["list:/opt"] = _text("rocm@\nrocm-5.7.1/\nrocm-6.2.4/\n")
    answers["list:/opt/rocm-5.7.1"] = _text("bin/\nlib/\n")
    answers["list:/opt/rocm-5.7.1/bin"] = _text("hipcc\n")
    answers["link:/etc/alternatives/rocm"] = _text("/opt/rocm-5.7.1")
    assert _said(_installs(answers)) == [
        ("/opt/rocm-5.7.1", "5.7.1", "classic", "amd", True),
        ("/opt/rocm-6.2.4", "6.2.4", "classic", "amd", False),
    ]


def test_the_newer_layout() -> None:
    answers = machine("mi210-no-rocm")
    answers.update({
        "list:/opt": _text("rocm/\n"),
        "list:/opt/rocm": _text("bin@\ncore-7.14/\ncore-10.0/\nextras-10/\nlib@\n"),
        "stat:/opt/rocm": _text("dir 0755 root root"),
        "list:/opt/rocm/core-10.0/bin": _text("hipcc\nhipconfig\n"),
        "list:/opt/rocm/core-7.14/lib": _text("libamdhip64.so.7@\n"),
        "glob:/opt/rocm/core-*/.info/version": {"ok": True, "files": {"/opt/rocm/core-10.0/.info/version": "10.0.0\n"}},
    })  # fmt: skip
    assert _said(_installs(answers)) == [
        ("/opt/rocm/core-7.14", "7.14", "core", "unpackaged", False),
        ("/opt/rocm/core-10.0", "10.0.0", "core", "unpackaged", True),
    ]


def test_a_folder_that_no_package_owns() -> None:
    answers = machine("mi210-no-rocm")
    answers.update({
        "list:/opt": _text("rocm/\n"),
        "list:/opt/rocm": _text("bin/\nlib/\n"),
        "stat:/opt/rocm": _text("dir 0755 root root"),
        "list:/opt/rocm/bin": _text("hipcc\n"),
        "glob:/opt/rocm*/.info/version": {"ok": True, "files": {"/opt/rocm/.info/version": "6.3.0-39\n"}},
    })  # fmt: skip
    assert _said(_installs(answers)) == [("/opt/rocm", "6.3.0", "classic", "unpackaged", True)]


def test_the_distributions() -> None:
    answers = machine("mi210-no-rocm")
    answers["read:/var/lib/dpkg/status"] = _text(DEBIAN)
    assert _said(_installs(answers)) == [("/usr", "5.7.1", "distribution", "distribution", True)]


def test_the_distributions_without_dpkg() -> None:
    answers = machine("mi210-no-rocm")
    answers["read:/var/lib/dpkg/status"] = {"ok": False, "why": "absent"}
    answers["stat:/usr/bin/hipconfig"] = _text("file 0755 root root")
    answers["read:/usr/share/hip/version"] = _text(
        "HIP_VERSION_MAJOR=6\nHIP_VERSION_MINOR=3\nHIP_VERSION_PATCH=42\n"
    )
    assert _said(_installs(answers)) == [("/usr", "6.3", "distribution", "distribution", True)]


def test_a_wheel() -> None:
    answers = machine("mi210-no-rocm")
    answers["env:VIRTUAL_ENV"] = _text("/home/ann/venv")
    pattern = "/home/ann/venv/lib/python3*/site-packages/rocm_sdk_core-*.dist-info/METADATA"
    answers[f"glob:{pattern}"] = {"ok": True, "files": {"x": "Version: 7.14.0\n"}}
    assert _said(_installs(answers)) == [("/home/ann/venv", "7.14.0", "wheel", "pip", True)]


@pytest.mark.parametrize(
    ("codename", "gfx", "version"),
    [
        ("jammy", ("gfx90a",), "7.2.4"),
        ("noble", ("gfx906",), "6.2.4"),
        ("focal", ("gfx90a",), "6.1.3"),
        ("noble", ("gfx803",), None),
        ("bookworm", (), None),
    ],
)
def test_the_release_to_install(codename: str, gfx: tuple[str, ...], version: str | None) -> None:
    assert DataTables(bundled())(RocmTable).newest(codename, gfx) == version
