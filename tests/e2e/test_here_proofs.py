"""`verify --cpu` with real libraries: right ones pass, and ones that were planted wrong are found and named.

torch, bitsandbytes and DeepSpeed are PyPI's, for processors, on Python 3.11. There is no GPU here: kernels for GPUs are not among
what this shows.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import CHECKOUT
from tests.e2e.processes import good
from tests.e2e.stacks import (
    AXOLOTL,
    AXOLOTL_NEEDS,
    BUILD,
    DEEPSPEED,
    STACK,
    TORCH,
    Doctor,
    copy_of,
    doctor,
    environment,
    put,
    site,
    verdicts,
)

pytestmark = [pytest.mark.e2e, pytest.mark.slow, pytest.mark.timeout(3600)]
_WRONG = CHECKOUT / "tests" / "e2e" / "wrong"


@pytest.fixture(scope="module")
def asker() -> Iterator[Doctor]:
    with doctor() as found:
        yield found


@pytest.fixture(scope="module")
def stack() -> Path:
    if shutil.which("g++") is None:
        pytest.skip("needs g++")
    return environment((TORCH, *BUILD), STACK, DEEPSPEED)


def test_right_libraries_pass_and_what_is_missing_is_left_out(asker: Doctor, stack: Path) -> None:
    envelope = asker.verify(stack)
    said = verdicts(envelope)
    assert envelope["exit_code"] == 0, said
    assert envelope["data"]["verified"] == "cpu"
    right = {"torch-products", "bitsandbytes-4bit", "bitsandbytes-8bit", "deepspeed-adam", "all-reduce"}
    assert {name for name, v in said.items() if v["status"] == "ok"} == right
    assert said["flash-attention"]["status"] == "skip"
    assert said["flash-attention"]["why"] == f"flash-attn is not installed in {stack}"
    # What a processor has no way to do is said, not passed over.
    assert "fused_adam: no way to do it here (it is a kernel for GPUs)" in said["deepspeed-adam"]["evidence"]
    assert {p["subject"]: p["state"] for p in envelope["data"]["proofs"]} == dict.fromkeys(
        ("torch", "bitsandbytes", "flash_attention", "deepspeed", "all_reduce"), "answered"
    )
    assert envelope["data"]["training"] == []


def test_a_library_that_spoils_half_of_each_block(asker: Doctor, stack: Path) -> None:
    # Without what takes minutes to compile.
    with copy_of(stack, "deepspeed") as env:
        library = site(env) / "bitsandbytes" / "libbitsandbytes_cpu.so"
        library.rename(f"{library}.real")
        good(["cc", "-shared", "-fPIC", "-o", library, _WRONG / "half_of_each_block.c", "-ldl"])
        envelope = asker.verify(env)
    said = verdicts(envelope)
    assert envelope["exit_code"] == 1
    for name in ("bitsandbytes-4bit", "bitsandbytes-8bit"):
        # On a processor no wavefront is to blame.
        assert (said[name]["status"], said[name]["fault"]) == ("fail", "wrong-numbers")
        assert "computes wrong numbers on cpu, without an error" in said[name]["why"]
    assert said["torch-products"]["status"] == "ok"
    assert envelope["data"]["root_causes"] == ["proof.bitsandbytes-4bit", "proof.bitsandbytes-8bit"]


def test_a_cpu_adam_built_with_another_beta(asker: Doctor, stack: Path) -> None:
    with copy_of(stack) as env:
        source = site(env) / "deepspeed" / "ops" / "csrc" / "includes" / "cpu_adam.h"
        text = source.read_text(encoding="utf-8")
        # It takes the beta twice: when it is made, and anew at each step.
        assert text.count("_betta1(betta1)") == text.count("_betta1 = beta1;") == 1
        put(
            source,
            text.replace("_betta1(betta1)", "_betta1(0.8f)").replace("_betta1 = beta1;", "_betta1 = 0.8f;"),
        )
        envelope = asker.verify(env)
    said = verdicts(envelope)
    assert (said["deepspeed-adam"]["status"], said["deepspeed-adam"]["fault"]) == ("fail", "wrong-numbers")
    assert "cpu_adam as AdamW, 6 steps: off by" in said["deepspeed-adam"]["why"]
    assert envelope["data"]["root_causes"] == ["proof.deepspeed-adam"]


def test_a_flash_attention_without_its_scale(asker: Doctor, stack: Path) -> None:
    with copy_of(stack, "deepspeed") as env:
        put(site(env) / "flash_attn" / "__init__.py", (_WRONG / "unscaled.py").read_text(encoding="utf-8"))
        envelope = asker.verify(env)
    said = verdicts(envelope)
    assert (said["flash-attention"]["status"], said["flash-attention"]["fault"]) == ("fail", "wrong-numbers")
    assert "flash-attn 2.8.3 computes wrong numbers on cpu" in said["flash-attention"]["why"]


def test_it_trains_through_what_is_installed(asker: Doctor, stack: Path) -> None:
    envelope = asker.verify(stack, "--train")
    assert envelope["exit_code"] == 0, verdicts(envelope)
    lora, axolotl = envelope["data"]["training"]
    assert lora["losses"][0] > 3.5
    assert lora["losses"][-1] < 1
    assert len(lora["losses"]) == lora["steps"] == 12
    assert lora["step_seconds"] > 0
    assert 1 << 28 < lora["peak_bytes"] < 1 << 33
    assert lora["uses"]["optimizer"] == "DeepSpeedCPUAdam of DeepSpeed"
    assert lora["uses"]["weights"] == "nf4 of bitsandbytes 0.50.2"
    assert axolotl["stopped_by"] == "missing"
    assert verdicts(envelope)["training-axolotl"]["status"] == "skip"


def test_axolotl_trains_as_its_users_start_it(asker: Doctor) -> None:
    env = environment((TORCH, *BUILD), (*STACK, *AXOLOTL_NEEDS), AXOLOTL)
    envelope = asker.verify(env, "--train")
    assert envelope["exit_code"] == 0, verdicts(envelope)
    trained = envelope["data"]["training"][1]
    assert (trained["subject"], trained["version"], trained["steps"]) == ("axolotl", "0.21.0", 2)
    # Two steps from random weights: the loss of a guess among 64 words is log 64, 4.16.
    assert [round(x) for x in trained["losses"]] == [4, 4]
    assert trained["step_seconds"] > 0
    assert trained["peak_bytes"] > 1 << 28
    assert trained["uses"]["adapter"] == "qlora"
    assert "-m axolotl.cli.train" in trained["command"]
    assert list(asker.home.glob(".cache/huggingface/*")) == []
    with copy_of(env) as broken:
        shutil.rmtree(site(broken) / "fire")
        envelope = asker.verify(broken, "--train")
    said = verdicts(envelope)["training-axolotl"]
    assert said["status"] == "fail"
    assert said["why"].endswith(f"the module 'fire' is missing in {broken}")
    assert said["remedy"]["commands"] == [f"{broken}/bin/python3 -m pip install fire"]


def test_stopping_it_leaves_nothing(asker: Doctor, stack: Path) -> None:
    # Whoever is started in the background by a script inherits that Ctrl-C means nothing.
    argv = ["env", "--default-signal=INT", *(str(x) for x in asker.argv("verify", "--cpu", "--env", stack))]
    with subprocess.Popen(
        argv, env=asker.env(), cwd=asker.home, start_new_session=True, stderr=subprocess.PIPE
    ) as proc:
        try:
            until = time.monotonic() + 120
            while not (at := list(asker.home.glob("rocmdoctor-*/work"))) and time.monotonic() < until:
                time.sleep(0.05)
            assert at
            child = _child_at(at[0], until)
            os.killpg(proc.pid, signal.SIGINT)
            assert proc.wait(30) == 130
        finally:
            proc.kill()
    assert list(asker.home.glob("rocmdoctor-*")) == []
    # One that has ended, and that nobody has asked after yet, has no words left.
    words = Path(f"/proc/{child}/cmdline")
    assert not words.exists() or words.read_bytes() == b""


def _child_at(folder: Path, until: float) -> str:
    """The process that works there."""
    while time.monotonic() < until:
        for link in Path("/proc").glob("[0-9]*/cwd"):
            try:
                if link.resolve() == folder:
                    return link.parent.name
            except OSError:
                continue
        time.sleep(0.05)
    raise AssertionError("no process works there")
