"""What a plan of the training stack must keep to, by the collected facts alone: no recipe is looked at."""

from __future__ import annotations

import fnmatch
import json
import re
import sys
from collections.abc import Iterator, Mapping
from functools import cache
from typing import Any

from rocmdoctor.actions import Action, Exec, Fetch, Plan
from tests.planning.boxes import Box
from tests.planning.rules import FACTS, Rule, number, series, supports

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

RULES: list[Rule] = []
GLIBC = {
    "ubuntu-20.04": (2, 31),
    "ubuntu-22.04": (2, 35),
    "ubuntu-24.04": (2, 39),
    "debian-12": (2, 36),
    "debian-13": (2, 41),
}
# Ops of DeepSpeed that want CUDA, and all of them at once.
CUDA_OPS = ("SPARSE_ATTN", "EVOFORMER_ATTN", "INFERENCE_CORE_OPS", "CUTLASS_OPS", "RAGGED_DEVICE_OPS", "GDS")


@cache
def facts(name: str) -> Mapping[str, Any]:
    return tomllib.loads((FACTS / f"{name}.toml").read_text(encoding="utf-8"))


def components(name: str) -> list[Mapping[str, Any]]:
    return [row for row in facts("components")["components"] if row["name"] == name]


def rule(function: Rule) -> Rule:
    RULES.append(function)
    return function


def broken(plan: Plan, box: Box) -> list[str]:
    """Everything in a plan that the facts do not bear out."""
    return [f"{function.__name__}: {said}" for function in RULES for said in function(plan, box)]


# ---------------------------------------------------------------- reading a plan


def pips(plan: Plan) -> Iterator[tuple[Action, tuple[str, ...], list[str]]]:
    """Each installation by pip but that of pip itself: its options, and what it is given."""
    for action in plan.actions:
        if action.recipe == "python":
            continue
        if isinstance(action.do, Exec) and "pip" in action.do.argv and "install" in action.do.argv:
            after = action.do.argv[action.do.argv.index("install") + 1 :]
            cut = after.index("--")
            yield action, after[:cut], list(after[cut + 1 :])


def builds(plan: Plan) -> Iterator[dict[str, Any]]:
    for action in plan.actions:
        if isinstance(action.do, Exec) and action.do.argv[:2] == ("rocmdoctor-chore", "build"):
            yield json.loads(action.do.argv[2])["given"]


def build_of(plan: Plan, name: str) -> dict[str, Any]:
    return next((given for given in builds(plan) if given["name"] == name), {})


def pins(plan: Plan) -> dict[str, str]:
    """All that pip is told to install, by name."""
    said = [word for _, _, words in pips(plan) for word in words]
    return {w.partition("==")[0].partition("[")[0]: w.partition("==")[2] for w in said}


def chosen(plan: Plan, name: str) -> str:
    """A version that is planned, "" where the component is left out."""
    choice = plan.choice.get(name)
    return choice.version if choice is not None and choice.source != "none" else ""


def wheel_row(plan: Plan) -> Mapping[str, Any]:
    """The facts of the torch that is planned."""
    version = chosen(plan, "torch")
    return next((r for r in facts("torch_wheels")["torch_wheels"] if r["local_version"] == version), {})


def hip(plan: Plan) -> str:
    return series(chosen(plan, "torch").partition("+rocm")[2])


def has_gap(row: Mapping[str, Any]) -> bool:
    return "gfx_archs" not in row


# ---------------------------------------------------------------- the rules


@rule
def every_pin_is_exact(plan: Plan, box: Box) -> Iterator[str]:
    for action, options, words in pips(plan):
        for word in words:
            if not re.fullmatch(r"[A-Za-z0-9._-]+(\[[a-z0-9-]+\])?==[0-9][A-Za-z0-9.+!]*", word):
                yield f"{action.id}: {word}"
        if any("extra-index" in option for option in options):
            yield f"{action.id}: {options}"
        if action.root:
            yield f"{action.id} runs pip as root"


@rule
def torch_comes_from_the_index_of_its_rocm(plan: Plan, box: Box) -> Iterator[str]:
    version = chosen(plan, "torch")
    found = [(o, w) for _, o, w in pips(plan) if any(re.match(r"torch(\[|==)", word) for word in w)]
    if not version:
        return
    if len(found) != 1:
        yield f"torch is installed {len(found)} times"
        return
    options, words = found[0]
    index = options[options.index("--index-url") + 1] if "--index-url" in options else "pip's own"
    row = wheel_row(plan)
    amd = [r for r in facts("torch_wheels")["amd_wheels"] if f"torch {version}" in r.get("torch_files", ())]
    wanted = row.get("index_url") or (amd[0]["url"] if amd else "no row of the facts")
    if index != wanted:
        yield f"{version} comes from {index}, and the facts say {wanted}"
    if f"torch=={version}" not in [re.sub(r"\[.*\]", "", word) for word in words]:
        yield f"{version} is chosen, and {words} is installed"


@rule
def the_companions_are_those_of_the_torch(plan: Plan, box: Box) -> Iterator[str]:
    row, said = wheel_row(plan), pins(plan)
    if not row:
        return
    for name in ("torchvision", "torchaudio"):
        found = said.get(name, "").partition("+")
        # Indexes that began after the last torchaudio have none: pytorch/pytorch#193651.
        too_young = name == "torchaudio" and number(row["rocm_index"]) > (7, 2)
        if name in row and found[0] != ("" if too_young else row[name]):
            yield f"{name} {found[0]}, and the facts say {row[name]}"
        if found[0] and not found[2]:
            yield f"{name} {found[0]} of no ROCm beside a torch of {row['rocm_index']}"
        if found[2] and found[2] != f"rocm{row['rocm_index']}":
            yield f"{name} of {found[2]} beside a torch of {row['rocm_index']}"
    package, version = row.get("triton_package"), row.get("triton_version", "x")
    if package and "x" not in version and said.get(package) != version:
        yield f"{package} {said.get(package)}, and the facts say {version}"
    if wrong := {"triton", "xformers", "pytorch-triton"} & set(said):
        yield f"{wrong} of PyPI"


@rule
def torch_has_code_for_the_gpus(plan: Plan, box: Box) -> Iterator[str]:
    row = wheel_row(plan)
    if not row:
        return
    every = facts("torch_wheels")["torch_wheels"]
    older = next(r for r in every if r["local_version"] == "2.3.1+rocm6.0")
    archs = older["gfx_archs"] if has_gap(row) else row["gfx_archs"]
    if missing := [gfx for gfx in plan.gfx if gfx not in archs]:
        yield f"{row['local_version']} has no code for {missing}"


@rule
def the_python_has_a_wheel(plan: Plan, box: Box) -> Iterator[str]:
    python, row = chosen(plan, "python"), wheel_row(plan)
    if not row:
        return
    seen = {f"3.{tag[3:]}" for tag in row.get("wheels_seen", ()) if tag[3:].isdigit()}
    within = number(row["python_min"]) <= number(python) <= number(row["python_max"])
    newest = max((number(tag) for tag in seen), default=())
    beyond = number(row["python_max"]) < number(python) <= newest
    if not within and not beyond:
        yield f"Python {python} for {row['local_version']}: {row['python_min']} to {row['python_max']}, {seen}"


@rule
def the_c_library_is_new_enough(plan: Plan, box: Box) -> Iterator[str]:
    tag = re.search(r"manylinux_(\d+)_(\d+)", wheel_row(plan).get("wheel_tag", ""))
    if tag and GLIBC[box.os] < (int(tag[1]), int(tag[2])):
        yield f"{tag[0]} on {box.os}"


@rule
def the_driver_serves_the_wheels_rocm(plan: Plan, box: Box) -> Iterator[str]:
    driver = plan.choice.get("amdgpu-driver")
    if (
        chosen(plan, "torch")
        and driver is not None
        and driver.source == "dkms"
        and number(hip(plan)) >= (6, 0)
    ):
        told = {s for r in facts("rocm_releases")["driver_ranges"] for s in r["supports_rocm"]}
        if hip(plan) in told and not supports(driver.version, f"{hip(plan)}.0"):
            yield f"driver {driver.version} for the ROCm {hip(plan)} of torch"


@rule
def bitsandbytes_has_a_library_for_it(plan: Plan, box: Box) -> Iterator[str]:
    choice = plan.choice.get("bitsandbytes")
    if choice is None or choice.source != "wheel":
        return
    # The facts end one patch release before the newest.
    rows = [r for r in components("bitsandbytes") if r.get("variant", "").startswith("upstream wheel")]
    same = [r for r in rows if number(r["version"])[:2] == number(choice.version)[:2]]
    row = max(
        (r for r in same if number(r["version"]) <= number(choice.version)),
        key=lambda r: number(r["version"]),
    )
    library = _library(row, hip(plan))
    if library is None:
        yield f"{choice.version} has no library for ROCm {hip(plan)}: {row['rocm_libs']}"
        return
    archs = _archs(row, library)
    if missing := [g for g in plan.gfx if not any(fnmatch.fnmatchcase(g, a) for a in archs)]:
        yield f"the library for {library} of {choice.version} has no code for {missing}"
    if number(chosen(plan, "torch")) < number(row["torch_min"]):
        yield f"{choice.version} wants torch {row['torch_min']}"
    if number(chosen(plan, "python")) < number(row["python_min"]):
        yield f"{choice.version} wants Python {row['python_min']}"
    if plan.gfx[0].startswith("gfx9") and number(choice.version) < (0, 49, 2):
        yield f"{choice.version} does not load block size 64 on {plan.gfx}"


def _library(row: Mapping[str, Any], wanted: str) -> str | None:
    """The library that is loaded for a series of ROCm, by the rule of the version."""
    there = sorted({series(text) for text in row["rocm_libs"]}, key=number)
    if wanted in there or number(row["version"]) < (0, 50):
        return wanted if wanted in there else None
    same = [text for text in there if number(text)[0] == number(wanted)[0]]
    lower = [text for text in same if number(text) < number(wanted)]
    return lower[-1] if lower else next(iter(same), None)


def _archs(row: Mapping[str, Any], library: str) -> set[str]:
    found: set[str] = set()
    for when, names in row["archs_by_rocm"].items():
        bound = number(when.removeprefix(">=")) if when != "all" else (0,)
        if number(library) >= bound:
            found |= {_pattern(name) for name in names.split()}
    return found


def _pattern(name: str) -> str:
    low, _, high = name.partition("-")
    return f"{low[:-1]}[{low[-1]}-{high[-1]}]" if high else name


@rule
def bitsandbytes_is_no_fork_for_wave32(plan: Plan, box: Box) -> Iterator[str]:
    given = build_of(plan, "bitsandbytes")
    if not given:
        return
    said = json.dumps(given)
    if "arlo-phoenix" in said or any("arlo-phoenix" in word for a in plan.actions for word in _words(a)):
        yield "the fork for wave32"
    rows = [r for r in components("bitsandbytes") if given["source"].startswith(r.get("commit", "-"))]
    known = [r for r in rows if number(r.get("rocm_min", "9")) <= number(chosen(plan, "rocm"))]
    upstream = any("bitsandbytes-foundation/bitsandbytes" in word for a in plan.actions for word in _words(a))
    if not known and not (upstream and number(chosen(plan, "rocm")) >= (6, 3)):
        yield f"{given['source']} with ROCm {chosen(plan, 'rocm')}"


def _words(action: Action) -> tuple[str, ...]:
    return action.do.argv if isinstance(action.do, Exec) else ()


@rule
def what_is_compiled_fits_the_rocm_here_and_in_torch(plan: Plan, box: Box) -> Iterator[str]:
    for given in builds(plan):
        if given["gfx"]:
            if series(chosen(plan, "rocm")) != hip(plan):
                yield f"{given['name']} is compiled with {chosen(plan, 'rocm')} for a torch of {hip(plan)}"
            if set(given["gfx"]) != set(plan.gfx):
                yield f"{given['name']} is compiled for {given['gfx']}"
            if not chosen(plan, "rocm-libraries"):
                yield f"{given['name']} has no headers to be compiled with"
        if given["variables"].get("HIP_PLATFORM", "amd") != "amd" or {
            "TORCH_HIP_ARCH_LIST",
            "ROCM_PATH",
        } & set(given["variables"]):
            yield f"{given['name']}: {given['variables']}"


@rule
def flash_attention_takes_the_backend_of_the_gpu(plan: Plan, box: Box) -> Iterator[str]:
    given = build_of(plan, "flash-attn")
    if not given:
        return
    variables, version = given["variables"], number(given["version"])
    if variables.get("FLASH_ATTENTION_TRITON_AMD_ENABLE") == "TRUE":
        if version < (2, 7, 1) or given["gfx"]:
            yield f"Triton's backend in {given['version']} for {given['gfx']}"
        return
    rows = [r for r in components("flash-attention") if "CK" in r.get("variant", "") and "archs" in r]
    upstream = [r for r in rows if "Dao-AILab" in r["git"] and number(r["version"]) <= version]
    archs = max(upstream, key=lambda r: number(r["version"]))["archs"]
    if variables.get("GPU_ARCHS") != ";".join(plan.gfx) or not set(plan.gfx) <= set(archs):
        yield f"{given['version']} for {variables.get('GPU_ARCHS')}, whose targets are {archs}"


@rule
def deepspeed_is_whole_and_asks_for_no_cuda(plan: Plan, box: Box) -> Iterator[str]:
    version, given = chosen(plan, "deepspeed"), build_of(plan, "deepspeed")
    if version in ("0.15.0", "0.17.5"):
        yield f"{version} does not work on ROCm"
    wrong = [n for n in CUDA_OPS if given.get("variables", {}).get(f"DS_BUILD_{n}") == "1"]
    if wrong or given.get("variables", {}).get("DS_BUILD_OPS") == "1":
        yield f"{given['variables']}"


@rule
def axolotl_gets_what_it_wants(plan: Plan, box: Box) -> Iterator[str]:
    rows = [r for r in components("axolotl") if r["version"] == chosen(plan, "axolotl")]
    for row in rows:
        for name in ("peft", "transformers", "accelerate", "trl", "kernels"):
            wanted = row["pins"].get(name, "")
            if wanted[:1].isdigit() and row.get("status") == "current" and pins(plan).get(name) != wanted:
                yield f"{name} {pins(plan).get(name)}, and axolotl {row['version']} wants {wanted}"


@rule
def what_is_fetched_is_pinned(plan: Plan, box: Box) -> Iterator[str]:
    for action in plan.actions:
        if isinstance(action.do, Fetch) and not (
            action.do.key or re.fullmatch("[0-9a-f]{64}", action.do.sha256)
        ):
            yield f"{action.id}: {action.do.url}"
        words = _words(action)
        checkout = json.loads(words[2]) if words[:2] == ("rocmdoctor-chore", "checkout") else None
        if checkout and not re.fullmatch("[0-9a-f]{40}", checkout["commit"]):
            yield f"{action.id}: {words[2]}"


@rule
def things_come_in_their_order(plan: Plan, box: Box) -> Iterator[str]:
    order = [
        "rocm",
        "rocm-libraries",
        "build-tools",
        "python",
        "torch",
        "bitsandbytes",
        "flash-attention",
        "deepspeed",
        "axolotl",
    ]
    seen = list(dict.fromkeys(a.recipe for a in plan.actions if a.recipe in order))
    for one, other in (("python", "torch"), ("torch", "bitsandbytes"), ("torch", "flash-attention"), ("torch", "deepspeed"),
                       ("rocm-libraries", "flash-attention"), ("build-tools", "deepspeed"), ("deepspeed", "axolotl")):  # fmt: skip
        if one in seen and other in seen and seen.index(one) > seen.index(other):
            yield f"{other} comes before {one}"
