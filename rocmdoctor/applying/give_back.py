"""The ways in which one action is taken back."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from rocmdoctor.actions import Action, ApplyPatch, Exec, Fetch, Person, WriteFile
from rocmdoctor.applying import files
from rocmdoctor.applying import packages as dpkg
from rocmdoctor.applying.blocks import BlockError, block, with_block, without_block
from rocmdoctor.applying.changes import as_owner, for_root, kept, look, wanted
from rocmdoctor.applying.commands import checked, failed
from rocmdoctor.applying.fetch import part
from rocmdoctor.applying.files import Former
from rocmdoctor.applying.openpgp import fingerprints
from rocmdoctor.applying.patches import take_patch_back
from rocmdoctor.applying.programs import Order, ProgramError, run
from rocmdoctor.applying.simulate import not_agreed
from rocmdoctor.applying.steps import Context, StepError, StoppedError
from rocmdoctor.ops.apt import APT, ENV

_ANY = tuple(range(256))
_KEEP_OTHERS = ("-o", "APT::Get::AutomaticRemove=false")
_SETTINGS_LEFT = "config-files"


class LeftError(Exception):
    """An action that is left as it is; the message says why."""


# ---------------------------------------------------------------- files


def restore(do: WriteFile | Fetch, person: Person | None, context: Context, *, force: bool) -> bool:
    """Gives a file back as it was: bytes, mode and owner, or none. False when there was nothing to give back.

    Raises LeftError when somebody changed it since, StepError, StoppedError.
    """
    if isinstance(do, Fetch):
        aside = str(part(do.path))
        as_owner(aside, person, lambda: files.remove(aside), context, 60)
    if not context.backup.exists():
        return False
    for_root(do.path, person)
    former = kept(context)
    removes = isinstance(do, WriteFile) and do.text is None and not do.block
    current = look(do.path, person, context, follow=not removes)
    if (current.kind, current.sha256, current.data) == (former.kind, former.sha256, former.data):
        return False
    if not force and not _as_written(do, former, current):
        return _block_alone(do, former, current, person, context)
    as_owner(do.path, person, lambda: files.give_back(former), context, 60)
    return True


def _as_written(do: WriteFile | Fetch, former: Former, current: Former) -> bool:
    if isinstance(do, Fetch):
        return do.key in fingerprints(current.data) if do.key else current.sha256 == do.sha256
    data = wanted(do, former)
    return current.kind == "absent" if data is None else current.kind == "file" and current.data == data


def _block_alone(
    do: WriteFile | Fetch, former: Former, current: Former, person: Person | None, context: Context
) -> bool:
    """Others changed the file around our lines: only these become what they were."""
    changed = f"{do.path} was changed since by somebody else; --force gives it back as it was all the same"
    if not (isinstance(do, WriteFile) and do.block and current.kind == "file"):
        raise LeftError(changed)
    try:
        ours = with_block(b"", do.text) if do.text is not None else b""
        if block(current.data) != block(ours):
            raise LeftError(changed)
        before = block(former.data)
        data = (
            without_block(current.data)
            if before is None
            else with_block(current.data, before.decode("utf-8", "surrogateescape"))
        )
    except BlockError as error:
        raise LeftError(f"{do.path} {error}") from error
    owner = (current.uid, current.gid)
    as_owner(do.path, person, lambda: files.put(current.path, data, current.mode, owner), context, 60)
    return True


# ---------------------------------------------------------------- programs


def commands(action: Action, person: Person | None, context: Context, *, again: bool) -> None:
    """Runs what takes the action back. `again`: that was tried before, or the action itself was never noted as done.

    Then a program that fails may find nothing to take back, and must not stand in the way of the rest for ever.
    Raises LeftError, StepError, StoppedError.
    """
    do = action.do if isinstance(action.do, Exec) else None
    if do and do.creates and not Path(do.creates).exists():
        return
    for argv in action.undo.commands:
        finish = Path(argv[0]).name in dpkg.FINISH
        try:
            checked(Order(argv, do.env if do else {}, "/", person, action.timeout, finish), context)
        except StepError as error:
            if again:
                raise LeftError(
                    f"{error.message} (as may be where there is nothing left to take back)"
                ) from error
            raise


def patch(do: ApplyPatch, action: Action, person: Person | None, context: Context) -> bool:
    """False when it was in the tree before us. Raises LeftError, StepError, StoppedError."""
    try:
        return take_patch_back(do, action, person, context)
    except ValueError as error:
        raise LeftError(str(error)) from error


# ---------------------------------------------------------------- packages


def packages(action: Action, more: Mapping[str, Any], context: Context, *, done: bool) -> list[str]:
    """Removes what the step newly installed, and nothing else; what cannot be put back is returned in words.

    Raises LeftError when other packages would have to go too, StepError, StoppedError.
    """
    env = {**ENV, **(action.do.env if isinstance(action.do, Exec) else {})}
    came = dict(more) if "installed" in more else _came(action, env, context)
    installed = [str(name) for name in came.get("installed", ())]
    dpkg.wait_until_free(context, action.timeout)
    if not done and isinstance(action.do, Exec):
        # It may fail, for the very package that goes next.
        for argv in action.do.heal:
            checked(Order(argv, env, timeout=action.timeout, finish=True), context, _ANY)
    now = dpkg.now(env)
    there = [name for name in installed if now.get(name, ("", ""))[1] in dpkg.THERE]
    if there:
        _only_these(there, installed, env, context)
        argv = (*APT, *_KEEP_OTHERS, "remove", *there)
        checked(Order(argv, env, timeout=action.timeout, finish=True), context)
    _purge([name for name in installed if name not in came.get("had_settings", ())], env, action, context)
    return _remarks(came)


def _came(action: Action, env: Mapping[str, str], context: Context) -> dict[str, Any]:
    """What a step brought that was cut off: of all that is new since, only what it was to bring."""
    found = dpkg.since(context.packages, env)
    if found is None:
        return {}
    predicted = {name.partition("=")[0] for name in action.installs}
    named = [n for n in found.installed if n in predicted or n.partition(":")[0] in predicted]
    return {"installed": named, "had_settings": list(found.had_settings)}


def _only_these(names: list[str], ours: Iterable[str], env: Mapping[str, str], context: Context) -> None:
    argv = ("apt-get", "-s", "-q", *_KEEP_OTHERS, "remove", *names)
    order = Order(argv, env, timeout=120, keep=16 << 20)
    try:
        said = run(order, context.log, context.on_line, context.stop)
    except ProgramError as error:
        raise StepError(str(error)) from error
    if said.why == "stopped":
        raise StoppedError
    if said.code != 0:
        raise failed(order, said, context, "the simulation of it", " Nothing was removed.")
    known = tuple(ours)
    # dpkg names the native architecture where several can be there at once, apt does not.
    if others := not_agreed(said.kept, (*known, *(name.partition(":")[0] for name in known))):
        raise LeftError(
            f"{', '.join(others)} would have to go too, and this run did not bring them; remove them first, or keep all"
        )


def _purge(names: list[str], env: Mapping[str, str], action: Action, context: Context) -> None:
    """Settings of packages that had none here before."""
    now = dpkg.now(env)
    left = [name for name in names if now.get(name, ("", ""))[1] == _SETTINGS_LEFT]
    if left:
        checked(Order(("dpkg", "--purge", *left), env, timeout=action.timeout, finish=True), context)


def _remarks(came: Mapping[str, Any]) -> list[str]:
    remarks = []
    if upgraded := came.get("upgraded"):
        words = [f"{name} {pair[0]} → {pair[1]}" for name, pair in upgraded.items()]
        remarks.append(f"stays in its newer version: {', '.join(words)}")
    if removed := came.get("removed"):
        words = [f"{name} {version}" for name, version in removed.items()]
        remarks.append(f"was removed and is not brought back: {', '.join(words)}")
    return remarks
