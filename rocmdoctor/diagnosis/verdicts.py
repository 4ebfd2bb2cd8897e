"""The words with which a check answers. Say what is so, why it matters, and the values found and wanted."""

from __future__ import annotations

from rocmdoctor.model import Remedy, Verdict


def ok(why: str, *evidence: str) -> Verdict:
    """The healthy condition holds."""
    return Verdict("ok", why, evidence)


def warn(why: str, *evidence: str, remedy: Remedy | None = None, fault: str | None = None) -> Verdict:
    """Works, and could bite. Never changes the exit code."""
    return Verdict("warn", why, evidence, remedy, fault)


def fail(why: str, *evidence: str, remedy: Remedy, fault: str | None = None) -> Verdict:
    """Broken. `fault` names another fault than the check's own."""
    return Verdict("fail", why, evidence, remedy, fault)


def skip(why: str, *evidence: str) -> Verdict:
    """The question makes no sense on this machine."""
    return Verdict("skip", why, evidence)


def unknown(why: str, *evidence: str) -> Verdict:
    """The answers do not allow a judgement."""
    return Verdict("unknown", why, evidence)


def absent(why: str, *evidence: str, remedy: Remedy | None = None) -> Verdict:
    """Never installed: no fault, unless the user asked for it."""
    return Verdict("skip", why, evidence, remedy, absent=True)
