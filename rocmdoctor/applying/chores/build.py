"""A wheel from source: built as a copy of the sources, looked into, kept under the key of all that shaped it."""

from __future__ import annotations

import shutil
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rocmdoctor import wheel_key
from rocmdoctor.applying import wheels
from rocmdoctor.applying.chores import jobs, look, shape
from rocmdoctor.applying.chores.running import ChoreError, ProgramFailedError, remove, run, say
from rocmdoctor.applying.wheels import CacheError, DamagedError, Entry
from rocmdoctor.job_count import fitting

# How many compilers the next try may run at once, since this one did not have memory enough.
_FEWER = ".rocmdoctor-jobs"
_WHOLE = ".rocmdoctor-copied"


def build(
    *,
    given: Mapping[str, Any],
    env: str,
    cache: str,
    name: str,
    version: str,
    tree: str,
    memory_mb_per_job: int,
) -> None:
    """Builds the wheel and keeps it, unless it is kept already. Raises ChoreError, OSError."""
    parts = shape.parts(given, env)
    key = wheel_key.digest(parts)
    with wheels.alone(cache, key, _waits):
        if _kept(cache, key):
            say(f"{name} {version} is in the cache: {key}")
            return
        folder = Path(cache) / "src" / f"build-{key}"
        copied = _copied(Path(tree), folder)
        begun = time.monotonic()
        wheel = _built(parts, env, copied, folder / "wheel", f"{name} {version}", memory_mb_per_job)
        _keep(cache, key, name, version, parts, wheel, time.monotonic() - begun)
        remove(folder)


def _waits(holder: str) -> None:
    say(f"waits for another build of the same wheel ({holder or 'somewhere else'})")


def _kept(cache: str, key: str) -> bool:
    try:
        return wheels.find(cache, key) is not None
    except DamagedError as error:
        say(f"{error}; set aside as {wheels.set_aside(cache, key)}, and built anew")
        return False
    except CacheError as error:
        raise ChoreError(str(error)) from error


def _copied(tree: Path, folder: Path) -> Path:
    """The sources for this build alone; one that was cut off goes on where it was. Raises ChoreError, OSError."""
    copied = folder / "tree"
    if (folder / _WHOLE).exists():
        return copied
    if not tree.is_dir():
        raise ChoreError(f"{tree} is not there, and the sources are to be in it; plan again")
    remove(folder)
    folder.mkdir(parents=True)
    shutil.copytree(tree, copied, symlinks=True)
    (folder / _WHOLE).touch()
    return copied


def _built(
    parts: Mapping[str, Any], env: str, tree: Path, out: Path, what: str, memory_mb_per_job: int
) -> Path:
    fewer = tree.parent / _FEWER
    most = int(fewer.read_text(encoding="ascii")) if fewer.exists() else 0
    free = jobs.available_mb()
    count = fitting(jobs.threads(), free, memory_mb_per_job, most)
    say(f"{count} jobs: {jobs.threads()} processors, {free} MB free, {memory_mb_per_job} MB for each")
    many = {"MAX_JOBS": str(count), "CMAKE_BUILD_PARALLEL_LEVEL": str(count), "MAKEFLAGS": f"-j{count}"}
    variables = {**many, **shape.variables(parts, env)}
    remove(out)
    try:
        for argv in parts["configure"]:
            run([word.replace("{jobs}", str(count)) for word in argv], tree, variables)
        pip = [
            f"{env}/bin/python",
            "-m",
            "pip",
            "wheel",
            "-v",
            "--no-deps",
            "--no-build-isolation",
            "--no-index",
        ]
        more = [
            "--no-cache-dir",
            "--disable-pip-version-check",
            "--no-input",
            "--wheel-dir",
            str(out),
            str(tree),
        ]
        run([*pip, *more], tree, variables, what=f"the build of {what}")
    except ProgramFailedError as error:
        raise _failed(error, fewer, count, memory_mb_per_job) from error
    made = sorted(out.glob("*.whl"))
    if len(made) != 1:
        raise ChoreError(f"the build of {what} made {len(made)} wheels in {out}, wanted is one")
    return made[0]


def _failed(error: ProgramFailedError, fewer: Path, count: int, memory_mb_per_job: int) -> ChoreError:
    if not error.killed:
        return ChoreError(f"{error}; what was compiled is kept, and resume goes on from there")
    less = max(1, count // 2)
    fewer.write_text(str(less), encoding="ascii")
    if count == 1:
        cure = f"one job did not have the {memory_mb_per_job} MB that it may take: close other programs or add swap, then resume"
    else:
        cure = f"resume goes on from there with {less} of {count} jobs"
    return ChoreError(f"{error}: a compiler was killed, as the kernel does when memory runs out; {cure}")


def _keep(
    cache: str, key: str, name: str, version: str, parts: Mapping[str, Any], wheel: Path, seconds: float
) -> None:
    found = look.targets(wheel)
    if wrong := look.judged(found, parts["gfx"]):
        raise ChoreError(f"{wheel.name}: {wrong}; it was not kept (it lies in {wheel.parent})")
    for library, inside in found.items():
        say(f"{library}: {', '.join(inside)}")
    entry = Entry(
        key, name, version, wheel.name, wheels.digest_of(wheel), wheel.stat().st_size, round(time.time()), parts, found,
        round(seconds, 1),
    )  # fmt: skip
    try:
        wheels.keep(cache, wheel, entry)
    except CacheError as error:
        raise ChoreError(str(error)) from error
    say(f"kept as {key}: {wheel.name}, {entry.size / 1e6:.1f} MB, built in {seconds:.0f} s")
