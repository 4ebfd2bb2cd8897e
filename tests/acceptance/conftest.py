"""The machine that is accepted or not, its user, and what is expected of it.

This folder imports nothing of rocmdoctor. What a machine must be like is worked out from the machine itself.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

HERE = Path(__file__).parent
_LIMIT = 300  # seconds, of one command
_NAME_OF_USER = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]*")
# KFD gives the target as a decimal number: major * 10000 + minor * 100 + stepping. CPUs have 0.
_TARGETS = (
    "cat /sys/class/kfd/kfd/topology/nodes/*/properties 2>/dev/null | sed -n 's/^gfx_target_version //p'"
)


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("acceptance", "acceptance of a machine with ROCm")
    group.addoption("--gfx", help="the target that hipcc must build for; default: the first GPU's")
    group.addoption(
        "--expect",
        choices=("compiled", "ran"),
        help="how far a HIP program must come; default: ran where such a GPU is, else compiled",
    )
    group.addoption("--rocm-source", choices=("amd", "distro"), help="whose packages ROCm must be of")
    group.addoption(
        "--user", help="who trains; default: who logs in, or the only user of the machine for root"
    )
    group.addoption("--env", metavar="PATH", help="a Python environment whose torch must be one for ROCm")


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "touches_machine: may start programs")


def _asked_for(config: pytest.Config) -> bool:
    return any(
        named == HERE or HERE in named.parents
        for named in (
            (config.invocation_params.dir / str(arg).split("::")[0]).resolve()
            for arg in config.invocation_params.args
        )
    )


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Without --hosts no machine is meant, and none is touched."""
    ours = [item for item in items if item.path.is_relative_to(HERE)]
    for item in ours:
        item.add_marker(pytest.mark.touches_machine)
        if config.pluginmanager.hasplugin("timeout"):
            item.add_marker(pytest.mark.timeout(2 * _LIMIT))
    if config.getoption("hosts", None):
        return
    if _asked_for(config):
        for item in ours:
            item.add_marker(pytest.mark.skip(reason="no machine is named: give --hosts=ssh://user@host"))
        return
    items[:] = [item for item in items if item not in ours]
    config.hook.pytest_deselected(items=ours)


@dataclass(frozen=True)
class Said:
    """What a command printed, and how it ended."""

    code: int
    out: str
    err: str


@dataclass(frozen=True)
class Machine:
    """The machine as whoever logs in sees it; as root where that may be."""

    host: object
    uid: int
    name: str

    @property
    def is_root(self) -> bool:
        return self.uid == 0

    def run(self, script: str, *argv: str) -> Said:
        """A script of sh with arguments, as whoever logs in."""
        words = " ".join(map(shlex.quote, argv))
        done = self.host.run(f"LC_ALL=C timeout {_LIMIT} sh -c {shlex.quote(script)} sh {words}")
        return Said(done.rc, done.stdout, done.stderr)

    def good(self, script: str, *argv: str) -> str:
        """The output of a script that must succeed."""
        said = self.run(script, *argv)
        assert said.code == 0, f"{script}\nexit code {said.code}\n{said.out[-2000:]}\n{said.err[-2000:]}"
        return said.out

    def needs_root(self) -> None:
        """Skips where only root could look."""
        if not self.is_root:
            pytest.skip(f"{self.name} may not look there: log in as root, or add --sudo")


@dataclass(frozen=True)
class User:
    """Who trains on the machine."""

    machine: Machine
    name: str
    home: str
    shell: str

    def run(self, script: str) -> Said:
        """In a bash of a fresh login, as the groups are given at login."""
        login = f"bash -lc {shlex.quote(script)}"
        if self.machine.name == self.name:
            return self.machine.run(login)
        self.machine.needs_root()
        return self.machine.run('su - "$1" -s /bin/bash -c "$2"', self.name, script)

    def good(self, script: str) -> str:
        """The output of a script that must succeed."""
        said = self.run(script)
        assert said.code == 0, f"{script}\nexit code {said.code}\n{said.out[-2000:]}\n{said.err[-2000:]}"
        return said.out

    def in_shell(self, how: str, script: str) -> Said:
        """In a shell as it is when one is typed into (-i), or begins a session (-l). Its last line is what the script says."""
        said = self.run(f"cd; {how} {shlex.quote(script)} </dev/null 2>/dev/null")
        return Said(said.code, said.out.strip().rpartition("\n")[2], said.err)


@pytest.fixture(scope="module")
def machine(host) -> Machine:
    uid, name = host.run("id -u; id -un").stdout.split()
    return Machine(host, int(uid), name)


@pytest.fixture(scope="module")
def user(machine: Machine, pytestconfig: pytest.Config) -> User:
    name = pytestconfig.getoption("user", None) or _default_user(machine)
    assert _NAME_OF_USER.fullmatch(name), f"--user: {name!r} is no name of a user"
    said = machine.run('getent passwd "$1"', name)
    assert said.code == 0, f"--user: there is no user {name}"
    *_, home, shell = said.out.strip().split(":")
    return User(machine, name, home, shell)


def _default_user(machine: Machine) -> str:
    if not machine.is_root:
        return machine.name
    rows = [line.split(":") for line in machine.good("getent passwd").splitlines()]
    people = [row[0] for row in rows if 1000 <= int(row[2]) < 60000]
    if len(people) != 1:
        pytest.fail(f"say who trains with --user: {', '.join(people) or 'there is no user'}", pytrace=False)
    return people[0]


@pytest.fixture(scope="module")
def gpus(machine: Machine) -> list[str]:
    """Targets of the GPUs that KFD knows; empty where there is none."""
    numbers = [int(word) for word in machine.run(_TARGETS).out.split()]
    return [f"gfx{n // 10000}{n // 100 % 100:x}{n % 100:x}" for n in numbers if n]


@pytest.fixture(scope="module")
def a_gpu(gpus: list[str]) -> list[str]:
    """For what makes sense with a GPU alone."""
    if not gpus:
        pytest.skip("there is no AMD GPU in this machine that its driver knows")
    return gpus


@pytest.fixture(scope="module")
def gfx(gpus: list[str], pytestconfig: pytest.Config) -> str:
    """The target that programs are built for."""
    wanted = pytestconfig.getoption("gfx", None) or next(iter(gpus), "")
    if not wanted:
        pytest.skip("there is no AMD GPU here: say with --gfx what the machine is to build for")
    return wanted


@pytest.fixture(scope="module")
def expect(gpus: list[str], gfx: str, pytestconfig: pytest.Config) -> str:
    """How far a HIP program must come."""
    return pytestconfig.getoption("expect", None) or ("ran" if gfx in gpus else "compiled")


@pytest.fixture(scope="module")
def packages(machine: Machine) -> dict[str, str]:
    """Name to version of all that dpkg has installed and whole."""
    if machine.run("command -v dpkg-query").code:
        pytest.skip("this system has no dpkg")
    text = machine.good("dpkg-query -W -f '${db:Status-Abbrev}\\t${Package}\\t${Version}\\n'")
    rows = [line.split("\t") for line in text.splitlines()]
    return {name: version for state, name, version in rows if state == "ii "}


@pytest.fixture(scope="module")
def owner(machine: Machine, packages: dict[str, str]) -> Callable[[str], str]:
    """The installed package that a file is of, whatever links lead there; empty for none."""

    def ask(path: str) -> str:
        said = machine.run('dpkg -S "$(readlink -f -- "$1")" 2>/dev/null || dpkg -S "$1"', path)
        found = re.match(r"(?!diversion )([^:,\s]+)", said.out)
        return found.group(1) if said.code == 0 and found and found.group(1) in packages else ""

    return ask


@pytest.fixture(scope="module")
def hipcc(user: User) -> str:
    """Where a new shell of the user's finds hipcc, as whoever types into it does."""
    said = user.in_shell("bash -ic", "command -v hipcc")
    assert said.out.startswith("/"), f"a shell of {user.name}'s finds no hipcc"
    return said.out


@pytest.fixture(scope="module")
def source(machine: Machine, hipcc: str, owner: Callable[[str], str], packages: dict[str, str]) -> str:
    """Whose ROCm this is: AMD's packages have a number of the release in their versions, and lie below /opt."""
    name = owner(hipcc)
    where = machine.good('readlink -f -- "$1"', hipcc).strip()
    assert name, f"{where} is of no package"
    return "amd" if where.startswith("/opt/rocm") and "rocm-core" in packages else "distro"
