"""Every operation, as data: tests/ops/*.toml. Adding a case needs no Python.

[[case]]
uses = "file.write"              the operation
name = "a sentence"              what the case is
with = { path = "/etc/x" }       its arguments, as a recipe gives them
machine = "mi210"                the healthy machine that it is planned on; mi210 where none is named
set."stat:/etc/x" = {...}        answers that differ; `from = "apt/x.txt"` takes stdout from a captured file
remove = ["run:dkms status"]     answers that nobody asked for
person = { uid = 0 }             what differs from ann, who has /home/ann and bash
do = [{ says = "...", ... }]     what comes out, in this order: of each action the fields that are named, those of `do` and
                                 of `undo` (as undo_kind, undo_commands) included; nothing where it is left out
refused, bad                     or a part of the message of a refusal, or of a complaint about an argument
leaving = ["rocm-core"]          packages that steps before it remove
wanted.rocm = "6.0.2 amd"        the release that the same plan chooses for a recipe, and its source
verdicts."a.check" = "ok"        what a check says, where the operation asks for it, also as "fail: why"
keep = ["nvidia"]                vendors whose packages were asked to stay
envs."~/env" = { python = "3.12.1", dists = { torch = "2.9.1" } }
pythons, checkouts, compilers    other things that builds look at, in a few words: see building.py
notes = ["..."]                  what is said beside the plan, all of it, each a part of the text
claims = { "file /etc/x" = "" }  what the plan rests on; those that are named
asks = ["stat:/etc/x"]           questions that are asked, among others
"""

from __future__ import annotations

import re
import sys
from collections.abc import Mapping
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import pytest

from rocmdoctor.actions import Action, ApplyPatch, Choice, Exec, Fetch, Person, Reboot, WriteFile
from rocmdoctor.asking import distinct, keys
from rocmdoctor.content import DataTables, bundled, load_patches
from rocmdoctor.diagnosis.known import Known
from rocmdoctor.facts.base import Fact, UnknownError, first_questions, second_questions
from rocmdoctor.hosts.replay import from_raw
from rocmdoctor.model import Query, Verdict
from rocmdoctor.ops import all_operations
from rocmdoctor.ops.arguments import BadArgumentError
from rocmdoctor.ops.ground import Ground
from rocmdoctor.planning.binding import bind
from tests.machines.healthy import machine
from tests.ops import building

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

HERE = Path(__file__).parent
OPERATIONS = all_operations()
ANN = Person("ann", 1000, "/home/ann", "/bin/bash")
TABLES = DataTables(bundled())
PROJECTS = load_patches((bundled(),))
_KEYS = {
    "uses",
    "name",
    "with",
    "machine",
    "set",
    "remove",
    "person",
    "do",
    "refused",
    "bad",
    "claims",
    "asks",
    "leaving",
    "wanted",
    "keep",
    "notes",
    "verdicts",
    "envs",
    "pythons",
    "checkouts",
    "compilers",
}


def _cases() -> list[dict[str, Any]]:
    found = []
    for path in sorted(HERE.glob("*.toml")):
        for case in tomllib.loads(path.read_text(encoding="utf-8"))["case"]:
            assert set(case) <= _KEYS, f"{path.name}: {case.get('name')}: unknown keys {set(case) - _KEYS}"
            found.append(case)
    return found


CASES = _cases()


def ground_of(answers: Mapping[str, Any], person: Person = ANN) -> Ground:
    """What operations plan from on a machine that gives these answers."""
    read = from_raw({"schema": 1, "answers": dict(answers)}).answers
    return Ground(Known(read, TABLES), read, person)


def ground_for(case: Mapping[str, Any], answers: Mapping[str, Any]) -> Ground:
    """What a case is planned from, with what the plan around it says."""
    ground = ground_of(answers, replace(ANN, **case.get("person", {})))
    ground.leaving, ground.keep = set(case.get("leaving", ())), tuple(case.get("keep", ()))
    ground.projects = PROJECTS
    said = {name: text.partition(": ") for name, text in case.get("verdicts", {}).items()}
    ground.verdicts = {name: Verdict(status, why) for name, (status, _, why) in said.items()}
    ground.wanted = {n: Choice(*words.split()) for n, words in case.get("wanted", {}).items()}
    return ground


def planned(uses: str, given: Mapping[str, Any], ground: Ground) -> tuple[list[Query], list[Action]]:
    """What an operation asks, and what it makes of the answers."""
    operation = OPERATIONS[uses]
    arguments = bind(operation, given)
    before = set(ground.leaving)
    asked = list(operation.asks(ground, **arguments)) if operation.asks else []
    # Questions and actions are two strokes: each begins with nothing that leaves.
    ground.leaving = before
    return asked, list(operation.function(ground, **arguments))


def _answers(case: Mapping[str, Any]) -> dict[str, Any]:
    answers = machine(case.get("machine", "mi210"))
    for key, answer in case.get("set", {}).items():
        given = dict(answer)
        if "from" in given:
            given["stdout"] = (HERE / given.pop("from")).read_text(encoding="utf-8")
        answers[key] = given
    if case["uses"] in (
        "python.env",
        "python.pip",
        "pip.install",
        "git.checkout",
        "source.fetch",
        "wheel.build",
        "pip.protect",
        "pip.clear",
    ):
        building.with_pythons(answers, case.get("pythons", {}))
        building.with_compilers(answers, case.get("compilers", {}))
        building.with_envs(answers, case.get("envs", {}))
        building.with_checkouts(answers, case.get("checkouts", {}))
    for key in case.get("remove", ()):
        del answers[key]
    return answers


def _shown(action: Action, names: list[str]) -> dict[str, Any]:
    """The named fields of an action as a TOML file writes them."""
    have = {f.name: getattr(action, f.name) for f in fields(action)}
    have |= {f.name: getattr(action.do, f.name) for f in fields(action.do)}
    have |= {
        "kind": type(action.do).__name__,
        "undo_kind": action.undo.kind,
        "undo_commands": action.undo.commands,
    }
    return {name: _plain(have.get(name, "no such field")) for name in names}


def _plain(value: Any) -> Any:
    if isinstance(value, (tuple, list)):
        return [_plain(item) for item in value]
    if isinstance(value, Mapping):
        return dict(value)
    return "none" if value is None else value


@pytest.mark.parametrize("case", [pytest.param(c, id=f"{c['uses']}: {c['name']}") for c in CASES])
def test_case(case: dict[str, Any]) -> None:
    ground = ground_for(case, _answers(case))
    given = case.get("with", {})
    if "bad" in case:
        with pytest.raises(BadArgumentError) as caught:
            planned(case["uses"], given, ground)
        assert case["bad"] in str(caught.value)
        return
    if "refused" in case:
        with pytest.raises(UnknownError) as refused:
            planned(case["uses"], given, ground)
        assert case["refused"] in str(refused.value)
        return
    asked, actions = planned(case["uses"], given, ground)
    wanted = case.get("do", [])
    assert [_shown(a, list(w)) for a, w in zip(actions, wanted, strict=False)] == wanted
    assert [a.says for a in actions[len(wanted) :]] == []
    notes = case.get("notes", [])
    assert len(notes) == len(ground.notes), ground.notes
    assert all(part in note for part, note in zip(notes, ground.notes, strict=True)), ground.notes
    _well_made(actions)
    _askable(asked, case, ground)


def _well_made(actions: list[Action]) -> None:
    """What holds for every action of every operation."""
    for action in actions:
        assert re.match(r"[a-z]", action.says), f"not an imperative sentence: {action.says}"
        assert "\n" not in action.says
        assert action.undo.kind in ("restore", "packages", "commands", "nothing", "impossible")
        assert action.undo.says or action.undo.kind == "restore", f"{action.says}: its undo says nothing"
        assert (action.id, action.recipe) == ("", "")
        assert action.timeout > 0
        if isinstance(action.do, Exec):
            _plain_words(action.do.argv, *action.undo.commands, *action.do.heal)
        elif isinstance(action.do, (WriteFile, Fetch)):
            assert action.do.path.startswith("/")
            assert action.do.mode & 0o002 == 0, f"{action.do.path} could be written by others"
            assert action.root is not action.do.path.startswith("/home/ann/"), f"{action.do.path}: by whom?"
            assert action.undo.kind == "restore"
        elif isinstance(action.do, ApplyPatch):
            assert not action.root
            assert action.undo.kind == "restore"
        else:
            assert isinstance(action.do, Reboot)
            assert action.root


def _plain_words(*argvs: tuple[str, ...]) -> None:
    for argv in argvs:
        assert isinstance(argv, tuple)
        assert all(isinstance(word, str) for word in argv)
        assert argv[0] not in ("env", "sudo"), f"{argv}: brings in other rights"
        assert not (argv[0] in ("sh", "bash") and "-c" in argv), f"{argv}: brings in a shell"


def _askable(asked: list[Query], case: Mapping[str, Any], ground: Ground) -> None:
    names = {key for query in asked for key in keys(query)}
    assert set(case.get("asks", ())) <= names, sorted(names)
    claims = case.get("claims", {})
    assert {name: ground.claims.get(name) for name in claims} == claims
    # One answer is kept for a key: no operation may ask what a fact asks in another way.
    facts = Fact.registered
    answers = from_raw({"schema": 1, "answers": _answers(case)}).answers
    distinct([*first_questions(facts), *second_questions(facts, answers), *asked])


@pytest.mark.parametrize("name", OPERATIONS)
def test_each_operation_has_cases_that_act_and_that_do_nothing(name: str) -> None:
    mine = [case for case in CASES if case["uses"] == name]
    acts = [case for case in mine if case.get("do") or (case.get("refused") and name == "dkms.ready")]
    assert acts, "no case in which it acts"
    idle = [c for c in mine if not ({"do", "refused", "bad"} & set(c))]
    assert idle or name == "reboot", "no case in which nothing is left to do"


@pytest.mark.parametrize("name", OPERATIONS)
def test_each_operation_says_what_it_does(name: str) -> None:
    assert re.fullmatch(r"[A-Z][^\n]*[.]", OPERATIONS[name].says), OPERATIONS[name].says
    assert re.fullmatch(r"[a-z]+(\.[a-z]+)?", name)
