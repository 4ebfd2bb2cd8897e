"""Settings of the kernel, the bus and the IOMMU. Tuning never fails a machine, and is asked where it applies."""

from rocmdoctor.diagnosis import Remedy, Verdict, check, ok, skip, unknown, warn
from rocmdoctor.facts.gpus import Gpu, Gpus, GpuTable
from rocmdoctor.facts.host import HostTable, Iommu, PeerSupport, Settings, size_in_words
from rocmdoctor.facts.system import Hardware, Inside, Kernel

_RECIPE = "host-tuning"
_NO_SETTINGS = "the settings of a running kernel are not here"


def _boot_parameter(words: str) -> Remedy:
    return Remedy(
        f"Add {words} to GRUB_CMDLINE_LINUX in /etc/default/grub, then reboot.",
        ("sudo update-grub", "sudo reboot"),
        recipe=_RECIPE,
    )


# ---------------------------------------------------------------- the bus


@check("host.iommu", fault="iommu")
def iommu(
    iommu: Iommu | None, kernel: Kernel | None, gpus: Gpus, hardware: Hardware | None, table: HostTable
) -> Verdict:
    """Where GPUs talk to each other, the IOMMU does not translate their transfers.

    Sources differ for MI200: its guide wants the IOMMU off, RCCL wants iommu=pt; pass-through is right in all of them.
    """
    if not gpus.capable:
        return skip("no AMD GPU that it could concern")
    threads = table.value("iommu-threads")
    if iommu is None:
        if kernel is not None and "iommu=pt" in kernel.cmdline:
            return ok("iommu=pt is on the kernel command line")
        return skip("/sys/class/iommu could not be read")
    if not iommu.active:
        if hardware and hardware.threads >= threads and table.applies("iommu-threads", gpus):
            return warn(
                f"no IOMMU works here and there are {hardware.threads} threads: from {threads} on, interrupts need it",
                remedy=Remedy(
                    "Switch the IOMMU on in the firmware's setup, and add iommu=pt to the kernel command line.",
                    ("sudo update-grub", "sudo reboot"),
                ),
            )
        return ok("no IOMMU works here, so nothing is translated")
    domains = {g.bdf: iommu.domains.get(g.bdf) for g in gpus.discrete}
    shown = tuple(f"{bdf}: {kind or 'kind unknown'}" for bdf, kind in domains.items())
    through = kernel is not None and "iommu=pt" in kernel.cmdline
    translated = [bdf for bdf, kind in domains.items() if (kind != "identity" if kind else not through)]
    if not translated:
        return ok("the IOMMU passes the GPUs' transfers through", *shown)
    if not table.applies("iommu-passthrough", gpus) and not table.applies("iommu-passthrough-one", gpus):
        return ok("the IOMMU translates the GPU's transfers, which one GPU alone does not mind", *shown)
    intel = hardware is not None and "intel" in hardware.cpu.lower()
    return warn(
        f"the IOMMU translates the transfers of {len(translated)} GPU(s): with several GPUs, programs hang at full load or crawl",
        *shown,
        remedy=_boot_parameter("intel_iommu=on iommu=pt" if intel else "iommu=pt"),
    )


@check("host.large-bar")
def large_bar(gpus: Gpus, known: GpuTable, table: HostTable) -> Verdict:
    """All memory of accelerators, and of GPUs that work together, is visible across the bus."""
    cards = [
        g
        for g in gpus.capable
        if not g.integrated and g.pci and g.pci.vram_bytes and g.pci.visible_vram_bytes
    ]
    if not cards:
        return skip("no discrete GPU whose visible memory the driver tells")
    small = [g for g in cards if _hidden(g)]
    if not small:
        return ok(f"{len(cards)} GPU(s) show all their memory")
    first = small[0].pci
    visible = first.visible_vram_bytes if first else 0
    said = f"{small[0].name} at {small[0].bdf} shows {size_in_words(visible or 0)} of its memory"
    targets = [known.targets.get(g.gfx or "") for g in small]
    # AMD's guides ask it of Instinct; a single Radeon in an older board is healthy without.
    if not table.applies("large-bar", gpus) and not any(
        t and t.official and t.wavefront == 64 for t in targets
    ):
        return ok(f"{said}, which one Radeon alone does not mind much")
    return warn(
        f"{said}: transfers between GPUs are not possible and copies are slower",
        *(
            f"{g.bdf}: {size_in_words((g.pci.visible_vram_bytes if g.pci else 0) or 0)} visible"
            for g in small
        ),
        remedy=Remedy("Switch on 'Above 4G Decoding' and 'Resizable BAR' in the firmware's setup."),
    )


def _hidden(gpu: Gpu) -> bool:
    pci = gpu.pci
    return bool(pci and pci.vram_bytes and pci.visible_vram_bytes and pci.visible_vram_bytes < pci.vram_bytes)


@check("host.pci-realloc")
def pci_realloc(kernel: Kernel | None, gpus: Gpus, inside: Inside | None, table: HostTable) -> Verdict:
    """The kernel leaves the bus addresses of large accelerators as the firmware set them."""
    if not table.applies("pci-realloc", gpus):
        return skip("asked of MI300X and MI300A only")
    if inside is not None and inside.container:
        return skip("a matter of the container's host")
    if kernel is None:
        return unknown("the kernel command line could not be read")
    if any("realloc=off" in word for word in kernel.cmdline if word.startswith("pci=")):
        return ok("pci=realloc=off is on the kernel command line")
    return warn(
        "pci=realloc=off is not on the kernel command line: the kernel may move the GPUs' large windows where they do not fit",
        remedy=_boot_parameter("pci=realloc=off"),
    )


@check("host.peer-to-peer")
def peer_to_peer(support: PeerSupport | None, gpus: Gpus, inside: Inside | None, table: HostTable) -> Verdict:
    """The kernel was built with transfers between GPUs."""
    if not table.applies("peer-config", gpus):
        return skip("asked with several GPUs only")
    if support is None:
        where = " of the container's host" if inside is not None and inside.container else ""
        return skip(f"the configuration of the kernel{where} is not in /boot")
    # DMABUF_MOVE_NOTIFY went away when it became part of every kernel; what the file does not name is not missing.
    lacking = [name for name, value in support.options.items() if value == "n"]
    if not lacking:
        return ok(f"{support.path} has {', '.join(support.options) or 'none of the options as optional'}")
    return warn(
        f"{support.path} lacks {', '.join(f'CONFIG_{name}' for name in lacking)}: GPUs without direct links exchange data through main memory",
        remedy=Remedy("Boot a kernel of the distribution that has them; Ubuntu's generic ones do."),
    )


# ---------------------------------------------------------------- settings


@check("host.numa-balancing")
def numa_balancing(settings: Settings | None, gpus: Gpus, table: HostTable) -> Verdict:
    """The kernel does not move memory between NUMA nodes while GPUs work."""
    if not table.applies("numa-balancing", gpus):
        return skip("asked with several GPUs only")
    if settings is None:
        return unknown(_NO_SETTINGS)
    if settings.numa_balancing is None or settings.numa_nodes < 2:
        return ok("there is one NUMA node, or the kernel does not balance at all")
    if settings.numa_balancing == 0:
        return ok("kernel.numa_balancing is 0")
    return warn(
        f"kernel.numa_balancing is {settings.numa_balancing}, 0 is wanted: pages move under running transfers, and speed varies",
        remedy=Remedy(
            "Switch it off, now and for every start.",
            (
                "sudo sysctl kernel.numa_balancing=0",
                "echo kernel.numa_balancing=0 | sudo tee /etc/sysctl.d/90-rocm.conf",
            ),
            recipe=_RECIPE,
        ),
    )


@check("host.hugepages")
def hugepages(settings: Settings | None, gpus: Gpus, table: HostTable) -> Verdict:
    """On accelerators that share the processor's memory, large pages are always used."""
    if not table.applies("hugepages", gpus):
        return skip("asked of MI300A only")
    if settings is None:
        return unknown(_NO_SETTINGS)
    if settings.hugepages in ("always", None):
        return ok(f"transparent_hugepage is {settings.hugepages or 'not told'}")
    return warn(
        f"transparent_hugepage is {settings.hugepages}, always is wanted: address translation slows every access",
        remedy=Remedy(
            "Switch it on.",
            ("echo always | sudo tee /sys/kernel/mm/transparent_hugepage/enabled",),
            recipe=_RECIPE,
        ),
    )


@check("host.compaction")
def compaction(settings: Settings | None, gpus: Gpus, table: HostTable) -> Verdict:
    """On accelerators that share the processor's memory, the kernel keeps large pages free."""
    if not table.applies("compaction", gpus):
        return skip("asked of MI300A only")
    if settings is None:
        return unknown(_NO_SETTINGS)
    wanted, found = table.value("compaction"), settings.compaction_proactiveness
    if (found is None or found >= wanted) and settings.compact_unevictable in (1, None):
        return ok("vm.compaction_proactiveness and vm.compact_unevictable_allowed are as wanted")
    return warn(
        f"vm.compaction_proactiveness is {found}, {wanted} or more is wanted, and vm.compact_unevictable_allowed is "
        f"{settings.compact_unevictable}, 1 is wanted: large pages run out",
        remedy=Remedy(
            "Set both.",
            (f"sudo sysctl vm.compaction_proactiveness={wanted} vm.compact_unevictable_allowed=1",),
            recipe=_RECIPE,
        ),
    )


@check("host.idle-states")
def idle_states(settings: Settings | None, gpus: Gpus, inside: Inside | None, table: HostTable) -> Verdict:
    """Processors beside accelerators do not fall into deep sleep."""
    if not table.applies("idle-states", gpus) or (inside is not None and inside.container):
        return skip("asked of hosts of MI200 and MI300X only")
    if settings is None:
        return unknown(_NO_SETTINGS)
    if "C2" not in settings.deep_idle:
        return ok("C2 is off, or the processors have none")
    # A matter of latency: not worth a warning on a machine that nobody measures.
    return ok("C2 is on; cpupower idle-set -d 2 switches it off where latency matters")


@check("host.shared-pages")
def shared_pages(settings: Settings | None, gpus: Gpus, hardware: Hardware, table: HostTable) -> Verdict:
    """Accelerators that share the processor's memory may use nearly all of it."""
    if not table.applies("ttm-pages", gpus):
        return skip("asked of MI300A only")
    if settings is None:
        return unknown(_NO_SETTINGS)
    if settings.ttm_pages is None:
        return skip("the driver does not tell its limit of pages")
    usable = settings.ttm_pages * 4096
    if usable >= hardware.memory_total // 2:
        return ok(f"GPUs may use {size_in_words(usable)} of {size_in_words(hardware.memory_total)}")
    pages = hardware.memory_total * 9 // 10 // 4096
    return warn(
        f"pages_limit lets GPUs use {size_in_words(usable)} of {size_in_words(hardware.memory_total)}: larger models do not fit",
        remedy=Remedy(
            "Raise the limit for the driver in use (amdttm with DKMS, ttm with the kernel's own), then reboot.",
            (
                f"echo 'options amdttm pages_limit={pages} page_pool_size={pages}' | sudo tee /etc/modprobe.d/amdttm.conf",
            ),
        ),
    )
