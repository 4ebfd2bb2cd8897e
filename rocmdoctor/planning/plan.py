"""From a wish and a machine's facts to a plan, in two strokes: what to ask yet, and then what to do. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

from rocmdoctor.actions import Action, Choice, Exec, Fetch, Plan, Reboot, Request, WriteFile
from rocmdoctor.asking import distinct
from rocmdoctor.diagnosis.known import Known
from rocmdoctor.facts.base import UnknownError
from rocmdoctor.facts.system import Kernel, OsRelease
from rocmdoctor.frozen import frozen
from rocmdoctor.model import Query, Verdict
from rocmdoctor.ops.arguments import BadArgumentError
from rocmdoctor.ops.ground import ForbiddenError, Ground
from rocmdoctor.ops.registry import Operation
from rocmdoctor.planning.binding import bind
from rocmdoctor.planning.choose import Chosen, choose, words
from rocmdoctor.planning.elsewhere import elsewhere
from rocmdoctor.planning.facts import facts_of
from rocmdoctor.planning.fits import misfit
from rocmdoctor.planning.here import plain, source_here, version_here
from rocmdoctor.planning.interpreter import PYTHON, folder, python_here
from rocmdoctor.planning.order import NoSuchTargetError, held_by, steps, wanted
from rocmdoctor.planning.recorded import as_recorded
from rocmdoctor.planning.refusal import Refusal, RefusedError
from rocmdoctor.planning.targets import targets
from rocmdoctor.planning.wish import ROCM, wishes
from rocmdoctor.recipe import Recipe, Recipes, Step, UnknownNameError, names_of, substitute, variable_of


@frozen
class Cookbook:
    """All recipes, stacks and operations."""

    content: Recipes
    operations: Mapping[str, Operation]


@frozen
class Bound:
    """A step that will be planned, with the operation's arguments."""

    recipe: str
    step: Step
    operation: Operation
    arguments: Mapping[str, Any]

    @property
    def id(self) -> str:
        return f"{self.recipe}.{self.step.id}"


@frozen
class Outline:
    """What is to be planned, before the operations have asked their questions."""

    request: Request
    gfx: tuple[str, ...]
    choice: Mapping[str, Choice]
    bound: tuple[Bound, ...]
    left_out: Mapping[str, str]
    notes: tuple[str, ...]
    verify: tuple[str, ...]


def outline(request: Request, book: Cookbook, ground: Ground, verdicts: Mapping[str, Verdict]) -> Outline:
    """The steps that this machine calls for. Raises RefusedError and NoSuchTargetError."""
    chosen = _chosen(request, book)
    held = held_by(request, book.content)
    needed = not all(recipe.anywhere for recipe in chosen)
    found = targets(request.arch, ground.known, needed=needed)
    ground = _at(ground, found.gfx, request)
    bound: list[Bound] = []
    left: dict[str, str] = {}
    meant = [recipe for recipe in chosen if _is_meant(recipe, request, ground, left, alone=len(chosen) == 1)]
    if not meant:
        whole = "; ".join(f"{name}: {why}" for name, why in left.items())
        raise RefusedError(
            Refusal("misfit", f"nothing of it is for this machine: {whole}", "Choose another target.")
        )
    taken = _taken(meant, ground, request, held)
    ground.wanted = {name: item.choice for name, item in taken.items()}
    for name, item in ground.wanted.items():
        ground.claim(f"release of {name}", f"{item.version} {item.source}".strip())
    for recipe in meant:
        _one_recipe(recipe, request, book, ground, verdicts, taken, bound, left)
    verify = dict.fromkeys(name for recipe in meant for name in _verify(recipe, taken.get(recipe.id)))
    notes = (*found.notes, *ground.notes, *_notes(taken, request, ground.known))
    return Outline(request, found.gfx, ground.wanted, tuple(bound), left, notes, tuple(verify))


def _taken(
    meant: list[Recipe], ground: Ground, request: Request, held: tuple[str, ...]
) -> Mapping[str, Chosen]:
    """The releases; where an environment was changed, those that it had before, as far as they still go together."""
    recipes = {recipe.id: recipe for recipe in meant}
    before = tuple(as_recorded(request, recipes, ground.known, ground.person.home))
    if before:
        try:
            taken = choose(meant, ground.known, ground.gfx, request, (*held, *before))
        except RefusedError:
            ground.note(f"{', '.join(before)}, as it was recorded, does not go with this machine any more")
        else:
            ground.note(
                f"{', '.join(before)} is taken because it was there before: the environment was changed since"
            )
            return taken
    return choose(meant, ground.known, ground.gfx, request, held)


def _chosen(request: Request, book: Cookbook) -> list[Recipe]:
    names = wanted(request, book.content.recipes, book.content.stacks)
    return [book.content.recipes[name] for name in names]


def foretold(request: Request, book: Cookbook) -> list[Query]:
    """Questions that can be asked before anything is known of the machine. Raises NoSuchTargetError."""
    called = (book.operations[step.uses] for recipe in _chosen(request, book) for step in recipe.steps)
    return distinct(query for operation in called for query in operation.foretold)


def _is_meant(recipe: Recipe, request: Request, ground: Ground, left: dict[str, str], *, alone: bool) -> bool:
    """Whether a recipe is for this machine. Raises RefusedError where it was named and is not."""
    why = misfit(recipe.fits, ground.known, ground.gfx)
    other = None if why else elsewhere(recipe, ground.known, ground.gfx, request)
    why = why or other
    if why and not alone and recipe.id not in request.targets and not (other and wishes(request)):
        left[recipe.id] = why
        ground.note(f"{recipe.id} is left out: {why}")
    elif why:
        raise RefusedError(Refusal("misfit", f"{recipe.id}: {why}", "Choose another target.", recipe.path))
    return why is None


def _verify(recipe: Recipe, taken: Chosen | None) -> tuple[str, ...]:
    own = taken.release.verify if taken else None
    return recipe.verify if own is None else own


def _notes(taken: Mapping[str, Chosen], request: Request, known: Known) -> Iterable[str]:
    """What was taken though one would have expected something else."""
    for name, item in taken.items():
        if item.because and not (item.release.source == "kernel" and request.driver == "kernel"):
            yield f"{name} is {words(item.choice.version, item.choice.source)}: {item.because}"
    here = version_here(ROCM, known) if source_here(known) == "amd" else None
    wanted = taken[ROCM].release if ROCM in taken else None
    if here and wanted and wanted.source == "amd" and wanted.version != here and not request.rocm:
        yield f"ROCm {here} of AMD's is here, and {wanted.version} takes its place; --rocm {here} keeps it"


def _at(ground: Ground, gfx: tuple[str, ...], request: Request) -> Ground:
    ground.gfx = gfx
    ground.keep = request.keep
    ground.claim("gfx targets", ", ".join(gfx))
    system, kernel = ground.maybe(OsRelease), ground.maybe(Kernel)
    ground.claim("system", f"{system.id} {system.version}" if system else "unknown")
    ground.claim("kernel", kernel.release if kernel else "unknown")
    return ground


def _one_recipe(
    recipe: Recipe,
    request: Request,
    book: Cookbook,
    ground: Ground,
    verdicts: Mapping[str, Verdict],
    taken: Mapping[str, Chosen],
    bound: list[Bound],
    left: dict[str, str],
) -> None:
    mine = taken.get(recipe.id)
    release = mine.release if mine else None
    rocm, python = _rocm(taken, ground), _python(taken, request, ground)
    facts = facts_of(ground, rocm, folder(request, ground.person.home), python, _root_of(taken, book))
    given = {**_provided(taken), **_given(request, mine, taken)}
    names = names_of(recipe, release, {**facts, **_versions(taken)}, given)
    for step in steps(recipe):
        why = _elsewhere(step, mine) or _not_called_for(step, ground, verdicts, rocm, python)
        if why is None:
            try:
                bound.append(_bind(recipe, step, book.operations[step.uses], names))
            except UnknownNameError as error:
                why = f"${{{error}}} cannot be told on this machine"
        if why is not None:
            left[f"{recipe.id}.{step.id}"] = why


def _given(request: Request, mine: Chosen | None, taken: Mapping[str, Chosen]) -> dict[str, str]:
    """Variables of recipes that the wish stands in for.

    A key that was trusted for a release whose key nobody knows is not that of the others, but for a mirror of them all.
    """
    alone = not request.mirror and any(item.release.untrusted for item in taken.values())
    other = alone and mine is not None and not mine.release.untrusted
    asked = {"mirror": request.mirror, "key": None if other else request.trust_key}
    return {name: value for name, value in asked.items() if value}


def _rocm(taken: Mapping[str, Chosen], ground: Ground) -> str | None:
    """The release of ROCm that will be here; None where none is planned."""
    if ROCM not in taken:
        return None
    version = taken[ROCM].release.version
    return version if plain(version) else version_here(ROCM, ground.known) or version


def _root_of(taken: Mapping[str, Chosen], book: Cookbook) -> str | None:
    """The folder of the ROCm that is planned, as its recipe names it."""
    recipe = book.content.recipes.get(ROCM)
    if ROCM not in taken or recipe is None or not plain(taken[ROCM].release.version):
        return None
    found = {**recipe.vars, **taken[ROCM].release.vars}.get("root")
    return found if isinstance(found, str) else None


def _python(taken: Mapping[str, Chosen], request: Request, ground: Ground) -> str | None:
    """The Python of the environment."""
    return taken[PYTHON].release.version if PYTHON in taken else python_here(request, ground.known)


def _versions(taken: Mapping[str, Chosen]) -> dict[str, str]:
    """The versions of what is chosen, as recipes name them."""
    return {
        variable_of(name): item.release.version for name, item in taken.items() if plain(item.release.version)
    }


def _provided(taken: Mapping[str, Chosen]) -> dict[str, str]:
    """The versions of what comes with what is chosen; they stand in for variables of these names."""
    return {
        variable_of(part): version
        for item in taken.values()
        for part, version in item.release.provides.items()
    }


def _elsewhere(step: Step, mine: Chosen | None) -> str | None:
    if not step.source or (mine is not None and mine.release.source in step.source):
        return None
    here = words(mine.choice.version, mine.choice.source) if mine else "none"
    because = f" ({mine.because})" if mine and mine.because else ""
    return f"it is for releases from {', '.join(step.source)}, and the chosen one is {here}{because}"


def _bind(recipe: Recipe, step: Step, operation: Operation, names: Mapping[str, Any]) -> Bound:
    try:
        return Bound(recipe.id, step, operation, bind(operation, substitute(step.with_, names)))
    except BadArgumentError as error:
        raise RefusedError(
            Refusal("bad-argument", f"{recipe.id}.{step.id}: {error}", "Correct the recipe.", step.place)
        ) from error


def _not_called_for(
    step: Step, ground: Ground, verdicts: Mapping[str, Verdict], rocm: str | None, python: str | None
) -> str | None:
    why = misfit(step.fits, ground.known, ground.gfx, rocm, python)
    if why:
        return why
    for name in (*step.cures, step.skip_if):
        if name:
            ground.claim(f"check {name}", verdicts[name].status)
    if step.cures and not any(verdicts[name].status in ("warn", "fail") for name in step.cures):
        return "nothing to cure: " + "; ".join(
            f"{n} is {verdicts[n].status}, {verdicts[n].why}" for n in step.cures
        )
    if step.skip_if and verdicts[step.skip_if].status == "ok":
        return f"{step.skip_if} is ok already: {verdicts[step.skip_if].why}"
    return None


def questions(drawn: Outline, ground: Ground) -> list[Query]:
    """What the operations must know about the machine before they can be planned."""
    asked: list[Query] = []
    _tell(drawn, ground)
    for item in drawn.bound:
        if item.operation.asks is not None:
            asked += item.operation.asks(ground, **item.arguments)
    return distinct(asked)


def _tell(drawn: Outline, ground: Ground) -> None:
    """What operations may know of the plan that they are part of."""
    ground.wanted, ground.keep = drawn.choice, drawn.request.keep
    ground.leaving.clear()


def fill(drawn: Outline, ground: Ground) -> Plan:
    """The plan, once the questions are answered. Raises RefusedError."""
    _tell(drawn, ground)
    actions: list[Action] = []
    for item in drawn.bound:
        try:
            made = list(item.operation.function(ground, **item.arguments))
        except ForbiddenError as error:
            raise RefusedError(
                Refusal(
                    "forbidden",
                    f"{item.id}: {error}",
                    getattr(error, "instead", "") or "Choose another target.",
                    item.step.place,
                )
            ) from error
        except UnknownError as error:
            raise RefusedError(
                Refusal(
                    "unknown",
                    f"{item.id} cannot be planned: {error}",
                    "'rocmdoctor check -vv' shows which questions this machine does not answer.",
                )
            ) from error
        except BadArgumentError as error:
            raise RefusedError(
                Refusal("bad-argument", f"{item.id}: {error}", "Correct the recipe.", item.step.place)
            ) from error
        actions += _named(item, made)
    return Plan(
        request=drawn.request,
        person=ground.person,
        gfx=drawn.gfx,
        choice=drawn.choice,
        actions=tuple(_one_reboot_last(_keys_first(_without_repeats(actions)))),
        claims=dict(sorted(ground.claims.items())),
        left_out=drawn.left_out,
        notes=tuple(dict.fromkeys((*drawn.notes, *ground.notes))),
        verify=drawn.verify,
    )


def without_root(plan: Plan) -> Plan:
    """What a user can do alone; the rest is left out, each as what an administrator would have to do."""
    others = {a.id: f"needs root; for an administrator: {a.says}" for a in plan.actions if a.root}
    return replace(
        plan,
        actions=tuple(a for a in plan.actions if not a.root),
        left_out={**plan.left_out, **others},
    )


def _named(item: Bound, made: list[Action]) -> Iterable[Action]:
    for number, action in enumerate(made, 1):
        name = item.id if len(made) == 1 else f"{item.id}.{number}"
        yield replace(action, id=name, recipe=item.recipe, skip_if=item.step.skip_if)


def _without_repeats(actions: Iterable[Action]) -> Iterable[Action]:
    """Leaves out what was done before to the same end: fresh package lists stay fresh until their sources change."""
    done: list[Exec] = []
    for action in actions:
        if isinstance(action.do, Exec) and action.undo.kind == "nothing":
            if action.do in done:
                continue
            done.append(action.do)
        if action.sources:
            done.clear()
        yield action


def _keys_first(actions: Iterable[Action]) -> Iterable[Action]:
    """Keys of repositories come before any removal.

    A key that is not the right one, and a server that is not there, then end the run while all is as it was. A key whose
    place another step clears first keeps its turn.
    """
    kept = list(actions)
    written = {a.do.path for a in kept if isinstance(a.do, WriteFile)}
    first = [a for a in kept if isinstance(a.do, Fetch) and a.do.key and a.do.path not in written]
    if any(a.removes for a in kept):
        kept = [*first, *(a for a in kept if a not in first)]
    return kept


def _one_reboot_last(actions: Iterable[Action]) -> Iterable[Action]:
    """Reboots that can wait become one, behind everything else."""
    waiting: list[tuple[Action, Reboot]] = []
    for action in actions:
        if isinstance(action.do, Reboot) and action.do.can_wait:
            waiting.append((action, action.do))
        else:
            yield action
    if waiting:
        why = ", and ".join(dict.fromkeys(do.why for _, do in waiting))
        yield replace(waiting[0][0], do=Reboot(why, can_wait=True), says=f"reboot, so that {why}")


__all__ = [
    "Bound",
    "Cookbook",
    "NoSuchTargetError",
    "Outline",
    "RefusedError",
    "fill",
    "foretold",
    "outline",
    "questions",
]
