"""The torch of an environment is one for ROCm. Only with --env."""

from __future__ import annotations

import json
import shlex

import pytest

_ASK = """
import json, torch
print(json.dumps({"version": torch.__version__, "hip": torch.version.hip, "file": torch.__file__}))
"""
_TARGETS = "import torch; print(torch._C._cuda_getArchFlags() or '')"
_RUN = """
import torch
a = torch.ones(64, 64, device="cuda")
print(int((a @ a).sum().item()), torch.cuda.get_device_properties(0).gcnArchName.partition(":")[0])
"""


@pytest.fixture(scope="module")
def python(user, pytestconfig) -> str:
    path = pytestconfig.getoption("env", None)
    if path is None:
        pytest.skip("no environment was named with --env")
    return f"{path.rstrip('/')}/bin/python"


@pytest.fixture(scope="module")
def torch(user, python) -> dict[str, str]:
    return json.loads(_ask(user, python, _ASK))


def _ask(user, python: str, program: str) -> str:
    """In a shell as the user has it. What the shell itself prints stands before it."""
    command = f"cd; {shlex.quote(python)} -c {shlex.quote(program)}"
    said = user.run(f"bash -ic {shlex.quote(command)} </dev/null")
    assert said.code == 0, said.err[-2000:]
    return said.out.strip().rpartition("\n")[2]


def test_torch_is_one_for_rocm(torch) -> None:
    assert torch["hip"], f"torch {torch['version']} is not for ROCm"


def test_torch_is_of_that_environment(torch, pytestconfig) -> None:
    assert torch["file"].startswith(pytestconfig.getoption("env").rstrip("/") + "/")


def test_torch_has_code_for_the_target(user, python, gfx) -> None:
    assert gfx in _ask(user, python, _TARGETS).split()


def test_torch_computes_on_the_gpu(user, python, torch, expect, gfx) -> None:
    if expect != "ran":
        pytest.skip(f"no {gfx} is here that could run it")
    assert _ask(user, python, _RUN) == f"{64**3} {gfx}"
