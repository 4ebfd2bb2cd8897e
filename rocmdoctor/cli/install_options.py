"""Options that `plan` and `install` share."""

from __future__ import annotations

import functools
import os
import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import click

from rocmdoctor.actions import Request
from rocmdoctor.cli.options import KNOWN_ARCH
from rocmdoctor.ops.arguments import FINGERPRINT, URL


class Versions(click.ParamType):  # type: ignore[type-arg]
    """A release such as 6.0.2, the newest of a series such as 6.4 or 6.*, or a set of versions such as >=6.2,<7."""

    name = "version"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """The text, when it says versions."""
        from packaging.specifiers import InvalidSpecifier

        from rocmdoctor.planning.wish import versions

        try:
            versions(str(value))
        except InvalidSpecifier:
            self.fail(f"'{value}' says no versions; write 6.0.2, 6.4, 6.* or '>=6.2,<7'", param, ctx)
        return str(value)


class Mirror(click.ParamType):  # type: ignore[type-arg]
    """The address of a server, without the part that is the same on every mirror."""

    name = "url"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """The address without a slash at its end."""
        address = str(value).rstrip("/")
        if not URL.fits(address) or "@" in address:
            self.fail(f"'{value}' is not {URL.wanted} without a name and a password in it", param, ctx)
        return address


class KeyPrint(click.ParamType):  # type: ignore[type-arg]
    """The fingerprint of an OpenPGP key, as gpg shows it: with blanks or without."""

    name = "fingerprint"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """40 large hexadecimal digits."""
        digits = re.sub(r"\s|:", "", str(value)).upper().removeprefix("0X")
        if not FINGERPRINT.fits(digits):
            self.fail(f"'{value}' is not {FINGERPRINT.wanted}; shorter ids can be forged", param, ctx)
        return digits


class Pin(click.ParamType):  # type: ignore[type-arg]
    """A component and versions of it, such as torch==2.9.*."""

    name = "requirement"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """The requirement without blanks."""
        from packaging.requirements import InvalidRequirement, Requirement

        try:
            found = Requirement(str(value))
        except InvalidRequirement:
            found = None
        if found is None or not found.specifier or found.extras or found.marker or found.url:
            self.fail(
                f"'{value}' names no versions of a component; write torch==2.9.* or 'torch>=2.8,<2.10'",
                param,
                ctx,
            )
        return f"{found.name}{found.specifier}"


class LockFile(click.ParamType):  # type: ignore[type-arg]
    """A file that is to be read."""

    name = "file"

    def convert(self, value: Any, _param: click.Parameter | None, _ctx: click.Context | None) -> str:
        """Its absolute path: a plan that was made from it may be carried out from another folder."""
        return os.path.normpath(Path(str(value)).expanduser().absolute())


class Folder(click.ParamType):  # type: ignore[type-arg]
    """A folder, whether or not it is there: that of a Python environment, or one that stands in for servers."""

    name = "path"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """Its absolute path."""
        path = os.path.normpath(Path(str(value)).expanduser().absolute())
        if path == "/" or any(ord(letter) < 32 for letter in path):
            self.fail(f"'{value}' is no folder that anything could be in", param, ctx)
        return path


@dataclass(frozen=True)
class Wanted:
    """What the options ask for. `asked` has no targets yet."""

    asked: Request
    content: tuple[Path, ...]
    patience: float
    verbose: int
    no_color: bool
    lock: Path | None = None

    @property
    def given(self) -> tuple[str, ...]:
        """The options that a plan already made does not take."""
        return options_of(self.asked)


def options_of(request: Request) -> tuple[str, ...]:
    """A request as words of a command line, without its targets. Where there is a lock, it says the versions."""
    words: list[str] = []
    if request.locked:
        request = replace(request, pins=(), more=(), from_source=())
    for option, value in (
        ("--arch", request.arch),
        ("--rocm", request.rocm),
        ("--rocm-source", request.rocm_source),
        ("--driver", request.driver),
        *(("--keep", name) for name in request.keep),
        ("--mirror", request.mirror),
        ("--trust-key", request.trust_key),
        *(("--pin", pin) for pin in request.pins),
        *(("--with", name) for name in request.more),
        *(("--from-source", name) for name in request.from_source),
        ("--python", request.python),
        ("--env", request.env),
        ("--locked", request.locked),
        ("--mirror-folder", request.mirror_folder),
    ):
        if value:
            words += [option, value]
    return (*words, *(["--no-root"] if request.no_root else []))


def complete_recipe(_ctx: click.Context, _param: click.Parameter, incomplete: str) -> list[str]:
    """Recipes and stacks by the names of their files."""
    from rocmdoctor.content import bundled, own_folders, recipe_files

    names = {path.stem for folder in (bundled(), *own_folders()) for path in recipe_files(folder)}
    return [name for name in sorted(names) if name.startswith(incomplete)]


_OPTIONS = (
    click.option("--arch", type=KNOWN_ARCH, help="The gfx target to build for; default: the discrete GPUs that are here."),
    click.option("--rocm", type=Versions(), help="The release of ROCm: 6.0.2, 6.4, 6.* or '>=6.2,<7'; default: the newest for this machine."),
    click.option(
        "--rocm-source", type=click.Choice(["amd", "distro", "pip"]), default=None,
        help="Where ROCm comes from. amd: AMD's repository, the default on Ubuntu. distro: the distribution's own packages, "
        "the default on Debian. pip: wheels in the user's home, the default with --no-root.",
    ),
    click.option(
        "--driver", type=click.Choice(["auto", "dkms", "kernel"]), default=None,
        help="The GPUs' driver. dkms: AMD's, built for this kernel. kernel: the kernel's own. auto, the default: AMD's where "
        "it is known to go with the kernel, the GPUs and ROCm.",
    ),
    click.option("--keep", type=click.Choice(["nvidia"]), multiple=True, help="Packages that stay although no such GPU is here."),
    click.option("--mirror", type=Mirror(), help="A mirror of AMD's repositories: its scheme, host and what stands before their paths."),
    click.option("--trust-key", type=KeyPrint(), metavar="FPR", help="The fingerprint of the key that signs the repository, where it is not the known one."),
    click.option(
        "--pin", "pins", type=Pin(), multiple=True, metavar="COMPONENT==VERSION", shell_complete=complete_recipe,
        help="Narrow the versions of a component: 'torch==2.9.*', 'deepspeed<0.19'. May be given several times.",
    ),
    click.option("--with", "more", multiple=True, metavar="RECIPE", shell_complete=complete_recipe, help="Add a recipe or stack to what is installed, such as axolotl."),
    click.option(
        "--from-source", multiple=True, metavar="COMPONENT", shell_complete=complete_recipe,
        help="Build a component even where there is a wheel for it, such as bitsandbytes.",
    ),
    click.option("--python", type=Versions(), help="The environment's Python, such as 3.12; default: one that is here and fits."),
    click.option("--env", type=Folder(), help="The Python environment to install into: a venv or conda, made where it is not there. Default: one of rocmdoctor's own."),
    click.option("--lock", type=click.Path(path_type=Path, dir_okay=False), help="Also write every version, address, digest and commit here, from which another machine plans the same. 'install' writes it at its end, with the sha256 of what came; without this option to rocmdoctor.lock in the environment."),
    click.option("--locked", type=LockFile(), help="Plan what a file says that an installation or --lock wrote, and nothing else."),
    click.option(
        "--mirror-folder", type=Folder(), metavar="DIR",
        help="With --locked: take every wheel, archive and repository from here, where 'rocmdoctor cache fill' put it, and nothing from the network.",
    ),
    click.option("--no-root", is_flag=True, help="Plan only what needs no root; the rest is listed for an administrator."),
    click.option("--content", type=click.Path(path_type=Path), multiple=True, help="A folder with recipes/ and checks/ of your own."),
    click.option("--patience", type=click.FloatRange(0.1, 100), default=1.0, help="Stretches the time limits of questions."),
    click.option("-v", "--verbose", count=True, help="Every command and file of every step."),
    click.option("--no-color", is_flag=True, help="Plain text; NO_COLOR does the same."),
)  # fmt: skip
_REQUESTED = (
    "arch", "rocm", "rocm_source", "driver", "keep", "mirror", "trust_key", "no_root", "pins", "more", "from_source", "python",
    "env", "locked", "mirror_folder",
)  # fmt: skip
_WANTED = ("content", "patience", "verbose", "no_color", "lock")


def complete_target(_ctx: click.Context, _param: click.Parameter, incomplete: str) -> list[str]:
    """Recipes and stacks by the names of their files, and plans that were saved here."""
    plans = [path.name for path in Path.cwd().glob("*.json")]
    names = complete_recipe(_ctx, _param, incomplete)
    return [*names, *(name for name in sorted(plans) if name.startswith(incomplete))]


def planning_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """Adds the options and hands them over as one `Wanted`."""

    @functools.wraps(function)
    def wrapped(*args: Any, **options: Any) -> Any:
        asked = Request((), **{name: options.pop(name) for name in _REQUESTED})
        wanted = Wanted(asked, **{name: options.pop(name) for name in _WANTED})
        return function(*args, wanted=wanted, **options)

    for option in reversed(_OPTIONS):
        wrapped = option(wrapped)
    return wrapped
