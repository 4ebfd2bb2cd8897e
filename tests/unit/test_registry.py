"""How checks are declared and put in order, and what is said of a declaration that is wrong."""

from __future__ import annotations

import pytest

from rocmdoctor.diagnosis import Registry, Verdict, check, ok
from rocmdoctor.diagnosis.registry import BadCheckError, Check


def _fine() -> Verdict:
    """It holds."""
    return ok("fine")


def registry(*items: tuple[str, tuple[str, ...], tuple[str, ...]]) -> Registry:
    found = Registry()
    for name, after, explained_by in items:
        found.add(Check(name, "It holds", _fine, after=after, explained_by=explained_by))
    return found


def test_a_check_is_registered_only_while_its_file_is_loaded() -> None:
    first, second = Registry(), Registry()
    with first.loading():
        check("a.one")(_fine)
        with second.loading():
            check("a.two")(_fine)
        check("a.three")(_fine)
    check("a.four")(_fine)
    assert (list(first.checks), list(second.checks)) == (["a.one", "a.three"], ["a.two"])


def test_the_docstring_is_title_and_note() -> None:
    def function() -> Verdict:
        """The first line states it.

        The rest
        is the note.
        """
        return ok("fine")

    found = Registry()
    with found.loading():
        assert check("group.name", fault="f", required=True)(function) is function
    item = found.checks["group.name"]
    assert (item.title, item.note, item.group) == (
        "The first line states it",
        "The rest is the note.",
        "group",
    )


def test_a_check_without_a_docstring() -> None:
    with pytest.raises(BadCheckError, match=r"check a\.b: its function needs a docstring"):
        check("a.b")(lambda: ok("fine"))


def test_a_rung_that_is_none() -> None:
    with pytest.raises(
        BadCheckError, match=r"check a\.b: rung 'cuda' is none of gpu, driver, rocm, torch, training"
    ):
        check("a.b", rung="cuda")(_fine)


def test_an_id_that_is_taken() -> None:
    with pytest.raises(BadCheckError, match=r"check a\.b: the id is taken"):
        registry(("a.b", (), ()), ("a.b", (), ()))


@pytest.mark.parametrize("named", [(("a.c",), ()), ((), ("a.c",))])
def test_a_name_that_does_not_exist(named: tuple[tuple[str, ...], tuple[str, ...]]) -> None:
    with pytest.raises(BadCheckError, match=r"check a\.b: names a\.c, which does not exist"):
        registry(("a.b", *named)).ordered()


def test_each_stands_behind_all_that_it_names() -> None:
    names = [
        c.id
        for c in registry(
            ("c", ("b",), ()), ("b", (), ("a",)), ("a", (), ()), ("d", ("a",), ("c",))
        ).ordered()
    ]
    assert names.index("a") < names.index("b") < names.index("c") < names.index("d")


def test_checks_that_wait_for_each_other() -> None:
    with pytest.raises(BadCheckError, match=r"checks wait for each other: .* -> "):
        registry(("a", ("b",), ()), ("b", (), ("c",)), ("c", ("a",), ())).ordered()


def test_a_check_that_waits_for_itself() -> None:
    with pytest.raises(BadCheckError, match="a -> a"):
        registry(("a", ("a",), ())).ordered()
