"""Shells of the user's have what they need and nothing that does harm."""

from __future__ import annotations

import re

import pytest

_OURS = ".config/rocmdoctor/env.sh"
# It makes the runtime run code of another GPU.
_HARMFUL = ("HSA_OVERRIDE_GFX_VERSION",)


def test_no_variable_does_harm(user) -> None:
    for name in _HARMFUL:
        assert user.in_shell("bash -ic", f"echo ${{{name}-}}").out == "", name


def test_exports_are_read_once_and_can_be_read(user) -> None:
    if user.run(f"test -e ~/{_OURS}").code:
        pytest.skip(f"this machine needed no exports: there is no ~/{_OURS}")
    user.good(f"bash -n ~/{_OURS}")
    assert user.good("grep -cE '^# >>> rocmdoctor >>>' ~/.bashrc").strip() == "1"


def test_every_exported_value_is_in_a_new_shell(user) -> None:
    text = user.run(f"cat ~/{_OURS}").out
    names = re.findall(r"^export (\w+)=", text, re.MULTILINE)
    if not names:
        pytest.skip("this machine needed no exports")
    for name in names:
        assert user.in_shell("bash -ic", f"echo ${name}").out, f"{name} is exported, and no new bash has it"


def test_zsh_has_the_exports_too(user) -> None:
    if not user.shell.endswith("/zsh"):
        pytest.skip(f"{user.name} uses {user.shell}")
    assert user.in_shell("zsh -ic", "command -v hipcc").out.startswith("/")


def test_a_new_shell_complains_of_nothing(user) -> None:
    said = user.run("bash -ic true </dev/null 2>&1 | grep -vE 'job control|terminal process group' || true")
    assert "rocm" not in said.out.lower(), said.out


def test_what_was_written_at_home_is_the_user_s_own(machine, user) -> None:
    machine.needs_root()
    # A path that is not there is none of ours.
    said = machine.run(
        'find "$1/.config/rocmdoctor" "$1/.bashrc" "$1/.zshrc" \\( ! -user "$2" -o -perm /002 \\) ! -type l 2>/dev/null',
        user.home,
        user.name,
    )
    assert said.out == ""
