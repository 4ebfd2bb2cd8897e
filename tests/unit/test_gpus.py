"""What the driver, the bus and the table say together: machines described by their figures."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rocmdoctor.content import DataTables, bundled
from rocmdoctor.diagnosis.known import Known
from rocmdoctor.facts.base import UnknownError
from rocmdoctor.facts.gpus import NO_TARGET, Gpus, GpuTable, bdf_of, gfx_name, targets_in
from rocmdoctor.facts.kfd import KfdGpu
from rocmdoctor.facts.pci import PciDevice
from rocmdoctor.hosts.replay import from_raw
from tests.machines.hardware import kfd, location, pci
from tests.machines.parts import ABSENT, Answers, GpuSpec, Spec, files, text

NODES = "/sys/class/kfd/kfd/topology/nodes"
CARDS = "/sys/class/drm/card*/device"
TABLE: GpuTable = DataTables(bundled())(GpuTable)


def gpus(answers: Answers) -> Gpus:
    answers = {
        "stat:/sys/class": text("dir 0755 root root"),
        "stat:/sys/bus": text("dir 0755 root root"),
        **answers,
    }
    return Known(from_raw({"schema": 1, "answers": answers}).answers, DataTables(bundled())).get(Gpus)


def machine(*specs: GpuSpec) -> Answers:
    spec = Spec("described", gpus=specs)
    return {**pci(spec), **kfd(spec)}


def die(number: int, **more: Any) -> GpuSpec:
    figures: dict[str, Any] = {"hive": 0x77, "unique_id": 0x500 + number, **more}
    return GpuSpec(90010, "7408", "00", f"0000:{0xC1 + 4 * number:02x}:00.0", 128 + number, 440, **figures)


def test_four_mi250x_boards_are_eight_gpus() -> None:
    found = gpus(machine(*(die(n) for n in range(8))))
    assert [g.gfx for g in found.all] == ["gfx90a"] * 8
    assert (found.physical, found.hives) == (4, 1)
    assert found.all[0].name == "AMD Instinct MI250X"
    assert found.all[0].xgmi_peers == (2, 3, 4, 5, 6, 7, 8)
    assert {g.compute_units for g in found.all} == {110}


def test_a_board_of_which_one_die_is_missing_still_counts() -> None:
    assert gpus(machine(*(die(n) for n in range(7)))).physical == 4


def test_equal_bus_numbers_in_several_domains() -> None:
    specs = [
        GpuSpec(90402, "74a1", "00", f"{domain}:01:00.0", 128 + n, 1216, num_xcc=8, unique_id=n + 1)
        for n, domain in enumerate(("0000", "0001", "0002", "10000"))
    ]
    found = gpus(machine(*specs))
    assert [g.bdf for g in found.all] == ["0000:01:00.0", "0001:01:00.0", "0002:01:00.0", "10000:01:00.0"]
    assert found.physical == 4
    assert all(g.pci is not None for g in found.all)


def test_mixed_generations() -> None:
    found = gpus(
        machine(
            GpuSpec(90010, "740f", "02", "0000:03:00.0", 128, 416),
            GpuSpec(110000, "744c", "c8", "0000:23:00.0", 129, 192, 2, pci_class="30000"),
            GpuSpec(80003, "67df", "e7", "0000:43:00.0", 130, 144, pci_class="30000"),
        )
    )
    assert [g.gfx for g in found.all] == ["gfx90a", "gfx1100", "gfx803"]
    assert found.all[2].name == "AMD Radeon RX 580 Series"


def test_an_integrated_gpu_steps_back_behind_a_discrete_one() -> None:
    raphael = GpuSpec(100306, "164e", "d8", "0000:7a:00.0", 129, 4, 2, pci_class="30000")
    navi = GpuSpec(110000, "744c", "c8", "0000:03:00.0", 128, 192, 2, pci_class="30000")
    assert [g.gfx for g in gpus(machine(navi, raphael)).discrete] == ["gfx1100"]
    assert [g.gfx for g in gpus(machine(raphael)).discrete] == ["gfx1036"]


@pytest.mark.parametrize(
    ("device", "xcc", "parts", "mode"),
    [
        ("74a1", 8, 1, "SPX"), ("74a1", 4, 2, "DPX"), ("74a1", 2, 4, "QPX"), ("74a1", 1, 8, "CPX"),
        ("74a0", 6, 1, "SPX"), ("74a0", 2, 3, "TPX"), ("74a0", 1, 6, "CPX"), ("74a1", 3, 1, None), ("75a0", 4, 2, "DPX"),
    ],
)  # fmt: skip
def test_compute_partitions_by_their_dies(device: str, xcc: int, parts: int, mode: str | None) -> None:
    specs = [
        GpuSpec(
            90402, device, "00", f"0000:05:00.{part}", 128 + part, 152 * xcc, num_xcc=xcc, unique_id=9 + part
        )
        for part in range(parts)
    ]
    answers = {**pci(Spec("bus", gpus=(specs[0],))), **kfd(Spec("described", gpus=tuple(specs)))}
    found = gpus(answers)
    assert {(g.bdf, g.compute_partition) for g in found.all} == {("0000:05:00.0", mode)}
    assert (len(found.all), found.physical) == (parts, 1)
    # The same without a bus: the driver's own numbers have to do.
    alone = gpus(kfd(Spec("described", gpus=tuple(specs))))
    assert ({g.bdf for g in alone.all}, alone.physical) == ({"0000:05:00.0"}, 1)


@pytest.mark.parametrize(("compute", "memory"), [("DPX", "NPS1"), ("QPX", "NPS1"), ("CPX", "NPS4")])
def test_partitions_as_the_driver_names_them(compute: str, memory: str) -> None:
    answers = machine(GpuSpec(90402, "74a2", "00", "0000:05:00.0", 128, 304, num_xcc=2))
    card = "/sys/class/drm/card0/device"
    answers[f"glob:{CARDS}/current_compute_partition"] = files(
        {f"{card}/current_compute_partition": compute + "\n"}
    )
    answers[f"glob:{CARDS}/current_memory_partition"] = files(
        {f"{card}/current_memory_partition": memory + "\n"}
    )
    (gpu,) = gpus(answers).all
    assert (gpu.compute_partition, gpu.memory_partition) == (compute, memory)


def test_a_virtual_function_holds_what_the_host_gave_it() -> None:
    (gpu,) = gpus(machine(GpuSpec(90402, "74b5", "00", "0000:00:07.0", 128, 1216, num_xcc=8))).all
    assert (gpu.gfx, gpu.name, gpu.compute_partition) == ("gfx942", "AMD Instinct MI300X VF", None)


def test_kfd_with_a_processor_alone_is_no_gpu() -> None:
    found = gpus({**pci(Spec("none")), **kfd(Spec("none"))})
    assert (found.all, found.physical, found.hives) == ((), 0, 0)


def test_a_gpu_on_the_bus_that_kfd_does_not_have() -> None:
    mi210 = GpuSpec(90010, "740f", "02", "0000:63:00.0", 128, 416)
    (gpu,) = gpus({**pci(Spec("bus", gpus=(mi210,))), **kfd(Spec("none"))}).all
    assert (gpu.gfx, gpu.node, gpu.driver, gpu.render_minor) == ("gfx90a", None, "amdgpu", None)


def _without(answers: Answers, *names: str) -> Answers:
    texts = answers[f"glob:{NODES}/*/properties"]["files"]
    for path, value in texts.items():
        texts[path] = "".join(line + "\n" for line in value.splitlines() if line.split()[0] not in names)
    return answers


def test_an_old_kernel_that_names_no_target() -> None:
    found = gpus(
        _without(machine(GpuSpec(1, "6860", "00", "0000:19:00.0", 128, 256)), "gfx_target_version", "num_xcc")
    )
    assert [g.gfx for g in found.all] == ["gfx900"]


def test_an_old_kernel_that_names_no_domain_is_matched_by_bus_and_device() -> None:
    spec = GpuSpec(90000, "6860", "00", "10000:19:00.0", 128, 256)
    (gpu,) = gpus(_without(machine(spec), "domain")).all
    assert gpu.bdf == "10000:19:00.0"
    assert gpu.pci is not None


def test_without_a_domain_two_cards_that_fit_are_not_guessed_between() -> None:
    specs = (
        GpuSpec(90000, "6860", "00", "0001:19:00.0", 128, 256),
        GpuSpec(90000, "6860", "00", "0002:19:00.0", 129, 256),
    )
    assert {g.bdf for g in gpus(_without(machine(*specs), "domain")).all if g.node} == {"0000:19:00.0"}


def test_a_device_id_newer_than_the_table_is_told_by_its_graphics_core() -> None:
    answers = pci(Spec("bus", gpus=(GpuSpec(0, "7fff", "00", "0000:03:00.0", 128, 0),)))
    assert gpus(answers).all[0].gfx is None
    for name, value in (("major", "12"), ("minor", "0"), ("revision", "1")):
        path = f"ip_discovery/die/0/11/0/{name}"
        answers[f"glob:{CARDS}/{path}"] = files({f"/sys/class/drm/card0/device/{path}": value})
    found = gpus(answers)
    assert [g.gfx for g in found.all] == ["gfx1201"]
    assert found.all[0].name == "AMD display device 1002:7fff"


def test_an_unknown_gpu_may_have_a_target() -> None:
    found = gpus(pci(Spec("bus", gpus=(GpuSpec(0, "7fff", "00", "0000:03:00.0", 128, 0),))))
    assert (found.all[0].gfx, len(found.capable), found.physical) == (None, 1, 1)


def test_what_kfd_took_has_a_target_whatever_the_table_says() -> None:
    answers = _without(machine(GpuSpec(1, "6818", "00", "0000:01:00.0", 128, 80)), "gfx_target_version")
    assert gpus(answers).all[0].gfx is None


@pytest.mark.parametrize("version", [1, 9999, 10**9, 2**64 - 1])
def test_a_target_version_that_no_driver_prints_is_unknown(version: int) -> None:
    assert gpus(machine(GpuSpec(version, "740f", "02", "0000:63:00.0", 128, 416))).all[0].gfx is None


def test_neither_bus_nor_driver() -> None:
    with pytest.raises(UnknownError):
        gpus({"stat:/sys/class": ABSENT, "stat:/sys/bus": ABSENT})


@pytest.mark.parametrize(
    ("device", "gfx"),
    [
        ("6818", NO_TARGET), ("679a", NO_TARGET), ("5046", NO_TARGET), ("5159", NO_TARGET), ("98e4", NO_TARGET),
        ("6900", NO_TARGET), ("67df", "gfx803"), ("7300", "gfx803"), ("6939", "gfx802"), ("9874", "gfx801"),
        ("67b0", "gfx701"), ("1304", "gfx700"), ("15dd", "gfx902"), ("15d8", "gfx902"), ("13fe", "gfx1013"),
        ("69a0", "gfx904"), ("738c", "gfx908"), ("7390", "gfx908"), ("7410", "gfx90a"), ("66af", "gfx906"),
        ("740f", "gfx90a"), ("74a1", "gfx942"), ("75a3", "gfx950"), ("744c", "gfx1100"), ("66b0", None), ("9999", NO_TARGET),
        ("ffff", None), ("0", None),
    ],
)  # fmt: skip
def test_targets_by_device(device: str, gfx: str | None) -> None:
    assert TABLE.gfx_of_device(device) == gfx


@pytest.mark.parametrize(
    ("device", "revision", "name"),
    [
        ("744c", "c8", "Radeon RX 7900 XTX"), ("744c", "ce", "Radeon RX 7900 GRE"), ("67df", "e1", "RX 590"),
        ("67df", "cf", "RX 470"), ("7300", "c8", "R9 Fury"), ("687f", "c1", "RX Vega"), ("740f", None, "MI210"),
        ("67df", None, "Polaris 10 ("), ("98e4", None, "1002:98e4"),
    ],
)  # fmt: skip
def test_products_need_the_revision(device: str, revision: str | None, name: str) -> None:
    assert name in TABLE.name(device, revision)


def test_the_table_holds_together() -> None:
    assert {m.gfx for m in TABLE.models.values()} <= set(TABLE.targets)
    cores = [gc for t in TABLE.targets.values() for gc in t.gc]
    assert len(cores) == len(set(cores))
    for low, high in TABLE.without_target:
        assert low <= high
        assert [d for d in TABLE.models if low <= int(d, 16) <= high] == []
    assert all(d == f"{int(d, 16):04x}" and m.names for d, m in TABLE.models.items())


@pytest.mark.parametrize(
    ("version", "name"),
    [(90010, "gfx90a"), (90012, "gfx90c"), (100300, "gfx1030"), (110501, "gfx1151"), (120500, "gfx1250"), (80003, "gfx803")],
)  # fmt: skip
def test_target_names(version: int, name: str) -> None:
    assert gfx_name(version) == name


def _node(**figures: Any) -> KfdGpu:
    plain: dict[str, Any] = {
        "node": 1, "gfx_target_version": 90010, "vendor_id": 0x1002, "device_id": 0x740F, "domain": 0,
        "location_id": 0, "render_minor": 128, "compute_units": 104, "num_xcc": 1, "hive_id": 0, "unique_id": 0,
        "vram_bytes": None, "xgmi_peers": (),
    }  # fmt: skip
    return KfdGpu(**{**plain, **figures})


_BDFS = st.builds(
    "{:04x}:{:02x}:{:02x}.{:x}".format,
    st.integers(0, 0xFFFFF), st.integers(0, 0xFF), st.integers(0, 0x1F), st.integers(0, 7),
)  # fmt: skip


@given(_BDFS)
def test_an_address_survives_the_way_through_kfd(bdf: str) -> None:
    domain, place = location(bdf)
    device = PciDevice(bdf, "1002", "740f", "038000", "amdgpu")
    assert bdf_of(_node(domain=domain, location_id=place), {bdf: device}) == bdf


@given(_BDFS, st.integers(0, 2**64 - 1), st.integers(0, 2**64 - 1))
def test_any_number_gives_an_address(bdf: str, domain: int, place: int) -> None:
    assert bdf_of(
        _node(domain=domain, location_id=place), {bdf: PciDevice(bdf, "1002", "740f", "038000", None)}
    )


def test_targets_in_a_text() -> None:
    said = "Name: gfx90a:sramecc+:xnack-  gfx1100 gfx90a gfx9-generic xgfx906 gfx1030x gfx803"
    assert targets_in(said) == ["gfx90a", "gfx1100", "gfx803"]
