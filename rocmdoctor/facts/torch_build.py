"""What the torch of an environment was built for, as its files tell: nothing is imported."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any, ClassVar

from rocmdoctor.facts.base import Evidence, Fact, Table, UnknownError
from rocmdoctor.facts.distributions import Dists
from rocmdoctor.facts.gpus import Gpus, GpuTable
from rocmdoctor.facts.python_env import VARIABLES, PythonEnv, chosen, fits, own_sites
from rocmdoctor.facts.torch_files import Torch, TorchTable, WheelIndex, torch_of, version_question
from rocmdoctor.frozen import frozen
from rocmdoctor.model import Glob, Query

# Libraries of ROCm that choose kernels by file names lie below torch/lib in wheels of pytorch.org, and in those of
# AMD's split ROCm in a package of their own. `.zlib` and the folders by target came with ROCm 7.
_PLACES = ("torch/lib", "_rocm_sdk_libraries*/lib")
_LAZY = ("TensileLibrary_lazy_gfx*", "gfx*/TensileLibrary_lazy_gfx*")
_NAMES = "(?!)"  # only the names of files are of interest
_VERSION = r"^__version__[ \t]*(?::[ \t]\w{1,20})?=[ \t]*['\"][\w.+-]{1,80}['\"]"
COMPANIONS = ("torchvision", "torchaudio")


def _questions(site: str) -> dict[str, Query]:
    asked: dict[str, Query] = {
        "torch": version_question(site),
        "wheel": Glob(f"{site}/torch-*.dist-info/WHEEL", keep=r"^Tag: [\w.-]{1,80}", limit=4096),
        "libtorch": Glob(f"{site}/torch/lib/libtorch_*.so", keep=_NAMES, limit=16),
        "init": Glob(f"{site}/torch/__init__.py", keep=_NAMES, limit=16),
        "hip": Glob(f"{site}/torch/lib/libamdhip64.so*", keep=_NAMES, limit=16),
        "triton": Glob(f"{site}/triton/__init__.py", keep=_VERSION, limit=4096),
        "triton backends": Glob(f"{site}/triton/backends/*/driver.py", keep=_NAMES, limit=16),
    }
    for name in COMPANIONS:
        asked[name] = Glob(f"{site}/{name}/version.py", keep=_VERSION, limit=4096)
    for library in ("rocblas", "hipblaslt"):
        for place in _PLACES:
            for pattern in _LAZY:
                path = f"{site}/{place}/{library}/library/{pattern}"
                asked[f"{library} {place} {pattern}"] = Glob(path, keep=_NAMES, limit=16)
    return asked


@frozen
class TorchParts(Fact):
    """Files around torch, by site. `kernels`: library to site to the targets that its file names tell."""

    torches: tuple[Torch, ...]
    wheel: Mapping[str, tuple[str, ...]]
    libraries: Mapping[str, tuple[str, ...]]
    packages: tuple[str, ...]
    kernels: Mapping[str, Mapping[str, frozenset[str]]]
    triton: Mapping[str, str]
    backends: Mapping[str, tuple[str, ...]]
    versions: Mapping[str, Mapping[str, str]]

    templates: ClassVar[tuple[str, ...]] = tuple(
        f"glob:{query.pattern}" for query in _questions("<site>").values() if isinstance(query, Glob)
    )

    @classmethod
    def queries(cls) -> Mapping[str, Query]:
        return {"env": VARIABLES}

    @classmethod
    def follow_up(cls, ev: Evidence) -> Mapping[str, Query]:
        return {f"{n}@{site}": q for site in own_sites(ev) for n, q in _questions(site).items()}

    @classmethod
    def parse(cls, ev: Evidence) -> TorchParts:
        sites = own_sites(ev)
        if all(ev[f"torch@{site}"].why == "not-asked" for site in sites):
            raise UnknownError(f"{ev.key(f'torch@{sites[-1]}')}: not asked")

        def files(name: str) -> dict[str, str]:
            found: dict[str, str] = {}
            for site in sites:
                found.update(ev[f"{name}@{site}"].files)
            return found

        kernels: dict[str, dict[str, frozenset[str]]] = {"rocblas": {}, "hipblaslt": {}}
        for library, by_site in kernels.items():
            for place in _PLACES:
                for pattern in _LAZY:
                    for path in files(f"{library} {place} {pattern}"):
                        site = _site(path)
                        by_site[site] = by_site.get(site, frozenset()) | _targets(path)
        torches = (torch_of(path, text) for path, text in files("torch").items())
        return cls(
            torches=tuple(t for t in torches if t is not None),
            wheel={
                p.rpartition("/torch-")[0]: tuple(t.split(": ")[1] for t in text.splitlines())
                for p, text in files("wheel").items()
            },
            libraries=_grouped((*files("libtorch"), *files("hip")), "/torch/lib/"),
            packages=tuple(p.rpartition("/torch/")[0] for p in files("init")),
            kernels=kernels,
            triton={p.rpartition("/triton/")[0]: _quoted(text) for p, text in files("triton").items()},
            backends=_grouped((p.rpartition("/")[0] for p in files("triton backends")), "/triton/backends/"),
            versions={
                n: {p.rpartition(f"/{n}/")[0]: _quoted(text) for p, text in files(n).items()}
                for n in COMPANIONS
            },
        )


def _site(path: str) -> str:
    return path.partition("-packages/")[0] + "-packages"


def _grouped(paths: Iterable[str], middle: str) -> dict[str, tuple[str, ...]]:
    found: dict[str, tuple[str, ...]] = {}
    for path in paths:
        site, _, name = path.rpartition(middle)
        found[site] = (*found.get(site, ()), name)
    return found


def _targets(path: str) -> frozenset[str]:
    # TensileLibrary_lazy_gfx90a.dat, also with .zlib behind it.
    match = re.search(r"_lazy_(gfx[0-9a-f]{3,5})\.", path.rpartition("/")[2])
    return frozenset((match.group(1),)) if match else frozenset()


def _quoted(text: str) -> str:
    match = re.search(r"['\"]([^'\"]+)['\"]", text)
    return match.group(1) if match else ""


@frozen
class TorchBuild(Fact):
    """The torch that the environment imports. `rocm`: the release that it was built for, "6.4" or "6.2.4".

    `blas` and `blaslt`: GPU targets for which the ROCm that came with it has matrix kernels, None where it brought none.
    `missing` are files that every torch has; `bundled`: it brings ROCm's libraries along; `light`: it says that it does
    not; `index` is pip's option for the index that it came from, "" where that cannot be told.
    """

    env: PythonEnv
    torch: Torch
    rocm: str
    light: bool
    tags: tuple[str, ...]
    blas: frozenset[str] | None
    blaslt: frozenset[str] | None
    missing: tuple[str, ...]
    bundled: bool
    triton: str
    backends: tuple[str, ...]
    companions: Mapping[str, str]
    index: str

    def upgrade(self, what: str) -> str:
        """A pip command that takes another distribution and leaves this torch alone, since it is named as it is."""
        index = self.index.replace("--index-url", "--extra-index-url")
        return f"{self.env.command} install --upgrade '{what}' 'torch=={self.torch.version}'{index}"

    @property
    def hip(self) -> tuple[int, int] | None:
        """Major and minor number of HIP, which are those of ROCm."""
        match = re.match(r"(\d+)\.(\d+)", self.torch.hip or "")
        return (int(match.group(1)), int(match.group(2))) if match else None

    @classmethod
    def derive(
        cls, env: PythonEnv, parts: TorchParts, dists: Dists | None, table: TorchStackTable
    ) -> TorchBuild:
        torch = next((t for t in parts.torches if fits(t.site, env)), None)
        if torch is None:
            raise UnknownError("no torch in the environment that is looked at")
        site = torch.site
        local = torch.version.partition("+")[2]
        numbers = re.match(r"rocm(\d+\.\d+(?:\.\d+)?)", local)
        hip = re.match(r"\d+\.\d+", torch.hip or "")
        libraries = parts.libraries.get(site, ())
        split = dists is not None and dists.get("rocm-sdk-core") is not None
        return cls(
            env=env,
            torch=torch,
            rocm=numbers.group(1) if numbers else hip.group() if hip else "",
            light=".lw." in f"{local}.",
            tags=parts.wheel.get(site, ()),
            blas=parts.kernels["rocblas"].get(site),
            blaslt=parts.kernels["hipblaslt"].get(site),
            missing=_missing(torch, libraries, env, whole=site in parts.packages),
            bundled=split or any(name.startswith("libamdhip64.so") for name in libraries),
            triton=parts.triton.get(site, ""),
            backends=parts.backends.get(site, ()),
            companions={n: parts.versions[n][site] for n in COMPANIONS if site in parts.versions[n]},
            index=table.index_option(torch.version),
        )


def _missing(torch: Torch, libraries: tuple[str, ...], env: PythonEnv, *, whole: bool) -> tuple[str, ...]:
    """Files without which `import torch` stops. Packages that are no wheels keep their libraries elsewhere."""
    wanted = [] if whole else ["torch/__init__.py"]
    packaged = any(name in env.conda for name in ("pytorch", "libtorch", "pytorch-cpu", "pytorch-gpu"))
    if torch.site.endswith("/site-packages") and not packaged:
        kinds = ["cpu", *(["hip"] if torch.hip else []), *(["cuda"] if torch.cuda else [])]
        wanted += [f"torch/lib/libtorch_{k}.so" for k in kinds if f"libtorch_{k}.so" not in libraries]
    return tuple(wanted)


@frozen
class WheelChoice(Fact):
    """The index to install torch from, None where none has code for these GPUs.

    Its builds serve all of `targets`, perhaps by way of `override`, and this Python where any of them does.
    """

    targets: tuple[str, ...]
    index: WheelIndex | None
    override: str

    @classmethod
    def derive(
        cls, gpus: Gpus | None, table: TorchTable, stack: TorchStackTable, env: PythonEnv, known: GpuTable
    ) -> WheelChoice:
        targets = tuple(sorted({g.gfx for g in gpus.discrete if g.gfx})) if gpus else ()

        def serving(wanted: set[str]) -> WheelIndex | None:
            able = [i for i in table.indexes if wanted <= set(i.targets)]
            return next((i for i in able if stack.serves(i.torch, env.python)), able[0] if able else None)

        index = serving(set(targets))
        if index is not None:
            return cls(targets, index, "")
        # Builds for a target of the same family do, where the runtime can be told to take the GPU for that.
        overrides = {known.targets[t].override if t in known.targets else "" for t in targets}
        value = overrides.pop() if len(overrides) == 1 else ""
        index = serving({target_of_override(value)}) if value else None
        return cls(targets, index, value if index else "")


def target_of_override(value: str) -> str:
    """The target that a value such as 10.3.0 stands for, "" for what is none."""
    numbers = re.match(r"(\d{1,2})\.(\d{1,3})\.(\d{1,3})$", value)
    return f"gfx{numbers.group(1)}{int(numbers.group(2)):x}{int(numbers.group(3)):x}" if numbers else ""


@frozen
class LibStdCxx(Fact):
    """The newest libstdc++.so.6.0.N of a conda environment and of the system; None where there is none."""

    conda: int | None
    system: int | None

    templates: ClassVar[tuple[str, ...]] = ("glob:<environment>/lib/libstdc++.so.6.0.*",)

    @classmethod
    def queries(cls) -> Mapping[str, Query]:
        return {
            "env": VARIABLES,
            "debian": Glob("/usr/lib/x86_64-linux-gnu/libstdc++.so.6.0.*", keep=_NAMES, limit=16),
            "other": Glob("/usr/lib64/libstdc++.so.6.0.*", keep=_NAMES, limit=16),
        }

    @classmethod
    def follow_up(cls, ev: Evidence) -> Mapping[str, Query]:
        prefix, variable = chosen(ev)
        if not variable:
            return {}
        return {"conda": Glob(f"{prefix}/lib/libstdc++.so.6.0.*", keep=_NAMES, limit=16)}

    @classmethod
    def parse(cls, ev: Evidence) -> LibStdCxx:
        if ev["debian"].why == "not-asked":
            raise UnknownError(f"{ev.key('debian')}: not asked")
        system = (*ev["debian"].files, *ev["other"].files)
        return cls(_newest(ev["conda"].files if "conda" in ev else ()), _newest(system))


def _newest(paths: Iterable[str]) -> int | None:
    numbers = (re.search(r"\.so\.6\.0\.(\d{1,4})$", path) for path in paths)
    return max((int(n.group(1)) for n in numbers if n), default=None)


@frozen
class TorchStackTable(Table):
    """Which builds of torch there are: `builds` by (torch, ROCm), `pythons` by torch's minor release."""

    file: ClassVar[str] = "torch_stack.toml"
    pythons: Mapping[str, tuple[tuple[int, int], tuple[int, int]]]
    targets: Mapping[str, tuple[str, ...]]
    watched: frozenset[str]
    triton_names: tuple[str, ...]
    device_prefixes: tuple[str, ...]
    hipblas_major: Mapping[str, str]
    index: str
    sdk_found_from: str

    def serves(self, torch: str, python: tuple[int, int] | None) -> bool:
        """Whether a release of torch has wheels for a Python, which an unknown one is taken for."""
        low, high = self.pythons.get(".".join(torch.split(".")[:2]), ((0, 0), (99, 0)))
        return python is None or low <= python <= high

    def index_option(self, version: str) -> str:
        """pip's option for the index of a build such as 2.9.1+rocm6.4, "" for builds of other makers."""
        local = re.fullmatch(r"[^+]+\+(rocm\d+\.\d+(?:\.\d+)?)", version)
        return f" --index-url {self.index}/{local.group(1)}" if local else ""

    @classmethod
    def load(cls, data: Mapping[str, Any]) -> TorchStackTable:
        def pair(text: str) -> tuple[int, int]:
            major, minor = text.split(".")
            return int(major), int(minor)

        return cls(
            pythons={name: (pair(row[0]), pair(row[1])) for name, row in data["pythons"].items()},
            targets={name: tuple(row) for name, row in data["targets"].items()},
            watched=frozenset((*data["pins"]["watched"], *data["triton"]["names"])),
            triton_names=tuple(data["triton"]["names"]),
            device_prefixes=tuple(data["devices"]["prefixes"]),
            hipblas_major=dict(data["hipblas"]),
            index=data["index"],
            sdk_found_from=data["sdk"]["found_from"],
        )
