"""The pip of an environment: a newer one where it is too old to say what it installs, one at all where there is none."""

from __future__ import annotations

from collections.abc import Iterator

from packaging.version import InvalidVersion, Version

from rocmdoctor.actions import Action, Exec, Undo
from rocmdoctor.facts.python_env import MANAGED
from rocmdoctor.model import Query
from rocmdoctor.ops import arguments
from rocmdoctor.ops.arguments import Place, PythonVersion, Requirement, Sha256
from rocmdoctor.ops.environments import env_questions, environment, python_of, ways
from rocmdoctor.ops.ground import Ground
from rocmdoctor.ops.pip import pip_install
from rocmdoctor.ops.places import resolved
from rocmdoctor.ops.python_env import interpreter_questions, pip_of
from rocmdoctor.ops.registry import operation


def _asks(ground: Ground, *, path: str, python: str = "", **_: object) -> Iterator[Query]:
    yield from env_questions(resolved(ground, "path", path, "user"))
    yield from interpreter_questions(python)
    yield from ways()


@operation("python.pip", asks=_asks)
def python_pip(
    ground: Ground,
    *,
    path: Place,
    at_least: arguments.Version,
    package: Requirement,
    sha256: Sha256,
    python: PythonVersion = "",
) -> Iterator[Action]:
    """Bring a pip of a pinned version into an environment whose own is older than `at_least`; one at all where it has none.

    `python` is that of an environment that is yet to be made. Somebody's own environment keeps the pip that it has, and a
    note says what comes of it: conda keeps books on its files. Under a lock nothing is brought: any pip can install a list of
    files with their digests.
    """
    full = resolved(ground, "path", path, "user")
    env = environment(ground, full)
    there = env.state == "there"
    has = env.version("pip") if there else pip_of(ground, python)
    ground.claim(f"pip of {full}", has or ("none" if there else "not told"))
    if env.state in ("broken", "unknown") or (has and _new_enough(has, at_least)):
        return
    if there and not has:
        yield _seeded(full)
    elif there and full != f"{ground.person.home}/{MANAGED}":
        ground.note(_kept(full, has or "", at_least))
    elif not ground.locked:
        altered = full in ground.altered
        yield from pip_install(
            ground,
            env=path,
            packages=[package],
            hashes={"pip": sha256},
            no_deps=True,
            download_mb=2,
            disk_mb=12,
            seconds=4,
        )
        if not altered:
            # pip alone is nothing that later steps could spoil.
            ground.altered.discard(full)


def _new_enough(version: str, at_least: str) -> bool:
    try:
        return Version(version) >= Version(at_least)
    except InvalidVersion:
        return False


def _kept(env: str, has: str, at_least: str) -> str:
    return (
        f"pip {has} of {env} is older than {at_least} and does not write down what it installs, so the lock will have no"
        f" sha256 of that. The environment is yours, so its pip stays: '{python_of(env)} -m pip install --upgrade pip'"
        " changes it, or conda where it is conda's"
    )


def _seeded(env: str) -> Action:
    return Action(
        do=Exec((python_of(env), "-I", "-m", "ensurepip")),
        says=f"put pip into {env}, which has none, from what its Python brings along",
        undo=Undo("impossible", "pip stays in the environment; it is in nobody's way"),
        root=False,
        timeout=300.0,
        disk=12_000_000,
        seconds=4.0,
    )
