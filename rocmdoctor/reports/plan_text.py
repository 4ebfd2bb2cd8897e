"""A plan as people review it: what is done, what is left out, what it costs, what can be taken back."""

from __future__ import annotations

import shlex

from rocmdoctor.actions import Action, Exec, Fetch, Plan, Reboot, WriteFile
from rocmdoctor.diagnosis.known import Known
from rocmdoctor.facts.system import OsRelease
from rocmdoctor.planning.choose import EARLIER, grouped, words
from rocmdoctor.planning.here import plain
from rocmdoctor.planning.preflight import Predicted, predict, size
from rocmdoctor.planning.refusal import Refusal
from rocmdoctor.reports.text import Page, Paint

# Reasons why other releases fell out.
_REASONS = 3


def plan_text(plan: Plan, known: Known, paint: Paint, width: int, verbose: int = 0) -> str:
    """The whole page."""
    page = Page(paint, width)
    _head(page, plan, known, verbose)
    if plan.actions:
        page.lines += ["", paint("Steps", "bold ")]
    for number, action in enumerate(plan.actions, 1):
        _step(page, number, action, verbose)
    _left_out(page, plan, verbose)
    for note in plan.notes:
        page.lines.append("")
        page.add(f"Note: {note}")
    page.lines.append("")
    for line in cost_lines(plan):
        page.add(line)
    return "\n".join(page.lines)


def _left_out(page: Page, plan: Plan, verbose: int) -> None:
    """What an administrator would have to do is always said; the other reasons are for those who ask."""
    for_others = {
        n: why for n, why in plan.left_out.items() if plan.request.no_root and why.startswith("needs root")
    }
    shown = plan.left_out if verbose else for_others
    hidden = len(plan.left_out) - len(shown)
    if not plan.left_out:
        return
    page.lines += ["", page.paint("Left out", "bold ")]
    for name, why in shown.items():
        page.add(f"{name}: {why}", 2)
    if hidden:
        page.add(f"{hidden} steps that this machine does not call for; -v shows each with its reason", 2)


def _head(page: Page, plan: Plan, known: Known, verbose: int) -> None:
    system = known.maybe(OsRelease)
    what = " ".join(plan.request.targets) or "the default stack"
    page.head("Plan", f"{what} for {', '.join(plan.gfx)}" if plan.gfx else what)
    page.head("Machine", f"{system.name if system else 'unknown system'}, for {plan.person.name}")
    for name, choice in plan.choice.items():
        page.head("Chosen", f"{name} {words(choice.version, choice.source)}")
        reasons = grouped({n: w for n, w in choice.others.items() if plain(n)})
        shown = reasons if verbose else [r for r in reasons if r[1] != EARLIER][:_REASONS]
        for other, why in shown:
            page.add(f"not {other}: {why}", 11)
        if len(shown) < len(reasons):
            page.add("why not the others: -v", 11)


def _step(page: Page, number: int, action: Action, verbose: int) -> None:
    costs = _costs(action)
    page.raw(f"{number:>3}  {action.id}" + (f"  [{', '.join(costs)}]" if costs else ""))
    page.add(action.says, 5)
    if action.removes:
        page.add(f"REMOVES (predicted): {', '.join(action.removes)}", 5, "red")
    if action.undo.kind == "impossible":
        page.add(f"cannot be undone: {action.undo.says}", 5, "yellow")
    if verbose:
        for line in detail(action):
            page.raw(line, 7)


def _costs(action: Action) -> list[str]:
    words = ["root"] if action.root else []
    if action.network:
        words.append("network")
    if action.download:
        words.append(f"{size(action.download)} down")
    if action.disk:
        words.append(f"{size(action.disk)} disk")
    if isinstance(action.do, Reboot):
        words.append("reboot")
    return words


def detail(action: Action) -> list[str]:
    """What exactly will be done, as `-v` shows it."""
    do = action.do
    if isinstance(do, Exec):
        return [shlex.join(do.argv)]
    if isinstance(do, WriteFile):
        if do.text is None:
            return [f"{'our lines in' if do.block else ''} {do.path} goes".strip()]
        return [
            f"{do.path}{' (between marks)' if do.block else f' {do.mode:04o}'}",
            *(f"| {x}" for x in do.text.splitlines()),
        ]
    if isinstance(do, Fetch):
        return [do.url, f"to {do.path}, {f'key {do.key}' if do.key else f'sha256 {do.sha256}'}"]
    return []


def cost_lines(plan: Plan) -> list[str]:
    """What the plan costs, in a few sentences."""
    if not plan.actions:
        # The name of a recipe alone: all of it was left out.
        gone = [
            name
            for name in plan.left_out
            if "." not in name and f"{name} is left out" in " ".join(plan.notes)
        ]
        what = f"all but {', '.join(gone)} is in place" if gone else "all of it is in place"
        return [f"Nothing to do: {what}."]
    cost = predict(plan)
    parts = [
        f"{size(cost.download)} to download",
        f"{size(cost.disk)} of disk",
        f"about {_span(cost.seconds)}",
    ]
    lines = [
        f"Predicted: {', '.join(p for p in parts if not p.startswith('0 B'))}; {_packages(cost)}; {_reboots(cost)}."
    ]
    if cost.removes:
        lines.append(f"REMOVES: {', '.join(cost.removes)}")
    return lines


def _packages(cost: Predicted) -> str:
    words = (
        f"{len(cost.installs)} package{'s' if len(cost.installs) != 1 else ''} to install"
        if cost.installs
        else "no package to install"
    )
    return f"{words}, {len(cost.removes) or 'none'} to remove"


def _reboots(cost: Predicted) -> str:
    return {0: "no reboot", 1: "1 reboot"}.get(cost.reboots, f"{cost.reboots} reboots")


def _span(seconds: float) -> str:
    if seconds < 90:
        return f"{max(1, round(seconds))} s"
    return f"{round(seconds / 60)} min"


def refusal_text(refusals: tuple[Refusal, ...], paint: Paint, width: int) -> str:
    """Why no plan is made; nothing was touched."""
    page = Page(paint, width)
    for refusal in refusals:
        page.add(f"✗ {refusal.says}", 0, "red")
        page.add(f"→ {refusal.instead}", 2, "green")
    page.add("Nothing was changed.")
    return "\n".join(page.lines)
