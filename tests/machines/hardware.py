"""The parts that every machine has: system, PCI bus, compute topology."""

from __future__ import annotations

from tests.machines.parts import ABSENT, Answers, GpuSpec, Spec, files, text

_NODES = "/sys/class/kfd/kfd/topology/nodes"


def system(spec: Spec) -> Answers:
    """Distribution, kernel, processors, memory."""
    like = "debian" if spec.os_id == "ubuntu" else ""
    release = (
        f'PRETTY_NAME="{spec.os_id.title()} {spec.os_version}"\nVERSION_ID="{spec.os_version}"\n'
        f"VERSION_CODENAME={spec.codename}\nID={spec.os_id}\nID_LIKE={like}\n"
    )
    return {
        "read:/etc/os-release": text(release),
        "read:/usr/lib/os-release": text(release),
        "read:/proc/sys/kernel/osrelease": text(spec.kernel + "\n"),
        "read:/proc/cmdline": text(spec.extra.get("cmdline", "quiet") + "\n"),
        "read:/proc/meminfo": text(
            f"MemTotal: {spec.memory_kib} kB\nMemAvailable: {spec.memory_kib * 9 // 10} kB\n"
        ),
        "read:/sys/devices/system/cpu/online": text(f"0-{spec.threads - 1}\n"),
        "read:/proc/cpuinfo": text("model name\t: AMD EPYC 7543 32-Core Processor\n"),
        "stat:/.dockerenv": ABSENT,
        "stat:/run/.containerenv": ABSENT,
        "read:/run/systemd/container": ABSENT,
        "stat:/.singularity.d": ABSENT,
        "read:/proc/self/cgroup": text(""),
        "read:/proc/self/mountinfo": text("29 1 8:2 / / rw,relatime shared:1 - ext4\n"),
        "read:/proc/self/uid_map": text("         0          0 4294967295\n"),
        "stat:/dev/dxg": ABSENT,
        "stat:/sys": text("dir 0555 root root"),
        "stat:/sys/bus": text("dir 0755 root root"),
        "stat:/sys/class": text("dir 0755 root root"),
        "list:/lib/modules": text(f"{spec.kernel}/\n"),
    }


def _uevent(gpu: GpuSpec) -> str:
    driver = "DRIVER=amdgpu\n"
    return f"{driver}PCI_CLASS={gpu.pci_class}\nPCI_ID=1002:{gpu.device.upper()}\nPCI_SLOT_NAME={gpu.bdf}\n"


def pci(spec: Spec) -> Answers:
    """The GPUs on the bus and as DRM cards."""
    bus, drm = "/sys/bus/pci/devices", "/sys/class/drm"
    link = {
        "current_link_speed": "16.0 GT/s PCIe",
        "max_link_speed": "16.0 GT/s PCIe",
        "current_link_width": "16",
        "max_link_width": "16",
    }
    answers: Answers = {
        f"glob:{bus}/*/uevent": files({f"{bus}/{g.bdf}/uevent": _uevent(g) for g in spec.cards}),
        f"glob:{drm}/card*/device/uevent": files(
            {f"{drm}/card{n}/device/uevent": _uevent(g) for n, g in enumerate(spec.cards)}
        ),
        f"glob:{bus}/*/revision": files({f"{bus}/{g.bdf}/revision": f"0x{g.revision}\n" for g in spec.cards}),
        f"glob:{drm}/card*/device/mem_info_vram_total": files(
            {f"{drm}/card{n}/device/mem_info_vram_total": f"{g.vram}\n" for n, g in enumerate(spec.cards)}
        ),
    }
    for number, name in enumerate(("current_compute_partition", "current_memory_partition")):
        modes = {
            f"{drm}/card{n}/device/{name}": f"{g.modes[number]}\n"
            for n, g in enumerate(spec.cards)
            if g.modes
        }
        answers[f"glob:{drm}/card*/device/{name}"] = files(modes)
    for name, value in link.items():
        answers[f"glob:{bus}/*/{name}"] = files({f"{bus}/{g.bdf}/{name}": f"{value}\n" for g in spec.cards})
    return answers


def location(bdf: str) -> tuple[int, int]:
    """KFD's domain and location_id of a PCI address."""
    domain, bus, rest = bdf.split(":")
    device, function = rest.split(".")
    return int(domain, 16), int(bus, 16) << 8 | int(device, 16) << 3 | int(function)


def kfd(spec: Spec) -> Answers:
    """Node 0 is the processor; GPU nodes follow, all GPUs of a hive linked to each other."""
    properties = {
        f"{_NODES}/0/properties": f"cpu_cores_count {spec.threads}\nsimd_count 0\ngfx_target_version 0\n"
    }
    ids, banks, links = {f"{_NODES}/0/gpu_id": "0\n"}, {}, {}
    for node, gpu in enumerate(spec.gpus, 1):
        domain, place = location(gpu.bdf)
        values = {
            "cpu_cores_count": 0, "simd_count": gpu.simd_count, "simd_per_cu": gpu.simd_per_cu,
            "gfx_target_version": gpu.gfx_target_version, "vendor_id": 4098, "device_id": int(gpu.device, 16),
            "location_id": place + gpu.partition, "domain": domain, "drm_render_minor": gpu.render_minor, "hive_id": gpu.hive,
            "unique_id": gpu.unique_id, "num_xcc": gpu.num_xcc,
        }  # fmt: skip
        properties[f"{_NODES}/{node}/properties"] = "".join(f"{k} {v}\n" for k, v in values.items())
        ids[f"{_NODES}/{node}/gpu_id"] = f"{1000 + node}\n"
        banks[f"{_NODES}/{node}/mem_banks/0/properties"] = f"heap_type 1\nsize_in_bytes {gpu.vram}\n"
        peers = [n for n, g in enumerate(spec.gpus, 1) if n != node and g.hive and g.hive == gpu.hive]
        for number, peer in enumerate(peers):
            links[f"{_NODES}/{node}/io_links/{number}/properties"] = (
                f"type 11\nnode_from {node}\nnode_to {peer}\nmax_bandwidth 50000\n"
            )
    return {
        f"glob:{_NODES}/*/properties": files(properties),
        f"glob:{_NODES}/*/gpu_id": files(ids),
        f"glob:{_NODES}/*/mem_banks/*/properties": files(banks),
        f"glob:{_NODES}/*/io_links/*/properties": files(links),
    }


PARTS = (system, pci, kfd)
