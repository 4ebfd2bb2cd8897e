"""The acceptance suite of tests/acceptance by ssh: it passes on a finished machine and names what is wrong with a spoilt one."""

from __future__ import annotations

import os
import shutil
import socket
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from tests.conftest import CHECKOUT
from tests.e2e.boxes import Box
from tests.e2e.installer import INSTALLER, Machine, machine, with_users
from tests.e2e.killing import installing
from tests.e2e.processes import bounded, good
from tests.lookalike import jammy
from tests.lookalike.build import build
from tests.lookalike.serve import HTTPS, serving

_SUITE = CHECKOUT / "tests" / "acceptance"
_SSH = """\
Host *
  IdentityFile {key}
  StrictHostKeyChecking no
  UserKnownHostsFile /dev/null
  LogLevel ERROR
"""
_TORCH = """\
__version__ = "2.9.1+look-alike"
class version: hip = {hip!r}
class _C: _cuda_getArchFlags = staticmethod(lambda: "gfx90a gfx942")
"""


# Where no server of ssh can be had: enters the machine as a server would let in.
_NO_SSH = """\
#!/bin/sh
for command; do :; done
exec nsenter -t {leader} -m -u -i -n -p -- env -i HOME=/root USER=root \\
    PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin sh -c "$command"
"""


@dataclass(frozen=True)
class Finished:
    """A machine after `install base`, with a server of ssh on a port of its own, on loopback."""

    machine: Machine
    folder: Path
    port: int

    def accept(self, user: str, *more: str) -> dict[str, tuple[str, str]]:
        """What became of each test of the suite, and why; run as others do, from elsewhere."""
        report = self.folder / "report.xml"
        report.unlink(missing_ok=True)
        argv = [
            sys.executable, "-m", "pytest", "-p", "no:cacheprovider", _SUITE, "-q", f"--junitxml={report}",
            f"--hosts=ssh://{user}@127.0.0.1:{self.port}", f"--ssh-config={self.folder / 'ssh'}", *more,
        ]  # fmt: skip
        env = {k: v for k, v in os.environ.items() if not k.startswith(("PYTEST", "PYTHONPATH"))}
        env["PATH"] = f"{self.folder / 'bin'}:{env['PATH']}"
        done = bounded(argv, 600, env=env, cwd=self.folder)
        assert done.returncode in (0, 1), done.stdout[-3000:] + done.stderr[-3000:]
        return {_name(case): _outcome(case) for case in ET.parse(report).iter("testcase")}


def _name(case: ET.Element) -> str:
    return case.get("name", "").replace(f"[{_host(case)}]", "").replace(f"{_host(case)}-", "")


def _host(case: ET.Element) -> str:
    inside = case.get("name", "").partition("[")[2].rstrip("]")
    return next((part for part in inside.split("-") if part.startswith("ssh://")), "")


def _outcome(case: ET.Element) -> tuple[str, str]:
    for child in case:
        if child.tag in ("failure", "error", "skipped"):
            return child.tag, child.get("message", "")
    return "passed", ""


def _wrong(said: dict[str, tuple[str, str]]) -> dict[str, str]:
    return {name: why for name, (outcome, why) in said.items() if outcome in ("failure", "error")}


def _skipped(said: dict[str, tuple[str, str]]) -> dict[str, str]:
    return {name: why for name, (outcome, why) in said.items() if outcome == "skipped"}


def _free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        port: int = found.getsockname()[1]
    return port


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Finished]:
    folder, port = tmp_path_factory.mktemp("acceptance"), _free_port()
    key = folder / "key"
    good(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", key])
    (folder / "ssh").write_text(_SSH.format(key=key), encoding="utf-8")

    def prepare(fresh: Box) -> None:
        with_users(fresh)
        fresh.write("/etc/ssh/sshd_config.d/here.conf", f"Port {port}\nListenAddress 127.0.0.1\n")
        fresh.good(
            "DEBIAN_FRONTEND=noninteractive apt-get -qq -y install --no-install-recommends openssh-server",
            seconds=120,
        )
        for home, owner in (("/root", "root"), ("/home/ann", "ann")):
            fresh.write(f"{home}/.ssh/authorized_keys", key.with_suffix(".pub").read_text(encoding="utf-8"))
            fresh.good("chmod 700 $1/.ssh && chown -R $2: $1/.ssh", home, owner)
        fresh.write("/usr/local/bin/nvcc", "#!/bin/sh\necho stand-in for nvcc\n", 0o755)

    with machine(INSTALLER, folder / "box", prepare) as booted:
        booted.good(installing("--rocm-source", "distro"), seconds=600)
        yield Finished(booted, folder, port)


_AS_WANTED = ("--gfx", "gfx90a", "--rocm-source", "distro", "--user", "ann", "--expect", "compiled")


def test_a_finished_machine_is_accepted(finished: Finished) -> None:
    said = finished.accept("root", *_AS_WANTED)
    assert _wrong(said) == {}
    assert said["test_hipcc_builds_a_code_object_of_the_target"][0] == "passed"
    # What was not looked at is what is not here: a GPU, packages of AMD's, torch, and what zsh would read.
    assert all(why for why in _skipped(said).values())
    assert {name for name in _skipped(said) if "torch" not in name} == {
        "test_rocm_is_of_one_release", "test_an_upgrade_will_not_bring_another_rocm", "test_the_sources_of_rocm_are_signed",
        "test_the_program_runs_on_the_gpu", "test_rocminfo_names_every_gpu", "test_the_user_may_open_the_nodes",
        "test_the_nodes_are_not_for_everybody", "test_the_driver_is_loaded", "test_the_driver_is_built_for_the_running_kernel",
        "test_the_loaded_driver_is_the_one_that_lies_on_the_disk", "test_zsh_has_the_exports_too",
    }  # fmt: skip


def test_who_trains_can_ask_without_root(finished: Finished) -> None:
    said = finished.accept("ann", "--gfx", "gfx90a", "-k", "hipcc or home or login or dpkg")
    assert _wrong(said) == {}
    assert said["test_hipcc_builds_a_code_object_of_the_target"][0] == "passed"
    assert "--sudo" in _skipped(said)["test_what_was_written_at_home_is_the_user_s_own"]


def test_what_is_not_there_is_not_accepted(finished: Finished) -> None:
    """Each is wanted, and nobody could have it here."""
    said = finished.accept(
        "root", "--gfx", "gfx90a", "--user", "ann", "--rocm-source", "amd", "--expect", "ran"
    )
    assert set(_wrong(said)) == {
        "test_rocm_is_of_the_wanted_source", "test_the_program_runs_on_the_gpu", "test_the_newest_run_was_verified",
    }  # fmt: skip


@pytest.mark.parametrize(("hip", "wrong"), [("6.4.43484", set()), (None, {"test_torch_is_one_for_rocm"})])
def test_an_environment_is_asked_for_its_torch(finished: Finished, hip: str | None, wrong: set[str]) -> None:
    """The torch is a stand-in: a real one for ROCm is gigabytes."""
    env = "/home/ann/env"
    finished.machine.write(f"{env}/lib/torch/__init__.py", _TORCH.format(hip=hip))
    finished.machine.write(f"{env}/bin/python", f'#!/bin/sh\nPYTHONPATH={env}/lib exec python3 "$@"\n', 0o755)
    said = finished.accept("root", *_AS_WANTED, "--env", env, "-k", "torch")
    assert set(_wrong(said)) == wrong
    assert said["test_torch_has_code_for_the_target"] == ("passed", "")


_SPOIL = """
: > /etc/systemd/system/rocmdoctor-resume.service
gpasswd -d ann render
dpkg --unpack $(ls /var/cache/apt/archives/rocm-smi_*.deb | tail -n 1)
chmod 666 /var/lib/rocmdoctor/runs/1/plan.json
sed -i '$d' /var/lib/rocmdoctor/runs/1/journal.jsonl
sed -i '$d' /var/lib/rocmdoctor/runs/1/journal.jsonl
rm /etc/udev/rules.d/70-rocmdoctor.rules
sed -i 's/^HIP_PLATFORM=.*\\|^export HIP_PLATFORM=.*//' /home/ann/.config/rocmdoctor/env.sh
"""


def test_each_fault_of_a_spoilt_machine_is_named(finished: Finished) -> None:
    """As an installation leaves it that was cut off, or that somebody's hands have been at."""
    finished.machine.good(_SPOIL)
    wrong = _wrong(finished.accept("root", *_AS_WANTED))
    assert set(wrong) == {
        "test_dpkg_finds_nothing_half_done", "test_apt_would_do_nothing_to_finish_what_was_begun",
        "test_the_user_is_in_the_groups_of_the_nodes", "test_a_new_login_has_the_groups",
        "test_udev_gives_the_node_to_the_group", "test_no_unit_waits_for_the_next_boot", "test_the_newest_run_has_ended",
        "test_the_newest_run_was_verified", "test_nothing_of_root_s_can_be_written_by_others",
        "test_hip_builds_for_amd[bash -ic]", "test_hip_builds_for_amd[bash -lic]",
        "test_hipcc_builds_a_code_object_of_the_target",
    }  # fmt: skip
    assert "rocm-smi" in wrong["test_dpkg_finds_nothing_half_done"]
    assert "ann is not in these groups" in wrong["test_the_user_is_in_the_groups_of_the_nodes"]


# ---------------------------------------------------------------- with AMD's packages


@pytest.fixture
def lookalike(tmp_path: Path) -> Iterator[Finished]:
    """The look-alike of Ubuntu 22.04 after an installation from AMD's repository."""
    for name in ("gpg", "gpg-agent", "gpgconf", "openssl"):
        if shutil.which(name) is None:
            pytest.skip(f"needs {name}, to sign the look-alike repositories")
    built = build(tmp_path / "repositories")
    (tmp_path / "ssh").touch()
    with serving(built.folder, HTTPS, jammy.address()) as server:
        with jammy.frozen(tmp_path / "fresh") as box:
            jammy.fresh(box, built, server)
        with jammy.boot(tmp_path / "boot", (tmp_path / "fresh" / "upper",)) as booted:
            booted.good(installing("--rocm", "6.2.4", "--trust-key", built.fingerprint), seconds=600)
            (tmp_path / "bin").mkdir()
            (tmp_path / "bin" / "ssh").write_text(_NO_SSH.format(leader=booted._leader), encoding="utf-8")
            (tmp_path / "bin" / "ssh").chmod(0o755)
            yield Finished(booted, tmp_path, 22)


_TURN_AMD_OFF = """
rm /etc/apt/preferences.d/*rocm*
sed -i '/^Signed-By/d; s/signed-by=[^] ]*//' $(grep -lE '^(deb|URIs).*rocm/apt' /etc/apt/sources.list.d/*)
"""


@pytest.mark.slow
def test_packages_of_amd_s_are_accepted_and_must_be_pinned_and_signed(lookalike: Finished) -> None:
    wanted = ("--gfx", "gfx90a", "--rocm-source", "amd", "--user", "ann")
    said = lookalike.accept("root", *wanted)
    assert _wrong(said) == {}
    for name in (
        "test_rocm_is_of_one_release", "test_an_upgrade_will_not_bring_another_rocm", "test_the_sources_of_rocm_are_signed",
        "test_hipcc_builds_a_code_object_of_the_target",
    ):  # fmt: skip
        assert said[name] == ("passed", ""), name
    lookalike.machine.good(_TURN_AMD_OFF)
    assert set(_wrong(lookalike.accept("root", *wanted))) == {
        "test_an_upgrade_will_not_bring_another_rocm", "test_the_sources_of_rocm_are_signed",
    }  # fmt: skip
