"""Facts on demand: each is read once, what cannot be read stays unknown, and parameter types say what is wanted."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import pytest

from rocmdoctor.asking import distinct, keys
from rocmdoctor.diagnosis.known import Known, wanted
from rocmdoctor.facts.base import Evidence, Fact, Table, UnknownError, first_questions, read, second_questions
from rocmdoctor.hosts.replay import from_raw
from rocmdoctor.model import Answer, Env, Query, Read, Run, Wish

_COUNT: list[str] = []


@pytest.fixture(autouse=True)
def _counted() -> Iterator[None]:
    _COUNT.clear()
    yield
    _COUNT.clear()


def _unlisted(kind: type[Any]) -> type[Any]:
    Fact.registered.remove(kind)
    return kind


@_unlisted
@dataclass(frozen=True)
class Name(Fact):
    text: str

    @classmethod
    def queries(cls) -> Mapping[str, Query]:
        return {"name": Read("/name")}

    @classmethod
    def follow_up(cls, ev: Evidence) -> Mapping[str, Query]:
        return {"more": Read("/more/" + ev.text("name"))}

    @classmethod
    def parse(cls, ev: Evidence) -> Name:
        _COUNT.append("name")
        return cls(ev.text("name") + ev.text("more", absent="?"))


@_unlisted
@dataclass(frozen=True)
class Greeting(Fact):
    text: str

    @classmethod
    def derive(cls, name: Name | None, words: Words) -> Greeting:
        return cls(words.hello + (name.text if name else "nobody"))


@_unlisted
@dataclass(frozen=True)
class Strict(Fact):
    text: str

    @classmethod
    def derive(cls, name: Name) -> Strict:
        return cls(name.text)


@dataclass(frozen=True)
class Words(Table):
    file = "words.toml"
    hello: str

    @classmethod
    def load(cls, data: Mapping[str, Any]) -> Words:
        return cls(data["hello"])


def known(answers: dict[str, Any]) -> Known:
    return Known(
        from_raw({"schema": 1, "answers": answers}).answers,
        lambda kind: kind.load({"hello": "hello "}),
        Wish(),
    )


def text(value: str) -> dict[str, Any]:
    return {"ok": True, "text": value}


def test_a_fact_is_read_once() -> None:
    found = known({"read:/name": text("ann"), "read:/more/ann": text("!")})
    assert found.get(Name) is found.get(Name)
    assert (found.get(Name).text, _COUNT) == ("ann!", ["name"])


def test_what_is_unknown_is_read_once_too_and_raises_every_time() -> None:
    found = known({"read:/name": {"ok": False, "why": "timeout"}})
    for _ in range(2):
        with pytest.raises(UnknownError, match="read:/name: no answer in time"):
            found.get(Name)
    assert _COUNT == ["name"]
    assert found.maybe(Name) is None


def test_optional_parameters_take_what_is_unknown_and_others_pass_it_on() -> None:
    found = known({})
    assert found.get(Greeting).text == "hello nobody"
    with pytest.raises(UnknownError, match="read:/name: not asked"):
        found.get(Strict)


def test_a_function_gets_what_its_parameters_name() -> None:
    def function(greeting: Greeting, wish: Wish, name: Name | None, words: Words) -> tuple[Any, ...]:
        return greeting.text, wish.level, name, words.hello

    assert known({}).call(function) == ("hello nobody", None, None, "hello ")
    assert wanted(function) == ((Greeting, False), (Wish, False), (Name, True), (Words, False))


def test_a_parameter_that_is_no_fact() -> None:
    def function(number: int) -> None:
        raise AssertionError(number)

    with pytest.raises(TypeError, match="int is neither a fact nor a table"):
        known({}).call(function)


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        ({"ok": False, "why": "absent"}, "read:/name: absent"),
        ({"ok": False, "why": "permission"}, "read:/name: permission denied"),
        ({"ok": False, "why": "error", "detail": "EIO"}, "read:/name: error (EIO)"),
        ({"ok": False, "why": "not-asked"}, "read:/name: not asked"),
        ({"ok": False}, "read:/name: error"),
    ],
)
def test_unknown_says_which_question_and_why(answer: dict[str, Any], said: str) -> None:
    with pytest.raises(UnknownError) as caught:
        known({"read:/name": answer}).get(Name)
    assert str(caught.value) == said


def test_second_questions_come_from_first_answers_and_fail_alone() -> None:
    answers = from_raw({"schema": 1, "answers": {"read:/name": text("ann")}}).answers
    assert second_questions([Name], answers) == [Read("/more/ann")]
    assert second_questions([Name], {}) == []
    assert first_questions([Name, Greeting]) == [Read("/name")]
    with pytest.raises(UnknownError, match="read:/more/ann: not asked"):
        read(Name, answers)
    absent = Answer(ok=False, why="absent")
    assert read(Name, {**answers, "read:/more/ann": absent}) == Name("ann?")


def test_programs_are_found_whatever_their_folder_and_arguments() -> None:
    answers = {
        "run:rocminfo": Answer(ok=True, stdout="1"),
        "run:/opt/rocm/bin/rocminfo --x": Answer(ok=True, stdout="2"),
        "run:rocminfo2": Answer(ok=True),
        "run:'unclosed": Answer(ok=True),
        "run:": Answer(ok=True),
        "read:rocminfo": Answer(ok=True),
    }
    assert [(argv, a.stdout) for argv, a in Evidence(answers, {}).runs("rocminfo")] == [
        (("rocminfo",), "1"),
        (("/opt/rocm/bin/rocminfo", "--x"), "2"),
    ]


def test_variables() -> None:
    ev = Evidence(
        {"env:A": Answer(ok=True, text="1"), "env:B": Answer(ok=False, why="absent")}, {"e": Env(("A", "B"))}
    )
    assert (ev.env("A"), ev.env("B")) == ("1", None)
    with pytest.raises(UnknownError, match="env:C: not asked"):
        ev.env("C")


def test_the_same_question_twice_is_asked_once_and_two_of_one_name_are_refused() -> None:
    assert distinct([Read("/a"), Run(("x",)), Read("/a")]) == [Read("/a"), Run(("x",))]
    with pytest.raises(ValueError, match="two facts ask read:/a differently"):
        distinct([Read("/a"), Read("/a", keep="x")])


def test_keys_tell_arguments_apart() -> None:
    assert keys(Run(("a", "b c"))) == ("run:a 'b c'",) != keys(Run(("a", "b", "c")))
    assert keys(Env(("A", "B"))) == ("env:A", "env:B")
