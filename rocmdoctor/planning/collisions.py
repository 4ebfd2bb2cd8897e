"""Why nothing goes together: which demands collide, and what there would be without each. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from rocmdoctor.actions import Request
from rocmdoctor.ops.vendors import DRIVER
from rocmdoctor.planning.choose import Choosing, Row, grouped, words
from rocmdoctor.planning.here import plain
from rocmdoctor.planning.interpreter import PYTHON
from rocmdoctor.planning.refusal import Refusal, RefusedError
from rocmdoctor.planning.wish import NONE, ROCM, component_of, pinned, wishes
from rocmdoctor.recipe import Release

# Components of another choice that are told.
_TOLD = 3
# Options that name no component themselves.
_OPTIONS = {"--rocm": ROCM, "--rocm-source": ROCM, "--driver": DRIVER, "--python": PYTHON}


def refused(choosing: Choosing) -> RefusedError:
    """The refusal of a wish that cannot be met."""
    every = wishes(choosing.request)
    colliding = _core(choosing, list(every))
    if len(colliding) > 1:
        return RefusedError(_collision(choosing, colliding))
    # A part that was added and cannot be had at all: the other wishes have nothing to do with it.
    added = bool(colliding) and colliding[0].startswith("--with ")
    return RefusedError(_refusal(_with_only(choosing, colliding) if added else choosing))


def _core(choosing: Choosing, names: Sequence[str]) -> list[str]:
    """The fewest wishes that cannot be met together: each of them could be given up. Empty where the machine alone is why."""
    kept = list(names)
    for name in names:
        trial = [other for other in kept if other != name]
        if _with_only(choosing, trial).taken is None:
            kept = trial
    return kept


def _with_only(choosing: Choosing, kept: Sequence[str]) -> Choosing:
    """The same machine with some of the wishes only."""
    request = choosing.request
    for name in wishes(request):
        if name not in kept:
            request = wishes(request)[name]
    return _again(choosing, request)


def _again(choosing: Choosing, request: Request) -> Choosing:
    gone = {*choosing.request.more} - {*request.more, *request.targets}
    recipes = [recipe for recipe in choosing.every if recipe.id not in gone]
    return Choosing(recipes, choosing.known, choosing.gfx, request, choosing.held)


def _collision(choosing: Choosing, colliding: Sequence[str]) -> Refusal:
    failed = _with_only(choosing, colliding)
    component, reasons = _between(failed, colliding) or (failed.stuck, _of_stuck(failed))
    says = f"{_and(colliding)} do not go together here: {component} {reasons}"
    return Refusal("collision", says, _instead(choosing, component, colliding), _path(choosing, component))


def _of_stuck(failed: Choosing) -> str:
    rows = [row for row in failed.rows[failed.stuck] if row.wished and plain(row.release.version)]
    return _reasons(failed, failed.stuck, rows or failed.rows[failed.stuck])


def _between(failed: Choosing, colliding: Sequence[str]) -> tuple[str, str] | None:
    """A component of which no release goes with the first of each that the wishes are about, and why."""
    about = [name for name in failed.order if name in _about(colliding)]
    firsts = {name: first for name in about if (first := _first(failed, name)) is not None}
    for component in dict.fromkeys((failed.stuck, *about, *failed.order)):
        others = {name: release for name, release in firsts.items() if name != component}
        rows = [row for row in failed.rows[component] if not row.why and row.release.source != NONE]
        clashes = {row.name: failed.relations.clash(component, row.release, others) for row in rows}
        whys = {name: clash.why for name, clash in clashes.items() if clash is not None}
        if rows and len(whys) == len(clashes):
            told = "; ".join(f"{name}: {why}" for name, why in grouped(whys))
            return component, _of_stuck(failed) if component == failed.stuck else told
    return None


def _first(choosing: Choosing, component: str) -> Release | None:
    fitting = (row.release for row in choosing.rows[component] if not row.why)
    return next((release for release in fitting if release.source != NONE), None)


def _refusal(choosing: Choosing) -> Refusal:
    component = _stuck(choosing)
    rows = choosing.rows[component]
    wished = [row for row in rows if row.wished]
    told = [row for row in (wished or rows) if plain(row.release.version)] or wished or rows
    reasons = _reasons(choosing, component, told)
    request = choosing.request
    asked = [*wishes(request), *([f"--arch {request.arch}"] if request.arch else [])]
    if not wishes(request):
        says = f"no release of {component} is for this machine: {reasons}"
    elif not wished and (held := pinned(component, choosing.held)):
        says = f"{' '.join(asked)} and the stack do not go together: the stack is held to {', '.join(held)}"
    elif not wished:
        says = f"{' '.join(asked)}: rocmdoctor knows no such release of {component}; there are {_names(rows)}"
    else:
        says = f"{' '.join(asked)} and this machine do not go together: {component} {reasons}"
    return Refusal(
        "no-release",
        says,
        _instead(choosing, component, list(wishes(request))),
        _path(choosing, component),
    )


def _path(choosing: Choosing, component: str) -> str:
    return choosing.recipes[component].path


def _stuck(choosing: Choosing) -> str:
    """The component that has no release; where each has some, the one that had none left."""
    none = [name for name in choosing.order if all(row.why for row in choosing.rows[name])]
    return none[0] if none else choosing.stuck


def _reasons(choosing: Choosing, component: str, rows: Sequence[Row]) -> str:
    shown = {row.name: row.why or _alone(choosing, component, row) for row in rows}
    return "; ".join(f"{name}: {why}" for name, why in grouped(shown))


def _alone(choosing: Choosing, component: str, row: Row) -> str:
    """Why a release that fits this machine goes with none of the others that do."""
    firsts = {
        name: next(r.release for r in choosing.rows[name] if not r.why)
        for name in choosing.order
        if name != component and any(not r.why for r in choosing.rows[name])
    }
    clash = choosing.relations.clash(component, row.release, firsts)
    return clash.why if clash else "no other component goes with it"


def _instead(choosing: Choosing, component: str, names: Sequence[str]) -> str:
    """Each wish that could be given up, with what there would be then."""
    found = []
    for name in names:
        without = _again(choosing, wishes(choosing.request)[name])
        if without.taken is None:
            continue
        shown = _shown(without.taken, component, names)
        got = ", ".join(f"{c} {words(r.version, r.source)}" for c, r in without.taken.items() if c in shown)
        found.append(f"Without {name}: {got}." if got else f"Without {name} the rest can be had.")
    more = choosing.recipes[component].instead
    return " ".join(
        [
            *found,
            *([more] if more else []),
            f"'rocmdoctor recipe show {component}' shows what each release is for.",
        ]
    )


def _shown(taken: object, component: str, names: Sequence[str]) -> set[str]:
    """The components that are told: all of a few, else those that the wishes are about."""
    every = set(taken) if isinstance(taken, dict) else set()
    if len(every) <= _TOLD:
        return every
    return ({component} | _about(names)) & every


def _about(names: Sequence[str]) -> set[str]:
    """The components that wishes are about."""
    found = set()
    for name in names:
        option, _, value = name.partition(" ")
        if option == "--pin":
            found.add(component_of(value.strip("'")))
        else:
            found.add(_OPTIONS.get(option, value))
    return found


def _names(rows: Sequence[Row]) -> str:
    names = {row.name: row.release.source for row in rows if plain(row.release.version)}
    return ", ".join(name for name, _ in grouped(names))


def _and(words_: Sequence[str]) -> str:
    return f"{', '.join(words_[:-1])} and {words_[-1]}"
