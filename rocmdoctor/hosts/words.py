"""Foreign bytes as text, without the secrets that URLs carry. Standard library only, down to Python 3.8."""

from __future__ import annotations

import re

# No repetition without a bound or a fixed start: these run over megabytes of foreign text, and `re` holds the GIL.
_USERINFO = re.compile(r"://[^\s/'\"]{0,4096}@")
_CUT_USERINFO = re.compile(r"://[^\s/@'\"]{1,4096}\Z")
_SECRET_QUERY = re.compile(
    r"(?P<name>[?&][\w.-]{0,40}(?:token|key|secret|passwd|password|pwd|sig|signature|auth|credential)s?=)[^\s&'\"]*",
    re.I,
)


def without_secrets(text: str) -> str:
    """Cuts user names and passwords out of URLs, and tokens out of their query strings."""
    return _SECRET_QUERY.sub(r"\g<name>***", _USERINFO.sub("://***@", text))


def decode(data: bytes, cut: bool = False) -> str:  # noqa: FBT001, FBT002
    """Foreign bytes as text. `cut`: there was more."""
    text = data.decode("utf-8", "backslashreplace")
    # The cut may have gone through a URL, between a password and the @ that would have told it to be one.
    return without_secrets(_CUT_USERINFO.sub("://***", text) if cut else text)


def printable(name: str) -> str:
    """A name from the system, of which bytes that are no UTF-8 arrive as lone surrogates."""
    return name.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")
