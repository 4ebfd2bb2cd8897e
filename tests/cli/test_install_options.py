"""The options of `plan` and `install`: what they take, what they refuse, and the command that says the same."""

from __future__ import annotations

from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from rocmdoctor.actions import Request
from rocmdoctor.cli.install_options import Wanted, complete_recipe, options_of, planning_options
from rocmdoctor.cli.installing import command_of

FPR = "CA8BB4727A47B4D09B4EE8969386B48A1A693C5C"


def _asked(*words: str) -> tuple[Wanted | None, str]:
    found: list[Wanted] = []

    @click.command()
    @planning_options
    def command(wanted: Wanted) -> None:
        found.append(wanted)

    said = CliRunner().invoke(command, words)
    return (found[0] if found else None), said.output


def test_all_of_it_arrives() -> None:
    words = (
        "--arch gfx90a --rocm 6.* --rocm-source amd --driver dkms --keep nvidia --mirror http://127.0.0.1:8080/ "
        f"--trust-key {FPR.lower()} --no-root --pin torch==2.9.* --pin deepspeed<0.19 --with axolotl --with base "
        "--from-source bitsandbytes --python 3.12 --env /srv/env/"
    ).split()
    wanted, _ = _asked(*words)
    assert wanted is not None
    assert wanted.asked == Request(
        (), "gfx90a", "amd", True, "6.*", "dkms", ("nvidia",), "http://127.0.0.1:8080", FPR,
        ("torch==2.9.*", "deepspeed<0.19"), ("axolotl", "base"), ("bitsandbytes",), "3.12", "/srv/env",
    )  # fmt: skip
    assert options_of(wanted.asked) == (
        "--arch", "gfx90a", "--rocm", "6.*", "--rocm-source", "amd", "--driver", "dkms", "--keep", "nvidia",
        "--mirror", "http://127.0.0.1:8080", "--trust-key", FPR, "--pin", "torch==2.9.*", "--pin", "deepspeed<0.19",
        "--with", "axolotl", "--with", "base", "--from-source", "bitsandbytes", "--python", "3.12", "--env", "/srv/env",
        "--no-root",
    )  # fmt: skip


def test_nothing_is_asked_where_nothing_is_said() -> None:
    wanted, _ = _asked()
    assert wanted is not None
    assert (wanted.asked, wanted.given) == (Request(()), ())


def test_the_command_that_asks_for_the_same() -> None:
    request = Request(("base",), rocm=">=6.2,<7", keep=("nvidia",))
    assert command_of(request, (Path("/srv/own"),)) == (
        "rocmdoctor install base --rocm '>=6.2,<7' --keep nvidia --content /srv/own"
    )


@pytest.mark.parametrize("spaced", ["CA8B B472 7A47 B4D0 9B4E  E896 9386 B48A 1A69 3C5C", f"0x{FPR}"])
def test_a_fingerprint_is_taken_as_gpg_shows_it(spaced: str) -> None:
    wanted, _ = _asked("--trust-key", spaced)
    assert wanted is not None
    assert wanted.asked.trust_key == FPR


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("--rocm", "newest"), "'newest' says no versions; write 6.0.2, 6.4, 6.* or '>=6.2,<7'"),
        (("--driver", "dksm"), "'dksm' is not one of 'auto', 'dkms', 'kernel'"),
        (("--mirror", "http://mirror.example"), "'http://mirror.example' is not an https:// or file:// address"),
        (("--mirror", "https://ann:pw@mirror.example"), "without a name and a password in it"),
        (("--pin", "torch"), "'torch' names no versions of a component; write torch==2.9.* or 'torch>=2.8,<2.10'"),
        (("--pin", "torch=2.9"), "'torch=2.9' names no versions of a component"),
        (("--pin", "torch[x]==2.9"), "'torch[x]==2.9' names no versions of a component"),
        (("--python", "newest"), "'newest' says no versions"),
        (("--env", "/"), "'/' is no folder that anything could be in"),
        (("--trust-key", "1A693C5C"), "'1A693C5C' is not a key fingerprint of 40 hexadecimal digits; shorter ids"),
    ],
)  # fmt: skip
def test_what_is_refused(words: tuple[str, ...], says: str) -> None:
    wanted, said = _asked(*words)
    assert wanted is None
    assert says in " ".join(said.split())


def test_recipes_are_completed() -> None:
    context = click.Context(click.Command("plan"))
    option = click.Option(["--with"])
    assert complete_recipe(context, option, "axo") == ["axolotl", "axolotl-2024"]
