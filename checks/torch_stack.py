"""Whether what makes up torch belongs together, and to this machine's GPUs."""

import re

from rocmdoctor.diagnosis import Remedy, Verdict, Wish, check, fail, ok, skip, warn
from rocmdoctor.facts.distributions import Dist, Dists
from rocmdoctor.facts.gpus import Gpus
from rocmdoctor.facts.python_env import MANAGED, PythonEnv
from rocmdoctor.facts.requirements import Pins, holds
from rocmdoctor.facts.shell import Environment
from rocmdoctor.facts.torch_build import TorchBuild, TorchParts, TorchStackTable

_BUILD = ("torch.rocm-build",)


def _again(build: TorchBuild, *names: str, extra: str = "") -> str:
    wanted = " ".join(f"'{name}'" if re.search(r"[<>=+]", name) else name for name in names)
    return f"{build.env.command} install --force-reinstall --no-deps{extra} {wanted}{build.index}"


# ---------------------------------------------------------------- the environment


@check("torch.environment")
def environment(env: PythonEnv, shell: Environment | None) -> Verdict:
    """The Python environment that is looked at is there, and is the one that a shell starts."""
    if env.kind == "system":
        return ok(f"the system's Python{_number(env)}; no environment is active")
    named = "default" if env.prefix.endswith(f"/{MANAGED}") else "--env"
    where = named if env.chosen == "ROCMDOCTOR_ENV" else env.chosen
    said = f"{env.prefix} ({env.kind}{_number(env)}, by {where})"
    if env.kind == "missing":
        remedy = Remedy("Name one that is there, or make it.", (f"python3 -m venv {env.prefix}",))
        return warn(f"{where} names {env.prefix}, which is not there", remedy=remedy)
    if env.pip and env.pip.startswith("/") and not env.pip.startswith(f"{env.prefix}/"):
        return warn(
            f"{said}: its pip starts {env.pip}, the Python of another place; what it installs goes there",
            remedy=Remedy("Start pip by its Python, or make the environment anew.", (f"{env.command} list",)),
        )
    path = shell.values.get("PATH", "").split(":") if shell else []
    if env.chosen == "VIRTUAL_ENV" and path and f"{env.prefix}/bin" not in path:
        return warn(
            f"{said}: {env.prefix}/bin is not on PATH, so python and pip are those of another environment",
            remedy=Remedy("Activate it.", (f". {env.prefix}/bin/activate",)),
        )
    return ok(said)


def _number(env: PythonEnv) -> str:
    return f" with Python {env.python[0]}.{env.python[1]}" if env.python else ""


@check("torch.python", fault="python-version-no-wheel")
def python(
    env: PythonEnv, gpus: Gpus, table: TorchStackTable, build: TorchBuild | None, wish: Wish
) -> Verdict:
    """There are ROCm builds of torch for this Python."""
    if not gpus.capable:
        return skip("no AMD GPU that torch could use")
    if env.kind == "missing" or env.python is None:
        return skip("which Python this is cannot be told")
    there = f"Python {env.python[0]}.{env.python[1]} in {env.prefix}"
    if build is not None and build.torch.hip:
        return ok(f"{there} has one")
    having = [name for name, (low, high) in table.pythons.items() if low <= env.python <= high]
    if having:
        return ok(f"{there}: torch {having[0]} and {len(having) - 1} earlier release(s) have wheels for it")
    low, high = next(iter(table.pythons.values()))
    wanted = f"{low[0]}.{low[1]} to {high[0]}.{high[1]}"
    why = f"{there}: no release of torch has a ROCm wheel for it; wheels are for {wanted}, and pip finds others or none"
    new = f"python{high[0]}.{high[1] - 1}"
    remedy = Remedy(
        f"Make an environment with a Python of {wanted}.",
        (f"uv venv --python {high[0]}.{high[1] - 1} ~/rocm-env", f"{new} -m venv ~/rocm-env"),
    )
    if build is not None or wish.level in ("torch", "training"):
        return fail(why, remedy=remedy)
    return warn(why, remedy=remedy)


# ---------------------------------------------------------------- torch itself


@check("torch.whole", fault="torch-overwritten-by-pip")
def whole(dists: Dists, parts: TorchParts, build: TorchBuild | None, table: TorchStackTable) -> Verdict:
    """The files of torch are complete, and those of one build."""
    found = dists.all("torch")
    whole_ones = [d for d in found if not d.leftover]
    if build is None:
        if not whole_ones or any(t.site == whole_ones[0].site for t in parts.torches):
            return skip("there is no torch")
        lone = whole_ones[0]
        return fail(
            f"pip believes that {lone} is installed ({lone.folder}), but torch/version.py is not there: it is half deleted",
            remedy=_mend(dists, lone, table),
        )
    if build.missing:
        why = f"torch {build.torch.version} in {build.torch.site} lacks {', '.join(build.missing)}: it is half deleted, and import torch fails"
        return fail(why, remedy=_mend(dists, whole_ones[0] if whole_ones else None, table))
    beside = [d for d in whole_ones if d.site == build.torch.site]
    if len(beside) > 1:
        why = f"{len(beside)} records of torch lie in {build.torch.site}: {', '.join(d.version for d in beside)}; files of both are mixed"
        return fail(why, *(d.folder for d in beside), remedy=_mend(dists, beside[0], table))
    if beside and beside[0].version.partition("+")[0] != build.torch.version.partition("+")[0]:
        why = f"torch/version.py says {build.torch.version}, its record {beside[0].version}: one build was written over another"
        return fail(why, beside[0].folder, remedy=_mend(dists, beside[0], table))
    left = [d.folder for d in found if d.leftover]
    if left:
        why = f"remains of a torch that pip could not remove: {', '.join(left)}"
        return warn(why, remedy=Remedy("Remove them.", tuple(f"rm -r '{path}'" for path in left)))
    return ok(f"torch {build.torch.version} in {build.torch.site}")


def _mend(dists: Dists, dist: Dist | None, table: TorchStackTable) -> Remedy:
    command = dists.env.command
    commands = [f"{command} uninstall -y torch"]
    if dist is not None:
        commands.append(f"rm -rf {dist.site}/torch {dist.site}/torch-*.dist-info")
        index = table.index_option(dist.version)
        if index:
            commands.append(f"{command} install 'torch=={dist.version}'{index}")
    return Remedy("Remove what is left of it, then install it anew.", tuple(commands), recipe="torch")


@check("torch.companions", fault="torch-overwritten-by-pip", after=_BUILD, explained_by=("torch.kept",))
def companions(build: TorchBuild, pins: Pins | None) -> Verdict:
    """torchvision and torchaudio belong to this torch."""
    if not build.torch.hip:
        return skip("torch is no ROCm build")
    if not build.companions:
        return ok("neither torchvision nor torchaudio is there, and training text needs neither")
    # PyPI's builds say so in their version.py only (0.22.1+cu126); what was built from source bears a commit there.
    foreign = {n: v for n, v in build.companions.items() if re.match(r"(?:cu\d|cpu)", v.partition("+")[2])}
    shown = tuple(f"{n} {v}" for n, v in build.companions.items())
    names = [f"{name}=={version.partition('+')[0]}" for name, version in build.companions.items()]
    if foreign:
        name, version = next(iter(foreign.items()))
        return fail(
            f"{name} {version} is no ROCm build, beside torch {build.torch.version}: its operators do not load, and "
            "transformers stops at importing it",
            *shown,
            *_pulled(pins, name),
            remedy=Remedy(
                "Install the builds that belong to this torch.", (_again(build, *names),), recipe="torch"
            ),
        )
    unmet = [
        p
        for n in build.companions
        for p in (pins.by(n) if pins else ())
        if p.name == "torch" and p.met is False
    ]
    if unmet:
        pin = unmet[0]
        command = f"{build.env.command} install --upgrade torchvision torchaudio 'torch=={build.torch.version}'{build.index}"
        return fail(
            f"{pin.owner} asks for {pin.text}, and torch is {build.torch.version}: its operators do not load",
            *shown,
            remedy=Remedy("Install the ones that belong to this torch.", (command,), recipe="torch"),
        )
    return ok(", ".join(shown))


def _pulled(pins: Pins | None, name: str) -> tuple[str, ...]:
    """Which distributions ask for another one, those that pin it first."""
    found = sorted(pins.on(name) if pins else (), key=lambda p: (not p.exact, not p.specifiers))
    return tuple(f"{p.owner} asks for {p.text}" for p in found[:3])


# ---------------------------------------------------------------- triton


@check("torch.triton", fault="triton-mismatch", after=_BUILD, explained_by=("torch.kept",))
def triton(build: TorchBuild, dists: Dists, pins: Pins, table: TorchStackTable) -> Verdict:
    """The triton module is the one that torch was built with.

    Several distributions install a module of that name into the same folder; the last one wins.
    """
    if not build.torch.hip:
        return skip("torch is no ROCm build")
    wanted = next((p for n in table.triton_names for p in pins.by("torch") if p.name == n), None)
    there = [d for n in table.triton_names for d in dists.all(n) if not d.leftover]
    shown = tuple(f"{d} in {d.site}" for d in there)
    if wanted is None:
        return ok(f"torch asks for none; {', '.join(map(str, there)) or 'none'} is there")
    version = wanted.specifiers.lstrip("= ")
    claims = dists.owners("triton/__init__.py")
    strangers = [d for d in there if d.name != wanted.name and (not claims or d in claims)]
    remedy = _own_triton(build, wanted.name, version, strangers)
    pulled = tuple(
        f"{p.owner} asks for {p.text}" for d in strangers for p in pins.on(d.name) if p.owner.name != "torch"
    )
    if not build.triton:
        if not there:
            why = f"torch {build.torch.version} asks for {wanted.text}, and no triton is there: torch.compile and fused kernels stop"
            return warn(why, remedy=remedy)
        why = f"{there[0]} is recorded, but triton/__init__.py is not in {build.torch.site}: another one was removed, and took its files along"
        return fail(why, *shown, remedy=remedy)
    fits = holds(wanted.specifiers, build.triton)
    if strangers and wanted.there is None:
        why = f"triton/ belongs to {strangers[0]}, torch {build.torch.version} asks for {wanted.text}"
        return fail(why, *shown, *pulled, remedy=remedy)
    if fits is False:
        why = f"triton/ is version {build.triton}, torch {build.torch.version} asks for {wanted.text}"
        return fail(why, *shown, *pulled, remedy=remedy)
    if strangers:
        why = f"triton/ has two owners, {wanted.there} and {strangers[0]}: whichever is updated or removed next breaks the other"
        return warn(why, *shown, *pulled, remedy=remedy)
    if wanted.met is False:
        return fail(f"torch asks for {wanted.text}, and {wanted.there} is there", *shown, remedy=remedy)
    return ok(f"{wanted.there or build.triton}, as torch asks", *shown)


def _own_triton(build: TorchBuild, name: str, version: str, strangers: list[Dist]) -> Remedy:
    pinned = f"{name}=={version}" if re.fullmatch(r"[\w.+!]+", version) else name
    commands = [f"{build.env.command} uninstall -y {d.name}" for d in strangers]
    return Remedy(
        "Leave the one that torch asks for; removing the other takes shared files along, so install it anew after that.",
        (*commands, _again(build, pinned)),
        recipe="torch",
    )
