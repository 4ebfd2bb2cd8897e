"""Runs checks over one machine's facts, and tells causes from consequences."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, replace

from rocmdoctor.diagnosis.known import Known
from rocmdoctor.diagnosis.registry import Check
from rocmdoctor.diagnosis.verdicts import fail, skip, unknown
from rocmdoctor.facts.base import UnknownError
from rocmdoctor.facts.own import Promised
from rocmdoctor.model import LAYERS, RUNGS, Remedy, Verdict, Wish

# The layer of a fault decides which cause is named first, and which rung of the ladder it breaks.
_RUNG_OF = {
    "hardware": "gpu",
    "driver": "driver",
    "access": "driver",
    "packages": "rocm",
    "environment": "rocm",
    "torch": "torch",
    "training": "training",
}


@dataclass(frozen=True)
class Diagnosis:
    """Everything that the checks said. `readiness`: rung to ready, absent, broken or unknown.

    `missing` holds the verdicts of the rungs that are absent, lowest first, whether they are reported or not.
    """

    verdicts: tuple[Verdict, ...]
    root_causes: tuple[str, ...]
    readiness: Mapping[str, str]
    exit_code: int
    missing: tuple[Verdict, ...] = ()

    def verdict(self, name: str) -> Verdict:
        """The verdict of one check."""
        return next(v for v in self.verdicts if v.id == name)


def diagnose(
    checks: Iterable[Check], known: Known, layers: Mapping[str, str], selected: Collection[str] | None = None
) -> Diagnosis:
    """Verdicts in the order of the checks. `layers`: fault to layer; `selected`: ids to report, all by default."""
    wish = known.get(Wish)
    done: dict[str, Verdict] = {}
    declared: dict[str, Check] = {}
    for item in checks:
        declared[item.id] = item
        done[item.id] = _judge(item, known, done, wish)
    shown = {k: v for k, v in done.items() if selected is None or k in selected}

    def layer(name: str) -> str:
        return layers.get(done[name].fault or "", _layer_of_group(declared[name].group))

    failed = [name for name, verdict in shown.items() if verdict.status == "fail"]
    causes = [name for name in failed if not _explained(name, done)]
    causes.sort(key=lambda name: LAYERS.index(layer(name)))
    return Diagnosis(
        verdicts=tuple(shown.values()),
        root_causes=tuple(causes),
        readiness=_readiness(declared, done, layer),
        exit_code=_exit_code(declared, shown),
        missing=_missing(declared, done),
    )


def _judge(item: Check, known: Known, done: Mapping[str, Verdict], wish: Wish) -> Verdict:
    waits = [name for name in item.after if done[name].status not in ("ok", "warn")]
    if waits:
        said = skip(f"waits for {', '.join(waits)}")
    else:
        try:
            said = known.call(item.function)
        except UnknownError as error:
            said = unknown(str(error))
        except Exception as error:  # noqa: BLE001 - a bug in one check must not silence the others
            said = Verdict("broken", f"the check itself failed: {type(error).__name__}: {error}")
    if said.absent and item.rung is not None and (_asked_for(item.rung, wish) or _promised(item.id, known)):
        remedy = said.remedy or Remedy("Install it first.")
        said = replace(fail(said.why, *said.evidence, remedy=remedy), absent=True)
    named = said.fault or (item.fault if said.status in ("warn", "fail") else None)
    return replace(
        said, id=item.id, title=item.title, fault=named, after=item.after, explained_by=item.explained_by
    )


def _asked_for(rung: str, wish: Wish) -> bool:
    level = wish.level or ("gpu" if wish.arch else None)
    return level is not None and RUNGS.index(rung) <= RUNGS.index(level)


def _promised(name: str, known: Known) -> bool:
    promised = known.maybe(Promised)
    return promised is not None and name in promised.checks


def _explained(name: str, done: Mapping[str, Verdict]) -> bool:
    return any(done[by].status == "fail" for by in done[name].explained_by)


def _layer_of_group(group: str) -> str:
    return {
        "gpu": "hardware",
        "host": "hardware",
        "rocm": "packages",
        "shell": "environment",
        "proof": "training",
    }.get(group, group if group in LAYERS else LAYERS[0])


def _readiness(declared: Mapping[str, Check], done: Mapping[str, Verdict], layer: object) -> dict[str, str]:
    broken = {_RUNG_OF[layer(name)] for name, v in done.items() if v.status == "fail" and not v.absent}  # type: ignore[operator]
    ladder = dict.fromkeys(RUNGS, "unknown")
    for name, item in declared.items():
        if item.rung is None:
            continue
        verdict = done[name]
        if verdict.absent:
            ladder[item.rung] = "absent"
        elif verdict.status in ("ok", "warn", "fail"):
            ladder[item.rung] = "broken" if item.rung in broken or verdict.status == "fail" else "ready"
    return ladder


def _missing(declared: Mapping[str, Check], done: Mapping[str, Verdict]) -> tuple[Verdict, ...]:
    rungs = {item.rung: done[name] for name, item in declared.items() if item.rung and done[name].absent}
    return tuple(rungs[rung] for rung in RUNGS if rung in rungs)


def _exit_code(declared: Mapping[str, Check], shown: Mapping[str, Verdict]) -> int:
    if any(v.status == "fail" for v in shown.values()):
        return 1
    if any(v.status in ("unknown", "broken") and declared[k].required for k, v in shown.items()):
        return 6
    return 0
