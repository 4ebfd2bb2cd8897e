"""Whether HIP's compiler driver works, for the right vendor, and whether builds find ROCm."""

from rocmdoctor.diagnosis import Remedy, Verdict, check, fail, ok, skip, unknown, warn
from rocmdoctor.facts.hip import Compilers, HipConfig, HipConfigs, Looked
from rocmdoctor.facts.pci import PciDisplays
from rocmdoctor.facts.rocm import RocmFolders, RocmInstalls
from rocmdoctor.facts.tools import Tools


def _reason(config: HipConfig, compilers: Compilers | None) -> str:
    """How it came to that choice."""
    if compilers is None:
        return "why cannot be told: neither PATH nor the environment could be read"
    said = compilers.variables.get("HIP_PLATFORM")
    if said in ("nvidia", "nvcc"):
        return f"HIP_PLATFORM={said} is set in this environment"
    root = config.values.get("ROCM_PATH", "/opt/rocm")
    folder = compilers.variables.get("HIP_CLANG_PATH") or (
        f"{root}/bin" if root == "/usr" else f"{root}/llvm/bin"
    )
    where = f"{folder}/clang++ "
    nvcc = compilers.nvcc or "an nvcc"
    link = f" (/usr/local/cuda leads to {compilers.cuda})" if compilers.cuda else ""
    if compilers.clang is None:
        return (
            f"it looks for {where}and for clang++ on PATH, finds none that runs, and then finds {nvcc}{link}"
        )
    return f"it could not start {where}and found {nvcc}{link}"


@check("rocm.hip-platform", fault="hip-platform-nvidia")
def hip_platform(
    hips: HipConfigs, tools: Tools, compilers: Compilers | None, displays: PciDisplays | None
) -> Verdict:
    """HIP's tools work for AMD where no NVIDIA GPU is."""
    state = tools.get("hipconfig").state
    if state == "absent":
        return skip("hipconfig is not installed")
    if state == "hangs":
        return unknown("hipconfig gave no answer in time: it hangs")
    platforms = [c for c in (hips.main, *hips.others) if c and c.platform]
    if not platforms:
        return unknown("hipconfig names no platform")
    wrong = [c for c in platforms if c.platform == "nvidia"]
    if not wrong:
        return ok("amd")
    if displays is not None and displays.nvidia:
        if displays.amd:
            return warn(
                "HIP builds for NVIDIA, and GPUs of both vendors are here",
                _reason(wrong[0], compilers),
                remedy=Remedy("Say which one is meant.", ("export HIP_PLATFORM=amd",)),
            )
        return ok("nvidia, as the only GPU is NVIDIA's")
    path = f"{wrong[0].root}/bin/hipconfig" if wrong[0].root else tools.get("hipconfig").path or "hipconfig"
    return fail(
        f"{path} chooses the NVIDIA platform, and no NVIDIA GPU is here: {_reason(wrong[0], compilers)}; hipcc hands "
        "everything to nvcc and builds nothing for AMD",
        *[f"{name}: {value}" for name, value in wrong[0].values.items()],
        remedy=Remedy(
            "Say that AMD is meant, in the shell and wherever builds are started.",
            ("export HIP_PLATFORM=amd",),
            recipe="shell-env" if compilers is not None and compilers.nvcc else None,
        ),
    )


@check("rocm.hipcc", explained_by=("rocm.hip-platform",))
def hipcc(tools: Tools, hips: HipConfigs | None) -> Verdict:
    """hipcc starts its compiler."""
    tool = tools.get("hipcc")
    if tool.state == "absent":
        return skip("hipcc is not installed")
    if tool.state == "hangs":
        return unknown("hipcc gave no answer in time: it hangs")
    if tool.state == "failed":
        return fail(
            f"{tool.path or 'hipcc'} --version fails: {tool.said or 'it printed nothing'}",
            remedy=Remedy("See which compiler it looks for.", ("hipconfig --full",)),
            fault="compiler-failure",
        )
    config = hips.main if hips else None
    places = (
        [
            f"{k}: {config.values[k]}"
            for k in ("HIP_PATH", "ROCM_PATH", "HIP_CLANG_PATH")
            if k in config.values
        ]
        if config
        else []
    )
    return ok(f"HIP {tool.version or 'of unknown version'}", *places)


@check("rocm.home", fault="rocm-home-unresolved")
def home(looked: Looked, installs: RocmInstalls) -> Verdict:
    """Tools that build extensions find ROCm where they look for it."""
    real = [i for i in installs.installs if i.layout != "wheel"]
    if not real:
        return skip("no ROCm is installed")
    if looked.places:
        name, folder = looked.places[0]
        return ok(f"{folder} by {name}")
    if not looked.complete:
        return unknown("env:ROCM_HOME, env:ROCM_PATH: not asked")
    active = installs.active or real[0]
    return fail(
        f"ROCm is at {active.root}, and none of ROCM_HOME, ROCM_PATH, hipcc on PATH and /opt/rocm leads there; builds stop "
        "or fall back to CUDA",
        remedy=Remedy(
            "Name it.",
            (f"export ROCM_HOME={active.root}", f"export PATH=$PATH:{active.root}/bin"),
            recipe="shell-env",
        ),
    )


@check("rocm.on-path", explained_by=("rocm.home",))
def on_path(looked: Looked, installs: RocmInstalls, folders: RocmFolders) -> Verdict:
    """The programs of the active ROCm are on PATH."""
    active = installs.active
    folder = next((f for f in folders.folders if active and f.root == active.root), None)
    if active is None or folder is None or not folder.programs:
        return skip("no ROCm with programs below /opt")
    on = dict(looked.places).get("hipcc on PATH")
    if on:
        return ok(f"hipcc of {on}")
    return warn(
        f"{active.root}/bin is not on PATH; Makefiles and CMake that call hipcc do not find it",
        remedy=Remedy(
            "Add it for all users, then log in again.",
            ("echo 'export PATH=$PATH:/opt/rocm/bin' | sudo tee /etc/profile.d/rocm.sh",),
            recipe="shell-env",
        ),
    )
