"""`data` of `check --json`."""

from __future__ import annotations

from typing import Any

from rocmdoctor.diagnosis.known import Known
from rocmdoctor.diagnosis.runner import Diagnosis
from rocmdoctor.facts.dkms import Dkms, DkmsVersion
from rocmdoctor.facts.driver import AmdgpuModule, Blocks
from rocmdoctor.facts.gpus import Gpu, Gpus
from rocmdoctor.facts.rocm import RocmInstalls
from rocmdoctor.facts.system import Hardware, Inside, Kernel, OsRelease
from rocmdoctor.facts.tools import QUESTIONS, Tool, Tools
from rocmdoctor.facts.torch_build import TorchBuild, TorchParts
from rocmdoctor.model import Remedy, Verdict


def data_of(diagnosis: Diagnosis, known: Known) -> dict[str, Any]:
    """Readiness, facts, verdicts and root causes."""
    return {
        "readiness": dict(diagnosis.readiness),
        "facts": facts_of(known),
        "verdicts": [verdict_of(v) for v in diagnosis.verdicts],
        "root_causes": list(diagnosis.root_causes),
    }


def facts_of(known: Known) -> dict[str, Any]:
    """The facts that others may rely on; null for what is unknown."""
    gpus = known.maybe(Gpus)
    return {
        "gpus": [_gpu(g) for g in gpus.all] if gpus else None,
        "physical_gpus": gpus.physical if gpus else None,
        "xgmi_hives": gpus.hives if gpus else None,
        "os": _os(known.maybe(OsRelease)),
        "kernel": _kernel(known.maybe(Kernel)),
        "driver": _driver(known),
        "rocm": _rocm(known.maybe(RocmInstalls)),
        "torch": _torch(known.maybe(TorchParts), known.maybe(TorchBuild)),
        "tools": _tools(known.maybe(Tools)),
        "host": _host(known.maybe(Hardware), known.maybe(Inside)),
    }


def verdict_of(verdict: Verdict) -> dict[str, Any]:
    """One verdict as the contract has it."""
    return {
        "id": verdict.id,
        "title": verdict.title,
        "status": verdict.status,
        "fault": verdict.fault,
        "why": verdict.why,
        "evidence": list(verdict.evidence),
        "after": list(verdict.after),
        "explained_by": list(verdict.explained_by),
        "remedy": remedy_data(verdict.remedy),
    }


def remedy_data(remedy: Remedy | None) -> dict[str, Any] | None:
    if remedy is None:
        return None
    return {"text": remedy.text, "commands": list(remedy.commands), "recipe": remedy.recipe}


def _gpu(gpu: Gpu) -> dict[str, Any]:
    return {
        "gfx": gpu.gfx,
        "name": gpu.name,
        "pci_id": gpu.pci_id,
        "bdf": gpu.bdf,
        "driver": gpu.driver,
        "vram_bytes": gpu.vram_bytes,
        "node": gpu.node,
        "render_minor": gpu.render_minor,
        "compute_units": gpu.compute_units,
        "num_xcc": gpu.num_xcc,
        "compute_partition": gpu.compute_partition,
        "memory_partition": gpu.memory_partition,
        "xgmi_peers": list(gpu.xgmi_peers),
        "integrated": gpu.integrated,
    }


def _os(fact: OsRelease | None) -> dict[str, Any] | None:
    if fact is None:
        return None
    return {
        "id": fact.id,
        "like": list(fact.like),
        "version": fact.version,
        "codename": fact.codename,
        "name": fact.name,
    }


def _kernel(fact: Kernel | None) -> dict[str, Any] | None:
    return {"release": fact.release, "cmdline": list(fact.cmdline)} if fact else None


def _driver(known: Known) -> dict[str, Any] | None:
    """`state`: loaded, built-in or not-loaded; `source`: dkms, kernel or null when nothing is loaded."""
    module, dkms, blocks = known.maybe(AmdgpuModule), known.maybe(Dkms), known.maybe(Blocks)
    if module is None:
        return None
    state = "not-loaded" if not module.loaded else "built-in" if module.loadable is False else "loaded"
    return {
        "name": "amdgpu",
        "state": state,
        "source": ("dkms" if module.dkms else "kernel") if module.loaded else None,
        "version": module.version or None,
        "kfd": module.kfd_node,
        "blocked_by": [f"{b.where}: {b.text}" for b in blocks.all] if blocks else None,
        "dkms": [_dkms(version) for version in dkms.versions] if dkms else None,
    }


def _dkms(version: DkmsVersion) -> dict[str, Any]:
    return {
        "version": version.version,
        "stale": version.stale,
        "installed_for": sorted({b.kernel for b in version.built if b.installed}),
        "failed_for": sorted({f.kernel for f in version.failed}),
    }


def _rocm(fact: RocmInstalls | None) -> dict[str, Any] | None:
    if fact is None:
        return None
    installs = [
        {"root": i.root, "version": i.version, "layout": i.layout, "origin": i.origin, "active": i.active}
        for i in fact.installs
    ]
    return {"version": fact.version, "installs": installs}


def _torch(parts: TorchParts | None, build: TorchBuild | None) -> dict[str, Any] | None:
    if parts is None:
        return None
    torch = build.torch if build else None
    return {
        "version": torch.version if torch else None,
        "hip": torch.hip if torch else None,
        "cuda": torch.cuda if torch else None,
        "path": torch.site if torch else None,
        "rocm": build.rocm or None if build else None,
        "environment": build.env.prefix if build else None,
    }


def _tools(fact: Tools | None) -> dict[str, Any]:
    found = dict(fact.tools) if fact else {}
    for name in QUESTIONS:
        found.setdefault(name, Tool(name, "unknown"))
    return {
        name: {"state": tool.state, "gfx": list(tool.gfx), "version": tool.version, "path": tool.path}
        for name, tool in found.items()
    }


def _host(hardware: Hardware | None, inside: Inside | None) -> dict[str, Any]:
    return {
        "threads": hardware.threads if hardware else None,
        "memory_bytes": hardware.memory_total if hardware else None,
        "container": inside.container if inside else None,
        "wsl": inside.wsl if inside else None,
    }
