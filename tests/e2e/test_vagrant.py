"""The Vagrantfile: read by Vagrant in the quick tier; a machine brought up, rebooted and destroyed in the full one.

Without KVM the guest is emulated, and its box is one of the tests' own: a Debian 13. The boxes that the Vagrantfile names are
not fetched.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import CHECKOUT
from tests.e2e.boxes import copy_checkout
from tests.e2e.disks import TRIXIE
from tests.e2e.processes import bounded

_TEXT = (CHECKOUT / "Vagrantfile").read_text(encoding="utf-8")
needs_vagrant = pytest.mark.skipif(
    shutil.which("vagrant") is None, reason="needs vagrant; .ci/run installs it where Debian has it"
)
# Vagrant asks for no more than the version before it reads the provider's settings.
_VIRTUALBOX = '#!/bin/sh\n[ "$1" = --version ] || exit 1\necho 7.0.20r163906\n'


@dataclass
class Vagrant:
    """Vagrant in a folder with a Vagrantfile, with nothing of the user's own."""

    folder: Path
    scratch: Path
    env: dict[str, str] = field(default_factory=dict)
    took: dict[str, float] = field(default_factory=dict)

    def run(self, *argv: str, seconds: float = 120) -> subprocess.CompletedProcess[str]:
        """The words of a command."""
        kept = {k: v for k, v in os.environ.items() if not k.startswith(("VAGRANT_", "ROCMDOCTOR_"))}
        own = {
            "VAGRANT_HOME": str(self.scratch / "home"),
            "VAGRANT_DOTFILE_PATH": str(self.scratch / "dot"),
            "VAGRANT_CHECKPOINT_DISABLE": "1",
            "VAGRANT_CWD": str(self.folder),
        }
        began = time.monotonic()
        done = bounded(["vagrant", *argv, "--no-tty"], seconds, env={**kept, **own, **self.env})
        self.took[argv[0]] = round(time.monotonic() - began, 1)
        return done

    def good(self, *argv: str, seconds: float = 120) -> str:
        """The output of a command that must succeed."""
        done = self.run(*argv, seconds=seconds)
        assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-2000:]
        return done.stdout


def _copy(folder: Path, text: str = _TEXT) -> Path:
    """A folder with a Vagrantfile and nothing else."""
    folder.mkdir()
    (folder / "Vagrantfile").write_text(text, encoding="utf-8")
    return folder


# ---------------------------------------------------------------- quick: what Vagrant says to the file


def _provider(tmp_path: Path, provider: str) -> dict[str, str]:
    if provider == "libvirt":
        if "vagrant-libvirt" not in bounded(["vagrant", "plugin", "list"], 60).stdout:
            pytest.skip("needs vagrant-libvirt")
        return {"VAGRANT_DEFAULT_PROVIDER": provider}
    found = {"VAGRANT_DEFAULT_PROVIDER": provider, "VAGRANT_EXPERIMENTAL": "disks"}
    if shutil.which("VBoxManage") is None:
        stand_in = tmp_path / "bin" / "VBoxManage"
        stand_in.parent.mkdir()
        stand_in.write_text(_VIRTUALBOX, encoding="ascii")
        stand_in.chmod(0o755)
        found["PATH"] = f"{stand_in.parent}:{os.environ['PATH']}"
    return found


@needs_vagrant
@pytest.mark.parametrize(
    "provider", ["libvirt", "virtualbox"], ids=["libvirt", "virtualbox, a stand-in where it is missing"]
)
@pytest.mark.parametrize(
    "settings",
    [
        {},
        {
            "ROCMDOCTOR_BOX": "own/box", "ROCMDOCTOR_VM_CPUS": "8", "ROCMDOCTOR_VM_MEMORY": "1024", "ROCMDOCTOR_VM_DISK": "0",
            "ROCMDOCTOR_VM_DRIVER": "qemu", "ROCMDOCTOR_VM_TIMEOUT": "60", "ROCMDOCTOR_CA_BUNDLE": "/etc/passwd",
            "ROCMDOCTOR_SMOKE_OPTIONS": "--arch gfx1100 -- --rocm '>=6.2,<7'",
        },
        {"ROCMDOCTOR_SMOKE": "0"},
    ],
    ids=["nothing is set", "all is set", "no smoke run"],
)  # fmt: skip
def test_vagrant_takes_the_file(tmp_path: Path, provider: str, settings: Mapping[str, str]) -> None:
    vagrant = Vagrant(_copy(tmp_path / "at"), tmp_path, {**_provider(tmp_path, provider), **settings})
    assert "validated successfully" in vagrant.good("validate")


@needs_vagrant
@pytest.mark.parametrize("provider", ["libvirt", "virtualbox"])
def test_a_setting_that_the_provider_does_not_have_would_be_found(tmp_path: Path, provider: str) -> None:
    wrong = _TEXT.replace(f"{provider}.cpus", f"{provider}.processors")
    assert wrong != _TEXT
    done = Vagrant(_copy(tmp_path / "at", wrong), tmp_path, _provider(tmp_path, provider)).run("validate")
    assert done.returncode == 1
    assert "processors" in done.stdout + done.stderr


def test_every_variable_that_is_read_is_explained_at_the_top() -> None:
    head = _TEXT.partition("require ")[0]
    read = set(re.findall(r'SETTING\.call\("(\w+)"', _TEXT))
    assert read == set(re.findall(r"^#   ROCMDOCTOR_(\w+)", head, re.MULTILINE))
    page = (CHECKOUT / "docs/how-to/ci-in-a-vm.md").read_text(encoding="utf-8")
    assert {name for name in read if f"ROCMDOCTOR_{name}" not in page} == set()


# ---------------------------------------------------------------- slow: a machine comes up, reboots and goes


_DAEMONS = ("libvirtd", "virtlogd", "virsh", "dnsmasq", "iptables", "rsync", "qemu-system-x86_64")
_RECIPE = """\
schema: 1
id: booting
title: For a test
steps:
  - id: boot
    uses: reboot
    with: {why: the new kernel runs}
  - id: later
    uses: file.write
    with: {path: /etc/smoke-later, text: "after it\\n"}
    after: [boot]
"""


def _virsh(*argv: str) -> subprocess.CompletedProcess[str]:
    return bounded(["virsh", "-q", "-c", "qemu:///system", *argv], 30)


@contextmanager
def _daemon(log: Path, *argv: str | Path) -> Iterator[None]:
    with (
        log.open("wb") as text,
        subprocess.Popen(
            [str(a) for a in argv], stdin=subprocess.DEVNULL, stdout=text, stderr=text, start_new_session=True
        ) as proc,
    ):
        try:
            yield
        finally:
            proc.send_signal(signal.SIGTERM)
            try:
                proc.wait(20)
            except subprocess.TimeoutExpired:
                proc.kill()


@contextmanager
def _libvirt(folder: Path) -> Iterator[None]:
    """libvirt's daemons, ours unless they run already.

    KVM is hidden from them: where it is listed and does not work, each of libvirt's questions to QEMU would take seconds.
    """
    if _virsh("version").returncode == 0:
        yield
        return
    folder.mkdir()
    closed, conf = folder / "no-kvm", folder / "qemu.conf"
    closed.touch(0o000)
    # Else libvirt would try to take the mount along into the guest's own namespace, and fail.
    conf.write_text(
        Path("/etc/libvirt/qemu.conf").read_text(encoding="utf-8") + "\nnamespaces = []\n", encoding="utf-8"
    )
    script = 'mount --bind "$1" /etc/libvirt/qemu.conf && { [ ! -e /dev/kvm ] || mount --bind "$2" /dev/kvm; } && exec libvirtd'
    private = ("unshare", "-m", "--propagation", "private", "sh", "-c", script, "sh", conf, closed)
    with _daemon(folder / "virtlogd.log", "virtlogd"), _daemon(folder / "libvirtd.log", *private):
        until = time.monotonic() + 60
        while _virsh("version").returncode != 0:
            assert time.monotonic() < until, (folder / "libvirtd.log").read_text(errors="replace")[-2000:]
            time.sleep(0.2)
        yield


def _volumes() -> set[str]:
    return {line.split()[0] for line in _virsh("vol-list", "default").stdout.splitlines() if line.split()}


@dataclass
class Run:
    """What the whole course left behind."""

    vagrant: Vagrant
    results: Path
    up: str = ""
    between: dict[str, Any] = field(default_factory=dict)
    reload: str = ""
    asked: str = ""

    def steps(self) -> dict[str, int]:
        """Seconds of each step of the smoke script, as far as it came."""
        found = self.results / "summary.json"
        said = json.loads(found.read_text(encoding="utf-8")) if found.exists() else {"steps": []}
        return {step["step"]: step["seconds"] for step in said["steps"]}


@pytest.fixture(scope="module")
def course(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Run]:
    """up, reload while the installation waits for it; the machine stays until the tests have looked at it."""
    missing = [name for name in _DAEMONS if shutil.which(name) is None]
    if shutil.which("vagrant") is None or missing:
        pytest.skip(f"needs vagrant and {', '.join(missing) or 'nothing else'}; .ci/run --all installs them")
    folder = tmp_path_factory.mktemp("vagrant")
    copy_checkout(folder / "at")
    (folder / "at/own/recipes").mkdir(parents=True)
    (folder / "at/own/recipes/booting.yaml").write_text(_RECIPE, encoding="utf-8")
    env = {
        "VAGRANT_DEFAULT_PROVIDER": "libvirt", "ROCMDOCTOR_BOX": str(TRIXIE.build_box()), "ROCMDOCTOR_VM_DRIVER": "qemu",
        "ROCMDOCTOR_VM_MEMORY": "1536", "ROCMDOCTOR_CA_BUNDLE": "/etc/ssl/certs/ca-certificates.crt",
        "ROCMDOCTOR_SMOKE_OPTIONS": "--patience 5 -- booting --content /vagrant/own",
    }  # fmt: skip
    vagrant = Vagrant(folder / "at", folder, env)
    with _libvirt(folder / "libvirt"):
        before = _volumes()
        run = Run(vagrant, folder / "at/smoke-results/trixie")
        try:
            _through(run)
            yield run
        finally:
            vagrant.run("destroy", "-f", seconds=120)
            print(f"seconds: {vagrant.took}; {run.steps()}", file=sys.stderr)
            for name in _volumes() - before:
                _virsh("vol-delete", "--pool", "default", name)


def _through(run: Run) -> None:
    vagrant, results = run.vagrant, run.results
    run.up = vagrant.good("up", "trixie", seconds=1800)
    run.between = json.loads((results / "summary.json").read_text(encoding="utf-8"))
    run.reload = vagrant.good("reload", "trixie", seconds=900)
    run.asked = vagrant.good(
        "ssh", "trixie", "-c", "cat /etc/smoke-later; uname -r; dpkg-query -W -f '${Status}\n' hipcc"
    )


@pytest.mark.slow
def test_up_ends_where_the_reboot_is_due(course: Run) -> None:
    assert "smoke: next, outside: vagrant reload" in course.up
    assert course.between["result"] == "reboot-needed"
    assert [s["exit_code"] for s in course.between["steps"]] == [0, 102]


@pytest.mark.slow
def test_reload_brings_it_to_its_end(course: Run) -> None:
    summary = json.loads((course.results / "summary.json").read_text(encoding="utf-8"))
    assert (summary["result"], summary["verified"]) == ("passed", "compiled")
    steps = {s["step"]: s for s in summary["steps"]}
    assert steps["install"]["boot"] != steps["resume"]["boot"]
    assert summary["system"].startswith("Debian GNU/Linux 13")
    assert course.asked.splitlines()[0] == "after it"
    # A kernel of its own ran it.
    assert course.asked.splitlines()[1] == summary["kernel"] != os.uname().release
    assert course.asked.splitlines()[2] == "install ok installed"


@pytest.mark.slow
def test_what_was_said_is_on_the_host(course: Run) -> None:
    names = {path.name for path in course.results.iterdir()}
    assert {
        "check-before.json",
        "install.json",
        "resume.json",
        "verify.json",
        "check-after.json",
        "machine.json",
    } <= names
    assert "results.tar.gz" not in names


@pytest.mark.slow
def test_destroy_leaves_no_machine(course: Run) -> None:
    shutil.rmtree(course.results)
    said = course.vagrant.good("destroy", "-f")
    assert "What the steps said" in said
    assert (course.results / "summary.json").exists()
    assert "rocmdoctor" not in _virsh("list", "--all").stdout
