"""What an operation plans, once done, is not planned again: on a machine that is pretended, and on real files."""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from rocmdoctor.actions import Action, Exec, Fetch, Person, Reboot, WriteFile
from rocmdoctor.applying.blocks import with_block, without_block
from rocmdoctor.asking import keys
from rocmdoctor.diagnosis.known import Known
from rocmdoctor.hosts.machine import Machine
from rocmdoctor.hosts.replay import from_raw
from rocmdoctor.model import Stat
from rocmdoctor.ops.arguments import VARIABLE
from rocmdoctor.ops.ground import BEGIN, END, Ground, block_question, file_questions
from tests.machines.parts import ABSENT, ran, text
from tests.ops import building
from tests.ops.test_operations import CASES, OPERATIONS, TABLES, _answers, ground_for, planned

# ---------------------------------------------------------------- pretended


def _done(answers: dict[str, Any], actions: Iterable[Action]) -> None:
    """Changes the answers as the actions change a machine."""
    for action in actions:
        do = action.do
        if isinstance(do, WriteFile) and "/requirements/" in do.path:
            answers["pinned"] = [line.split()[0] for line in (do.text or "").splitlines()]
        elif isinstance(do, WriteFile) and do.block:
            _block(answers, do)
        elif isinstance(do, WriteFile):
            _file(
                answers,
                do.path,
                do.mode,
                None if do.text is None else hashlib.sha256(do.text.encode()).hexdigest(),
            )
        elif isinstance(do, Fetch):
            # Which bytes a key comes in only its server knows.
            _file(answers, do.path, do.mode, do.sha256 or hashlib.sha256(do.key.encode()).hexdigest())
        elif isinstance(do, Exec):
            _program(answers, do.argv)
        elif isinstance(do, Reboot):
            words = re.findall(r"^the kernel starts with (.*)", do.why)
            answers["read:/proc/cmdline"] = text("\n".join(" ".join(words).split()))
            for module in re.findall(r"^the kernel starts without (.*)", do.why):
                answers[f"stat:/sys/module/{module}"] = ABSENT


def _file(answers: dict[str, Any], path: str, mode: int, sha256: str | None) -> None:
    stat, sums = (keys(query)[0] for query in file_questions(path))
    if sha256 is None:
        answers[stat] = ABSENT
        _forget(answers, path)
        return
    owner = "ann ann" if path.startswith("/home/ann/") else "root root"
    # A file that is there keeps its mode and owner.
    if not answers.get(stat, ABSENT)["ok"]:
        answers[stat] = text(f"file {mode:04o} {owner}")
    answers[sums] = ran(f"{sha256}  {path}\n")


def _forget(answers: dict[str, Any], path: str) -> None:
    """A path is no longer there: not in its folder and not among what patterns match."""
    folder, _, name = path.rpartition("/")
    if answers.get(f"list:{folder}", ABSENT)["ok"]:
        kept = [n for n in answers[f"list:{folder}"]["text"].splitlines() if n.rstrip("/@") != name]
        answers[f"list:{folder}"] = text("\n".join(kept))
    for answer in answers.values():
        if path in answer.get("files", {}):
            answer["files"] = {p: t for p, t in answer["files"].items() if p != path}


def _block(answers: dict[str, Any], do: WriteFile) -> None:
    shown = "" if do.text is None else f"{BEGIN}\n{do.text}{END}\n"
    answers[keys(block_question(do.path))[0]] = ran(shown)
    if do.text is not None:
        answers[keys(Stat(do.path))[0]] = text("file 0644 ann ann")
    if do.path.endswith("/pip.conf"):
        answers[f"read:{do.path}"] = text(do.text or "")
    if do.path == "/etc/adduser.conf":
        answers["read:/etc/adduser.conf"]["ok"] = True
        answers["read:/etc/adduser.conf"]["text"] = answers["read:/etc/adduser.conf"].get("text", "") + (
            do.text or ""
        )


def _program(answers: dict[str, Any], argv: tuple[str, ...]) -> None:
    if _cleared(answers, argv) or building.did(answers, argv):
        return
    match argv:
        case ("chmod", mode, "--", path):
            answers[f"stat:{path}"] = text(re.sub(r"\d{4}", mode, answers[f"stat:{path}"]["text"]))
        case ("chown", _, "--", path):
            answers[f"stat:{path}"] = text(
                " ".join([*answers[f"stat:{path}"]["text"].split()[:2], "root root"])
            )
        case ("groupadd", "--system", "--force", group):
            answers[f"run:getent group -- {group}"] = ran(f"{group}\n")
        case ("gpasswd", "-a", "ann", group):
            answers[f"run:getent group -- {group}"] = ran(f"{group}\nann\n")
        case ("modprobe", "--", module):
            answers[f"stat:/sys/module/{module}"] = text("dir 0755 root root")
        case ("systemctl", "enable", "--", unit):
            answers[f"run:systemctl is-enabled -- {unit}"] = ran("enabled\n")
        case ("systemctl", "restart", "--", unit):
            answers[f"run:systemctl is-active -- {unit}"] = ran("active\n")
        case ("apt-get", *words) if "purge" in words or not {"update", "-f"} & set(words):
            _packages(answers, argv)
        case ("dpkg", *_):
            answers["list:/var/lib/dpkg/updates"] = text("")
            status = answers["read:/var/lib/dpkg/status"]["text"]
            answers["read:/var/lib/dpkg/status"] = text(re.sub(r"Status: .*\n", "", status))
        case _:
            assert argv[0] in (
                "update-grub",
                "/usr/sbin/update-initramfs",
                "systemctl",
                "udevadm",
                "install",
                "apt-get",
            )
            assert argv[0] != "systemctl" or argv == ("systemctl", "daemon-reload")


def _cleared(answers: dict[str, Any], argv: tuple[str, ...]) -> bool:
    """Programs that clear leftovers away."""
    match argv:
        case ("mv", "-T", "--", source, _) | ("mv", "-n", "-T", "--", source, _):
            _forget(answers, source)
        case ("sed", "-i", "-E", _, "/etc/apt/sources.list"):
            answers["read:/etc/apt/sources.list"] = text("")
        case ("sed", "-i", "-E", _, path) if path.startswith("/etc/apt/sources.list.d/"):
            _forget(answers, path)
        # What sed makes of real files is tried in test_shell_quiet.py.
        case ("sed", "-i", "--follow-symlinks", "-E", how, path):
            (name,) = re.findall(r"([A-Z][A-Z0-9_]+)\[=", how)
            answers[f"read:{path}"]["text"] = re.sub(
                rf"(export\n)?{name}=\S*", "", answers[f"read:{path}"]["text"]
            )
        case ("update-alternatives", "--quiet", "--remove", name, _):
            (key,) = [k for k in answers if k.startswith("run:find /etc/alternatives")]
            left = [row for row in answers[key]["stdout"].splitlines() if not row.startswith(f"{name}\t")]
            answers[key] = ran("\n".join(left))
        case ("dpkg", *words, _) if "--purge" in words:
            _packages(answers, ("dpkg", "purge", *argv[argv.index("--purge") + 1 :]))
        case ("dkms", "remove", name, "--all"):
            answers["list:/var/lib/dkms/amdgpu"] = text("")
            assert name.startswith("amdgpu/")
        case _:
            return False
    return True


def _packages(answers: dict[str, Any], argv: tuple[str, ...]) -> None:
    at = max(n for n, word in enumerate(argv) if word in ("install", "purge"))
    status = answers["read:/var/lib/dpkg/status"]["text"]
    for name in argv[at + 1 :]:
        plain, _, version = name.partition("=")
        status = re.sub(
            rf"^Package: {re.escape(plain)}\n(?:(?!Package).*\n)*", "", status, flags=re.MULTILINE
        )
        if argv[at] == "install":
            status += f"Package: {plain}\nVersion: {version or '1'}\n"
    # A machine has more packages than those that a case names; a file without any is not dpkg's.
    answers["read:/var/lib/dpkg/status"] = text(f"{status}Package: base-files\nVersion: 1\n")


_AGAIN = [
    c
    for c in CASES
    if c.get("do")
    # Always done, or done as long as nobody can tell; whether a patch is in a tree is told when it is applied.
    and c["uses"] not in ("reboot", "run", "patch.apply")
    and "nobody can" not in c["name"]
    and "only root can read" not in c["name"]
    and "do not tell" not in c["name"]
    and "apt cannot be asked" not in c["name"]
    # Whatever leaves was there when the plan was made.
    and "leaving" not in c
]


@pytest.mark.parametrize("case", [pytest.param(c, id=f"{c['uses']}: {c['name']}") for c in _AGAIN])
def test_what_is_done_is_not_planned_again(case: dict[str, Any]) -> None:
    answers = _answers(case)
    ground = ground_for(case, answers)
    asked, first = planned(case["uses"], case.get("with", {}), ground)
    answers["claimed"] = ground.claims
    _done(answers, first)
    del answers["claimed"]
    if case["uses"] == "apt.repair":
        answers["run:apt-get --print-uris --assume-no -o Debug::NoLocking=1 -f install"] = ran(
            "0 upgraded, 0 newly installed, 0\n"
        )
    _, second = planned(case["uses"], case.get("with", {}), ground_for(case, answers))
    assert asked or case["uses"] in ("apt.purge", "apt.forget", "shell.quiet")
    assert [action.says for action in second] == []


# ---------------------------------------------------------------- real files


class Home:
    """A home folder of this machine in which plans are made, asked and carried out for real."""

    def __init__(self, path: Path, shell: str) -> None:
        self.person = Person("somebody", os.getuid() or 1, str(path), shell)

    def plan(self, uses: str, arguments: dict[str, Any]) -> list[Action]:
        operation = OPERATIONS[uses]
        assert operation.asks is not None
        questions = operation.asks(Ground(Known({}, TABLES), {}, self.person), **arguments)
        answers = from_raw({"schema": 1, "answers": Machine(patience=4).ask(questions)}).answers
        return list(operation.function(Ground(Known(answers, TABLES), answers, self.person), **arguments))

    def do(self, actions: list[Action]) -> None:
        for action in actions:
            if isinstance(action.do, Exec):
                assert action.do.argv[0] == "chmod"
                Path(action.do.argv[3]).chmod(int(action.do.argv[1], 8))
                continue
            assert isinstance(action.do, WriteFile)
            path = Path(action.do.path)
            path.parent.mkdir(parents=True, exist_ok=True)
            before = path.read_bytes() if path.exists() else b""
            if action.do.text is None and not action.do.block:
                path.unlink()
            elif action.do.block:
                path.write_bytes(
                    with_block(before, action.do.text) if action.do.text else without_block(before)
                )
            else:
                path.write_bytes((action.do.text or "").encode())


_HOMES = st.dictionaries(
    st.sampled_from([".bashrc", ".zshrc", ".profile", ".bash_profile", ".bash_login"]),
    st.sampled_from(
        [
            "",
            "# .bashrc\n",
            '. "$HOME/.bashrc"\n',
            "if [ -f ~/.profile ]; then . ~/.profile; fi\n",
            "no newline",
        ]
    ),
)
_SHELLS = st.sampled_from(["/bin/bash", "/usr/bin/zsh", "/bin/sh", "", "/usr/bin/fish"])
_VALUES = st.dictionaries(
    st.from_regex(VARIABLE.pattern, fullmatch=True).filter(lambda name: name.isascii() and name != "PATH"),
    st.text(st.characters(exclude_characters="\0", exclude_categories=("Cs",)), max_size=10),
    min_size=1,
    max_size=3,
)


@pytest.mark.touches_machine
@given(files=_HOMES, shell=_SHELLS, variables=_VALUES)
@settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
def test_exports_are_written_once_and_removed_without_a_trace(
    tmp_path_factory: pytest.TempPathFactory, files: dict[str, str], shell: str, variables: dict[str, str]
) -> None:
    folder = tmp_path_factory.mktemp("home")
    for name, content in files.items():
        (folder / name).write_text(content)
    home = Home(folder, shell)
    first = home.plan("shell.env", {"variables": variables})
    home.do(first)
    assert [a.says for a in home.plan("shell.env", {"variables": variables})] == []
    home.do(home.plan("shell.env", {}))
    assert [a.says for a in home.plan("shell.env", {})] == []
    left = {p.name: p.read_text() for p in folder.iterdir() if p.is_file()}
    assert {name: content for name, content in left.items() if content} == {
        n: c for n, c in files.items() if c
    }


@pytest.mark.touches_machine
@given(
    content=st.text(st.characters(exclude_characters="\0", exclude_categories=("Cs",)), max_size=30),
    name=st.sampled_from(["a", "a b", "-x", "a\\b", "é"]),
)
@settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
def test_a_file_is_written_once_and_removed_once(
    tmp_path_factory: pytest.TempPathFactory, content: str, name: str
) -> None:
    home = Home(tmp_path_factory.mktemp("home"), "/bin/bash")
    write = {"path": f"~/{name}", "text": content, "owner": "user", "mode": "0600"}
    home.do(home.plan("file.write", write))
    home.do(home.plan("file.write", write))
    assert [a.says for a in home.plan("file.write", write)] == []
    home.do(home.plan("file.remove", {"paths": [f"~/{name}"], "owner": "user"}))
    assert home.plan("file.remove", {"paths": [f"~/{name}"], "owner": "user"}) == []
