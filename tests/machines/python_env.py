"""Python environments: none, or one with a ROCm torch and what training needs, as pip leaves them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from rocmdoctor.asking import keys
from rocmdoctor.facts.base import Evidence, Fact
from rocmdoctor.facts.distributions import InstalledDists
from rocmdoctor.facts.pip_settings import PipSettings
from rocmdoctor.facts.protection import Came, Protected
from rocmdoctor.facts.python_env import PythonEnv
from rocmdoctor.facts.torch_build import LibStdCxx, TorchParts
from rocmdoctor.facts.torch_files import OtherTorches
from rocmdoctor.facts.training import BnbLibraries, CudaHome, FlashLibraries, VersionDev, XformersBuild
from rocmdoctor.hosts.replay import from_raw
from rocmdoctor.model import Elf, Env, Glob
from tests.machines.parts import ABSENT, Answers, Spec, files, text
from tests.machines.pythons import python_of

ASKING: tuple[type[Fact], ...] = (
    PythonEnv, OtherTorches, InstalledDists, TorchParts, LibStdCxx, BnbLibraries, FlashLibraries, XformersBuild, CudaHome, VersionDev,
    PipSettings, Protected, Came,
)  # fmt: skip
_ROCM_TARGETS = ("gfx900", "gfx906", "gfx908", "gfx90a", "gfx942", "gfx1030", "gfx1100", "gfx1101")
_BLASLT_TARGETS = ("gfx90a", "gfx942", "gfx1100", "gfx1101")
_BNB_TARGETS = ("gfx90a", "gfx942", "gfx1100", "gfx1101")


@dataclass(frozen=True)
class EnvSpec:
    """One environment. `dists`: name to (version, requirements); `bnb`: library to its targets and needs."""

    prefix: str = "/home/ann/ft"
    kind: str = "venv"
    python: str = "3.11"
    torch: str = "2.7.1+rocm6.2.4"
    hip: str | None = "6.2.41134-65d174c3e"
    cuda: str | None = None
    tags: tuple[str, ...] = ("cp311-cp311-manylinux_2_28_x86_64",)
    dists: dict[str, tuple[str, tuple[str, ...]]] = field(default_factory=dict)
    more: dict[str, str] = field(default_factory=dict)
    triton: str = "3.3.1"
    owners: tuple[str, ...] = ("pytorch_triton_rocm-3.3.1",)
    blas: tuple[str, ...] = _ROCM_TARGETS
    blaslt: tuple[str, ...] = _BLASLT_TARGETS
    libraries: tuple[str, ...] = (
        "libtorch_cpu.so",
        "libtorch_hip.so",
        "libtorch_python.so",
        "libamdhip64.so",
    )
    bnb: dict[str, str] = field(default_factory=dict)
    companions: dict[str, str] = field(default_factory=dict)

    @property
    def site(self) -> str:
        return f"{self.prefix}/lib/python{self.python}/site-packages"

    @property
    def pattern(self) -> str:
        return f"{self.prefix}/lib/python3*/site-packages"


TRITON = ('pytorch-triton-rocm==3.3.1; platform_system == "Linux"',)
DISTS: dict[str, tuple[str, tuple[str, ...]]] = {
    "torch": ("2.7.1+rocm6.2.4", ("filelock", "sympy>=1.13.3", *TRITON)),
    "pytorch-triton-rocm": ("3.3.1", ()),
    "bitsandbytes": ("0.49.2", ("torch<3,>=2.3", "numpy>=1.17", "packaging>=20.9")),
    "transformers": ("4.57.1", ("huggingface-hub<1.0,>=0.34.0",)),
    "accelerate": ("1.11.0", ("torch>=2.0.0",)),
    "peft": ("0.17.1", ("torch>=1.13.0", "transformers", "accelerate>=0.21.0")),
}


def bnb_library(targets: tuple[str, ...] = _BNB_TARGETS, blas: str = "2") -> str:
    """What a look into a library of bitsandbytes gives."""
    return f"needed libhipblas.so.{blas}\nneeded libc.so.6\n" + "".join(f"gfx {t}\n" for t in targets)


HEALTHY_ENV = EnvSpec(
    dists=DISTS,
    bnb={f"rocm{n}": bnb_library(blas="2" if n < 70 else "3") for n in (62, 63, 64, 70, 71, 72)}
    | {"cuda128": ""},
)


def asked(first: Answers, *facts: type[Fact]) -> Answers:
    """Every question of these facts, answered as where nothing is."""
    raw = from_raw({"schema": 1, "answers": first}).answers
    found: Answers = {}
    for fact in facts or ASKING:
        queries = fact.queries()
        for query in (*queries.values(), *fact.follow_up(Evidence(raw, queries)).values()):
            if not isinstance(query, Env):
                found[keys(query)[0]] = files({}) if isinstance(query, (Glob, Elf)) else ABSENT
    return found


def built(spec: EnvSpec) -> Answers:
    """The answers about one environment, named by --env."""
    first: Answers = {"env:ROCMDOCTOR_ENV": text(spec.prefix), "env:HOME": text("/home/ann")}
    answers = asked({**first, "env:VIRTUAL_ENV": ABSENT, "env:CONDA_PREFIX": ABSENT})
    answers[f"stat:{spec.prefix}"] = text("dir 0755 ann ann")
    answers[f"link:{spec.prefix}/bin/python3"] = text("python")
    if spec.kind == "venv":
        answers[f"read:{spec.prefix}/pyvenv.cfg"] = text(
            f"home = /usr/bin\ninclude-system-site-packages = false\nversion = {spec.python}.9\n"
        )
        answers[f"read:{spec.prefix}/bin/pip"] = text(f"#!{spec.prefix}/bin/python\n")
    else:
        names = f"python-{spec.python}.9-h955ad1f_0_cpython.json\npip-24.2-pyh8b19718_1.json\n"
        answers[f"list:{spec.prefix}/conda-meta"] = text(names)
    answers.update(metadata(spec))
    if spec.torch:
        answers.update(_torch(spec))
    bnb = {f"{spec.site}/bitsandbytes/libbitsandbytes_{name}.so": inside for name, inside in spec.bnb.items()}
    answers[f"glob:{spec.pattern}/bitsandbytes/libbitsandbytes_*.so"] = files(dict.fromkeys(bnb, ""))
    answers[f"elf:{spec.pattern}/bitsandbytes/libbitsandbytes_[hr]*.so"] = files(
        {path: inside for path, inside in bnb.items() if "_cuda" not in path}
    )
    return answers


def metadata(spec: EnvSpec) -> Answers:
    """METADATA of all distributions; `more` adds lines to that of one."""
    texts = {}
    for name, (version, requires) in spec.dists.items():
        folder = f"{spec.site}/{name.replace('-', '_')}-{version}.dist-info"
        lines = [f"Name: {name}", f"Version: {version}", *(f"Requires-Dist: {r}" for r in requires)]
        texts[f"{folder}/METADATA"] = "\n".join(lines) + "\n" + spec.more.get(name, "")
    found = {f"glob:{spec.pattern}/*.dist-info/METADATA": files(texts)}
    for owner in spec.owners:
        name = owner.rpartition("-")[0]
        path = f"{spec.site}/{owner}.dist-info/RECORD"
        found[f"glob:{spec.pattern}/{name}-*.dist-info/RECORD"] = files(
            {path: "triton/__init__.py,sha256=wQH0q9cyMxiDiG3ngdwFx9ZW-8UIvUQDBWU0LP1eMDI,1460\n"}
        )
    return found


def _torch(spec: EnvSpec) -> Answers:
    site, pattern = spec.site, spec.pattern

    def said(value: str | None) -> str:
        return "None" if value is None else f"'{value}'"

    version = f"__version__ = '{spec.torch}'\ncuda: Optional[str] = {said(spec.cuda)}\nhip: Optional[str] = {said(spec.hip)}\n"
    info = f"{site}/torch-{spec.torch}.dist-info"
    lib = f"{site}/torch/lib"
    found: dict[str, dict[str, Any]] = {
        f"glob:{pattern}/torch/version.py": files({f"{site}/torch/version.py": version}),
        f"glob:{pattern}/torch/__init__.py": files({f"{site}/torch/__init__.py": ""}),
        f"glob:{pattern}/torch-*.dist-info/WHEEL": files(
            {f"{info}/WHEEL": "".join(f"Tag: {t}\n" for t in spec.tags)}
        ),
        f"glob:{pattern}/torch/lib/libtorch_*.so": files(
            {f"{lib}/{n}": "" for n in spec.libraries if "libtorch_" in n}
        ),
        f"glob:{pattern}/torch/lib/libamdhip64.so*": files(
            {f"{lib}/{n}": "" for n in spec.libraries if "amdhip" in n}
        ),
    }
    for library, targets in (("rocblas", spec.blas), ("hipblaslt", spec.blaslt)):
        folder = f"torch/lib/{library}/library"
        found[f"glob:{pattern}/{folder}/TensileLibrary_lazy_gfx*"] = files(
            {f"{site}/{folder}/TensileLibrary_lazy_{t}.dat": "" for t in targets}
        )
    if spec.triton:
        found[f"glob:{pattern}/triton/__init__.py"] = files(
            {f"{site}/triton/__init__.py": f"__version__ = '{spec.triton}'\n"}
        )
    for name, number in spec.companions.items():
        found[f"glob:{pattern}/{name}/version.py"] = files(
            {f"{site}/{name}/version.py": f"__version__ = '{number}'\n"}
        )
    return found


def environment(spec: Spec) -> Answers:
    """The environment that is judged, or the system's Python with nothing in it."""
    system = {
        "link:/usr/bin/python3": text(f"python{python_of(spec)}"),
        "glob:/usr/lib/x86_64-linux-gnu/libstdc++.so.6.0.*": files(
            {"/usr/lib/x86_64-linux-gnu/libstdc++.so.6.0.30": ""}
        ),
    }
    if "env" in spec.extra:
        answers = built(spec.extra["env"])
        answers["env:ROCMDOCTOR_ENV"] = text(spec.extra["env"].prefix)
    else:
        none: Answers = dict.fromkeys(("env:ROCMDOCTOR_ENV", "env:VIRTUAL_ENV", "env:CONDA_PREFIX"), ABSENT)
        answers = asked({**none, "env:HOME": text(f"/home/{spec.user}")})
        answers["env:ROCMDOCTOR_ENV"] = ABSENT
    answers.update({key: value for key, value in system.items() if key in answers})
    # Answered by another part.
    others = ("stat:/usr/local/cuda/bin/nvcc", "link:/usr/local/cuda")
    return {key: value for key, value in answers.items() if key not in others}


PARTS = (environment,)
