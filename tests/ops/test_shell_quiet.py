"""`shell.quiet` with sed itself, on files as people have them."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from rocmdoctor.actions import Exec, Person
from rocmdoctor.diagnosis.known import Known
from rocmdoctor.facts.shell import ShellFiles
from rocmdoctor.hosts.replay import from_raw
from rocmdoctor.model import Verdict, Wish
from rocmdoctor.ops import all_operations
from rocmdoctor.ops.ground import Ground
from rocmdoctor.ops.shell_quiet import quiet
from tests.judging import judge
from tests.machines.families import family

NAME = "HSA_OVERRIDE_GFX_VERSION"
CHECK = "environment.hsa-override"

FILES = [
    (".bashrc", "export HSA_OVERRIDE_GFX_VERSION=10.3.0\n", ": # rocmdoctor: export HSA_OVERRIDE_GFX_VERSION=10.3.0\n"),
    (".bashrc", "if true; then\n  export HSA_OVERRIDE_GFX_VERSION='10.3.0'\nfi\n",
     "if true; then\n: # rocmdoctor:   export HSA_OVERRIDE_GFX_VERSION='10.3.0'\nfi\n"),
    (".bashrc", "export A=1; export HSA_OVERRIDE_GFX_VERSION=10.3.0\n", None),
    (".bashrc", "export HSA_OVERRIDE_GFX_VERSION=10.3.0 && echo set\n", None),
    (".profile", "declare -x HSA_OVERRIDE_GFX_VERSION=10.3.0\n", ": # rocmdoctor: declare -x HSA_OVERRIDE_GFX_VERSION=10.3.0\n"),
    (".config/fish/config.fish", "set -gx HSA_OVERRIDE_GFX_VERSION 10.3.0\n", ": # rocmdoctor: set -gx HSA_OVERRIDE_GFX_VERSION 10.3.0\n"),
    (".config/environment.d/rocm.conf", "HSA_OVERRIDE_GFX_VERSION=10.3.0\n", "# rocmdoctor: HSA_OVERRIDE_GFX_VERSION=10.3.0\n"),
]  # fmt: skip


def _ground(file: str, line: int) -> Ground:
    known = Known(from_raw({"schema": 1, "answers": {}}).answers, lambda kind: None, Wish())
    from rocmdoctor.facts.shell import Assignment

    known._known[ShellFiles] = ShellFiles((Assignment(file, line, NAME, "10.3.0", exported=True),))
    ground = Ground(known, {}, Person("ann", 1000, file.partition("/.")[0], "/bin/bash"))
    ground.verdicts = {CHECK: Verdict("fail", f"{NAME}=10.3.0 (line {line} of {file}): it does harm")}
    return ground


@pytest.mark.touches_machine
@pytest.mark.parametrize(("name", "before", "after"), FILES)
def test_the_line_becomes_a_comment_and_comes_back(
    name: str, before: str, after: str | None, tmp_path: Path
) -> None:
    path = tmp_path / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(before, encoding="utf-8")
    line = next(n for n, text in enumerate(before.splitlines(), 1) if NAME in text)
    (action,) = quiet(_ground(str(path), line), names=[NAME], check=CHECK)
    assert isinstance(action.do, Exec)
    assert not action.root
    subprocess.run(action.do.argv, check=True)
    assert path.read_text(encoding="utf-8") == (after if after is not None else before)
    for argv in action.undo.commands:
        subprocess.run(argv, check=True)
    assert path.read_text(encoding="utf-8") == before


@pytest.mark.touches_machine
def test_a_link_stays_a_link(tmp_path: Path) -> None:
    real = tmp_path / "dotfiles"
    real.write_text(f"export {NAME}=10.3.0\n", encoding="utf-8")
    link = tmp_path / ".bashrc"
    link.symlink_to(real)
    (action,) = quiet(_ground(str(link), 1), names=[NAME], check=CHECK)
    assert isinstance(action.do, Exec)
    subprocess.run(action.do.argv, check=True)
    assert link.is_symlink()
    assert real.read_text(encoding="utf-8").startswith(": # rocmdoctor: export")


def test_only_what_the_check_names_is_touched() -> None:
    answers = family("mi210")
    answers["read:/home/ann/.bashrc"] = {
        "ok": True,
        "text": f"\n\nexport\n{NAME}=10.3.0\nexport\nHIP_VISIBLE_DEVICES=0\n",
    }
    outcome = judge(answers)
    ground = Ground(
        outcome.known, from_raw({"schema": 1, "answers": answers}).answers, Person("ann", 1000, "/home/ann")
    )
    ground.verdicts = {v.id: v for v in outcome.diagnosis.verdicts}
    made = list(quiet(ground, names=[NAME, "HIP_VISIBLE_DEVICES"], check=CHECK))
    assert [action.says for action in made] == [
        f"make line 3 of /home/ann/.bashrc a comment, which sets {NAME}"
    ]
    assert made[0].then == "Log in again: sessions that are open keep what was set in them."


def test_it_is_an_operation() -> None:
    assert "shell.quiet" in all_operations()
