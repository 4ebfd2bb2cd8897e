"""`verify` and `env` with Debian 13's own compiler, as an ordinary user without a GPU."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from tests.e2e.boxes import Box, box
from tests.e2e.images import ROCM

_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


@pytest.fixture(scope="module")
def machine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Box]:
    with box(ROCM["trixie"], tmp_path_factory.mktemp("verify") / "box") as fresh:
        fresh.good("useradd --create-home --shell /bin/bash ann")
        # The environment of ./run, which the user then has too.
        fresh.good("./run --version", user="ann", seconds=600, env=_home())
        yield fresh


def _home(**more: str) -> dict[str, str]:
    return {"HOME": "/home/ann", "PATH": _PATH, **more}


def _said(machine: Box, *argv: str, code: int, **env: str) -> dict[str, Any]:
    done = machine.run('./run "$@" --json', *argv, user="ann", env=_home(**env), network=False, seconds=300)
    assert done.returncode == code, done.stdout[-3000:] + done.stderr[-3000:]
    assert "Traceback" not in done.stderr
    data: dict[str, Any] = json.loads(done.stdout)["data"]
    return data


def _verdicts(data: dict[str, Any]) -> dict[str, str]:
    return {v["id"]: v["status"] for v in data["verdicts"]}


def test_it_compiles_for_a_gpu_that_is_not_here(machine: Box) -> None:
    data = _said(machine, "verify", "--arch", "gfx90a", code=0)
    assert data["verified"] == "compiled"
    assert data["gfx"] == ["gfx90a"]
    said = _verdicts(data)
    assert said["verify.hipcc-compiles"] == said["verify.code-object"] == "ok"
    assert said["verify.program-runs"] == "skip"
    assert data["root_causes"] == []


def test_nothing_is_left_behind(machine: Box) -> None:
    # /tmp is new for each command.
    script = "./run verify --arch gfx1100 >/dev/null; echo exit $?; find /tmp -mindepth 1; find $HOME -newer /etc/machine-id-mark"
    machine.write("/etc/machine-id-mark", "")
    said = machine.good(script, user="ann", env=_home(), network=False, seconds=300).splitlines()
    assert said[0] == "exit 0"
    assert [line for line in said[1:] if "/.cache" not in line] == []


def test_a_target_that_the_compiler_does_not_know(machine: Box) -> None:
    data = _said(machine, "verify", "--arch", "gfx1201", code=1)
    assert data["verified"] == "no"
    assert data["root_causes"] == ["verify.hipcc-compiles"]
    why = next(v["why"] for v in data["verdicts"] if v["id"] == "verify.hipcc-compiles")
    assert "/usr/bin/hipcc" in why
    assert "gfx1201" in why


def test_a_hipcc_that_changes_the_target_is_found(machine: Box) -> None:
    # A wrapper like those of clusters, which knows better than its caller what to build for.
    machine.write(
        "/opt/site/hipcc",
        '#!/bin/sh\nfor word; do case $word in --offload-arch=*) word=--offload-arch=gfx906 ;; esac; set -- "$@" "$word"; shift; done\n'
        'exec /usr/bin/hipcc "$@"\n',
        0o755,
    )
    data = _said(machine, "verify", "--arch", "gfx90a", code=1, PATH=f"/opt/site:{_PATH}")
    assert data["verified"] == "no"
    assert data["root_causes"] == ["verify.code-object"]
    why = next(v["why"] for v in data["verdicts"] if v["id"] == "verify.code-object")
    assert "/opt/site/hipcc was asked for gfx90a" in why
    assert "gfx906" in why


def test_an_nvcc_beside_it_is_the_cause_until_the_exports_are_written(machine: Box) -> None:
    machine.write("/usr/local/cuda/bin/nvcc", "#!/bin/sh\necho stand-in for nvcc\nexit 0\n", 0o755)
    path = f"/usr/local/cuda/bin:{_PATH}"
    data = _said(machine, "verify", "--arch", "gfx90a", code=1, PATH=path)
    assert data["verified"] == "no"
    assert data["root_causes"] == ["rocm.hip-platform"]
    decided = _said(machine, "env", code=0, PATH=path)
    assert {e["name"]: e["value"] for e in decided["exports"]} == {"HIP_PLATFORM": "amd"}
    changed = _said(machine, "env", "--write", code=0, PATH=path)["changed"]
    assert changed == ["/home/ann/.config/rocmdoctor/env.sh", "/home/ann/.bashrc"]
    try:
        assert _said(machine, "env", "--write", code=0, PATH=path)["changed"] == []
        # The variables of the next login are set, though this session does not have them.
        assert _said(machine, "verify", "--arch", "gfx90a", code=0, PATH=path)["verified"] == "compiled"
        login = machine.good("su - ann -c 'bash -ic \"echo \\$HIP_PLATFORM\"'", env={"PATH": path})
        assert login.strip().endswith("amd")
    finally:
        _said(machine, "env", "--remove", code=0, PATH=path)
        machine.good("rm /usr/local/cuda/bin/nvcc")
    assert "rocmdoctor" not in machine.good("cat /home/ann/.bashrc")


def test_without_hipcc_the_command_that_brings_it_is_said(machine: Box) -> None:
    machine.good("mv /usr/bin/hipcc /usr/bin/hipcc.away")
    try:
        data = _said(machine, "verify", "--arch", "gfx90a", code=1)
    finally:
        machine.good("mv /usr/bin/hipcc.away /usr/bin/hipcc")
    assert data["verified"] == "no"
    assert ["rocmdoctor install rocm"] in [step["commands"] for step in data["next_steps"]]


@pytest.mark.parametrize("shell", ["sh", "bash", "zsh"])
def test_every_shell_can_evaluate_the_exports(machine: Box, shell: str) -> None:
    if shell == "zsh":
        machine.good(
            "command -v zsh || (apt-get update -q && apt-get install -y -q --no-install-recommends zsh)",
            seconds=300,
        )
    machine.write("/usr/local/bin/nvcc", "#!/bin/sh\nexit 0\n", 0o755)
    try:
        script = (
            'eval "$(./run env --arch gfx1100)" && echo "$HIP_PLATFORM $FLASH_ATTENTION_TRITON_AMD_ENABLE"'
        )
        for flags in ("-c", "-ic"):
            said = machine.run(f'{shell} {flags} "$1"', script, user="ann", env=_home(), network=False)
            assert said.stdout.strip().splitlines()[-1:] == ["amd TRUE"], said.stdout + said.stderr
            assert "not found" not in said.stderr
    finally:
        machine.good("rm /usr/local/bin/nvcc")
