"""Whether torch fits this machine: its GPUs, its ROCm, its driver, its C library."""

import re

from rocmdoctor.diagnosis import Remedy, Verdict, check, fail, ok, skip, unknown, warn
from rocmdoctor.facts.distributions import Dists
from rocmdoctor.facts.driver import AmdgpuModule
from rocmdoctor.facts.gpus import Gpu, Gpus, GpuTable
from rocmdoctor.facts.host import SystemGlibc
from rocmdoctor.facts.python_env import PythonEnv
from rocmdoctor.facts.ranges import DriverTable
from rocmdoctor.facts.requirements import release_of
from rocmdoctor.facts.rocm import RocmInstalls
from rocmdoctor.facts.shell import OVERRIDE, Environment
from rocmdoctor.facts.torch_build import LibStdCxx, TorchBuild, TorchStackTable, target_of_override
from rocmdoctor.facts.training import targets_of

_BUILD = ("torch.rocm-build",)


def _minor(version: str) -> str:
    return ".".join(str(n) for n in release_of(version)[:2])


# ---------------------------------------------------------------- code for this GPU


def _acting(gpu: Gpu, shell: Environment | None) -> str:
    """The target that programs see: another one where an override is set."""
    value = shell.values.get(f"{OVERRIDE}_{gpu.node}") or shell.values.get(OVERRIDE) if shell else None
    return target_of_override(value or "") or gpu.gfx or ""


@check("torch.device-wheel", fault="missing-device-wheel", after=_BUILD)
def device_wheel(build: TorchBuild, dists: Dists, gpus: Gpus, table: TorchStackTable) -> Verdict:
    """Of a torch that is split by GPU, this GPU's part is installed."""
    torch = dists.get("torch")
    if not build.torch.hip or torch is None:
        return skip("torch is no ROCm build that pip installed")
    parts = [
        (p, d) for d in dists.dists for p in table.device_prefixes if d.name.startswith(p) and not d.leftover
    ]
    if not torch.devices and not parts:
        return skip("this torch is not split by GPU")
    shown = ", ".join(str(d) for _, d in parts) or "none"
    for gpu in targets_of(gpus):
        gfx = gpu.gfx or ""
        for prefix in table.device_prefixes:
            offered = torch.devices if prefix == table.device_prefixes[0] else ()
            if not offered and not any(p == prefix for p, _ in parts):
                continue
            if not any(p == prefix and _covers(d.name[len(prefix) :], gfx) for p, d in parts):
                name = next((t for t in torch.devices if _covers(t, gfx)), gfx)
                command = f"{build.env.command} install 'torch[device-{name}]=={torch.version}'{build.index}"
                return fail(
                    f"torch {torch.version} leaves the code for each GPU to a wheel of its own, and {prefix}{name} is not "
                    f"installed: on {gpu.name} ({gfx}) every kernel fails to load",
                    f"installed: {shown}",
                    remedy=Remedy(
                        "Install it from the index that torch came from.", (command,), recipe="torch"
                    ),
                )
    return ok(shown)


def _covers(name: str, gfx: str) -> bool:
    """Whether `gfx1100`, `gfx11`, `gfx12-0` or `gfx94x-dcgpu` stands for a target."""
    stem = re.sub(r"-(?:all|dcgpu|dgpu|igpu)$", "", name.lower()).replace("-", "")
    return gfx == stem or re.match(stem.replace("x", ".", 2).replace("gf.", "gfx", 1), gfx) is not None


@check("torch.gpu-code", fault="unsupported-gfx", after=_BUILD, explained_by=("torch.device-wheel",))
def gpu_code(
    build: TorchBuild, gpus: Gpus, gfx_table: GpuTable, table: TorchStackTable, shell: Environment | None
) -> Verdict:
    """torch and its matrix library have code for this GPU."""
    if not build.torch.hip:
        return skip("torch is no ROCm build")
    if not targets_of(gpus):
        return skip("no AMD GPU whose target is known")
    built = table.targets.get(f"{_minor(build.torch.version)} rocm{build.rocm}") or table.targets.get(
        _minor(build.torch.version)
    )
    lists = {"rocBLAS beside it": build.blas, "its own kernels": frozenset(built) if built else None}
    known = {name: targets for name, targets in lists.items() if targets}
    if not known:
        return unknown("neither file names nor tables tell which GPUs this torch has code for")
    for gpu in targets_of(gpus):
        acting = _acting(gpu, shell)
        for name, targets in known.items():
            if acting not in targets:
                return _no_code(build, gpu, acting, (name, targets), gfx_table)
    return ok(f"{', '.join(_acting(g, shell) for g in targets_of(gpus))} by {' and '.join(known)}")


def _no_code(
    build: TorchBuild, gpu: Gpu, acting: str, where: tuple[str, frozenset[str]], table: GpuTable
) -> Verdict:
    name, targets = where
    kind = f"{gpu.name} ({gpu.gfx})" if acting == gpu.gfx else f"{gpu.name} ({gpu.gfx}, as {acting})"
    shown = f"{name}: {', '.join(sorted(targets))}"
    target = table.targets.get(gpu.gfx or "")
    as_other = target_of_override(target.override) if target else ""
    if as_other in targets and acting == gpu.gfx and target:
        remedy = Remedy(
            f"Let it run as {as_other}, which has the same instructions.",
            (f"export {OVERRIDE}={target.override}",),
        )
    else:
        remedy = Remedy(
            "Install a build that names this target; rocmdoctor list gpus tells which index has one.",
            recipe="torch",
        )
    why = f"torch {build.torch.version} has no code for {kind}: {name} serves other targets, and the first kernel fails"
    return fail(why, shown, remedy=remedy)


@check(
    "torch.hipblaslt",
    fault="hipblaslt-arch",
    after=_BUILD,
    explained_by=("torch.device-wheel", "torch.gpu-code"),
)
def hipblaslt(build: TorchBuild, gpus: Gpus, shell: Environment | None) -> Verdict:
    """hipBLASLt has kernels for this GPU."""
    if build.blaslt is None or not targets_of(gpus):
        return skip("torch brought no hipBLASLt along whose kernels could be listed")
    missing = [(g, _acting(g, shell)) for g in targets_of(gpus) if _acting(g, shell) not in build.blaslt]
    if not missing:
        return ok(", ".join(_acting(g, shell) for g in targets_of(gpus)))
    gpu, acting = missing[0]
    shown = f"it has {', '.join(sorted(build.blaslt))}"
    forced = shell is not None and shell.values.get("TORCH_BLAS_PREFER_HIPBLASLT") == "1"
    why = f"the hipBLASLt of torch {build.torch.version} has no kernels for {gpu.name} ({acting})"
    if forced:
        return fail(
            f"{why}, and TORCH_BLAS_PREFER_HIPBLASLT=1 asks for it: matrix products fail",
            shown,
            remedy=Remedy("Take rocBLAS.", ("unset TORCH_BLAS_PREFER_HIPBLASLT",)),
        )
    return ok(f"{why}; torch takes rocBLAS instead, which is as it should be on this GPU", shown)


# ---------------------------------------------------------------- this machine's ROCm, driver and C library


@check("torch.rocm-match", fault="torch-rocm-mismatch", after=_BUILD, explained_by=("driver.rocm-range",))
def rocm_match(
    build: TorchBuild,
    gpus: Gpus,
    installs: RocmInstalls | None,
    module: AmdgpuModule | None,
    drivers: DriverTable,
) -> Verdict:
    """The driver and the ROCm of this machine serve the ROCm that torch was built for."""
    if not build.torch.hip or not gpus.capable:
        return skip("no ROCm torch with an AMD GPU")
    if not build.rocm:
        return skip("which ROCm this torch was built for is not recorded")
    short = ".".join(build.rocm.split(".")[:2])
    roots = [i for i in installs.installs if i.layout != "wheel" and i.version] if installs else []
    shown = tuple(f"ROCm {i.version} at {i.root}" for i in roots)
    if build.light and installs is not None and not any(_short(i.version) == short for i in roots):
        there = ", ".join(shown) or "none"
        return fail(
            f"torch {build.torch.version} brings no ROCm along and needs ROCm {short} on this machine; there is {there}",
            remedy=Remedy(f"Install ROCm {short}, or a torch that brings its own.", recipe="torch"),
        )
    driver = drivers.driver(module.version) if module is not None and module.dkms else None
    served = drivers.rocm_of_driver.get(driver or "", ())
    if served and short not in served and any(short in row for row in drivers.rocm_of_driver.values()):
        return fail(
            f"torch {build.torch.version} was built for ROCm {short}, the driver {driver} serves {', '.join(served)}",
            *shown,
            remedy=Remedy(f"Install a newer amdgpu-dkms, or a torch for ROCm {served[-1]}."),
        )
    other = [i for i in roots if _short(i.version).partition(".")[0] != short.partition(".")[0]]
    if roots and len(other) == len(roots):
        return warn(
            f"torch was built for ROCm {short}, {shown[0]} is what compilers here are of: torch runs, and what is built "
            "from source for it links against another major release",
            *shown,
            remedy=Remedy(
                f"Install ROCm {short.partition('.')[0]} beside it, or a torch for the one that is there."
            ),
        )
    return ok(f"ROCm {short}", *shown)


def _short(version: str | None) -> str:
    return ".".join((version or "").split(".")[:2])


@check("torch.glibc", fault="glibc-too-old", after=("torch.present",), explained_by=("host.glibc",))
def glibc(build: TorchBuild, found: SystemGlibc) -> Verdict:
    """The C library is as new as the installed torch wants it."""
    floors = [(int(a), int(b)) for t in build.tags for a, b in re.findall(r"manylinux_(\d+)_(\d+)_", t)]
    if not floors:
        return skip("torch's wheel names no C library")
    if found.version is None:
        return skip("the C library of this system is not known")
    wanted = min(floors)
    said = f"glibc {found.version[0]}.{found.version[1]} ({found.source})"
    if found.version >= wanted:
        return ok(f"{said}, {wanted[0]}.{wanted[1]} is wanted")
    return fail(
        f"{said}; torch {build.torch.version} wants {wanted[0]}.{wanted[1]}: it was brought here from another system",
        remedy=Remedy("Move to a newer release of the distribution, or use a container with one."),
    )


@check("environment.conda-libstdcxx", fault="conda-libstdcxx")
def conda_libstdcxx(env: PythonEnv, found: LibStdCxx, gpus: Gpus, build: TorchBuild | None) -> Verdict:
    """The C++ library of a conda environment is as new as the system's.

    conda's Python loads its own first, and what was compiled for the system then asks it for symbols it lacks.
    """
    if env.kind != "conda":
        return skip("the environment is none of conda's")
    if not gpus.capable:
        return skip("no AMD GPU that ROCm's libraries would be loaded for")
    if found.conda is None or found.system is None:
        return skip("one of the two C++ libraries is not there, so nothing can clash")
    said = (
        f"libstdc++.so.6.0.{found.conda} in {env.prefix}/lib, libstdc++.so.6.0.{found.system} in the system"
    )
    if found.conda >= found.system:
        return ok(said)
    remedy = Remedy(
        "Bring conda's up to date.",
        (f"conda install -p {env.prefix} -c conda-forge 'libstdcxx-ng>=13'",),
    )
    why = f"{said}: what was compiled on this system asks for newer symbols (GLIBCXX not found)"
    if build is not None and build.torch.hip and not build.bundled:
        return fail(f"{why}, and this torch loads the system's ROCm", remedy=remedy)
    return warn(f"{why}; wheels that bring their libraries along are not concerned", remedy=remedy)
