"""Environments, checkouts and sources of a pretended machine, in a few words; and what programs make of them."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

from rocmdoctor import protection, wheel_key
from rocmdoctor.asking import keys
from rocmdoctor.facts.distributions import named
from rocmdoctor.facts.protection import dates_question
from rocmdoctor.model import Run
from rocmdoctor.ops import git, source
from rocmdoctor.ops.chores import CHORE
from rocmdoctor.ops.environments import env_questions
from rocmdoctor.ops.python_env import interpreter_questions
from tests.machines.parts import ABSENT, ran, text

HOME = "/home/ann"


def with_envs(answers: dict[str, Any], envs: Mapping[str, Mapping[str, Any]]) -> None:
    """`envs."~/env"`: python, dists (name to version, or to version and key of a kept wheel), writable, fails."""
    for path, said in envs.items():
        _env(answers, path.replace("~", HOME, 1), said)


def _env(answers: dict[str, Any], path: str, said: Mapping[str, Any]) -> None:
    stat, names, run = (keys(query)[0] for query in env_questions(path))
    answers[stat], answers[names] = text("dir 0755 ann ann"), text("bin/\nlib/\npyvenv.cfg")
    if "fails" in said:
        answers[run] = {"ok": True, "exit_code": 1, "stdout": "", "stderr": said["fails"]}
        return
    rows = [f"python {said['python']}", f"writable {int(said.get('writable', True))}"]
    for name, version in said.get("dists", {}).items():
        rows.append(f"dist {name} {version if ' ' in version else version + ' -'}")
    answers[run] = ran("\n".join(rows) + "\n")


def with_pythons(answers: dict[str, Any], pythons: Mapping[str, Mapping[str, Any]]) -> None:
    """`pythons."python3.12"`: path, python, venv, and the pip that comes with that where it is told."""
    for query in (
        *interpreter_questions(""),
        *(q for n in range(9, 15) for q in interpreter_questions(f"3.{n}")),
    ):
        said = pythons.get(query.argv[0])
        answers[keys(query)[0]] = ran(json.dumps(said)) if said else ABSENT
    answers.setdefault("run:uv --version", ABSENT)


def with_compilers(answers: dict[str, Any], said: Mapping[str, str]) -> None:
    """`compilers`: hipcc, cxx, libc, as they name themselves."""
    found = {
        wheel_key.hipcc_question("/usr"): said.get("hipcc"),
        wheel_key.CXX_QUESTION: said.get("cxx", "c++ (Debian 14.2.0-19) 14.2.0\n"),
        wheel_key.LIBC_QUESTION: said.get("libc", "glibc 2.41\n"),
    }
    for argv, words in found.items():
        answers[keys(Run(argv))[0]] = ran(words) if words else ABSENT


def with_checkouts(answers: dict[str, Any], checkouts: Mapping[str, Mapping[str, str]]) -> None:
    """`checkouts."~/src/x"`: head (nothing where none is checked out yet), changed (lines of git status)."""
    for path, said in checkouts.items():
        _checkout(answers, path.replace("~", HOME, 1), said.get("head", ""), said.get("changed", ""))


def _checkout(answers: dict[str, Any], path: str, head: str, changed: str = "") -> None:
    stat, names, inside, at, dirty = (keys(query)[0] for query in git.checkout_questions(path))
    answers[stat] = answers[inside] = text("dir 0755 ann ann")
    answers[names] = text(".git/\nsetup.py")
    answers[at] = ran(f"{head}\n") if head else {"ok": True, "exit_code": 1, "stdout": "", "stderr": ""}
    answers[dirty] = ran(changed)


def did(answers: dict[str, Any], argv: tuple[str, ...]) -> bool:
    """Changes the answers as a program changes a machine; False for one that is not known here."""
    if argv[0] == CHORE:
        _chore(answers, argv[1], json.loads(argv[2]))
    elif "venv" in argv[1:3]:
        version = re.search(r"3\.\d+", " ".join(argv))
        _env(answers, argv[-1], {"python": f"{version.group() if version else '3.12'}.1"})
    elif argv[1:4] == ("-I", "-m", "ensurepip"):
        _installed(answers, argv[0].removesuffix("/bin/python"), {"pip": "23.0.1"})
    elif argv[1:4] == ("-I", "-m", "pip") and "uninstall" in argv:
        _uninstalled(answers, argv[0].removesuffix("/bin/python"), argv[argv.index("--yes") + 1 :])
    elif argv[1:4] == ("-I", "-m", "pip") and "config" in argv:
        env = argv[0].removesuffix("/bin/python")
        answers[f"read:{env}/pip.conf"] = text(f"[install]\nconstraint = {argv[-1]}\n")
    elif argv[1:4] == ("-I", "-m", "pip"):
        words = [word for word in argv if "==" in word] or answers.pop("pinned")
        _installed(
            answers, argv[0].removesuffix("/bin/python"), {named(w): w.partition("==")[2] for w in words}
        )
    else:
        return False
    return True


def _chore(answers: dict[str, Any], name: str, given: Mapping[str, Any]) -> None:
    if name == "checkout":
        _checkout(answers, given["path"], given["commit"])
    elif name == "unpack":
        answers[f"stat:{given['path']}"] = text("dir 0755 ann ann")
        answers[f"read:{given['path']}/{source.STAMP}"] = text(f"{given['sha256']}\n")
    elif name == "protect":
        _protected(answers, given["env"])
    elif name == "install":
        said = answers["claimed"][f"key of the wheel {given['name']} {given['version']}"]
        _installed(answers, given["env"], {given["name"]: f"{given['version']} {said}"})


def _protected(answers: dict[str, Any], env: str) -> None:
    """As the chore writes it down: every distribution, each with a list of files of seven bytes."""
    if keys(env_questions(env)[2])[0] not in answers:
        _installed(answers, env, {"torch": "2.9.1+rocm6.4"})
    rows = [
        line.split()[1:3]
        for line in answers.get(keys(env_questions(env)[2])[0], {}).get("stdout", "").splitlines()
        if line.startswith("dist ")
    ]
    said = [{"name": name, "version": version, "sha256": "", "size": 7} for name, version in rows]
    answers[f"read:{env}/{protection.RECORD}"] = text(protection.record_text(said, [], {}))
    found = keys(dates_question(env))[0]
    answers[found] = ran("".join(f"7 1.0 {env}/lib/{n}-{v}.dist-info/RECORD\n" for n, v in rows))


def _uninstalled(answers: dict[str, Any], env: str, names: tuple[str, ...]) -> None:
    run = keys(env_questions(env)[2])[0]
    rows = [r for r in answers[run]["stdout"].splitlines() if r.split()[1] not in names]
    answers[run] = ran("\n".join(rows) + "\n")


def _installed(answers: dict[str, Any], env: str, dists: Mapping[str, str]) -> None:
    run = keys(env_questions(env)[2])[0]
    rows = answers.get(run, {}).get("stdout", "python 3.12.1\n").splitlines()
    found = {row.split()[1]: " ".join(row.split()[2:]) for row in rows if row.startswith("dist ")}
    python = rows[0].split()[1]
    _env(answers, env, {"python": python, "dists": {**found, **dists}})
