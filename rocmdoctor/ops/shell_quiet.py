"""Lines of shell files that set a variable to what does harm, made comments."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Annotated

from rocmdoctor.actions import Action, Exec, Undo
from rocmdoctor.facts.shell import Assignment, ShellFiles
from rocmdoctor.ops.arguments import Shape
from rocmdoctor.ops.ground import Ground
from rocmdoctor.ops.registry import operation

EXPORT = Shape("the name of an environment variable", r"[A-Z][A-Z0-9_]{0,63}")
CHECKED = Shape("the id of a check", r"[a-z]+\.[a-z0-9-]+")
Exported = Annotated[str, EXPORT]
Checked = Annotated[str, CHECKED]
_OURS = "/.config/rocmdoctor/env.sh"
# `:` does nothing and takes any words, so that an `if` around the line does not lose its only command.
_SHELL, _LIST = ": # rocmdoctor: ", "# rocmdoctor: "
_WORDS = (
    r"((export|setenv|declare[[:space:]]+-x|typeset[[:space:]]+-x|set[[:space:]]+-[a-zA-Z]+)[[:space:]]+)?"
)


def _mark(path: str) -> str:
    """What makes a line of the file a comment: files that are lists of assignments know no commands."""
    return _LIST if path.endswith(("/environment", ".conf")) else _SHELL


def _named(ground: Ground, names: list[str], check: str) -> list[Assignment]:
    """The lines that set what the check complains of. Raises UnknownError."""
    verdict = ground.verdicts.get(check)
    said = " ".join((verdict.why, *verdict.evidence)) if verdict is not None else ""
    meant = [name for name in names if re.search(rf"(?<![A-Z0-9_]){name}(?![A-Z0-9_])", said)]
    lines = [a for a in ground.known.get(ShellFiles).assignments if a.name in meant]
    return [a for a in lines if not a.file.endswith(_OURS)]


@operation("shell.quiet")
def quiet(ground: Ground, *, names: list[Exported], check: Checked) -> Iterator[Action]:
    """Make comments of the lines in shell files that set these variables, as far as the check names them.

    Only a line that does nothing else is changed. Files of the user are changed as the user, others as root. What was
    set by hand, or by a program that starts the session, is in no file and stays.
    """
    home = ground.person.home.rstrip("/")
    for found in _named(ground, names, check):
        mine = found.file.startswith(f"{home}/")
        ground.claim(f"{found.file} line {found.line}", f"sets {found.name}")
        mark = _mark(found.file)
        line = rf"^[[:space:]]*{_WORDS}{found.name}[=[:space:]][^;&|#]*$"
        # A dotfile is often a link to a file that is kept elsewhere.
        sed = ("sed", "-i", "--follow-symlinks", "-E")
        yield Action(
            do=Exec((*sed, f"{found.line}s@{line}@{mark}&@", found.file)),
            says=f"make line {found.line} of {found.file} a comment, which sets {found.name}",
            undo=Undo("commands", "takes the mark away", ((*sed, f"s@^{mark}@@", found.file),)),
            root=not mine,
            seconds=0.1,
            then="Log in again: sessions that are open keep what was set in them.",
        )
