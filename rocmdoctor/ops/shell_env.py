"""Environment variables in one file of ours, and the lines of the user's shells that read it."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator, Mapping

from rocmdoctor.actions import Action, Undo, WriteFile
from rocmdoctor.facts.base import UnknownError
from rocmdoctor.model import Query, Run, Stat
from rocmdoctor.ops.arguments import NO_VALUES, NO_WORDS, AbsolutePath, BadArgumentError, VariableName
from rocmdoctor.ops.ground import Ground, block_question, file_questions
from rocmdoctor.ops.places import holds, sha256_of, there
from rocmdoctor.ops.registry import operation

ENV_FILE = ".config/rocmdoctor/env.sh"
BLOCK = f"""\
if [ -r "$HOME/{ENV_FILE}" ]; then
    . "$HOME/{ENV_FILE}"
fi
"""
_HEAD = """\
# Written by rocmdoctor, and by nothing else: changes made here are lost.
# `rocmdoctor env` shows it, `rocmdoctor env --remove` takes it back.
"""
# bash(1), INVOCATION: a login shell reads the first of these that is there, and no other.
_LOGIN = (".bash_profile", ".bash_login", ".profile")


def env_text(
    variables: Mapping[str, str],
    notes: Mapping[str, str] = NO_VALUES,
    path_prepend: list[str] = NO_WORDS,
    path_append: list[str] = NO_WORDS,
) -> str:
    """The file, for any POSIX shell. Reading it twice changes nothing. Raises BadArgumentError."""
    exports = exports_text(variables, notes, path_prepend, path_append)
    return f"{_HEAD}\n{exports}" if exports else _HEAD


def exports_text(
    variables: Mapping[str, str],
    notes: Mapping[str, str] = NO_VALUES,
    path_prepend: list[str] = NO_WORDS,
    path_append: list[str] = NO_WORDS,
) -> str:
    """What the file does. Raises BadArgumentError."""
    parts = []
    for name, value in variables.items():
        if name == "PATH":
            raise BadArgumentError(
                "variables", name, "a variable other than PATH, which has path_prepend and path_append"
            )
        _check(f"variables.{name}", value)
        parts.append(f"{_note(notes.get(name, ''))}export {name}={shlex.quote(value)}\n")
    before = ((f, f'PATH={shlex.quote(f)}"${{PATH:+:${{PATH}}}}"') for f in reversed(path_prepend))
    parts += [_on_path("path_prepend", folder, then, notes) for folder, then in before]
    after = ((f, f'PATH="${{PATH:+${{PATH}}:}}"{shlex.quote(f)}') for f in path_append)
    parts += [_on_path("path_append", folder, then, notes) for folder, then in after]
    if path_prepend or path_append:
        parts.append("export PATH\n")
    return "\n".join(parts)


def _on_path(argument: str, folder: str, then: str, notes: Mapping[str, str]) -> str:
    _check(argument, folder)
    if ":" in folder:
        raise BadArgumentError(argument, folder, "a folder without ':', which parts the folders of PATH")
    note = _note(notes.get(folder) or notes.get("PATH", ""))
    return f'{note}case ":${{PATH-}}:" in\n*:{shlex.quote(folder)}:*) ;;\n*) {then} ;;\nesac\n'


def _note(text: str) -> str:
    # A newline ends a comment; other control characters would steer the terminal of whoever prints the file.
    lines = re.split(r"[\x00-\x08\x0a-\x1f\x7f]+", text.strip())
    return "".join(f"# {line}\n" for line in lines if line.strip())


def _check(argument: str, value: str) -> None:
    try:
        value.encode()
    except UnicodeEncodeError:
        raise BadArgumentError(argument, value, "text that UTF-8 can hold") from None
    if "\0" in value:
        raise BadArgumentError(argument, value, "text without zero bytes")


# ---------------------------------------------------------------- which files read it


def _leads_to(path: str) -> Run:
    """Whether lines of a login file name .bashrc or .profile; the rest of them stays on the machine."""
    keep = r"\.(?:bashrc|profile)\b"
    return Run(("grep", "-E", "-e", r"^[^#]*\.(bashrc|profile)", "--", path), keep=keep, limit=1 << 14)


def _in_home(ground: Ground, name: str) -> str:
    return f"{ground.person.home.rstrip('/')}/{name}"


def shell_questions(ground: Ground, **_: object) -> Iterator[Query]:
    """What must be asked before variables can be written."""
    yield from file_questions(_in_home(ground, ENV_FILE))
    for name in (".bashrc", ".zshrc", *_LOGIN):
        yield Stat(_in_home(ground, name))
        yield block_question(_in_home(ground, name))
    for name in _LOGIN:
        yield _leads_to(_in_home(ground, name))


def reading_files(ground: Ground) -> tuple[str, ...]:
    """The files of the user's shells in which our block shall stand.

    .bashrc always. .zshrc where the shell is zsh or the file is there. Bash reads no .bashrc in a login shell (ssh, a
    console); the files of Debian and Ubuntu lead there, but a .bash_profile that some installer made hides them. So the
    first login file that is there gets the block too, unless it leads to .bashrc, itself or through .profile; .profile is
    made where there is none at all. A plain sh reads .profile and nothing else; fish reads none of these.
    """
    shell = ground.person.shell.rpartition("/")[2]
    files = [".bashrc"]
    if shell == "zsh" or ground.answer(Stat(_in_home(ground, ".zshrc"))).ok:
        files.append(".zshrc")
    if shell in ("bash", "sh", "dash", ""):
        login = ".profile" if shell in ("sh", "dash") else _login_file(ground)
        if login is not None:
            files.append(login)
    return tuple(_in_home(ground, name) for name in files)


def _login_file(ground: Ground) -> str | None:
    for name in _LOGIN:
        path = _in_home(ground, name)
        stat = ground.answer(Stat(path))
        if stat.why == "absent":
            continue
        said = ground.answer(_leads_to(path))
        # What nobody could look into stays as it is: most lead to .bashrc.
        if not stat.ok or not said.ok or ".bashrc" in said.stdout.split():
            return None
        if name == ".profile" or ".profile" not in said.stdout.split():
            return name
        # It leads to .profile, which is asked in its turn.
    return ".profile"


# ---------------------------------------------------------------- the operation


@operation("shell.env", asks=shell_questions)
def shell_env(
    ground: Ground,
    *,
    variables: dict[VariableName, str] = NO_VALUES,
    notes: dict[str, str] = NO_VALUES,
    path_prepend: list[AbsolutePath] = NO_WORDS,
    path_append: list[AbsolutePath] = NO_WORDS,
) -> Iterator[Action]:
    """Export variables, and folders of PATH, in every shell of the user's.

    They stand in ~/.config/rocmdoctor/env.sh, each under its note; marked lines of .bashrc, .zshrc and, where it does not
    lead there, bash's login file read it. `notes` are by the name of a variable or folder. With nothing to export all of
    it is removed. A file that nobody could look into is written, which changes nothing where it was right, and counts as
    empty when all is to be removed.
    """
    text = env_text(variables, notes, path_prepend, path_append)
    path = _in_home(ground, ENV_FILE)
    if not (variables or path_prepend or path_append):
        yield from _nothing(ground, path)
        return
    if not holds(ground, path, sha256_of(text)):
        names = [*variables, *(["PATH"] if path_prepend or path_append else [])]
        yield _written(path, text, f"write {path}, which exports {', '.join(names)}", block=False)
    for file in reading_files(ground):
        if _block(ground, file) != BLOCK:
            yield _written(file, BLOCK, f"let {file} read it", block=True)


def _nothing(ground: Ground, path: str) -> Iterator[Action]:
    """What stands anywhere is removed: the shell may have been another one then."""
    for name in (".bashrc", ".zshrc", *_LOGIN):
        file = _in_home(ground, name)
        if _block(ground, file) is not None:
            yield _written(file, None, f"remove the lines of rocmdoctor from {file}", block=True)
    if ground.answer(Stat(path)).ok and there(ground, path):
        yield _written(path, None, f"remove {path}", block=False)


def _block(ground: Ground, file: str) -> str | None:
    try:
        return ground.block(file)
    except UnknownError:
        return None


def _written(path: str, text: str | None, says: str, *, block: bool) -> Action:
    return Action(
        do=WriteFile(path, text, block=block),
        says=says,
        undo=Undo("restore"),
        root=False,
        timeout=30.0,
        seconds=0.1,
        then="Open a new shell: those that are open keep their old variables.",
    )
