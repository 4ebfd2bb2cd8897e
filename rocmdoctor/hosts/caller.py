"""Under sudo the questions are asked as the person who called: groups and access are theirs, not root's."""

from __future__ import annotations

import json
import os
import pwd
import sys
from collections.abc import Callable
from typing import Any


def calling_user() -> pwd.struct_passwd | None:
    """Who called sudo, when this process is root by way of it."""
    number = os.environ.get("SUDO_UID", "")
    if os.geteuid() != 0 or not number.isdigit() or number == "0":
        return None
    try:
        return pwd.getpwuid(int(number))
    except KeyError:
        return None


def as_caller(collect: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    """What `collect` returns, run in a child that has become the calling user; directly where there is none."""
    user = calling_user()
    if user is None:
        return collect()
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        _child(user, writer, collect)
    os.close(writer)
    with os.fdopen(reader, "rb") as pipe:
        data = pipe.read()
    os.waitpid(child, 0)
    if not data:
        raise OSError(f"could not become {user.pw_name} to ask as the calling user")
    answer: dict[str, Any] = json.loads(data)
    return answer


def _child(user: pwd.struct_passwd, writer: int, collect: Callable[[], dict[str, Any]]) -> None:
    """Never returns."""
    code = 1
    try:
        os.initgroups(user.pw_name, user.pw_gid)
        os.setgid(user.pw_gid)
        os.setuid(user.pw_uid)
        os.environ.update(HOME=user.pw_dir, USER=user.pw_name, LOGNAME=user.pw_name)
        with os.fdopen(writer, "wb") as pipe:
            pipe.write(json.dumps(collect()).encode())
        code = 0
    except BaseException as error:  # noqa: BLE001 - a forked child must not run the parent's clean-up
        sys.stderr.write(f"rocmdoctor: asking as {user.pw_name}: {error}\n")
    os._exit(code)
