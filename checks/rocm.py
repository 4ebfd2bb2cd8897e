"""Whether a ROCm is there, whole, and whether its programs work and see the GPUs that the driver sees."""

import re

from rocmdoctor.diagnosis import Remedy, Verdict, absent, check, fail, ok, skip, unknown, warn
from rocmdoctor.facts.apt import RepositoryTable
from rocmdoctor.facts.dpkg import GpuPackages
from rocmdoctor.facts.gpus import Gpus, GpuTable
from rocmdoctor.facts.hip import HipConfigs
from rocmdoctor.facts.rocm import RocmFolders, RocmInstalls, RocmTable
from rocmdoctor.facts.system import Inside, OsRelease
from rocmdoctor.facts.texts import agents
from rocmdoctor.facts.tools import Tool, Tools


def _how_to_install(
    system: OsRelease | None, gpus: Gpus | None, rocm: RocmTable, repositories: RepositoryTable
) -> Remedy:
    """Commands of today for this system."""
    if system is None:
        return Remedy("Install ROCm as https://rocm.docs.amd.com describes for this system.")
    own = rocm.distribution.get(system.codename)
    if own:
        return Remedy(
            f"Install the ROCm of {system.name}.",
            ("sudo apt-get update", f"sudo apt-get install {' '.join(own)}"),
        )
    gfx = tuple(dict.fromkeys(g.gfx for g in gpus.discrete if g.gfx)) if gpus else ()
    release = rocm.newest(system.codename, gfx) or rocm.newest(system.codename, ())
    if release is None:
        tools = {"fedora": "sudo dnf install rocminfo rocm-hip-devel"}
        command = next((tools[name] for name in system.family if name in tools), None)
        return Remedy(f"Follow https://rocm.docs.amd.com for {system.name}.", (command,) if command else ())
    folder = release.removesuffix(".0")
    line = rocm.apt_line.format(keyring=repositories.keyring, folder=folder, codename=system.codename)
    pin = f"Package: *\\nPin: release o={repositories.pin_origin}\\nPin-Priority: {repositories.pin_priority}\\n"
    return Remedy(
        f"Install ROCm {release} from AMD's repository. The key that the second command fetches must show the fingerprint "
        f"{repositories.fingerprints[0]}; the pin keeps the distribution's packages out.",
        (
            "sudo mkdir -p -m 755 /etc/apt/keyrings",
            f"wget -qO- {repositories.key_url} | gpg --dearmor | sudo tee {repositories.keyring} >/dev/null",
            f"gpg --show-keys {repositories.keyring}",
            f"echo '{line}' | sudo tee /etc/apt/sources.list.d/rocm.list",
            f"printf '{pin}' | sudo tee /etc/apt/preferences.d/rocm-pin-600",
            "sudo apt-get update",
            "sudo apt-get install rocm",
        ),
    )


@check("rocm.installed", rung="rocm", required=True)
def installed(
    installs: RocmInstalls,
    packages: GpuPackages | None,
    system: OsRelease | None,
    gpus: Gpus | None,
    rocm: RocmTable,
    repositories: RepositoryTable,
) -> Verdict:
    """A ROCm with its HIP runtime is installed."""
    if not installs.installs:
        tools = [p.name for p in packages.rocm][:4] if packages else []
        part = f", only {', '.join(tools)}" if tools else ""
        return absent(f"no ROCm is installed{part}", remedy=_how_to_install(system, gpus, rocm, repositories))
    active = installs.active
    lines = [
        f"{i.root}: {i.version or 'version unknown'} ({i.layout}, {i.origin})" for i in installs.installs
    ]
    if active is None:
        return ok(lines[0], *lines[1:])
    beside = f"; {len(lines) - 1} more beside it" if len(lines) > 1 else ""
    return ok(
        f"ROCm {active.version or 'of unknown version'} at {active.root} ({active.layout}){beside}", *lines
    )


@check("rocm.whole", fault="mixed-rocm-versions")
def whole(folders: RocmFolders) -> Verdict:
    """No remains of a removed ROCm stand in the way."""
    if folders.dangling:
        target = folders.target or folders.link
        others = [f.root for f in folders.folders if f.whole]
        by_system = folders.link == "/etc/alternatives/rocm"
        repoint = (
            "sudo update-alternatives --auto rocm"
            if by_system
            else f"sudo ln -sfn {''.join(others[-1:])} /opt/rocm"
        )
        remove = "sudo update-alternatives --remove-all rocm" if by_system else "sudo rm /opt/rocm"
        command = repoint if others else remove
        return fail(
            f"/opt/rocm points to {target}, which is not there; programs and builds that look in /opt/rocm find nothing",
            *[f"installed: {root}" for root in others],
            remedy=Remedy(
                "Point it to an installed version." if others else "Remove the link, or install ROCm again.",
                (command,),
                recipe="rocm-link" if others and command.startswith("sudo update-alternatives") else None,
            ),
        )
    empty = [f.root for f in folders.folders if f.empty]
    if empty:
        return warn(
            f"{', '.join(empty)} is empty, left by a removed ROCm; version searches by folder name take it for real",
            remedy=Remedy("Remove it.", tuple(f"sudo rmdir {root}" for root in empty)),
        )
    if not folders.folders and folders.link is None:
        return skip("nothing below /opt/rocm*")
    return ok(", ".join(f.root for f in folders.folders) or f"/opt/rocm leads to {folders.target}")


_KINDS = {
    "module": (None, "the amdgpu driver is not loaded"),
    "node": (None, "/dev/kfd is not there: nothing made it, or nothing handed it into the container"),
    "permission": ("device-permissions", "this user may not open /dev/kfd"),
    "refused": (
        None,
        "the kernel driver took none of the GPUs, so /dev/kfd cannot be used; the kernel log says why",
    ),
    "resources": (None, "the runtime got no GPU from the driver"),
}


def _failed(tool: Tool, gpus: Gpus | None, inside: Inside | None, rocm: RocmTable) -> Verdict:
    kind = next((kind for shape, kind in rocm.failures if shape.search(tool.text)), None)
    if gpus is None and kind in ("module", "node"):
        return unknown(f"rocminfo found no driver, and nobody could look for GPUs: {tool.said}")
    fault, meaning = _KINDS.get(kind or "", (None, "what it printed is not a list of agents"))
    if inside is not None and inside.wsl:
        fault, meaning = (
            "wsl",
            "native ROCm looks for /dev/kfd, which Windows Subsystem for Linux does not have",
        )
    return fail(
        f"rocminfo fails: {tool.said or 'it printed nothing'}; {meaning}",
        f"exit code {tool.exit_code}",
        remedy=Remedy("Cure what it complains of, then run it again.", ("rocminfo",)),
        fault=fault,
    )


def _real_gfx(tool: Tool, table: GpuTable) -> list[tuple[str, str, str]]:
    """(target that is, target that is shown, name) of agents whose chip says another target than they do."""
    found = []
    for agent in agents(tool.text):
        real = table.gfx_of_device(agent.chip) if agent.chip else None
        if real and real.startswith("gfx") and real != agent.gfx:
            found.append((real, agent.gfx, agent.name))
    return found


def _code(override: str) -> str:
    parts = override.split(".")
    return f"gfx{parts[0]}{int(parts[1]):x}{int(parts[2]):x}" if len(parts) == 3 else ""


def _overridden(real: str, shown: str, name: str, table: GpuTable) -> Verdict:
    target = table.targets.get(real)
    what = f"rocminfo calls {name or 'a GPU'} {shown}, and it is {real}: HSA_OVERRIDE_GFX_VERSION is active"
    remedy = Remedy("Start without it.", ("env -u HSA_OVERRIDE_GFX_VERSION rocminfo",))
    if target is not None and target.override and _code(target.override) == shown:
        return warn(
            f"{what}; {target.override} can work for {real} where a library lacks code for it, and hides it from "
            "libraries that have it",
            remedy=remedy,
            fault="hsa-override-wrong",
        )
    return fail(f"{what}; code for {shown} does not run on {real}", remedy=remedy, fault="hsa-override-wrong")


@check(
    "rocm.rocminfo",
    explained_by=(
        "driver.present",
        "driver.kfd-access",
        "driver.kfd-present",
        "access.render-nodes",
        "access.container-devices",
        "environment.hsa-override",
        "environment.visible-devices",
    ),
)
def rocminfo(
    tools: Tools, gpus: Gpus | None, inside: Inside | None, table: GpuTable, rocm: RocmTable
) -> Verdict:
    """rocminfo runs and sees the GPUs that the kernel driver sees."""
    tool = tools.get("rocminfo")
    if tool.state == "absent":
        return skip("rocminfo is not installed")
    if tool.state == "hangs":
        return unknown("rocminfo gave no answer in time: it hangs, as it does when a GPU or the driver hangs")
    if tool.state == "failed":
        if gpus is not None and not gpus.capable:
            return skip(f"rocminfo fails, as it must without an AMD GPU: {tool.said}")
        return _failed(tool, gpus, inside, rocm)
    for real, shown, name in _real_gfx(tool, table):
        return _overridden(real, shown, name, table)
    nodes = [g for g in gpus.capable if g.node is not None] if gpus else []
    known = {g.gfx for g in nodes if g.gfx}
    strange = [gfx for gfx in tool.gfx if gfx not in known]
    if nodes and known and strange:
        return _overridden(min(known), strange[0], "", table)
    if nodes and not tool.gfx:
        return fail(
            f"rocminfo lists no GPU, and the driver has {len(nodes)}; a variable such as ROCR_VISIBLE_DEVICES hides them",
            remedy=Remedy("Start without it.", ("env -u ROCR_VISIBLE_DEVICES rocminfo",)),
            fault="hip-visible-devices",
        )
    if not tool.gfx:
        return ok("it runs, and there is no GPU to list")
    return ok(f"{len(agents(tool.text)) or 'some'} GPU agent(s): {', '.join(tool.gfx)}")


@check("rocm.smi")
def smi(tools: Tools, gpus: Gpus | None) -> Verdict:
    """rocm-smi or amd-smi answers."""
    found = [tools.tools[n] for n in ("amd-smi", "rocm-smi") if n in tools.tools]
    if not found:
        return unknown("run:rocm-smi --showid, run:amd-smi version: not asked")
    there = [t for t in found if t.state != "absent"]
    if not there:
        return skip("neither is installed")
    hanging = [t.name for t in there if t.state == "hangs"]
    if hanging:
        return unknown(f"{', '.join(hanging)} gave no answer in time: it hangs")
    broken = [t for t in there if t.state == "failed"]
    if broken and gpus is not None and not gpus.capable:
        return skip(f"{broken[0].name} fails, as it must without an AMD GPU: {broken[0].said}")
    if broken:
        return warn(
            f"{broken[0].name} fails: {broken[0].said or 'it printed nothing'}",
            *[f"{t.path or t.name}: {t.said}" for t in broken],
            remedy=Remedy(
                "Run it by hand; wrappers of Python wheels do not work through links.", (broken[0].name,)
            ),
        )
    return ok(", ".join(f"{t.name} {t.version or ''}".strip() for t in there))


@check("rocm.enumerator")
def enumerator(tools: Tools, hips: HipConfigs | None, gpus: Gpus | None) -> Verdict:
    """rocm_agent_enumerator runs, so that builds find the GPU's target by themselves."""
    config = hips.main if hips else None
    if config and config.enumerator_missing:
        return warn(
            f"hipcc of {config.values.get('HIP_PATH', '?')} does not find rocm_agent_enumerator below "
            f"{config.values.get('ROCM_PATH', '?')}; builds without --offload-arch do not know the GPU",
            remedy=Remedy(
                "Install rocminfo of the same release, or name the folder that has it.",
                ("export ROCM_PATH=/opt/rocm",),
            ),
        )
    tool = tools.get("rocm_agent_enumerator")
    if tool.state == "hangs":
        return unknown("rocm_agent_enumerator gave no answer in time: it hangs")
    if tool.state == "absent":
        hipcc = tools.tools.get("hipcc")
        if hipcc is None or hipcc.state == "absent":
            return skip("neither hipcc nor rocm_agent_enumerator is installed")
        return warn(
            "hipcc is there and rocm_agent_enumerator is not; builds without --offload-arch do not know the GPU",
            remedy=Remedy("It comes with rocminfo.", ("sudo apt-get install rocminfo",)),
        )
    if tool.state == "failed":
        if gpus is None or not gpus.capable:
            return skip(f"it fails without a GPU driver: {tool.said}")
        return warn(
            f"rocm_agent_enumerator fails: {tool.said or 'it printed nothing'}; builds without --offload-arch do not know "
            "the GPU",
            remedy=Remedy("Run it by hand.", ("rocm_agent_enumerator",)),
        )
    return ok(", ".join(tool.gfx) or "it lists the processor only")


@check("rocm.tools-answer")
def tools_answer(tools: Tools) -> Verdict:
    """Every program of ROCm that is asked answers in time, and to the question."""
    if tools.hanging:
        return unknown(f"no answer in time, so these hang: {', '.join(tools.hanging)}")
    there = [t for t in tools.tools.values() if t.state != "absent"]
    if not there:
        return skip("none is installed")
    odd = [
        t
        for t in there
        if t.state == "failed" and t.exit_code == 0 and not re.search("error", t.text, re.IGNORECASE)
    ]
    if odd:
        return warn(
            f"{odd[0].name} ended with 0 and printed what it never prints: {odd[0].said or 'nothing'}",
            f"path: {odd[0].path}",
            remedy=Remedy("See what stands under that name.", (f"type -a {odd[0].name}",)),
        )
    return ok(", ".join(t.name for t in there))
