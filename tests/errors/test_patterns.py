"""The patterns that say what may leave a machine run over megabytes of foreign text: none may back up over them."""

from __future__ import annotations

import re

import pytest

from rocmdoctor.asking import keys
from rocmdoctor.facts import all_facts
from rocmdoctor.facts.base import Evidence, first_questions
from rocmdoctor.hosts.replay import from_raw
from rocmdoctor.model import Query
from tests.machines.healthy import HEALTHY, machine


def _questions() -> list[Query]:
    facts = all_facts()
    found = list(first_questions(facts))
    for name in HEALTHY:
        answers = from_raw({"schema": 1, "answers": machine(name)}).answers
        for fact in facts:
            found += fact.follow_up(Evidence(answers, fact.queries())).values()
    return found


_KEPT = {q.keep: (keys(q)[0], getattr(q, "limit", 1 << 16)) for q in _questions() if getattr(q, "keep", "")}
_UNITS = ["\n", " ", "\t", " \n", "a", "A", "0", "/", ":", "=", '"', "'", "[", "a ", "a=", "export ", "/a", "1.", "-", "a\n", "kernel: ", "deb "]  # fmt: skip


@pytest.mark.timeout(60)
@pytest.mark.parametrize("pattern", _KEPT, ids=lambda p: re.sub(r"\W+", "-", _KEPT[p][0])[:60])
def test_a_pattern_is_linear(pattern: str) -> None:
    _, limit = _KEPT[pattern]
    size = min(limit, 1 << 16)
    for unit in _UNITS:
        text = (unit * size)[:size]
        for _ in re.finditer(pattern, text, re.MULTILINE):
            pass
