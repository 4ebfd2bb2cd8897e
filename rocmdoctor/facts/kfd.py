"""The compute topology that the kernel driver publishes: one node per CPU package and per GPU (or part of one)."""

from __future__ import annotations

import re
from collections.abc import Mapping

from rocmdoctor.facts.base import Evidence, Fact, UnknownError
from rocmdoctor.frozen import frozen
from rocmdoctor.model import Glob, Query, Stat

_NODES = "/sys/class/kfd/kfd/topology/nodes"
# drivers/gpu/drm/amd/amdkfd/kfd_crat.h: CRAT_IOLINK_TYPE_XGMI; HSA_MEM_HEAP_TYPE_FB_PUBLIC and _PRIVATE.
_XGMI = 11
_VIDEO_MEMORY = (1, 2)


@frozen
class Peer:
    """A GPU node at the other end of an XGMI link; bandwidth in MB/s as the driver states it."""

    node: int
    max_bandwidth: int


@frozen
class KfdGpu:
    """One GPU node. `gfx_target_version` and `domain` are None on kernels that do not publish them."""

    node: int
    gfx_target_version: int | None
    vendor_id: int
    device_id: int
    domain: int | None
    location_id: int
    render_minor: int | None
    compute_units: int
    num_xcc: int | None
    hive_id: int
    unique_id: int
    vram_bytes: int | None
    xgmi_peers: tuple[Peer, ...]


@frozen
class KfdTopology(Fact):
    """GPU nodes and the number of nodes with CPUs. `loaded`: the driver publishes a topology at all.

    `hidden` are nodes that are there but may not be read: GPUs that the device cgroup keeps from this container
    (drivers/gpu/drm/amd/amdkfd/kfd_topology.c answers EPERM).
    """

    loaded: bool
    cpu_nodes: int
    gpus: tuple[KfdGpu, ...]
    hidden: tuple[int, ...] = ()

    @classmethod
    def queries(cls) -> Mapping[str, Query]:
        return {
            "sysfs": Stat("/sys/class"),
            "properties": Glob(f"{_NODES}/*/properties"),
            "gpu_id": Glob(f"{_NODES}/*/gpu_id"),
            "memory": Glob(f"{_NODES}/*/mem_banks/*/properties"),
            "links": Glob(f"{_NODES}/*/io_links/*/properties", limit=4096),
        }

    @classmethod
    def parse(cls, ev: Evidence) -> KfdTopology:
        if not ev["properties"].ok and ev["properties"].why == "absent" and not ev["sysfs"].ok:
            raise UnknownError(f"{ev.key('properties')}: no sysfs here")
        nodes = {_node(path): _numbers(text) for path, text in ev.files("properties").items()}
        nodes = {node: values for node, values in nodes.items() if values and node >= 0}
        if ev.files("properties") and not nodes:
            raise UnknownError(f"{ev.key('properties')}: none of the files can be read as a topology")
        ids = {_node(path): text.strip() for path, text in _files(ev, "gpu_id").items()}
        gpus = [node for node, values in nodes.items() if _is_gpu(values, ids.get(node, ""))]
        return cls(
            loaded=ev["properties"].ok,
            cpu_nodes=sum(_has_cpus(node, values, gpus) for node, values in nodes.items()),
            gpus=tuple(_gpu(node, nodes[node], ev) for node in sorted(gpus)),
            hidden=tuple(sorted({_node(p) for p in ev["properties"].unreadable} - set(nodes) - {-1})),
        )


def _files(ev: Evidence, name: str) -> Mapping[str, str]:
    try:
        return ev.files(name)
    except UnknownError:
        return {}


def _node(path: str) -> int:
    match = re.search(r"/nodes/([0-9]{1,9})/", path)
    return int(match.group(1)) if match else -1


def _numbers(text: str) -> dict[str, int]:
    pairs = (line.split() for line in text.splitlines())
    return {
        p[0]: int(p[1]) for p in pairs if len(p) == 2 and p[1].isascii() and p[1].isdigit() and len(p[1]) < 21
    }


def _is_gpu(values: Mapping[str, int], gpu_id: str) -> bool:
    return values.get("simd_count", 0) > 0 or (gpu_id.isdigit() and gpu_id.strip("0") != "")


def _has_cpus(node: int, values: Mapping[str, int], gpus: list[int]) -> bool:
    # Up to Raven, an APU is one node that has CPUs and a GPU.
    return values.get("cpu_cores_count", 0) > 0 or node not in gpus


def _gpu(node: int, values: Mapping[str, int], ev: Evidence) -> KfdGpu:
    per_cu = values.get("simd_per_cu", 0)
    return KfdGpu(
        node=node,
        gfx_target_version=values.get("gfx_target_version") or None,
        vendor_id=values.get("vendor_id", 0),
        device_id=values.get("device_id", 0),
        domain=values.get("domain"),
        location_id=values.get("location_id", 0),
        # Minor 0 is a primary node: the driver writes it where no render node exists.
        render_minor=values.get("drm_render_minor") or None,
        compute_units=values.get("simd_count", 0) // per_cu if per_cu else 0,
        num_xcc=values.get("num_xcc"),
        hive_id=values.get("hive_id", 0),
        unique_id=values.get("unique_id", 0),
        vram_bytes=_vram(node, values, _files(ev, "memory")),
        xgmi_peers=_peers(node, _files(ev, "links")),
    )


def _vram(node: int, values: Mapping[str, int], banks: Mapping[str, str]) -> int | None:
    sizes = []
    for path, text in banks.items():
        bank = _numbers(text)
        if _node(path) == node and bank.get("heap_type") in _VIDEO_MEMORY:
            sizes.append(bank.get("size_in_bytes", 0))
    return sum(sizes) or values.get("local_mem_size") or None


def _peers(node: int, links: Mapping[str, str]) -> tuple[Peer, ...]:
    found = {}
    for path, text in links.items():
        if f"/nodes/{node}/" not in path:
            continue
        link = _numbers(text)
        if link.get("type") == _XGMI and "node_to" in link:
            found[link["node_to"]] = Peer(link["node_to"], link.get("max_bandwidth", 0))
    return tuple(found[key] for key in sorted(found))
