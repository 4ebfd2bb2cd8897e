"""The kernel: its command line by GRUB, and its modules."""

from __future__ import annotations

from collections.abc import Iterator

from rocmdoctor.actions import Action, Exec, Reboot, Undo, WriteFile
from rocmdoctor.facts.boot import Booted
from rocmdoctor.facts.system import Kernel
from rocmdoctor.model import Query, Run, Stat
from rocmdoctor.ops.arguments import BadArgumentError, KernelParameter, Name
from rocmdoctor.ops.ground import ForbiddenError, Ground, file_questions
from rocmdoctor.ops.places import holds, sha256_of
from rocmdoctor.ops.registry import operation

_INITRAMFS = "/usr/sbin/update-initramfs"


def _drop_in(parameters: list[str]) -> str:
    # After the files of cloud images (50-), which set the line anew. The names tell one step's file from another's.
    names = dict.fromkeys(p.partition("=")[0] for p in parameters)
    return f"/etc/default/grub.d/90-rocmdoctor-{'-'.join(names)[:100]}.cfg"


def _words(parameter: str) -> Run:
    """The running kernel's own words equal to a parameter, and no other: a command line can hold names and addresses."""
    pattern = parameter.replace(".", "[.]").replace("+", "[+]")
    return Run(("grep", "-o", "-E", "-e", f"(^| ){pattern}( |$)", "/proc/cmdline"), limit=4096)


def _asks_cmdline(_ground: Ground, *, parameters: list[str]) -> Iterator[Query]:
    yield from file_questions(_drop_in(parameters))
    for parameter in parameters:
        yield _words(parameter)


@operation("kernel.cmdline", asks=_asks_cmdline)
def cmdline(ground: Ground, *, parameters: list[KernelParameter]) -> Iterator[Action]:
    """Start the kernel with these parameters from the next boot on, and reboot.

    They are appended to GRUB_CMDLINE_LINUX_DEFAULT by a file of ours in /etc/default/grub.d, so that the recovery entry
    stays as it is. Nothing is planned when the running kernel has them. Another boot loader is a refusal; so is a kernel
    whose command line nobody could read.
    """
    if not parameters:
        raise BadArgumentError("parameters", parameters, "one kernel parameter or more")
    missing = [p for p in parameters if not _runs_with(ground, p)]
    if not missing:
        return
    if not ground.known.get(Booted).grub:
        raise ForbiddenError(
            f"kernel parameters are set by GRUB alone, and /usr/sbin/update-grub is not here; add '{' '.join(missing)}' "
            "to the settings of this machine's boot loader"
        )
    path, text = _drop_in(parameters), _grub_text(parameters)
    says = f"add {' '.join(parameters)} to the kernel's command line ({path})"
    again = ("update-grub",)
    if not holds(ground, path, sha256_of(text)):
        yield Action(
            do=WriteFile(path, text),
            says=says,
            undo=Undo("restore", "makes the boot menu anew after it", (again,)),
            seconds=0.1,
        )
    yield Action(
        do=Exec(again),
        says="make the boot menu anew",
        undo=Undo("commands", "made anew once the file is as it was"),
        timeout=900.0,
        seconds=10.0,
    )
    yield _reboot(f"the kernel starts with {' '.join(missing)}")


def _grub_text(parameters: list[str]) -> str:
    # A shell reads this file. KernelParameter lets nothing through that double quotes do not hold.
    return (
        "# Written by rocmdoctor.\n"
        f'GRUB_CMDLINE_LINUX_DEFAULT="${{GRUB_CMDLINE_LINUX_DEFAULT:+$GRUB_CMDLINE_LINUX_DEFAULT }}{" ".join(parameters)}"\n'
    )


def _runs_with(ground: Ground, parameter: str) -> bool:
    said = ground.answer(_words(parameter))
    found = parameter in ground.known.get(Kernel).cmdline or (said.ok and said.exit_code == 0)
    ground.claim(f"kernel parameter {parameter}", "set" if found else "not set")
    return found


def _reboot(why: str) -> Action:
    return Action(
        do=Reboot(why, can_wait=True),
        says=f"reboot, so that {why}",
        undo=Undo("nothing", "a reboot leaves nothing behind"),
        timeout=1800.0,
        seconds=120.0,
    )


# ---------------------------------------------------------------- modules


def _loads(module: str) -> str:
    return f"/etc/modules-load.d/rocmdoctor-{module}.conf"


def _blocks(module: str) -> str:
    return f"/etc/modprobe.d/rocmdoctor-blacklist-{module}.conf"


def _loaded(module: str) -> Stat:
    # The kernel writes the dashes of module names as underscores.
    return Stat(f"/sys/module/{module.replace('-', '_')}")


def _asks_module(_ground: Ground, *, module: str, blacklist: bool = False) -> Iterator[Query]:
    yield _loaded(module)
    yield from file_questions(_blocks(module) if blacklist else _loads(module))
    if blacklist:
        yield Stat(_INITRAMFS)


@operation("kernel.module", asks=_asks_module)
def module(ground: Ground, *, module: Name, blacklist: bool = False) -> Iterator[Action]:
    """Load a kernel module now and at each boot; or, with `blacklist`, keep it from loading by itself.

    A module that is loaded is not taken out of a running kernel: a blacklist asks for a reboot. Whether it is loaded, where
    nobody could tell, counts as not: loading it twice changes nothing.
    """
    loaded = ground.answer(_loaded(module)).ok
    ground.claim(f"kernel module {module}", "loaded" if loaded else "not loaded")
    yield from (
        _block_module(ground, module, loaded=loaded)
        if blacklist
        else _load_module(ground, module, loaded=loaded)
    )


def _load_module(ground: Ground, module: str, *, loaded: bool) -> Iterator[Action]:
    text = f"{module}\n"
    if not holds(ground, _loads(module), sha256_of(text)):
        yield Action(
            do=WriteFile(_loads(module), text),
            says=f"load {module} at each boot ({_loads(module)})",
            undo=Undo("restore"),
            seconds=0.1,
        )
    if not loaded:
        yield Action(
            do=Exec(("modprobe", "--", module)),
            says=f"load the kernel module {module}",
            undo=Undo(
                "impossible", "a module in use cannot be taken out; it stays loaded until the next boot"
            ),
            seconds=5.0,
        )


def _block_module(ground: Ground, module: str, *, loaded: bool) -> Iterator[Action]:
    text = f"# Written by rocmdoctor.\nblacklist {module}\n"
    path = _blocks(module)
    # Modules that are needed early are loaded from this image, with the settings in it.
    image = ((_INITRAMFS, "-u", "-k", "all"),) if ground.answer(Stat(_INITRAMFS)).ok else ()
    if not holds(ground, path, sha256_of(text)):
        yield Action(
            do=WriteFile(path, text),
            says=f"keep the kernel module {module} from loading ({path})",
            undo=Undo("restore", "makes the start images anew after it" if image else "", image),
            seconds=0.1,
        )
        for argv in image:
            yield Action(
                do=Exec(argv),
                says="make the kernels' start images anew",
                undo=Undo("commands", "made anew once the file is as it was"),
                timeout=1800.0,
                seconds=30.0,
            )
    if loaded:
        yield _reboot(f"the kernel starts without {module}")
