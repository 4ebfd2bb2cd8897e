"""`fix` for saved machines: which faults, which plan, what is left to a person; and what it refuses to read."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from rocmdoctor.cli.main import run
from tests.machines.families import family
from tests.machines.faults import planted

PAGE = """\
driver.kfd-access [device-permissions] → recipe gpu-access
  /dev/kfd is 0660 root:render and does not open (EACCES): ann is not in group render. Without it
  ROCm finds no GPU
  It explains: access.render-nodes, rocm.rocminfo
packages.dpkg-consistent [half-configured-dpkg] → recipe apt-repair
  stopped half way: postfix; apt refuses to install or remove anything until this is finished

For you to do
  hardware.ras [ras-ecc]
    0000:63:00.0 counts 3 uncorrectable error(s) in block umc
    → End the work on this GPU and restart the machine, which clears the counters. When errors come
    back, have the card replaced.
        amd-smi bad-pages

Plan     gpu-access apt-repair for gfx90a
"""


@pytest.fixture
def saved(tmp_path: Path) -> Any:
    def save(name: str, *labels: str) -> str:
        path = tmp_path / "box.json"
        answers = planted(labels, name, family(name))
        path.write_text(json.dumps({"schema": 1, "answers": answers}), encoding="utf-8")
        return str(path)

    return save


def test_the_faults_stand_before_the_plan_and_what_is_left_between(saved: Any, capsys: Any) -> None:
    box = saved("mi210", "half-configured", "not-in-the-groups", "memory-errors")
    assert run(["fix", "--no-color", "--snapshot", box]) == 1
    said = capsys.readouterr().out
    assert said.startswith(PAGE), said
    assert said.endswith("On that machine: rocmdoctor fix\n")


def test_a_machine_in_order_has_nothing_to_fix(saved: Any, capsys: Any) -> None:
    assert run(["fix", "--snapshot", saved("mi210")]) == 0
    assert capsys.readouterr().out == "Nothing to fix: no check fails.\n"


def test_a_machine_that_does_not_answer_is_not_called_sound(tmp_path: Path, capsys: Any) -> None:
    path = tmp_path / "silent.json"
    path.write_text('{"schema": 1, "answers": {}}', encoding="utf-8")
    assert run(["fix", "--snapshot", str(path)]) == 6
    first, second = capsys.readouterr().out.splitlines()
    assert first == "Nothing to fix: no check fails."
    assert " could not tell: " in second
    assert "--patience gives a slow machine more time." in second


def test_warnings_are_offered(saved: Any, capsys: Any) -> None:
    assert run(["fix", "--snapshot", saved("mi300x-cpx", "translated")]) == 0
    said = "Nothing to fix: no check fails.\nWarnings that a recipe cures: rocmdoctor fix host.iommu\n"
    assert capsys.readouterr().out == said


def test_one_envelope_tells_all(saved: Any, capsys: Any) -> None:
    box = saved("mi210", "not-in-the-groups", "memory-errors")
    assert run(["fix", "--json", "--snapshot", box]) == 1
    said = json.loads(capsys.readouterr().out)
    assert (said["command"], said["status"], said["exit_code"]) == ("fix", "findings", 1)
    assert [(c["id"], c["state"], c["recipe"]) for c in said["data"]["causes"]] == [
        ("hardware.ras", "by-hand", None),
        ("driver.kfd-access", "planned", "gpu-access"),
    ]
    (plan,) = said["data"]["plans"]
    assert plan["targets"] == ["gpu-access"]
    assert (said["data"]["runs"], said["errors"]) == ([], [])


def test_a_log_is_cured_by_the_check_that_fails_for_it(saved: Any, tmp_path: Path, capsys: Any) -> None:
    log = tmp_path / "apt.log"
    said = "E: dpkg was interrupted, you must manually run 'sudo dpkg --configure -a' to correct the problem."
    log.write_text(f"{said}\n", encoding="utf-8")
    box = saved("mi210", "half-configured", "memory-errors")
    assert run(["fix", "--json", "--log", str(log), "--snapshot", box]) == 1
    data = json.loads(capsys.readouterr().out)["data"]
    assert [(c["id"], c["recipe"]) for c in data["causes"]] == [("packages.dpkg-consistent", "apt-repair")]


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["driver.kfd-acces"], "'driver.kfd-acces' matches no check, did you mean 'driver.kfd-access'?"),
        (["--skip", "*"], "the names and --skip together leave no check"),
        (
            ["--log", "x", "driver.kfd-access"],
            "--log says itself what is to be cured; leave names and --skip out",
        ),
        (["--locked", "x"], "--lock, --locked and --mirror-folder are for 'install': a cure has no lock"),
    ],
)
def test_what_cannot_be_followed_is_said(words: list[str], says: str, saved: Any, capsys: Any) -> None:
    assert run(["fix", *words, "--snapshot", saved("mi210")]) == 2
    assert capsys.readouterr().err.startswith(f"rocmdoctor: {says}\n")
