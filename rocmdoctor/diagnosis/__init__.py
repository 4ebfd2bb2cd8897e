"""Checks: how they are declared, in which order they run, and what their verdicts amount to. Pure.

Check files need nothing else of this package: `from rocmdoctor.diagnosis import check, ok, warn, fail, ...`.
"""

from rocmdoctor.diagnosis.registry import Check, Registry, check
from rocmdoctor.diagnosis.verdicts import absent, fail, ok, skip, unknown, warn
from rocmdoctor.model import Remedy, Verdict, Wish

__all__ = [
    "Check",
    "Registry",
    "Remedy",
    "Verdict",
    "Wish",
    "absent",
    "check",
    "fail",
    "ok",
    "skip",
    "unknown",
    "warn",
]
