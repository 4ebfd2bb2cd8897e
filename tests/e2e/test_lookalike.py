"""`install base` with AMD's repository, on a used look-alike of Ubuntu 22.04: from dirty to verified, and every way it fails.

The repositories, the kernel's name and the GPU are look-alikes (tests/lookalike); dpkg, apt, dkms, sudo, systemd and the
compiler behind the look-alike hipcc are real. What the machine is like afterwards is asserted with dpkg-query, apt-cache,
dkms, stat and LLVM's own tools, not with our code.
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pexpect
import pytest

from tests.e2e.installer import PASSWORD, Machine, state_of, targets_of_hipcc
from tests.e2e.processes import good
from tests.lookalike import jammy
from tests.lookalike.amd import RELEASES
from tests.lookalike.build import AMD as AMD_HOST
from tests.lookalike.build import UBUNTU, Built, build
from tests.lookalike.debs import Deb, File
from tests.lookalike.serve import HTTPS, Fault, Server, serving

WANTED, OLD = RELEASES["6.2.4"], RELEASES["5.7.1"]
AMD = "https://repo.radeon.com"  # its name leads to loopback, where a server shows a certificate of ours


@dataclass
class Lab:
    """Layers: a fresh machine, and a used one on top of it, which is made when it is first asked for."""

    folder: Path
    built: Built
    server: Server
    _layers: dict[str, Path] = field(default_factory=dict)
    _count: int = 0

    def below(self, name: str) -> tuple[Path, ...]:
        """The layers of a machine, the newest first."""
        fresh = self._layer("fresh", (), lambda box: jammy.fresh(box, self.built, self.server))
        if name == "fresh":
            return (fresh,)
        used = self._layer("used", (fresh,), lambda box: jammy.used(box, self.built, self.server))
        return (used, fresh)

    def _layer(self, name: str, below: tuple[Path, ...], make: Callable[..., None]) -> Path:
        if name not in self._layers:
            with jammy.frozen(self.folder / name, below) as box:
                make(box)
            self._layers[name] = self.folder / name / "upper"
        return self._layers[name]

    @contextmanager
    def boot(self, name: str, prepare: Callable[[Machine], None] | None = None) -> Iterator[Machine]:
        """A machine that is thrown away."""
        below = self.below(name)
        self._count += 1
        with jammy.boot(self.folder / f"boot-{self._count}", below) as booted:
            if prepare:
                prepare(booted)
            yield booted

    def command(self, *more: str) -> str:
        """The installation that all of this is about."""
        words = ["--arch", "gfx90a", "--rocm", "6.2.4", *more]
        return f"./run install base {' '.join(words)}"

    @property
    def trusted(self) -> tuple[str, str]:
        return ("--trust-key", self.built.fingerprint)


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    for name in ("gpg", "gpg-agent", "gpgconf", "openssl"):
        if shutil.which(name) is None:
            pytest.skip(f"needs {name}, to sign the look-alike repositories")
    folder = tmp_path_factory.mktemp("lookalike")
    built = build(folder / "repositories")
    with serving(built.folder, HTTPS, jammy.address()) as server:
        yield Lab(folder, built, server)
    good(["rm", "-rf", folder], 120)


@pytest.fixture(autouse=True)
def _no_faults(lab: Lab) -> Iterator[None]:
    yield
    lab.server.release()
    lab.server.broken_driver = False


@dataclass(frozen=True)
class Said:
    """How a command on a terminal went. `text`: all of it, `plan`: up to the first question."""

    code: int
    plan: str
    text: str


def _type(machine: Machine, command: str, before_yes: Callable[[], None] | None = None) -> Said:
    """As a person does it: looks at the plan, says y, types the password, lets it reboot."""
    talk = machine.terminal(command)
    said, plan = "", ""
    while True:
        at = talk.expect([r"\[y/N\]", "Password of ann:", pexpect.EOF])
        said += talk.before + (talk.after if at < 2 else "")
        if at == 2:
            break
        if at == 0:
            if not plan:
                plan = said
                if before_yes:
                    before_yes()
            talk.sendline("y")
        else:
            talk.sendline(PASSWORD)
    talk.close()
    assert "Traceback" not in said, said[-4000:]
    return Said(talk.exitstatus if talk.exitstatus is not None else -1, plan, said)


def _packages(machine: Machine) -> dict[str, str]:
    """Name to version of what is installed and whole."""
    text = machine.good("dpkg-query -W -f '${db:Status-Abbrev}\\t${Package}\\t${Version}\\n'")
    rows = [line.split("\t") for line in text.splitlines()]
    return {name: version for state, name, version in rows if state == "ii "}


def _candidate(machine: Machine, name: str) -> str:
    found = re.search(r"Candidate: (\S+)", machine.good("apt-cache policy $1", name))
    assert found is not None
    return found.group(1)


def _dkms(machine: Machine) -> str:
    return machine.good("PATH=$PATH:/usr/sbin dkms status 2>&1")


# ---------------------------------------------------------------- dirty to verified


@dataclass(frozen=True)
class Cured:
    """The used machine after one installation, and how it was before."""

    machine: Machine
    before: dict[str, str]
    said: Said


@pytest.fixture(scope="module")
def cured(lab: Lab) -> Iterator[Cured]:
    with lab.boot("used") as machine:
        before = state_of(machine)
        yield Cured(machine, before, _type(machine, lab.command(*lab.trusted)))


def test_the_used_machine_is_as_dirty_as_it_should_be(cured: Cured) -> None:
    broken = {k for k, v in cured.before.items() if k.startswith("package ") and not v.endswith("ii ")}
    assert broken == {"package amdgpu-dkms", "package half-done"}
    assert cured.before["package rocm-core"].startswith("5.7.1.50701-98~22.04 ")
    assert "package cuda-nvcc-12-4" in cured.before
    assert f"/var/lib/dkms/amdgpu/{jammy.STALE}/source" in cured.before


def test_it_ends_verified(cured: Cured) -> None:
    assert cured.said.code == 0, cured.said.text[-4000:]
    assert "hipcc compiles for gfx90a and the code object holds it" in cured.said.text


def test_what_goes_stood_in_the_plan_before_the_question(cured: Cured) -> None:
    for name in ("rocm-core", "cuda-nvcc-12-4", "nvidia-driver-550", "amdgpu-dkms"):
        assert name in cured.said.plan, name


def test_rocm_is_the_wanted_one_and_no_other_is_left(cured: Cured) -> None:
    there = _packages(cured.machine)
    assert there["rocm-core"] == "6.2.4.60204-139~22.04"
    assert there["hipcc"] == "1.1.1.60204-139~22.04"
    assert [n for n, v in there.items() if f".{OLD.code}-" in v] == []
    assert cured.machine.good("readlink -f /opt/rocm").strip() == "/opt/rocm-6.2.4"
    assert cured.machine.good("cat /opt/rocm/.info/version").startswith("6.2.4")


def test_cuda_is_gone_and_what_shows_pictures_stays(cured: Cured) -> None:
    there = _packages(cured.machine)
    assert [n for n in there if re.match(r"cuda|libcublas|nvidia-|libnvidia", n)] == []
    for name in ("mesa-vulkan-drivers", "linux-firmware", "libgl1-mesa-dri", f"linux-image-{jammy.GA}"):
        assert name in there, name


def test_dpkg_and_apt_find_nothing_wrong(cured: Cured) -> None:
    assert cured.machine.good("dpkg --audit; apt-get check -qq") == ""
    assert _packages(cured.machine)["half-done"] == "1.0-1"


def test_the_pin_and_nothing_else_keeps_ubuntu_s_higher_versions_out(cured: Cured) -> None:
    for name, higher in (("rocminfo", "5.0.0-1"), ("hipcc", "5.7.1-3"), ("rocm-cmake", "5.0.0-1")):
        assert f".{WANTED.code}-" in _candidate(cured.machine, name)
        assert f"{higher} 500" in cured.machine.good("apt-cache policy $1", name)
    without = cured.machine.good("apt-cache -o Dir::Etc::preferencesparts=/nowhere policy rocm-device-libs")
    assert "Candidate: 5.0.0-1" in without


def test_one_source_with_its_own_key_is_left(cured: Cured, lab: Lab) -> None:
    named = cured.machine.good("grep -rlE '^(deb|URIs).*(rocm|amdgpu|cuda)' /etc/apt/sources.list.d").split()
    assert named, "no source of AMD's"
    for path in named:
        text = cured.machine.good("cat $1", path)
        assert AMD in text
        assert "5.7.1" not in text
        assert lab.built.fingerprint in text or "signed-by=/etc/apt/keyrings/" in text.lower()
    assert cured.machine.good("find /etc/apt/trusted.gpg.d -name '*rocm*' -o -name '*cuda*'") == ""
    assert cured.machine.good("apt-get update 2>&1 | grep -E '^(W|E):' || true", seconds=60) == ""


def test_the_stale_tree_and_what_nobody_owns_were_moved_aside_not_deleted(cured: Cured) -> None:
    assert jammy.STALE not in _dkms(cured.machine)
    for path in (f"/var/lib/dkms/amdgpu/{jammy.STALE}", "/opt/rocm-5.4.3", "/etc/rocm.d", "/etc/amd"):
        assert cured.machine.run("test -e $1", path).returncode == 1, path
    kept = cured.machine.good(
        "find /var/backups/rocmdoctor /var/lib/rocmdoctor -name libold.so.1 -o -name amdapfxx.blb"
    )
    assert len(kept.split()) == 2
    assert cured.machine.good("cat /home/ann/notes.txt") == "ann's own\n"


def test_the_code_object_is_real(cured: Cured) -> None:
    usr = f"{jammy.COMPILER}/usr"
    bundler = (
        f"env LD_LIBRARY_PATH={usr}/lib/x86_64-linux-gnu $(ls -d {usr}/lib/llvm-*/bin)/clang-offload-bundler"
    )
    assert targets_of_hipcc(cured.machine, bundler) == ["hipv4-amdgcn-amd-amdhsa--gfx90a"]


def test_shells_and_device_rules_are_for_the_machine_as_it_is_now(cured: Cured) -> None:
    """The nvcc that wanted a variable is gone, and so is the package that had brought rules of its own."""
    exports = cured.machine.good("cat /home/ann/.config/rocmdoctor/env.sh")
    assert "HIP_PLATFORM" not in exports
    path = cured.machine.good("bash -ic 'echo $PATH' 2>/dev/null", user="ann", env={"HOME": "/home/ann"})
    assert "/opt/rocm/bin" in path.strip().split(":")
    rules = cured.machine.good("grep -l kfd /etc/udev/rules.d/*.rules").split()
    assert rules == ["/etc/udev/rules.d/70-rocmdoctor.rules"]
    assert {"render", "video"} <= set(cured.machine.good("id -nG ann").split())


def test_a_second_run_changes_nothing(cured: Cured, lab: Lab) -> None:
    now = state_of(cured.machine)
    words = lab.command(*lab.trusted).split()[1:]
    said = cured.machine.doctor(*words, user="ann")
    assert (said["exit_code"], said["data"]["steps"]) == (0, []), said
    assert state_of(cured.machine) == now


def test_undo_takes_back_what_can_be_taken_back(cured: Cured) -> None:
    said = _type(cured.machine, "./run undo")
    assert said.code == 0, said.text[-3000:]
    there = _packages(cured.machine)
    assert [n for n, v in there.items() if f".{WANTED.code}-" in v] == []
    for path in ("/etc/rocm.d/old.conf", "/etc/amd/amdapfxx.blb", "/etc/apt/sources.list.d/rocm.list"):
        assert path in state_of(cured.machine), path


# ---------------------------------------------------------------- one trouble at a time


@pytest.mark.slow
def test_an_unknown_key_is_shown_before_anything_goes_and_taken_only_by_name(lab: Lab) -> None:
    with lab.boot("used") as machine:
        before = _packages(machine)
        said = _type(machine, lab.command())
        assert said.code == 4, said.text[-3000:]
        assert f"--trust-key {lab.built.fingerprint}" in said.text
        assert _packages(machine) == before
        said = _type(machine, lab.command(*lab.trusted))
        assert said.code == 0, said.text[-3000:]
        assert _packages(machine)["rocm-core"] == "6.2.4.60204-139~22.04"


@pytest.mark.slow
def test_a_key_that_has_expired_is_said_to_have(lab: Lab) -> None:
    with lab.boot("fresh") as machine:
        expired = lab.built.read("amd-expired.asc")
        lab.server.faults.append(Fault(r"rocm\.gpg\.key$", "old", instead=expired))
        said = _type(machine, lab.command(*lab.trusted))
        assert said.code in (3, 4), said.text[-3000:]
        assert f"the key {lab.built.fingerprint[-16:]} of a repository has expired" in said.text
        assert [v for v in _packages(machine).values() if f".{WANTED.code}-" in v] == []
        lab.server.release()
        said = _type(machine, lab.command(*lab.trusted))
        assert said.code == 0, said.text[-3000:]
        assert _packages(machine)["rocm-core"] == "6.2.4.60204-139~22.04"


@pytest.mark.slow
def test_a_half_configured_package_is_finished_first(lab: Lab) -> None:
    with lab.boot("fresh", jammy.half_configured) as machine:
        assert "half-done" not in _packages(machine)
        said = _type(machine, lab.command(*lab.trusted))
        assert said.code == 0, said.text[-3000:]
        assert _packages(machine)["half-done"] == "1.0-1"


@pytest.mark.slow
def test_ubuntu_s_packages_give_way_to_amd_s(lab: Lab) -> None:
    def prepare(machine: Machine) -> None:
        machine.good("apt-get -qq -y install rocminfo rocm-cmake rocm-device-libs", seconds=120)

    with lab.boot("fresh", prepare) as machine:
        assert _packages(machine)["rocminfo"] == "5.0.0-1"
        said = _type(machine, lab.command(*lab.trusted))
        assert said.code == 0, said.text[-3000:]
        assert _packages(machine)["rocminfo"] == "1.0.0.60204-139~22.04"
        assert machine.good("dpkg --audit; apt-get check -qq") == ""


@pytest.mark.slow
def test_a_driver_that_does_not_build_is_said_with_the_compiler_s_words_and_the_other_way(lab: Lab) -> None:
    with lab.boot("fresh") as machine:
        lab.server.broken_driver = True
        said = _type(machine, lab.command(*lab.trusted, "--driver", "dkms"))
        assert said.code == 4, said.text[-3000:]
        assert 'macro "__assign_str" passed 2 arguments' in said.text
        assert "--driver kernel" in said.text
        said = _type(machine, lab.command(*lab.trusted, "--driver", "kernel"))
        assert said.code == 0, said.text[-3000:]
        assert "amdgpu-dkms" not in _packages(machine)
        assert machine.good("dpkg --audit; apt-get check -qq") == ""


@pytest.mark.slow
def test_the_driver_is_built_for_the_running_kernel_and_the_run_goes_on_after_the_reboot(lab: Lab) -> None:
    with lab.boot("used") as machine:
        said = _type(machine, lab.command(*lab.trusted, "--driver", "dkms"))
        assert "rebooting now: AMD's driver 6.2.4 is loaded" in said.text, said.text[-3000:]
        machine.wait_for_reboot()
        machine.good("systemctl start --wait rocmdoctor-resume.service 2>/dev/null || true", seconds=300)
        (run,) = machine.doctor("history", user="ann")["data"]["runs"]
        assert (run["state"], run["verified"]) == ("done", "compiled"), run
        assert f"amdgpu/{WANTED.module}, {jammy.GA}, x86_64: installed" in _dkms(machine)
        assert machine.good(f"ls /lib/modules/{jammy.GA}/updates/dkms").split() == ["amdgpu.ko"]
        assert _packages(machine)["amdgpu-dkms"] == "1:6.8.5.60204-2070768.22.04"
        assert machine.good("dpkg --audit; apt-get check -qq") == ""


@pytest.mark.slow
def test_a_suite_that_is_not_there_is_named(lab: Lab) -> None:
    with lab.boot("fresh") as machine:
        lab.server.faults.append(Fault(r"^/rocm/apt/6\.2\.4/dists/", "missing"))
        said = _type(machine, lab.command(*lab.trusted))
        assert said.code == 4, said.text[-3000:]
        assert f"{AMD}/rocm/apt/6.2.4 jammy" in said.text
        assert "404" in said.text
        lab.server.release()
        said = _type(machine, "./run resume")
        assert said.code == 0, said.text[-3000:]


@pytest.mark.slow
def test_a_mirror_that_is_cut_in_the_middle_is_resumed(lab: Lab) -> None:
    with lab.boot("used") as machine:
        cut = Fault(r"/pool/main/r/rocm-llvm/", "cut")
        lab.server.faults.append(cut)
        said = _type(machine, lab.command(*lab.trusted))
        assert cut.began.is_set()
        assert said.code == 4, said.text[-3000:]
        assert "rocm-llvm" in said.text
        assert "resume" in said.text
        lab.server.release()
        said = _type(machine, "./run resume")
        assert said.code == 0, said.text[-3000:]
        assert "hipcc compiles for gfx90a" in said.text
        there = _packages(machine)
        assert there["rocm-llvm"] == "18.0.0.24392.60204-139~22.04"
        assert [n for n, v in there.items() if f".{OLD.code}-" in v] == []


@pytest.mark.slow
def test_a_server_that_is_not_there_leaves_all_as_it_was(lab: Lab) -> None:
    with lab.boot("used") as machine:
        machine.good(f"sed -i 's/^127[.].* {UBUNTU.replace('.', '[.]')}.*/127.0.0.9 {AMD_HOST}/' /etc/hosts")
        before = _packages(machine)
        said = _type(machine, lab.command(*lab.trusted))
        assert said.code == 4, said.text[-3000:]
        assert f"{AMD}/rocm/rocm.gpg.key" in said.text
        assert _packages(machine) == before


@pytest.mark.slow
def test_one_release_takes_the_place_of_another_and_back(lab: Lab) -> None:
    with lab.boot("fresh") as machine:
        for release, version in (("6.0.2", "6.0.2.60002-115~22.04"), ("6.2.4", "6.2.4.60204-139~22.04")):
            words = ["--arch", "gfx90a", "--rocm", release, *lab.trusted]
            said = _type(machine, f"./run install base {' '.join(words)}")
            assert said.code == 0, said.text[-3000:]
            assert _packages(machine)["rocm-core"] == version
            assert machine.good("ls -d /opt/rocm-*").split() == [f"/opt/rocm-{release}"]
            assert machine.good("apt-get check -qq; apt-get update 2>&1 | grep -E '^(W|E):' || true") == ""
        assert _type(machine, "./run undo").code == 0


@pytest.mark.slow
def test_a_mirror_stands_in_for_amd_s_server(lab: Lab) -> None:
    with lab.boot("fresh") as machine, serving(lab.built.folder) as mirror:
        said = _type(machine, lab.command(*lab.trusted, "--mirror", mirror.url))
        assert said.code == 0, said.text[-3000:]
        policy = machine.good("apt-cache policy rocm-core")
        assert f"600 {mirror.url}/rocm/apt/6.2.4 jammy/main amd64 Packages" in policy
        assert AMD not in policy


_MORE = Deb(
    name="lab-tools",
    version="1.0",
    about="look-alike of somebody's own package, for tests",
    maintainer="look-alike of a laboratory <nobody@localhost>",
    arch="all",
    depends=("rocm-core",),
    files={"/usr/share/doc/lab-tools/README": File("A look-alike.\n")},
)


@pytest.mark.slow
def test_a_step_that_would_remove_more_than_was_agreed_to_stops(lab: Lab) -> None:
    with lab.boot("used") as machine:

        def meanwhile() -> None:
            (machine.root / "root/more.deb").write_bytes(_MORE.build())
            machine.good("dpkg -i /root/more.deb")

        said = _type(machine, lab.command(*lab.trusted), before_yes=meanwhile)
        assert said.code == 4, said.text[-3000:]
        assert "lab-tools" in said.text
        there = _packages(machine)
        assert there["lab-tools"] == "1.0"
        assert there["rocm-core"] == "5.7.1.50701-98~22.04"


@pytest.mark.slow
def test_yes_alone_removes_nothing(lab: Lab) -> None:
    with lab.boot("used") as machine:
        before = state_of(machine)
        done = machine.run(f"{lab.command(*lab.trusted)} --yes", user="ann", seconds=120)
        assert done.returncode == 5, done.stdout[-2000:] + done.stderr[-2000:]
        assert "--allow-remove" in done.stderr
        assert state_of(machine) == before
