"""Environment variables of ROCm: in the process that asks, and in the files that set them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, ClassVar

from rocmdoctor.facts.base import Evidence, Fact, Table, UnknownError
from rocmdoctor.facts.host import home_of
from rocmdoctor.frozen import frozen
from rocmdoctor.model import Answer, Env, Glob, Query, Read

OVERRIDE = "HSA_OVERRIDE_GFX_VERSION"
# Only names stand here; who reads them and what they should be is knowledge, in a table.
NAMES = tuple(
    f"""
    ROCM_HOME ROCM_PATH HIP_PATH HIP_PLATFORM HIP_CLANG_PATH HIP_DEVICE_LIB_PATH HIP_LIB_PATH
    HIPCC_COMPILE_FLAGS_APPEND HIPCC_LINK_FLAGS_APPEND HIPCC_VERBOSE HCC_AMDGPU_TARGET CUDA_HOME CUDA_PATH
    PYTORCH_ROCM_ARCH GPU_ARCHS ROCM_TARGET TORCH_HIP_ARCH_LIST TORCH_CUDA_ARCH_LIST HIP_ARCHITECTURES
    XFORMERS_CK_FLASH_ATTN BNB_ROCM_ARCH AMDGPU_TARGETS GPU_TARGETS ROCM_TARGET_LST MAX_JOBS NVCC_THREADS OPT_DIM
    BUILD_TARGET FLASH_ATTENTION_FORCE_BUILD FLASH_ATTENTION_SKIP_CK_BUILD FLASH_ATTENTION_TRITON_AMD_ENABLE
    FLASH_ATTENTION_TRITON_AMD_AUTOTUNE FLASH_ATTENTION_FWD_TRITON_AMD_CONFIG_JSON
    DS_BUILD_CPU_ADAM DS_BUILD_OPS DS_SKIP_CUDA_CHECK DS_ACCELERATOR DS_ENABLE_NINJA
    ROCR_VISIBLE_DEVICES HIP_VISIBLE_DEVICES CUDA_VISIBLE_DEVICES GPU_DEVICE_ORDINAL {OVERRIDE}
    HSA_ENABLE_SDMA HSA_XNACK HSA_FORCE_FINE_GRAIN_PCIE HSA_NO_SCRATCH_RECLAIM HSA_ENABLE_IPC_MODE_LEGACY HSA_CU_MASK
    HSA_ENABLE_DXG_DETECTION GPU_MAX_HW_QUEUES HIP_FORCE_DEV_KERNARG AMD_SERIALIZE_KERNEL HIP_LAUNCH_BLOCKING
    AMD_LOG_LEVEL PYTORCH_HIP_ALLOC_CONF PYTORCH_CUDA_ALLOC_CONF PYTORCH_ALLOC_CONF TORCH_BLAS_PREFER_HIPBLASLT
    TORCH_ROCM_AOTRITON_ENABLE_EXPERIMENTAL PYTORCH_TUNABLEOP_ENABLED BNB_ROCM_VERSION ROCM_VERSION BNB_CUDA_VERSION
    MIOPEN_FIND_MODE MIOPEN_FIND_ENFORCE MIOPEN_USER_DB_PATH MIOPEN_SYSTEM_DB_PATH MIOPEN_CUSTOM_CACHE_DIR
    MIOPEN_DISABLE_CACHE MIOPEN_LOG_LEVEL MIOPEN_ENABLE_LOGGING
    NCCL_DEBUG NCCL_PROTO NCCL_ALGO NCCL_IB_DISABLE NCCL_IB_HCA NCCL_SHM_DISABLE NCCL_P2P_DISABLE NCCL_SOCKET_IFNAME
    NCCL_MIN_NCHANNELS NCCL_NET_PLUGIN RCCL_TREES
    """.split()
)
_AROUND = ("PATH", "LD_LIBRARY_PATH", "LD_PRELOAD", "CONDA_PREFIX", "VIRTUAL_ENV")
_GPU_IDS = Glob("/sys/class/kfd/kfd/topology/nodes/*/gpu_id")


@frozen
class Environment(Fact):
    """Variables that are set in the asking process, with their values; `HSA_OVERRIDE_GFX_VERSION_<node>` included."""

    values: Mapping[str, str]

    templates: ClassVar[tuple[str, ...]] = (f"env:{OVERRIDE}_<node>",)

    @classmethod
    def queries(cls) -> Mapping[str, Query]:
        return {"names": Env(NAMES + _AROUND), "nodes": _GPU_IDS}

    @classmethod
    def follow_up(cls, ev: Evidence) -> Mapping[str, Query]:
        names = _override_names(ev["nodes"])
        return {"overrides": Env(names)} if names else {}

    @classmethod
    def parse(cls, ev: Evidence) -> Environment:
        values = {}
        for name in (*NAMES, *_AROUND, *_override_names(ev["nodes"])):
            value = ev.env(name)
            if value is not None:
                values[name] = value
        return cls(values)


def _override_names(gpu_ids: Answer) -> tuple[str, ...]:
    nodes = []
    for path, text in (gpu_ids.files if gpu_ids.ok else {}).items():
        node = path.split("/")[-2]
        if text.strip() not in ("", "0") and re.fullmatch(r"\d{1,4}", node):
            nodes.append(int(node))
    return tuple(f"{OVERRIDE}_{node}" for node in sorted(nodes))


# ---------------------------------------------------------------- files

_WORDS = "export|declare|typeset|readonly|local|unset|setenv|set|alias|echo|printf"
_LINE = rf"^[ \t]*(?:(?:{_WORDS})(?![\w=-])(?:[ \t]+-{{1,2}}[A-Za-z]{{1,9}})*)?"
_MIDDLE = r"[;&|]+|(?<=[;&|{( \t])(?:export|unset)[ \t]|(?<![^\s;])#"
_PLAIN = r"[\w./:,+@%~{}?^*-]|\$(?!\()|\\(?=\$)"
_BETWEEN = r"[; ](?=gfx)"
_CUT = r"(?:\$\(|[`=\\<>!])?"


def keep_pattern() -> str:
    """What leaves a shell file: where each line begins, comment signs, and assignments of our variables.

    Values are bounded to what such values consist of, so that neither a second assignment on the line nor an
    unclosed quote brings other text along. A blank kept after a value says that more words follow.
    """
    names = "|".join(sorted((*NAMES, "LD_LIBRARY_PATH", "LD_PRELOAD"), key=len, reverse=True))
    name = rf"(?:{OVERRIDE}_\d{{1,3}}|{names})"
    double = rf'"(?:{_PLAIN}|{_BETWEEN}){{0,1000}}"?'
    single = rf"'(?:{_PLAIN}|{_BETWEEN}){{0,1000}}'?"
    bare = rf"(?:{_PLAIN}){{0,1000}}"
    value = rf"(?:{double}|{single}|{bare}){_CUT}(?:[ \t]+(?=[^\s#;&|]))?"
    assignment = rf"(?<![\w$={{/.\-'\":]){name}(?:={value}|(?![\w=]))"
    # fish: `set -gx NAME VALUE`. The flag holds x; words beyond the first never leave.
    fish = rf"^[ \t]*set(?:[ \t]+-{{1,2}}[A-Za-z]{{1,9}})*[ \t]+{name}[ \t]+(?:{double}|{single}|(?:{_PLAIN}){{1,1000}}(?=[\s;#]|\Z)){_CUT}"
    return rf"{fish}|{_LINE}|{_MIDDLE}|{assignment}"


@frozen
class Assignment:
    """`value` is None when the file computes it or it was cut; `exported`: programs started later see it."""

    file: str
    line: int
    name: str
    value: str | None
    exported: bool


def read_assignments(file: str, text: str) -> tuple[Assignment, ...]:
    """The assignments in what `keep_pattern` let through."""
    reader = _Reader(file)
    for piece in text.split("\n")[:-1]:
        reader.take(piece)
    return tuple(
        Assignment(a.file, a.line, a.name, a.value, a.exported or a.name in reader.exported)
        for a in reader.found
    )


class _Reader:
    """Reads the pieces of one file in their order; `head` is the command that the next assignment stands behind."""

    def __init__(self, file: str) -> None:
        self.file = file
        self.found: list[Assignment] = []
        self.exported: set[str] = set()
        self._always = "/environment" in file
        self._line = 0
        self._head = ""
        self._comment = False

    def take(self, piece: str) -> None:
        """One piece: a line's beginning, a separator, a comment sign, `export`, or an assignment."""
        fish = _FISH.match(piece)
        word = _ASSIGNED.match(piece)
        if fish is not None:
            self._begin("")
            flags = " ".join(fish.group(1).split())
            self._add(
                fish.group(2),
                fish.group(3),
                exported=bool(re.search(r"(?:^| )-[a-z]*x|--export", flags, re.IGNORECASE)),
            )
        elif word is None:
            self._word(piece)
        elif self._comment or self._head.startswith(("unset", "alias", "echo", "printf")):
            return
        elif word.group(2) is None:
            self.exported |= {word.group(1)} if _exports(self._head) else set()
        else:
            out = self._always or _exports(self._head)
            # `NAME=value program` sets it for that program alone.
            if out or not word.group(2).endswith((" ", "\t")):
                self._add(word.group(1), word.group(2), exported=out)

    def _word(self, piece: str) -> None:
        if piece == "#":
            self._comment = True
        elif re.fullmatch(r"[;&|]+", piece):
            self._head = ""
        elif piece.rstrip() in ("export", "unset") and piece[-1] in " \t":
            # A blank behind the word: it stands inside a line.
            self._head = piece.rstrip()
        else:
            self._begin(piece.strip())

    def _begin(self, head: str) -> None:
        self._line += 1
        self._head = head
        self._comment = False

    def _add(self, name: str, value: str, *, exported: bool) -> None:
        self.found.append(Assignment(self.file, self._line, name, _value(value), exported))


_ASSIGNED = re.compile(r"([A-Z][A-Z0-9_]+)(?:=(.*))?\Z", re.DOTALL)
_FISH = re.compile(r"[ \t]*set((?:[ \t]+-{1,2}[A-Za-z]+)*)[ \t]+([A-Z][A-Z0-9_]+)[ \t]+(.*)\Z", re.DOTALL)


def _exports(head: str) -> bool:
    words = head.split()
    if not words:
        return False
    if words[0] in ("declare", "typeset"):
        return any("x" in w for w in words[1:])
    return words[0] in ("export", "setenv")


def _value(text: str) -> str | None:
    text = text.rstrip(" \t")
    if len(text) > 1 and text[0] in "\"'" and text[-1] == text[0]:
        inner = text[1:-1]
    elif text[:1] in ('"', "'") or re.search(r"(?:\$\(|[`=\\<>!])$", text):
        return None
    else:
        inner = text
    return None if "$" in inner and not re.search(r"\$\{?[A-Z]", inner) else inner


_HOME_FILES = (
    ".bashrc",
    ".profile",
    ".bash_profile",
    ".zshrc",
    ".zshenv",
    ".config/fish/config.fish",
    ".config/rocmdoctor/env.sh",
)
_PATTERN = keep_pattern()


@frozen
class ShellFiles(Fact):
    """Assignments of our variables in the files that login and interactive shells read."""

    assignments: tuple[Assignment, ...]

    templates: ClassVar[tuple[str, ...]] = (
        *(f"read:<HOME>/{name}" for name in _HOME_FILES),
        "glob:<HOME>/.config/environment.d/*.conf",
    )

    @classmethod
    def queries(cls) -> Mapping[str, Query]:
        return {
            "HOME": Env(("HOME",)),
            "environment": Read("/etc/environment", keep=_PATTERN),
            "bashrc": Read("/etc/bash.bashrc", keep=_PATTERN),
            "profile": Glob("/etc/profile.d/*.sh", keep=_PATTERN),
        }

    @classmethod
    def follow_up(cls, ev: Evidence) -> Mapping[str, Query]:
        home = home_of(ev)
        if home is None:
            return {}
        more: dict[str, Query] = {name: Read(f"{home}/{name}", keep=_PATTERN) for name in _HOME_FILES}
        more["environment.d"] = Glob(f"{home}/.config/environment.d/*.conf", keep=_PATTERN)
        return more

    @classmethod
    def parse(cls, ev: Evidence) -> ShellFiles:
        if ev["environment"].why == "not-asked" and ev["profile"].why == "not-asked":
            raise UnknownError(f"{ev.key('environment')}: not asked")
        found: list[Assignment] = []
        for name in ev.names():
            answer = ev[name]
            if name == "HOME" or not answer.ok:
                continue
            if answer.files or ev.key(name).startswith("glob:"):
                for path, text in answer.files.items():
                    found += read_assignments(path, text)
            else:
                found += read_assignments(ev.key(name).partition(":")[2], answer.text)
        return cls(tuple(found))


# ---------------------------------------------------------------- what is known of them


@frozen
class Variable:
    """What is known of one variable. `kind` says how its value reads, `status` whether anything reads it."""

    name: str
    status: str
    readers: tuple[str, ...]
    meaning: str
    kind: str
    allowed: tuple[str, ...]
    advice: str
    source: str


@frozen
class VariableTable(Table):
    """The variables of ROCm and of what is built on it."""

    file: ClassVar[str] = "variables.toml"
    variables: Mapping[str, Variable]

    @classmethod
    def load(cls, data: Mapping[str, Any]) -> VariableTable:
        rows = (
            Variable(
                row["name"],
                row["status"],
                tuple(row.get("readers", ())),
                row["meaning"],
                row["kind"],
                tuple(row.get("allowed", ())),
                row["advice"],
                row["source"],
            )
            for row in data["variable"]
        )
        return cls({row.name: row for row in rows})
