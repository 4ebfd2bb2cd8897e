"""Nothing is done that nobody agreed to: questions, options, passwords, removals, reboots, Ctrl-C, lost terminals, plan files."""

from __future__ import annotations

import json
import re
import shlex
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from tests.e2e.faults import (
    GATED,
    INSTALL,
    OWN,
    STATE,
    Repository,
    Talk,
    differing,
    events,
    gate,
    installed,
    packages,
    recipe,
    recovered,
    server,
    state,
    until,
    waiting,
)
from tests.e2e.installer import PASSWORD, Machine

_UNIT = "rocmdoctor-resume.service"
_FILE = "file.write", {"path": "/etc/fault", "text": "as it is to be\n"}


@dataclass(frozen=True)
class Lab:
    """A machine on which nothing was installed yet."""

    machine: Machine
    repository: Repository
    fresh: dict[str, str]

    def unchanged(self) -> None:
        """The machine is as it was, and no run was begun or left."""
        assert differing(state(self.machine), self.fresh) == {}
        assert self.machine.run(f"ls {STATE}/runs").stdout == ""

    def forget(self) -> None:
        """As if nothing had ever been installed."""
        self.machine.good(f"rm -rf {STATE}/runs")

    def history(self) -> dict[str, Any]:
        """The newest run, as it is told."""
        runs: list[dict[str, Any]] = self.machine.doctor("history")["data"]["runs"]
        return runs[-1]

    def undone(self) -> None:
        """Takes the newest run back; then the machine is as it was."""
        assert self.machine.doctor("undo", "--yes")["exit_code"] == 0
        self.forget()
        self.unchanged()


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    folder = tmp_path_factory.mktemp("consent")
    repository = Repository(folder / "repository")
    repository.add("fault-victim")
    repository.add("fault-taker", Conflicts="fault-victim")
    repository.add("fault-late")
    repository.add("fault-gate", scripts={"postinst": GATED})
    repository.publish()
    try:
        with server(folder / "box", repository) as booted:
            booted.good("apt-get -q update && apt-get -y -q install fault-victim")
            recipe(booted, "small", packages("fault-other"), _FILE)
            recipe(booted, "taking", packages("fault-taker"))
            recipe(booted, "gated", packages("fault-gate"), _FILE)
            # What sudo leaves for a user who was let in once is nobody's change.
            yield Lab(booted, repository, state(booted))
    finally:
        repository.close()


@pytest.fixture(autouse=True)
def _as_before(lab: Lab, request: pytest.FixtureRequest) -> Iterator[None]:
    """What a failed test left behind must not make the next ones fail."""
    failed = request.session.testsfailed
    lab.machine.good("rm -rf /var/tmp/*")
    yield
    if request.session.testsfailed != failed:
        recovered(lab.machine)
        lab.machine.run("apt-get -y -q update; apt-get -y -q install fault-victim")
    lab.forget()


# ---------------------------------------------------------------- talking


def _talk(lab: Lab, *argv: str, user: str = "ann") -> Talk:
    return Talk(lab.machine, *argv, user=user)


def _proposed(text: str) -> list[str]:
    """The command that a message tells to use."""
    found = re.search(r"To agree beforehand: rocmdoctor (.+)", text.replace("to agree", "To agree"))
    assert found, text
    return shlex.split(found.group(1))


# ---------------------------------------------------------------- planning


def test_a_plan_that_root_makes_changes_nothing(lab: Lab) -> None:
    """apt-get installs what is named word for word without a question, unless it is only asked."""
    said = lab.machine.doctor("plan", "small", *INSTALL[1:])
    assert said["data"]["predicted"]["installs"] == ["fault-other"]
    lab.unchanged()


# ---------------------------------------------------------------- nobody to ask


def test_without_a_terminal_the_command_to_use_is_named(lab: Lab) -> None:
    done = lab.machine.run(f"./run {shlex.join(INSTALL)} small")
    assert done.returncode == 5
    assert "there is no terminal to ask on; nothing was changed" in done.stderr
    lab.unchanged()
    said = lab.machine.doctor(*INSTALL, "small")
    assert (said["exit_code"], said["status"], said["errors"][0]["code"]) == (5, "error", "declined")
    lab.unchanged()
    # Both name the same command, and it does what it says.
    command = _proposed(done.stderr)
    assert command == _proposed(said["errors"][0]["message"])
    assert lab.machine.doctor(*command)["exit_code"] == 0
    assert installed(lab.machine, "fault-other") == "install ok installed"
    lab.undone()


def test_yes_agrees_to_no_removal(lab: Lab) -> None:
    for argv in (["--yes"], []):
        said = lab.machine.doctor(*INSTALL, "taking", *argv)
        assert (said["exit_code"], said["data"]["predicted"]["removes"]) == (5, ["fault-victim"])
        assert _proposed(said["errors"][0]["message"])[-2:] == ["--yes", "--allow-remove"]
    assert (
        "--yes agrees to no removal, and fault-victim would go"
        in lab.machine.doctor(*INSTALL, "taking", "--yes")["errors"][0]["message"]
    )
    lab.unchanged()
    command = _proposed(said["errors"][0]["message"])
    assert lab.machine.doctor(*command)["exit_code"] == 0
    assert (installed(lab.machine, "fault-victim"), installed(lab.machine, "fault-taker")) == (
        "",
        "install ok installed",
    )
    said = lab.machine.doctor("undo", "--yes")
    assert said["data"]["left"] == {"taking.s1.2": "was removed and is not brought back: fault-victim 1"}
    lab.machine.good("apt-get -y -q install fault-victim")
    lab.forget()
    lab.unchanged()


@pytest.mark.slow
def test_at_a_terminal_a_removal_is_part_of_the_question(lab: Lab) -> None:
    talk = _talk(lab, *INSTALL, "taking", user="root")
    talk.hears(r"Install, and REMOVE what is named above\? \[y/N\]").types("n")
    assert talk.ends() == 5
    assert "REMOVES: fault-victim" in talk.said
    lab.unchanged()


# ---------------------------------------------------------------- at the question


@pytest.mark.parametrize("answer", ["n", pytest.param("", marks=pytest.mark.slow)])
def test_no_is_no(lab: Lab, answer: str) -> None:
    talk = _talk(lab, *INSTALL, "small").hears(r"Continue\? \[y/N\]").types(answer)
    assert talk.ends() == 5
    assert "Nothing was changed." in talk.said
    lab.unchanged()


def test_ctrl_c_at_the_question(lab: Lab) -> None:
    talk = _talk(lab, *INSTALL, "small").hears(r"Continue\? \[y/N\]").ctrl_c()
    assert talk.ends() == 130
    assert "stopped by Ctrl-C; nothing was changed" in talk.said
    lab.unchanged()


# ---------------------------------------------------------------- sudo


def test_a_wrong_password_three_times(lab: Lab) -> None:
    talk = _talk(lab, *INSTALL, "small").hears(r"\[y/N\]").types("y")
    for word in ("one", "two", "three"):
        talk.hears(r"3 steps need root\. Password of ann:").types(word)
    assert talk.ends() == 5
    assert "sudo did not give root; nothing was changed" in talk.said
    lab.unchanged()


def test_ctrl_c_at_the_password(lab: Lab) -> None:
    talk = _talk(lab, *INSTALL, "small").hears(r"\[y/N\]").types("y").hears("Password of ann:").ctrl_c()
    assert talk.ends() == 130
    assert "stopped by Ctrl-C; nothing was changed" in talk.said
    lab.unchanged()


def test_who_may_not_use_sudo_hears_what_an_administrator_can_do(lab: Lab) -> None:
    talk = _talk(lab, *INSTALL, "small", user="bob").hears(r"\[y/N\]").types("y")
    assert talk.hears("Password of bob:").types(PASSWORD).ends() == 5
    assert "bob is not in the sudoers file" in talk.said
    words = " ".join(talk.said.split())
    assert f"An administrator can do it: rocmdoctor install small --arch gfx90a --content {OWN}." in words
    assert "What needs no root: add --no-root." in words
    lab.unchanged()


@pytest.mark.parametrize("user", ["ann", pytest.param("bob", marks=pytest.mark.slow)])
def test_without_a_terminal_sudo_cannot_ask(lab: Lab, user: str) -> None:
    said = lab.machine.doctor(*INSTALL, "small", "--yes", user=user)
    assert (said["exit_code"], said["errors"][0]["code"]) == (5, "no-root")
    message = said["errors"][0]["message"]
    assert "it cannot ask for a password without a terminal; nothing was changed" in message
    assert f"An administrator can do it: rocmdoctor install small --arch gfx90a --content {OWN}." in message
    lab.unchanged()


def test_sudo_is_asked_once_and_steps_of_the_user_are_done_as_the_user(lab: Lab) -> None:
    mine = "file.write", {"path": "~/mine", "text": "mine\n", "owner": "user"}
    recipe(lab.machine, "both", packages("fault-other"), mine, _FILE)
    talk = _talk(lab, *INSTALL, "both").agrees()
    assert talk.ends() == 0, talk.said
    assert talk.said.count("Password of") == 1
    assert lab.machine.good("stat -c '%U %G %a' /etc/fault /home/ann/mine") == "root root 644\nann ann 644\n"
    # Taking it back needs root again; a person is shown what that means, and may decline.
    back = _talk(lab, "undo").hears(r"Take it back\? \[y/N\]").types("n")
    assert back.ends() == 5
    assert installed(lab.machine, "fault-other") == "install ok installed"
    refused = lab.machine.doctor("undo", "--yes", user="ann")
    assert (refused["exit_code"], refused["command"], refused["errors"][0]["code"]) == (5, "undo", "no-root")
    back = _talk(lab, "undo", "--yes").gives_password()
    assert back.ends() == 0
    lab.forget()
    lab.unchanged()


# ---------------------------------------------------------------- reboots


def _recipe_with_a_reboot(lab: Lab) -> None:
    later = "file.write", {"path": "/etc/fault-later", "text": "after it\n"}
    recipe(lab.machine, "booting", _FILE, ("reboot", {"why": "the new kernel runs"}), later)


def _armed(lab: Lab) -> bool:
    """systemd starts the unit at the next boot."""
    return lab.machine.run(f"systemctl is-enabled {_UNIT}").stdout.strip() == "enabled"


def _went_on_by_itself(lab: Lab) -> None:
    lab.machine.wait_for_reboot()
    told = events(lab.machine)
    # The file may stand before the reboot or after it: reboots that can wait come last.
    assert [event for event in told if "reboot" in event or event in ("verified", "end")][-2:] == [
        "verified",
        "end",
    ]
    assert "resumed" in told
    assert lab.history()["state"] == "done"
    assert lab.machine.good("cat /etc/fault /etc/fault-later") == "as it is to be\nafter it\n"
    assert lab.machine.good("find /etc/systemd -name '*rocmdoctor*'") == ""
    assert lab.machine.good("systemctl --failed --no-legend") == ""
    shown = lab.machine.good(f"systemctl show -p LoadState -p ActiveState {_UNIT}")
    assert sorted(shown.split()) == ["ActiveState=inactive", "LoadState=not-found"]


def test_yes_agrees_to_no_reboot(lab: Lab) -> None:
    _recipe_with_a_reboot(lab)
    said = lab.machine.doctor(*INSTALL, "booting", "--yes")
    assert (said["exit_code"], said["status"], said["errors"][0]["code"]) == (
        102,
        "findings",
        "reboot-needed",
    )
    assert (
        "A reboot is needed: the new kernel runs. After the reboot the installation goes on by itself."
        in said["errors"][0]["message"]
    )
    assert _armed(lab)
    assert lab.history()["state"] == "reboot"
    # As long as there was no reboot, there is nothing to go on with.
    again = lab.machine.doctor("resume")
    assert (again["exit_code"], again["command"]) == (102, "resume")
    assert lab.machine.run("test -e /etc/fault-later").returncode == 1
    with lab.machine.begin("systemctl reboot"):
        _went_on_by_itself(lab)
    lab.undone()


def test_with_reboot_it_reboots_by_itself(lab: Lab) -> None:
    _recipe_with_a_reboot(lab)
    command = shlex.join(["./run", *INSTALL, "booting", "--yes", "--reboot", "--json"])
    with lab.machine.begin(f"{command} > /var/tmp/said 2> /var/tmp/told"):
        _went_on_by_itself(lab)
    said = json.loads(lab.machine.good("cat /var/tmp/said; rm /var/tmp/said /var/tmp/told"))
    assert (said["exit_code"], said["status"], said["errors"][0]["code"]) == (102, "findings", "rebooting")
    lab.undone()


@pytest.mark.slow
def test_some_program_asks_the_machine_to_stay_up(lab: Lab) -> None:
    """As package managers do while they work: then it says so, and goes on after a later reboot."""
    _recipe_with_a_reboot(lab)
    with lab.machine.begin("exec systemd-inhibit --what=shutdown --why=test sleep 100"):
        until(lambda: "test" in lab.machine.good("systemd-inhibit --list --no-legend"), "the inhibitor")
        said = lab.machine.doctor(*INSTALL, "booting", "--yes", "--reboot")
        lab.machine.good("pkill -x systemd-inhibit; pkill -x sleep || true")
    assert (said["exit_code"], said["errors"][0]["code"]) == (102, "reboot-needed")
    assert (
        "systemd does not reboot now: some program asks the machine to stay up"
        in said["errors"][0]["message"]
    )
    assert _armed(lab)
    lab.undone()


def test_a_typed_yes_to_the_reboot(lab: Lab) -> None:
    _recipe_with_a_reboot(lab)
    talk = _talk(lab, *INSTALL, "booting").hears(r"Continue\? \[y/N\]").types("y")
    talk.hears(r"Reboot by itself when it is needed, and go on after it\? \[y/N\]").types("y")
    talk.gives_password().hears("rebooting now: the new kernel runs")
    _went_on_by_itself(lab)
    lab.undone()


@pytest.mark.slow
def test_a_typed_no_to_the_reboot(lab: Lab) -> None:
    _recipe_with_a_reboot(lab)
    talk = _talk(lab, *INSTALL, "booting").hears(r"Continue\? \[y/N\]").types("y")
    talk.hears(r"Reboot by itself .* \[y/N\]").types("n")
    assert talk.gives_password().ends() == 102
    assert "Next: sudo reboot" in talk.said
    assert _armed(lab)
    # Taking it back disarms the unit.
    lab.undone()
    assert lab.machine.good("find /etc/systemd -name '*rocmdoctor*'") == ""


# ---------------------------------------------------------------- stopping


def _at_the_gate(lab: Lab) -> Talk:
    """ann's installation, in the middle of a package transaction."""
    talk = _talk(lab, *INSTALL, "gated").agrees()
    waiting(lab.machine, "fault-gate")
    return talk


def _goes_on(lab: Lab) -> None:
    gate(lab.machine, opened=True)
    assert lab.machine.doctor("resume")["exit_code"] == 0
    assert installed(lab.machine, "fault-gate") == "install ok installed"
    assert lab.machine.good("cat /etc/fault") == "as it is to be\n"
    lab.undone()


def test_ctrl_c_once_lets_the_transaction_end(lab: Lab) -> None:
    talk = (
        _at_the_gate(lab)
        .ctrl_c()
        .hears("programs that change packages are let finish; Ctrl-C again ends them too")
    )
    gate(lab.machine, opened=True)
    assert talk.ends() == 130
    assert "rocmdoctor resume" in talk.said
    assert installed(lab.machine, "fault-gate") == "install ok installed"
    assert events(lab.machine)[-2:] == ["done gated.s1.2", "stopped"]
    assert lab.machine.run("test -e /etc/fault").returncode == 1
    told = lab.history()
    assert (told["state"], told["says"]) == ("stopped", "by Ctrl-C")
    assert not _armed(lab)
    _goes_on(lab)


def test_ctrl_c_twice_ends_it_at_once(lab: Lab) -> None:
    talk = _at_the_gate(lab).ctrl_c().hears("Ctrl-C again ends them too").ctrl_c()
    assert talk.ends() == 130
    assert installed(lab.machine, "fault-gate") == "install ok half-configured"
    assert events(lab.machine)[-2:] == ["begin gated.s1.2", "stopped gated.s1.2"]
    assert lab.machine.run("pgrep -x 'apt-get|dpkg'").stdout == ""
    _goes_on(lab)


def test_the_terminal_is_gone(lab: Lab) -> None:
    """As when a connection is lost: the transaction ends, then the run stops, and says so."""
    talk = _at_the_gate(lab)
    lab.machine.good("pkill -KILL -x script")
    talk.spawned.close()
    runner = lab.machine.good("pgrep -f '[s]tart.py begin'").split()[-1]
    until(lambda: "?" in lab.machine.good(f"ps -o tty= -p {runner}"), "the end of the terminal")
    assert installed(lab.machine, "fault-gate") == "install ok half-configured"
    gate(lab.machine, opened=True)
    until(lambda: lab.machine.run(f"test -e /proc/{runner}").returncode, "the end of the run")
    assert events(lab.machine)[-2:] == ["done gated.s1.2", "stopped"]
    told = lab.history()
    assert (told["state"], told["says"]) == ("stopped", "the terminal was gone")
    assert not _armed(lab)
    _goes_on(lab)


def _running(lab: Lab) -> subprocess.Popen[bytes]:
    """An installation of root's in the background that stands at the gate."""
    command = shlex.join(["./run", *INSTALL, "gated", "--yes", "--json"])
    begun = lab.machine.begin(f"{command} > /var/tmp/said 2> /var/tmp/told; echo $? > /var/tmp/code")
    waiting(lab.machine, "fault-gate")
    return begun


@pytest.mark.slow
def test_who_asked_for_json_gets_an_envelope_for_ctrl_c(lab: Lab) -> None:
    with _running(lab):
        lab.machine.good("kill -INT $(pgrep -f '[s]tart.py begin')")
        gate(lab.machine, opened=True)
    said = json.loads(lab.machine.good("cat /var/tmp/said"))
    assert (lab.machine.good("cat /var/tmp/code"), said["exit_code"], said["status"]) == (
        "130\n",
        130,
        "error",
    )
    assert [step["state"] for step in said["data"]["steps"]] == ["done", "done", "open"]
    assert said["errors"][0]["code"] == "stopped"
    _goes_on(lab)


def test_the_machine_is_rebooted_in_the_middle(lab: Lab) -> None:
    """By somebody who did not mind that apt asks to wait: it goes on by itself, as after a power cut."""
    with _running(lab):
        assert lab.machine.run("systemctl reboot").returncode == 1
        with lab.machine.begin("systemctl start --no-block reboot.target"):
            lab.machine.wait_until_down()
    gate(lab.machine, opened=True)
    lab.machine.find()
    told = events(lab.machine)
    assert [event for event in told if event.startswith(("stopped", "resumed", "verified", "end"))] == [
        "stopped gated.s1.2", "resumed", "verified", "end"
    ]  # fmt: skip
    assert installed(lab.machine, "fault-gate") == "install ok installed"
    assert lab.machine.good("find /etc/systemd -name '*rocmdoctor*'") == ""
    lab.undone()


# ---------------------------------------------------------------- plans in files


def _planned(lab: Lab, name: str) -> str:
    path = f"/opt/{name}.json"
    assert lab.machine.doctor("plan", name, *INSTALL[1:], "-o", path)["exit_code"] == 0
    return path


def _edited(lab: Lab, path: str, edit: Callable[[dict[str, Any]], None]) -> None:
    file = lab.machine.root / path[1:]
    plan = json.loads(file.read_text())
    edit(plan)
    file.write_text(json.dumps(plan))


def _file_refused(lab: Lab, path: str, *words: str, user: str = "root") -> None:
    said = lab.machine.doctor("install", path, "--content", OWN, "--yes", user=user)
    assert (said["exit_code"], said["errors"][0]["code"]) == (3, "facts-changed"), said
    message = said["errors"][0]["message"]
    for word in (*words, f"Plan again: rocmdoctor plan small --arch gfx90a --content {OWN} -o {path}"):
        assert word in message, message


def test_a_plan_in_a_file(lab: Lab) -> None:
    path = _planned(lab, "small")
    _file_refused(lab, path, "it was planned for root, and this is ann", user="ann")
    # A fact is another one now.
    lab.machine.good("apt-get -y -q install fault-other")
    _file_refused(lab, path, "package fault-other: absent when it was planned, 1 now")
    lab.machine.good("apt-get -y -q purge fault-other")
    # It is what it was again: so does the plan fit.
    kept = (lab.machine.root / path[1:]).read_text()

    def more(plan: dict[str, Any]) -> None:
        plan["actions"][-1]["do"]["text"] = "something else\n"

    _edited(lab, path, more)
    _file_refused(lab, path, "its steps are not those that this release plans (small.s2)", "it was edited")

    def removing(plan: dict[str, Any]) -> None:
        plan["actions"][1]["removes"] = ["fault-victim"]

    lab.machine.write(path, kept)
    _edited(lab, path, removing)
    _file_refused(lab, path, "its steps are not those that this release plans (small.s1.2)")
    lab.machine.write(path, kept[:-20])
    said = lab.machine.doctor("install", path, "--content", OWN, "--yes")
    assert (said["exit_code"], said["errors"][0]["where"]) == (2, path)
    assert lab.machine.run(f"ls {STATE}/runs").stdout == ""
    lab.machine.write(path, kept)
    assert lab.machine.doctor("install", path, "--content", OWN, "--yes")["exit_code"] == 0
    assert installed(lab.machine, "fault-other") == "install ok installed"
    lab.machine.good(f"rm {path}")
    lab.undone()


# ---------------------------------------------------------------- more than was agreed to


def test_what_would_remove_more_than_was_agreed_to_stops_before(lab: Lab) -> None:
    """Between the plan and the yes the repository gets a version that conflicts with what is installed."""
    recipe(lab.machine, "late", packages("fault-late"))
    talk = _talk(lab, *INSTALL, "late", user="root").hears(r"Continue\? \[y/N\]")
    assert "none to remove" in talk.said
    lab.repository.add("fault-late", "2", Conflicts="fault-victim")
    lab.repository.publish()
    talk.types("y")
    assert talk.ends() == 4
    words = " ".join(talk.said.split())
    assert "would remove fault-victim, and agreed to was no removal; nothing was done. Plan again" in words
    assert installed(lab.machine, "fault-victim") == "install ok installed"
    assert installed(lab.machine, "fault-late") == ""
    # Resuming does not make it agreed to; a new plan asks.
    again = lab.machine.doctor("resume")
    assert (again["exit_code"], "nothing was done" in again["errors"][0]["message"]) == (4, True)
    assert lab.machine.doctor(*INSTALL, "late", "--yes")["exit_code"] == 5
    lab.undone()
    lab.repository.remove("fault-late", "2")
    lab.repository.publish()
    lab.machine.good("apt-get -q update")
