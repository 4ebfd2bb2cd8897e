"""What was installed for the GPUs, kept from what pip and uv install later; and what they replaced, cleared away."""

from __future__ import annotations

import fnmatch
from collections.abc import Iterator

from rocmdoctor import protection
from rocmdoctor.actions import Action, Exec, Undo, WriteFile
from rocmdoctor.facts.distributions import Dists, named
from rocmdoctor.facts.pci import PciDisplays
from rocmdoctor.facts.pip_settings import PipSettings, pip_conf_question, read_settings
from rocmdoctor.facts.protection import Drift, ProtectionTable, dates_question, record_question
from rocmdoctor.facts.python_env import PythonEnv
from rocmdoctor.model import Query, Run, Stat
from rocmdoctor.ops.arguments import NO_WORDS, Place
from rocmdoctor.ops.chores import chore
from rocmdoctor.ops.environments import Environment, env_questions, environment
from rocmdoctor.ops.ground import Ground, block_question, file_questions
from rocmdoctor.ops.pip import pip, usable
from rocmdoctor.ops.places import holds, resolved, sha256_of
from rocmdoctor.ops.registry import operation

NO_CHECKS: dict[str, list[str]] = {}
_ACTIVATE = "bin/activate"


def _section_question(env: str) -> Run:
    """Whether the environment's pip.conf has a section [install] already: a second one is an error to pip."""
    return Run(("grep", "-cx", r"\[install\][[:blank:]]*", "--", f"{env}/pip.conf"), limit=64)


def _asks(ground: Ground, *, env: str) -> Iterator[Query]:
    full = resolved(ground, "env", env, "user")
    yield from env_questions(full)
    yield from (record_question(full), dates_question(full), pip_conf_question(full), _section_question(full))
    yield from (
        Stat(f"{full}/{_ACTIVATE}"),
        Stat(f"{full}/conda-meta"),
        block_question(f"{full}/{_ACTIVATE}"),
    )
    for path in protection.conda_texts(full, ""):
        yield from file_questions(f"{full}/{path}")


@operation("pip.protect", asks=_asks)
def pip_protect(ground: Ground, *, env: Place) -> Iterator[Action]:
    """Hold pip and uv to what is installed in an environment for the GPUs, and write down what that is.

    The versions stand in <env>/rocmdoctor-constraints.txt, which <env>/pip.conf names: pip reads that file whoever starts
    it and from where. uv reads nothing in an environment's folder: lines in <env>/bin/activate set UV_CONSTRAINT and
    UV_OVERRIDE, and read the exports. What is held and what is kept out is decided by checks/data/protection.toml.
    """
    full = resolved(ground, "env", env, "user")
    found = usable(environment(ground, full))
    written = _written(ground, found)
    ground.claim(f"protection of {full}", "as it was recorded" if written else "to be written")
    can = protection.can_be_named(full)
    if not written:
        yield _protecting(ground, full)
        if not can:
            ground.note(
                f"pip.conf and uv's variables part their values at blanks, and cannot name files in {full}: there only"
                " 'rocmdoctor pip install --env' looks first"
            )
    if not can:
        return
    yield from _pip_conf(ground, full)
    yield from _shells(ground, full)


def _written(ground: Ground, env: Environment) -> bool:
    """The record says what is there, and no step before this one changes that."""
    if env.state != "there" or env.path in ground.altered:
        return False
    rows = protection.record_of(ground.answer(record_question(env.path)).text)
    if not rows:
        return False
    table = ground.known.get(ProtectionTable)
    said = ground.answer(dates_question(env.path)).stdout.splitlines()
    sizes = [line.split(" ", 1)[0] for line in said if line.endswith(".dist-info/RECORD")]
    same = all(
        env.version(name) == row["version"] and str(row.get("size")) in sizes for name, row in rows.items()
    )
    told = {*rows, *table.out}
    passed = protection.passed_over_of(ground.answer(record_question(env.path)).text)
    new = [n for n, (v, _) in env.dists.items() if table.recipe(n) and n not in told and passed.get(n) != v]
    return same and not new


def _protecting(ground: Ground, env: str) -> Action:
    table = ground.known.get(ProtectionTable)
    bounds = {name: list(row) for name, row in table.bounds.items()}
    paths = [f"{env}/{name}" for name in (protection.RECORD, protection.CONSTRAINTS, protection.OVERRIDES)]
    before = ground.answer(record_question(env)).ok
    undo = (
        Undo(
            "impossible",
            "the list of versions that pip is held to stays; the next installation writes it anew",
        )
        if before
        else Undo("commands", "removes these files", (("rm", "-f", "--", *paths),))
    )
    return Action(
        do=Exec(chore("protect", env=env, keep=table.rows(), out=dict(table.out), bounds=bounds)),
        says=f"write {env}/{protection.CONSTRAINTS}: what is installed there for the GPUs, so that pip does not replace it",
        undo=undo,
        root=False,
        seconds=0.5,
    )


def _pip_conf(ground: Ground, env: str) -> Iterator[Action]:
    path, wanted = f"{env}/pip.conf", f"{env}/{protection.CONSTRAINTS}"
    settings = read_settings(path, ground.answer(pip_conf_question(env)).text)
    said = [s for s in settings if s.name == "constraint" and s.section == "install"]
    if any(wanted in s.values for s in said):
        return
    others = _others(ground, env)
    answer = ground.answer(_section_question(env))
    if answer.ok and answer.stdout.strip() not in ("", "0"):
        values = " ".join([*(v for s in said for v in s.values), *(() if said else others), wanted])
        former = " ".join(v for s in said for v in s.values)
        back = ("set", "install.constraint", former) if former else ("unset", "install.constraint")
        yield Action(
            do=Exec(pip(env, "config", "--site", "set", "install.constraint", values)),
            says=f"let {path} name it, beside what that says already",
            undo=Undo("commands", "takes it out again", (pip(env, "config", "--site", *back),)),
            root=False,
            seconds=1.0,
        )
        return
    yield _lines(
        path, protection.pip_conf_text(env, others), f"let {path} name it, which pip reads from everywhere"
    )


def _others(ground: Ground, env: str) -> tuple[str, ...]:
    """Constraints that the files of the user and the machine name, and [global] of the environment's: ours would hide them."""
    settings = ground.maybe(PipSettings)
    found = settings.pip.get("constraint") if settings else None
    ours = f"{env}/{protection.CONSTRAINTS}"
    if found is None or not found.section or found.values[-1].endswith(f"/{protection.CONSTRAINTS}"):
        return ()
    return tuple(value for value in found.values if value != ours)


def _shells(ground: Ground, env: str) -> Iterator[Action]:
    home = ground.person.home
    if ground.answer(Stat(f"{env}/conda-meta")).ok:
        for name, text in protection.conda_texts(env, home).items():
            path = f"{env}/{name}"
            if not holds(ground, path, sha256_of(text)):
                says = f"write {path}, which holds uv where the environment is activated"
                yield Action(WriteFile(path, text), says, Undo("restore"), root=False, seconds=0.1)
        return
    path, text = f"{env}/{_ACTIVATE}", protection.activate_text(env, home)
    there = ground.answer(Stat(path))
    if there.why == "absent" and ground.answer(Stat(f"{env}/bin/python")).ok:
        ground.note(f"{env} has no {_ACTIVATE}: uv is not held there, pip is")
        return
    if ground.answer(block_question(path)).ok and ground.block(path) == text:
        return
    yield _lines(path, text, f"let {path} read the exports, and hold uv")


def _lines(path: str, text: str, says: str) -> Action:
    return Action(WriteFile(path, text, block=True), says, Undo("restore"), root=False, seconds=0.1)


# ---------------------------------------------------------------- what was replaced


def _asks_clear(ground: Ground, *, env: str, **_: object) -> Iterator[Query]:
    yield from env_questions(resolved(ground, "env", env, "user"))


@operation("pip.clear", asks=_asks_clear)
def pip_clear(
    ground: Ground,
    *,
    env: Place,
    checks: dict[str, list[str]] = NO_CHECKS,
    changed: dict[str, list[str]] = NO_CHECKS,
    parts: list[str] = NO_WORDS,
) -> Iterator[Action]:
    """Uninstall what pip put in the place of builds for the GPUs, so that the steps after it put these back.

    `checks`: the id of a check to the distributions that go where it warns or fails; `changed`: a distribution to those that
    go where it is not what was recorded. `parts` are patterns of what came along with builds for other GPUs: with any of
    these they go where nothing that stays asks for them, unless such a GPU is here.
    """
    full = resolved(ground, "env", env, "user")
    found = environment(ground, full)
    judged = ground.maybe(PythonEnv)
    if found.state != "there" or not found.writable or judged is None or judged.prefix != full:
        return
    patterns = [name for check, names in checks.items() if _wrong(ground, check) for name in names]
    drift = ground.maybe(Drift)
    for change in drift.changes if drift else ():
        if change.name in changed:
            ground.claim(f"{change.name} as it was recorded in {full}", change.how)
            patterns += changed[change.name]
    goes = {name for name in found.dists if protection.matches(name, patterns)}
    if not goes:
        return
    goes |= _parts(ground, found, goes, parts)
    ground.uninstalled |= {(full, name) for name in goes}
    ground.altered.add(full)
    told = ", ".join(f"{name} {found.version(name)}" for name in sorted(goes))
    yield Action(
        do=Exec(pip(full, "uninstall", "--yes", *sorted(goes))),
        says=f"uninstall {told} from {full}: not what was installed for these GPUs, or in one folder with it",
        undo=Undo("impossible", "what was uninstalled is not brought back"),
        root=False,
        timeout=900.0,
        seconds=5.0,
    )


def _wrong(ground: Ground, check: str) -> bool:
    verdict = ground.verdicts.get(check)
    if verdict is None or verdict.status not in ("warn", "fail"):
        return False
    ground.claim(f"check {check}", verdict.status)
    return True


def _parts(ground: Ground, env: Environment, goes: set[str], patterns: list[str]) -> set[str]:
    """Those of the patterns that nothing asks for but what goes, and each other."""
    dists, pci = ground.maybe(Dists), ground.maybe(PciDisplays)
    if dists is None or dists.env.prefix != env.path or (pci is not None and pci.nvidia):
        return set()
    names = {n for n in env.dists if any(fnmatch.fnmatchcase(n, p) for p in patterns)}
    asks = {d.name: {named(r) for r in d.requires} for d in dists.dists}
    while True:
        needed = {n for n in names if any(n in asked for d, asked in asks.items() if d not in names | goes)}
        if not needed:
            return names
        names -= needed
