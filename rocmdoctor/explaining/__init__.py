"""Known errors in logs: templates of lines, a reader of streams, and what machine and text say together. Pure."""

from rocmdoctor.explaining.judging import Candidate, Diagnosed, Explained, judged
from rocmdoctor.explaining.matching import Explainer, Lines, read_text
from rocmdoctor.explaining.seeing import Findings, Observed, Seen
from rocmdoctor.explaining.values import KnownError, Says, Sign, error_of, says_of

__all__ = [
    "Candidate",
    "Diagnosed",
    "Explained",
    "Explainer",
    "Findings",
    "KnownError",
    "Lines",
    "Observed",
    "Says",
    "Seen",
    "Sign",
    "error_of",
    "judged",
    "read_text",
    "says_of",
]
