"""`patch apply`: all patches that are needed or named, or none of them."""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import click

from rocmdoctor.cli.patch_seen import Seen, Wanted, look
from rocmdoctor.cli.patch_tree import Read, TreeError, apply, keep_owners, put_back, read_tree
from rocmdoctor.patching import APPLIED, CONFLICT, NEEDED, NOT_HERE, Judged, misfit, patched, places
from rocmdoctor.patching.versions import OtherProjectError
from rocmdoctor.reports.envelope import envelope


@dataclass(frozen=True)
class Outcome:
    """What came of it. `left` are patches that were named and needed nothing; `wrong` what stands in the way."""

    seen: Seen
    done: tuple[Judged, ...] = ()
    left: tuple[Judged, ...] = ()
    wrong: tuple[Judged, ...] = ()
    trouble: str = ""
    dry: bool = False
    where: dict[str, tuple[str, ...]] = field(default_factory=dict)

    @property
    def code(self) -> int:
        """The exit code."""
        return 4 if self.wrong or self.trouble else 0


def apply_wanted(wanted: Wanted, ids: tuple[str, ...], *, dry_run: bool, as_json: bool) -> int:
    """Applies what is needed or named; 4 when something stands in the way."""
    seen = look(wanted)
    picked = _picked(seen, ids)
    outcome = _applied(seen, picked, dry_run=dry_run)
    (_say_json if as_json else _say)(outcome)
    return outcome.code


def _picked(seen: Seen, ids: tuple[str, ...]) -> list[Judged]:
    """Those that were named; else those that are needed, with those that cannot be told."""
    if not ids:
        return [item for item in seen.judged if item.state in (NEEDED, CONFLICT)]
    known = {item.patch.id: item for item in seen.judged}
    found: list[Judged] = []
    for name in ids:
        given = name.rpartition("/")[2].removesuffix(".patch")
        number = f"{int(given):04}-" if given.isascii() and given.isdigit() else " "
        item = known.get(given) or next((known[i] for i in known if i.startswith(number)), None)
        if item is None:
            near = difflib.get_close_matches(given, known, n=1, cutoff=0.4)
            hint = f", did you mean '{near[0]}'?" if near else f"; there are {', '.join(known)}"
            raise click.UsageError(f"{seen.project.name} has no patch '{name}'{hint}")
        if item not in found:
            found.append(item)
    return found


def _applied(seen: Seen, picked: Sequence[Judged], *, dry_run: bool) -> Outcome:
    outcome = Outcome(seen, left=tuple(i for i in picked if i.state == APPLIED), dry=dry_run)
    wrong = tuple(i for i in picked if i.state not in (NEEDED, NOT_HERE, APPLIED))
    if wrong:
        return replace(outcome, wrong=wrong)
    todo = tuple(i for i in picked if i.state in (NEEDED, NOT_HERE))
    where = {i.patch.id: places(i.patch, seen.read.files) for i in todo}
    changed = dict.fromkeys(path for paths in where.values() for path in paths)
    try:
        for item in todo:
            _do(seen, item, dry_run=dry_run)
        keep_owners(seen.read, () if dry_run else changed)
    except (TreeError, OSError) as error:
        put_back(seen.read, changed)
        return replace(outcome, trouble=str(error))
    except BaseException:
        put_back(seen.read, changed)
        raise
    return replace(outcome, done=todo, where=where)


def _do(seen: Seen, item: Judged, *, dry_run: bool) -> None:
    """Applies one patch and looks whether the tree has it then. Raises TreeError."""
    patch = item.patch
    read = _again(seen)
    # One before it may have changed the same file.
    why = misfit(patch, read.files)
    if why:
        raise TreeError(f"{patch.id} does not fit: {why}")
    promised = patched(patch, read.files)
    apply(patch, read, check=True)
    if dry_run:
        return
    apply(patch, read, check=False)
    after = _again(seen)
    other = [path for path, text in promised.items() if after.files.get(path) != text]
    if other:
        raise TreeError(
            f"{patch.id}: git says that it was applied, and {other[0]} is not what the patch makes of it"
        )
    state = next(i for i in seen.again(after) if i.patch.id == patch.id)
    if state.state != APPLIED:
        raise TreeError(f"{patch.id}: the tree is '{state.state}' with it, and not 'applied': {state.why}")


def _again(seen: Seen) -> Read:
    try:
        return read_tree(seen.project, seen.read.top)
    except OtherProjectError as error:
        raise TreeError(f"the tree became another meanwhile: {error}") from error


# ---------------------------------------------------------------- what is said


def _errors(outcome: Outcome) -> list[dict[str, str]]:
    errors = [{"code": i.state, "message": i.why, "where": i.patch.id} for i in outcome.wrong]
    if outcome.trouble:
        errors.append(
            {"code": "not-applied", "message": outcome.trouble, "where": str(outcome.seen.read.top)}
        )
    return errors


def _say_json(outcome: Outcome) -> None:
    names = [item.patch.id for item in outcome.done]
    seen = outcome.seen
    if names and not outcome.dry:
        read = _again(seen)
        seen = replace(seen, read=read, judged=seen.again(read))
    data = {
        **seen.data(),
        "applied": [] if outcome.dry else names,
        "would_apply": names if outcome.dry else [],
    }
    status = "error" if outcome.code else "ok"
    click.echo(envelope("patch apply", status, outcome.code, data, _errors(outcome)))


def _say(outcome: Outcome) -> None:
    for error in _errors(outcome):
        click.echo(f"rocmdoctor: {error['where']}: {error['message']}", err=True)
    if outcome.code:
        click.echo("nothing was changed", err=True)
        return
    verb = "would be applied to" if outcome.dry else "applied to"
    for item in outcome.done:
        click.echo(f"{item.patch.id}: {verb} {', '.join(outcome.where[item.patch.id])}")
    for item in outcome.left:
        click.echo(f"{item.patch.id}: {item.state}, {item.why}")
    if not outcome.done and not outcome.left:
        states = "; ".join(f"{item.patch.id} is {item.state}" for item in outcome.seen.judged)
        click.echo(f"nothing to apply: {states}")
