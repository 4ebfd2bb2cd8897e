"""Whether what was installed for the GPUs is still there, and whether pip and uv are held to it."""

from rocmdoctor.diagnosis import Remedy, Verdict, check, fail, ok, skip, warn
from rocmdoctor.facts.culprits import culprit
from rocmdoctor.facts.distributions import Dists
from rocmdoctor.facts.pip_settings import PipSettings
from rocmdoctor.facts.protection import Came, Change, Drift, Protected, ProtectionTable
from rocmdoctor.facts.python_env import PythonEnv
from rocmdoctor.facts.requirements import Pins
from rocmdoctor.facts.torch_build import TorchBuild

_RECIPE = "protection"


def _install(env: str, *names: str) -> str:
    return f"rocmdoctor install {' '.join(names)} --env {env}"


@check("torch.kept", fault="torch-overwritten-by-pip")
def kept(
    drift: Drift,
    dists: Dists,
    pins: Pins,
    came: Came | None,
    build: TorchBuild | None,
    table: ProtectionTable,
) -> Verdict:
    """What was installed for these GPUs is still what lies in the environment."""
    if not drift.recorded:
        return skip(f"rocmdoctor has recorded no installation into {drift.env}")
    if not drift.changes:
        return ok(f"all of it is as it was installed into {drift.env}")
    changes = sorted(drift.changes, key=lambda c: (c.name != "torch", c.how != "gone"))
    said = [f"{change}{_by(change, dists, pins, came)}" for change in changes]
    recipes = list(dict.fromkeys(table.recipe(c.name) or _RECIPE for c in changes))
    back = Remedy("Put it back as it was.", (_install(drift.env, *recipes),), recipe=recipes[0])
    lost = any(change.how == "gone" for change in changes)
    no_rocm = build is None or not build.torch.hip
    if lost or no_rocm:
        return fail(said[0], *said[1:], remedy=back)
    meant = Remedy(
        "If that was meant, let it be recorded; else put it back as it was.",
        (_install(drift.env, _RECIPE), *back.commands),
    )
    return warn(said[0], *said[1:], remedy=meant)


def _by(change: Change, dists: Dists, pins: Pins, came: Came | None) -> str:
    if change.there is None:
        return ""
    found = culprit(change.there, change.version, dists, pins, came)
    return f"; {found}" if found else ""


@check("torch.protection", fault="torch-overwritten-by-pip")
def held(record: Protected, settings: PipSettings, env: PythonEnv) -> Verdict:
    """pip and uv are held to what was installed."""
    if not record.versions:
        return skip(f"rocmdoctor has recorded no installation into {record.env}")
    wanted = record.constraints
    again = Remedy("Write the files anew.", (_install(record.env, _RECIPE),), recipe=_RECIPE)
    if not record.can_be_held:
        why = (
            f"pip.conf and uv's variables part their values at blanks, and cannot name files in {record.env}"
        )
        instead = Remedy(
            "Install through rocmdoctor there, which looks first.",
            (f"rocmdoctor pip install --env '{record.env}' ...",),
        )
        return warn(why, remedy=instead)
    constraint = settings.pip.get("constraint")
    if constraint is None or wanted not in constraint.values:
        if constraint is not None and not constraint.section:
            why = f"{constraint.where} is set, which pip takes instead of what {record.env}/pip.conf says: nothing is held"
            add = f'export {constraint.where}="${constraint.where} {wanted}"'
            return warn(
                why,
                remedy=Remedy(
                    "Take it out of the shell, or name the file of this environment beside it.", (add,)
                ),
            )
        where = f", but {constraint.values[0]} ({constraint.where})" if constraint else ""
        return warn(
            f"pip is held by no {wanted}{where}: the next 'pip install' may replace torch", remedy=again
        )
    if env.chosen == "VIRTUAL_ENV" and record.uv is not None and wanted not in record.uv:
        why = f"UV_CONSTRAINT does not name {wanted} here, and uv reads nothing else: pip is held, uv is not"
        return warn(why, remedy=Remedy("Activate the environment anew.", (f". {record.env}/bin/activate",)))
    return ok(f"pip by {constraint.where}; uv by UV_CONSTRAINT where the environment is activated")
