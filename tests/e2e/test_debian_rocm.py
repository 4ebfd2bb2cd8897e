"""Debian's own ROCm, in roots without a GPU: what is installed is recognised, and hipconfig's choice explained."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from tests.e2e.boxes import Box, box
from tests.e2e.images import ROCM


@dataclass(frozen=True)
class Installed:
    """A root with the distribution's ROCm, and the version that its packages carry."""

    box: Box
    hip: str


@pytest.fixture(scope="module", params=["trixie", pytest.param("bookworm", marks=pytest.mark.slow)])
def installed(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Installed]:
    with box(ROCM[request.param], tmp_path_factory.mktemp("rocm") / "box") as fresh:
        version = fresh.good("dpkg-query -W -f '${Version}' libamdhip64-dev")
        yield Installed(fresh, ".".join(version.split(".")[:2]))


def test_tools_and_versions_are_recognised(installed: Installed) -> None:
    data = installed.box.check(seconds=300)["data"]
    tools = data["facts"]["tools"]
    assert tools["hipconfig"]["state"] == "ok"
    assert tools["hipconfig"]["version"].startswith(installed.hip)
    assert tools["hipcc"]["state"] == "ok"
    # There is no /dev/kfd, which rocminfo says itself: it is there and failed.
    assert tools["rocminfo"]["state"] == "failed"
    assert tools["rocm-smi"]["state"] in ("ok", "failed")
    assert tools["amd-smi"]["state"] == "absent"


def test_the_layout_is_the_distributions_own(installed: Installed) -> None:
    data = installed.box.check(seconds=300)["data"]
    assert data["facts"]["rocm"], "no ROCm was recognised"
    assert data["readiness"]["rocm"] in ("ready", "broken")
    assert installed.hip in str(data["facts"]["rocm"])


def test_nothing_is_wrong_with_it(installed: Installed) -> None:
    said = installed.box.check(seconds=300)
    wrong = [(v["id"], v["why"]) for v in said["data"]["verdicts"] if v["status"] in ("fail", "broken")]
    assert wrong == []
    assert said["exit_code"] == 0


def test_a_stand_in_nvcc_turns_hipconfig_and_that_is_the_root_cause(installed: Installed) -> None:
    machine = installed.box
    # hipconfig looks only whether a file of that name can be run; the real one is gigabytes.
    machine.write("/usr/local/cuda/bin/nvcc", "#!/bin/sh\necho stand-in for nvcc\n", 0o755)
    path = {"PATH": "/usr/local/cuda/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"}
    assert machine.good("hipconfig --platform", env=path).strip() == "nvidia"
    said = machine.check(env=path)
    verdict = next(v for v in said["data"]["verdicts"] if v["fault"] == "hip-platform-nvidia")
    assert verdict["status"] == "fail", verdict
    assert verdict["id"] in said["data"]["root_causes"]
    assert "nvcc" in verdict["why"] + " ".join(verdict["evidence"])
    assert "HIP_PLATFORM=amd" in verdict["remedy"]["text"] + " ".join(verdict["remedy"]["commands"])
    assert said["exit_code"] == 1
    cured = machine.check(env={**path, "HIP_PLATFORM": "amd"})
    assert [
        v["id"]
        for v in cured["data"]["verdicts"]
        if v["fault"] == "hip-platform-nvidia" and v["status"] == "fail"
    ] == []
