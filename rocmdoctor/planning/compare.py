"""Whether a plan still fits: it is made anew and compared. Pure."""

from __future__ import annotations

from dataclasses import replace

from rocmdoctor.actions import Action, Plan

_SHOWN = 6


def differences(planned: Plan, now: Plan) -> list[str]:
    """What is not as it was when a plan was made, in words; nothing when the plan still fits.

    First the facts that the plan rests on; when they are all the same and yet other things would be done, then the file
    was changed by hand or another release planned it.
    """
    found = [
        f"{name}: {planned.claims.get(name, 'not looked at')} when it was planned, {now.claims.get(name, 'not looked at')} now"
        for name in sorted({*planned.claims, *now.claims})
        if planned.claims.get(name) != now.claims.get(name)
    ]
    if planned.person != now.person:
        found.insert(0, f"it was planned for {planned.person.name}, and this is {now.person.name}")
    if not found and [_bare(a) for a in planned.actions] != [_bare(a) for a in now.actions]:
        steps = [
            a.id for a in (*planned.actions, *now.actions) if a not in planned.actions or a not in now.actions
        ]
        return [
            f"its steps are not those that this release plans ({', '.join(dict.fromkeys(steps))}): it was edited, or made by another release"
        ]
    if len(found) > _SHOWN:
        found[_SHOWN:] = [f"and {len(found) - _SHOWN} more"]
    return found


def _bare(action: Action) -> Action:
    """Without what is only predicted: package lists move from day to day. What may be removed stays in."""
    return replace(action, installs=(), download=0, disk=0, seconds=0.0)
