"""Whether the libraries beside torch were built for ROCm, for this ROCm, and for these GPUs."""

from rocmdoctor.diagnosis import Remedy, Verdict, check, fail, ok, skip, unknown, warn
from rocmdoctor.facts.distributions import Dist, Dists
from rocmdoctor.facts.gpus import Gpu, Gpus
from rocmdoctor.facts.hip import Looked
from rocmdoctor.facts.requirements import Pins, holds
from rocmdoctor.facts.shell import Environment
from rocmdoctor.facts.torch_build import TorchBuild, TorchStackTable
from rocmdoctor.facts.training import (
    CudaHome,
    FlashLibraries,
    TrainingTable,
    VersionDev,
    XformersBuild,
    targets_of,
    value_of,
)

_BUILD = ("torch.rocm-build",)
_BNB = "bitsandbytes"
_FLASH_SWITCH = "FLASH_ATTENTION_TRITON_AMD_ENABLE"


# ---------------------------------------------------------------- flash-attention


@check("training.flash-attention", fault="flash-attn-arch", after=_BUILD, explained_by=("torch.gpu-code",))
def flash_attention(
    dists: Dists,
    libraries: FlashLibraries,
    build: TorchBuild,
    gpus: Gpus,
    table: TrainingTable,
    shell: Environment | None,
) -> Verdict:
    """flash-attention has kernels for this GPU."""
    dist = dists.get("flash-attn")
    if dist is None:
        return skip("flash-attention is not installed")
    if not build.torch.hip or not targets_of(gpus):
        return skip("no ROCm torch with an AMD GPU whose target is known")
    switched = value_of(shell, _FLASH_SWITCH).upper() == "TRUE"
    can_switch = bool(holds(table.flash_triton, dist.version))
    gpu = targets_of(gpus)[0]
    if switched and can_switch:
        return ok(f"{dist} with Triton kernels, which are compiled for the GPU at hand")
    if not libraries.libraries:
        if not can_switch:
            return fail(f"{dist} has no compiled part: import stops", remedy=_flash(build, gpu, table, dist))
        return warn(
            f"{dist} has no compiled part and {_FLASH_SWITCH} is not set: it works only with the variable at run time",
            remedy=Remedy("Set it wherever training starts.", (f"export {_FLASH_SWITCH}=TRUE",)),
        )
    library = libraries.libraries[0]
    if library.gfx is None:
        return unknown(f"{library.path} could not be looked into")
    cuda = [name for name in library.needed or () if name.startswith("libcudart.")]
    if cuda:
        why = f"{library.name} of {dist} needs {cuda[0]}: it is a CUDA build"
        return fail(why, remedy=_flash(build, gpu, table, dist))
    if not library.gfx:
        return unknown(f"which GPUs {library.path} has code for could not be read")
    for gpu in targets_of(gpus):
        if library.serves(gpu.gfx or "") is False:
            return fail(
                f"{library.name} of {dist} was built for {', '.join(library.gfx)}, not for {gpu.name} ({gpu.gfx})",
                remedy=_flash(build, gpu, table, dist),
            )
    return ok(f"{dist} for {', '.join(library.gfx)}")


def _flash(build: TorchBuild, gpu: Gpu, table: TrainingTable, dist: Dist) -> Remedy:
    able = next((targets for versions, targets in table.flash if holds(versions, dist.version)), ())
    newest = table.flash[0][1]
    install = f"{build.env.command} install --no-build-isolation --no-deps --force-reinstall --no-binary flash-attn flash-attn"
    if gpu.gfx in able or gpu.gfx in newest:
        return Remedy(
            "Build it for this GPU.", (f"GPU_ARCHS={gpu.gfx} MAX_JOBS=4 {install}",), recipe="flash-attention"
        )
    return Remedy(
        f"Its compiled kernels exist for {', '.join(newest)} only; on {gpu.gfx} take its Triton kernels, or torch's own "
        "attention (sdpa).",
        (f"export {_FLASH_SWITCH}=TRUE", f"{_FLASH_SWITCH}=TRUE {install}"),
    )


# ---------------------------------------------------------------- DeepSpeed


@check("training.deepspeed", fault="deepspeed-nvcc", after=_BUILD)
def deepspeed(
    dists: Dists,
    build: TorchBuild,
    gpus: Gpus,
    table: TrainingTable,
    cuda: CudaHome | None,
    old: VersionDev | None,
) -> Verdict:
    """This DeepSpeed builds its operators on ROCm."""
    dist = dists.get("deepspeed")
    if dist is None:
        return skip("DeepSpeed is not installed")
    if not build.torch.hip or not gpus.capable:
        return skip("no ROCm torch with an AMD GPU")
    noted = ""
    for row in table.deepspeed:
        if not holds(row["versions"], dist.version):
            continue
        if row["when"] == "no-version-dev" and ("rocm" in build.torch.version or old is None or old.there):
            continue
        if "torch" in row and not holds(row["torch"], build.torch.version):
            continue
        upgrade = build.upgrade(f"deepspeed>={row['fixed']}")
        if row["when"] != "cuda-home":
            remedy = Remedy("Take a release without it.", (upgrade,), recipe="deepspeed")
            return fail(f"{dist}: {row['why']}", remedy=remedy, fault=row["fault"])
        if cuda is None:
            return unknown(
                f"{dist} fails where torch finds a CUDA toolkit, and whether it does could not be read"
            )
        if cuda.path:
            where = f"because torch {build.torch.version} finds a CUDA toolkit at {cuda.path} by {cuda.by}"
            remedy = Remedy(
                "Take a release without it, or take the CUDA toolkit out of sight.",
                (upgrade, "unset CUDA_HOME CUDA_PATH"),
                recipe="deepspeed",
            )
            return fail(f"{dist}: {row['why']}, {where}", remedy=remedy, fault=row["fault"])
        noted = "; it would fail if a CUDA toolkit came in sight, and there is none"
    return ok(f"{dist}{noted}")


@check("training.deepspeed-rocm", fault="deepspeed-rocm-detect", after=_BUILD, explained_by=("rocm.home",))
def deepspeed_rocm(
    dists: Dists, build: TorchBuild, gpus: Gpus, looked: Looked | None, stack: TorchStackTable
) -> Verdict:
    """DeepSpeed finds the ROCm that it builds its operators with."""
    dist = dists.get("deepspeed")
    if dist is None or not build.torch.hip or not gpus.capable:
        return skip("no DeepSpeed beside a ROCm torch with an AMD GPU")
    if looked is not None and looked.places:
        name, folder = looked.places[0]
        return ok(f"{folder} by {name}")
    if looked is None or not looked.complete:
        return unknown("where torch looks for ROCm could not be read")
    sdk = dists.get("rocm-sdk-core")
    if sdk is not None and holds(f">={stack.sdk_found_from}", build.torch.version):
        return ok(f"torch finds {sdk}")
    held = f" ({sdk} is there, which this torch does not look for)" if sdk else ""
    where = f"$({build.env.command.partition(' ')[0]} -m rocm_sdk path --root)"
    return fail(
        f"{dist} takes this torch for none of ROCm: ROCM_HOME, ROCM_PATH, hipcc on PATH and /opt/rocm lead to no ROCm{held}, "
        "so it asks for CUDA and stops with MissingCUDAException",
        remedy=Remedy(
            "Name the ROCm that pip installed." if sdk else "Install ROCm with hipcc, or name where it is.",
            (f"export ROCM_HOME={where}",) if sdk else ("export ROCM_HOME=/opt/rocm",),
        ),
    )


@check("training.cuda-home", fault="deepspeed-nvcc", after=_BUILD)
def cuda_home(build: TorchBuild, table: TrainingTable, cuda: CudaHome | None) -> Verdict:
    """A torch for ROCm finds no CUDA toolkit, so that nothing built with it takes this machine for one with CUDA."""
    if not build.torch.hip:
        return skip("no torch for ROCm")
    version = build.torch.version
    looks = holds(table.looks_for_cuda, version)
    if looks is False:
        return ok(f"torch {version} looks for no CUDA toolkit on ROCm")
    if cuda is None or looks is None:
        return unknown(f"whether torch {version} finds a CUDA toolkit could not be read")
    if not cuda.path:
        return ok(f"torch {version} would take a CUDA toolkit, and there is none in sight")
    return warn(
        f"torch {version} finds a CUDA toolkit at {cuda.path} by {cuda.by}: extensions that ask it for CUDA_HOME compare "
        "its version with one that this torch does not have",
        remedy=Remedy("Take it out of sight while extensions are built.", ("unset CUDA_HOME CUDA_PATH",)),
    )


# ---------------------------------------------------------------- xformers


@check("training.xformers", fault="xformers-hip", after=_BUILD)
def xformers(
    dists: Dists, said: XformersBuild | None, build: TorchBuild, gpus: Gpus, pins: Pins | None
) -> Verdict:
    """xformers is a build for ROCm, or not there."""
    dist = dists.get("xformers")
    if dist is None:
        return ok("xformers is not installed, and fine-tuning needs it nowhere")
    if not build.torch.hip or not gpus.capable:
        return skip("no ROCm torch with an AMD GPU")
    if said is None:
        return unknown(f"{dist} says nowhere what it was built for")
    if said.hip:
        return ok(f"{dist} for HIP {said.hip}")
    asking = tuple(f"{p.owner} asks for {p.text}" for p in (pins.on("xformers") if pins else ()))
    unmet = [p for p in (pins.by("xformers") if pins else ()) if p.name == "torch" and p.met is False]
    kind = f"CUDA {said.cuda // 100}.{said.cuda % 100}" if said.cuda else "processors only"
    why = f"{dist} is a build for {kind} (torch {said.torch}): none of its operators load beside torch {build.torch.version}"
    remedy = Remedy(
        "Remove it; torch's own attention (sdpa) and flash-attention take its place.",
        (f"{build.env.command} uninstall -y xformers",),
    )
    if unmet:
        why = (
            f"{why}, and it asks for {unmet[0].text}: the next pip install may put a CUDA torch in its place"
        )
    return fail(why, *asking, remedy=remedy)


# ---------------------------------------------------------------- what the next pip install would do


@check("training.pins", after=_BUILD)
def pins_hold(dists: Dists, pins: Pins, build: TorchBuild, gpus: Gpus) -> Verdict:
    """No distribution asks for a torch, triton or bitsandbytes other than the one that is there."""
    if not build.torch.hip or not gpus.capable:
        return skip("no ROCm torch with an AMD GPU")
    watched = ("torch", "torchvision", "torchaudio", "triton", _BNB, "transformers", "accelerate", "peft")
    unmet = [p for name in watched for p in pins.on(name) if p.met is False]
    # What is not there, but would come with the next install: the module of that name would be replaced.
    unmet += [p for p in pins.on("triton") if p.met is None and p.owner.name != "torch" and build.triton]
    if not unmet:
        return ok(f"{len(pins.pins)} requirements")
    said = tuple(f"{p.owner} asks for {p.text}, there is {p.there or 'another triton'}" for p in unmet)
    held = ("torch", "torchvision", "torchaudio")
    exact = [f"{d.name}=={d.version}" for n in held if (d := dists.get(n)) is not None and d.local]
    lines = " ".join(f"'{line}'" for line in exact)
    remedy = Remedy(
        "Hold torch with a constraint in every pip install, and see what pip would do before it does it.",
        (
            f"printf '%s\\n' {lines} > constraints.txt",
            f"{build.env.command} install --dry-run -c constraints.txt NAME",
        ),
    )
    first = said[0]
    return warn(
        f"{first}: the next pip install that touches it may replace the ROCm build", *said, remedy=remedy
    )
