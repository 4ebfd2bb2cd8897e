"""The lock: what it holds, and that another machine plans the same from it."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rocmdoctor.actions import Request
from rocmdoctor.planning.lock import BadLockError, against, lock_of, read, request_of
from rocmdoctor.planning.wish import component_of
from tests.planning.boxes import Box, planned
from tests.planning.test_training_rules import answers


def _again(lock: dict[str, Any], box: Box, python: str, **asked: Any) -> Any:
    request = request_of(read(json.dumps(lock)), Request((), **asked))
    given = {name: value for name, value in vars(request).items() if name != "targets" and value}
    return planned(answers(box, python), *request.targets, **given)


@pytest.mark.parametrize("target", ["training", "axolotl-2024"])
def test_another_machine_plans_the_same(target: str) -> None:
    lock = lock_of(planned(answers(Box(), "3.10"), target))
    assert all(set(row) == {"url", "sha256"} or set(row) == {"url", "commit"} for row in lock["sources"])
    later = Box(kernel="6.8.0-47-generic")
    made = _again(lock, later, "3.10")
    assert against(lock, made) == []
    assert lock_of(made)["components"] == lock["components"]
    assert lock_of(made)["sources"] == lock["sources"]


def test_it_holds_versions_indexes_digests_commits_and_patches() -> None:
    lock = lock_of(planned(answers(Box(), "3.10"), "axolotl-2024"))
    assert lock["components"]["torch"] == {"version": "2.3.1+rocm6.0", "source": "wheel"}
    assert {
        "name": "torch", "version": "2.3.1+rocm6.0", "index": "https://download.pytorch.org/whl/rocm6.0",
    } in lock["distributions"]  # fmt: skip
    assert {
        "url": "https://github.com/ROCm/bitsandbytes.git", "commit": "2f124986059f4203b055da0f241c4cb0b9572786",
    } in lock["sources"]  # fmt: skip
    assert "amdgpu-driver" not in lock["components"]
    assert "/home" not in json.dumps(lock)


def test_an_older_choice_stays_where_a_newer_one_came() -> None:
    lock = lock_of(planned(answers(Box(), "3.10"), "training", pins=("torch==2.13.*", "deepspeed==0.18.9")))
    made = _again(lock, Box(), "3.10")
    assert made.choice["torch"].version == "2.13.0+rocm7.2"
    assert made.choice["deepspeed"].version == "0.18.9"


def test_what_would_be_done_otherwise_is_named() -> None:
    plan = planned(answers(Box(), "3.10"), "training")
    lock = lock_of(plan)
    source = lock["sources"][0]
    source["sha256"], digest = "0" * 64, source["sha256"]
    assert against(lock, plan) == [f"{source['url']}: {'0' * 64} in the lock, {digest} in this plan"]


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (
            "{",
            "found no JSON (Expecting property name enclosed in double quotes: line 1 column 2 (char 1)), wanted a lock",
        ),
        ("[]", "schema: found 'no object', wanted 1, the form that this release reads"),
        ('{"schema": 2}', "schema: found 2, wanted 1, the form that this release reads"),
        ('{"schema": 1}', "gfx: found 'nothing', wanted what 'plan --lock' writes"),
        (
            '{"schema": 1, "gfx": [], "targets": [], "components": {"torch": "2.9"}}',
            "components: found {'torch': '2.9'}, wanted what 'plan --lock' writes",
        ),
    ],
)
def test_what_is_no_lock(text: str, says: str) -> None:
    with pytest.raises(BadLockError) as error:
        read(text)
    assert str(error.value) == says


TREE = {
    "schema": 1,
    "gfx": ["gfx90a"],
    "targets": ["training"],
    "components": {"torch": {"version": "2.9.1+rocm6.4", "source": "wheel"}},
    "distributions": [{"name": "torch", "version": "2.9.1+rocm6.4", "index": ""}],
    "sources": [],
    "patches": [],
}
ANYTHING = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.text(max_size=8)
    | st.sampled_from(["torch", "1.0", "==1"]),
    lambda inner: (
        st.lists(inner, max_size=2)
        | st.dictionaries(st.sampled_from(["torch", "version", "source", "A b"]), inner)
    ),
    max_leaves=5,
)


@given(st.sampled_from(sorted(TREE)), ANYTHING)
def test_a_lock_with_anything_in_it_is_a_request_or_refused(key: str, value: object) -> None:
    try:
        lock = read(json.dumps({**TREE, key: value}))
    except BadLockError:
        return
    for pin in request_of(lock, Request(())).pins:
        assert component_of(pin)


@given(st.text(max_size=40) | st.just("[" * 100_000))
def test_any_text_is_a_lock_or_refused(text: str) -> None:
    with pytest.raises(BadLockError):
        read(text)
