"""Reading the state of the kernel module, what blocks it, Secure Boot, links and error counters."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rocmdoctor.facts.base import UnknownError, read
from rocmdoctor.facts.boot import SecureBoot
from rocmdoctor.facts.driver import AmdgpuModule, KernelTrees, ModprobeRules, _boot_block, release_key
from rocmdoctor.facts.links import PciLinks
from rocmdoctor.facts.ras import RasCounters
from rocmdoctor.hosts.collector import _kept
from rocmdoctor.model import Answer

_SB = "read:/sys/firmware/efi/efivars/SecureBoot-8be4df61-93ca-11d2-aa0d-00e098032b8c"
_NO_EFI = "EFI variables are not supported on this system\n"
GONE = Answer(ok=False, why="absent")


def said(text: str = "", **more: Any) -> Answer:
    return Answer(ok=True, text=text, **more)


def test_without_sysfs_nothing_is_known_of_the_module():
    with pytest.raises(UnknownError, match="stat:/sys/module: absent"):
        read(AmdgpuModule, {"stat:/sys/module": GONE})


def test_a_module_that_is_not_loaded():
    module = read(AmdgpuModule, {"stat:/sys/module": said("dir"), "stat:/sys/module/amdgpu": GONE})
    assert (module.loaded, module.live, module.dkms, module.loadable) == (False, False, False, None)


def test_amds_layer_tells_dkms_even_without_a_version():
    answers = {
        k: said("dir") for k in ("stat:/sys/module", "stat:/sys/module/amdgpu", "stat:/sys/module/amdkcl")
    }
    assert read(AmdgpuModule, answers).dkms
    answers["stat:/sys/module/amdkcl"] = GONE
    assert not read(AmdgpuModule, answers).dkms


def test_kernels_are_looked_into_running_one_first_and_not_all():
    names = [f"5.15.0-{n}-generic" for n in range(100, 120)]
    answers = {
        "list:/lib/modules": said("".join(f"{n}/\n" for n in names)),
        "read:/proc/sys/kernel/osrelease": said("5.15.0-101-generic\n"),
    }
    assert list(read(KernelTrees, answers).trees)[:2] == ["5.15.0-101-generic", "5.15.0-119-generic"]
    assert len(read(KernelTrees, answers).trees) == 8


def test_the_module_that_modprobe_takes_stands_first():
    folder = "/lib/modules/6.8.0-45-generic"
    answers = {
        "list:/lib/modules": said("6.8.0-45-generic/\n"),
        "read:/proc/sys/kernel/osrelease": said("6.8.0-45-generic\n"),
        f"read:{folder}/modules.dep": said("kernel/drivers/gpu/drm/amd/amdgpu/amdgpu.ko.zst\n"),
        f"list:{folder}/updates/dkms": said("amddrm_ttm_helper.ko\namdgpu.ko.zst\namdkcl.ko\n"),
    }
    tree = read(KernelTrees, answers).current
    assert tree.files == (
        f"{folder}/updates/dkms/amdgpu.ko.zst",
        f"{folder}/kernel/drivers/gpu/drm/amd/amdgpu/amdgpu.ko.zst",
    )
    assert tree.foreign


def test_an_image_has_kernels_and_runs_none():
    trees = read(
        KernelTrees, {"list:/lib/modules": said("6.1.0-50-amd64/\n"), "read:/proc/sys/kernel/osrelease": GONE}
    )
    assert trees.running is None
    assert trees.current is None


def test_releases_sort_by_number_and_not_by_architecture():
    names = ["6.8.0-100-generic", "6.12.107+deb13-amd64", "6.8.0-45-generic", "6.1.0-50-amd64"]
    assert sorted(names, key=release_key) == [names[3], names[2], names[0], names[1]]


MODPROBE = """
# blacklist amdgpu
blacklist radeon
blacklist amdgpu_other
blacklist amdgpu
options amdgpu runpm=0 ppfeaturemask=0xffff3fff
install amdgpu /sbin/modprobe --ignore-install amdgpu
  blacklist\tamdgpu
install amdgpu /usr/bin/false
options secret token=abc
"""


def test_only_lines_that_name_amdgpu_leave_the_machine():
    keep = ModprobeRules.queries()["/etc/modprobe.d"].keep
    kept = _kept(MODPROBE, keep)
    assert kept.splitlines() == [
        "blacklist amdgpu",
        "options amdgpu runpm=0 ppfeaturemask=0xffff3fff",
        "install amdgpu /sbin/modprobe",
        "  blacklist\tamdgpu",
        "install amdgpu /usr/bin/false",
    ]


def test_what_blocks_is_told_from_what_does_not():
    keep = ModprobeRules.queries()["/etc/modprobe.d"].keep
    texts = {"/etc/modprobe.d/a.conf": _kept(MODPROBE, keep)}
    rules = read(ModprobeRules, {"glob:/etc/modprobe.d/*.conf": Answer(ok=True, files=texts)})
    assert [(b.text, b.hard) for b in rules.blocks] == [
        ("blacklist amdgpu", False),
        ("blacklist\tamdgpu", False),
        ("install amdgpu /usr/bin/false", True),
    ]
    assert rules.options == ("runpm=0", "ppfeaturemask=0xffff3fff")


def test_a_file_in_etc_hides_its_namesake():
    answers = {
        "glob:/etc/modprobe.d/*.conf": Answer(ok=True, files={"/etc/modprobe.d/a.conf": ""}),
        "glob:/lib/modprobe.d/*.conf": Answer(
            ok=True,
            files={
                "/lib/modprobe.d/a.conf": "blacklist amdgpu\n",
                "/lib/modprobe.d/b.conf": "blacklist amdgpu\n",
            },
        ),
    }
    assert [b.where for b in read(ModprobeRules, answers).blocks] == ["/lib/modprobe.d/b.conf"]


def test_a_link_to_nothing_hides_its_namesake():
    answers = {
        "list:/etc/modprobe.d": said("a.conf@\n"),
        "glob:/usr/lib/modprobe.d/*.conf": Answer(
            ok=True, files={"/usr/lib/modprobe.d/a.conf": "blacklist amdgpu\n"}
        ),
    }
    assert read(ModprobeRules, answers).blocks == ()
    del answers["list:/etc/modprobe.d"]
    assert len(read(ModprobeRules, answers).blocks) == 1


def test_a_line_that_goes_on_is_one_line():
    keep = ModprobeRules.queries()["/etc/modprobe.d"].keep
    texts = {"/etc/modprobe.d/a.conf": _kept("blacklist \\\n amdgpu\n", keep)}
    rules = read(ModprobeRules, {"glob:/etc/modprobe.d/*.conf": Answer(ok=True, files=texts)})
    assert len(rules.blocks) == 1


@pytest.mark.parametrize(
    ("word", "hard"),
    [
        ("module_blacklist=nouveau,amdgpu", True),
        ("modprobe.blacklist=amdgpu", False),
        ("initcall_blacklist=amdgpu_init", True),
        ("nomodeset", True),
        ("module_blacklist=amdgpu_x,radeon", None),
        ("amdgpu.runpm=0", None),
        ("quiet", None),
        ("radeon.modeset=0", None),
    ],
)
def test_boot_parameters(word, hard):
    block = _boot_block(word)
    assert (block.hard if block else None) is hard


@pytest.mark.parametrize(
    ("answers", "on"),
    [
        ({_SB: said("\x06\x00\x00\x00\x01")}, True),
        ({_SB: said("\x06\x00\x00\x00\x00")}, False),
        (
            {
                _SB: said("\x06\x00\x00\x00\x01"),
                "run:mokutil --sb-state": Answer(
                    ok=True, stdout="SecureBoot enabled\nSecureBoot validation is disabled in shim\n"
                ),
            },
            False,
        ),
        ({_SB: GONE, "run:mokutil --sb-state": Answer(ok=True, exit_code=255, stderr=_NO_EFI)}, False),
        ({_SB: GONE, "run:mokutil --sb-state": Answer(ok=True, stdout="SecureBoot enabled\n")}, True),
        ({_SB: GONE, "stat:/sys/firmware/efi": GONE, "stat:/sys/firmware": said("dir")}, False),
    ],
)
def test_secure_boot(answers, on):
    assert read(SecureBoot, answers).on is on


@pytest.mark.parametrize("answers", [{}, {_SB: said("")}, {_SB: said("\x06\x00\x00\x00x")}, {_SB: GONE}])
def test_secure_boot_that_cannot_be_told(answers):
    with pytest.raises(UnknownError):
        read(SecureBoot, answers)


def test_the_key_is_tested_only_where_it_counts():
    answers = {_SB: said("\x06\x00\x00\x00\x01"), "stat:/var/lib/dkms/mok.pub": said("file")}
    answers["run:mokutil --test-key /var/lib/dkms/mok.pub"] = Answer(
        ok=True, stdout="x is already enrolled\n"
    )
    assert read(SecureBoot, answers).enrolled is True
    assert read(SecureBoot, {**answers, _SB: said("\x06\x00\x00\x00\x00")}).enrolled is None


@given(st.text(), st.text())
def test_counters_of_any_text_are_read_or_left_out(counts, pages):
    device = "/sys/class/drm/card0/device"
    answers = {
        "glob:/sys/class/drm/card*/device/uevent": Answer(ok=True, files={f"{device}/uevent": pages}),
        "glob:/sys/class/drm/card*/device/ras/*_err_count": Answer(
            ok=True, files={f"{device}/ras/umc_err_count": counts}
        ),
        "glob:/sys/class/drm/card*/device/ras/gpu_vram_bad_pages": Answer(
            ok=True, files={f"{device}/ras/gpu_vram_bad_pages": pages}
        ),
    }
    assert len(read(RasCounters, answers).counts) == 1


def test_widths_that_no_slot_has_are_left_out():
    bus = "/sys/bus/pci/devices"
    uevent = "PCI_CLASS=38000\nPCI_ID=1002:740F\nPCI_SLOT_NAME=0000:63:00.0\n"
    answers = {
        "stat:/sys/bus": said("dir"),
        f"glob:{bus}/*/uevent": Answer(ok=True, files={f"{bus}/0000:63:00.0/uevent": uevent}),
        f"glob:{bus}/*/current_link_width": Answer(
            ok=True, files={f"{bus}/0000:63:00.0/current_link_width": "63\n"}
        ),
        f"glob:{bus}/*/max_link_width": Answer(
            ok=True, files={f"{bus}/0000:63:00.0/max_link_width": "255\n"}
        ),
    }
    assert read(PciLinks, answers).ways == {"0000:63:00.0": ()}
