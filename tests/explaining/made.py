"""Known errors made for one test."""

from __future__ import annotations

from typing import Any

from rocmdoctor.explaining import Findings, KnownError, Lines, Sign, error_of, read_text, says_of


def error(id: str, *says: str, **more: Any) -> KnownError:  # noqa: A002 - the word of the files
    """A known error of these lines; `near` and `unless` are texts, too."""
    plain: dict[str, Any] = {
        "id": id,
        "fault": "device-permissions",
        "title": id,
        "cause": f"the cause of {id}",
        "confidence": "medium",
        "remedy": {"text": "do it"},
        **more,
    }
    for name, texts in (("says", says), ("near", more.get("near", ())), ("unless", more.get("unless", ()))):
        plain[name] = [t if isinstance(t, dict) else {"text": t} for t in texts]
    return error_of(plain)


def sign(text: str, *unless: str) -> Sign:
    return Sign(says_of({"text": text}), tuple(says_of({"text": u}) for u in unless))


def ids(text: str | bytes, *errors: KnownError) -> list[str]:
    """The ids that are seen in a text, in order."""
    return [one.error.id for one in found(text, *errors).observed]


def found(text: str | bytes, *errors: KnownError, signs: tuple[Sign, ...] = ()) -> Findings:
    return read_text(Lines(errors, signs), text)
