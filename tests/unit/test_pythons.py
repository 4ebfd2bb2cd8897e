"""Which interpreters are found."""

from __future__ import annotations

import pytest

from rocmdoctor.facts.base import UnknownError, read
from rocmdoctor.facts.pythons import Pythons
from rocmdoctor.hosts.replay import from_raw
from tests.machines.parts import ABSENT, files, ran, text


def found(**answers: object) -> Pythons:
    plain = {
        "glob:/usr/bin/python3.[0-9]*": files({}),
        "glob:/usr/local/bin/python3.[0-9]*": files({}),
        "link:/usr/bin/python3": ABSENT,
        "run:uv --version": ABSENT,
    }
    made: Pythons = read(Pythons, from_raw({"schema": 1, "answers": {**plain, **answers}}).answers)
    return made


def test_those_of_the_system_come_first() -> None:
    usr = {"/usr/bin/python3.11": "", "/usr/bin/python3.11-config": "", "/usr/bin/python3.12": ""}
    local = {"/usr/local/bin/python3.12": "", "/usr/local/bin/python3.13": ""}
    here = found(
        **{"glob:/usr/bin/python3.[0-9]*": files(usr), "glob:/usr/local/bin/python3.[0-9]*": files(local)}
    )
    assert here.interpreters == {
        "3.11": "/usr/bin/python3.11",
        "3.12": "/usr/bin/python3.12",
        "3.13": "/usr/local/bin/python3.13",
    }
    assert not here.uv


def test_the_default_is_told_by_its_link() -> None:
    here = found(**{"link:/usr/bin/python3": text("python3.10")})
    assert (here.default, here.interpreters) == ("3.10", {"3.10": "/usr/bin/python3.10"})


@pytest.mark.parametrize(("code", "there"), [(0, True), (1, False)])
def test_uv_counts_when_it_starts(code: int, there: bool) -> None:
    assert found(**{"run:uv --version": ran("uv 0.9.5\n", code)}).uv is there


def test_what_nobody_asked_is_unknown() -> None:
    with pytest.raises(UnknownError):
        read(Pythons, {})
