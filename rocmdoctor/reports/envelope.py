"""The envelope that every verb prints under --json."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from rocmdoctor import __version__
from rocmdoctor.model import SCHEMA

TOOL = f"rocmdoctor {__version__}"


def envelope(
    command: str,
    status: str,
    exit_code: int,
    data: Mapping[str, Any],
    errors: Sequence[Mapping[str, str]] = (),
) -> str:
    """One line of ASCII, because foreign text can hold lone surrogates and control characters.

    `status` is ok, findings or error; an error has code, message and where.
    """
    return json.dumps(
        {
            "schema": SCHEMA,
            "tool": TOOL,
            "command": command,
            "status": status,
            "exit_code": exit_code,
            "data": data,
            "errors": list(errors),
        }
    )
