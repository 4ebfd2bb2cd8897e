"""What clears leftovers away, given to the programs themselves: grep, sed, find and mv, on files of their own."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from rocmdoctor.actions import Action, Exec
from tests.machines.healthy import machine
from tests.machines.parts import ABSENT, ran, text
from tests.ops.test_operations import ground_of, planned

pytestmark = pytest.mark.touches_machine

LISTS = """\
# deb https://repo.radeon.com/rocm/apt/5.7 jammy main
deb http://archive.ubuntu.com/ubuntu jammy main universe
deb [arch=amd64] https://repo.radeon.com/rocm/apt/5.7 jammy main
deb-src [arch=amd64] https://repo.radeon.com/rocm/apt/5.7/ jammy main # ROCm

deb https://repo.radeon.com/rocm/apt/5.7.1 jammy main
deb [signed-by=/etc/apt/keyrings/docker.gpg] https://download.docker.com/linux/ubuntu jammy stable
"""


def _run(argv: tuple[str, ...]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        argv,
        capture_output=True,
        check=False,
        timeout=30,
        text=True,
        env={"LC_ALL": "C", "PATH": "/usr/bin:/bin"},
    )


def _moved_to(argv: tuple[str, ...], old: str, new: Path) -> tuple[str, ...]:
    return tuple(word.replace(old, str(new)) for word in argv)


def _of(action: Action) -> tuple[str, ...]:
    assert isinstance(action.do, Exec)
    return action.do.argv


def _forgets(line: str, left: str) -> tuple[tuple[str, ...], Action]:
    """The question about the rest of a file, and the one action; `left` is the answer."""
    answers = machine("mi210-no-rocm")
    answers["read:/etc/apt/sources.list"] = text(line)
    asked, _ = planned("apt.forget", {"vendor": "amd"}, ground_of(answers))
    (question,) = asked
    from rocmdoctor.asking import keys

    answers[keys(question)[0]] = ran(left)
    _, (action,) = planned("apt.forget", {"vendor": "amd"}, ground_of(answers))
    return question.argv, action  # type: ignore[attr-defined]


def test_only_the_vendors_lines_are_commented_out_and_undo_gives_the_file_back(tmp_path: Path) -> None:
    file = tmp_path / "sources.list"
    file.write_text(LISTS)
    question, action = _forgets("deb https://repo.radeon.com/rocm/apt/5.7 jammy main\n", "3\n")
    # Two of Ubuntu's and Docker's, and one of another release.
    assert _run(_moved_to(question, "/etc/apt/sources.list", file)).stdout == "3\n"
    assert _run(_moved_to(_of(action), "/etc/apt/sources.list", file)).returncode == 0
    changed = [
        new for old, new in zip(LISTS.splitlines(), file.read_text().splitlines(), strict=True) if old != new
    ]
    assert changed == [
        "# rocmdoctor: deb [arch=amd64] https://repo.radeon.com/rocm/apt/5.7 jammy main",
        "# rocmdoctor: deb-src [arch=amd64] https://repo.radeon.com/rocm/apt/5.7/ jammy main # ROCm",
    ]
    (undo,) = action.undo.commands
    assert _run(_moved_to(undo, "/etc/apt/sources.list", file)).returncode == 0
    assert file.read_text() == LISTS


def test_a_file_with_nothing_else_in_it_is_known_as_one(tmp_path: Path) -> None:
    file = tmp_path / "sources.list"
    file.write_text(
        "# AMD\n\n  deb [arch=amd64] https://repo.radeon.com/rocm/apt/5.7 jammy main\n#deb-src x\n"
    )
    question, _ = _forgets("deb https://repo.radeon.com/rocm/apt/5.7 jammy main\n", "0\n")
    assert _run(_moved_to(question, "/etc/apt/sources.list", file)).stdout == "0\n"


def test_owners_are_found_by_whole_paths_in_dpkgs_own_lists(tmp_path: Path) -> None:
    (tmp_path / "rocm-core.list").write_text("/.\n/opt\n/opt/rocm-6.2.4\n/opt/rocm-6.2.4/bin\n")
    (tmp_path / "mesa:amd64.list").write_text("/etc/OpenCL/vendors\n/etc/OpenCL/vendors/mesa.icd\n")
    (tmp_path / "rocm-core.md5sums").write_text("/opt/rocm-9.9.9\n")
    given = {"vendor": "amd", "paths": ["/opt/rocm-*", "/etc/OpenCL/vendors/mesa.icd"]}
    asked, _ = planned("file.aside", given, ground_of(machine("mi210-no-rocm")))
    (question,) = [q.argv for q in asked if getattr(q, "argv", ())[:1] == ("grep",)]  # type: ignore[attr-defined]
    said = _run(_moved_to(question, "/var/lib/dpkg/info", tmp_path))
    assert sorted(said.stdout.splitlines()) == [
        f"{tmp_path}/mesa:amd64.list:/etc/OpenCL/vendors/mesa.icd",
        f"{tmp_path}/rocm-core.list:/opt/rocm-6.2.4",
    ]


def _aside(paths: list[str], **answers: object) -> list[Action]:
    given = {**machine("mi210-no-rocm"), "list:/var/backups/rocmdoctor": ABSENT, **answers}
    ground = ground_of(given)
    ground.leaving = {"rocm-core"}
    return planned("file.aside", {"vendor": "amd", "paths": paths}, ground)[1]


@pytest.mark.parametrize("owned", [True, False], ids=["what a package leaves", "what no package owns"])
def test_a_folder_is_moved_with_all_that_is_in_it_and_undo_moves_it_back(
    tmp_path: Path, *, owned: bool
) -> None:
    owners = "run:grep -rsxE '--include=*.list' '(/opt/rocm-[^/]*)' /var/lib/dpkg/info"
    line = "/var/lib/dpkg/info/rocm-core.list:/opt/rocm-5.7.0\n" if owned else ""
    make, move = _aside(
        ["/opt/rocm-*"], **{"list:/opt": text("rocm-5.7.0/\n"), owners: ran(line, code=0 if owned else 1)}
    )
    here = tmp_path / "opt" / "rocm-5.7.0"
    here.mkdir(parents=True)
    (here / "mine.txt").write_text("x")
    (here / "link").symlink_to("nowhere")

    def inside(argv: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(f"{tmp_path}{word}" if word.startswith("/") else word for word in argv)

    there = tmp_path / "var/backups/rocmdoctor/1/opt/rocm-5.7.0"
    assert _run(inside(_of(make))).returncode == 0
    assert _run(inside(_of(move))).returncode == 0
    assert not here.exists()
    assert ((there / "mine.txt").read_text(), (there / "link").is_symlink()) == ("x", True)
    (undo,) = move.undo.commands
    assert _run(inside(undo)).returncode == 0
    assert (here / "mine.txt").read_text() == "x"
    if owned:
        # A package that takes all of its folder along leaves nothing to move, which is no failure.
        (here / "mine.txt").unlink()
        (here / "link").unlink()
        here.rmdir()
        assert _run(inside(_of(move))).returncode == 0
