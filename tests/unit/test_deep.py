"""Asking an environment's own Python: real venvs, with stand-ins for torch that misbehave in the ways torch does."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from rocmdoctor.asking import as_question
from rocmdoctor.facts.base import read, second_questions
from rocmdoctor.facts.deep import Deep
from rocmdoctor.hosts import collector
from rocmdoctor.hosts.replay import from_raw
from tests.judging import judge
from tests.machines.healthy import machine

_ANN = {"ok": True, "text": "Uid:\t1000\t1000\t1000\t1000\n"}
_VERSION = "__version__ = '2.9.1+rocm6.4'\nclass version:\n    hip = '6.4'\n"
_GPU = (
    _VERSION
    + """
class cuda:
    is_available = staticmethod(lambda: True)
    device_count = staticmethod(lambda: 1)
    get_device_properties = staticmethod(lambda n: type('About', (), {'name': 'a stand-in', 'gcnArchName': 'gfx90a'}))
class _Ones:
    def __matmul__(self, other): return self
    def __eq__(self, other): return self
    __hash__ = None
    def all(self): return self
    def item(self): return RIGHT
ones = lambda *a, **k: _Ones()
"""
)
_NO_GPU = (
    _VERSION
    + "class cuda:\n    is_available = staticmethod(lambda: False)\n    device_count = staticmethod(lambda: 0)\n"
)
# A stand-in for torch, and what is said of it: state, stage, part of the error or detail.
TORCHES = {
    "works": (_GPU.replace("RIGHT", "True"), ("answered", "done", "")),
    "wrong": (_GPU.replace("RIGHT", "False"), ("answered", "done", "")),
    "no GPU": (_NO_GPU, ("answered", "done", "")),
    "raises": ("raise ImportError('libamdhip64.so.6: cannot open shared object file')", ("answered", "import", "libamdhip64.so.6")),
    "half deleted": ("from torch import _C", ("answered", "import", "ImportError")),
    "exits": ("import sys; sys.exit(3)", ("answered", "import", "SystemExit: 3")),
    "a megabyte": ("print('x' * (1 << 20))\n" + _NO_GPU, ("answered", "done", "")),
    "dies": ("import os, signal; os.kill(os.getpid(), signal.SIGSEGV)", ("died", "", "exit code -11")),
    "not there": ("raise ModuleNotFoundError(\"No module named 'torch'\")", ("answered", "import", "'torch'")),
    "lies": ("import os; os.write(1, b'rocmdoctor-deep [1]'); os._exit(0)", ("died", "", "exit code 0")),
}  # fmt: skip


@pytest.fixture(scope="module")
def venv(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("deep") / "venv"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", folder], check=True)
    return folder


def _asked(venv: Path, torch: str, seconds: float = 30.0) -> tuple[dict[str, Any], Deep]:
    site = next((venv / "lib").glob("python3*/site-packages"))
    (site / "torch.py").write_text(torch, encoding="utf-8")
    answers: dict[str, Any] = {
        "env:ROCMDOCTOR_DEEP": {"ok": True, "text": "1"},
        "env:ROCMDOCTOR_ENV": {"ok": True, "text": str(venv)},
        "read:/proc/self/status": _ANN,
    }
    more = [
        as_question(q) for q in second_questions([Deep], from_raw({"schema": 1, "answers": answers}).answers)
    ]
    for question in more:
        question["timeout"] = seconds
    answers.update(collector.ask(more, deadline=seconds + 10))
    fact: Deep = read(Deep, from_raw({"schema": 1, "answers": answers}).answers)
    return answers, fact


@pytest.mark.touches_machine
@pytest.mark.parametrize("name", TORCHES)
def test_what_torch_does_is_named(name: str, venv: Path) -> None:
    torch, (state, stage, part) = TORCHES[name]
    _, fact = _asked(venv, torch)
    assert (fact.state, fact.stage) == (state, stage), fact
    assert part in fact.error + fact.detail


@pytest.mark.touches_machine
def test_a_torch_that_hangs_is_a_hang(venv: Path) -> None:
    _, fact = _asked(venv, "import threading; threading.Event().wait()", seconds=1.0)
    assert fact.state == "hangs"


@pytest.mark.touches_machine
@pytest.mark.parametrize(
    ("name", "imports", "computes"),
    [
        ("works", "ok", "ok"),
        ("wrong", "ok", "fail"),
        ("no GPU", "ok", "fail"),
        ("raises", "fail", "skip"),
        ("dies", "fail", "skip"),
        ("not there", "skip", "skip"),
    ],
)
def test_the_verdicts(name: str, imports: str, computes: str, venv: Path) -> None:
    answers, _ = _asked(venv, TORCHES[name][0])
    answers[f"glob:{venv}/lib/python3*/site-packages/torch/version.py"] = {
        "ok": True,
        "files": {
            f"{venv}/lib/python3.11/site-packages/torch/version.py": "__version__ = '2.9.1+rocm6.4'\nhip = '6.4'\n"
        },
    }
    diagnosis = judge(machine("mi210") | answers).diagnosis
    assert diagnosis.verdict("torch.imports").status == imports, diagnosis.verdict("torch.imports")
    assert diagnosis.verdict("torch.computes").status == computes, diagnosis.verdict("torch.computes")


def test_root_runs_nothing() -> None:
    answers = {
        "env:ROCMDOCTOR_DEEP": {"ok": True, "text": "1"},
        "read:/proc/self/status": {"ok": True, "text": "Uid:\t0\t0\t0\t0\n"},
    }
    known = from_raw({"schema": 1, "answers": answers}).answers
    assert second_questions([Deep], known) == []
    assert read(Deep, known).state == "root"


def test_nothing_is_started_unless_it_is_wanted() -> None:
    known = from_raw({"schema": 1, "answers": {"read:/proc/self/status": _ANN}}).answers
    assert second_questions([Deep], known) == []
    assert read(Deep, known).state == "not-wanted"
