"""Variables of the shell that steer ROCm: those of this process, and those that the next login will set."""

import re

from rocmdoctor.diagnosis import Remedy, Verdict, check, fail, ok, skip, unknown, warn
from rocmdoctor.facts.access import Session
from rocmdoctor.facts.gpus import Gpu, Gpus, GpuTable
from rocmdoctor.facts.pci import PciDisplays
from rocmdoctor.facts.pointed import KernelCaches, Pointed
from rocmdoctor.facts.shell import OVERRIDE, Assignment, Environment, ShellFiles, Variable, VariableTable

# ---------------------------------------------------------------- HSA_OVERRIDE_GFX_VERSION


def _set_in(files: ShellFiles | None, name: str) -> list[Assignment]:
    return [a for a in files.assignments if a.name == name] if files else []


def _places(found: list[Assignment]) -> str:
    return ", ".join(f"line {a.line} of {a.file}" for a in found)


def _unset(names: list[str], files: ShellFiles | None, env: Environment) -> Remedy:
    """Lines of files are named where they give the value that is in use, or one that they compute."""
    found = [
        a for n in names for a in _set_in(files, n) if n not in env.values or a.value in (env.values[n], None)
    ]
    where = f" and take out {_places(found)}" if found else " and take it out of what starts this session"
    commands = tuple(f"unset {name}" for name in names)
    return Remedy(f"Unset it{where}.", commands, recipe="shell-lines" if found else None)


def _target_of(value: str) -> str | None:
    """The gfx target that a value names; None when libhsakmt/src/topology.c would call it invalid."""
    numbers = re.fullmatch(r"(\d{1,9})\.(\d{1,9})\.(\d{1,9})", value, re.ASCII)
    if numbers is None:
        return None
    major, minor, step = (int(n) for n in numbers.groups())
    if major > 63 or minor > 255 or step > 255:
        return None
    return f"gfx{major}{minor:x}{step:x}"


def _harm(value: str, gpu: Gpu, table: GpuTable) -> tuple[str, str]:
    """What a value does to one GPU: `ok`, `idle`, `warn` or `fail`, and why."""
    claimed = _target_of(value)
    if claimed is None:
        return "fail", (
            f"'{value}' is not major.minor.stepping in decimal, as in 10.3.0; the runtime calls it invalid and finds no GPU"
        )
    if gpu.gfx is None:
        return "warn", f"the target of {gpu.name} is not known, so {value} cannot be judged"
    if claimed == gpu.gfx:
        return "idle", f"{value} is {gpu.gfx}, which {gpu.name} is anyway"
    own, other = table.targets.get(gpu.gfx), table.targets.get(claimed)
    if own is not None and own.override == value:
        return "ok", f"{value} lets {gpu.name} ({gpu.gfx}) run code for {claimed}"
    if own is not None and own.wavefront == 64 and own.official:
        why = f"{gpu.name} is {gpu.gfx}, which ROCm supports; as {claimed} it would run code of another machine and crash"
        return "fail", why
    if own is None or other is None or not own.generic or own.generic != other.generic:
        return "fail", f"{gpu.name} is {gpu.gfx}, and code for {claimed} does not run on it"
    if own.official:
        return "warn", f"{gpu.name} is {gpu.gfx}, which ROCm supports without it"
    wanted = f"; {own.override} is the value that can make sense" if own.override else ""
    return "warn", f"{gpu.name} is {gpu.gfx}, of the same family as {claimed}{wanted}"


def _values(name: str, env: Environment, files: ShellFiles | None) -> list[tuple[str, str]]:
    """Values with where they stand: this process, else the files that export them."""
    if name in env.values:
        return [(env.values[name], "in this session")]
    return [(a.value, _places([a])) for a in _set_in(files, name) if a.exported and a.value is not None]


@check("environment.hsa-override", fault="hsa-override-wrong")
def hsa_override(env: Environment | None, files: ShellFiles | None, gpus: Gpus, table: GpuTable) -> Verdict:
    """HSA_OVERRIDE_GFX_VERSION is not set, or fits the GPU.

    It makes the runtime take a GPU for another one. On GPUs that ROCm supports it only does harm.
    """
    if not gpus.capable:
        return skip("no AMD GPU that it could concern")
    asked = env is not None
    env = env or Environment({})
    found: list[tuple[str, str, str]] = []
    for gpu in gpus.capable:
        own = f"{OVERRIDE}_{gpu.node}"
        name = own if gpu.node is not None and own in env.values else OVERRIDE
        for value, where in _values(name, env, files):
            grade, why = _harm(value, gpu, table)
            if grade == "fail" and gpu not in gpus.discrete and _target_of(value):
                grade = "warn"
            found.append((grade, f"{name}={value} ({where}): {why}", name))
    if not found and not asked:
        return unknown("no process was asked for its variables, and no file that was read exports it")
    if not found:
        return _not_exported(_set_in(files, OVERRIDE), gpus, table)
    worst = next(g for g in ("fail", "warn", "idle", "ok") if any(f[0] == g for f in found))
    first = next(text for grade, text, _ in found if grade == worst)
    others = tuple(dict.fromkeys(text for _, text, _ in found if text != first))
    names = sorted({name for grade, _, name in found if grade == worst})
    if worst == "fail":
        return fail(first, *others, remedy=_fitting(names, gpus, table, files, env))
    if worst == "warn":
        return warn(first, *others, remedy=_fitting(names, gpus, table, files, env))
    return ok(first, *others)


def _fitting(
    names: list[str], gpus: Gpus, table: GpuTable, files: ShellFiles | None, env: Environment
) -> Remedy:
    targets = [table.targets.get(g.gfx or "") for g in gpus.discrete]
    wanted = {t.override if t and not t.official else "" for t in targets}
    remedy = _unset(names, files, env)
    value = wanted.pop() if len(wanted) == 1 else ""
    if not value:
        return remedy
    return Remedy(f"Set it to {value}, which this GPU can run as.", (f"export {OVERRIDE}={value}",))


def _not_exported(found: list[Assignment], gpus: Gpus, table: GpuTable) -> Verdict:
    silent = [a for a in found if not a.exported and a.value is not None]
    for a in silent:
        if any(_harm(a.value or "", gpu, table)[0] == "ok" for gpu in gpus.discrete):
            fish = a.file.endswith(".fish")
            command = f"set -gx {OVERRIDE} {a.value}" if fish else f"export {OVERRIDE}={a.value}"
            return warn(
                f"{_places([a])} sets {OVERRIDE}={a.value} without exporting it: programs do not see it",
                remedy=Remedy("Export it in that line.", (command,)),
            )
    if silent:
        return ok(f"{OVERRIDE} is set in {_places(silent)} and not exported: no program sees it")
    return ok(f"{OVERRIDE} is not set")


# ---------------------------------------------------------------- which GPUs a program sees

_SELECTORS = ("ROCR_VISIBLE_DEVICES", "HIP_VISIBLE_DEVICES", "CUDA_VISIBLE_DEVICES")


def _seen(value: str, count: int) -> tuple[list[int | str], str | None]:
    """What a list selects, and the first entry that selects nothing: it and all behind it are dropped."""
    chosen: list[int | str] = []
    for part in value.split(","):
        word = part.strip()
        if re.fullmatch(r"GPU-[0-9A-Fa-f]{1,32}", word):
            chosen.append(word)
        elif re.fullmatch(r"\d{1,5}", word, re.ASCII) and int(word) < count:
            chosen.append(int(word))
        else:
            return chosen, word
    return chosen, None


@check("environment.visible-devices", fault="hip-visible-devices")
def visible_devices(env: Environment, files: ShellFiles | None, gpus: Gpus) -> Verdict:
    """The variables that select GPUs let programs see the GPU that is meant."""
    nodes = sorted((g for g in gpus.capable if g.node is not None), key=lambda g: g.node or 0)
    if not gpus.capable:
        return skip("no AMD GPU to select")
    if not nodes:
        return skip("the driver shows no GPU yet, so their order is not known")
    values = {name: env.values[name] for name in _SELECTORS if name in env.values}
    shown = tuple(f"{name}={value}" for name, value in values.items())
    for name, value in values.items():
        if not value.strip():
            why = f"{name} is set and empty, which hides every GPU: ROCr from all programs, the others from torch"
            return fail(why, *shown, remedy=_unset([name], files, env))
    hip, cuda = values.get("HIP_VISIBLE_DEVICES"), values.get("CUDA_VISIBLE_DEVICES")
    verdict = _selection(values, nodes, shown)
    if verdict is not None:
        return verdict
    if hip is not None and cuda is not None and hip != cuda:
        why = f"HIP_VISIBLE_DEVICES={hip} and CUDA_VISIBLE_DEVICES={cuda} differ: HIP takes the first, other programs the second"
        return warn(why, *shown, remedy=_unset(["CUDA_VISIBLE_DEVICES"], files, env))
    return _order(values, nodes, shown)


def _selection(values: dict[str, str], nodes: list[Gpu], shown: tuple[str, ...]) -> Verdict | None:
    """Entries that select nothing; ROCr selects first, and the others count among what it leaves."""
    count = len(nodes)
    for name, value in values.items():
        chosen, bad = _seen(value, count)
        if bad is not None:
            left = f"only {len(chosen)} of {len(nodes)} GPUs are left" if chosen else "no GPU is left"
            why = (
                f"{name}={value}: '{bad}' names none of the {count} GPU(s) here, and it ends the list: {left}"
            )
            last = count - 1
            text = (
                f"Use numbers from 0 to {last}, or unset it." if last > 0 else "Unset it: there is one GPU."
            )
            remedy = Remedy(text, (f"unset {name}",))
            return warn(why, *shown, remedy=remedy) if chosen else fail(why, *shown, remedy=remedy)
        if name == "ROCR_VISIBLE_DEVICES":
            count = len(chosen)
    return None


def _order(values: dict[str, str], nodes: list[Gpu], shown: tuple[str, ...]) -> Verdict:
    order = list(nodes)
    for name in (
        "ROCR_VISIBLE_DEVICES",
        "HIP_VISIBLE_DEVICES" if "HIP_VISIBLE_DEVICES" in values else _SELECTORS[2],
    ):
        chosen = _seen(values[name], len(order))[0] if name in values else list(range(len(order)))
        if not all(isinstance(c, int) for c in chosen):
            return ok(f"{', '.join(shown)} selects GPUs by their serial numbers")
        order = [order[c] for c in chosen if isinstance(c, int)]
    first = order[0]
    if first.integrated and any(not g.integrated for g in nodes):
        meant = [n for n, g in enumerate(nodes) if not g.integrated]
        setting = f"ROCR_VISIBLE_DEVICES={','.join(map(str, meant))}"
        why = f"device 0 is {first.name}, the GPU inside the processor, so programs choose it before {nodes[meant[0]].name}"
        return warn(
            why, *shown, remedy=Remedy("Show programs the discrete GPU alone.", (f"export {setting}",))
        )
    kept = f" by {', '.join(shown)}" if shown else ""
    return ok(f"device 0 is {first.name}; {len(order)} of {len(nodes)} GPU(s) are visible{kept}")


# ---------------------------------------------------------------- roots of ROCm


@check("environment.rocm-paths", fault="rocm-home-unresolved")
def rocm_paths(
    env: Environment, files: ShellFiles | None, pointed: Pointed, gpus: Gpus | None, pci: PciDisplays | None
) -> Verdict:
    """ROCM_PATH, ROCM_HOME and HIP_PATH are not set, or lead to one ROCm that is there."""
    roots = {n: env.values[n] for n in ("ROCM_HOME", "ROCM_PATH", "HIP_PATH") if env.values.get(n)}
    computes = gpus is not None and bool(gpus.capable)
    for name, value in roots.items():
        if pointed.folders.get(value.rstrip("/") or "/") is False:
            why = f"{name}={value}, and there is no such folder: builds look there first and find no ROCm"
            remedy = _unset([name], files, env)
            return fail(why, remedy=remedy) if computes else warn(why, remedy=remedy)
    homes = {n: v for n, v in roots.items() if n != "HIP_PATH"}
    if len({pointed.real(v) for v in homes.values()}) > 1:
        why = " and ".join(f"{n}={v}" for n, v in homes.items())
        return warn(
            f"{why} differ: torch takes the first, hipcc the second, and builds mix two ROCm",
            remedy=_unset(list(homes), files, env),
        )
    later = [
        a for n in ("ROCM_HOME", "ROCM_PATH", "HIP_PATH") for a in _set_in(files, n) if n not in env.values
    ]
    shown = tuple(f"{_places([a])} sets {a.name}={a.value}" for a in later)
    cuda = [n for n in ("CUDA_HOME", "CUDA_PATH") if env.values.get(n)]
    if cuda and computes and pci is not None and not pci.nvidia:
        why = f"{cuda[0]}={env.values[cuda[0]]} on a machine without an NVIDIA GPU: builds take it for a CUDA machine"
        return warn(why, *shown, remedy=_unset(cuda, files, env), fault="nvidia-leftovers")
    if not roots:
        return ok("none of them is set; /opt/rocm and PATH decide", *shown)
    return ok(", ".join(f"{n}={v}" for n, v in roots.items()), *shown)


# ---------------------------------------------------------------- libraries

_ROCM = ("libamdhip64.so", "libhsa-runtime64.so")


@check("environment.ld-library-path", fault="ld-library-path")
def ld_library_path(
    env: Environment, files: ShellFiles | None, pointed: Pointed, gpus: Gpus | None
) -> Verdict:
    """LD_LIBRARY_PATH and LD_PRELOAD bring in no library of another ROCm or of CUDA."""
    gone = [path for path, there in pointed.preloads.items() if not there]
    if gone:
        return warn(
            f"LD_PRELOAD names {', '.join(gone)}, which is not there: every program complains and goes without it",
            remedy=_unset(["LD_PRELOAD"], files, env),
        )
    if not env.values.get("LD_LIBRARY_PATH"):
        later = _set_in(files, "LD_LIBRARY_PATH")
        return ok("LD_LIBRARY_PATH is not set" + (f" here; {_places(later)} sets it" if later else ""))
    if gpus is not None and not gpus.capable:
        return skip("no AMD GPU that its libraries could concern")
    rocm = [p for p, names in pointed.libraries.items() if any(n.startswith(_ROCM) for n in names)]
    cuda = [p for p, names in pointed.libraries.items() if any(n.startswith("libcudart.so") for n in names)]
    shown = tuple(
        f"{p} holds {', '.join(sorted(set(names)))}" for p, names in pointed.libraries.items() if names
    )
    remedy = Remedy(
        "Unset it: ROCm's programs and torch's wheels find their own libraries.", ("unset LD_LIBRARY_PATH",)
    )
    if len({pointed.real(p) for p in rocm}) > 1:
        why = f"LD_LIBRARY_PATH holds several ROCm, {' and '.join(rocm)}; programs get the first, whatever they were built for"
        return warn(why, *shown, remedy=remedy, fault="mixed-rocm-versions")
    if cuda:
        why = f"LD_LIBRARY_PATH holds CUDA's libraries, {cuda[0]}, which builds then link against"
        return warn(why, *shown, remedy=remedy)
    versioned = [p for p in rocm if re.search(r"/rocm-\d", p)]
    if versioned:
        home = pointed.real("/opt/rocm")
        if (
            not any(pointed.real(p).startswith(f"{home}/") for p in versioned)
            and "/opt/rocm" in pointed.links
        ):
            why = f"LD_LIBRARY_PATH holds {versioned[0]}, but /opt/rocm is {home}: libraries of two ROCm mix"
            return warn(why, *shown, remedy=remedy, fault="mixed-rocm-versions")
    return ok("its folders hold no library of another ROCm and none of CUDA", *shown)


# ---------------------------------------------------------------- what does nothing


@check("environment.no-effect")
def no_effect(env: Environment, files: ShellFiles | None, table: VariableTable, gpus: Gpus | None) -> Verdict:
    """Every ROCm variable that is set is read by something, and has a value that it may have."""
    if gpus is not None and not gpus.capable:
        return skip("no AMD GPU that variables could concern")
    idle, wrong = [], []
    places = dict.fromkeys(env.values, "in this session")
    for a in files.assignments if files else ():
        places.setdefault(a.name, _places([a]))
    for name, where in places.items():
        known = table.variables.get(name)
        if known is None:
            continue
        value = env.values.get(name)
        if known.status in ("none", "obsolete", "not-a-variable"):
            idle.append(f"{name} ({where}): {known.advice}")
        elif (
            value
            and known.allowed
            and (value.upper() if known.kind == "choice" else value) not in _allowed(known)
        ):
            wrong.append(f"{name}={value}: {known.advice}; it may be {', '.join(known.allowed)}")
    if wrong:
        return warn(wrong[0], *wrong[1:], *idle, remedy=Remedy("Correct the value, or unset the variable."))
    if idle:
        return ok(f"{len(idle)} variable(s) that nothing here reads: {'; '.join(idle)}", *idle)
    return ok("no variable without effect is set")


def _allowed(known: Variable) -> tuple[str, ...]:
    return tuple(a.upper() for a in known.allowed) if known.kind == "choice" else known.allowed


# ---------------------------------------------------------------- MIOpen


@check("environment.miopen-cache", fault="miopen-cache")
def miopen_cache(caches: KernelCaches, session: Session, gpus: Gpus) -> Verdict:
    """MIOpen can keep the kernels that it has tuned."""
    if not gpus.capable:
        return skip("no AMD GPU that kernels are tuned for")
    if session.uid == 0:
        return skip("root may write everywhere")
    for folder in caches.folders:
        words = folder.text.split()
        if not folder.there or len(words) != 4:
            continue
        own = words[2] in (session.name, str(session.uid))
        if words[0] != "dir":
            why = f"{folder.path} is a {words[0]}, a folder is wanted: kernels are tuned anew in every run"
            return warn(
                why, remedy=Remedy("Move it out of the way.", (f"mv {folder.path} {folder.path}.old",))
            )
        if own and int(words[1], 8) & 0o300 != 0o300:
            why = f"{folder.path} has mode {words[1]}: MIOpen cannot write there and tunes kernels anew in every run"
            return warn(why, remedy=Remedy("Make it writable.", (f"chmod u+rwx {folder.path}",)))
        if not own and words[2] == "root" and "miopen" in folder.path:
            why = (
                f"{folder.path} belongs to root, so {session.who} cannot write there; a run with sudo left it"
            )
            command = f"sudo chown -R {session.who if session.name else session.uid} {folder.path}"
            return warn(why, remedy=Remedy("Give it back.", (command,)))
    return ok("its folders are writable, or not made yet")
