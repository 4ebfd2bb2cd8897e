"""The loop: what is skipped, what stops it, reboots, and what failed steps say."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from rocmdoctor.actions import Exec, Reboot, Undo, WriteFile
from rocmdoctor.applying import failures
from rocmdoctor.applying.events import Event
from rocmdoctor.applying.journal import FILE, Journal
from rocmdoctor.applying.run_plan import run
from rocmdoctor.applying.stopping import Stop
from rocmdoctor.applying.work import Means
from tests.applying.conftest import QUICK, Bench
from tests.applying.plans import action, plan
from tests.applying.test_lock import APT, other
from tests.applying.test_programs import lives
from tests.conftest import CHECKOUT

pytestmark = pytest.mark.touches_machine
Make = Callable[..., Bench]
NOTHING = Undo("nothing")


def program(*argv: str, **more: Any) -> Any:
    fields = {"undo": NOTHING, **{k: more.pop(k) for k in list(more) if k not in Exec.__dataclass_fields__}}
    return action(do=Exec(argv, **more), **fields)


def with_boot(boot: str) -> Means:
    return Means(locks=(), failures=(), boot=boot)


# ---------------------------------------------------------------- order, skipping, reboot


def test_all_is_done_and_a_second_run_does_nothing(bench: Make, tmp_path: Path) -> None:
    one = bench(program("true", id="a"), program("touch", str(tmp_path / "t"), id="b"))
    assert one.run().done == ("a", "b")
    said = one.said
    assert said == [("run-begin", ""), ("begin", "a"), ("done", "a"), ("begin", "b"), ("done", "b")]
    assert one.run().done == ("a", "b")
    assert one.said == [*said, ("resumed", "")]


def test_a_reboot_is_done_once_the_boot_id_is_another(bench: Make) -> None:
    one = bench(
        program("true", id="a"),
        action(id="r", do=Reboot("the new driver"), undo=NOTHING),
        program("true", id="b"),
    )
    first = one.run(with_boot("one"))
    assert (first.state, first.action, first.message, first.done) == ("reboot", "r", "the new driver", ("a",))
    assert one.run(with_boot("one")).state == "reboot"
    assert [event for event, _ in one.said].count("reboot-asked") == 1
    assert one.run(with_boot("two")).done == ("a", "r", "b")


def test_two_reboots_are_two(bench: Make) -> None:
    one = bench(*(action(id=n, do=Reboot(n), undo=NOTHING) for n in "rs"))
    assert [one.run(with_boot(boot)).action for boot in ("one", "two", "two", "three")] == ["r", "s", "s", ""]


def test_what_a_path_proves_is_skipped(bench: Make, tmp_path: Path) -> None:
    one = bench(program("false", creates=str(tmp_path)))
    assert one.run().state == "done"
    assert one.lines[-1].more == {"why": f"{tmp_path} is there"}
    assert one.undo().undone == ()


def test_a_check_that_is_ok_spares_a_step_that_was_cut_off(bench: Make) -> None:
    one = bench(program("false", skip_if="rocm.there"))
    assert one.run().state == "failed"
    asked: list[str] = []

    def is_ok(check: str) -> bool:
        asked.append(check)
        return True

    assert one.run(Means(is_ok, (), ())).state == "done"
    assert asked == ["rocm.there"]
    assert one.lines[-1].more == {"found": True}


def test_a_first_try_asks_no_check(bench: Make) -> None:
    one = bench(program("false", skip_if="rocm.there"))
    assert one.run(Means(lambda _check: True, (), ())).state == "failed"


def test_healing_comes_before_a_second_try_alone(bench: Make, tmp_path: Path) -> None:
    log = tmp_path / "log"
    heal = (("sh", "-c", f"echo heal >> {log}"),)
    one = bench(program("sh", "-c", f"echo try >> {log}; test $(wc -l < {log}) -gt 2", heal=heal))
    assert one.run().state == "failed"
    assert one.run().state == "done"
    assert log.read_text().split() == ["try", "heal", "try"]


def test_another_plan_is_not_carried_out_in_this_run(bench: Make, tmp_path: Path) -> None:
    one = bench(program("true"))
    one.run()
    changed = plan(program("touch", str(tmp_path / "evil")))
    outcome = run(changed, one.folder, means=QUICK)
    assert outcome.state == "failed"
    assert outcome.message.startswith(f"{one.folder}: the plan has the sha256 ")
    assert outcome.message.endswith("; nothing was done")
    assert not (tmp_path / "evil").exists()


def test_a_journal_that_cannot_be_written_stops_the_run(bench: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    one = bench(program("true", id="a"), program("true", id="b"))
    real = os.fsync

    def full(file: int) -> None:
        if Path(f"/proc/self/fd/{file}").readlink().name == FILE and one.lines[-1].event == "done":
            raise OSError(28, "No space left on device")
        real(file)

    monkeypatch.setattr(os, "fsync", full)
    outcome = one.run()
    assert (outcome.state, outcome.message) == (
        "failed",
        f"{one.folder}/journal.jsonl cannot be written: No space left on device, so 'done a' is not noted and the run stops; make room on that disk, then resume",
    )
    monkeypatch.undo()
    assert one.run().done == ("a", "b")


# ---------------------------------------------------------------- what a failed step says


@pytest.mark.parametrize(
    ("act", "says"),
    [
        (program("sh", "-c", "seq 40; exit 7"), "'sh -c 'seq 40; exit 7'' ended with exit code 7."),
        (
            program("sh", "-c", "kill -KILL $$"),
            "'sh -c 'kill -KILL $$'' was ended by signal 9, which the kernel sends when memory runs out ('dmesg' tells): close other programs, then resume.",
        ),
        (
            program("sleep", "66", timeout=0.2),
            "'sleep 66' did not end within 0 s and was ended; resume tries again.",
        ),
        (program("no-such-program"), "no-such-program: no such program in "),
        (
            program("sh", "-c", "echo 'E: Unable to locate package rocm'; exit 100"),
            "'sh -c 'echo '\"'\"'E: Unable to locate package rocm'\"'\"'; exit 100'' ended with exit code 100: no repository that is configured has the package rocm; look whether its repository is enabled and its list refreshed (apt-get update), then resume.",
        ),
    ],
)
def test_what_a_failed_program_says(bench: Make, act: Any, says: str) -> None:
    one = bench(act)
    outcome = one.run(Means(None, failures.table(), ()))
    first, *tail = outcome.message.split("\n")
    assert outcome.state == "failed"
    assert first.startswith(says)
    noted = one.lines[-1].more
    assert noted["message"] == first
    if tail:
        assert tail[-1] == f"the whole log: {one.folder}/logs/001-a.log"
        assert noted["log"] == f"{one.folder}/logs/001-a.log"
    if "seq" in first:
        assert tail[:-1] == [f"  {number}" for number in range(11, 41)]
        assert noted["tail"] == [str(number) for number in range(11, 41)]


def test_codes_that_are_good(bench: Make) -> None:
    assert bench(program("sh", "-c", "exit 3", codes=(0, 3))).run().state == "done"


def test_a_failing_mend_says_that_it_was_one(bench: Make) -> None:
    one = bench(program("false", heal=(("false",),)))
    one.run()
    assert one.run().message.startswith(
        "mending what an interrupted try left ('false') ended with exit code 1."
    )


@pytest.mark.skipif(not Path("/usr/bin/apt-get").exists(), reason="needs apt")
def test_a_removal_that_nobody_agreed_to_is_refused(bench: Make, tmp_path: Path) -> None:
    simulate = ("apt-get", "-s", "-q", "remove", "hostname")
    do = {"simulate": simulate, "env": {"LC_ALL": "C"}}
    one = bench(program("touch", str(tmp_path / "done"), **do))
    assert one.run().message.split("\n") == [
        "apt-get would remove hostname, and agreed to was no removal; nothing was done. Plan again to see what the removal is for; --allow-remove agrees to it",
        f"the whole log: {one.folder}/logs/001-a.log",
    ]
    assert not (tmp_path / "done").exists()


@pytest.mark.skipif(not Path("/usr/bin/apt-get").exists(), reason="needs apt")
def test_a_simulation_that_fails_says_so(bench: Make, tmp_path: Path) -> None:
    do = {"simulate": ("apt-get", "-s", "-q", "install", "no-such-package-anywhere"), "env": {"LC_ALL": "C"}}
    one = bench(program("touch", str(tmp_path / "done"), **do))
    first = one.run(Means(None, failures.table(), ())).message.split("\n")[0]
    assert first == (
        "the simulation of it ('apt-get -s -q install no-such-package-anywhere') ended with exit code 100: no repository"
        " that is configured has the package no-such-package-anywhere; look whether its repository is enabled and its list"
        " refreshed (apt-get update), then resume. Nothing was done."
    )
    assert not (tmp_path / "done").exists()


def test_a_held_package_lock_is_named_and_waited_for(bench: Make, tmp_path: Path) -> None:
    lock = tmp_path / "lock-frontend"
    lock.touch()
    one = bench(program("dpkg", "--version", root=os.geteuid() == 0))
    with other(APT, str(lock)) as child:
        outcome = one.run(Means(None, (), (str(lock),), 0.4))
        assert outcome.state == "failed"
        assert outcome.message.startswith(f"packages are being changed by process {child.pid} '")
        assert outcome.message.endswith(
            "waited 0 s for it; nothing was done by this step: wait until it has ended (or end it), then resume"
        )
        waits = [event.text for event in one.events if event.kind == "line"]
        assert waits
        assert waits[0].startswith(f"waits for process {child.pid} '")
        assert waits[0].endswith("which is changing packages")
        # It goes on by itself once the lock is free.
        freed = False

        def watch(event: Event) -> None:
            nonlocal freed
            if event.kind == "line" and "waits for" in event.text and not freed:
                freed = True
                child.kill()

        assert run(one.plan, one.folder, show=watch, means=Means(None, (), (str(lock),), 30)).state == "done"
        assert freed


# ---------------------------------------------------------------- signals, for real

PROGRAM = """
import sys, os
from pathlib import Path
from rocmdoctor.applying import programs
from rocmdoctor.applying.encoding import plan_from_text
from rocmdoctor.applying.run_plan import run
from rocmdoctor.applying.work import Means
programs.GRACE = 0.5
if sys.argv[3] == "finish":
    from rocmdoctor.applying import packages
    packages.FINISH = (*packages.FINISH, "sh")
plan = plan_from_text(Path(sys.argv[1]).read_text(), "plan")
def show(event):
    print(event.kind, event.text, flush=True)
outcome = run(plan, Path(sys.argv[2]), show=show, means=Means(None, (), ()))
print("outcome", outcome.state, outcome.action, flush=True)
"""


@pytest.mark.parametrize(
    ("kind", "signals", "whole", "state"),
    [
        ("plain", [signal.SIGINT], False, "stopped a"),
        ("finish", [signal.SIGINT], True, "stopped "),
        ("finish", [signal.SIGHUP], True, "stopped "),
        ("finish", [signal.SIGINT, signal.SIGINT], False, "stopped a"),
        ("finish", [signal.SIGTERM], False, "stopped a"),
    ],
)
def test_signals(tmp_path: Path, kind: str, signals: list[int], whole: bool, state: str) -> None:
    import json

    from rocmdoctor.applying.encoding import plan_as_json

    gate, mark = tmp_path / "gate", tmp_path / "mark"
    os.mkfifo(gate)
    # The program says that it runs, waits to be let go on (nobody does where it is to be ended), then leaves its mark.
    script = f"echo running $$; read go < {gate}; echo whole > {mark}"
    one = Bench(tmp_path / "state", program("sh", "-c", script, id="a"), program("true", id="b"))
    (tmp_path / "plan.json").write_text(json.dumps(plan_as_json(one.plan)))
    with subprocess.Popen(
        [sys.executable, "-c", PROGRAM, str(tmp_path / "plan.json"), str(one.folder), kind],
        stdout=subprocess.PIPE, text=True, env={"PYTHONPATH": os.pathsep.join([str(CHECKOUT), *sys.path])},
    ) as child:  # fmt: skip
        assert child.stdout is not None
        pid = 0
        for line in child.stdout:
            if line.startswith("line running"):
                pid = int(line.split()[-1])
                break
        for number in signals:
            child.send_signal(number)
            assert _next(child, "stopping").startswith("stopping stopping")
        if whole:
            gate.write_text("go\n")
        rest = child.stdout.read()
        assert f"outcome {state}" in rest.splitlines()
        assert child.wait(20) == 0
    assert mark.exists() == whole
    assert not lives(pid)
    assert one.said[-1] == ("stopped", "" if whole else "a")
    # And it can be gone on with.
    mark.unlink(missing_ok=True)
    if not whole:
        with subprocess.Popen(["sh", "-c", f"echo go > {gate}"]):
            assert one.run().done == ("a", "b")
    else:
        assert one.run().done == ("a", "b")


def _next(child: subprocess.Popen[str], kind: str) -> str:
    assert child.stdout is not None
    for line in child.stdout:
        if line.startswith(kind):
            return line
    raise AssertionError(f"no {kind}")


def test_a_wish_before_the_first_step(bench: Make) -> None:
    one = bench(program("true"))
    stop = Stop()
    stop.ask(1)
    assert (one.run(stop=stop).state, one.said) == ("stopped", [("run-begin", ""), ("stopped", "")])


def test_signals_are_given_back(bench: Make) -> None:
    before = [signal.getsignal(n) for n in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)]
    bench(program("true")).run()
    assert [signal.getsignal(n) for n in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)] == before


# ---------------------------------------------------------------- undo of programs


def test_undo_in_reverse_with_what_cannot_be_taken_back(bench: Make, tmp_path: Path) -> None:
    log = tmp_path / "log"

    def step(name: str, undo: Undo) -> Any:
        return program("true", id=name, undo=undo)

    def say(word: str) -> Undo:
        return Undo("commands", commands=(("sh", "-c", f"echo {word} >> {log}"),))

    one = bench(
        step("a", say("a")),
        step("b", Undo("impossible", "firmware was flashed")),
        step("c", NOTHING),
        step("d", say("d")),
    )
    one.run()
    undone = one.undo()
    assert (undone.undone, undone.left, undone.failed) == (
        ("d", "c", "a"),
        (("b", "firmware was flashed"),),
        "",
    )
    assert log.read_text().split() == ["d", "a"]
    assert one.said[-1] == ("end", "")


def test_an_undo_that_fails_is_named_and_goes_on_later(bench: Make, tmp_path: Path) -> None:
    gate = tmp_path / "gate"
    one = bench(
        program("true", id="a", undo=Undo("commands", commands=(("touch", str(tmp_path / "a")),))),
        program("true", id="b", undo=Undo("commands", commands=(("ls", str(gate)),))),
    )
    one.run()
    first = one.undo()
    assert first.undone == ()
    assert first.failed.startswith(f"b: 'ls {gate}' ended with exit code 2.\n  ")
    assert f"the whole log: {one.folder}/logs/undo-002.log" in first.failed
    gate.touch()
    assert one.undo().undone == ("b", "a")


def test_a_run_that_was_never_begun_has_nothing_to_take_back(bench: Make) -> None:
    one = bench(program("true"))
    assert one.undo().undone == ()


def test_time_goes_backwards(bench: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    one = bench(action(id="a", do=WriteFile("/proc/none", "x")), program("true", id="b"))
    times = iter(f"2026-01-{day:02}T00:00:00.000Z" for day in range(28, 0, -1))
    real = Journal.__init__
    monkeypatch.setattr(
        Journal,
        "__init__",
        lambda self, path, boot=None: real(self, path, boot=boot, now=lambda: next(times)),
    )
    assert one.run().state == "failed"
    assert [line.n for line in one.lines] == [1, 2, 3]
    begun = time.monotonic()
    assert one.run().state == "failed"
    assert time.monotonic() - begun < 5
