"""Recipes: what is read, how names are filled in, and that no text whatever breaks the loader."""

from __future__ import annotations

import copy
import itertools
import json
import subprocess
import sys

import jsonschema
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from rocmdoctor.content import bundled, load_checks, load_recipes
from rocmdoctor.ops import all_operations
from rocmdoctor.recipe import (
    FACTS,
    BadNameError,
    BadRecipeError,
    Fits,
    Recipe,
    Release,
    UnknownNameError,
    kinds,
    load_recipe,
    load_stack,
    names_of,
    substitute,
)
from rocmdoctor.recipe import loading as _loaded_before_the_clock_runs  # noqa: F401
from rocmdoctor.recipe.graph import circles
from rocmdoctor.recipe.names import used
from tests.conftest import CHECKOUT

EXAMPLE = (CHECKOUT / "docs" / "reference" / "example-recipe.yaml").read_text(encoding="utf-8")
WHOLE = """\
schema: 1
id: thing
title: A thing
about: >-
  More
  of it.
after: [other]
fits: {os: [debian-13, ubuntu], gfx: ["gfx9*"], kernel: ">=6.1", rocm: ">=6", python: ">=3.10", has: [apt], lacks: [wsl]}
releases:
  - version: 3.10
    source: distro
    needs: {rocm: ">=6.1,<7"}
    fits: {gfx: [gfx90a]}
    vars: {series: no, extra: [a, 'b c']}
    url: https://example.org/x
    commit: 0123456789012345678901234567890123456789
vars: {packages: [make, g++], one: 1, off: off}
steps:
  - id: first
    uses: apt.install
    with: {packages: [tar, "${packages}"], recommends: true, disk_mb: 12, download_mb: "${one}"}
  - id: second
    uses: run
    with: {argv: [echo, "a; b", no, 1, true], env: {N: 1, YES: yes}}
    after: [first]
    fits: {lacks: [container]}
    skip_if: driver.loaded
    cures: [gpu.present]
    source: [distro]
verify: [gpu.present]
"""


def test_what_a_recipe_says_is_read() -> None:
    recipe = load_recipe(WHOLE, "recipes/thing.yaml")
    assert (recipe.id, recipe.title, recipe.about) == ("thing", "A thing", "More of it.")
    assert (recipe.after, recipe.verify, recipe.path) == (("other",), ("gpu.present",), "recipes/thing.yaml")
    assert recipe.fits == Fits(
        ("debian-13", "ubuntu"), ("gfx9*",), ">=6.1", ">=6", ">=3.10", ("apt",), ("wsl",)
    )
    assert recipe.releases == (
        Release(
            version="3.10",
            source="distro",
            needs={"rocm": ">=6.1,<7"},
            fits=Fits(gfx=("gfx90a",)),
            vars={"series": "no", "extra": ("a", "b c")},
            url="https://example.org/x",
            commit="0123456789" * 4,
        ),
    )
    first, second = recipe.steps
    assert (first.id, first.uses, first.place) == ("first", "apt.install", "recipes/thing.yaml:19:5")
    assert first.with_ == {
        "packages": ["tar", "${packages}"],
        "recommends": True,
        "disk_mb": 12,
        "download_mb": "${one}",
    }
    assert second.with_ == {"argv": ["echo", "a; b", "no", "1", "true"], "env": {"N": "1", "YES": "yes"}}
    assert (second.after, second.skip_if, second.cures) == (("first",), "driver.loaded", ("gpu.present",))
    assert (second.fits, second.source) == (Fits(lacks=("container",)), ("distro",))


def test_a_source_that_no_release_has_is_guessed() -> None:
    with pytest.raises(
        BadRecipeError,
        match=r"f:29:14: steps\.2\.source\.1: no release comes from 'distor', did you mean 'distro'\?",
    ):
        load_recipe(WHOLE.replace("source: [distro]", "source: [distor]"), "f")


def test_what_is_given_stands_in_for_variables() -> None:
    recipe = load_recipe(WHOLE, "f")
    names = names_of(recipe, recipe.releases[0], {"gfx": "gfx90a"}, {"one": "7", "series": "8", "more": "9"})
    assert (names["one"], names["series"], names["more"], names["off"]) == ("7", "8", "9", "off")


def test_what_is_not_said_is_no_limit() -> None:
    recipe = load_recipe("schema: 1\nid: a\ntitle: t\nsteps: [{id: b, uses: apt.repair}]\n", "f")
    assert recipe == Recipe("a", "t", steps=recipe.steps, path="f", places=recipe.places)
    assert recipe.steps[0].fits == Fits()


def test_versions_stay_text() -> None:
    recipe = load_recipe(WHOLE, "f")
    assert recipe.releases[0].version == "3.10"
    assert recipe.vars == {"packages": ("make", "g++"), "one": "1", "off": "off"}
    assert all(type(value) in (str, tuple) for value in recipe.vars.values())


def test_places_of_keys() -> None:
    places = load_recipe(WHOLE, "f").places
    assert str(places["after.1"]) == "f:7:9"
    assert str(places["steps.2.with.argv.2"]) == "f:24:25"


def test_a_stack() -> None:
    stack = load_stack("schema: 1\nid: base\ntitle: t\nrecipes: [rocm, gpu-access]\ndefault: true\n", "f")
    assert (stack.id, stack.recipes, stack.default) == ("base", ("rocm", "gpu-access"), True)


@pytest.mark.touches_machine
def test_recipes_as_values_cost_neither_yaml_nor_pydantic() -> None:
    code = "import sys, rocmdoctor.recipe, rocmdoctor.content; print(sorted({'yaml', 'pydantic'} & set(sys.modules)))"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=CHECKOUT
    )
    assert done.stdout == "[]\n"


# Names


def test_names_are_filled_in() -> None:
    names = {"gfx": "gfx90a", "packages": ("make", "g++"), "none": ()}
    assert substitute("for ${gfx}, $$5 and $${gfx}", names) == "for gfx90a, $5 and ${gfx}"
    assert substitute(["a", "${packages}", "${none}", "${gfx}"], names) == ["a", "make", "g++", "gfx90a"]
    assert substitute("${packages}", names) == ["make", "g++"]
    assert substitute({"k${gfx}": ["x-${gfx}"], "n": 3, "t": True}, names) == {
        "k${gfx}": ["x-gfx90a"],
        "n": 3,
        "t": True,
    }


def test_what_is_filled_in_is_not_filled_in_again() -> None:
    assert substitute("${a}", {"a": "${b} $$", "b": "x"}) == "${b} $$"


@pytest.mark.parametrize(
    "text", ["$", "a $ b", "$HOME", "${", "${}", "${A}", "${a-b}", "${a", "$(id)", "${a}$", "$$$"]
)
def test_a_dollar_that_is_no_name(text: str) -> None:
    with pytest.raises(BadNameError):
        substitute(text, {"a": "x"})


def test_names_that_cannot_be_filled_in() -> None:
    with pytest.raises(UnknownNameError, match=r"^gcc$"):
        substitute("libstdc++-${gcc}-dev", {})
    with pytest.raises(BadNameError, match="several words"):
        substitute("a ${words}", {"words": ("b", "c")})


@given(st.text())
def test_any_text_can_be_written_with_two_dollars(text: str) -> None:
    assert substitute(text.replace("$", "$$"), {}) == text
    assert list(used(text.replace("$", "$$"))) == []


@given(st.text(), st.text(), st.text())
def test_values_go_in_as_they_are(before: str, value: str, after: str) -> None:
    text = f"{before.replace('$', '$$')}${{name}}{after.replace('$', '$$')}"
    assert substitute(text, {"name": value}) == before + value + after


@given(st.text())
def test_any_text_is_filled_in_or_refused(text: str) -> None:
    try:
        assert isinstance(substitute(text, dict.fromkeys(FACTS, "x")), str)
    except BadNameError:
        assert "$" in text


@given(st.lists(st.text()), st.lists(st.text()))
def test_a_list_takes_the_place_of_an_item(words: list[str], around: list[str]) -> None:
    plain = [text.replace("$", "$$") for text in around]
    assert substitute([*plain, "${words}", *plain], {"words": tuple(words)}) == [*around, *words, *around]


def test_names_of_a_recipe() -> None:
    recipe = load_recipe(
        "schema: 1\nid: a\ntitle: t\nreleases:\n"
        "  - {version: '2.0', vars: {series: '${version}', tree: '${src}/new'}}\n"
        "  - {version: '1.0', vars: {series: 'old'}}\n"
        "vars: {tree: '${src}/a-${series}', words: ['-j${jobs}', '${gfx}'], lib: 'g++-${gcc}'}\n"
        "steps: [{id: b, uses: apt.repair}]\n",
        "f",
    )
    facts = {"src": "/s", "jobs": "4", "gfx": "gfx90a"}
    new = names_of(recipe, recipe.releases[0], facts)
    assert (new["version"], new["series"], new["tree"], new["words"]) == (
        "2.0",
        "2.0",
        "/s/new",
        ("-j4", "gfx90a"),
    )
    old = names_of(recipe, recipe.releases[1], facts)
    assert (old["series"], old["tree"]) == ("old", "/s/a-old")
    assert "lib" not in old


# The loader


def check(text: str) -> None:
    """Both loaders read it, or say what is wrong with it; any other exception is a fault of theirs."""
    for load in (load_recipe, load_stack):
        problems = ()
        try:
            load(text, "f")
        except BadRecipeError as error:
            problems = error.problems or (None,)
        assert all(p.place.line >= 1 and p.place.column >= 1 and p.message for p in problems)


@given(st.text())
def test_any_text_is_a_recipe_or_refused(text: str) -> None:
    check(text)


@given(st.text(alphabet=[*"ab:-[]{}&*!|>'\"%@`,?#$ \n\t", "\x85", "\u2028", "\ufeff", "~", "1"], max_size=60))
def test_any_signs_of_yaml_are_a_recipe_or_refused(text: str) -> None:
    check(text)


def _paths(value: object, path: tuple = ()) -> list[tuple]:
    below = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [path, *(p for key, item in below for p in _paths(item, (*path, key)))]


TREE = yaml.load(WHOLE, Loader=yaml.BaseLoader)
VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text()
    | st.sampled_from(["${gfx}", "${", "$", "../x"]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.text() | st.sampled_from(list(TREE)), inner, max_size=3)
    ),
    max_leaves=5,
)


@given(st.sampled_from(_paths(TREE)), VALUES)
def test_a_recipe_with_anything_anywhere_is_a_recipe_or_refused(path: tuple, value: object) -> None:
    tree: object = copy.deepcopy(TREE)
    if not path:
        tree = value
    else:
        holder = tree
        for part in path[:-1]:
            holder = holder[part]
        holder[path[-1]] = value
    check(yaml.safe_dump(tree, allow_unicode=True))


@given(st.integers(0, len(WHOLE)), st.integers(0, 40), st.text(max_size=5))
def test_a_recipe_that_was_cut_is_a_recipe_or_refused(at: int, gone: int, instead: str) -> None:
    check(WHOLE[:at] + instead + WHOLE[at + gone :])


@pytest.mark.timeout(20)
@pytest.mark.parametrize(
    "text",
    [
        "schema: 1\nid: a\ntitle: |\n  " + "x" * (1 << 19) + "\n  y\n",
        "schema: 1\nid: " + "a-" * (1 << 18) + "\n",
        "fits: {kernel: '" + ">=1," * (1 << 17) + "'}\n",
        "fits: {kernel: '" + "1" * (1 << 19) + "'}\n",
        "vars: {a: '" + "${" * (1 << 18) + "'}\n",
        "releases: [{version: '" + "1." * (1 << 17) + "x'}]\n",
        "steps: [{id: a, uses: fetch, with: {path: '" + "/.." * (1 << 17) + "'}}]\n",
        "a: " + "- " * (1 << 18),
        "[" * (1 << 19),
        "'" + "x\n" * (1 << 18),
    ],
    ids=lambda text: text[:30],
)
def test_large_files_are_refused_in_no_time(text: str) -> None:
    check(text)


@given(st.dictionaries(st.sampled_from("abcdef"), st.lists(st.sampled_from("abcdef"), max_size=3)))
def test_circles_are_found_where_there_are_any(after: dict[str, list[str]]) -> None:
    found = list(circles(after))
    for circle in found:
        assert circle[0] == circle[-1]
        assert all(later in after[name] for name, later in itertools.pairwise(circle))
    left = dict(after)
    while free := [name for name in left if not any(later in left for later in left[name])]:
        for name in free:
            del left[name]
    assert bool(found) == bool(left)


# The content, the page and the schema


def test_the_recipes_of_this_release_are_recipes() -> None:
    checks = {item.id for item in load_checks((bundled(),)).ordered()}
    found = load_recipes((bundled(),), checks)
    assert "base" in found.stacks
    assert [stack.id for stack in found.stacks.values() if stack.default] == ["training"]


def test_the_example_is_a_recipe() -> None:
    checks = {item.id for item in load_checks((bundled(),)).ordered()}
    assert load_recipe(EXAMPLE, "f", checks).id == "gpu-burn"


def test_every_argument_of_every_operation_can_be_described() -> None:
    for operation in all_operations().values():
        for parameter in operation.parameters.values():
            assert kinds.words(parameter.kind)
        jsonschema.Draft202012Validator.check_schema(kinds.arguments(operation))


def _generated() -> dict[str, str]:
    path = CHECKOUT / "docs" / "generate.py"
    namespace: dict[str, object] = {"__file__": str(path), "__name__": "generate"}
    exec(path.read_text(encoding="utf-8"), namespace)
    files: dict[str, str] = namespace["recipe_files"]()  # type: ignore[operator]
    return files


@pytest.mark.parametrize("name", ["recipes.md", "schema/recipe.json", "schema/stack.json"])
def test_what_is_generated_is_fresh(name: str) -> None:
    text = (CHECKOUT / "docs" / "reference" / name).read_text(encoding="utf-8")
    assert text == _generated()[name], "run: python docs/generate.py"


SCHEMA = json.loads((CHECKOUT / "docs" / "reference" / "schema" / "recipe.json").read_text(encoding="utf-8"))
STACK_SCHEMA = json.loads(
    (CHECKOUT / "docs" / "reference" / "schema" / "stack.json").read_text(encoding="utf-8")
)


@pytest.mark.parametrize("path", sorted((CHECKOUT / "recipes").glob("*.yaml")), ids=lambda p: p.name)
def test_the_schema_takes_our_recipes(path) -> None:
    jsonschema.Draft202012Validator.check_schema(SCHEMA)
    jsonschema.validate(yaml.safe_load(path.read_text(encoding="utf-8")), SCHEMA)


def test_the_schema_takes_our_stacks_and_the_example() -> None:
    jsonschema.validate(yaml.safe_load(EXAMPLE), SCHEMA)
    for path in (CHECKOUT / "recipes" / "stacks").glob("*.yaml"):
        jsonschema.validate(yaml.safe_load(path.read_text(encoding="utf-8")), STACK_SCHEMA)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("id: gpu-burn", "id: GPU"),
        ("uses: apt.install", "uses: apt.instal"),
        ("packages: [tar,", "packages: ['tar; reboot',"),
        ("path: /etc/security", "path: /etc/../security"),
        ("owner: user", "owner: nobody"),
        ("cures:", "cure:"),
        ("creates:", "create:"),
        ("has: [apt]", "has: [atp]"),
        ("schema: 1", "schema: 2"),
    ],
)
def test_the_schema_refuses_what_the_loader_refuses(old: str, new: str) -> None:
    assert old in EXAMPLE
    text = EXAMPLE.replace(old, new)
    with pytest.raises(BadRecipeError):
        load_recipe(text, "f")
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(yaml.safe_load(text), SCHEMA)
