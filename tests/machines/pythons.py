"""Interpreters of Python and uv."""

from __future__ import annotations

from tests.machines.parts import ABSENT, Answers, Part, Spec, files

SYSTEM = {
    "focal": "3.8",
    "jammy": "3.10",
    "noble": "3.12",
    "resolute": "3.14",
    "bookworm": "3.11",
    "trixie": "3.13",
}


def python_of(spec: Spec) -> str:
    """The Python that a system comes with."""
    return SYSTEM.get(spec.codename, "3.10")


def pythons(spec: Spec) -> Answers:
    """The system's own Python and no other one."""
    version = python_of(spec)
    return {
        "glob:/usr/bin/python3.[0-9]*": files({f"/usr/bin/python{version}": ""}),
        "glob:/usr/local/bin/python3.[0-9]*": files({}),
        "run:uv --version": ABSENT,
    }


PARTS: tuple[Part, ...] = (pythons,)
