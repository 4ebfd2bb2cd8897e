"""The GPUs of a machine: what the driver says, what the bus says, and what the table knows, put together."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, ClassVar

from rocmdoctor.facts.base import Fact, Table, UnknownError
from rocmdoctor.facts.kfd import KfdGpu, KfdTopology
from rocmdoctor.facts.pci import AMD, PciDevice, PciDisplays
from rocmdoctor.frozen import frozen

NO_TARGET = "none"  # an AMD display device that has no gfx target: nothing of ROCm ever ran on it


def gfx_name(version: int) -> str:
    """`90010` is gfx90a: major in decimal, minor and stepping in hex.

    Source: ROCm/rocm-systems projects/rocminfo/rocm_agent_enumerator.
    """
    return f"gfx{version // 10000}{version // 100 % 100:x}{version % 100:x}"


@frozen
class GfxTarget:
    """What is known of a gfx target. `override`: the HSA_OVERRIDE_GFX_VERSION that can make sense, or "" for none."""

    gfx: str
    family: str
    wavefront: int
    official: bool
    generic: str
    override: str
    gc: tuple[str, ...]


@frozen
class GpuModel:
    """A PCI device id. `names` by revision, "" for any; `dies` GPUs show up for one board; `xcc` per GPU."""

    gfx: str
    codename: str
    names: Mapping[str, str]
    apu: bool
    dies: int
    xcc: int


@frozen
class GpuTable(Table):
    """AMD GPUs by PCI device id, and gfx targets by name."""

    file: ClassVar[str] = "gpus.toml"
    models: Mapping[str, GpuModel]
    targets: Mapping[str, GfxTarget]
    without_target: tuple[tuple[int, int], ...]

    @classmethod
    def load(cls, data: Mapping[str, Any]) -> GpuTable:
        models = {
            row["id"]: GpuModel(
                row["gfx"],
                row.get("codename", ""),
                row["names"],
                row.get("apu", False),
                row.get("dies", 1),
                row.get("xcc", 1),
            )
            for row in data["gpu"]
        }
        targets = {
            name: GfxTarget(
                name,
                row["family"],
                row["wavefront"],
                row["official"],
                row.get("generic", ""),
                row.get("override", ""),
                tuple(row.get("gc", ())),
            )
            for name, row in data["gfx"].items()
        }
        ranges = tuple((int(a, 16), int(b, 16)) for a, b in data["without_target"]["ranges"])
        return cls(models, targets, ranges)

    def gfx_of_device(self, device: str) -> str | None:
        """The gfx target of a device id, `none` for devices that have none, None when not known."""
        model = self.models.get(device)
        if model is not None:
            return model.gfx
        number = int(device, 16)
        return NO_TARGET if any(low <= number <= high for low, high in self.without_target) else None

    def gfx_of_core(self, gc: str | None) -> str | None:
        """The gfx target of a graphics core version."""
        return next((t.gfx for t in self.targets.values() if gc in t.gc), None)

    def name(self, device: str, revision: str | None) -> str:
        """The product. Needs the revision; without it, all products that share the device id."""
        model = self.models.get(device)
        if model is None:
            return f"AMD display device {AMD}:{device}"
        exact = model.names.get(revision or "") or model.names.get("")
        if exact:
            return exact
        names = list(dict.fromkeys(model.names.values()))
        if len(names) == 1:
            return names[0]
        shown = " / ".join(names[:3]) + (" / ..." if len(names) > 3 else "")
        return f"{model.codename or device} ({shown})"


@frozen
class Gpu:
    """One KFD GPU node, or one PCI device without. `gfx` is None when it cannot be told."""

    gfx: str | None
    name: str
    pci_id: str
    bdf: str
    driver: str | None
    vram_bytes: int | None
    node: int | None
    render_minor: int | None
    compute_units: int | None
    num_xcc: int | None
    compute_partition: str | None
    memory_partition: str | None
    xgmi_peers: tuple[int, ...]
    hive_id: int
    integrated: bool
    board: str
    pci: PciDevice | None


@frozen
class Gpus(Fact):
    """All AMD GPUs, KFD nodes first. `physical` counts boards that can compute, `hives` the XGMI groups."""

    all: tuple[Gpu, ...]
    physical: int
    hives: int

    @property
    def capable(self) -> tuple[Gpu, ...]:
        """GPUs that have a gfx target, or may have one."""
        return tuple(g for g in self.all if g.gfx != NO_TARGET)

    @property
    def discrete(self) -> tuple[Gpu, ...]:
        """The capable GPUs that are not part of a processor; the integrated ones where there are no others."""
        return tuple(g for g in self.capable if not g.integrated) or self.capable

    @classmethod
    def derive(cls, kfd: KfdTopology | None, pci: PciDisplays | None, table: GpuTable) -> Gpus:
        if pci is None and (kfd is None or not kfd.loaded):
            raise UnknownError("neither the PCI bus nor the KFD topology could be read")
        devices = {d.bdf: d for d in pci.amd} if pci else {}
        found = [_from_node(n, devices, table) for n in (kfd.gpus if kfd else ())]
        seen = {gpu.bdf for gpu in found}
        found += [_from_bus(d, table) for d in devices.values() if d.bdf not in seen]
        return cls(tuple(found), _boards(found, table), len({g.hive_id for g in found if g.hive_id}))


def bdf_of(node: KfdGpu, known: Mapping[str, PciDevice]) -> str:
    """The PCI address of a KFD node, `domain:bus:device.function`.

    On partitioned GPUs the low three bits of location_id are the partition's number, not a PCI function
    (drivers/gpu/drm/amd/amdkfd/kfd_topology.c adds the node id); the bus decides where it can be read.
    Kernels that publish no domain are asked by bus and device, where the bus knows only one such card.
    """
    location = node.location_id
    place = f"{location >> 8 & 0xFF:02x}:{location >> 3 & 0x1F:02x}"
    function = location & 7
    if node.domain is None:
        device = f"{node.device_id:04x}"
        same = [b for b, d in known.items() if b.endswith(f":{place}.{function}") and d.device == device]
        if len(same) == 1:
            return same[0]
    stem = f"{node.domain or 0:04x}:{place}"
    exact = f"{stem}.{function}"
    if function == 0 or exact in known:
        return exact
    if f"{stem}.0" in known or (node.num_xcc is not None and _partitionable(node)):
        return f"{stem}.0"
    return exact


def _partitionable(node: KfdGpu) -> bool:
    # Graphics cores 9.4.3 and later of that line, and 12.1: the only ones with compute partitions.
    version = node.gfx_target_version or 0
    return 90400 <= version < 100000 or version >= 120500


def _from_node(node: KfdGpu, devices: Mapping[str, PciDevice], table: GpuTable) -> Gpu:
    bdf = bdf_of(node, devices)
    device_id = f"{node.device_id:04x}"
    pci = devices.get(bdf)
    model = table.models.get(device_id)
    partition = pci.compute_partition if pci else None
    return Gpu(
        gfx=_gfx_of_node(node, pci, table),
        name=table.name(device_id, pci.revision if pci else None),
        pci_id=f"{node.vendor_id:04x}:{device_id}",
        bdf=bdf,
        driver=(pci.driver if pci else None) or "amdgpu",
        vram_bytes=node.vram_bytes or (pci.vram_bytes if pci else None),
        node=node.node,
        render_minor=node.render_minor,
        compute_units=node.compute_units or None,
        num_xcc=node.num_xcc,
        compute_partition=partition or _partition(node.num_xcc, model.xcc if model else 1),
        memory_partition=pci.memory_partition if pci else None,
        xgmi_peers=tuple(peer.node for peer in node.xgmi_peers),
        hive_id=node.hive_id,
        integrated=_integrated(model, pci),
        board=bdf,
        pci=pci,
    )


def _gfx_of_node(node: KfdGpu, pci: PciDevice | None, table: GpuTable) -> str | None:
    version = node.gfx_target_version
    if version:
        return gfx_name(version) if 10000 <= version < 1000000 else None
    gfx = table.gfx_of_device(f"{node.device_id:04x}")
    # KFD took it, so it has a target even where the table says that none of its kind has.
    return gfx if gfx and gfx != NO_TARGET else table.gfx_of_core(pci.gc if pci else None)


def _partition(num_xcc: int | None, whole: int) -> str | None:
    """The compute partition from the XCCs a node has of those on the GPU."""
    if not num_xcc or whole <= 1 or whole % num_xcc:
        return None
    if num_xcc == whole:
        return "SPX"
    if num_xcc == 1:
        return "CPX"
    return {2: "DPX", 3: "TPX", 4: "QPX"}.get(whole // num_xcc)


def _from_bus(device: PciDevice, table: GpuTable) -> Gpu:
    model = table.models.get(device.device)
    return Gpu(
        gfx=table.gfx_of_device(device.device) or table.gfx_of_core(device.gc),
        name=table.name(device.device, device.revision),
        pci_id=f"{device.vendor}:{device.device}",
        bdf=device.bdf,
        driver=device.driver,
        vram_bytes=device.vram_bytes,
        node=None,
        render_minor=None,
        compute_units=None,
        num_xcc=None,
        compute_partition=device.compute_partition,
        memory_partition=device.memory_partition,
        xgmi_peers=(),
        hive_id=0,
        integrated=_integrated(model, device),
        board=device.bdf,
        pci=device,
    )


def _integrated(model: GpuModel | None, _pci: PciDevice | None) -> bool:
    return model is not None and model.apu


def _boards(gpus: list[Gpu], table: GpuTable) -> int:
    """Boards: partitions of one GPU count once, and so do the two dies of a dual-die board."""
    dies: dict[str, set[str]] = {}
    for gpu in gpus:
        if gpu.gfx != NO_TARGET:
            dies.setdefault(gpu.pci_id.partition(":")[2], set()).add(gpu.board)
    per_board = {d: table.models[d].dies if d in table.models else 1 for d in dies}
    return sum(-(-len(boards) // per_board[device]) for device, boards in dies.items())


_TARGET = re.compile(r"\bgfx(?:[1-9]\d{0,1}[0-9a-f]{2})\b")


def targets_in(text: str) -> list[str]:
    """The gfx targets that a text names, in order, each once."""
    return list(dict.fromkeys(_TARGET.findall(text)))
