#!/usr/bin/env python3
"""Measures the time budgets side by side in one run and prints a table. Never part of a test verdict.

    python benchmarks/budgets.py      with an interpreter that has click, rich and packaging; torch is measured if there

Each figure is the median of several runs, `x bare` the ratio to `python -c pass` of the same run of this script. Processor
time hardly depends on what else the machine does; time on the clock does, so the load is printed below.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

CHECKOUT = Path(__file__).resolve().parent.parent
DOCTOR = [sys.executable, "-m", "rocmdoctor"]
HANGING = ("rocminfo", "rocm_agent_enumerator", "hipconfig", "hipcc", "rocm-smi", "amd-smi")


@dataclass(frozen=True, order=True)
class Cost:
    """Seconds on the clock, and seconds of processor time of a run with all its children."""

    wall: float
    cpu: float


@dataclass(frozen=True)
class Row:
    """A figure beside its budget. `met` is None where no budget applies."""

    what: str
    cost: Cost
    budget: str
    met: bool | None


def environment(home: Path) -> dict[str, str]:
    """As a user has it: nothing but a home, a PATH and the checkout."""
    return {
        "HOME": str(home),
        "PATH": os.environ["PATH"],
        "PYTHONPATH": str(CHECKOUT),
        "LANG": "C.UTF-8",
    }


def timed(argv: list[str], env: dict[str, str]) -> Cost:
    """One run. Exit codes 1 and 6 are findings of the doctor, not failures."""
    used, began = _children(), time.perf_counter()
    done = subprocess.run(argv, env=env, stdin=subprocess.DEVNULL, capture_output=True, check=False)
    cost = Cost(time.perf_counter() - began, _children() - used)
    if done.returncode not in (0, 1, 6):
        raise SystemExit(f"{argv}: exit code {done.returncode}\n{done.stderr.decode(errors='replace')}")
    return cost


def _children() -> float:
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def median(argv: list[str], env: dict[str, str], runs: int) -> Cost:
    """After one run that fills the caches."""
    timed(argv, env)
    costs = [timed(argv, env) for _ in range(runs)]
    return Cost(statistics.median(c.wall for c in costs), statistics.mean(c.cpu for c in costs))


def slowest_question(snapshot: Path) -> float:
    """Seconds of the slowest program in a snapshot."""
    answers = json.loads(snapshot.read_text(encoding="utf-8"))["answers"].values()
    return max((answer.get("seconds", 0.0) for answer in answers), default=0.0)


def hanging_path(folder: Path) -> str:
    """A PATH on which every ROCm program hangs."""
    folder.mkdir()
    for name in HANGING:
        stub = folder / name
        stub.write_text("#!/bin/sh\nexec sleep 60\n", encoding="utf-8")
        stub.chmod(0o755)
    return f"{folder}:{os.environ['PATH']}"


def measure(home: Path, runs: int, say: Callable[[str], None]) -> list[Row]:
    """All rows, each said when it is there."""
    env = environment(home)
    bare = [sys.executable, "-c", "pass"]
    base = median(bare, env, 4 * runs)
    rows = [Row("`python -c pass`", base, "", None)]

    def add(what: str, cost: Cost, limit: float, budget: str) -> None:
        rows.append(Row(what, cost, budget, cost.wall <= limit))
        say(what)

    for option in ("--version", "--help"):
        add(f"`{option}`", median([*DOCTOR, option], env, 2 * runs), 5 * base.wall, "5 x bare")
    add("`check --help`", median([*DOCTOR, "check", "--help"], env, runs), float("inf"), "none")
    box = home / "box.json"
    timed([*DOCTOR, "collect", "-o", str(box)], env)
    add("`check --snapshot`", median([*DOCTOR, "check", "--snapshot", str(box)], env, runs), 0.2, "0.2 s")
    slowest = slowest_question(box)
    limit = min(1.0, slowest + 0.3)
    add(
        "`check`", median([*DOCTOR, "check"], env, runs), limit, f"slowest question ({slowest:.2f} s) + 0.3 s"
    )
    stuck = {**env, "PATH": hanging_path(home / "hanging")}
    add("`check`, every ROCm tool hangs", timed([*DOCTOR, "check"], stuck), 5, "5 s")
    many = thousand(home / "many", box)
    argv = [*DOCTOR, "check", "--json", "--snapshot", str(many), "--jobs", "2"]
    for path in sorted(many.iterdir())[250:]:
        path.rename(home / path.name)
    quarter = timed(argv, env)
    for path in home.glob("m*.json"):
        path.rename(many / path.name)
    whole = timed(argv, env)
    add("250 snapshots, `--jobs 2`", quarter, float("inf"), "none")
    add(
        f"1,000 snapshots, `--jobs 2` ({whole.cpu / quarter.cpu:.1f} x the work of 250)",
        whole,
        20,
        "20 s, linear",
    )
    add("`python -c pass` again", median(bare, env, 4 * runs), float("inf"), "")
    if torch := torch_cost(env, runs):
        add("`python -m torch.utils.collect_env`", torch, float("inf"), "for comparison")
    return rows


def thousand(folder: Path, box: Path) -> Path:
    """A folder with this machine a thousand times."""
    folder.mkdir()
    text = box.read_bytes()
    for number in range(1000):
        (folder / f"m{number:04}.json").write_bytes(text)
    return folder


def torch_cost(env: dict[str, str], runs: int) -> Cost | None:
    """None where torch is not installed."""
    found = subprocess.run([sys.executable, "-c", "import torch"], env=env, capture_output=True, check=False)
    if found.returncode:
        return None
    return median([sys.executable, "-m", "torch.utils.collect_env"], env, max(1, runs // 3))


def table(rows: list[Row]) -> str:
    """Markdown."""
    base = rows[0].cost
    verdict = {True: "met", False: "**missed**", None: ""}
    lines = [
        "| what | seconds | x bare | processor s | x bare | budget | |",
        "| --- | --- | --- | --- | --- | --- | --- |",
    ]
    for row in rows:
        wall, cpu = row.cost.wall, row.cost.cpu
        met = verdict[row.met] if row.budget not in ("", "none", "for comparison") else ""
        lines.append(
            f"| {row.what} | {wall:.3f} | {wall / base.wall:.1f} | {cpu:.3f} | {cpu / base.cpu:.1f} | {row.budget} | {met} |"
        )
    return "\n".join(lines)


def main() -> None:
    """The table on stdout, progress on stderr."""
    parser = argparse.ArgumentParser(description="Measure the time budgets; prints a markdown table.")
    parser.add_argument("--runs", type=int, default=7, help="runs behind each median (default 7)")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        rows = measure(Path(folder), options.runs, lambda what: print(f"measured {what}", file=sys.stderr))
    load = os.getloadavg()[0]
    print(table(rows))
    print(f"\nPython {sys.version.split()[0]}, {os.cpu_count()} processors, load {load:.1f} at the end.")
    if load > 1:
        print("The machine was busy: repeat on an idle one before drawing conclusions.")


if __name__ == "__main__":
    main()
