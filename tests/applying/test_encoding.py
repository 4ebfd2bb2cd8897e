"""Plans as JSON: what goes in comes out, equal plans have one hash, and a wrong file is refused with its place."""

from __future__ import annotations

import json
from contextlib import suppress
from dataclasses import fields
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rocmdoctor.actions import (
    Action,
    ApplyPatch,
    Choice,
    Exec,
    Fetch,
    Person,
    Plan,
    Reboot,
    Request,
    Undo,
    WriteFile,
)
from rocmdoctor.applying.encoding import (
    UNDO_KINDS,
    PlanFileError,
    plan_as_json,
    plan_from_json,
    plan_from_text,
    plan_hash,
)
from tests.applying.plans import action, plan

TEXT = st.text(st.characters(), max_size=8)
TEXTS = st.lists(TEXT, max_size=3).map(tuple)
ARGV = st.tuples(st.text("abc/", min_size=1), TEXTS).map(lambda pair: (pair[0], *pair[1]))
NUMBER = st.one_of(st.integers(0, 10**6), st.floats(0, 1e9, allow_nan=False))
MAP = st.dictionaries(TEXT, TEXT, max_size=3)
DO = st.one_of(
    st.builds(Exec, ARGV, MAP, TEXT, TEXTS, st.lists(ARGV, max_size=2).map(tuple), TEXT, st.just((0, 7))),
    st.builds(WriteFile, TEXT, st.one_of(st.none(), TEXT), st.integers(0, 0o7777), st.booleans()),
    st.builds(Fetch, TEXT, TEXT, TEXT, st.integers(0, 0o777)),
    st.builds(ApplyPatch, TEXT, TEXT, TEXT),
    st.builds(Reboot, TEXT),
)
UNDO = st.builds(Undo, st.sampled_from(UNDO_KINDS), TEXT, st.lists(ARGV, max_size=2).map(tuple))
ACTION = st.builds(
    Action, do=DO, says=TEXT, undo=UNDO, id=st.text(min_size=1), recipe=TEXT, root=st.booleans(), timeout=NUMBER,
    removes=TEXTS, installs=TEXTS, download=st.integers(0), seconds=NUMBER, skip_if=TEXT, sources=st.booleans(),
)  # fmt: skip
PLAN = st.builds(
    Plan,
    request=st.builds(Request, TEXTS, st.one_of(st.none(), TEXT), st.one_of(st.none(), TEXT), st.booleans()),
    person=st.builds(Person, TEXT, st.integers(0, 2**32), TEXT, TEXT),
    gfx=TEXTS,
    choice=st.dictionaries(TEXT, st.builds(Choice, TEXT, TEXT, MAP), max_size=2),
    actions=st.lists(ACTION, max_size=3, unique_by=lambda a: a.id).map(tuple),
    claims=MAP, left_out=MAP, notes=TEXTS, verify=TEXTS,
)  # fmt: skip


@given(PLAN)
def test_what_goes_in_comes_out(value: Plan) -> None:
    text = json.dumps(plan_as_json(value))
    again = plan_from_text(text, "plan.json")
    assert again == value
    assert plan_hash(again) == plan_hash(value)


@given(PLAN, PLAN)
def test_one_hash_means_one_plan(one: Plan, other: Plan) -> None:
    assert (plan_hash(one) == plan_hash(other)) == (one == other)


def test_every_field_of_an_action_shapes_the_hash() -> None:
    plain = plan_hash(plan(action(id="a")))
    changed: dict[str, Any] = {"do": Reboot("x"), "undo": Undo("impossible", "because")}
    for field in fields(Action):
        kept = getattr(action(id="a"), field.name)
        other = {bool: lambda v: not v, str: lambda v: v + "x", tuple: lambda v: (*v, "x")}
        if field.name not in changed:
            changed[field.name] = other.get(type(kept), lambda v: v + 1)(kept)
    hashes = {plan_hash(plan(action(**{"id": "a", name: value}))) for name, value in changed.items()}
    assert len(hashes | {plain}) == len(changed) + 1


def test_a_field_that_came_later_takes_its_default() -> None:
    data = plan_as_json(plan(action(id="a")))
    del data["actions"][0]["sources"]
    assert plan_from_json(data, "plan.json") == plan(action(id="a"))


@pytest.mark.parametrize(
    ("change", "text"),
    [
        (lambda d: d.update(schema=2), "plan.json: schema: found 2, wanted 1, the format that this release reads"),
        (lambda d: d.pop("schema"), "plan.json: schema: found nothing, wanted 1, the format that this release reads"),
        (lambda d: d.pop("gfx"), "plan.json: gfx: found nothing, wanted a list"),
        (lambda d: d.pop("person"), "plan.json: person: found nothing, wanted an object"),
        (lambda d: d["person"].update(uid="0"), 'plan.json: person.uid: found "0", wanted a whole number'),
        (lambda d: d["person"].update(uid=True), "plan.json: person.uid: found true, wanted a whole number"),
        (lambda d: d["person"].pop("uid"), "plan.json: person.uid: found nothing, wanted a whole number"),
        (lambda d: d["request"].update(arch=9), "plan.json: request.arch: found 9, wanted a text or null"),
        (lambda d: d.update(gfx="gfx90a"), 'plan.json: gfx: found "gfx90a", wanted a list'),
        (lambda d: d.update(claims=[]), "plan.json: claims: found [], wanted an object"),
        (lambda d: d["claims"].update(kernel=6), "plan.json: claims.kernel: found 6, wanted a text"),
        (
            lambda d: d["actions"][0].update(aftr=1),
            "plan.json: actions.0.aftr: found an unknown key, wanted one of " + ", ".join(f.name for f in fields(Action)),
        ),
        (lambda d: d["actions"][1].update(id="a"), 'plan.json: actions.1.id: found "a", wanted an id that no other action has'),
        (lambda d: d["actions"][1].update(id=""), 'plan.json: actions.1.id: found "", wanted an id that no other action has'),
        (lambda d: d["actions"][1]["do"].update(argv=[]), "plan.json: actions.1.do.argv: found [], wanted a program and its arguments"),
        (lambda d: d["actions"][1]["do"].update(heal=[[""]]), 'plan.json: actions.1.do.heal.0: found [""], wanted a program and its arguments'),
        (lambda d: d["actions"][1]["do"].update(argv=["a", 1]), "plan.json: actions.1.do.argv.1: found 1, wanted a text"),
        (
            lambda d: d["actions"][1]["do"].update(kind="Shell"),
            'plan.json: actions.1.do.kind: found "Shell", wanted one of Exec, WriteFile, Fetch, ApplyPatch, Reboot',
        ),
        (
            lambda d: d["actions"][1].update(do="rm -rf /"),
            'plan.json: actions.1.do: found "rm -rf /", wanted one of Exec, WriteFile, Fetch, ApplyPatch, Reboot',
        ),
        (
            lambda d: d["actions"][1]["undo"].update(kind="pray"),
            'plan.json: actions.1.undo.kind: found "pray", wanted one of restore, packages, commands, nothing, impossible',
        ),
        (lambda d: d["actions"][1].update(timeout=float("nan")), "plan.json: actions.1.timeout: found NaN, wanted a number"),
        (lambda d: d["actions"][1].update(timeout=10**400), f"plan.json: actions.1.timeout: found {'1' + '0' * 59}…, wanted a number"),
    ],
)  # fmt: skip
def test_a_wrong_plan_is_refused_with_its_place(change: Any, text: str) -> None:
    data = plan_as_json(plan(action(id="a"), action(id="b", do=Exec(("true",)))))
    change(data)
    with pytest.raises(PlanFileError) as caught:
        plan_from_json(data, "plan.json")
    assert str(caught.value) == text


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "plan.json: line 1, column 1: found no JSON (Expecting value), wanted a plan as JSON"),
        ('{"schema": 1,', "plan.json: line 1, column 14: found no JSON"),
        ('{"a": 1, "a": 2}', "plan.json: found the key 'a' twice in one object, wanted each key once"),
        ("[" * 100_000, "plan.json: found values nested too deep to read, wanted a plan"),
        ("[]", "plan.json: found [], wanted an object (Plan)"),
        ("1" * 5000, "plan.json: found no JSON (Exceeds the limit"),
    ],
)
def test_a_file_that_is_no_json_is_refused(text: str, said: str) -> None:
    with pytest.raises(PlanFileError) as caught:
        plan_from_text(text, "plan.json")
    assert str(caught.value).startswith(said)


JSON = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), TEXT),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(TEXT, inner, max_size=3)),
    max_leaves=5,
)


@given(PLAN, st.data())
def test_any_value_in_any_place_is_read_or_refused_with_one_error(value: Plan, data: st.DataObject) -> None:
    encoded: Any = plan_as_json(value)
    at = encoded
    while True:
        keys = list(at) if isinstance(at, dict) else list(range(len(at)))
        if not keys:
            return
        key = data.draw(st.sampled_from(keys))
        if isinstance(at[key], (dict, list)) and at[key] and data.draw(st.booleans()):
            at = at[key]
            continue
        at[key] = data.draw(JSON)
        break
    with suppress(PlanFileError):
        plan_from_json(encoded, "plan.json")
