"""Distributions from an index, a folder or both, by the environment's own pip."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from packaging.specifiers import SpecifierSet
from packaging.version import InvalidVersion, Version

from rocmdoctor.actions import Action, Exec, Undo, WriteFile
from rocmdoctor.facts.base import UnknownError
from rocmdoctor.facts.distributions import named, normalized
from rocmdoctor.facts.protection import ProtectionTable, record_question
from rocmdoctor.model import Query
from rocmdoctor.ops.arguments import NO_VALUES, BadArgumentError, Place, Project, Requirement, Sha256, Url
from rocmdoctor.ops.environments import (
    Environment,
    cache_of,
    env_questions,
    environment,
    python_of,
    ways,
    ways_of,
)
from rocmdoctor.ops.ground import ForbiddenError, Ground
from rocmdoctor.ops.places import resolved, sha256_of
from rocmdoctor.ops.registry import operation

# Output without bars that redraw themselves; a `user = true` of pip.conf would refuse every environment.
_QUIET = ("--no-input", "--disable-pip-version-check", "--no-python-version-warning")
# Where pip writes what it installed, from which files. As a variable, since a pip that knows no reports ignores it.
REPORT = ".rocmdoctor-pip-{}.json"
_INSTALL = ("install", "--no-user", "--progress-bar", "off", "--no-warn-script-location")


# What it would install, told and not done.
_LOOK = ("--dry-run", "--quiet", "--report", "-")
# Stands in for the constraints that the environment's pip.conf names, which hold what this very step may change.
_UNHELD = {"PIP_CONSTRAINT": "/dev/null"}


class NotLockedError(ForbiddenError):
    """What a lock names no file of."""

    instead = (
        "Install it into a new environment where the lock was written, with pip 22.2 or newer, and take the lock that this"
        " writes. What a wheel needs to be built, which was built there before, is not called for where 'rocmdoctor cache"
        " export' carries that wheel over."
    )


def pip(env: str, *words: str) -> tuple[str, ...]:
    """A command of the environment's pip. -I: modules that lie around elsewhere are none of its."""
    return (python_of(env), "-I", "-m", "pip", *_QUIET, *words)


def _asks(ground: Ground, *, env: str, **_: object) -> Iterator[Query]:
    full = resolved(ground, "env", env, "user")
    yield from env_questions(full)
    yield record_question(full)
    yield from ways()


@operation("pip.install", asks=_asks)
def pip_install(  # noqa: PLR0913 - the keys of a step
    ground: Ground,
    *,
    env: Place,
    packages: list[Requirement],
    index: Url | None = None,
    no_deps: bool = False,
    wheels: Place | None = None,
    hashes: dict[Project, Sha256] = NO_VALUES,
    download_mb: int = 0,
    disk_mb: int = 0,
    seconds: int = 30,
) -> Iterator[Action]:
    """Install distributions of exact versions into an environment, unless they are there.

    `index` is the only index that is asked; without it pip asks what its own settings name. `wheels` is a folder that is
    looked into first; without `index` nothing else is. With `hashes`, which then name every distribution, pip takes no
    file that has another sha256.
    """
    full = resolved(ground, "env", env, "user")
    found = usable(environment(ground, full))
    if ground.locked:
        packages, hashes = allowed(ground, packages, alone=no_deps)
        no_deps = True
    wheels = wheels or ground.folder or None
    absent = missing(ground, found, packages)
    if not absent:
        return
    keeps, own = _keeping(ground, found, packages)
    ground.altered.add(full)
    if hashes:
        _all_hashed(packages, hashes)
        path, text = _listed(ground, packages, hashes)
        says = f"write {path}, which pins {len(packages)} files"
        yield Action(WriteFile(path, text), says, Undo("restore"), root=False, seconds=0.1)
        words = ["--require-hashes", "-r", path]
    else:
        words = ["--", *packages]
    all_words = (*(["--no-deps"] if no_deps else []), *_places(ground, index, wheels), *words)
    argv = pip(full, *_INSTALL, *all_words)
    # With --no-deps nothing comes but what the plan names.
    looks = bool(keeps) and not no_deps
    only_here = wheels is not None and (index is None or bool(ground.folder))
    report = {"PIP_REPORT": f"{full}/{REPORT.format(sha256_of(' '.join(words))[:12])}"}
    yield Action(
        do=Exec(
            argv,
            {**_env(ground, index, only_here=only_here), **report, **own},
            simulate=pip(full, *_INSTALL, *_LOOK, *all_words) if looks else (),
            keeps=keeps if looks else (),
            named=tuple(sorted(map(named, packages))) if looks else (),
        ),
        says=f"install {', '.join(absent)} into {full}{_from(None if ground.folder else index, wheels)}",
        undo=_undo(found, absent),
        root=False,
        network=not only_here and not (index or "").startswith("file://"),
        timeout=max(1800.0, 20.0 * seconds),
        installs=(),
        download=download_mb * 1000**2,
        disk=disk_mb * 1000**2,
        seconds=float(seconds),
    )


def _keeping(
    ground: Ground, env: Environment, packages: Sequence[str]
) -> tuple[tuple[str, ...], Mapping[str, str]]:
    """Patterns of what this step must leave alone, and the variable that frees it of the environment's own constraints.

    A step may change what comes from the recipe that its packages are of, and nothing where there is nothing yet.
    """
    table = ground.known.get(ProtectionTable)
    there = [name for name in env.dists if table.recipe(name)]
    held = ground.answer(record_question(env.path)).ok
    if not there and env.path not in ground.altered:
        return (), _UNHELD if held else NO_VALUES
    mine = {table.recipe(named(package)) for package in packages}
    rows = [row for row in table.keep if row.recipe not in mine]
    out = () if mine - {None} else tuple(table.out)
    return (*(name for row in rows for name in row.names), *out), _UNHELD if held else NO_VALUES


def allowed(ground: Ground, packages: Sequence[str], *, alone: bool) -> tuple[list[str], dict[str, str]]:
    """Exact requirements for these and, unless they go `alone`, for all that they need; with the digests of a lock.

    Raises NotLockedError for what the lock names no file of.
    """
    wanted = {named(p): p for p in packages}
    todo = list(wanted)
    for name in todo:
        locked = ground.locked.get(name)
        for need in locked.needs if locked is not None and not alone else ():
            if need not in wanted and need in ground.locked:
                wanted[need] = f"{need}=={ground.locked[need].version}"
                todo.append(need)
    without = [p for name, p in wanted.items() if not _held(ground, name, p)]
    if without:
        raise NotLockedError(
            f"the lock has no sha256 of {', '.join(without)}: where it was written pip did not install that, so that what"
            " would come from an index now could be anything"
        )
    ordered = [wanted[name] for name in todo]
    return ordered, {name: ground.locked[name].sha256 for name in todo}


def _held(ground: Ground, name: str, requirement: str) -> bool:
    return name in ground.locked and _is(requirement, ground.locked[name].version)


def usable(env: Environment) -> Environment:
    """The environment, where packages can go into it; one that is absent is made by a step before."""
    if env.state == "unknown":
        raise UnknownError(f"{env.path}: {env.why}")
    if env.state == "broken":
        raise ForbiddenError(
            f"{env.path}: its Python does not start ({env.why}); move it away, then plan again"
        )
    if not env.writable:
        raise ForbiddenError(
            f"{env.path} cannot be written by you, and packages go into it: name an environment of your own with --env"
        )
    return env


def missing(ground: Ground, env: Environment, packages: Sequence[str]) -> list[str]:
    """Those of the exact requirements that the environment does not hold; each look is a claim."""
    absent = []
    for requirement in packages:
        name = named(requirement)
        version = None if (env.path, name) in ground.uninstalled else env.version(name)
        ground.claim(f"distribution {name} in {env.path}", version or "absent")
        if version is None or not _is(requirement, version):
            absent.append(requirement)
    return absent


def _is(requirement: str, version: str) -> bool:
    wanted = requirement.partition("==")[2]
    try:
        return SpecifierSet(f"=={wanted}").contains(Version(version), prereleases=True)
    except InvalidVersion:
        return version == wanted


def _all_hashed(packages: Sequence[str], hashes: Mapping[str, str]) -> None:
    known = {normalized(name) for name in hashes}
    without = [p for p in packages if named(p) not in known]
    if without:
        raise BadArgumentError(
            "hashes", ", ".join(hashes), f"a sha256 for every package; {', '.join(without)} has none"
        )


def _listed(ground: Ground, packages: Sequence[str], hashes: Mapping[str, str]) -> tuple[str, str]:
    """The path and the text of a requirements file."""
    by_name = {normalized(name): value for name, value in hashes.items()}
    text = "".join(f"{p} --hash=sha256:{by_name[named(p)]}\n" for p in packages)
    return f"{cache_of(ground)}/requirements/{sha256_of(text)[:16]}.txt", text


def _places(ground: Ground, index: str | None, wheels: str | None) -> list[str]:
    words = ["--find-links", resolved(ground, "wheels", wheels, "user")] if wheels else []
    # With a folder for every server the index is only named: which one it was stays in the plan.
    closed = ["--no-index"] if wheels and (ground.folder or not index) else []
    return [*words, *closed, *(["--index-url", index] if index else [])]


def _env(ground: Ground, index: str | None, *, only_here: bool) -> dict[str, str]:
    """The index that is named is the only one: an extra one of pip.conf gives way to the same."""
    if only_here:
        return {}
    return {**ways_of(ground), **({"PIP_EXTRA_INDEX_URL": index} if index else {})}


def _from(index: str | None, wheels: str | None) -> str:
    places = [place for place in (wheels, index) if place]
    return f" from {' and '.join(places)}" if places else ""


def _undo(env: Environment, absent: Sequence[str]) -> Undo:
    if env.state == "absent":
        return Undo("commands", "goes with the environment")
    new = [named(p) for p in absent if env.version(named(p)) is None]
    replaced = [f"{named(p)} {env.version(named(p))}" for p in absent if env.version(named(p)) is not None]
    lost = f"{', '.join(replaced)} was there before and is not brought back" if replaced else ""
    if not new:
        return Undo("impossible", lost)
    says = f"uninstalls {', '.join(new)}; what came with it stays{'; ' + lost if lost else ''}"
    return Undo("commands", says, (pip(env.path, "uninstall", "--yes", *new),))
