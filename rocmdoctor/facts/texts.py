"""What programs print about GPUs and versions, read without asking anything. Every reader takes any text."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping

from rocmdoctor.facts.gpus import NO_TARGET, GpuTable
from rocmdoctor.frozen import frozen

_GFX = r"gfx[1-9]\d?[0-9a-f]{2}"
_ESCAPES = re.compile(r"\x1b\[[0-9;]*m")


@frozen
class Agent:
    """A GPU that rocminfo lists: the target it was given, its PCI device id, and its name."""

    gfx: str
    chip: str | None
    name: str


def plain(text: str) -> str:
    """Without colours."""
    return _ESCAPES.sub("", text)


def agents(text: str) -> tuple[Agent, ...]:
    """The GPU agents of rocminfo; names of their ISAs stand further in and are not agents.

    Source: ROCm/rocm-systems projects/rocminfo/rocminfo.cc.
    """
    found = []
    for part in re.split(r"^\s*Agent \d+\s*$", plain(text), flags=re.MULTILINE)[1:]:
        name = re.search(rf"^\s*Name:\s*({_GFX})\b", part.partition("ISA Info")[0], re.MULTILINE)
        if name is None or re.search(r"^\s*Device Type:\s*CPU", part, re.MULTILINE):
            continue
        chip = re.search(r"^\s*Chip ID:\s*\d+\s*\(0x([0-9a-fA-F]{1,4})\)", part, re.MULTILINE)
        marketing = re.search(r"^\s*Marketing Name:[ \t]*(\S.*?)\s*$", part, re.MULTILINE)
        found.append(
            Agent(
                gfx=name.group(1),
                chip=chip.group(1).lower().zfill(4) if chip else None,
                name=marketing.group(1) if marketing else "",
            )
        )
    return tuple(found)


def _of_rocminfo(text: str, _table: GpuTable) -> Iterator[str | None]:
    yield from (agent.gfx for agent in agents(text))


# rocm-smi: `0x74a1` as Device ID or GPU ID, in the table's IDs or Model column; rocm_smi.py, amdsmi's uuid holds the id.
_SMI_IDS = (
    re.compile(r"(?:Device|GPU) ID:\s*0x([0-9a-fA-F]{4})\b"),
    re.compile(r"^\d+\s+\d+\s+0x([0-9a-fA-F]{4}),", re.MULTILINE),
    re.compile(r"^\d+\s+\[0x([0-9a-fA-F]{4}) :", re.MULTILINE),
    re.compile(r"^\s*DEVICE_ID:\s*0x([0-9a-fA-F]{4})\b", re.MULTILINE),
    re.compile(r"^\s*UUID:\s*[0-9a-f]{2}ff([0-9a-f]{4})-", re.MULTILINE),
)
_SMI_NAMES = re.compile(
    r"(?:Card [Ss]eries|Card [Mm]odel|MARKET_NAME|PRODUCT_NAME):\s*(?!0x)(\S.*?)\s*$", re.MULTILINE
)
_SMI_TARGET = re.compile(
    rf"(?:GFX Version|TARGET_GRAPHICS_VERSION):\s*({_GFX})\b", re.MULTILINE | re.IGNORECASE
)


def _of_smi(text: str, table: GpuTable) -> Iterator[str | None]:
    yield from _SMI_TARGET.findall(text)
    found = [gfx for shape in _SMI_IDS for gfx in _known(shape.findall(text), table)]
    yield from found
    if not found:
        yield from (_of_name(name, table) for name in _SMI_NAMES.findall(text))


def _known(ids: Iterable[str], table: GpuTable) -> Iterator[str | None]:
    yield from (table.gfx_of_device(device.lower()) for device in ids)


def _of_name(name: str, table: GpuTable) -> str | None:
    """The target of a product or code name that every device of that name shares."""
    words = _words(name)
    if not words:
        return None
    targets = {
        model.gfx
        for model in table.models.values()
        if any(words <= _words(n) for n in (*model.names.values(), model.codename) if n)
    }
    return targets.pop() if len(targets) == 1 else None


def _words(name: str) -> frozenset[str]:
    common = {"amd", "radeon", "instinct", "graphics", "tm", "r", "series"}
    return frozenset(re.findall(r"[a-z0-9]+", name.lower())) - common


def _of_clinfo(text: str, _table: GpuTable) -> Iterator[str | None]:
    yield from re.findall(
        rf"^\s*(?:Name:|Device Name|Board name:)\s+({_GFX})\b", text, re.MULTILINE | re.IGNORECASE
    )


def _of_enumerator(text: str, _table: GpuTable) -> Iterator[str | None]:
    # gfx000 stands for the processor.
    yield from (line.strip() for line in text.splitlines() if re.fullmatch(_GFX, line.strip()))


_LSPCI_ID = re.compile(
    r"^\S+ (?:VGA compatible|Display|3D)[^\n]*controller[^\n]*?\[1002:([0-9a-f]{4})\]", re.MULTILINE
)
_LSPCI_ACCELERATOR = re.compile(r"^\S+ Processing accelerators[^\n]*?\[1002:([0-9a-f]{4})\]", re.MULTILINE)
_LSPCI_NAME = re.compile(
    r"^\S+ (?:VGA compatible controller|Display controller|Processing accelerators)[^\n]*?"
    r"\[AMD/ATI\] (?P<code>[^\[\n]+) \[(?P<names>[^\]\n]+)\]",
    re.MULTILINE,
)


def _of_lspci(text: str, table: GpuTable) -> Iterator[str | None]:
    ids = _LSPCI_ID.findall(text) + _LSPCI_ACCELERATOR.findall(text)
    yield from _known(ids, table)
    if not ids:
        for match in _LSPCI_NAME.finditer(text):
            names = [match.group("code"), *match.group("names").split("/")]
            yield next((gfx for gfx in (_of_name(n, table) for n in names) if gfx), None)


# Any other program: lines that say of a device what it is. Lists of what a library was built for are not devices.
_DEVICE_LINES = (
    # hipamd/src/hip_code_object.cpp, below "Devices:"
    re.compile(rf"amdgcn-amd-amdhsa--({_GFX})\S* - \[(?:Not )?Found\]"),
    # torch/utils/collect_env.py
    re.compile(rf"^GPU models and configuration:[^\n]*\(({_GFX})", re.MULTILINE),
    # ggml-cuda.cu
    re.compile(rf"^\s*Device \d+: [^\n]*?, ({_GFX})\b", re.MULTILINE),
    # rocBLAS tensile_host.cpp
    re.compile(rf"for GPU arch : ({_GFX})\b"),
)
_KERNEL_IDS = (
    # drivers/gpu/drm/amd/amdkfd/kfd_device.c
    re.compile(r"kfd: amdgpu: (?:skipped|added) device 1002:([0-9a-f]{4})\b"),
    re.compile(r"kfd: DID ([0-9a-f]{4}) is missing"),
    # drivers/gpu/drm/amd/amdgpu/amdgpu_device.c
    re.compile(r"initializing kernel modesetting \([^)\n]* 0x1002:0x([0-9A-Fa-f]{4})\b"),
)


def _of_anything(text: str, table: GpuTable) -> Iterator[str | None]:
    for shape in _DEVICE_LINES:
        yield from shape.findall(text)
    for shape in _KERNEL_IDS:
        yield from _known(shape.findall(text), table)


_READERS: Mapping[str, Callable[[str, GpuTable], Iterator[str | None]]] = {
    "rocminfo": _of_rocminfo,
    "rocm-smi": _of_smi,
    "amd-smi": _of_smi,
    "clinfo": _of_clinfo,
    "rocm_agent_enumerator": _of_enumerator,
    "lspci": _of_lspci,
}


def targets(program: str, text: str, table: GpuTable) -> tuple[str, ...]:
    """The gfx targets of the GPUs that a program's text names, in order, each once."""
    reader = _READERS.get(program, _of_anything)
    found = [gfx for gfx in reader(plain(text), table) if gfx and gfx != NO_TARGET]
    return tuple(dict.fromkeys(found))


# How a text of each program is recognised, wherever in it that stands.
_SIGNS = {
    "rocminfo": re.compile(r"HSA System Attributes|HSA Agents"),
    "hipconfig": re.compile(r"^(?:HIP version\s*:|HIP_PLATFORM\s*:|\d+\.\d+\.\d+)", re.MULTILINE),
    "hipcc": re.compile(r"^HIP version:|clang version|nvcc: NVIDIA", re.MULTILINE),
    "rocm-smi": re.compile(
        r"ROCm System Management Interface|ROCM-SMI version|End of ROCm SMI Log|Concise Info"
    ),
    "amd-smi": re.compile(
        r"AMDSMI Tool|AMD System Management Interface|AMD-SMI \d|^GPU: ?\d|^GPU\s+\w+|^ACCESS TABLE",
        re.MULTILINE,
    ),
    "rocm_agent_enumerator": re.compile(r"\A\s*(?:gfx[0-9a-f]{3,4}\s*)+\Z"),
    "clinfo": re.compile(r"Number of platforms"),
    "lspci": re.compile(r"^(?:[0-9a-f]{4}:)?[0-9a-f]{2}:[0-9a-f]{2}\.[0-7] ", re.MULTILINE),
}
_VERSIONS = {
    "rocminfo": re.compile(r"^Runtime Version:\s*(\S+)", re.MULTILINE),
    "hipconfig": re.compile(r"^(?:HIP version\s*:\s*)?(\d+\.\d+\.\d+\S*)", re.MULTILINE),
    "hipcc": re.compile(r"^HIP version:\s*(\S+)", re.MULTILINE),
    "rocm-smi": re.compile(r"^ROCM-SMI version:\s*(\S+)", re.MULTILINE),
    "amd-smi": re.compile(r"(?:AMDSMI Tool: |\| Version: |AMD-SMI )(\d[\w.+-]*)"),
    "clinfo": re.compile(r"^\s*(?:clinfo |Platform Version:?\s+OpenCL )(\S+)", re.MULTILINE),
}


def recognised(program: str, text: str) -> bool:
    """The text is such as this program prints; programs that are not known print anything."""
    sign = _SIGNS.get(program)
    return sign is None or sign.search(plain(text)) is not None


def version(program: str, text: str) -> str | None:
    """The version that a program states of itself."""
    shape = _VERSIONS.get(program)
    match = shape.search(plain(text)) if shape else None
    return match.group(1) if match else None
