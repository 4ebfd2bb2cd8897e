"""What is said when a run ends."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from rocmdoctor.actions import Plan

_VERIFIED = {
    "ran": "verified: a HIP program was compiled for {gfx} and gave the right numbers on the GPU",
    "compiled": "verified: hipcc compiles for {gfx} and the code object holds it; no GPU of that kind is here to run it",
    "no": "not verified: nothing was compiled",
}
_USERS = 5


def done_text(
    plan: Plan,
    steps: int,
    verified: str,
    wrong: Iterable[tuple[str, str]],
    unknown: Iterable[tuple[str, str]],
    then: Iterable[str],
    run: str,
    more: Iterable[str] = (),
) -> str:
    """All steps are done. `more` are lines that say what else there is now."""
    lines = [
        "",
        f"Done: {steps} step{'' if steps == 1 else 's'}; {_VERIFIED[verified].format(gfx=', '.join(plan.gfx))}.",
    ]
    lines += [f"✗ {name}: {why}" for name, why in wrong]
    lines += [f"? {name}: {why}" for name, why in unknown]
    lines += [f"→ {what}" for what in then]
    lines += more
    # Where there is something to compute with, the proof that counts is yet to come.
    following = "rocmdoctor verify --train" if "torch" in plan.choice else "rocmdoctor check"
    lines += [f"To take it back: rocmdoctor undo {run}", f"Next: {following}"]
    return "\n".join(lines)


def stopped_text(state: str, action: str, message: str, run: str, unattended: bool) -> str:  # noqa: FBT001
    """A step failed, or somebody stopped the run."""
    head = (
        f"✗ {action} failed: {message}"
        if state == "failed"
        else f"Stopped{' before ' + action if action else ''}: {message}"
    )
    by = " (by the unit, after a start of the machine)" if unattended else ""
    return "\n".join(
        [
            head + by,
            "What was done before it stays and is noted; nothing else was changed.",
            f"Go on with: rocmdoctor resume      take it back with: rocmdoctor undo {run}",
        ]
    )


def busy_text(users: Sequence[str]) -> str:
    """Who uses the GPUs, before something ends them; nothing where nobody does."""
    if not users:
        return ""
    shown = [*users[:_USERS], *([f"and {len(users) - _USERS} more"] if len(users) > _USERS else [])]
    return f"The GPUs are in use, and a reboot ends that: {'; '.join(shown)}. Let them end first.\n"


def waiting_text(why: str, run: str, users: Sequence[str] = (), *, armed: bool, refused: bool) -> str:
    """Done so far; a reboot is needed. `users` have the GPUs open. `refused`: systemd would not do it now."""
    goes_on = (
        "After the reboot the installation goes on by itself."
        if armed
        else f"After the reboot, go on with: rocmdoctor resume {run}"
    )
    blocked = (
        "systemd does not reboot now: some program asks the machine to stay up ('systemd-inhibit --list' names it).\n"
        if refused
        else ""
    )
    return (
        f"\nDone so far. A reboot is needed: {why}.\n{blocked}{busy_text(users)}{goes_on}\nNext: sudo reboot"
    )


def undone_text(
    count: int, left: Mapping[str, str] | Iterable[tuple[str, str]], failed: str, run: str
) -> str:
    """A run was taken back."""
    lines = [f"Taken back: {count} step{'' if count == 1 else 's'} of run {run}."]
    lines += [f"left as it is: {name}: {why}" for name, why in dict(left).items()]
    if failed:
        lines.append(f"✗ {failed}")
        lines.append(f"Go on with: rocmdoctor undo {run}")
    return "\n".join(lines)
