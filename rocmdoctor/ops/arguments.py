"""Kinds of arguments: what a value must look like, said once, for the loader, the schema and the planner."""

from __future__ import annotations

import re
from typing import Annotated

from rocmdoctor.frozen import frozen


class BadArgumentError(Exception):
    """An argument that an operation cannot take; names the argument, the value found and what is wanted."""

    def __init__(self, argument: str, found: object, wanted: str) -> None:
        super().__init__(f"{argument}: {found!r} is not {wanted}")
        self.argument = argument
        self.found = found
        self.wanted = wanted


@frozen
class Shape:
    """A pattern that a whole value must match, and what that is called."""

    wanted: str
    pattern: str

    def fits(self, value: str) -> bool:
        return re.fullmatch(self.pattern, value) is not None


# Defaults for arguments that may be left out; nothing ever changes them.
NO_WORDS: list[str] = []
NO_VALUES: dict[str, str] = {}

_NO_DOTS = r"(?!.*(?:^|/)\.\.(?:/|$))"
# Debian policy 5.6.1; a version or release may be asked for after `=`. No `-` at the end: to apt that means "remove".
PACKAGE = Shape(
    "a Debian package name", r"[a-z0-9][a-z0-9+.-]*[a-z0-9+.](?::[a-z0-9]+)?(?:=[A-Za-z0-9.+:~-]+)?"
)
ABSOLUTE = Shape("an absolute path without '..'", rf"{_NO_DOTS}/[^\x00-\x1f]*")
PLACE = Shape(
    "an absolute path, or one that begins with '~/', without '..'",
    rf"{_NO_DOTS}(?:~?/)[^\x00-\x1f]*[^\x00-\x1f/]",
)
NAME = Shape("a name of letters, digits, '.', '_' and '-'", r"[A-Za-z0-9_][A-Za-z0-9_.@-]*")
USER = Shape("a user or group name", r"[a-z_][a-z0-9_-]{0,31}")
URL = Shape(
    "an https:// or file:// address without a user name",
    # Without a user name and password: plans and journals are for everybody to read.
    r"(?:https|file)://(?![^\s/]*@)[^\s\x00-\x1f]+|http://(?:127\.0\.0\.1|localhost)(?::[0-9]+)?(?:/[^\s\x00-\x1f]*)?",
)
SHA256 = Shape("64 hexadecimal digits (sha256)", r"[0-9a-f]{64}")
FINGERPRINT = Shape("a key fingerprint of 40 hexadecimal digits", r"[0-9A-F]{40}")
VARIABLE = Shape("the name of an environment variable", r"[A-Za-z_][A-Za-z0-9_]*")
MODE = Shape("an octal mode such as '0644', not writable for everybody", r"0?[0-7][0-7][0145]")
KERNEL_PARAMETER = Shape("one kernel parameter", r"[A-Za-z0-9_.]+(?:=[A-Za-z0-9_.,:+/=-]+)?")
COMMIT = Shape("a commit of 40 hexadecimal digits", r"[0-9a-f]{40}")
# Exact, and never an option of pip's: what is installed is pinned.
REQUIREMENT = Shape(
    "one exact requirement such as 'name==1.2.3'",
    r"[A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?(?:\[[A-Za-z0-9._,-]+\])?==[A-Za-z0-9][A-Za-z0-9.+!_-]*",
)
PROJECT = Shape("the name of a Python project", r"[A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?")
PYTHON = Shape("a Python such as '3.12', or nothing", r"(?:3\.[1-9][0-9]?)?")
VERSION = Shape("a version", r"[A-Za-z0-9][A-Za-z0-9.+!_-]*")

Package = Annotated[str, PACKAGE]
AbsolutePath = Annotated[str, ABSOLUTE]
Place = Annotated[str, PLACE]
Name = Annotated[str, NAME]
UserName = Annotated[str, USER]
Url = Annotated[str, URL]
Sha256 = Annotated[str, SHA256]
Fingerprint = Annotated[str, FINGERPRINT]
VariableName = Annotated[str, VARIABLE]
Mode = Annotated[str, MODE]
KernelParameter = Annotated[str, KERNEL_PARAMETER]
Commit = Annotated[str, COMMIT]
Requirement = Annotated[str, REQUIREMENT]
Project = Annotated[str, PROJECT]
PythonVersion = Annotated[str, PYTHON]
Version = Annotated[str, VERSION]
