"""Known errors in logs: templates of lines, a reader of streams, and what machine and text say together. Pure."""

from rocmdoctor.explaining.matching import Explainer, Lines, read_text
from rocmdoctor.explaining.seeing import Findings, Observed, Seen
from rocmdoctor.explaining.values import KnownError, Sign, error_of, says_of

__all__ = [
    "Explainer",
    "Findings",
    "KnownError",
    "Lines",
    "Observed",
    "Seen",
    "Sign",
    "error_of",
    "read_text",
    "says_of",
]
