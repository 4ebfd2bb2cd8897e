"""Machines that AMD's driver and ROCm are planned for, by their figures, and plans from the recipes that are shipped."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

from rocmdoctor.actions import Action, ApplyPatch, Exec, Fetch, Person, Plan, Reboot, Request, WriteFile
from rocmdoctor.cli.planned import Kitchen
from rocmdoctor.hosts.replay import from_raw
from rocmdoctor.planning.refusal import RefusedError
from tests.machines.families import add_packages, boxed, under_windows
from tests.machines.healthy import MI210, RAPHAEL, RX7900XTX, build
from tests.machines.parts import Answers, GpuSpec, Spec, files, ran, text
from tests.machines.used import GEFORCE

ANN = Person("ann", 1000, "/home/ann", "/bin/bash")
CODENAMES = {
    "ubuntu-20.04": "focal",
    "ubuntu-22.04": "jammy",
    "ubuntu-24.04": "noble",
    "ubuntu-26.04": "resolute",
    "debian-12": "bookworm",
    "debian-13": "trixie",
}
# The kernel that each system was released with, and the newest of its later ones.
KERNELS = {
    "ubuntu-20.04": ("5.4.0-193-generic", "5.15.0-119-generic"),
    "ubuntu-22.04": ("5.15.0-119-generic", "6.8.0-47-generic"),
    "ubuntu-24.04": ("6.8.0-45-generic", "6.17.0-19-generic"),
    "ubuntu-26.04": ("7.0.0-14-generic", "7.0.0-22-generic"),
    "debian-12": ("6.1.0-28-amd64", "6.12.12+bpo-amd64"),
    "debian-13": ("6.12.48+deb13-amd64", "6.16.3+deb13-amd64"),
}
TOO_NEW = "7.2.0-999-generic"


def _card(version: int, device: str, vram: int = 16 << 30) -> GpuSpec:
    return GpuSpec(version, device, "00", "0000:03:00.0", 128, 160, 2, vram=vram, pci_class="30000")


GPUS: Mapping[str, tuple[GpuSpec, ...]] = {
    "gfx906": (GpuSpec(90006, "66a1", "00", "0000:63:00.0", 128, 240),),
    "gfx908": (GpuSpec(90008, "738c", "01", "0000:63:00.0", 128, 480),),
    "gfx90a": (MI210,),
    "gfx942": (GpuSpec(90402, "74a1", "00", "0000:05:00.0", 128, 1216, num_xcc=8, vram=206_141_652_992),),
    "gfx1030": (_card(100300, "73bf"),),
    "gfx1032": (_card(100302, "73ff", 8 << 30),),
    "gfx1100": (RX7900XTX,),
    "gfx1100 with a processor's": (RX7900XTX, RAPHAEL),
    "gfx1101": (_card(110001, "747e"),),
    "gfx1151": (_card(110501, "1586", 96 << 30),),
    "gfx1201": (_card(120001, "7550"),),
}
_EFI = "read:/sys/firmware/efi/efivars/SecureBoot-8be4df61-93ca-11d2-aa0d-00e098032b8c"
MOK = "/var/lib/shim-signed/mok/MOK.der"


@dataclass(frozen=True)
class Box:
    """A machine. `kernel` is its release, "" for the one that the system came with."""

    gpu: str = "gfx90a"
    os: str = "ubuntu-22.04"
    kernel: str = ""
    inside: str = ""
    locked: bool = False
    nvidia: bool = False
    rocm: str = ""
    packaged: bool = True

    @property
    def gfx(self) -> str:
        return self.gpu.split()[0]

    @property
    def release(self) -> str:
        return self.kernel or KERNELS[self.os][0]

    @property
    def codename(self) -> str:
        return CODENAMES[self.os]


@cache
def _built(box: Box) -> Answers:
    os_id, _, version = box.os.partition("-")
    spec = Spec("box", os_id, version, box.codename, box.release, GPUS[box.gpu], box.rocm)
    answers = build(spec)
    if box.packaged:
        add_packages(answers, {f"linux-image-{box.release}": "1"})
    if box.inside == "container":
        boxed(answers, spec)
    if box.inside == "wsl":
        under_windows(answers, spec)
    if box.locked:
        answers[_EFI] = text("\x06\x00\x00\x00\x01")
        answers["run:mokutil --sb-state"] = ran("SecureBoot enabled\n")
        answers[f"stat:{MOK}"] = text("file 0644 root root")
        answers[f"run:mokutil --test-key {MOK}"] = ran(f"{MOK} is not enrolled\n")
    if box.nvidia:
        bus = "glob:/sys/bus/pci/devices/*/uevent"
        cards = {**answers[bus]["files"], "/sys/bus/pci/devices/0000:01:00.0/uevent": GEFORCE}
        answers[bus] = files(cards)
        add_packages(answers, {"nvidia-driver-550": "550.54.15-0ubuntu1", "cuda-toolkit-12-4": "12.4.1-1"})
    return answers


def answers_of(box: Box) -> Answers:
    """What the machine answers; a copy that may be changed."""
    return {key: dict(value) for key, value in _built(box).items()}


@cache
def kitchen() -> Kitchen:
    """All that is shipped."""
    return Kitchen(())


def planned(answers: Mapping[str, Any], *targets: str, **wish: Any) -> Plan:
    """A plan from the recipes that are shipped. Raises RefusedError."""
    taken = from_raw({"schema": 1, "answers": dict(answers)})
    return kitchen().draw(Request(targets or ("base",), **wish), taken, ANN, None).plan


def plan(box: Box, *targets: str, **wish: Any) -> Plan:
    """A plan for a machine. Raises RefusedError."""
    return planned(answers_of(box), *targets, **wish)


def refused(box: Box, *targets: str, **wish: Any) -> tuple[str, str]:
    """Why nothing is planned, and what else can be done."""
    try:
        made = plan(box, *targets, **wish)
    except RefusedError as error:
        (only,) = error.refusals
        return only.says, only.instead
    raise AssertionError(f"planned: {summary(made)}")


def summary(made: Plan, *recipes: str) -> str:
    """A plan in a few lines: what was chosen, each action of these recipes, notes."""
    lines = [f"{name} {c.version} {c.source}".strip() for name, c in made.choice.items()]
    lines += [_line(a) for a in made.actions if not recipes or a.recipe in recipes]
    return "\n".join([*lines, *(f"note: {note}" for note in made.notes)]) + "\n"


def _line(action: Action) -> str:
    do = action.do
    if isinstance(do, WriteFile):
        what = f"{'-' if do.text is None else '+'} {do.path}"
    elif isinstance(do, Fetch):
        what = f"< {do.url} {do.key or do.sha256}"
    elif isinstance(do, Reboot):
        what = f"reboot: {do.why}"
    elif isinstance(do, ApplyPatch):
        what = f"patch {'/'.join(do.patch.split('/')[-2:])}"
    else:
        assert isinstance(do, Exec)
        what = " ".join(_telling(do.argv))
    return f"{action.id}: {what}"


def _telling(argv: tuple[str, ...]) -> list[str]:
    """A command without apt's options."""
    if argv[0] != "apt-get":
        return list(argv)
    verbs = [n for n, word in enumerate(argv) if word in ("update", "install", "purge")]
    return ["apt-get", *argv[verbs[0] :]] if verbs else list(argv)
