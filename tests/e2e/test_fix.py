"""`fix` on real machines: check, fix, check again, and what is so is asserted with dpkg, id, apt and dkms, not with our code."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from tests.e2e.faults import GATED, Repository, Talk, server
from tests.e2e.installer import Machine
from tests.e2e.processes import good
from tests.lookalike import jammy
from tests.lookalike.build import AMD, build
from tests.lookalike.serve import HTTPS, serving


@dataclass(frozen=True)
class Lab:
    """A server with ann, who may use sudo, and small packages whose scripts can be held."""

    machine: Machine

    def interrupted(self, package: str) -> None:
        """dpkg is killed while it configures a package; what kept it is gone afterwards."""
        gate = f"/var/tmp/gate/{package}"
        self.machine.good(
            f"rm -rf /var/tmp/gate; (apt-get -y -q install {package} > /dev/null 2>&1 &) ; "
            f"for n in $(seq 300); do [ -e {gate} ] && break; sleep 0.1; done; "
            "until ! pgrep -x 'dpkg|apt-get' > /dev/null; do pkill -9 -x 'dpkg|apt-get'; sleep 0.1; done; : > /var/tmp/gate/open; "
            "for n in $(seq 300); do fuser -s /var/lib/dpkg/lock-frontend 2> /dev/null || break; sleep 0.1; done"
        )
        assert "half-configured" in self.machine.good(f"dpkg-query -W -f '${{Status}}' {package}")

    def whole(self, package: str) -> bool:
        """By dpkg itself."""
        said = self.machine.good(f"dpkg-query -W -f '${{Status}}' {package}")
        return said == "install ok installed" and self.machine.good("dpkg --audit") == ""

    def causes(self, envelope: dict[str, Any]) -> dict[str, str]:
        """What became of each fault."""
        return {cause["id"]: cause["state"] for cause in envelope["data"]["causes"]}


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    folder = tmp_path_factory.mktemp("fix")
    repository = Repository(folder / "repository")
    for name in ("fault-one", "fault-two"):
        repository.add(name, scripts={"postinst": GATED})
    repository.publish()
    try:
        with server(folder / "box", repository) as booted:
            booted.good("apt-get -q update")
            yield Lab(booted)
    finally:
        repository.close()


def test_a_machine_in_order_needs_nothing(lab: Lab) -> None:
    done = lab.machine.run("./run fix", user="ann")
    assert (done.returncode, done.stdout.splitlines()[0]) == (0, "Nothing to fix: no check fails.")


def test_a_dpkg_that_was_killed_is_finished_after_one_yes(lab: Lab) -> None:
    lab.interrupted("fault-one")
    assert lab.machine.check(user="ann")["data"]["root_causes"] == ["packages.dpkg-consistent"]

    refused = lab.machine.run("./run fix < /dev/null", user="ann")
    assert (refused.returncode, "rocmdoctor fix --yes" in refused.stderr) == (5, True)
    declined = Talk(lab.machine, "fix").hears("apt-repair").hears(r"\[y/N\]").types("n")
    assert declined.ends() == 5
    looked = lab.machine.doctor("fix", "-n", user="ann")
    assert (looked["exit_code"], lab.causes(looked)) == (1, {"packages.dpkg-consistent": "planned"})
    assert not lab.whole("fault-one")

    talk = Talk(lab.machine, "fix").hears("finish what dpkg was stopped in: fault-one").agrees()
    assert talk.ends() == 0, talk.said
    assert "packages.dpkg-consistent [half-configured-dpkg]: cured" in talk.said
    assert lab.whole("fault-one")
    assert lab.machine.check(user="ann")["data"]["root_causes"] == []


def test_without_a_terminal_and_with_yes_it_tells_all_as_json(lab: Lab) -> None:
    lab.interrupted("fault-two")
    said = lab.machine.doctor("fix", "--yes", "--patience", "8")
    assert lab.causes(said) == {"packages.dpkg-consistent": "cured"}, said
    assert (said["command"], said["status"], said["exit_code"]) == ("fix", "findings", 0)
    assert lab.whole("fault-two")
    assert lab.machine.doctor("history")["data"]["runs"][-1]["state"] == "done"


def test_whoever_is_in_no_group_is_put_into_it_and_has_to_log_in_again(lab: Lab) -> None:
    # A look-alike of the node: a file of that mode, owner and group, on what does not seem to be a container. There is no
    # GPU, so it is a warning, and named.
    lab.machine.good(
        "rm -f /run/systemd/container; getent group render > /dev/null || groupadd --system render; "
        ": > /dev/kfd; chmod 660 /dev/kfd; chgrp render /dev/kfd"
    )
    before = lab.machine.check("--only", "driver.kfd-access", user="ann")["data"]["verdicts"][0]
    assert before["status"] == "warn", before
    talk = Talk(lab.machine, "fix", "driver.kfd-access", "--arch", "gfx90a", "--patience", "8").agrees()
    code = talk.ends()
    assert (code, "cured from the next login on" in talk.said) == (0, True), talk.said
    assert "render" in lab.machine.good("id -nG ann").split()
    after = lab.machine.check("--only", "driver.kfd-access", user="ann")["data"]["verdicts"][0]
    assert after["status"] == "ok", after


def test_a_rocm_that_nothing_leads_to_is_on_the_path_of_the_next_login(lab: Lab) -> None:
    lab.machine.good(
        "mkdir -p /opt/rocm-6.2.4/bin /opt/rocm-6.2.4/.info /opt/rocm-6.2.4/lib; echo 6.2.4-139 > /opt/rocm-6.2.4/.info/version; "
        "printf '#!/bin/sh\\necho HIP version: 6.2.41134\\n' > /opt/rocm-6.2.4/bin/hipcc; chmod +x /opt/rocm-6.2.4/bin/hipcc"
    )
    try:
        before = lab.machine.check("--only", "rocm.home", user="ann")["data"]["verdicts"][0]
        assert before["status"] == "fail", before
        said = lab.machine.doctor("fix", "rocm.home", "--arch", "gfx90a", "--yes", user="ann")
        assert lab.causes(said) == {"rocm.home": "next-login"}, said
        assert said["exit_code"] == 0
        # No root was needed for it.
        assert all(not step["root"] for step in said["data"]["plans"][0]["steps"])
        path = lab.machine.good("su - ann -c 'bash -ic \"echo \\$PATH\"' 2> /dev/null")
        assert "/opt/rocm-6.2.4/bin" in path
    finally:
        lab.machine.good("rm -rf /opt/rocm-6.2.4")


# ---------------------------------------------------------------- the used look-alike of Ubuntu


@pytest.mark.slow
def test_a_used_machine_is_cured_one_fault_after_the_other(tmp_path_factory: pytest.TempPathFactory) -> None:
    """A stale tree of DKMS hides a driver that does not build, which hides packages that stopped; AMD's key has expired."""
    for name in ("gpg", "gpg-agent", "gpgconf", "openssl"):
        if shutil.which(name) is None:
            pytest.skip(f"needs {name}, to sign the look-alike repositories")
    folder = tmp_path_factory.mktemp("used")
    built = build(folder / "repositories")
    with serving(built.folder, HTTPS, jammy.address()) as amd:
        for name, below in (("fresh", ()), ("used", (folder / "fresh" / "upper",))):
            with jammy.frozen(folder / name, below) as box:
                jammy.fresh(box, built, amd) if name == "fresh" else jammy.used(box, built, amd)
        with jammy.boot(folder / "boot", (folder / "used" / "upper", folder / "fresh" / "upper")) as machine:
            # The table of keys holds AMD's; here AMD is the look-alike.
            table = "checks/data/repositories.toml"
            machine.good(f"sed -i 's/CA8BB4727A47B4D09B4EE8969386B48A1A693C5C/{built.fingerprint}/' {table}")
            options = ("--arch", "gfx90a", "--trust-key", built.fingerprint)
            rocm = _rocm(machine)
            said = machine.doctor("fix", *options, "--yes", "--allow-remove", seconds=600)
            states = {cause["id"]: cause["state"] for cause in said["data"]["causes"]}
            assert states == dict.fromkeys(
                ("driver.dkms-tree", "packages.repository-key", "driver.dkms-built"), "cured"
            )
            assert (said["exit_code"], len(said["data"]["runs"])) == (0, 2)

            assert machine.check(user="ann")["data"]["root_causes"] == []
            assert machine.good("dpkg --audit") == ""
            assert machine.good("dkms status") == ""
            assert machine.run("dpkg -s amdgpu-dkms 2> /dev/null | grep -q 'ok installed'").returncode != 0
            # ROCm is as it was, and apt reads AMD's repositories again.
            assert _rocm(machine) == rocm
            assert AMD in machine.good("apt-get -q update && apt-cache policy rocminfo")
    good(["rm", "-rf", folder], 120)


def _rocm(machine: Machine) -> str:
    return machine.good(
        "dpkg-query -W -f '${db:Status-Abbrev} ${Package} ${Version}\\n' 'rocm*' 'hip*' | grep ^ii | sort"
    )
