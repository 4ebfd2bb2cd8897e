#!/usr/bin/env python3
"""Measures how fast `explain` reads, beside `grep -E` with the same patterns, and how much memory a huge log takes.

    PYTHONPATH=. python benchmarks/explain.py [--size MB] [--huge]     with an interpreter that has rocmdoctor's dependencies

`--huge` reads 1 GB in one line, and 64 MB in one line of the words of the longest template, in a child each, and prints the
largest resident set.
"""

from __future__ import annotations

import argparse
import random
import re
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from rocmdoctor.content import bundled
from rocmdoctor.explaining import Explainer, Lines, judged
from rocmdoctor.explaining.templates import Hole, parts
from rocmdoctor.log_content import load_lines

MB = 1 << 20
_ERE = {
    "path": r"[^ '\",;:()<>|]+",
    "url": r"[a-z]+://[^ ]+",
    "version": r"[0-9][0-9A-Za-z.+~:_-]*",
    "gfx": r"gfx[0-9a-f]+[^ ]*",
}
_ERE |= {
    "name": r"[0-9A-Za-z_.+@-]+",
    "number": r"[+-]?[0-9]+",
    "hex": r"(0x)?[0-9a-fA-F]+",
    "word": r"[^ ]+",
    "text": ".*",
}
_ERE |= {"start": "^", "end": "$"}


def build_log(size: int, seed: int = 1) -> bytes:
    """A log of a build that goes well, as ninja, clang, pip and apt print it: lines of other lengths and words each."""
    rng = random.Random(seed)
    words = [
        "src",
        "build",
        "rocm",
        "hip",
        "torch",
        "kernel",
        "gemm",
        "cache",
        "conv",
        "attn",
        "flash",
        "core",
        "test",
        "util",
        "include",
        "runtime",
        "tensile",
    ]
    made, total = [], 0
    while total < size:
        a, b, c = rng.choice(words), rng.choice(words), rng.randrange(10**6)
        line = rng.choice(
            (
                f"[{c % 900}/{900}] /opt/rocm-6.4.1/bin/hipcc -DUSE_ROCM -I/src/{a}/include -O3 --offload-arch=gfx90a -std=c++17 -MD -MT {a}/{b}_{c}.o -c /src/{a}/{b}_{c}.hip -o {a}/{b}_{c}.o",
                f"/src/{a}/{b}_{c}.h:{c % 500}:17: warning: unused variable '{a}' [-Wunused-variable]",
                f"Collecting {a}-{b}>={c % 10}.{c % 7}",
                f"  Downloading {a}_{b}-{c % 9}.{c % 8}-py3-none-any.whl.metadata ({c % 90}.2 kB)",
                f"Setting up lib{a}-{b}-dev:amd64 ({c % 9}.{c % 30}-{c % 4}) ...",
                f"-- Looking for {a}_{b} - found",
                f"{{'loss': {c / 7e5:.4f}, 'grad_norm': {c / 9e5:.4f}, 'learning_rate': 2e-05, 'epoch': {c / 1e6:.2f}}}",
                f"{c % 100:3d}%|####      | {c}/1000000 [00:{c % 60:02d}<05:{c % 60:02d}, {c % 90}.1it/s]",
            )
        )
        made.append(line)
        total += len(line) + 1
    return "\n".join(made).encode() + b"\n"


def eres(lines: Lines) -> list[str]:
    """The same templates as extended regular expressions, for grep."""
    made = []
    for line in lines.lines:
        text = ""
        for part in parts(line.says.text, line.says.where):
            if not isinstance(part, Hole):
                text += re.sub(r"([][\\.^$*+?(){}|])", r"\\\1", part)
            elif part.words:
                text += "(" + "|".join(re.sub(r"([][\\.^$*+?(){}|])", r"\\\1", w) for w in part.words) + ")"
            else:
                text += _ERE[part.type]
        made.append(text)
    return made


def explained(lines: Lines, pieces: Iterator[bytes]) -> tuple[float, int, int]:
    """Seconds of the processor, bytes, and how many diagnoses."""
    began, explainer = time.process_time(), Explainer(lines)
    for piece in pieces:
        explainer.feed(piece)
    found = judged(explainer.close())
    return time.process_time() - began, explainer.size, len(found.diagnoses)


def cut(data: bytes, size: int = 1 << 16) -> Iterator[bytes]:
    """As a pipe gives it."""
    return (data[at : at + size] for at in range(0, len(data), size))


def grep(patterns: list[str], log: Path, locale: str) -> float:
    """Seconds of the processor of `grep -E -c -f`."""
    with tempfile.NamedTemporaryFile("w", suffix=".ere") as file:
        file.write("\n".join(patterns) + "\n")
        file.flush()
        began = _children()
        subprocess.run(
            ["grep", "-E", "-a", "-c", "-f", file.name, str(log)],
            stdout=subprocess.DEVNULL,
            check=False,
            env={"LC_ALL": locale},
        )
        return _children() - began


def _children() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def huge(kind: str) -> None:
    """In this process: made as it is read."""
    lines = load_lines((bundled(),))
    said = max((line.says.text for line in lines.lines), key=len)
    word = {"line": "loss 0.1 step 5 gfx90a ", "bait": " ".join(re.findall("[A-Za-z]{3,}", said)) + " "}[kind]
    piece, count = (word * (1 << 16))[: 1 << 16].encode(), {"line": 1 << 14, "bait": 1 << 10}[kind]
    seconds, size, found = explained(lines, (piece for _ in range(count)))
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(
        f"| {size / MB:,.0f} MB in one line, {kind} | {size / MB / seconds:.1f} MB/s | {most:.0f} MB resident | {found} |",
        flush=True,
    )


def main() -> None:
    asked = argparse.ArgumentParser()
    asked.add_argument("--size", type=int, default=64)
    asked.add_argument("--huge", action="store_true")
    asked.add_argument("--kind")
    given = asked.parse_args()
    if given.kind:
        huge(given.kind)
        return
    lines = load_lines((bundled(),))
    data = build_log(given.size * MB)
    failing = (
        data[: len(data) // 2]
        + (b"\n".join(s.text.encode() for e in lines.errors for s in e.samples) + b"\n") * 50
    )
    print(f"{len(lines.errors)} known errors, {len(lines.lines)} templates, {len(lines.by_word)} words\n")
    print("| what | ours MB/s | grep -E, C | grep -E, UTF-8 |\n| --- | --- | --- | --- |")
    with tempfile.TemporaryDirectory() as folder:
        for name, text in (
            ("a build that goes well", data),
            ("half of it, and every sample 50 times", failing),
        ):
            log = Path(folder, "log")
            log.write_bytes(text)
            ours = min(explained(lines, cut(text))[0] for _ in range(2))
            others = [min(grep(eres(lines), log, locale) for _ in range(2)) for locale in ("C", "C.UTF-8")]
            row = " | ".join(f"{len(text) / MB / seconds:.0f}" for seconds in (ours, *others))
            print(f"| {name}, {len(text) / MB:.0f} MB | {row} |", flush=True)
    if given.huge:
        for kind in ("line", "bait"):
            subprocess.run([sys.executable, __file__, "--kind", kind], check=True)


if __name__ == "__main__":
    main()
