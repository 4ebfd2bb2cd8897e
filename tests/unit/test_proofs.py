"""Proofs: which figures are wrong, which pattern of wrongness names the wavefront, and what their programs may say."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rocmdoctor.cli.proving import proof_files
from rocmdoctor.content import DataTables, bundled
from rocmdoctor.facts.base import read, second_questions
from rocmdoctor.facts.proofs import Proofs, ProofTable
from rocmdoctor.hosts.replay import from_raw
from rocmdoctor.model import Verdict
from rocmdoctor.reports.json_proofs import proofs_of, trainings_of
from tests.conftest import CHECKOUT
from tests.judging import judge
from tests.machines.healthy import machine

_MARK = "rocmdoctor-proof "
_GPU = {
    "mi210": "gpu 0 gfx90a AMD Instinct MI210",
    "radeon": "gpu 0 gfx1100 AMD Radeon RX 7900 XTX",
    "cpu": "cpu",
}
_PRODUCT = {
    "figure": {
        "name": "product", "dtype": "bfloat16", "length": 777, "device": "gpu 0", "worst": 0.0005, "nonfinite": 0, "count": 9
    }
}  # fmt: skip


def answers(said: dict[str, list[dict[str, Any]]], device: str = "gpu") -> dict[str, Any]:
    """Those of proofs whose programs said these lines, each with an end."""
    found: dict[str, Any] = {
        "env:ROCMDOCTOR_ENV": {"ok": True, "text": "/opt/venv"},
        "env:ROCMDOCTOR_PROOFS": {"ok": True, "text": "/tmp/p"},
        "env:ROCMDOCTOR_PROOFS_DEVICE": {"ok": True, "text": device},
        "env:ROCMDOCTOR_PROOFS_ASKED": {"ok": True, "text": ",".join(said)},
        "read:/proc/self/status": {"ok": True, "text": "Uid:\t1000\t1000\t1000\t1000\n"},
    }
    for subject, lines in said.items():
        key = f"run:/opt/venv/bin/python3 -I /tmp/p/prove.py {subject} {device} /tmp/p/work"
        text = "".join(f"{_MARK}{json.dumps(line)}\n" for line in [*lines, {"seconds": 1.5}])
        found[key] = {"ok": True, "exit_code": 0, "stdout": text, "stderr": "", "seconds": 1.6}
    return found


def _four_bit(device: str, lanes: list[float]) -> Verdict:
    trip = {
        "name": "nf4", "block": 64, "worst": max(lanes), "nonfinite": 0, "count": 131072, "lanes": lanes
    }  # fmt: skip
    said = {
        "torch": [_PRODUCT],
        "bitsandbytes": [{"version": "0.42.0", "device": _GPU[device]}, {"figure": trip}],
    }
    where = "cpu" if device == "cpu" else "gpu"
    return judge(machine("mi210") | answers(said, where)).diagnosis.verdict("proof.bitsandbytes-4bit")


_RIGHT, _GARBAGE = [0.15] * 32, [0.9] * 32


@pytest.mark.parametrize(
    ("name", "device", "lanes", "fault"),
    [
        ("the upper half of each 64", "mi210", (_RIGHT + _GARBAGE) * 2, "bnb-wave32"),
        ("the lower half of each 64", "mi210", (_GARBAGE + _RIGHT) * 2, "bnb-wave32"),
        (
            "some numbers of a half come out right by chance",
            "mi210",
            (_RIGHT + [0.9] * 20 + [0.1] * 12) * 2,
            "bnb-wave32",
        ),
        ("a GPU whose wavefronts are narrow", "radeon", (_RIGHT + _GARBAGE) * 2, "wrong-numbers"),
        ("a processor has no wavefronts", "cpu", (_RIGHT + _GARBAGE) * 2, "wrong-numbers"),
        ("all of it", "mi210", _GARBAGE * 4, "wrong-numbers"),
        ("one half of 128 only", "mi210", _RIGHT * 2 + _GARBAGE * 2, "wrong-numbers"),
        ("single numbers", "mi210", _RIGHT * 3 + [0.15] * 31 + [0.3], "wrong-numbers"),
    ],
)
def test_the_pattern_of_wrong_numbers_names_the_fault(
    name: str, device: str, lanes: list[float], fault: str
) -> None:
    verdict = _four_bit(device, lanes)
    assert (verdict.status, verdict.fault) == ("fail", fault), name


def test_right_lanes_are_right() -> None:
    assert _four_bit("mi210", [0.1519] * 128).status == "ok"


def test_nothing_is_computed_when_torch_multiplies_wrong() -> None:
    wrong = {"figure": {**_PRODUCT["figure"], "worst": 0.5}}
    said = {"torch": [wrong], "bitsandbytes": [{"kind": "failed", "error": "RuntimeError: garbage"}]}
    diagnosis = judge(machine("mi210") | answers(said)).diagnosis
    assert diagnosis.root_causes == ("proof.torch-products",)
    assert diagnosis.verdict("proof.bitsandbytes-4bit").status == "skip"


def test_a_failure_is_told_once() -> None:
    stopped = [{"stage": "import bitsandbytes"}, {"kind": "failed", "error": "OSError: libhipblas.so.2"}]
    diagnosis = judge(machine("mi210") | answers({"torch": [_PRODUCT], "bitsandbytes": stopped})).diagnosis
    assert diagnosis.verdict("proof.bitsandbytes-4bit").status == "fail"
    assert diagnosis.verdict("proof.bitsandbytes-8bit").status == "skip"


def test_a_proof_that_hangs_cannot_be_called_good() -> None:
    found = answers({"torch": [_PRODUCT], "deepspeed": []})
    key = next(k for k in found if " deepspeed " in k)
    found[key] = {"ok": False, "why": "timeout", "stdout": "", "stderr": "", "seconds": 600.0}
    diagnosis = judge(machine("mi210") | found).diagnosis
    assert diagnosis.verdict("proof.deepspeed-adam").status == "unknown"
    assert diagnosis.exit_code == 6


def test_a_folder_of_other_words_asks_nothing() -> None:
    for name, text in {"": "/tmp/p; reboot", "_DEVICE": "tpu", "_ASKED": "torch,../../etc"}.items():
        found = answers({"torch": []}) | {f"env:ROCMDOCTOR_PROOFS{name}": {"ok": True, "text": text}}
        queries = second_questions([Proofs], from_raw({"schema": 1, "answers": found}).answers)
        assert not any("reboot" in str(q) or "tpu" in str(q) or "etc" in str(q) for q in queries)


def _read(text: str) -> Proofs:
    found = answers({"torch": []})
    key = next(k for k in found if k.startswith("run:"))
    found[key]["stdout"] = text
    fact: Proofs = read(Proofs, from_raw({"schema": 1, "answers": found}).answers)
    return fact


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(
        st.sampled_from(["figure", "name", "worst", "lanes", "seconds", "stage", "kind", "dtype", "uses", "without"]),
        inner, max_size=4,
    ),
    max_leaves=12,
)  # fmt: skip


@given(st.lists(_JSON | st.text(max_size=20), max_size=4))
def test_whatever_a_program_prints_is_read(lines: list[Any]) -> None:
    text = "".join(_MARK + (x if isinstance(x, str) else json.dumps(x)) + "\n" for x in lines)
    proofs = _read(text)
    assert proofs.of("torch").state in ("answered", "died")
    table = DataTables(bundled())(ProofTable)
    json.dumps([*proofs_of(proofs, table), *trainings_of(proofs, table)])
    found = answers({"torch": []})
    found[next(k for k in found if k.startswith("run:"))]["stdout"] = text
    said = judge(found).diagnosis.verdict("proof.torch-products")
    assert said.status != "broken", said.why


def test_every_subject_has_a_program_and_a_judge() -> None:
    files = proof_files(bundled())
    tasks = DataTables(bundled())(ProofTable).tasks
    assert {f"prove_{task.subject}.py" for task in tasks} | {"prove.py"} == set(files)
    judges = "".join(p.read_text(encoding="utf-8") for p in (CHECKOUT / "checks").glob("proofs*.py"))
    assert [task.subject for task in tasks if f'proofs.of("{task.subject}")' not in judges] == []


def test_programs_can_be_read_by_old_pythons() -> None:
    for name, text in proof_files(bundled()).items():
        compile(text, name, "exec", dont_inherit=True)
        assert "match " not in text.split("\n", 1)[0]


@pytest.mark.touches_machine
def test_what_stops_a_program_is_said(tmp_path: Path) -> None:
    """Real children, with stand-ins for torch that stop in the ways it does."""
    for name, text in proof_files(bundled()).items():
        (tmp_path / name).write_text(text, encoding="utf-8")
    (tmp_path / "work").mkdir()
    site = tmp_path / "site"
    site.mkdir()
    stand_ins = {
        "raise ImportError('libamdhip64.so.7: cannot open shared object file')": (
            "answered",
            "failed",
            "libamdhip64",
        ),
        "raise MemoryError('no more')": ("answered", "memory", "no more"),
        "import sys; sys.exit(3)": ("answered", "failed", "SystemExit: 3"),
        "import os, signal; os.kill(os.getpid(), signal.SIGKILL)": ("died", "", ""),
        "print('x' * 100000)\nraise ValueError('it talks')": ("answered", "failed", "it talks"),
        None: ("answered", "missing", "torch"),
    }
    for text, (state, kind, part) in stand_ins.items():
        (site / "torch.py").unlink(missing_ok=True)
        if text is not None:
            (site / "torch.py").write_text(text, encoding="utf-8")
        start = f"import sys; sys.path.insert(0, {str(site)!r}); sys.argv[:] = sys.argv[1:]; import runpy; runpy.run_path(sys.argv[0], run_name='__main__')"
        done = subprocess.run(
            [sys.executable, "-I", "-S", "-c", start, tmp_path / "prove.py", "torch", "cpu", tmp_path / "work"],
            capture_output=True, text=True, check=False, timeout=60,
        )  # fmt: skip
        assert "Traceback" not in done.stderr
        proof = _read(done.stdout).of("torch")
        assert (proof.state, proof.kind) == (state, kind), (text, done)
        assert part in proof.error
