"""Which faults of a machine a plan is made for, with which request, and what became of them. Pure."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import replace

from rocmdoctor.actions import Plan, Request
from rocmdoctor.diagnosis.known import Known
from rocmdoctor.diagnosis.runner import Diagnosis
from rocmdoctor.facts.base import UnknownError
from rocmdoctor.facts.torch_build import TorchBuild
from rocmdoctor.frozen import frozen
from rocmdoctor.model import Remedy, Verdict
from rocmdoctor.ops.traits import TRAITS
from rocmdoctor.ops.vendors import DRIVER, ROCM
from rocmdoctor.planning.here import source_here, version_here
from rocmdoctor.planning.order import wanted
from rocmdoctor.recipe import Recipes

# What became of a fault. `planned` is before anything is done, the others stand behind it.
PLANNED, CURED, LOGIN, REBOOT, STILL = "planned", "cured", "next-login", "after-reboot", "not-cured"
# What a log tells of has no check: whether it is cured shows when the program runs again.
TRIED = "carried-out"
BY_HAND, REFUSED, FOLLOWS = "by-hand", "refused", "follows"
_BAD = ("warn", "fail")
_TORCH = "torch"


@frozen
class Cause:
    """A fault to cure, and what became of it (`state`).

    `recipe`: the target that cures it, None where a person has to. `why` says why it is for a person although its check names
    a recipe, or what is so now; `explains` are the checks that follow from it.
    """

    verdict: Verdict
    state: str
    recipe: str | None = None
    why: str = ""
    explains: tuple[str, ...] = ()

    @property
    def id(self) -> str:
        """The check's id."""
        return self.verdict.id


@frozen
class Picked:
    """What is to be cured, lowest layer first; `fine` are checks that were named and complain of nothing.

    `offers` are warnings that a recipe cures once they are named, `unsure` checks that could not tell.
    """

    causes: tuple[Cause, ...]
    fine: tuple[Verdict, ...] = ()
    offers: tuple[Verdict, ...] = ()
    unsure: tuple[str, ...] = ()

    @property
    def curable(self) -> tuple[Cause, ...]:
        """Those that a recipe cures."""
        return tuple(c for c in self.causes if c.state == PLANNED)

    @property
    def recipes(self) -> tuple[str, ...]:
        """Their recipes, each once."""
        return tuple(dict.fromkeys(c.recipe for c in self.curable if c.recipe))


def pick(diagnosis: Diagnosis, named: Collection[str], content: Recipes) -> Picked:
    """The root causes; or what was named, warnings too, and in place of what follows from others these others."""
    said = {v.id: v for v in diagnosis.verdicts}
    ids = list(diagnosis.root_causes)
    fine: list[Verdict] = []
    if named:
        meant: dict[str, None] = {}
        for name in named:
            if said[name].status in _BAD:
                meant.update(dict.fromkeys(_roots(name, said)))
            else:
                fine.append(said[name])
        ids = [*(i for i in ids if i in meant), *(i for i in meant if i not in ids)]
    follows = {
        i: tuple(v.id for v in said.values() if v.status == "fail" and i in v.explained_by) for i in ids
    }
    warned = [v for v in said.values() if v.status == "warn" and v.id not in ids and not named]
    return Picked(
        tuple(_cause(said[i], content, follows[i]) for i in ids),
        tuple(fine),
        tuple(v for v in warned if _cause(v, content, ()).recipe),
        tuple(v.id for v in said.values() if v.status in ("unknown", "broken")),
    )


def from_log(
    known: Iterable[tuple[Verdict, tuple[str, ...]]], diagnosis: Diagnosis, content: Recipes
) -> Picked:
    """What a log tells of: each known error as a verdict, with the checks of this machine that fail for it.

    The checks stand in its place where there are any, since they can be asked again.
    """
    checks: dict[str, None] = {}
    errors: list[Verdict] = []
    for verdict, failing in known:
        if failing:
            checks.update(dict.fromkeys(failing))
        else:
            errors.append(verdict)
    found = pick(diagnosis, tuple(checks), content).causes if checks else ()
    return Picked((*found, *(_cause(verdict, content, ()) for verdict in errors)))


def _roots(name: str, said: Mapping[str, Verdict]) -> list[str]:
    """A check, or the failures that explain it."""
    above = [by for by in said[name].explained_by if by in said and said[by].status == "fail"]
    if not above:
        return [name]
    return list(dict.fromkeys(root for by in above for root in _roots(by, said)))


def _cause(verdict: Verdict, content: Recipes, explains: tuple[str, ...]) -> Cause:
    recipe = (verdict.remedy.recipe or "") if verdict.remedy else ""
    known = recipe in content.stacks or (recipe in content.recipes and not content.recipes[recipe].by_hand)
    return Cause(verdict, PLANNED if known else BY_HAND, recipe if known else None, explains=explains)


def fixing_request(asked: Request, recipes: tuple[str, ...], content: Recipes, known: Known) -> Request:
    """The request that cures with these recipes and leaves alone what is well.

    The release of AMD's ROCm that is here stays, no other driver is chosen, and neither is another torch where torch is
    not what is wrong. What was asked for by an option counts more.
    """
    request = replace(asked, targets=recipes)
    parts = wanted(request, content.recipes, content.stacks)
    here = version_here(ROCM, known)
    if ROCM in parts and source_here(known) == "amd" and here and not asked.rocm:
        request = replace(request, rocm=here)
    if DRIVER in parts and DRIVER not in recipes and not asked.driver and not _has_dkms(known):
        request = replace(request, driver="kernel")
    build = known.maybe(TorchBuild)
    if _TORCH in parts and _TORCH not in recipes and not asked.pins and build is not None and build.torch.hip:
        request = replace(request, pins=(f"{_TORCH}=={build.torch.version}",))
    return request


def _has_dkms(known: Known) -> bool:
    """AMD's driver of DKMS is at work; where that cannot be told it counts as not."""
    try:
        return TRAITS["dkms-driver"].holds(known)
    except UnknownError:
        return False


def acted(plan: Plan, recipe: str, content: Recipes) -> bool:
    """Whether a plan has a step of a recipe, or of any recipe of a stack."""
    mine = content.stacks[recipe].recipes if recipe in content.stacks else (recipe,)
    return any(action.recipe in mine for action in plan.actions)


def unplanned(cause: Cause, plan: Plan | None, why: str) -> Cause:
    """A cause that no plan is made for, after all, with the reason."""
    if plan is None:
        return replace(cause, state=REFUSED, why=why)
    steps = [said for name, said in plan.left_out.items() if name.partition(".")[0] == cause.recipe]
    more = f": {steps[0]}" if steps else ""
    return replace(
        cause, state=BY_HAND, why=f"the recipe {cause.recipe} finds nothing that it could do here{more}"
    )


def judged(cause: Cause, now: Diagnosis, next_login: Collection[str], *, rebooting: bool) -> Cause:
    """What became of a cause. `next_login` are checks that are well for a session that begins now."""
    said = {v.id: v for v in now.verdicts}
    if cause.id not in said:
        return replace(cause, state=REBOOT if rebooting else TRIED)
    verdict = said[cause.id]
    better = cause.verdict.status == "fail" and verdict.status == "warn"
    aside = verdict.status == "skip" and all(
        said[n].status in ("ok", "warn") for n in verdict.after if n in said
    )
    if verdict.status == "ok" or better or aside:
        return replace(cause, state=CURED, why=verdict.why)
    if rebooting:
        return replace(cause, state=REBOOT, why="")
    if cause.id in next_login:
        return replace(cause, state=LOGIN, why=verdict.why)
    return replace(cause, state=STILL, why=verdict.why, verdict=verdict)


def exit_code(causes: Iterable[Cause], fine: Iterable[Verdict] = ()) -> int:
    """0 where nothing is left to cure, 1 where something is, 102 where only a reboot is missing."""
    states = {cause.state for cause in causes}
    if states <= {CURED, LOGIN, TRIED}:
        return 6 if any(v.status in ("unknown", "broken") for v in fine) else 0
    return 102 if states <= {CURED, LOGIN, TRIED, REBOOT} else 1


def remedy_of(cause: Cause) -> Remedy:
    """What a person has to do."""
    return cause.verdict.remedy or Remedy("What cures it is not known here.")
