"""Nothing of a half-done installation is left: no unit, no process, no open journal, nothing that others may write to."""

from __future__ import annotations

import json

import pytest

_STATE = "/var/lib/rocmdoctor"
_PLACES = (
    _STATE, "/var/backups/rocmdoctor", "/etc/udev/rules.d", "/etc/apt/sources.list.d", "/etc/apt/preferences.d",
    "/etc/apt/keyrings", "/etc/profile.d", "/etc/modprobe.d",
)  # fmt: skip


@pytest.fixture(scope="module")
def runs(machine) -> list[str]:
    """Journals, the newest last."""
    found = machine.run(f"ls {_STATE}/runs 2>/dev/null").out.split()
    if not found:
        pytest.skip(f"there is no journal in {_STATE}: ROCm was installed in another way, or without root")
    return [f"{_STATE}/runs/{n}/journal.jsonl" for n in sorted(found, key=int)]


def test_no_unit_waits_for_the_next_boot(machine) -> None:
    assert (
        machine.good("find /etc/systemd /run/systemd/system -name '*rocmdoctor*' 2>/dev/null || true") == ""
    )


def test_systemd_knows_no_unit(machine) -> None:
    if machine.run("test -d /run/systemd/system").code:
        pytest.skip("there is no systemd at work here")
    assert machine.good("systemctl list-units --all --no-legend '*rocmdoctor*'") == ""


def test_no_installation_is_at_work(machine) -> None:
    # The brackets keep the pattern from finding the command that looks for it.
    assert machine.run("pgrep -af '/var/lib/[r]ocmdoctor/versions'").out == ""


def test_the_newest_run_has_ended(machine, runs) -> None:
    said = machine.run('tail -n 1 -- "$1"', runs[-1])
    if said.code:
        machine.needs_root()
    assert said.code == 0, said.err
    last = json.loads(said.out)
    assert last["event"] in ("end", "verified"), (
        f"{runs[-1]} stops at {last['event']} {last.get('action', '')}"
    )


def test_the_newest_run_was_verified(machine, runs, expect) -> None:
    said = machine.run('grep -h \'"event":"verified"\' -- "$1" | tail -n 1', runs[-1])
    assert said.out, f"{runs[-1]} was never verified {said.err}"
    verified = json.loads(said.out).get("verified", "")
    assert verified in (("ran",) if expect == "ran" else ("ran", "compiled")), f"verified: {verified or 'no'}"


def test_nothing_of_root_s_can_be_written_by_others(machine) -> None:
    said = machine.run(
        'for place in "$@"; do [ ! -e "$place" ] || find "$place" -xdev \\( -perm /022 -o ! -user root \\) ! -type l; done',
        *_PLACES,
    )
    if said.err:
        machine.needs_root()
    assert said.out == ""


def test_no_half_written_file_is_left(machine) -> None:
    said = machine.run(
        "find /etc/apt /etc/udev /etc/systemd /etc/modprobe.d -xdev -name '.*.new' 2>/dev/null || true"
    )
    assert said.out == ""
