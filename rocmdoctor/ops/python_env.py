"""Python environments: made with the system's interpreter, or with uv."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Literal

from rocmdoctor.actions import Action, Exec, Undo
from rocmdoctor.facts.base import UnknownError
from rocmdoctor.frozen import frozen
from rocmdoctor.model import Query, Run
from rocmdoctor.ops.arguments import Place, PythonVersion
from rocmdoctor.ops.environments import Environment, env_questions, environment, ways, ways_of
from rocmdoctor.ops.ground import ForbiddenError, Ground
from rocmdoctor.ops.places import resolved
from rocmdoctor.ops.registry import operation

# A shell's python3 may be that of an environment: what that one was made from is told, not a shim in front of it.
_CODE = """\
import json, os, sys
try:
    import ensurepip, venv
    able, pip = True, ensurepip.version()
except ImportError:
    able, pip = False, ""
base = getattr(sys, "_base_executable", None) or sys.executable
print(json.dumps({"path": os.path.realpath(base), "python": "%d.%d" % sys.version_info[:2], "venv": able, "pip": pip}))
"""
# As the fact about interpreters asks it: one answer is kept for a question.
_UV = Run(("uv", "--version"), limit=256)
_DISK = 60_000_000


@frozen
class _Interpreter:
    """An interpreter of this machine. `venv`: it can make environments; with this `pip` then, "" where it did not tell."""

    path: str
    python: str
    venv: bool
    pip: str = ""


def interpreter_questions(python: str) -> tuple[Run, ...]:
    """What tells which interpreter there is for an environment of this Python."""
    names = (f"python{python}", "python3") if python else ("python3",)
    return tuple(Run((name, "-I", "-c", _CODE), timeout=5.0) for name in names)


def _asks(ground: Ground, *, path: str, python: str = "", **_: object) -> Iterator[Query]:
    yield from env_questions(resolved(ground, "path", path, "user"))
    yield from interpreter_questions(python)
    yield _UV
    yield from ways()


@operation("python.env", asks=_asks)
def python_env(
    ground: Ground,
    *,
    path: Place,
    python: PythonVersion = "",
    by: Literal["auto", "venv", "uv"] = "auto",
) -> Iterator[Action]:
    """Make a Python environment, unless it is there with that Python.

    `auto` takes the system's interpreter where it is of that version and has the module venv, else uv, which brings
    Pythons of its own. An environment of another Python is never made into this one, and one that cannot be written is
    refused.
    """
    full = resolved(ground, "path", path, "user")
    found = environment(ground, full)
    if found.state != "absent":
        _usable(found, python)
        return
    yield _made(ground, full, python, by)


def _usable(env: Environment, python: str) -> None:
    """Raises ForbiddenError where an environment that is there must not be used."""
    if env.state == "unknown":
        raise UnknownError(f"{env.path}: {env.why}")
    if env.state == "broken":
        raise ForbiddenError(
            f"{env.path} is there and its Python does not start ({env.why}): move it away, or name another environment"
            " with --env"
        )
    if python and env.minor != python:
        raise ForbiddenError(
            f"{env.path} is an environment of Python {env.python}, wanted is {python}: move it away, or name another with"
            " --env"
        )
    if not env.writable:
        raise ForbiddenError(
            f"{env.path} cannot be written by you, and packages go into it: name an environment of your own with --env"
        )


def _made(ground: Ground, path: str, python: str, by: str) -> Action:
    said, uv = _interpreters(ground, python), ground.answer(_UV)
    fitting = [i for i in said if not python or i.python == python]
    able = next((i for i in fitting if i.venv), None)
    asked = any(ground.answer(query).why != "not-asked" for query in interpreter_questions(python))
    if by != "uv" and (able or not asked):
        program = able.path if able else f"python{python or '3'}"
        return _action(path, able.python if able else python, (program, "-m", "venv", path), ground)
    if by != "venv" and uv.ok and uv.exit_code == 0:
        # With pip in it, since wheels are built and installed by pip.
        argv = (uv.path or "uv", "venv", "--seed", "--allow-existing", "--python", python or "3", path)
        return _action(path, python, argv, ground, network=True)
    raise ForbiddenError(_none(python, by, fitting))


def _interpreters(ground: Ground, python: str) -> list[_Interpreter]:
    found = []
    for query in interpreter_questions(python):
        answer = ground.answer(query)
        try:
            said = json.loads(answer.stdout) if answer.ok and answer.exit_code == 0 else None
            if said:
                pip = str(said.get("pip") or "")
                found.append(_Interpreter(str(said["path"]), str(said["python"]), bool(said["venv"]), pip))
        except (ValueError, KeyError, TypeError):
            continue
    return found


def default_python(ground: Ground) -> str:
    """X.Y of the interpreter that an environment is made with where none is named, "" where nobody could tell."""
    found = _interpreters(ground, "")
    return found[0].python if found else ""


def pip_of(ground: Ground, python: str) -> str:
    """The pip that an environment of this Python gets from the system's interpreter, "" where nobody could tell."""
    fitting = [i for i in _interpreters(ground, python) if i.venv and (not python or i.python == python)]
    return fitting[0].pip if fitting else ""


def _none(python: str, by: str, fitting: list[_Interpreter]) -> str:
    """What is missing, and both ways to it."""
    name = f"Python {python}" if python else "a Python 3"
    lacks = "is here without its module venv" if fitting else "is not here"
    package = f"python{fitting[0].python if fitting else python or '3'}-venv"
    tried = "uv is not here" if by == "uv" else f"{name} {lacks}, and uv is not here either"
    if by == "venv":
        tried = f"{name} {lacks}"
    return (
        f"no environment with {name} can be made: {tried}. One of two ways: 'sudo apt-get install {package}' where the"
        f" distribution has it, or install uv and let it bring the interpreter: 'uv python install {python or '3'}'"
    )


def _action(
    path: str, python: str, argv: tuple[str, ...], ground: Ground, *, network: bool = False
) -> Action:
    what = f"Python {python}" if python else "the newest Python"
    by = " with uv" if network else ""
    return Action(
        do=Exec(argv, ways_of(ground) if network else {}),
        says=f"make the environment {path} of {what}{by}",
        undo=Undo(
            "commands",
            "removes it with all that was installed into it since",
            (("rm", "-rf", "--one-file-system", "--", path),),
        ),
        root=False,
        network=network,
        timeout=900.0,
        download=30_000_000 if network else 0,
        disk=_DISK,
        seconds=20.0 if network else 6.0,
    )
