"""`data` of `plan --json` and `install --json`."""

from __future__ import annotations

from typing import Any

from rocmdoctor.actions import Action, ApplyPatch, Exec, Fetch, Plan, Reboot, WriteFile
from rocmdoctor.planning.preflight import predict

_KINDS = {Exec: "exec", WriteFile: "write", Fetch: "fetch", ApplyPatch: "patch", Reboot: "reboot"}


def data_of_plan(plan: Plan) -> dict[str, Any]:
    """Choice, steps, prediction, and what was left out. Sizes in bytes, times in seconds."""
    cost = predict(plan)
    return {
        "targets": list(plan.request.targets),
        "gfx": list(plan.gfx),
        "user": plan.person.name,
        "choice": {
            name: {"version": c.version, "source": c.source, "others": dict(c.others)}
            for name, c in plan.choice.items()
        },
        "steps": [_step(action) for action in plan.actions],
        "left_out": dict(plan.left_out),
        "notes": list(plan.notes),
        "verify": list(plan.verify),
        "predicted": {
            "download_bytes": cost.download,
            "disk_bytes": cost.disk,
            "seconds": round(cost.seconds),
            "installs": list(cost.installs),
            "removes": list(cost.removes),
            "reboots": cost.reboots,
        },
        "verified": "no",
    }


def _step(action: Action) -> dict[str, Any]:
    return {
        "id": action.id,
        "recipe": action.recipe,
        "says": action.says,
        "kind": _KINDS[type(action.do)],
        "root": action.root,
        "network": action.network,
        "reboot": isinstance(action.do, Reboot),
        "undo": {"kind": action.undo.kind, "says": action.undo.says},
        "removes": list(action.removes),
    }
