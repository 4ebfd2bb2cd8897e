#!/usr/bin/env python3
"""What it costs to find that nothing is to be done: `install base`, and the same state written for ansible-core and pyinfra.

    sudo TESTENV/bin/python benchmarks/converge.py     TESTENV: the environment that `./run test` makes; root for systemd-nspawn

A Debian 13 without a GPU boots in a container. Ours installs `base` for gfx90a there. Then each tool must report no change,
else the comparison would not be one of the same. Then the state is disturbed in six places, and each tool must bring back what
was there: packages, groups, files, modes and owners, byte for byte. Only then the runs with nothing to do are timed, all
inside the machine, as root, for the user ann, in turn. No test asserts these figures.

ansible-core (GPL-3.0-or-later) and pyinfra (MIT) are installed from PyPI into an environment of their own inside that
machine, and only started there as programs. rocmdoctor neither imports nor contains nor needs them.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import re
import shutil
import statistics
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

CHECKOUT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(CHECKOUT))

from tests.e2e.boxes import HOME, Box, copy_checkout, layer  # noqa: E402
from tests.e2e.installer import INSTALLER, Machine, machine, state_of, with_users  # noqa: E402
from tests.e2e.processes import good  # noqa: E402

_LAYOUT = "1"  # change it when `prepared` makes something else
HERE = f"{HOME}/benchmarks/converge"
PLACE = "/var/cache/converge"
DESIRED = f"{PLACE}/desired.json"
TOOLS = f"{PLACE}/venv/bin"
PACKAGES = ("rocminfo", "hipcc", "rocm-smi", "libamdhip64-dev")
STEPS = ("rocm.packages", "gpu-access.groups", "gpu-access.rule", "shell-env.env")
INSTALL = ["./run", "install", "base", "--arch", "gfx90a", "--yes", "--json"]
OURS, ANSIBLE, LEAN, PYINFRA = "rocmdoctor", "ansible-core", "ansible-core, no facts, pipelining", "pyinfra"
ALONE, PLAN, COLLECT, VERSION, CHECK = (
    "as ann, without sudo",
    "`plan base --arch gfx90a`",
    "`collect`",
    "`--version`",
    "`check --snapshot`",
)

DISTURB = """
dpkg --remove rocm-smi && gpasswd -d ann video && rm /etc/udev/rules.d/70-rocmdoctor.rules &&
sed -i '/>>> rocmdoctor >>>/,/<<< rocmdoctor <<</d' /etc/adduser.conf ~ann/.bashrc && echo x >>~ann/.config/rocmdoctor/env.sh
"""


@dataclass(frozen=True)
class Program:
    """A way to bring the machine into the state, or something else of ours that is timed."""

    name: str
    argv: list[str]
    env: dict[str, str]
    user: str = "root"
    converges: bool = True

    def changes(self, said: dict[str, Any]) -> int:
        """How many changes it reports. Raises SystemExit when it failed or says none of it."""
        text = said["out"] + said["err"]
        if said["code"] != 0:
            raise SystemExit(f"{self.name}: exit code {said['code']}\n{text[-3000:]}")
        if self.argv[0] == "./run":
            return len(json.loads(said["out"])["data"]["steps"])
        pattern = r"\bchanged=(\d+)" if "ansible" in self.argv[0] else r"Grand total[^\n]*?\d+ +(\d+|-) +"
        found = re.search(pattern, re.sub(r"\x1b\[[\d;]*m", "", text))
        if found is None:
            raise SystemExit(f"{self.name} does not say how much it changed\n{text[-3000:]}")
        return int(found.group(1).replace("-", "0"))


def programs(ann: int) -> list[Program]:
    """All that is timed."""
    # As in her next login: hipconfig works more where it chooses AMD. An installation looks at the machine so by itself.
    login = {"HIP_PLATFORM": "amd"}
    as_sudo = {**login, "SUDO_UID": str(ann), "SUDO_GID": str(ann), "SUDO_USER": "ann"}
    play = [f"{TOOLS}/ansible-playbook", "-i", "localhost,", "-c", "local", "-e", f"@{DESIRED}"]
    python = ["-e", "ansible_python_interpreter=/usr/bin/python3"]
    book = f"{HERE}/playbook.yml"
    # What it leaves in root's home otherwise is no part of the state.
    aside = {"ANSIBLE_HOME": f"{PLACE}/ansible", "ANSIBLE_REMOTE_TEMP": f"{PLACE}/ansible/tmp"}
    return [
        Program(OURS, INSTALL, as_sudo),
        Program(ANSIBLE, [*play, *python, book], aside),
        Program(LEAN, [*play, *python, "-e", "gather=false", book], {**aside, "ANSIBLE_PIPELINING": "1"}),
        Program(
            PYINFRA, [f"{TOOLS}/pyinfra", "-y", "@local", f"{HERE}/deploy.py"], {"CONVERGE_DESIRED": DESIRED}
        ),
        Program(ALONE, INSTALL, login, "ann"),
        Program(PLAN, ["./run", "plan", "base", "--arch", "gfx90a"], login, "ann", converges=False),
        Program(COLLECT, ["./run", "collect", "-o", "/tmp/box.json"], login, "ann", converges=False),
        Program(CHECK, ["./run", "check", "--snapshot", "/tmp/box.json"], login, "ann", converges=False),
        Program(VERSION, ["./run", "--version"], login, "ann", converges=False),
    ]


# ---------------------------------------------------------------- the machine


def prepared() -> Path:
    """A layer with the user, her environment of the doctor's, and the other tools; kept in the cache folder."""
    # The environment of the doctor's is one of what pyproject.toml asks for.
    wanted = [CHECKOUT / "benchmarks" / "converge" / "requirements.txt", CHECKOUT / "pyproject.toml"]
    text = f"{_LAYOUT}\n{INSTALLER.path.name}\n".encode() + b"".join(path.read_bytes() for path in wanted)
    key = hashlib.sha256(text).hexdigest()[:12]
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "rocmdoctor" / "converge"
    if (cache / key).is_dir():
        return cache / key / "upper"
    cache.mkdir(parents=True, exist_ok=True)
    aside = Path(tempfile.mkdtemp(prefix=".new.", dir=cache))
    with layer(INSTALLER, aside / "layer", keep=True) as root:
        copy_checkout(root / HOME[1:])
        fresh = Box(root)
        with_users(fresh)
        # hipconfig looks for a file of this name: with it HIP_PLATFORM is exported. ansible's apt needs python3-apt.
        fresh.write("/usr/local/bin/nvcc", "#!/bin/sh\necho stand-in for nvcc\n", 0o755)
        fresh.good("apt-get -q -y --no-install-recommends install python3-apt", seconds=300)
        fresh.good(
            f"python3 -m venv {PLACE}/venv && {TOOLS}/pip -q install -r {HERE}/requirements.txt", seconds=600
        )
        shutil.rmtree(root / HOME[1:])
    (aside / "layer").rename(cache / key)
    shutil.rmtree(aside, ignore_errors=True)
    return cache / key / "upper"


def _owned_by_ann(fresh: Box) -> None:
    """As people have it: the checkout is the user's, and holds the byte code of a first run."""
    fresh.good(f"chown -R ann: {HOME} && chmod 755 {HOME}")


def once(booted: Machine, *wished: Program, runs: int = 0) -> list[dict[str, Any]]:
    """What the programs said, run in turn inside the machine."""
    wish = {"runs": runs, "programs": [{**vars(p), "cwd": HOME} for p in wished]}
    booted.write(f"{PLACE}/wish.json", json.dumps(wish))
    said = booted.good(f"python3 {HERE}/timing.py {PLACE}/wish.json", seconds=300 + 60 * runs)
    return [json.loads(line) for line in said.splitlines()]


def _describe(booted: Machine) -> None:
    """The texts that ours left, for the others to want."""

    def block(path: str) -> str:
        text = (booted.root / path).read_text(encoding="utf-8")
        return re.split(r"^# (?:>>>|<<<) rocmdoctor (?:>>>|<<<)\n", text, flags=re.MULTILINE)[1]

    def whole(path: str) -> str:
        return (booted.root / path).read_text(encoding="utf-8")

    wanted = {
        "user": "ann", "home": "/home/ann", "packages": PACKAGES, "groups_wanted": ["render", "video"],
        "adduser_block": block("etc/adduser.conf"), "bashrc_block": block("home/ann/.bashrc"),
        "udev_rule": whole("etc/udev/rules.d/70-rocmdoctor.rules"), "env_sh": whole("home/ann/.config/rocmdoctor/env.sh"),
    }  # fmt: skip
    booted.write(DESIRED, json.dumps(wanted))


# ---------------------------------------------------------------- that it is the same


def converge(booted: Machine, ours: Program) -> None:
    """From nothing, with ours."""
    (said,) = once(booted, ours)
    if said["code"] != 0:
        raise SystemExit(f"`install base`: exit code {said['code']}\n{(said['out'] + said['err'])[-3000:]}")
    others = [s["id"] for s in json.loads(said["out"])["data"]["steps"] if not s["id"].startswith(STEPS)]
    if others:
        raise SystemExit(f"`install base` does what the others were not told to do: {others}")


def assert_same(booted: Machine, wished: list[Program]) -> None:
    """Each reports no change, and brings back what was disturbed. Raises SystemExit."""
    wanted = state_of(booted)
    for program in wished:
        (said,) = once(booted, program)
        if program.changes(said):
            raise SystemExit(
                f"{program.name} changes what is in place\n{(said['out'] + said['err'])[-4000:]}"
            )
        _assert_state(booted, wanted, program)
    for program in wished:
        booted.good(DISTURB)
        (said,) = once(booted, program)
        changes = program.changes(said)
        _assert_state(booted, wanted, program)
        if not changes:
            raise SystemExit(
                f"{program.name} brings back what was disturbed, and says that it changed nothing"
            )
        say(f"{program.name} brings back what was disturbed; it counts {changes} changes")


def _assert_state(booted: Machine, wanted: dict[str, str], program: Program) -> None:
    found = state_of(booted)
    wrong = {n: (wanted.get(n), found.get(n)) for n in {*found, *wanted} if found.get(n) != wanted.get(n)}
    if wrong:
        raise SystemExit(f"after {program.name} it is not what it was after ours: {wrong}")


# ---------------------------------------------------------------- the figures


@dataclass(frozen=True)
class Cost:
    """Medians of the runs that count."""

    wall: float
    cpu: float
    runs: int


def measured(booted: Machine, wished: list[Program], runs: int) -> dict[str, Cost]:
    """By name. A run that changed something is no run with nothing to do."""
    said = once(booted, *wished, runs=runs)
    costs = {}
    for program in wished:
        own = [s for s in said if s["name"] == program.name]
        for run in own if program.converges else ():
            if program.changes(run):
                raise SystemExit(f"{program.name} changed something while it was timed")
        counting = [s for s in own if s["counts"]]
        costs[program.name] = Cost(
            statistics.median(s["wall"] for s in counting),
            statistics.median(s["cpu"] for s in counting),
            len(counting),
        )
    return costs


def tables(costs: dict[str, Cost]) -> str:
    """Markdown: the tools beside each other, then ours beside the budget."""
    ours = costs[OURS]
    lines = [
        "| nothing to do, as root for ann | seconds | x ours | processor s | x ours |",
        "| --- | --- | --- | --- | --- |",
    ]
    for name in (OURS, PYINFRA, LEAN, ANSIBLE):
        cost = costs[name]
        lines.append(
            f"| {name} | {cost.wall:.2f} | {cost.wall / ours.wall:.1f} | {cost.cpu:.2f} | {cost.cpu / ours.cpu:.1f} |"
        )
    limit = 1.0 + costs[COLLECT].wall
    lines += [
        "",
        "| ours alone, as ann | seconds | processor s | budget | |",
        "| --- | --- | --- | --- | --- |",
    ]
    for name in (VERSION, CHECK, COLLECT, PLAN, ALONE):
        cost = costs[name]
        budget = f"1 s + one collect = {limit:.2f} s | {'met' if cost.wall <= limit else '**missed**'}"
        label = "`install base --arch gfx90a`, nothing to do" if name == ALONE else name
        lines.append(f"| {label} | {cost.wall:.2f} | {cost.cpu:.2f} | {budget if name == ALONE else ' | '} |")
    return "\n".join(lines)


def say(text: str) -> None:
    """Progress."""
    print(text, file=sys.stderr, flush=True)


def main() -> None:
    """The tables on stdout, progress on stderr."""
    parser = argparse.ArgumentParser(description="Time runs with nothing to do; prints markdown tables.")
    parser.add_argument("--runs", type=int, default=9, help="runs behind each median (default 9)")
    options = parser.parse_args()
    if os.geteuid() != 0:
        raise SystemExit("benchmarks/converge.py boots a container, which needs root")
    folder = Path(tempfile.mkdtemp(prefix="converge."))
    try:
        with machine(INSTALLER, folder / "box", _owned_by_ann, below=(prepared(),)) as booted:
            _measure(booted, options.runs)
    finally:
        good(["rm", "-rf", folder], 120)


def _measure(booted: Machine, runs: int) -> None:
    wished = programs(int(booted.good("id -u ann")))
    say("installing `base` with ours")
    # Once as ann, so that her Python leaves its byte code; root's would be in the way.
    once(booted, *(p for p in wished if not p.converges))
    converge(booted, wished[0])
    _describe(booted)
    # The folder of downloads is shared with other machines, which may hold its lock.
    booted.good(
        "cd /var/cache/apt && cp archives/rocm-smi_*.deb . && umount archives && mv rocm-smi_*.deb archives"
    )
    assert_same(booted, [p for p in wished if p.converges and p.user == "root"])
    say("timing")
    began = os.getloadavg()[0]
    costs = measured(booted, wished, runs)
    print(tables(costs))
    versions = booted.good(f"{TOOLS}/pip list --format=freeze | grep -E '^(ansible-core|pyinfra)='").split()
    python = booted.good("python3 --version").strip()
    load = f"load {began:.1f} before and {os.getloadavg()[0]:.1f} after"
    print(f"\n{runs} runs each; {python}, {', '.join(versions)}, {os.cpu_count()} processors, {load}.")


if __name__ == "__main__":
    main()
