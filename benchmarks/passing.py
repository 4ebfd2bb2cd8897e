#!/usr/bin/env python3
"""What `run` costs a program that prints much, beside the program alone and behind one `cat`. Never part of a test verdict.

    python benchmarks/passing.py [--size MB]      with an interpreter that has click

Each figure is the median of several runs; the processor time is that of the program and of all that stands behind it. Memory is the
highest that `run` itself had.
"""

from __future__ import annotations

import argparse
import os
import resource
import statistics
import subprocess
import sys
import time
from pathlib import Path

CHECKOUT = Path(__file__).resolve().parent.parent
RUN = [sys.executable, "-m", "rocmdoctor", "run", "--elsewhere", "--"]
# What it prints: lines as of a build, from one buffer, so that making them costs next to nothing.
PROGRAM = """\
import os, sys
line = b"[ 42%] Building HIP object src/CMakeFiles/x.dir/kernels_{n}.hip.o -- -DHAVE_ALL=1 -O3 -fPIC\\n"
block = line * (65536 // len(line))
for _ in range(int(sys.argv[1]) * 1000000 // len(block)):
    os.write(1, block)
sys.exit(int(sys.argv[2]))
"""


def measured(argv: list[str], times: int, sink: str) -> tuple[float, float]:
    """Seconds on the clock and of the processor, the medians of several runs."""
    walls, cpus = [], []
    for _ in range(times):
        before, start = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
        with Path(os.devnull).open("wb") as null:
            if sink == "pipe":
                with subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=null, cwd=CHECKOUT) as child:
                    subprocess.run(["cat"], stdin=child.stdout, stdout=null, check=True)
            else:
                subprocess.run(argv, stdout=null, stderr=null, check=False, cwd=CHECKOUT)
        walls.append(time.perf_counter() - start)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        cpus.append(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)
    return statistics.median(walls), statistics.median(cpus)


def memory(argv: list[str]) -> float:
    """The highest resident size of a command itself, in MB, not of its children."""
    code = (
        "import os, resource, sys\n"
        "from rocmdoctor.cli.passing import pass_on\n"
        "sys.stdout = sys.stderr = open(os.devnull, 'w')\n"
        f"pass_on({argv!r}, None, None, (), asks=False)\n"
        "print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, file=open('/dev/fd/3', 'w'))"
    )
    read, write = os.pipe()
    os.dup2(write, 3)
    with Path(os.devnull).open("wb") as null:
        subprocess.run(
            [sys.executable, "-c", code], stdout=null, stderr=null, pass_fds=(3,), check=True, cwd=CHECKOUT
        )
    os.close(write)
    os.close(3)
    return int(os.read(read, 64)) / 1024


def main() -> None:
    """Prints the tables."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--size", type=int, default=1000, help="MB that the program prints")
    parser.add_argument("--times", type=int, default=5)
    words = parser.parse_args()
    program = [sys.executable, "-c", PROGRAM, str(words.size), "0"]
    print(f"{words.size} MB of build output, {words.times} runs each; load {os.getloadavg()[0]:.1f}\n")
    print("| into | what | seconds | processor s |\n| --- | --- | --- | --- |")
    for sink in ("pipe", "/dev/null"):
        for name, argv in (
            ("the program alone", program),
            ("behind one cat", ["sh", "-c", '"$@" | cat', "sh", *program]),
            ("rocmdoctor run", [*RUN, *program]),
        ):
            wall, cpu = measured(argv, words.times, sink)
            print(f"| {sink} | {name} | {wall:.2f} | {cpu:.2f} |", flush=True)
    small = (
        measured([*RUN, "true"], words.times, "/dev/null")[0]
        - measured(["true"], words.times, "/dev/null")[0]
    )
    print(f"\nA program that prints nothing: {small:.2f} s more.")
    for size in (100, 1000):
        print(f"Memory with {size} MB: {memory([sys.executable, '-c', PROGRAM, str(size), '0']):.0f} MB.")
    failing = [*RUN, sys.executable, "-c", PROGRAM, "20", "1"]
    print(
        f"20 MB and then a failure, with its diagnosis: {measured(failing, words.times, '/dev/null')[0]:.2f} s."
    )


if __name__ == "__main__":
    main()
