"""How far the environment is with torch and training, and whether its torch is one for AMD GPUs."""

import re

from rocmdoctor.diagnosis import Remedy, Verdict, absent, check, fail, ok, skip, warn
from rocmdoctor.facts.culprits import culprit
from rocmdoctor.facts.distributions import Dists
from rocmdoctor.facts.gpus import Gpus
from rocmdoctor.facts.pci import PciDisplays
from rocmdoctor.facts.protection import Came
from rocmdoctor.facts.python_env import PythonEnv
from rocmdoctor.facts.requirements import Pins
from rocmdoctor.facts.torch_build import TorchBuild, TorchParts, TorchStackTable, WheelChoice
from rocmdoctor.facts.torch_files import OtherTorches, Torch

_LIBRARIES = ("transformers", "peft", "accelerate")


def _install(choice: WheelChoice, env: PythonEnv) -> Remedy:
    named = ", ".join(choice.targets)
    index = choice.index
    if index is None:
        return Remedy(f"No public index has torch for {named}: build it from source, or use another GPU.")
    # Without the one-index option pip takes the CUDA build of the same version from PyPI.
    install = f"install torch=={index.torch} --index-url {index.url}"
    text, commands = f"Install the build for ROCm {index.rocm}", [f"{env.command} {install}"]
    if env.kind not in ("venv", "conda", "folder"):
        text = f"{text} into an environment of its own"
        commands = ["python3 -m venv ~/rocm-env", f"~/rocm-env/bin/python -m pip {install}"]
    if not choice.override:
        return Remedy(f"{text}.", tuple(commands))
    as_other = f"HSA_OVERRIDE_GFX_VERSION={choice.override}"
    return Remedy(
        f"No public index has torch for {named}; builds for its family run with {as_other}. {text}.",
        (*commands, f"export {as_other}"),
    )


def _described(torch: Torch) -> str:
    return f"torch {torch.version} for {torch.build} in {torch.site}"


@check("torch.present", rung="torch", explained_by=("torch.whole",))
def torch_present(
    env: PythonEnv,
    parts: TorchParts,
    build: TorchBuild | None,
    others: OtherTorches | None,
    gpus: Gpus | None,
    choice: WheelChoice,
) -> Verdict:
    """torch is installed."""
    elsewhere = tuple(_described(t) for t in (others.torches if others else ()))
    if build is not None:
        return ok(_described(build.torch), *elsewhere)
    useful = gpus is None or bool(gpus.capable)
    remedy = _install(choice, env) if useful else None
    where = "the system's Python" if env.kind == "system" else env.prefix
    foreign = [t for t in parts.torches if t.site.startswith(env.prefix)]
    if foreign and env.python:
        why = f"no torch for Python {env.python[0]}.{env.python[1]} of {where}; that in {foreign[0].site} belongs to another"
        return absent(why, *elsewhere, remedy=remedy)
    if elsewhere:
        # /home/ann/ft/lib/python3.11/site-packages
        place = others.torches[0].site.partition("/lib/")[0] if others else ""
        why = f"no torch in {where}, which is looked at; there is one in {place}"
        look = (
            (f"rocmdoctor check --env {place}",) if place.startswith("/") and "/usr" not in place[:4] else ()
        )
        remedy = _install(choice, env)
        return absent(
            why, *elsewhere, remedy=Remedy(f"Look at that one, or: {remedy.text}", (*look, *remedy.commands))
        )
    return absent(f"no torch in {where}", remedy=remedy)


@check(
    "torch.rocm-build",
    fault="cuda-torch-installed",
    after=("torch.present",),
    explained_by=("torch.python", "torch.whole", "torch.kept"),
)
def rocm_build(
    build: TorchBuild,
    dists: Dists | None,
    pins: Pins | None,
    came: Came | None,
    gpus: Gpus,
    pci: PciDisplays | None,
    choice: WheelChoice,
    stack: TorchStackTable,
) -> Verdict:
    """torch is a build for ROCm."""
    torch = build.torch
    if torch.hip:
        return ok(_described(torch))
    if not gpus.capable:
        return skip(f"{_described(torch)}, on a machine without an AMD GPU that can compute")
    why = f"{_described(torch)}: it uses no AMD GPU, and torch.cuda.is_available() says no"
    shown = (*_culprits(pins), *_cuda_parts(dists))
    brought = _brought(dists, pins, came)
    why += f". {brought}" if brought else ""
    own = build.env.kind != "system"
    first = (f"{build.env.command} uninstall -y torch torchvision torchaudio triton",) if own else ()
    remedy = _install(choice, build.env)
    text = f"Remove it. {remedy.text}" if own else remedy.text
    remedy = Remedy(text, (*first, *remedy.commands), recipe="torch" if own else None)
    if pci is not None and pci.nvidia and torch.cuda:
        return warn(f"{why}; there is an NVIDIA GPU as well, which it can use", *shown, remedy=remedy)
    if all(g.integrated for g in gpus.capable):
        return warn(f"{why}; the only one is integrated in the processor", *shown, remedy=remedy)
    traces = _traces(build, dists, stack)
    if traces:
        held = Remedy(
            f"{remedy.text} Then hold it with a constraint in every later install.",
            (*remedy.commands, f"{build.env.command} freeze | grep '^torch' > constraints.txt"),
            recipe=remedy.recipe,
        )
        why = f"{why}. A ROCm build was here before: {traces[0]} is left of it"
        return fail(why, *traces[1:], *shown, remedy=held, fault="torch-overwritten-by-pip")
    return fail(why, *shown, remedy=remedy)


def _traces(build: TorchBuild, dists: Dists | None, stack: TorchStackTable) -> list[str]:
    """What only a ROCm build of torch brings along."""
    found = [f"{n} {v}" for n, v in build.companions.items() if "rocm" in v.partition("+")[2]]
    for dist in dists.dists if dists else ():
        ours = dist.name.endswith("-rocm") and dist.name in stack.triton_names
        if (
            ours
            or (dist.name == "triton" and "rocm" in dist.local)
            or dist.name.startswith(stack.device_prefixes)
        ):
            found.append(str(dist))
        elif dist.name == "torch" and "rocm" in dist.local:
            found.append(f"{dist} in {dist.folder}")
    return found


def _brought(dists: Dists | None, pins: Pins | None, came: Came | None) -> str:
    """Who brought this torch in, "" where nothing tells."""
    there = dists.get("torch") if dists else None
    if dists is None or there is None or pins is None:
        return ""
    found = culprit(there, None, dists, pins, came)
    return f"{found}" if found and found.chain else ""


def _culprits(pins: Pins | None) -> tuple[str, ...]:
    """Which distributions ask for a torch: exact pins first, since only they can have chosen this one."""
    on = [p for p in (pins.on("torch") if pins else ()) if p.specifiers]
    on.sort(key=lambda p: (not p.exact, p.met is not True))
    said = [f"{p.owner} asks for {p.text}" for p in on[:4]]
    return tuple(said)


def _cuda_parts(dists: Dists | None) -> tuple[str, ...]:
    parts = (
        [str(d) for d in dists.dists if re.fullmatch(r"nvidia-.*-cu\d+|cuda-toolkit", d.name)]
        if dists
        else []
    )
    return (f"{len(parts)} packages of CUDA's came with it, such as {parts[0]}",) if parts else ()


@check("training.present", rung="training")
def training_present(env: PythonEnv, build: TorchBuild | None, dists: Dists) -> Verdict:
    """transformers and peft are installed beside torch."""
    if build is None:
        return absent("no torch, so nothing to train with")
    found = {name: dists.get(name) for name in _LIBRARIES}
    there = [str(d) for d in found.values() if d is not None]
    missing = [name for name in ("transformers", "peft") if found[name] is None]
    if not there:
        return absent(
            f"none of {', '.join(_LIBRARIES)} in {build.torch.site}",
            remedy=Remedy(
                "Install them beside torch, which pip then leaves as it is.",
                (_pip(build, "transformers peft accelerate datasets"),),
            ),
        )
    if missing:
        return absent(
            f"{', '.join(missing)} not beside torch in {build.torch.site}; there is {', '.join(there)}",
            remedy=Remedy("Install the rest.", (_pip(build, " ".join(missing)),)),
        )
    return ok(f"{', '.join(there)} in {env.prefix}")


def _pip(build: TorchBuild, names: str) -> str:
    return f"{build.env.command} install {names} 'torch=={build.torch.version}'{build.index.replace('--index-url', '--extra-index-url')}"
