"""The compute topology, from texts as the driver prints them and from texts that it never printed."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rocmdoctor.facts.base import UnknownError, read
from rocmdoctor.facts.kfd import KfdTopology, Peer
from rocmdoctor.hosts.replay import from_raw
from tests.machines.parts import ABSENT, files, text

NODES = "/sys/class/kfd/kfd/topology/nodes"
PROPERTIES = f"glob:{NODES}/*/properties"
CPU = "cpu_cores_count 64\nsimd_count 0\ngfx_target_version 0\n"
GPU = "cpu_cores_count 0\nsimd_count 416\nsimd_per_cu 4\ngfx_target_version 90010\nvendor_id 4098\ndevice_id 29711\n"


def kfd(properties: dict[int, str], **more: Any) -> KfdTopology:
    answers = {
        "stat:/sys/class": text("dir 0755 root root"),
        PROPERTIES: files({f"{NODES}/{n}/properties": value for n, value in properties.items()}),
        **more,
    }
    return read(KfdTopology, from_raw({"schema": 1, "answers": answers}).answers)


def test_a_processor_alone_is_no_gpu() -> None:
    found = kfd({0: CPU}, **{f"glob:{NODES}/*/gpu_id": files({f"{NODES}/0/gpu_id": "0\n"})})
    assert (found.loaded, found.cpu_nodes, found.gpus) == (True, 1, ())


def test_an_apu_that_is_one_node_counts_as_both() -> None:
    found = kfd({0: "cpu_cores_count 4\nsimd_count 32\nsimd_per_cu 4\n"})
    assert (found.cpu_nodes, len(found.gpus)) == (1, 1)


def test_a_node_that_only_its_gpu_id_tells_to_be_a_gpu() -> None:
    found = kfd(
        {0: CPU, 1: "simd_count 0\n"}, **{f"glob:{NODES}/*/gpu_id": files({f"{NODES}/1/gpu_id": "51124\n"})}
    )
    assert [g.node for g in found.gpus] == [1]


@pytest.mark.parametrize("gpu_id", ["0", "", "garbage", "00"])
def test_a_gpu_id_that_names_none(gpu_id: str) -> None:
    found = kfd({0: CPU}, **{f"glob:{NODES}/*/gpu_id": files({f"{NODES}/0/gpu_id": gpu_id})})
    assert found.gpus == ()


def test_node_numbers_may_have_gaps_and_are_sorted_as_numbers() -> None:
    assert [g.node for g in kfd({10: GPU, 0: CPU, 2: GPU, 7: GPU}).gpus] == [2, 7, 10]


def test_an_old_kernel_publishes_no_target_and_no_domain() -> None:
    (gpu,) = kfd(
        {1: "simd_count 256\nsimd_per_cu 4\nvendor_id 4098\ndevice_id 26720\nlocation_id 6400\n"}
    ).gpus
    assert (gpu.gfx_target_version, gpu.domain, gpu.num_xcc) == (None, None, None)
    assert (gpu.compute_units, gpu.device_id) == (64, 0x6860)


def test_a_node_that_the_device_cgroup_hides() -> None:
    answer = files({f"{NODES}/0/properties": CPU}) | {"unreadable": {f"{NODES}/1/properties": "EPERM"}}
    found = kfd({}, **{PROPERTIES: answer})
    assert (found.cpu_nodes, found.gpus, found.hidden) == (1, (), (1,))


def test_video_memory_is_summed_over_its_banks_and_system_memory_is_left_out() -> None:
    banks = {
        f"{NODES}/1/mem_banks/0/properties": "heap_type 1\nsize_in_bytes 100\n",
        f"{NODES}/1/mem_banks/1/properties": "heap_type 2\nsize_in_bytes 20\n",
        f"{NODES}/1/mem_banks/2/properties": "heap_type 0\nsize_in_bytes 7\n",
        f"{NODES}/11/mem_banks/0/properties": "heap_type 1\nsize_in_bytes 999\n",
    }
    (gpu,) = kfd({1: GPU}, **{f"glob:{NODES}/*/mem_banks/*/properties": files(banks)}).gpus
    assert gpu.vram_bytes == 120


def test_only_xgmi_links_make_peers_and_each_peer_counts_once() -> None:
    links = {
        f"{NODES}/1/io_links/0/properties": "type 2\nnode_to 0\n",
        f"{NODES}/1/io_links/1/properties": "type 11\nnode_to 3\nmax_bandwidth 50000\n",
        f"{NODES}/1/io_links/2/properties": "type 11\nnode_to 2\nmax_bandwidth 100000\n",
        f"{NODES}/1/io_links/3/properties": "type 11\nnode_to 2\nmax_bandwidth 100000\n",
        f"{NODES}/11/io_links/0/properties": "type 11\nnode_to 9\n",
    }
    (gpu,) = kfd({1: GPU}, **{f"glob:{NODES}/*/io_links/*/properties": files(links)}).gpus
    assert gpu.xgmi_peers == (Peer(2, 100000), Peer(3, 50000))


def test_a_primary_node_is_no_render_node() -> None:
    assert kfd({1: GPU + "drm_render_minor 0\n"}).gpus[0].render_minor is None
    assert kfd({1: GPU + "drm_render_minor 128\n"}).gpus[0].render_minor == 128


@pytest.mark.parametrize(
    "rubbish", ["", "\x00\\xff\\xfe", "no numbers here", "simd_count\n" * 9999, "a -1\nb 0x10\n"]
)
def test_files_that_hold_no_topology_are_unknown_and_not_an_empty_machine(rubbish: str) -> None:
    with pytest.raises(UnknownError, match="none of the files can be read as a topology"):
        kfd({0: rubbish, 1: rubbish})


def test_one_node_of_rubbish_does_not_cost_the_others() -> None:
    assert [g.node for g in kfd({0: "\\x00", 1: GPU}).gpus] == [1]


def test_numbers_that_no_driver_prints_are_left_out() -> None:
    (gpu,) = kfd({1: GPU + "num_xcc " + "9" * 5000 + "\nhive_id 18446744073709551615\n"}).gpus
    assert (gpu.num_xcc, gpu.hive_id) == (None, 2**64 - 1)


@pytest.mark.parametrize("path", [f"{NODES}/{'9' * 5000}/properties", "/elsewhere", f"{NODES}/x/properties"])
def test_a_path_that_names_no_node(path: str) -> None:
    assert kfd({}, **{PROPERTIES: files({path: GPU, f"{NODES}/0/properties": CPU})}).gpus == ()


def test_without_the_driver() -> None:
    assert kfd({}, **{PROPERTIES: ABSENT}).loaded is False


def test_a_folder_without_sysfs_says_nothing_of_the_driver() -> None:
    with pytest.raises(UnknownError, match="no sysfs here"):
        kfd({}, **{PROPERTIES: ABSENT, "stat:/sys/class": ABSENT})


def test_who_may_not_look_does_not_know() -> None:
    with pytest.raises(UnknownError, match="permission denied"):
        kfd({}, **{PROPERTIES: {"ok": False, "why": "permission"}})


_NUMBERS = st.dictionaries(
    st.sampled_from(
        ["simd_count", "simd_per_cu", "device_id", "location_id", "domain", "num_xcc", "unique_id"]
    ),
    st.integers(0, 2**64 - 1),
)


@given(_NUMBERS)
def test_numbers_come_back_as_they_were_printed(values: dict[str, int]) -> None:
    values = {**values, "simd_count": 4, "simd_per_cu": 4}
    (gpu,) = kfd({1: "".join(f"{k} {v}\n" for k, v in values.items())}).gpus
    assert gpu.device_id == values.get("device_id", 0)
    assert gpu.domain == values.get("domain")
    assert gpu.unique_id == values.get("unique_id", 0)
    assert gpu.compute_units == 1


@given(st.dictionaries(st.integers(0, 99), st.text(), max_size=5), st.text(), st.text())
def test_any_text_is_read_or_unknown(properties: dict[int, str], bank: str, link: str) -> None:
    with suppress(UnknownError):
        kfd(
            properties,
            **{
                f"glob:{NODES}/*/gpu_id": files(
                    {f"{NODES}/{n}/gpu_id": value for n, value in properties.items()}
                ),
                f"glob:{NODES}/*/mem_banks/*/properties": files({f"{NODES}/1/mem_banks/0/properties": bank}),
                f"glob:{NODES}/*/io_links/*/properties": files({f"{NODES}/1/io_links/0/properties": link}),
            },
        )
