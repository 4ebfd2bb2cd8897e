"""The amdgpu kernel module: loaded or not, there or not for each installed kernel, and what keeps it from loading."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import ClassVar

from rocmdoctor.facts.base import Evidence, Fact, UnknownError
from rocmdoctor.facts.system import Kernel
from rocmdoctor.frozen import frozen
from rocmdoctor.model import Glob, List, Query, Read, Stat

MODULE = "amdgpu"
# Folders of modules that no kernel package brings: dkms(8), depmod.d(5).
_FOREIGN = ("/updates/", "/extra/", "/weak-updates/")
# Old kernels pile up; more than this are not looked into.
_KERNELS = 8


@frozen
class AmdgpuModule(Fact):
    """The module as the running kernel knows it.

    `loaded` is also true of a built-in one; `live` when it finished loading. `version` is "" for the kernel's own
    module, which names none. `dkms` when it came with AMD's compatibility layer, which only their DKMS package has.
    """

    loaded: bool
    live: bool
    loadable: bool | None
    version: str
    srcversion: str
    dkms: bool
    kfd_node: bool | None
    dxg: bool

    @classmethod
    def queries(cls) -> Mapping[str, Query]:
        folder = f"/sys/module/{MODULE}"
        return {
            "modules": Stat("/sys/module"),
            "loaded": Stat(folder),
            "initstate": Read(f"{folder}/initstate"),
            "version": Read(f"{folder}/version"),
            "srcversion": Read(f"{folder}/srcversion"),
            "layer": Stat("/sys/module/amdkcl"),
            "dev": Stat("/dev"),
            "kfd": Stat("/dev/kfd"),
            "dxg": Stat("/dev/dxg"),
        }

    @classmethod
    def parse(cls, ev: Evidence) -> AmdgpuModule:
        if not ev["modules"].ok and not ev["loaded"].ok:
            raise UnknownError(f"{ev.key('modules')}: {ev['modules'].why}")
        state = ev["initstate"]
        version = ev["version"].text.strip()
        return cls(
            loaded=ev["loaded"].ok,
            live=ev["loaded"].ok and (not state.ok or state.text.strip() == "live"),
            # kernel/module/sysfs.c gives loadable modules an initstate, kernel/params.c gives built-in ones none.
            loadable=True if state.ok else False if ev["loaded"].ok and state.why == "absent" else None,
            version=version,
            srcversion=ev["srcversion"].text.strip(),
            dkms=ev["loaded"].ok and (bool(version) or ev["layer"].ok),
            kfd_node=ev["kfd"].ok if ev["kfd"].ok or (ev["dev"].ok and ev["kfd"].why == "absent") else None,
            dxg=ev["dxg"].ok,
        )


@frozen
class KernelTree:
    """What /lib/modules holds for one kernel. `files` are amdgpu's, the one that modprobe takes first.

    `complete` when depmod has listed its modules, which leftovers of removed kernels lack. None: could not be seen.
    """

    release: str
    files: tuple[str, ...]
    builtin: bool
    headers: bool | None
    complete: bool | None

    @property
    def has_module(self) -> bool:
        return self.builtin or bool(self.files)

    @property
    def foreign(self) -> bool:
        """modprobe takes a module that did not come with the kernel."""
        return bool(self.files) and is_foreign(self.files[0])


def is_foreign(path: str) -> bool:
    """A module file that DKMS or the like put there."""
    return any(folder in f"/{path}" for folder in _FOREIGN)


@frozen
class KernelTrees(Fact):
    """The kernels in /lib/modules by release. `running` is None where nothing runs, as in an image."""

    running: str | None
    trees: Mapping[str, KernelTree]

    templates: ClassVar[tuple[str, ...]] = (
        "read:/lib/modules/<kernel>/modules.dep",
        "read:/lib/modules/<kernel>/modules.builtin",
        "list:/lib/modules/<kernel>/updates/dkms",
        "list:/lib/modules/<kernel>/kernel/drivers/gpu/drm/amd/amdgpu",
        "stat:/lib/modules/<kernel>/build/Makefile",
    )

    @property
    def current(self) -> KernelTree | None:
        """Of the running kernel."""
        return self.trees.get(self.running or "")

    @property
    def judged(self) -> KernelTree | None:
        """The kernel that drivers must fit: the running one, or the newest one where another system's kernel runs."""
        return self.current or next(iter(self.bootable), None)

    @property
    def bootable(self) -> tuple[KernelTree, ...]:
        """Whole kernels, newest first."""
        found = (tree for tree in self.trees.values() if tree.complete)
        return tuple(sorted(found, key=lambda tree: release_key(tree.release), reverse=True))

    @classmethod
    def queries(cls) -> Mapping[str, Query]:
        return {"release": Read("/proc/sys/kernel/osrelease"), "kernels": List("/lib/modules")}

    @classmethod
    def follow_up(cls, ev: Evidence) -> Mapping[str, Query]:
        asked: dict[str, Query] = {}
        for kernel in _kernels(ev):
            folder = f"/lib/modules/{kernel}"
            dep = Read(f"{folder}/modules.dep", keep=rf"^[^:\n]*/{MODULE}\.ko[.\w]*(?=:)", limit=8 << 20)
            asked[f"dep {kernel}"] = dep
            asked[f"builtin {kernel}"] = Read(f"{folder}/modules.builtin", keep=rf"^.*/{MODULE}\.ko$")
            asked[f"dkms {kernel}"] = List(f"{folder}/updates/dkms")
            asked[f"own {kernel}"] = List(f"{folder}/kernel/drivers/gpu/drm/amd/amdgpu")
            asked[f"headers {kernel}"] = Stat(f"{folder}/build/Makefile")
        return asked

    @classmethod
    def parse(cls, ev: Evidence) -> KernelTrees:
        if ev["kernels"].why not in ("", "absent"):
            ev.text("kernels")
        if not ev["release"].ok and ev["kernels"].why == "absent":
            raise UnknownError(f"{ev.key('kernels')}: absent, and no kernel runs here")
        release = ev["release"].text.strip() or None
        return cls(running=release, trees={name: _tree(name, ev) for name in _kernels(ev)})


def _kernels(ev: Evidence) -> list[str]:
    names = [n.rstrip("/@") for n in ev["kernels"].text.splitlines() if n.endswith(("/", "@"))]
    running = ev["release"].text.strip()
    names.sort(key=release_key, reverse=True)
    names.sort(key=lambda name: name != running)
    return names[:_KERNELS]


def release_key(release: str) -> tuple[int, ...]:
    """Sorts kernel releases by age: the numbers in them."""
    return tuple(int(number[:9]) for number in re.findall(r"[0-9]+", re.sub(r"amd64|x86_64", "", release)))


def _tree(kernel: str, ev: Evidence) -> KernelTree:
    folder = f"/lib/modules/{kernel}"
    files = [f"{folder}/{line.strip()}" for line in ev[f"dep {kernel}"].text.splitlines() if line.strip()]
    for name, place in (
        (f"dkms {kernel}", "updates/dkms"),
        (f"own {kernel}", "kernel/drivers/gpu/drm/amd/amdgpu"),
    ):
        names = (line.rstrip("@") for line in ev[name].text.splitlines())
        files += [f"{folder}/{place}/{n}" for n in names if re.fullmatch(rf"{MODULE}\.ko(\.\w+)?", n)]
    files.sort(key=lambda path: not is_foreign(path))
    headers = ev[f"headers {kernel}"]
    listed = ev[f"dep {kernel}"]
    return KernelTree(
        release=kernel,
        files=tuple(dict.fromkeys(files)),
        builtin=bool(ev[f"builtin {kernel}"].text.strip()),
        headers=headers.ok if headers.ok or headers.why == "absent" else None,
        complete=listed.ok if listed.ok or listed.why == "absent" else None,
    )


@frozen
class Block:
    """A setting that keeps amdgpu from loading. `hard`: also when it is asked for by name."""

    where: str
    text: str
    hard: bool


# modprobe.d(5): the first folder that has a file of a name hides that name in the others.
_FOLDERS = (
    "/etc/modprobe.d",
    "/run/modprobe.d",
    "/usr/local/lib/modprobe.d",
    "/usr/lib/modprobe.d",
    "/lib/modprobe.d",
)
_RULE = re.compile(rf"^[ \t]*(?P<verb>blacklist|install|options)[ \t]+{MODULE}(?:[ \t]+(?P<rest>.*))?$")
_NOTHING = re.compile(r"(?:/\S*/)?(?:false|true)\b|:(?:\s|$)|/dev/null\b")


@frozen
class ModprobeRules(Fact):
    """What modprobe's settings say of amdgpu. `options` are the module's parameters, in order."""

    blocks: tuple[Block, ...]
    options: tuple[str, ...]

    @classmethod
    def queries(cls) -> Mapping[str, Query]:
        gap = r"(?:[ \t]|\\\n)+"  # a backslash at the end of a line goes on with the next
        keep = (
            rf"^[ \t]*(?:blacklist{gap}{MODULE}(?=\s|$)|install{gap}{MODULE}{gap}\S{{1,60}}"
            rf"|options{gap}{MODULE}{gap}[\w.=,: \t-]{{1,200}})"
        )
        # The names too: a link to /dev/null hides a file as well as an empty one does.
        listed: dict[str, Query] = {f"list {folder}": List(folder) for folder in _FOLDERS[:3]}
        return {**{folder: Glob(f"{folder}/*.conf", keep=keep) for folder in _FOLDERS}, **listed}

    @classmethod
    def parse(cls, ev: Evidence) -> ModprobeRules:
        if all(ev[folder].why == "not-asked" for folder in _FOLDERS):
            raise UnknownError(f"{ev.key(_FOLDERS[0])}: not asked")
        chosen: dict[str, tuple[str, str]] = {}
        for folder in _FOLDERS:
            for path, text in ev[folder].files.items():
                chosen.setdefault(path.rpartition("/")[2], (path, text.replace("\\\n", " ")))
            names = ev[f"list {folder}"].text.splitlines() if f"list {folder}" in ev else []
            for name in names:
                chosen.setdefault(name.rstrip("@"), (folder, ""))
        blocks: list[Block] = []
        options: list[str] = []
        for name in sorted(chosen):
            path, text = chosen[name]
            for rule in filter(None, (_RULE.match(line) for line in text.splitlines())):
                rest = (rule["rest"] or "").strip()
                if rule["verb"] == "options":
                    options += rest.split()
                elif rule["verb"] == "blacklist":
                    blocks.append(Block(path, rule[0].strip(), hard=False))
                elif _NOTHING.match(rest):
                    blocks.append(Block(path, rule[0].strip(), hard=True))
        return cls(tuple(blocks), tuple(options))


@frozen
class Blocks(Fact):
    """All that keeps amdgpu from loading, the kernel command line first, which not every snapshot holds."""

    all: tuple[Block, ...]
    boot_read: bool

    @classmethod
    def derive(cls, rules: ModprobeRules, kernel: Kernel | None) -> Blocks:
        found = (_boot_block(word) for word in (kernel.cmdline if kernel else ()))
        boot = tuple(block for block in found if block is not None)
        return cls(boot + rules.blocks, kernel is not None)


def _boot_block(word: str) -> Block | None:
    name, _, value = word.partition("=")
    values = value.split(",")
    where = "/proc/cmdline"
    if name.replace("-", "_") == "modprobe.blacklist" and MODULE in values:
        return Block(where, word, hard=False)
    # kernel/module/main.c (module_blacklist, nomodule), drivers/gpu/drm/drm_drv.c (nomodeset), init/main.c.
    refused = (name == "module_blacklist" and MODULE in values) or (
        name == "initcall_blacklist" and f"{MODULE}_init" in values
    )
    return Block(where, word, hard=True) if refused or word in ("nomodeset", "nomodule") else None
