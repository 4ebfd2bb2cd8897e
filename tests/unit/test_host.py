"""Limits, room and the C library."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rocmdoctor.facts.base import UnknownError, read
from rocmdoctor.facts.host import (
    UNLIMITED,
    DiskSpace,
    Glibc,
    Iommu,
    Limits,
    PeerSupport,
    Settings,
    plain_path,
)
from rocmdoctor.facts.pointed import Pointed
from rocmdoctor.model import Answer


def test_limits() -> None:
    text = "Max open files            1024                 524288               files     \nMax locked memory         unlimited            unlimited            bytes     \n"
    limits = read(Limits, {"read:/proc/self/limits": Answer(True, text=text)})
    assert (limits.nofile.soft, limits.nofile.hard, limits.memlock.soft) == (1024, 524288, UNLIMITED)


@given(st.text(max_size=200))
def test_any_limits(text: str) -> None:
    with pytest.raises(UnknownError):
        read(Limits, {"read:/proc/self/limits": Answer(True, text=text)})


def test_room_where_the_home_folder_is() -> None:
    answers = {
        "env:HOME": Answer(True, text="/data/ann/"),
        "disk:/": Answer(True, text="10 5"),
        "disk:/data/ann": Answer(True, text="100 50"),
        "disk:/opt": Answer(True, text="many"),
    }
    disks = read(DiskSpace, answers)
    assert disks.rooms["/data/ann"].free == 50
    assert set(disks.rooms) == {"/", "/data/ann"}


@pytest.mark.parametrize("path", ["", "x", "/a/../b", "/a/*", "/a\nb", "/[x]", None])
def test_paths_that_are_not_asked(path: str | None) -> None:
    assert plain_path(path) is None


def test_the_domain_of_each_device() -> None:
    types = {"/sys/bus/pci/devices/0000:C3:00.0/iommu_group/type": "DMA-FQ\n"}
    answers = {
        "list:/sys/class/iommu": Answer(True, text="ivhd0@\n"),
        "glob:/sys/bus/pci/devices/*/iommu_group/type": Answer(True, files=types),
    }
    assert read(Iommu, answers) == Iommu(active=True, domains={"0000:c3:00.0": "DMA-FQ"})


def test_the_kernel_names_what_it_lacks() -> None:
    config = "CONFIG_PCI_P2PDMA=y\n# CONFIG_HSA_AMD_P2P is not set\n"
    answers = {
        "read:/proc/sys/kernel/osrelease": Answer(True, text="6.1.0-25-amd64\n"),
        "glob:/boot/config-6.1.0-25-amd64": Answer(True, files={"/boot/config-6.1.0-25-amd64": config}),
    }
    assert read(PeerSupport, answers).options == {"PCI_P2PDMA": "y", "HSA_AMD_P2P": "n"}


@pytest.mark.parametrize(
    ("key", "answer", "version"),
    [
        ("link:/lib/x86_64-linux-gnu/libc.so.6", Answer(True, text="libc-2.31.so"), (2, 31)),
        ("run:ldd --version", Answer(True, stdout="ldd (Debian GLIBC 2.36-9+deb12u9) 2.36\n"), (2, 36)),
        ("run:ldd --version", Answer(True, stdout="ldd (GNU libc) 2.34\n"), (2, 34)),
    ],
)
def test_the_c_library(key: str, answer: Answer, version: tuple[int, int]) -> None:
    assert read(Glibc, {key: answer}).version == version


def test_another_c_library_is_not_known() -> None:
    with pytest.raises(UnknownError):
        read(Glibc, {"run:ldd --version": Answer(True, stdout="musl libc (x86_64)\nVersion 1.2.3\n")})


def test_settings_of_a_kernel_without_them() -> None:
    settings = read(Settings, {"stat:/proc/sys/kernel": Answer(True, text="dir 0555 root root")})
    assert settings.numa_balancing is None
    assert settings.hugepages is None
    assert settings.numa_nodes == 0


def test_links_in_a_circle_end() -> None:
    pointed = Pointed({}, {"/a": "/b", "/b": "a"}, {}, {})
    assert pointed.real("/a") in ("/a", "/b")
