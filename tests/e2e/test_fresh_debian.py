"""The way in, on Debian with nothing but a python3."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass

import pytest
import testinfra

from tests.e2e.boxes import Box, Done, box
from tests.e2e.images import BOOKWORM, TRIXIE

_IMAGES = {"bookworm": BOOKWORM, "trixie": TRIXIE}
_RUNGS = ("gpu", "driver", "rocm", "torch", "training")


@pytest.fixture(scope="module", params=_IMAGES)
def bare(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Box]:
    with box(_IMAGES[request.param], tmp_path_factory.mktemp("bare") / "box") as fresh:
        fresh.good("useradd -m ann")
        yield fresh


@dataclass(frozen=True)
class SetUp:
    """A box after `./run --yes check`, with what that printed."""

    box: Box
    first: Done


@pytest.fixture(scope="module", params=_IMAGES)
def ready(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[SetUp]:
    with box(_IMAGES[request.param], tmp_path_factory.mktemp("ready") / "box") as fresh:
        yield SetUp(fresh, fresh.run("./run --yes check", seconds=300))


def test_collecting_needs_no_network_and_leaves_nothing(bare: Box) -> None:
    done = bare.run("./run collect", network=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert json.loads(done.stdout)["answers"]["read:/etc/os-release"]["ok"]
    assert bare.good("find /opt /root -name __pycache__ -o -name .cache") == ""


def test_without_venv_it_names_the_one_command(bare: Box) -> None:
    done = bare.run("./run check")
    assert done.returncode == 2
    assert done.stderr == (
        "rocmdoctor: Python's venv is missing; install it: apt-get install -y python3-venv"
        " (or let './run --yes check' do it)\n"
    )
    assert "install it: sudo apt-get install -y python3-venv" in bare.run("./run check", user="ann").stderr


def test_yes_installs_it_and_the_machine_is_judged(ready: SetUp) -> None:
    assert ready.first.returncode == 0, ready.first.stderr
    assert "no AMD GPU" in ready.first.stdout
    assert "Traceback" not in ready.first.stdout + ready.first.stderr
    assert [line.partition(":")[0] for line in ready.first.stderr.splitlines()] == ["rocmdoctor"] * 2
    host = testinfra.get_host(str(ready.box.root), connection="chroot")
    assert host.package("python3-venv").is_installed


def test_the_second_run_needs_no_network(ready: SetUp) -> None:
    done = ready.box.run("./run check", network=False)
    assert (done.returncode, done.stderr) == (0, "")


def test_a_bare_machine_is_healthy_and_has_nothing_yet(ready: SetUp) -> None:
    said = ready.box.check()
    alarms = [
        (v["id"], v["status"], v["why"])
        for v in said["data"]["verdicts"]
        if v["status"] not in ("ok", "skip")
    ]
    assert said["data"]["readiness"] == dict.fromkeys(_RUNGS, "absent")
    assert [a for a in alarms if a[1] in ("fail", "broken")] == []
    assert said["exit_code"] == 0


def test_a_user_without_root_is_judged_too(ready: SetUp) -> None:
    ready.box.good("id ann || useradd -m ann")
    said = ready.box.check(user="ann", seconds=300)
    assert said["data"]["readiness"] == dict.fromkeys(_RUNGS, "absent")
    assert said["exit_code"] == 0


def test_missing_things_fail_only_when_they_are_wanted(ready: SetUp) -> None:
    assert ready.box.check("--for", "rocm")["exit_code"] == 1


def test_wheels_from_a_folder_are_enough(ready: SetUp) -> None:
    ready.box.good("./run wheels /root/wheels", seconds=300)
    done = ready.box.run(
        "./run --wheels /root/wheels check",
        network=False,
        seconds=300,
        env={"XDG_CACHE_HOME": "/root/elsewhere"},
    )
    assert done.returncode == 0, done.stderr
    assert done.stderr.startswith("rocmdoctor: first run")


def _pass(ready: SetUp, tests: str) -> None:
    done = ready.box.run(f"./run test {tests}", seconds=1300)
    assert done.returncode == 0, done.stdout[-5000:] + done.stderr[-3000:]
    assert " passed" in done.stdout.splitlines()[-1]


@pytest.mark.parametrize("ready", ["bookworm"], indirect=True)
def test_some_of_the_tests_pass(ready: SetUp) -> None:
    """Which of them does not matter for what a bare machine lacks; all run on this machine, three times."""
    _pass(ready, "tests/unit tests/cli tests/applying")


@pytest.mark.slow
def test_all_of_the_tests_pass(ready: SetUp) -> None:
    _pass(ready, "")
