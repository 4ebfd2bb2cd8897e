"""shell.env's file in real shells: they take over exactly the values, whatever these are, and twice changes nothing."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from rocmdoctor.ops.shell_env import BLOCK, ENV_FILE, env_text

SHELLS = [name for name in ("sh", "bash", "zsh", "busybox") if shutil.which(name)]
_TEXT = st.text(st.characters(exclude_characters="\0", exclude_categories=("Cs",)), max_size=40)
# What shells read in their own ways: quotes, expansions, ends of words and lines.
_SHARP = st.text(st.sampled_from("'\"\\$`!#;&|<>(){}[]*?~ \t\n\r=%^é\x1b"), max_size=12)
_VALUES = st.one_of(_TEXT, _SHARP)
# Names that no shell gives a meaning of its own.
_NAMES = st.from_regex(r"V_[A-Za-z0-9_]{0,8}", fullmatch=True)
_FOLDERS = st.lists(
    st.text(
        st.characters(exclude_characters="\0:", exclude_categories=("Cc", "Cs")), min_size=1, max_size=12
    ).map(lambda name: f"/{name.replace('..', '')}"),
    max_size=3,
    unique=True,
)
_SLOW = settings(
    max_examples=30,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)


def _sourced(shell: str, path: Path, given: dict[str, str], times: int = 2) -> dict[str, str]:
    """The environment of a program that a shell starts once it has read the file."""
    read = '. "$1"; ' * times
    argv = [
        shutil.which(shell),
        *(["sh"] if shell == "busybox" else []),
        "-uc",
        f"{read} exec /usr/bin/env -0",
    ]
    out = subprocess.run(
        [*argv, "x", str(path)], env=given, stdout=subprocess.PIPE, check=True, timeout=20
    ).stdout
    lines = out.decode().split("\0")[:-1]
    return dict(line.split("=", 1) for line in lines)


@pytest.mark.touches_machine
@pytest.mark.parametrize("shell", SHELLS)
@given(variables=st.dictionaries(_NAMES, _VALUES, min_size=1, max_size=12), note=_VALUES)
@example(
    variables={"V_": "''", "V_1": "'; exit 1; '", "V_2": "a\n'b'\n", "V_3": "\\", "V_4": "$(exit 1)`exit 1`"},
    note="",
)
@example(variables={"V_": "1"}, note="a\nexit 1\r exit 1\x0cexit 1")
@_SLOW
def test_a_shell_takes_over_exactly_the_values(
    shell: str, tmp_path: Path, variables: dict[str, str], note: str
) -> None:
    path = tmp_path / "env.sh"
    path.write_text(env_text(variables, dict.fromkeys(variables, note)), encoding="utf-8", newline="")
    found = _sourced(shell, path, {"PATH": "/usr/bin"})
    assert {name: found.get(name) for name in variables} == variables
    assert found["PATH"] == "/usr/bin"


def test_a_note_is_comment_lines_without_control_characters() -> None:
    text = env_text({"V": "1"}, {"V": "why\nexit 1\r\x1b[31mred\x7f"})
    assert text.endswith("\n\n# why\n# exit 1\n# [31mred\nexport V=1\n")


@pytest.mark.touches_machine
@pytest.mark.parametrize("shell", SHELLS)
@given(before=_FOLDERS, prepend=_FOLDERS, append=_FOLDERS)
@example(before=[], prepend=["/a b", "/*"], append=["/'q'", "/$(exit 1)"])
@example(before=["/a", "/b"], prepend=["/b", "/c"], append=["/a", "/d"])
@_SLOW
def test_folders_are_put_on_path_once(
    shell: str, tmp_path: Path, before: list[str], prepend: list[str], append: list[str]
) -> None:
    path = tmp_path / "env.sh"
    path.write_text(env_text({}, {}, prepend, append), encoding="utf-8", newline="")
    wanted = [*(f for f in prepend if f not in before), *before]
    wanted += [f for f in append if f not in wanted]
    found = _sourced(shell, path, {"PATH": ":".join(before)})
    if wanted:
        assert found["PATH"].split(":") == wanted


@pytest.mark.touches_machine
@pytest.mark.parametrize("shell", SHELLS)
def test_an_unset_path_is_no_error(shell: str, tmp_path: Path) -> None:
    path = tmp_path / "env.sh"
    path.write_text(f"unset PATH\n{env_text({}, {}, [], ['/opt/rocm/bin'])}", encoding="utf-8")
    assert _sourced(shell, path, {}, times=1)["PATH"] == "/opt/rocm/bin"


@pytest.mark.touches_machine
@pytest.mark.parametrize("shell", SHELLS)
def test_the_block_reads_the_file_and_does_not_miss_it(shell: str, tmp_path: Path) -> None:
    file = tmp_path / ENV_FILE
    block = tmp_path / "block"
    block.write_text(f"set -e\n{BLOCK}", encoding="utf-8")
    assert "V" not in _sourced(shell, block, {"HOME": str(tmp_path)})
    file.parent.mkdir(parents=True)
    file.write_text(env_text({"V": "it's"}), encoding="utf-8")
    assert _sourced(shell, block, {"HOME": str(tmp_path)})["V"] == "it's"


@pytest.mark.touches_machine
@pytest.mark.skipif(not shutil.which("bash"), reason="no bash here")
@pytest.mark.parametrize(
    ("files", "seen"),
    [
        ({".bash_profile": BLOCK}, True),
        ({".profile": BLOCK}, True),
        ({".profile": BLOCK, ".bash_profile": ""}, False),
        ({".bashrc": BLOCK}, False),
        ({".bashrc": BLOCK, ".bash_profile": '. "$HOME/.bashrc"\n'}, True),
    ],
)
def test_bash_reads_in_a_login_shell_what_the_operation_takes_it_to_read(
    tmp_path: Path, files: dict[str, str], seen: bool
) -> None:
    (tmp_path / ENV_FILE).parent.mkdir(parents=True)
    (tmp_path / ENV_FILE).write_text(env_text({"V": "1"}), encoding="utf-8")
    for name, text in files.items():
        (tmp_path / name).write_text(text, encoding="utf-8")
    out = subprocess.run(
        ["bash", "-lc", "echo ${V-unset}"],
        env={"HOME": str(tmp_path), "PATH": "/usr/bin:/bin"},
        stdout=subprocess.PIPE,
        check=True,
        timeout=20,
    ).stdout
    assert out.split()[-1] == (b"1" if seen else b"unset")
