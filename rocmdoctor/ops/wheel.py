"""Wheels built from source for the GPUs that are wanted, kept, and installed."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from rocmdoctor import wheel_key
from rocmdoctor.actions import Action, Exec, Undo
from rocmdoctor.facts.distributions import normalized
from rocmdoctor.facts.protection import record_question
from rocmdoctor.facts.system import Hardware
from rocmdoctor.frozen import frozen
from rocmdoctor.job_count import fitting
from rocmdoctor.model import Answer, Glob, Query, Run
from rocmdoctor.ops.arguments import (
    NO_VALUES,
    NO_WORDS,
    BadArgumentError,
    Commit,
    Place,
    Project,
    PythonVersion,
    Requirement,
    Sha256,
    Url,
    VariableName,
    Version,
)
from rocmdoctor.ops.chores import chore
from rocmdoctor.ops.environments import Environment, cache_of, env_questions, environment, ways
from rocmdoctor.ops.git import checkout_questions, git_checkout, wanted
from rocmdoctor.ops.ground import Ground
from rocmdoctor.ops.patch_apply import patch_apply, patches_for
from rocmdoctor.ops.pip import missing, pip, pip_install, usable
from rocmdoctor.ops.places import no_shell, resolved, sha256_of
from rocmdoctor.ops.python_env import default_python, interpreter_questions
from rocmdoctor.ops.registry import operation
from rocmdoctor.ops.source import source_fetch, source_questions

NO_COMMANDS: list[list[str]] = []


@frozen
class _Made:
    """What is built, as the recipe says it. `gfx` are the targets, without features, sorted."""

    name: str
    version: str
    env: str
    url: str
    sha256: str
    commit: str
    submodules: bool
    patches: str
    configure: tuple[tuple[str, ...], ...]
    variables: Mapping[str, str]
    gfx: tuple[str, ...]
    needs: tuple[str, ...]
    python: str
    tag: str

    def given(self, patched: Sequence[str]) -> dict[str, Any]:
        """The part of the key that the recipe and the patches decide."""
        return {
            "name": normalized(self.name),
            "version": self.version,
            "source": self.sha256 or self.commit,
            "submodules": self.submodules,
            "patches": sorted(patched),
            "configure": [list(argv) for argv in self.configure],
            "variables": dict(self.variables),
            "gfx": list(self.gfx),
            "needs": sorted(self.needs),
            "tag": self.tag,
        }

    def tree(self, ground: Ground, patched: Sequence[str]) -> str:
        """Where the sources go: one folder for each source, and one for each way to patch it."""
        more = f"-{sha256_of(' '.join(patched))[:8]}" if patched else ""
        return f"{cache_of(ground)}/src/{self.name}-{(self.sha256 or self.commit)[:16]}{more}"


def _made(ground: Ground, given: Mapping[str, Any]) -> _Made:
    """The arguments, looked at together. Raises BadArgumentError."""
    sha256, commit = given.get("sha256") or "", given.get("commit") or ""
    if bool(sha256) == bool(commit):
        found = f"{sha256 or 'no sha256'}, {commit or 'no commit'}"
        raise BadArgumentError("url", found, "an archive with its sha256, or a repository with a commit")
    for argv in given.get("configure", ()):
        no_shell("configure", argv, required=True)
    for name, value in given.get("variables", {}).items():
        if "\0" in value:
            raise BadArgumentError(f"variables.{name}", value, "text without zero bytes")
    gfx = {word.partition(":")[0] for item in given.get("gfx", ()) for word in item.split(";") if word}
    return _Made(
        name=given["name"],
        version=given["version"],
        env=resolved(ground, "env", given["env"], "user"),
        url=given["url"],
        sha256=sha256,
        commit=commit,
        submodules=bool(given.get("submodules")),
        patches=given.get("patches") or "",
        configure=tuple(tuple(argv) for argv in given.get("configure", ())),
        variables=dict(given.get("variables", {})),
        gfx=tuple(sorted(gfx)),
        needs=tuple(given.get("needs", ())),
        python=given.get("python", ""),
        tag=given.get("tag", ""),
    )


def _asks(ground: Ground, **given: Any) -> Iterator[Query]:
    made = _made(ground, given)
    tree = made.tree(ground, _patches(ground, made))
    yield from env_questions(made.env)
    yield record_question(made.env)
    yield from ways()
    yield from (
        checkout_questions(tree) if made.commit else source_questions(ground, made.url, made.sha256, tree)
    )
    yield from interpreter_questions("")
    yield from _compilers(made)
    yield _kept(ground)
    yield _sums(ground, made)


def _compilers(made: _Made) -> list[Run]:
    hipccs = [wheel_key.hipcc_question(root) for root in wheel_key.rocm_roots(made.variables)]
    asked = [*hipccs, wheel_key.CXX_QUESTION, wheel_key.LIBC_QUESTION]
    return [Run(argv, timeout=5.0, limit=1 << 14) for argv in asked]


def _kept(ground: Ground) -> Glob:
    return Glob(f"{cache_of(ground)}/wheels/*/about.json", limit=1 << 15)


def _sums(ground: Ground, made: _Made) -> Run:
    """The digests of the kept wheels of this name: `find` takes the pattern, since no shell does."""
    name = f"{re.sub(r'[-_.]+', '?', made.name)}-*.whl"
    where = (
        "find",
        "-H",
        f"{cache_of(ground)}/wheels",
        "-mindepth",
        "2",
        "-maxdepth",
        "2",
        "-type",
        "f",
        "-iname",
        name,
    )
    return Run((*where, "-exec", "sha256sum", "--", "{}", "+"), timeout=10.0, limit=1 << 16)


@operation("wheel.build", asks=_asks)
def wheel_build(  # noqa: PLR0913 - the keys of a step
    ground: Ground,
    *,
    name: Project,
    version: Version,
    env: Place,
    url: Url,
    sha256: Sha256 | None = None,
    commit: Commit | None = None,
    submodules: bool = False,
    mirror: Place | None = None,
    patches: str = "",
    configure: list[list[str]] = NO_COMMANDS,
    variables: dict[VariableName, str] = NO_VALUES,
    gfx: list[str] = NO_WORDS,
    needs: list[Requirement] = NO_WORDS,
    requires: list[Requirement] = NO_WORDS,
    index: Url | None = None,
    wheels: Place | None = None,
    python: PythonVersion = "",
    tag: str = "",
    native: bool = False,
    memory_mb_per_job: int = 2048,
    size_mb: int = 10,
    disk_mb: int = 500,
    seconds: int = 60,
) -> Iterator[Action]:
    """Build a wheel from source, keep it, and install it, unless it is installed or kept already.

    Nothing but the targets in `gfx` may be in its libraries; that is looked at. `configure` are programs that run in the
    sources before pip builds them, all with `variables`. `needs` are installed into the environment first: it is built
    there, without isolation and without its dependencies. `requires` are those that it wants when it is used: they are
    installed before it, whether it is built or kept. `python` is that of an environment that is yet to be made.
    `tag` says what else shapes it, such as the versions of torch and ROCm; `native`, that it is compiled for this very
    processor. In `configure`, `{jobs}` stands for how many compilers may run at once: as many as memory and processors allow.
    """
    made = _made(ground, {**locals()})
    found = usable(environment(ground, made.env))
    patched = _patches(ground, made)
    tree = made.tree(ground, patched)
    given = {**made.given(patched), **(_processor(ground) if native else {})}
    key = _key(ground, made, found, given)
    ground.claim(f"key of the wheel {name} {version}", key)
    gone = (made.env, normalized(name)) in ground.uninstalled
    installed = "" if gone else found.dists.get(normalized(name), ("", ""))[1]
    ground.claim(f"wheel of {name} in {made.env}", installed or "none of the cache")
    if installed == key:
        return
    work = _work(ground, made, given)
    kept = _is_kept(ground, made, key)
    wanted_first = [*(() if kept else needs), *requires]
    if kept:
        yield from _first(ground, made.env, found, wanted_first, index, wheels)
        yield _installed(ground, made, found, {**work, "origin": _origin(ground, made)}, kept=True)
        return
    yield from _sources(ground, made, tree, mirror, size_mb, patched=bool(patched))
    yield from _patching(ground, made, tree)
    yield from _first(ground, made.env, found, wanted_first, index, wheels)
    yield Action(
        do=Exec(chore("build", **work, tree=tree, memory_mb_per_job=memory_mb_per_job)),
        says=f"build {name} {version} for {', '.join(made.gfx) or 'no GPU'} and keep the wheel{_compiling(ground, name, memory_mb_per_job)}",
        undo=Undo("nothing", "the wheel stays in the cache; 'rocmdoctor cache gc' removes it"),
        root=False,
        timeout=max(7200.0, 10.0 * seconds),
        disk=disk_mb * 1000**2,
        seconds=float(seconds),
    )
    yield _installed(ground, made, found, work, kept=False)


def _compiling(ground: Ground, name: str, memory_mb_per_job: int) -> str:
    """How many compilers are likely to run at once; what is free then decides."""
    here = ground.maybe(Hardware)
    if here is None:
        return ""
    memory = here.memory_total // 1000**2
    count = fitting(here.threads, memory, memory_mb_per_job)
    each = f"{memory_mb_per_job / 1000:.2g} GB of memory"
    if memory < memory_mb_per_job:
        ground.note(
            f"a compiler of {name} takes up to {each}, and here are {memory / 1000:.2g} GB: add swap, or build elsewhere"
        )
    return f"; {f'{count} compilers' if count > 1 else 'one compiler'} at once, up to {each} each"


def _first(
    ground: Ground, env: str, found: Environment, packages: list[str], index: str | None, wheels: str | None
) -> Iterator[Action]:
    """What must be there before it is built, or is of use."""
    if packages and missing(ground, found, packages):
        yield from pip_install(ground, env=env, packages=packages, index=index, wheels=wheels, seconds=20)


def _patching(ground: Ground, made: _Made, tree: str) -> Iterator[Action]:
    if made.patches:
        yield from patch_apply(ground, project=made.patches, version=made.version, tree=tree)


def _patches(ground: Ground, made: _Made) -> list[str]:
    """The digests of the patches that it is built with."""
    if not made.patches:
        return []
    return [patch.sha256 for patch in patches_for(ground, made.patches, made.version)]


def _processor(ground: Ground) -> dict[str, str]:
    """Code for this very processor is none for another one."""
    return {"processor": ground.known.get(Hardware).cpu}


def _sources(
    ground: Ground, made: _Made, tree: str, mirror: str | None, size_mb: int, *, patched: bool
) -> Iterator[Action]:
    if made.commit:
        # What somebody changed there would be built in, under a key that does not know of it.
        wanted(ground, tree, made.commit, strict=not patched)
        yield from git_checkout(
            ground, url=made.url, commit=made.commit, path=tree, submodules=made.submodules, mirror=mirror,
            download_mb=size_mb,
        )  # fmt: skip
    else:
        yield from source_fetch(ground, url=made.url, sha256=made.sha256, path=tree, size_mb=size_mb)


def _work(ground: Ground, made: _Made, given: Mapping[str, Any]) -> dict[str, Any]:
    """What both chores are given."""
    return {
        "given": dict(given),
        "env": made.env,
        "cache": cache_of(ground),
        "name": made.name,
        "version": made.version,
    }


def _origin(ground: Ground, made: _Made) -> dict[str, Any]:
    """Where a wheel that is kept came from: another machine may have to build it."""
    patches = patches_for(ground, made.patches, made.version) if made.patches else ()
    pin = {"sha256": made.sha256} if made.sha256 else {"commit": made.commit}
    applied = {patch.path: patch.sha256 for patch in patches}
    return {"url": made.url, **pin, "patches": applied, "needs": list(made.needs)}


def _installed(
    ground: Ground, made: _Made, env: Environment, work: Mapping[str, Any], *, kept: bool
) -> Action:
    ground.altered.add(made.env)
    where = "from the cache" if kept else "that was built"
    before = env.version(made.name)
    lost = f"; {made.name} {before} was there before and is not brought back" if before else ""
    undo = Undo("commands", f"uninstalls it{lost}", (pip(made.env, "uninstall", "--yes", made.name),))
    return Action(
        do=Exec(chore("install", **work)),
        says=f"install the wheel of {made.name} {made.version} {where} into {made.env}",
        undo=undo if env.state == "there" else Undo("commands", "goes with the environment"),
        root=False,
        timeout=900.0,
        seconds=3.0,
    )


def _key(ground: Ground, made: _Made, env: Environment, given: Mapping[str, Any]) -> str:
    def said(argv: tuple[str, ...]) -> str | None:
        answer: Answer = ground.answer(Run(argv, timeout=5.0, limit=1 << 14))
        return answer.stdout if answer.ok and answer.exit_code == 0 else None

    hipcc = wheel_key.hipcc_version(
        [said(wheel_key.hipcc_question(root)) for root in wheel_key.rocm_roots(made.variables)]
    )
    cxx = wheel_key.first_line(said(wheel_key.CXX_QUESTION))
    libc = wheel_key.first_line(said(wheel_key.LIBC_QUESTION))
    ground.claim("compilers that wheels are built with", f"{hipcc}; {cxx}; {libc}")
    python = env.minor or made.python or default_python(ground)
    return wheel_key.digest(wheel_key.shape(given, python, hipcc, cxx, libc))


def _is_kept(ground: Ground, made: _Made, key: str) -> bool:
    """The wheel is kept and whole. One that is damaged is told of and built anew; the build sets it aside."""
    about = _abouts(ground).get(key)
    if about is None:
        return False
    said = ground.answer(_sums(ground, made))
    wheel, wanted = str(about.get("wheel")), str(about.get("sha256"))
    sums = {line[66:]: line[:64] for line in said.stdout.splitlines()}
    path = f"{cache_of(ground)}/wheels/{key}/{wheel}"
    # Nobody looked, or could: then the installation itself compares.
    whole = not said.ok or said.exit_code != 0 or sums.get(path) == wanted
    ground.claim(f"kept wheel {key}", "whole" if whole else "damaged")
    if not whole:
        how = f"its sha256 is {sums[path]}, it was kept with {wanted}" if path in sums else "it is not there"
        ground.note(f"{path} is damaged ({how}): the entry is set aside, and {made.name} is built anew")
    return whole


def _abouts(ground: Ground) -> dict[str, dict[str, Any]]:
    """What is said of the wheels that are kept, by key: an entry whose description cannot be read counts as none."""
    found = {}
    for path, text in ground.answer(_kept(ground)).files.items():
        try:
            about = json.loads(text)
        except ValueError:
            continue
        folder = path.rpartition("/")[0].rpartition("/")[2]
        if isinstance(about, dict) and about.get("key") == folder:
            found[folder] = about
    return found
