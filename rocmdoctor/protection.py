"""The files that keep pip and uv from replacing what was installed for the GPUs. Pure, standard library only.

A chore writes them, checks read one of them back, plans look whether they are there: what stands in them is said here.
"""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Mapping, Sequence
from fnmatch import fnmatchcase
from typing import Any

# Below the environment's folder.
RECORD = ".rocmdoctor-protected.json"
CONSTRAINTS = "rocmdoctor-constraints.txt"
OVERRIDES = "rocmdoctor-overrides.txt"
# A version that nothing has: it stands in what pip and uv say when they stop, and tells who stopped them.
NEVER = "0+kept.out.by.rocmdoctor"
SCHEMA = 1
_ACTIVATE = """\
# The variables of this machine, and what keeps uv from replacing what was installed for its GPUs: uv reads nothing in
# an environment's folder. pip is held by pip.conf, here and without this.
if [ -r {exports} ]; then
    . {exports}
fi
case " ${{UV_CONSTRAINT-}} " in
*" "{constraints}" "*) ;;
*) export UV_CONSTRAINT="${{UV_CONSTRAINT:+$UV_CONSTRAINT }}"{constraints} ;;
esac
case " ${{UV_OVERRIDE-}} " in
*" "{overrides}" "*) ;;
*) export UV_OVERRIDE="${{UV_OVERRIDE:+$UV_OVERRIDE }}"{overrides} ;;
esac
"""
# sh has no way to keep a function under another name; bash and zsh take the variables back with the rest.
_DEACTIVATE = """\
if [ -n "${{BASH_VERSION-}}${{ZSH_VERSION-}}" ] && typeset -f deactivate >/dev/null; then
    eval "_rocmdoctor_$(typeset -f deactivate)"
    deactivate () {{
        UV_CONSTRAINT="${{UV_CONSTRAINT-}}" UV_OVERRIDE="${{UV_OVERRIDE-}}"
        UV_CONSTRAINT="${{UV_CONSTRAINT%{constraints}}}" UV_OVERRIDE="${{UV_OVERRIDE%{overrides}}}"
        UV_CONSTRAINT="${{UV_CONSTRAINT% }}" UV_OVERRIDE="${{UV_OVERRIDE% }}"
        [ -n "$UV_CONSTRAINT" ] || unset UV_CONSTRAINT
        [ -n "$UV_OVERRIDE" ] || unset UV_OVERRIDE
        _rocmdoctor_deactivate "$@"
    }}
fi
"""
_LEAVE = """\
UV_CONSTRAINT="${{UV_CONSTRAINT-}}" UV_OVERRIDE="${{UV_OVERRIDE-}}"
UV_CONSTRAINT="${{UV_CONSTRAINT%{constraints}}}" UV_OVERRIDE="${{UV_OVERRIDE%{overrides}}}"
UV_CONSTRAINT="${{UV_CONSTRAINT% }}" UV_OVERRIDE="${{UV_OVERRIDE% }}"
[ -n "$UV_CONSTRAINT" ] || unset UV_CONSTRAINT
[ -n "$UV_OVERRIDE" ] || unset UV_OVERRIDE
"""


def can_be_named(env: str) -> bool:
    """Whether pip.conf and uv's variables can name files below this folder: both part their values at blanks."""
    return re.fullmatch(r"/[\w./+~-]*", env) is not None


def matches(name: str, patterns: Sequence[str]) -> bool:
    """Whether a distribution's normalized name is one of these names and patterns such as `nvidia-*-cu[0-9]*`."""
    return any(fnmatchcase(name, pattern) for pattern in patterns)


def constraints_text(
    kept: Mapping[str, str], out: Mapping[str, str], bounds: Mapping[str, Sequence[str]]
) -> str:
    """`kept`: name to version; `out`: name to why; `bounds`: name to specifier and why, where it is not kept."""
    lines = [
        "# Written by rocmdoctor: what was installed for this machine's GPUs, as it must stay. pip reads this file by way of",
        "# pip.conf, uv by UV_CONSTRAINT. 'rocmdoctor install' changes versions and writes it anew.",
        *(f"{name}=={version}" for name, version in sorted(kept.items())),
    ]
    for name, why in sorted(out.items()):
        lines += [f"# {why}", f"{name}=={NEVER}"]
    for name, (specifier, why) in sorted(bounds.items()):
        if name not in kept:
            lines += [f"# {why}", f"{name}{specifier}"]
    return "\n".join(lines) + "\n"


def overrides_text(out: Mapping[str, str]) -> str:
    """What uv leaves out wherever something asks for it: a marker that never holds drops the requirement."""
    lines = [
        "# Written by rocmdoctor: uv reads this file by UV_OVERRIDE and drops these wherever they are asked for."
    ]
    for name, why in sorted(out.items()):
        lines += [f"# {why}", f"{name}; sys_platform == 'kept out by rocmdoctor'"]
    return "\n".join(lines) + "\n"


def pip_conf_text(env: str, others: Sequence[str] = ()) -> str:
    """The lines of `<env>/pip.conf`. They take the place of what other files say, so that the files named there come along."""
    return f"[install]\nconstraint = {' '.join((*others, f'{env}/{CONSTRAINTS}'))}\n"


def activate_text(env: str, home: str) -> str:
    """The lines at the end of `<env>/bin/activate`. Reading them twice changes nothing."""
    return (_ACTIVATE + _DEACTIVATE).format(**_places(env, home))


def conda_texts(env: str, home: str) -> dict[str, str]:
    """The files that conda's activation and deactivation read, by their path below the environment."""
    places = _places(env, home)
    return {
        "etc/conda/activate.d/rocmdoctor.sh": _ACTIVATE.format(**places),
        "etc/conda/deactivate.d/rocmdoctor.sh": _LEAVE.format(**places),
    }


def _places(env: str, home: str) -> dict[str, str]:
    exports = f"{home.rstrip('/')}/.config/rocmdoctor/env.sh"
    return {
        "exports": shlex.quote(exports),
        "constraints": f"{env}/{CONSTRAINTS}",
        "overrides": f"{env}/{OVERRIDES}",
    }


# ---------------------------------------------------------------- the record


def record_text(rows: Sequence[Mapping[str, Any]], out: Sequence[str], passed_over: Mapping[str, str]) -> str:
    """`rows`: name, version, and of the file RECORD its sha256 and size in bytes. `out`: names that are kept out.

    `passed_over`: name to version of those that were not the right build when this was written.
    """
    said = {
        "schema": SCHEMA,
        "distributions": sorted(rows, key=lambda row: str(row["name"])),
        "kept_out": sorted(out),
        "passed_over": dict(passed_over),
    }
    return json.dumps(said, indent=1, sort_keys=True) + "\n"


def passed_over_of(text: str) -> dict[str, str]:
    """What a record passed over, name to version; nothing where it cannot be read."""
    try:
        said = json.loads(text).get("passed_over", {})
        return {str(name): str(version) for name, version in said.items()}
    except (ValueError, AttributeError, RecursionError):
        return {}


def record_of(text: str) -> dict[str, dict[str, Any]] | None:
    """The rows of a record by name; None where it is none that can be read."""
    try:
        said = json.loads(text)
        rows = said["distributions"]
        found = {str(row["name"]): {**row, "version": str(row["version"])} for row in rows}
    except (ValueError, KeyError, TypeError, RecursionError):
        return None
    return found if said.get("schema") == SCHEMA else None
