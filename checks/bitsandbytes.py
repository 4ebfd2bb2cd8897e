"""Whether bitsandbytes has a library for this ROCm and these GPUs."""

from rocmdoctor.diagnosis import Remedy, Verdict, check, fail, ok, skip, unknown, warn
from rocmdoctor.facts.distributions import Dist, Dists
from rocmdoctor.facts.gpus import Gpu, Gpus, GpuTable
from rocmdoctor.facts.requirements import Pins, holds
from rocmdoctor.facts.shell import Environment
from rocmdoctor.facts.torch_build import TorchBuild, TorchStackTable
from rocmdoctor.facts.training import (
    BnbLibraries,
    Library,
    TrainingTable,
    bnb_choice,
    kind_of,
    targets_of,
    value_of,
)

_BUILD = ("torch.rocm-build",)
_BNB = "bitsandbytes"


@check("training.bitsandbytes-build", fault="bnb-cuda-build", after=_BUILD)
def bnb_build(
    dists: Dists,
    libraries: BnbLibraries,
    build: TorchBuild,
    gpus: Gpus,
    table: TrainingTable,
    pins: Pins | None,
) -> Verdict:
    """bitsandbytes has libraries for AMD GPUs."""
    dist = dists.get(_BNB)
    if dist is None:
        return skip("bitsandbytes is not installed")
    if not build.torch.hip or not gpus.capable:
        return skip("no ROCm torch with an AMD GPU")
    if libraries.rocm:
        return ok(f"{dist}: {', '.join(lib.name for lib in libraries.rocm)}")
    names = [lib.name for lib in libraries.libraries]
    if not names:
        why = f"{dist} holds no compiled library at all: it was installed from source without being built"
    else:
        why = f"{dist} holds libraries for {_kinds(libraries.libraries)} only, none for ROCm: 8-bit and 4-bit layers and optimizers fail"
    asking = tuple(f"{p.owner} asks for {p.text}" for p in (pins.on(_BNB) if pins else ()) if p.specifiers)
    best = _release_for(build, table)
    what = f"{_BNB}=={best}" if best else f"{_BNB}>={table.bnb_first_rocm}"
    return fail(
        why,
        *asking,
        remedy=Remedy("Install a release with libraries for ROCm.", (build.upgrade(what),), _BNB),
    )


def _kinds(libraries: tuple[Library, ...]) -> str:
    return ", ".join(
        dict.fromkeys(
            {"cuda": "CUDA", "cpu": "processors"}.get(kind_of(b)[0], kind_of(b)[0]) for b in libraries
        )
    )


def _release_for(build: TorchBuild, table: TrainingTable) -> str:
    """The newest release whose wheels serve this torch's ROCm, "" where none is known to."""
    hip = build.hip
    for version in reversed(list(table.bnb_libraries)):
        rows = [tuple(int(n) for n in row.split(".")) for row in table.bnb_libraries[version]]
        near = bool(holds(table.bnb_fallback, version))
        if hip and any(row == hip or (near and row[0] == hip[0]) for row in rows):
            return version
    return ""


@check(
    "training.bitsandbytes-library",
    fault="bnb-missing-rocm-lib",
    after=("training.bitsandbytes-build",),
    explained_by=("training.bitsandbytes-fork", "training.bitsandbytes-wavefront"),
)
def bnb_library(
    dists: Dists,
    libraries: BnbLibraries,
    build: TorchBuild,
    gpus: Gpus,
    table: TrainingTable,
    shell: Environment | None,
) -> Verdict:
    """bitsandbytes has a library for torch's ROCm, with code for this GPU."""
    dist = dists.get(_BNB)
    if dist is None or build.hip is None:
        return skip("bitsandbytes is not installed beside a ROCm torch")
    near = bool(holds(table.bnb_fallback, dist.version))
    found = bnb_choice(libraries.libraries, build.hip, value_of(shell, "BNB_ROCM_VERSION"), fallback=near)
    there = ", ".join(lib.name for lib in libraries.rocm)
    best = _release_for(build, table)
    remedy = Remedy(
        "Install a release that has one." if best else "Build it from source, since no release has one.",
        (build.upgrade(f"{_BNB}=={best}"),) if best else (),
        recipe=_BNB,
    )
    if isinstance(found, str):
        if _is_fork(dist, libraries, table):
            return skip(f"{dist} is a fork that names its library {there}")
        override = value_of(shell, "BNB_ROCM_VERSION") if near else ""
        if override:
            remedy = Remedy("Let it choose by itself.", ("unset BNB_ROCM_VERSION",))
        why = f"{dist} looks for {found} (torch was built for HIP {build.hip[0]}.{build.hip[1]}"
        why += f", BNB_ROCM_VERSION={override})" if override else ")"
        return fail(f"{why} and has {there}: 8-bit and 4-bit layers and optimizers fail", remedy=remedy)
    if not near and value_of(shell, "BNB_CUDA_VERSION"):
        why = f"BNB_CUDA_VERSION={value_of(shell, 'BNB_CUDA_VERSION')}: {dist} stops at import when it is set with a ROCm torch"
        return fail(why, remedy=Remedy("Unset it.", ("unset BNB_CUDA_VERSION",)))
    for gpu in targets_of(gpus):
        if found.serves(gpu.gfx or "") is False:
            return _bnb_no_code(dist, found, gpu, build)
    looked = "" if found.gfx is not None else "; which GPUs it serves could not be read"
    return ok(f"{dist}: {found.name} for HIP {build.hip[0]}.{build.hip[1]}{looked}")


def _bnb_no_code(dist: Dist, found: Library, gpu: Gpu, build: TorchBuild) -> Verdict:
    newest = f"{_BNB}>={dist.version}"
    return fail(
        f"{found.name} of {dist} has no code for {gpu.name} ({gpu.gfx}): its first kernel fails",
        f"it has {', '.join(found.gfx or ())}",
        remedy=Remedy(
            "Newer releases serve more GPUs; from source it is built for the GPU that is named.",
            (
                build.upgrade(newest),
                f"cmake -DCOMPUTE_BACKEND=hip -DBNB_ROCM_ARCH={gpu.gfx} -S . && make && {build.env.command} install --no-deps .",
            ),
            recipe=_BNB,
        ),
    )


@check("training.bitsandbytes-rocm", fault="bnb-rocm-mismatch", after=("training.bitsandbytes-library",))
def bnb_rocm(
    dists: Dists,
    libraries: BnbLibraries,
    build: TorchBuild,
    table: TrainingTable,
    stack: TorchStackTable,
    shell: Environment | None,
) -> Verdict:
    """The library of bitsandbytes was built with the major release of ROCm that torch brings."""
    dist = dists.get(_BNB)
    if dist is None or build.hip is None:
        return skip("bitsandbytes is not installed beside a ROCm torch")
    near = bool(holds(table.bnb_fallback, dist.version))
    override = value_of(shell, "BNB_ROCM_VERSION")
    found = bnb_choice(libraries.libraries, build.hip, override, fallback=near)
    if isinstance(found, str):
        return skip(f"{found} is not there")
    major = str(build.hip[0])
    if near and override and override[0] != major:
        return fail(
            f"BNB_ROCM_VERSION={override} makes {dist} load {found.name} beside a torch of ROCm {build.rocm or major}",
            remedy=Remedy("Let it choose by itself.", ("unset BNB_ROCM_VERSION",)),
        )
    if found.needed is None:
        return unknown(f"{found.path} could not be looked into")
    blas = next((n.rpartition(".so.")[2] for n in found.needed if n.startswith("libhipblas.so.")), "")
    wanted = stack.hipblas_major.get(major, "")
    if blas and wanted and blas != wanted:
        return fail(
            f"{found.name} of {dist} wants libhipblas.so.{blas}, torch for ROCm {build.rocm} brings libhipblas.so.{wanted}: it "
            "was built with another ROCm and does not load, or loads a second one",
            remedy=Remedy(
                "Install a release from the index.",
                (build.upgrade(f"{_BNB}>={table.bnb_first_rocm}"),),
                recipe=_BNB,
            ),
        )
    return ok(f"{found.name}" + (f" with libhipblas.so.{blas}" if blas else ""))


def _is_fork(dist: Dist, libraries: BnbLibraries, table: TrainingTable) -> bool:
    return any(kind_of(lib)[0] == "hip" for lib in libraries.rocm) or (
        bool(holds(table.bnb_forks, dist.version)) and bool(libraries.rocm)
    )


@check(
    "training.bitsandbytes-fork",
    fault="bnb-stale-branch",
    after=_BUILD,
    explained_by=("training.bitsandbytes-wavefront",),
)
def bnb_fork(
    dists: Dists,
    libraries: BnbLibraries,
    build: TorchBuild,
    gpus: Gpus,
    table: TrainingTable,
    pins: Pins | None,
) -> Verdict:
    """bitsandbytes is upstream's, which has its own ROCm backend."""
    dist = dists.get(_BNB)
    if dist is None or not gpus.capable:
        return skip("bitsandbytes is not installed, or there is no AMD GPU")
    if not _is_fork(dist, libraries, table):
        return ok(str(dist))
    why = f"{dist} is an old fork for ROCm ({', '.join(lib.name for lib in libraries.rocm)}), which gets no corrections"
    best = _release_for(build, table)
    what = f"{_BNB}=={best}" if best else f"{_BNB}>={table.bnb_first_rocm}"
    remedy = Remedy("Take upstream's release, which has ROCm libraries.", (build.upgrade(what),), _BNB)
    refused = []
    for name, versions, wants in table.bnb_wanted_by:
        other = dists.get(name)
        if other is not None and holds(versions, other.version) and holds(wants, dist.version) is False:
            refused.append(f"{other} wants bitsandbytes {wants}")
    refused += [f"{p.owner} asks for {p.text}" for p in (pins.on(_BNB) if pins else ()) if p.met is False]
    if refused:
        return fail(f"{why}; {refused[0]} and refuses it", *refused, remedy=remedy)
    return warn(why, remedy=remedy)


@check("training.bitsandbytes-wavefront", fault="bnb-wave32", after=_BUILD)
def bnb_wavefront(
    dists: Dists, libraries: BnbLibraries, gpus: Gpus, table: GpuTable, build: TorchBuild
) -> Verdict:
    """bitsandbytes was not built for the other width of wavefronts."""
    dist = dists.get(_BNB)
    narrow = [lib for lib in libraries.rocm if kind_of(lib)[0] == "hip" and "nohipblaslt" in lib.name]
    if dist is None or not narrow:
        return skip("no library of the fork that assumes 32-wide wavefronts")
    wide = [
        g
        for g in targets_of(gpus)
        if g.gfx and g.gfx in table.targets and table.targets[g.gfx].wavefront == 64
    ]
    if not wide:
        return ok(f"{narrow[0].name}, and no GPU here has 64-wide wavefronts")
    return fail(
        f"{narrow[0].name} of {dist} was written for 32-wide wavefronts, {wide[0].name} ({wide[0].gfx}) has 64-wide ones: "
        "results are wrong without any error",
        remedy=Remedy("Take upstream's release.", (build.upgrade(f"{_BNB}>=0.49.2"),), recipe=_BNB),
    )
