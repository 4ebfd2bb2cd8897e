"""`rocmdoctor verify` as its users call it: what it says and how it ends, for what machines and compilers answer."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from rocmdoctor.cli import verifying
from rocmdoctor.cli.main import run
from rocmdoctor.facts.hip_probe import PROGRAM, SOURCE
from rocmdoctor.hosts.replay import from_raw
from tests.conftest import CHECKOUT
from tests.machines.families import FAMILIES, family
from tests.machines.healthy import build
from tests.machines.parts import ABSENT, Spec, files, ran, text

PROGRAM_FILE = "/tmp/p/rocmdoctor-probe"
RIGHT = "rocmdoctor-probe devices 1 hipSuccess\nrocmdoctor-probe 0 gfx90a:sramecc+:xnack- right\n"


def _probe(
    built: dict[str, Any], found: str = "gfx90a", said: dict[str, Any] | None = None
) -> dict[str, Any]:
    """The answers of a compiler, of what it built, and of the program."""
    answers = {
        "env:ROCMDOCTOR_PROBE": text("/tmp/p"),
        "env:ROCMDOCTOR_PROBE_GFX": text("gfx90a"),
        f"run:hipcc --offload-arch=gfx90a /tmp/p/{SOURCE} -o {PROGRAM_FILE}": built,
    }
    if built.get("exit_code") == 0:
        answers[f"elf:{PROGRAM_FILE}"] = files({PROGRAM_FILE: f"gfx {found}\n"})
    if said is not None:
        answers[f"run:{PROGRAM_FILE} gfx90a"] = said
    return answers


BUILT = ran(path="/usr/bin/hipcc")
BUILD_BOX = build(Spec("build-box", rocm="6.2.4"))


@pytest.fixture
def on(monkeypatch: pytest.MonkeyPatch):
    """Lets a saved machine answer."""

    def answer(name: str, **answers: Any) -> None:
        saved = family(name) if name in FAMILIES else BUILD_BOX
        taken = from_raw({"schema": 1, "answers": {**saved, **answers}})
        monkeypatch.setattr(verifying, "take", lambda *_args, **_more: taken)

    return answer


def _json(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, dict[str, Any]]:
    code = run(["verify", "--json", *words])
    envelope = json.loads(capsys.readouterr().out)
    assert envelope["exit_code"] == code
    return code, envelope


def test_it_ran(on, capsys: pytest.CaptureFixture[str]) -> None:
    on("mi210", **_probe(BUILT, said=ran(RIGHT)))
    code, envelope = _json(capsys)
    assert (code, envelope["status"], envelope["data"]["verified"]) == (0, "ok", "ran")
    assert envelope["data"]["gfx"] == ["gfx90a"]
    assert envelope["data"]["next_steps"] == [
        {"text": "See what is missing for fine-tuning.", "commands": ["rocmdoctor check"]}
    ]


def test_compiled_and_not_run(on, capsys: pytest.CaptureFixture[str]) -> None:
    on("build-box", **_probe(BUILT))
    code, envelope = _json(capsys, "--arch", "gfx90a")
    assert (code, envelope["data"]["verified"]) == (0, "compiled")
    on("build-box", **_probe(BUILT))
    assert run(["verify", "--arch", "gfx90a", "--no-color"]) == 0
    said = capsys.readouterr().out
    assert "✓ verify.code-object: the program holds code for gfx90a\n" in said
    assert (
        "Verified: hipcc compiles for gfx90a and the code object holds it; no GPU of that kind is here to run"
        in said
    )


def test_wrong_code_is_a_failure(on, capsys: pytest.CaptureFixture[str]) -> None:
    on("mi210", **_probe(BUILT, "gfx906"))
    code, envelope = _json(capsys)
    assert (code, envelope["data"]["verified"]) == (1, "no")
    assert envelope["data"]["root_causes"] == ["verify.code-object"]
    assert envelope["status"] == "findings"


def test_a_gpu_that_fails_is_not_compiled_only(on, capsys: pytest.CaptureFixture[str]) -> None:
    wrong = ran("rocmdoctor-probe devices 1 hipSuccess\nrocmdoctor-probe 0 gfx90a:sramecc+ wrong 7\n", 1)
    on("mi210", **_probe(BUILT, said=wrong))
    code, envelope = _json(capsys)
    assert (code, envelope["data"]["verified"]) == (1, "no")


def test_groups_on_paper_only(on, capsys: pytest.CaptureFixture[str]) -> None:
    """Installed in this session, which began before the user was in the group."""
    on(
        "mi210",
        **_probe(BUILT, said=ran("rocmdoctor-probe devices 0 hipErrorNoDevice\n")),
        **{
            "access:/dev/kfd": {"ok": False, "why": "permission", "detail": "EACCES"},
            "read:/proc/self/status": text(
                "Uid:\t1000\t1000\t1000\t1000\nGid:\t1000\t1000\t1000\t1000\nGroups:\t27 1000 \n"
            ),
        },
    )
    code, envelope = _json(capsys)
    assert code == 1
    assert envelope["data"]["root_causes"] == ["driver.kfd-access"]
    assert "Log out and in again" in envelope["data"]["next_steps"][0]["text"]


def test_without_rocm_the_next_command_is_said(on, capsys: pytest.CaptureFixture[str]) -> None:
    hipcc = f"run:hipcc --offload-arch=gfx90a /tmp/p/{SOURCE} -o {PROGRAM_FILE}"
    on("mi210-no-rocm", **{**_probe(ABSENT), hipcc: ABSENT})
    assert run(["verify", "--arch", "gfx90a", "--no-color"]) == 1
    said = capsys.readouterr().out
    assert "· rocm.installed: no ROCm is installed\n" in said
    assert said.endswith(
        "\nNot verified.\nNext: Install ROCm, with access to the GPUs, settings and exports.\n"
        "      rocmdoctor install training --arch gfx90a\n"
    )


def test_without_a_gpu_and_a_target_nothing_can_be_assessed(on, capsys: pytest.CaptureFixture[str]) -> None:
    on("no-gpu")
    code, envelope = _json(capsys)
    assert (code, envelope["data"]["verified"], envelope["data"]["gfx"]) == (6, "no", [])
    assert "rocmdoctor verify --arch gfx90a" in envelope["data"]["next_steps"][-1]["commands"]


def test_checks_that_nobody_named_are_not_judged(on, capsys: pytest.CaptureFixture[str]) -> None:
    on("mi210", **_probe(BUILT, said=ran(RIGHT)), **{"disk:/": text("100 0")})
    code, envelope = _json(capsys)
    assert code == 0
    assert "host.disk" not in {v["id"] for v in envelope["data"]["verdicts"]}


# ---------------------------------------------------------------- the machine that runs the tests


@pytest.mark.touches_machine
def test_stand_ins_are_asked_in_order_and_nothing_is_left(tmp_path: Path) -> None:
    """A hipcc that copies a program which says that it ran: who is asked what, not what a compiler makes."""
    tools, work = tmp_path / "tools", tmp_path / "work"
    tools.mkdir()
    work.mkdir()
    log = tmp_path / "asked"
    hipcc = tools / "hipcc"
    # What it builds is /bin/true, which holds no code for a GPU.
    hipcc.write_text(
        f'#!/bin/sh\n[ "$1" = --version ] && exit 0\necho "$@" >>{log}\ngrep -c hipMemcpy "$2" >>{log}\ncp /bin/true "$4"\n',
        encoding="utf-8",
    )
    hipcc.chmod(0o755)
    env = {
        **{k: v for k, v in os.environ.items() if not k.startswith(("HIP_", "ROC"))},
        "PATH": f"{tools}:/usr/bin:/bin", "TMPDIR": str(work), "HOME": str(tmp_path), "PYTHONPATH": str(CHECKOUT),
    }  # fmt: skip
    done = subprocess.run(
        [sys.executable, "-m", "rocmdoctor", "verify", "--arch", "gfx90a", "--json"],
        env=env, capture_output=True, text=True, timeout=60, check=False, cwd=tmp_path,
    )  # fmt: skip
    data = json.loads(done.stdout)["data"]
    why = {v["id"]: v["why"] for v in data["verdicts"]}
    assert why["verify.hipcc-compiles"].startswith(f"{hipcc} compiled a small program for gfx90a")
    assert "the program holds code for no GPU" in why["verify.code-object"]
    assert done.returncode == 1
    asked = log.read_text(encoding="utf-8").splitlines()
    assert asked[0].startswith(f"--offload-arch=gfx90a {work}/rocmdoctor-")
    assert int(asked[1]) == PROGRAM.count("hipMemcpy(")
    assert list(work.iterdir()) == []


# ---------------------------------------------------------------- what the libraries compute


def _proofs(device: str = "cpu", **lines: str) -> dict[str, Any]:
    """The answers of proofs, and the wishes that they follow from."""
    asked = dict.fromkeys(("torch", "bitsandbytes", "lora"), MISSING) | lines
    wish = {"": "/tmp/q", "_DEVICE": device, "_ASKED": ",".join(asked)}
    run = "run:/opt/venv/bin/python3 -I /tmp/q/prove.py"
    return {
        "env:ROCMDOCTOR_ENV": text("/opt/venv"),
        "read:/proc/self/status": text(
            "Uid:\t1000\t1000\t1000\t1000\nGid:\t1000\t1000\t1000\t1000\nGroups:\t27 44 110 1000\n"
        ),
        **{f"env:ROCMDOCTOR_PROOFS{name}": text(value) for name, value in wish.items()},
        **{f"{run} {subject} {device} /tmp/q/work": ran(said) for subject, said in asked.items()},
    }


MISSING = 'rocmdoctor-proof {"kind": "missing"}\nrocmdoctor-proof {"seconds": 0.1}\n'
PRODUCT = (
    'rocmdoctor-proof {"version": "2.13.0", "device": "cpu"}\nrocmdoctor-proof {"figure": {"name": "product", "dtype": "float16", '
    '"length": 777, "device": "cpu", "worst": WORST, "nonfinite": 0, "count": 9}}\nrocmdoctor-proof {"seconds": 4}\n'
)
TRAINED = (
    'rocmdoctor-proof {"device": "cpu", "uses": {"optimizer": "AdamW of torch"}, "left": {"peft": "not installed"}}\n'
    'rocmdoctor-proof {"figure": {"name": "training", "steps": 3, "losses": [4.2, 2.1, 1.0], "guess": 4.16, "step_seconds": 0.5, '
    '"peak_bytes": 1073741824}}\nrocmdoctor-proof {"seconds": 9}\n'
)


def test_on_the_processor(on, capsys: pytest.CaptureFixture[str]) -> None:
    on("no-gpu", **_proofs(torch=PRODUCT.replace("WORST", "8e-05")))
    assert run(["verify", "--cpu", "--no-color"]) == 0
    assert capsys.readouterr().out == (
        "✓ proof.torch-products: torch 2.13.0 computes right on cpu: float16, 777 products a sum, cpu: off by 8e-05 of the sum of "
        "their sizes, 0.001023 is allowed\n"
        "· proof.flash-attention: nothing was computed; 'rocmdoctor verify' does that\n"
        "· proof.deepspeed-adam: nothing was computed; 'rocmdoctor verify' does that\n"
        "· proof.all-reduce: nothing was computed; 'rocmdoctor verify' does that\n"
        "· proof.bitsandbytes-4bit: bitsandbytes is not installed in /opt/venv\n"
        "· proof.bitsandbytes-8bit: bitsandbytes is not installed in /opt/venv\n"
        "\nVerified: what is installed computes right on the processor; no GPU was asked.\n"
        "Next: Make a few steps of training, too.\n      rocmdoctor verify --train --cpu\n"
    )


def test_wrong_numbers_fail(on, capsys: pytest.CaptureFixture[str]) -> None:
    on("no-gpu", **_proofs(torch=PRODUCT.replace("WORST", "0.5")))
    code, envelope = _json(capsys, "--cpu")
    assert (code, envelope["status"], envelope["data"]["verified"]) == (1, "findings", "no")
    assert envelope["data"]["root_causes"] == ["proof.torch-products"]
    assert envelope["data"]["next_steps"][0]["commands"] == ["rocmdoctor check --only 'torch.*' -v"]


def test_training_is_in_the_data(on, capsys: pytest.CaptureFixture[str]) -> None:
    on("no-gpu", **_proofs(torch=PRODUCT.replace("WORST", "8e-05"), lora=TRAINED))
    code, envelope = _json(capsys, "--cpu", "--train")
    assert code == 0
    assert [p["subject"] for p in envelope["data"]["proofs"]] == ["torch", "bitsandbytes"]
    assert envelope["data"]["proofs"][0]["figures"][0]["worst"] == 8e-05
    assert envelope["data"]["proofs"][1]["stopped_by"] == "missing"
    (trained,) = envelope["data"]["training"]
    assert {k: trained[k] for k in ("losses", "step_seconds", "peak_bytes", "steps", "uses", "left_out")} == {
        "losses": [4.2, 2.1, 1.0], "step_seconds": 0.5, "peak_bytes": 1 << 30, "steps": 3,
        "uses": {"optimizer": "AdamW of torch"}, "left_out": {"peft": "not installed"},
    }  # fmt: skip
    assert envelope["data"]["next_steps"] == []


def test_nothing_installed_is_nothing_proved(on, capsys: pytest.CaptureFixture[str]) -> None:
    on("no-gpu", **_proofs(torch=MISSING))
    code, envelope = _json(capsys, "--cpu")
    assert (code, envelope["data"]["verified"]) == (6, "no")
    assert envelope["data"]["next_steps"][0]["commands"] == ["rocmdoctor verify --cpu --env <path>"]


def test_on_a_gpu_wrong_numbers_outweigh_a_program_that_ran(on, capsys: pytest.CaptureFixture[str]) -> None:
    on("mi210", **{**_proofs("gpu", torch=PRODUCT.replace("WORST", "0.5")), **_probe(BUILT, said=ran(RIGHT))})
    code, envelope = _json(capsys)
    assert (code, envelope["data"]["verified"]) == (1, "ran")
    assert envelope["data"]["root_causes"] == ["proof.torch-products"]


def test_what_was_computed_can_be_judged_elsewhere(
    on, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    on("no-gpu", **_proofs(torch=PRODUCT.replace("WORST", "0.5")))
    assert run(["verify", "--cpu", "-o", str(tmp_path / "box.json")]) == 1
    capsys.readouterr()
    assert run(["check", "--snapshot", str(tmp_path / "box.json"), "--json"]) == 1
    assert json.loads(capsys.readouterr().out)["data"]["root_causes"] == ["proof.torch-products"]
    assert run(["verify", "--cpu", "-o", str(tmp_path / "no" / "box.json")]) == 2
    assert (
        f"-o: {tmp_path}/no/box.json cannot be written: No such file or directory" in capsys.readouterr().err
    )
