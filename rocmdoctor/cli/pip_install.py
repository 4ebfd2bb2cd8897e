"""`pip install`: asks pip first, installs what goes with what must stay, and looks afterwards whether it stayed."""

from __future__ import annotations

import os
import re
import shlex
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import click

from rocmdoctor.applying.pip_runs import Pip, PipError
from rocmdoctor.content import DataTables, bundled
from rocmdoctor.facts.protection import ProtectionTable
from rocmdoctor.facts.python_env import MANAGED
from rocmdoctor.hosts.caller import calling_user
from rocmdoctor.planning.pip_report import Damage, Item, Report, damages, forced, out_of_bounds, without
from rocmdoctor.reports.envelope import envelope

MISFIT, FAILED = 3, 4
_SEARCH = 300.0
# Options of `pip install` that take a value, by pip's _internal/cli/cmdoptions.py. The first say what is to be installed.
_WHAT = {"-r", "--requirement", "-e", "--editable", "-c", "--constraint", "--group", "--upgrade-strategy"}
_VALUED = {
    "-i", "--index-url", "--extra-index-url", "-f", "--find-links", "--trusted-host", "--no-binary", "--only-binary", "--proxy",
    "--retries", "--timeout", "--cert", "--client-cert", "--cache-dir", "--progress-bar", "-C", "--config-settings",
    "--global-option", "--build-option", "--root-user-action", "--log", "--exists-action", "--keyring-provider", "--use-feature",
    "--use-deprecated", "--src", "--build-constraint",
}  # fmt: skip
_ELSEWHERE = {"-t", "--target", "--prefix", "--root", "--user", "--python"}
_FLAGS_OF_WHAT = {"-U", "--upgrade", "--force-reinstall", "--no-deps"}


@dataclass(frozen=True)
class Found:
    """What pip would do, and what is done instead. `words` are pip's, None where nothing fits."""

    damages: tuple[Damage, ...] = ()
    left_out: Mapping[str, str] = field(default_factory=dict)
    words: tuple[str, ...] | None = None
    items: tuple[Item, ...] = ()
    refused: tuple[str, ...] = ()
    tail: tuple[str, ...] = ()


def pip_install(words: tuple[str, ...], env: str | None, *, dry_run: bool, as_json: bool) -> int:
    """The exit code: 3 where nothing goes with what must stay, 4 where pip failed or something was lost."""
    folder = _folder(env)
    _in_place(words)
    table: ProtectionTable = DataTables(bundled())(ProtectionTable)
    pip = Pip(folder, table.rows(), table.out)
    say = _Saying(folder, pip.kept, as_json=as_json)
    try:
        found = _found(pip, words, table)
        say.found(found)
        if found.words is None:
            return say.end(found, MISFIT, found.refused)
        if dry_run:
            return say.end(found, 0)
        code, tail = pip.install(found.words, quiet=as_json)
    except PipError as error:
        return say.trouble(str(error), error.tail)
    lost = pip.lost()
    if lost:
        back = f"rocmdoctor install torch --env {shlex.quote(str(folder))}"
        return say.end(found, FAILED, [f"{what}; put it back: {back}" for what in lost])
    return say.end(found, FAILED, [f"pip ended with exit code {code}", *tail]) if code else say.end(found, 0)


def _folder(env: str | None) -> Path:
    """The environment, which must be there. Raises UsageError."""
    user = calling_user()
    if user is not None:
        raise click.UsageError(
            f"pip runs code of what it installs, and root runs none of that: leave sudo out and be {user.pw_name}"
        )
    home = os.environ.get("HOME", "")
    named = env or os.environ.get("VIRTUAL_ENV") or os.environ.get("CONDA_PREFIX") or f"{home}/{MANAGED}"
    path = Path(named).expanduser().absolute()
    if not (path / "bin" / "python").exists():
        said = f"--env: {path}" if env else str(path)
        raise click.UsageError(
            f"{said} is no Python environment: found no bin/python in it, wanted a venv or conda's; 'rocmdoctor install"
            " torch' makes one"
        )
    if not os.access(path / "lib", os.W_OK):
        raise click.UsageError(f"{path} cannot be written by you; name an environment of your own with --env")
    return path


def _in_place(words: Sequence[str]) -> None:
    away = next((w for w in words if w.partition("=")[0] in _ELSEWHERE), None)
    if away:
        raise click.UsageError(
            f"{away} leads pip out of the environment, where nothing of it is protected: use pip itself for that"
        )


# ---------------------------------------------------------------- what is done


def _found(pip: Pip, words: tuple[str, ...], table: ProtectionTable) -> Found:
    """Raises PipError."""
    free = pip.would(words, held=False)
    hit = damages(free, pip.kept, _out(table, pip))
    wrong = _refusals(free, hit, pip, table)
    if wrong:
        return Found(hit, refused=tuple(wrong))
    if not hit:
        return Found(words=words, items=free.items)
    found = _fitting(free, hit, pip, words)
    if found.words is not None:
        return found
    # Other versions of what was asked for may go with what is here; to find them pip goes through them one by one.
    try:
        held = pip.would(words, held=True, seconds=_SEARCH)
    except PipError as error:
        return replace(found, tail=error.tail)
    other = _fitting(held, damages(held, pip.kept, _out(table, pip)), pip, words)
    return replace(other, damages=hit) if other.words is not None else found


def _fitting(report: Report, hit: tuple[Damage, ...], pip: Pip, words: tuple[str, ...]) -> Found:
    """What is left of a report without what must not come, where that needs none of it."""
    items = without(report, {damage.item.name for damage in hit})
    stuck = forced(report, items, pip.kept, hit)
    if stuck:
        return Found(hit, refused=tuple(_collisions(stuck, pip)))
    out = {d.item.name: d.why for d in hit if d.why}
    return Found(hit, out, _exact(words, items), items)


def _out(table: ProtectionTable, pip: Pip) -> dict[str, str]:
    return {name: why for name, why in table.out.items() if name not in pip.kept}


def _refusals(report: Report, hit: Iterable[Damage], pip: Pip, table: ProtectionTable) -> Iterable[str]:
    """What was asked for by name and must not come."""
    found = []
    env = shlex.quote(str(pip.env))
    for damage in hit:
        item = damage.item
        if not item.requested:
            continue
        if damage.why:
            found.append(f"{item} was asked for: {damage.why}")
            continue
        recipe = table.recipe(item.name) or item.name
        found.append(
            f"{item} would replace {item.name} {damage.before}, which was installed for these GPUs; another version for them:"
            f" rocmdoctor install {recipe} --env {env} --pin '{recipe}=={item.version}'"
        )
    bad = out_of_bounds(report, table.bounds)
    found += [
        f"{item}: {bad[item.name]} rocmdoctor install {table.recipe(item.name) or item.name} --env {env} chooses one"
        for item in report.items
        if item.name in bad and item.requested and item.name not in pip.kept
    ]
    return found


def _collisions(hit: Iterable[Damage], pip: Pip) -> Iterable[str]:
    """Who asks for what, and cannot be had beside what must stay."""
    for damage in hit:
        if damage.before is None:
            continue
        first = damage.chain[0].name if damage.chain else damage.item.name
        yield (
            f"{damage}; {damage.item.name} {damage.before} was installed for these GPUs and stays. Take a version of {first} that"
            f" goes with it, or install both anew: rocmdoctor install torch --env {shlex.quote(str(pip.env))} --pin"
            f" '{damage.text if damage.item.name == 'torch' else 'torch'}'"
        )


def _exact(words: Sequence[str], items: Iterable[Item]) -> tuple[str, ...]:
    """pip's words for these files alone, with those of the person's options that say from where and how."""
    kept: list[str] = []
    left = list(words)
    while left:
        word = left.pop(0)
        name = word.partition("=")[0]
        value = [left.pop(0)] if "=" not in word and name in _WHAT | _VALUED and left else []
        if name in ("-r", "--requirement"):
            kept += _indexes(value[0] if value else word.partition("=")[2])
        elif word.startswith("-") and name not in _WHAT | _FLAGS_OF_WHAT | {"--"}:
            kept += [word, *value]
    named = [part for item in items for part in item.exactly]
    return (*kept, "--no-deps", *named)


def _indexes(path: str) -> list[str]:
    """Options of a file of requirements that say from where."""
    try:
        text = Path(path).read_text(encoding="utf-8", errors="replace")
    except OSError:
        return []
    pattern = r"^[ \t]*(-i|--index-url|--extra-index-url|-f|--find-links|--trusted-host|--pre|--no-index)(?:[ \t=]+(\S+))?"
    return [word for pair in re.findall(pattern, text, re.MULTILINE) for word in pair if word]


# ---------------------------------------------------------------- what is said


class _Saying:
    """Says it as text on stderr while pip's own words go to stdout, or as one envelope."""

    def __init__(self, env: Path, kept: Mapping[str, str], *, as_json: bool) -> None:
        self.env, self.kept, self.as_json = env, kept, as_json

    def found(self, found: Found) -> None:
        """What pip would do, and what is done instead."""
        if self.as_json or not found.damages:
            return
        click.echo(f"pip would change what was installed for the GPUs in {self.env}:", err=True)
        for damage in found.damages:
            click.echo(f"  {damage}", err=True)
        if found.words is None:
            return
        for name, why in found.left_out.items():
            click.echo(f"Left out: {name}. {why}", err=True)
        click.echo(f"Instead: pip install {shlex.join(found.words)}", err=True)

    def trouble(self, message: str, tail: Sequence[str]) -> int:
        """pip could not be asked."""
        if self.as_json:
            text = "\n".join([message, *tail])
            errors = [{"code": "pip-failed", "message": text, "where": str(self.env)}]
            click.echo(envelope("pip", "error", FAILED, {"env": str(self.env)}, errors))
            return FAILED
        click.echo("\n".join([f"rocmdoctor: {message}", *(f"  {line}" for line in tail)]), err=True)
        return FAILED

    def end(self, found: Found, code: int, wrong: Iterable[str] = ()) -> int:
        """How it ended."""
        told = list(wrong)
        if self.as_json:
            kind = "protected" if code == MISFIT else "pip-failed"
            errors = [{"code": kind, "message": text, "where": str(self.env)} for text in told]
            click.echo(envelope("pip", "error" if code else "ok", code, self._data(found), errors))
            return code
        for text in told:
            click.echo(f"✗ {text}", err=True)
        if code == MISFIT:
            click.echo("Nothing was installed.", err=True)
        return code

    def _data(self, found: Found) -> dict[str, Any]:
        return {
            "env": str(self.env),
            "protected": dict(self.kept),
            "would_change": [
                {
                    "name": d.item.name,
                    "installed": d.before,
                    "wanted": d.item.version,
                    "asked_by": [str(item) for item in d.chain],
                    "requirement": d.text,
                    "why": d.why,
                }
                for d in found.damages
            ],
            "left_out": dict(found.left_out) if found.words is not None else {},
            "installs": {item.name: item.version for item in found.items},
            "words": list(found.words) if found.words is not None else None,
        }
