"""bitsandbytes for one GPU target from its own source, on a Debian with all of ROCm: built, looked into, kept, shared.

No GPU is needed, and no torch. The source is a folder of repositories, `<host>/<owner>/<name>`, that
ROCMDOCTOR_GIT_MIRROR names: PyPI has no sdist of these releases, and a test must not depend on a server of git's.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.boxes import Box, box
from tests.e2e.images import BUILDER

pytestmark = pytest.mark.slow

HOME = "/home/ann"
ENV = {"HOME": HOME}
CACHE = f"{HOME}/.cache/rocmdoctor"
_REPOSITORY = "github.com/bitsandbytes-foundation/bitsandbytes"
_RECIPE = """\
schema: 1
id: own-bitsandbytes
title: bitsandbytes from its source
releases:
  - version: "0.50.1"
    url: https://github.com/bitsandbytes-foundation/bitsandbytes
    commit: 37d2a9387f7146ccb85517ff45c665d345bfda79
steps:
  - id: env
    uses: python.env
    with:
      path: ~/env
  - id: build
    uses: wheel.build
    with:
      name: bitsandbytes
      version: ${version}
      env: ~/env
      url: ${url}
      commit: ${commit}
      mirror: /srv/git
      gfx: ["${gfx}"]
      variables:
        BNB_SKIP_CMAKE: "1"
      configure:
        - [cmake, -G, Ninja, -DCOMPUTE_BACKEND=hip, "-DBNB_ROCM_ARCH=${gfx}", -DCMAKE_BUILD_TYPE=Release, -S, ., -B, build]
        - [cmake, --build, build]
      needs: ["setuptools==84.2.1", "scikit-build-core==1.1.2", "trove-classifiers==2026.9.21.13", "wheel==0.48.0"]
      memory_mb_per_job: 1500
      seconds: 60
    after: [env]
"""


def _mirror() -> Path:
    folder = Path(os.environ.get("ROCMDOCTOR_GIT_MIRROR", "/srv/git"))
    if not (folder / _REPOSITORY).is_dir():
        pytest.skip(f"no source: ROCMDOCTOR_GIT_MIRROR must name a folder that holds {_REPOSITORY}")
    return folder


def _prepared(machine: Box) -> Box:
    machine.good("useradd -m -s /bin/bash ann")
    machine.good("./run --version", user="ann", env=ENV, seconds=300)
    machine.write("/srv/content/recipes/own-bitsandbytes.yaml", _RECIPE)
    # Somebody else's, as a folder of a company's would be.
    shutil.copytree(_mirror() / _REPOSITORY, machine.root / "srv/git" / _REPOSITORY)
    return machine


@pytest.fixture(scope="module")
def builder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Box]:
    _mirror()
    with box(BUILDER, tmp_path_factory.mktemp("builder") / "box") as machine:
        yield _prepared(machine)


def install(machine: Box, **more: Any) -> dict[str, Any]:
    """What `install` says, as ann, who has no way to root."""
    done = machine.run(
        "./run install own-bitsandbytes --arch gfx90a --content /srv/content --yes --json",
        user="ann", env=ENV, seconds=900, **more,
    )  # fmt: skip
    assert "Traceback" not in done.stdout + done.stderr, done.stderr[-3000:]
    envelope: dict[str, Any] = json.loads(done.stdout)
    assert envelope["exit_code"] == 0, (envelope["errors"], done.stderr[-3000:])
    return envelope


def _says(envelope: dict[str, Any]) -> list[str]:
    return [step["says"] for step in envelope["data"]["steps"]]


def test_it_holds_code_for_this_target_and_nothing_else(builder: Box) -> None:
    said = _says(install(builder))
    assert said[-2].startswith("build bitsandbytes 0.50.1 for gfx90a and keep the wheel; ")
    assert said[-1:] == [
        f"install the wheel of bitsandbytes 0.50.1 that was built into {HOME}/env",
    ]
    found = builder.good(
        f"cd /tmp; ls {HOME}/env/lib/python3*/site-packages/bitsandbytes/*.so; "
        f"objcopy --dump-section .hip_fatbin=bundle {HOME}/env/lib/python3*/site-packages/bitsandbytes/*rocm*.so copy; "
        "$(ls -d /usr/lib/llvm-*/bin | tail -n 1)/clang-offload-bundler --list --type=o --input=bundle"
    )
    assert "libbitsandbytes_rocm" in found
    assert re.findall(r"gfx\S+", found) == ["gfx90a"]


def test_a_second_run_has_nothing_to_do(builder: Box) -> None:
    assert _says(install(builder, network=False)) == []


def test_the_next_environment_takes_it_from_the_cache(builder: Box) -> None:
    # The environment's own making is no part of it.
    builder.good(f"{HOME}/env/bin/python -m pip -q uninstall --yes bitsandbytes", user="ann", env=ENV)
    begun = time.monotonic()
    said = _says(install(builder, network=False))
    whole = time.monotonic() - begun
    runs = sorted((builder.root / f"{HOME[1:]}/.local/state/rocmdoctor/runs").iterdir())
    steps = [json.loads(line) for line in (runs[-1] / "journal.jsonl").read_text().splitlines()]
    took = [step["seconds"] for step in steps if step["event"] == "done"]
    print(f"from the cache in {took} s; with planning and the proof at the end {whole:.1f} s")
    assert said == [f"install the wheel of bitsandbytes 0.50.1 from the cache into {HOME}/env"]


def test_another_machine_takes_it_without_network_and_without_the_source(
    builder: Box, tmp_path: Path
) -> None:
    exported = json.loads(
        builder.good("./run cache export /home/ann/wheels.tar --json", user="ann", env=ENV)
    )["data"]
    with box(BUILDER, tmp_path / "box") as other:
        _prepared(other)
        shutil.rmtree(other.root / "srv/git")
        shutil.copyfile(builder.root / "home/ann/wheels.tar", other.root / "home/ann/wheels.tar")
        offline: dict[str, Any] = {"user": "ann", "env": ENV, "network": False}
        taken = other.good(
            f"./run cache import /home/ann/wheels.tar --sha256 {exported['sha256']} --json", **offline
        )
        assert json.loads(taken)["data"]["new"] == [wheel["key"] for wheel in exported["wheels"]]
        said = _says(install(other, network=False))
        assert said == [
            f"make the environment {HOME}/env of Python 3.14",
            f"install the wheel of bitsandbytes 0.50.1 from the cache into {HOME}/env",
        ]
        listed = "sha256sum ~/env/lib/python3*/site-packages/bitsandbytes/*rocm*.so | cut -c1-64"
        assert other.good(listed, **offline) == builder.good(listed, user="ann", env=ENV)
