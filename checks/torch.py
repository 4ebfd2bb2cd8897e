"""How far the machine is with torch and training; what is wrong inside an environment is another subject."""

from __future__ import annotations

from rocmdoctor.diagnosis import Remedy, Verdict, absent, check, fail, ok, skip, warn
from rocmdoctor.facts.gpus import Gpus, GpuTable
from rocmdoctor.facts.pci import PciDisplays
from rocmdoctor.facts.torch_files import Torch, TorchFiles, TorchTable, WheelIndex


def _install(gpus: Gpus | None, table: TorchTable, known: GpuTable, where: str) -> Remedy:
    targets = {g.gfx for g in gpus.discrete if g.gfx} if gpus else set()
    index = table.best(targets)
    if index is not None:
        return _from_index(index, where)
    # Builds for a target of the same family do, where the runtime can be told to take the GPU for that.
    overrides = {known.targets[t].override if t in known.targets else "" for t in targets}
    value = overrides.pop() if len(overrides) == 1 else ""
    named = ", ".join(sorted(targets))
    index = table.best({"gfx" + value.replace(".", "")}) if value else None
    if index is None:
        return Remedy(f"No public index has torch for {named}: build it from source, or use another GPU.")
    remedy = _from_index(index, where)
    text = f"No public index has torch for {named}; builds for its family run with HSA_OVERRIDE_GFX_VERSION={value}."
    return Remedy(f"{text} {remedy.text}", (*remedy.commands, f"export HSA_OVERRIDE_GFX_VERSION={value}"))


def _from_index(index: WheelIndex, where: str) -> Remedy:
    # Without the one-index option pip takes the CUDA build of the same version from PyPI.
    install = f"pip install torch=={index.torch} --index-url {index.url}"
    if where:
        return Remedy(f"Install the build for ROCm {index.rocm}.", (f"{where}/bin/{install}",))
    return Remedy(
        f"Install the build for ROCm {index.rocm} into an environment of its own.",
        ("python3 -m venv ~/rocm-env", f"~/rocm-env/bin/{install}"),
    )


def _described(torch: Torch) -> str:
    return f"torch {torch.version} for {torch.build} in {torch.site}"


@check("torch.present", rung="torch")
def torch_present(files: TorchFiles, gpus: Gpus | None, table: TorchTable, known: GpuTable) -> Verdict:
    """torch is installed."""
    torch = files.first
    if torch is None:
        where = f" in {files.where}" if files.where and not files.where.endswith("/.local") else ""
        active = files.where if where else ""
        useful = gpus is None or gpus.capable
        remedy = _install(gpus, table, known, active) if useful else None
        return absent(f"no torch{where or ' in the usual places'}", remedy=remedy)
    others = tuple(_described(t) for t in files.torches[1:])
    return ok(_described(torch), *others)


@check("torch.rocm-build", fault="cuda-torch-installed", after=("torch.present",))
def rocm_build(
    files: TorchFiles, gpus: Gpus, pci: PciDisplays | None, table: TorchTable, known: GpuTable
) -> Verdict:
    """torch is a build for ROCm."""
    torch = files.first
    if torch is None:
        return skip("there is no torch")
    if torch.hip:
        return ok(_described(torch))
    if not gpus.capable:
        return skip(f"{_described(torch)}, on a machine without an AMD GPU that can compute")
    why = f"{_described(torch)}: it uses no AMD GPU, and torch.cuda.is_available() says no"
    prefix = torch.site.partition("/lib/")[0]
    own = prefix if "/usr" not in prefix[:4] and not prefix.endswith("/.local") else ""
    remedy = _install(gpus, table, known, own)
    if own:
        removed = f"{own}/bin/pip uninstall -y torch torchvision torchaudio triton"
        remedy = Remedy(f"Remove it. {remedy.text}", (removed, *remedy.commands))
    if pci is not None and pci.nvidia and torch.cuda:
        return warn(f"{why}; there is an NVIDIA GPU as well, which it can use", remedy=remedy)
    if all(g.integrated for g in gpus.capable):
        return warn(f"{why}; the only one is integrated in the processor", remedy=remedy)
    return fail(why, remedy=remedy)


@check("training.present", rung="training")
def training_present(files: TorchFiles) -> Verdict:
    """transformers and peft are installed beside torch."""
    torch = files.first
    if torch is None:
        return absent("no torch, so nothing to train with")
    found = files.libraries.get(torch.site, ())
    missing = [name for name in ("transformers", "peft") if name not in found]
    if not found:
        return absent(
            f"none of transformers, peft and accelerate in {torch.site}",
            remedy=Remedy(
                "Install them beside torch, which pip then leaves as it is.",
                (_pip(torch, "transformers peft accelerate datasets"),),
            ),
        )
    if missing:
        return absent(
            f"{', '.join(missing)} not beside torch in {torch.site}; there is {', '.join(found)}",
            remedy=Remedy("Install the rest.", (_pip(torch, " ".join(missing)),)),
        )
    return ok(f"{', '.join(found)} in {torch.site}")


def _pip(torch: Torch, names: str) -> str:
    prefix = torch.site.partition("/lib/")[0]
    program = "pip" if prefix.startswith("/usr") or prefix.endswith("/.local") else f"{prefix}/bin/pip"
    return f"{program} install {names} 'torch=={torch.version}'"
