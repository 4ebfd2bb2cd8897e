"""Recipes that are none: each fault is told once, in words that say where it stands, what is there and what is wanted."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Literal

import pytest

from rocmdoctor.content import ContentError, load_recipes, read_recipes
from rocmdoctor.ops.arguments import AbsolutePath, Package, VariableName
from rocmdoctor.ops.registry import Operation, _parameters
from rocmdoctor.recipe import BadRecipeError, load_recipe, load_stack


def tool(
    ground: object,
    *,
    name: str,
    count: int = 0,
    deep: bool = False,
    side: Literal["left", "right"] = "left",
    words: list[str] | None = None,
    env: dict[VariableName, str] | None = None,
) -> Iterator[object]:
    """One argument of each kind."""
    yield from ()


def file(ground: object, *, path: AbsolutePath, text: str | None = None) -> Iterator[object]:
    """A path."""
    yield from ()


def packages(ground: object, *, packages: list[Package]) -> Iterator[object]:
    """Words of a shape."""
    yield from ()


def run(ground: object, *, argv: list[str], creates: str | None = None) -> Iterator[object]:
    """What must say when it need not run again."""
    yield from ()


def nothing(ground: object) -> Iterator[object]:
    """No argument."""
    yield from ()


OPERATIONS = {
    f.__name__: Operation(f.__name__, "", f, _parameters(f), None)
    for f in (tool, file, packages, run, nothing)
}
CHECKS = {"driver.loaded", "gpu.present"}
HEAD = "schema: 1\nid: thing\ntitle: A thing\n"
STEPS = "steps:\n  - id: one\n    uses: tool\n    with: {name: x}\n"
GOOD = HEAD + STEPS


def step(extra: str) -> str:
    return f"{HEAD}steps:\n  - id: one\n{extra}"


def args(given: str, uses: str = "tool") -> str:
    return f"{HEAD}steps:\n  - id: one\n    uses: {uses}\n    with: {given}\n"


def refused(text: str, *, stack: bool = False) -> list[str]:
    """What is said, each without the file's name."""
    with pytest.raises(BadRecipeError) as error:
        _ = load_stack(text, "f") if stack else load_recipe(text, "f", CHECKS, OPERATIONS)
    return [str(problem).removeprefix("f:") for problem in error.value.problems]


def test_a_good_recipe() -> None:
    assert load_recipe(GOOD, "f", CHECKS, OPERATIONS).steps[0].with_ == {"name": "x"}


# The text, and then what is said of it, by place.
YAML: dict[str, tuple[str, ...]] = {
    "nothing": (
        "",
        "1:1: found nothing, wanted a mapping",
    ),
    "only a comment": (
        "# hello\n",
        "1:1: found nothing, wanted a mapping",
    ),
    "a list": (
        "- a\n- b\n",
        "1:1: found a list, wanted a mapping",
    ),
    "a word": (
        "hello\n",
        "1:1: found 'hello', wanted a mapping",
    ),
    "no YAML": (
        "schema: 1\nid: [a, b\n",
        "3:1: is not YAML: expected ',' or ']', but got '<stream end>' (while parsing a flow sequence)",
    ),
    "a tab": (
        HEAD + "steps:\n\t- id: one\n",
        "5:1: is not YAML: found character '\\t' that cannot start any token (while scanning for the next token)",
    ),
    "a list below a text": (
        "id: thing\n- a\n",
        "2:1: is not YAML: expected <block end>, but found '-' (while parsing a block mapping)",
    ),
    "a text that does not end": (
        'schema: 1\nid: "thing\n',
        "3:1: is not YAML: found unexpected end of stream (while scanning a quoted scalar)",
    ),
    "a bracket too much": (
        "schema: 1\nid: thing]\nabout: ]\n",
        "3:8: is not YAML: expected the node content, but found ']' (while parsing a block node)",
    ),
    "an anchor": (
        HEAD + "steps: &all\n  - id: one\n    uses: tool\n    with: {name: x}\n",
        "4:8: steps: the anchor '&all' is not read; leave it out",
    ),
    "an anchor and its alias": (
        HEAD + "about: &a text\nafter: *a\n" + STEPS,
        "4:8: about: the anchor '&a' is not read; leave it out",
        "5:8: after: the alias '*a' is not read; write the value out",
    ),
    "an alias as a key": (
        "*a : b\n",
        "1:1: a key must be one word, and this is a list, a mapping or an alias",
    ),
    "a merge key": (
        HEAD + "fits: {<<: {os: [debian-13]}}\n" + STEPS,
        "4:8: fits: merge keys ('<<') are not read; write the keys out",
    ),
    "a tag": (
        HEAD + "about: !!python/object/apply:os.system ['rm -rf /']\n" + STEPS,
        "4:8: about: the tag 'tag:yaml.org,2002:python/object/apply:os.system' is not read; leave it out",
    ),
    "a tag of a number": (
        "schema: !!int 1\n",
        "1:9: schema: the tag 'tag:yaml.org,2002:int' is not read; leave it out",
    ),
    "the same key twice": (
        HEAD + "title: Another\n" + STEPS,
        "4:1: title: the key stands here twice, first in line 3",
    ),
    "the same key twice below": (
        args("{name: x, name: y}"),
        "7:21: steps.1.with.name: the key stands here twice, first in line 7",
    ),
    "two documents": (
        GOOD + "---\n" + GOOD,
        "8:1: a second document begins here; one file holds one",
    ),
    "a directive": (
        "%YAML 1.1\n---\n" + GOOD,
        "1:1: directives ('%YAML', '%TAG') are not read; leave the line out",
    ),
    "a key that is a list": (
        "? [a, b]\n: c\n",
        "1:3: a key must be one word, and this is a list, a mapping or an alias",
    ),
    "a key that is a mapping": (
        "{a: 1}: b\n",
        "1:1: a key must be one word, and this is a list, a mapping or an alias",
    ),
    "a zero byte": (
        "schema: 1\nid: th\0ing\n",
        "2:7: holds the character U+0000, which YAML does not allow",
    ),
    "an escape": (
        "schema: 1\nid: \x1b[31mthing\n",
        "2:5: holds the character U+001B, which YAML does not allow",
    ),
    "half a character": (
        "id: \ud800\n",
        "1:5: holds the character U+D800, which YAML does not allow",
    ),
    "nested in blocks": (
        "\n".join(" " * n + "a:" for n in range(40)),
        "17:17: is nested deeper than 16 levels; no recipe is",
    ),
    "ten thousand steps": (
        HEAD
        + "steps:\n"
        + "".join(f"  - id: s{n}\n    uses: tool\n    with: {{name: x}}\n" for n in range(10_000)),
        "3005:5: steps: more than 1000 entries; no recipe needs so many, split it",
    ),
    "ten thousand keys": (
        HEAD + "vars:\n" + "".join(f"  v{n}: x\n" for n in range(10_000)),
        "1005:10: vars: more than 1000 entries; no recipe needs so many, split it",
    ),
    "two megabytes": (
        HEAD + "about: " + "x" * (2 << 20),
        "1:1: is larger than 1 MiB; no recipe is",
    ),
}

SHAPE: dict[str, tuple[str, ...]] = {
    "no keys that must be": (
        "about: x\n",
        "1:1: id: missing: the name of the recipe, as it is typed after `install`",
        "1:1: schema: missing: the version of this form, 1",
        "1:1: steps: missing: what is done, in this order where `after` does not say otherwise",
        "1:1: title: missing: what is there afterwards, in one line",
    ),
    "a wrong key": (
        HEAD + STEPS + "verfy: []\n",
        "8:1: verfy: unknown key, did you mean 'verify'?",
    ),
    "a wrong key that is like none": (
        HEAD + STEPS + "colour: red\n",
        "8:1: colour: unknown key; keys here are schema, id, title, about, fits, after, brings, serves, anywhere, by_hand, instead, releases, vars, steps, verify",
    ),
    "a wrong key in a step": (
        HEAD + STEPS + "    aftr: []\n",
        "8:5: steps.1.aftr: unknown key, did you mean 'after'?",
    ),
    "a wrong key in a release": (
        HEAD + "releases:\n  - {version: '1.0', sorce: distro}\n" + STEPS,
        "5:22: releases.1.sorce: unknown key, did you mean 'source'?",
    ),
    "a wrong key in fits": (
        HEAD + "fits: {distro: [debian-13]}\n" + STEPS,
        "4:8: fits.distro: unknown key; keys here are os, gfx, kernel, rocm, python, has, lacks",
    ),
    "a wrong key in a step's fits": (
        HEAD + STEPS + "    fits: {hass: [apt]}\n",
        "8:12: steps.1.fits.hass: unknown key, did you mean 'has'?",
    ),
    "a key that is no word": (
        HEAD + STEPS + '"a key: with\\n much": 1\n',
        "8:1: 'a key: with\\n much': unknown key; keys here are schema, id, title, about, fits, after, brings, serves, anywhere, by_hand, instead, releases, vars, steps, verify",
    ),
    "another schema": (
        GOOD.replace("schema: 1", "schema: 2"),
        "1:9: schema: found '2', wanted 1, without quotes",
    ),
    "a schema in quotes": (
        GOOD.replace("schema: 1", 'schema: "1"'),
        "1:9: schema: found '1', wanted 1, without quotes",
    ),
    "a schema that is true": (
        GOOD.replace("schema: 1", "schema: true"),
        "1:9: schema: found 'true', wanted 1, without quotes",
    ),
    "an id with capitals": (
        GOOD.replace("id: thing", "id: The_Thing"),
        "2:5: id: found 'The_Thing', wanted an id in kebab-case, such as 'rocm-tools'",
    ),
    "an id that climbs": (
        GOOD.replace("id: thing", "id: ../../etc/passwd"),
        "2:5: id: found '../../etc/passwd', wanted an id in kebab-case, such as 'rocm-tools'",
    ),
    "an id of a shell": (
        GOOD.replace("id: thing", "id: $(reboot)"),
        "2:5: id: found '$(reboot)', wanted an id in kebab-case, such as 'rocm-tools'",
    ),
    "an id that is nothing": (
        GOOD.replace("id: thing", "id:"),
        "2:4: id: found nothing, wanted a text",
    ),
    "a title of two lines": (
        GOOD.replace("title: A thing", "title: |\n  A\n  thing"),
        "3:8: title: found 'A\\nthing\\n', wanted a text of one line",
    ),
    "a title that is a list": (
        GOOD.replace("title: A thing", "title: [A, thing]"),
        "3:8: title: found a list, wanted a text",
    ),
    "no steps": (
        HEAD + "steps: []\n",
        "4:8: steps: found an empty list, wanted at least one",
    ),
    "steps that are a mapping": (
        HEAD + "steps: {one: {uses: tool}}\n",
        "4:8: steps: found a mapping, wanted a list",
    ),
    "a step that is a word": (
        HEAD + "steps: [tool]\n",
        "4:9: steps.1: found 'tool', wanted a mapping",
    ),
    "a step without id and uses": (
        HEAD + "steps:\n  - after: []\n",
        "5:5: steps.1.id: missing: the name of the step, once in the recipe",
        "5:5: steps.1.uses: missing: the operation that is called",
    ),
    "after that is a text": (
        HEAD + STEPS + "    after: one\n",
        "8:12: steps.1.after: found 'one', wanted a list",
    ),
    "after that holds a list": (
        HEAD + STEPS + "    after: [[one]]\n",
        "8:13: steps.1.after.1: found a list, wanted a text",
    ),
    "with that is a list": (
        args("[x]"),
        "7:11: steps.1.with: found a list, wanted a mapping",
    ),
    "a release without a version": (
        HEAD + "releases:\n  - {source: distro}\n" + STEPS,
        "5:5: releases.1.version: missing: the version",
    ),
    "a version that is none": (
        HEAD + "releases:\n  - {version: newest}\n" + STEPS,
        "5:15: releases.1.version: found 'newest', wanted a version such as '6.4.1'",
    ),
    "a wrong set of versions": (
        HEAD + "fits: {kernel: '=>6.1'}\n" + STEPS,
        "4:16: fits.kernel: found '=>6.1', wanted a set of versions such as '>=6.1,<7'",
    ),
    "a wrong set of versions of a component": (
        HEAD + "releases:\n  - version: '1.0'\n    needs: {rocm: '6.x', python: ''}\n" + STEPS,
        "6:19: releases.1.needs.rocm: found '6.x', wanted a set of versions such as '>=6.1,<7'",
        "6:34: releases.1.needs.python: found '', wanted a set of versions such as '>=6.1,<7'",
    ),
    "a wrong target": (
        HEAD + "fits: {gfx: [MI210, gfx90a]}\n" + STEPS,
        "4:14: fits.gfx.1: found 'MI210', wanted a gfx target such as 'gfx90a', or a pattern such as 'gfx11*'",
    ),
    "a wrong system": (
        HEAD + "fits: {os: ['Debian 13']}\n" + STEPS,
        "4:13: fits.os.1: found 'Debian 13', wanted a system such as 'debian-13' or 'ubuntu'",
    ),
    "a digest that is short": (
        HEAD + "releases:\n  - {version: '1.0', url: 'https://example.org/x', sha256: abc}\n" + STEPS,
        "5:60: releases.1.sha256: found 'abc', wanted 64 hexadecimal digits (sha256)",
    ),
    "a commit that is a branch": (
        HEAD + "releases:\n  - {version: '1.0', url: 'https://example.org/x', commit: main}\n" + STEPS,
        "5:60: releases.1.commit: found 'main', wanted 40 hexadecimal digits (a commit)",
    ),
    "an address that is not safe": (
        HEAD
        + "releases:\n  - {version: '1.0', url: 'http://example.org/x', sha256: "
        + "a" * 64
        + "}\n"
        + STEPS,
        "5:27: releases.1.url: found 'http://example.org/x', wanted an https:// or file:// address without a user name",
    ),
    "an address that is not pinned": (
        HEAD + "releases:\n  - {version: '1.0', url: 'https://example.org/x'}\n" + STEPS,
        "5:27: releases.1.url: an address needs 'sha256' or 'commit' beside it: what is downloaded is pinned",
    ),
    "the same release twice": (
        HEAD
        + "releases:\n  - {version: '1.0', source: distro}\n  - {version: '1.0', source: distro}\n"
        + STEPS,
        "6:15: releases.2.version: the release '1.0' from 'distro' stands in line 5 already",
    ),
    "a check that cannot be one": (
        HEAD + STEPS + "verify: [driver]\n",
        "8:10: verify.1: found 'driver', wanted the id of a check, such as 'driver.kfd-access'",
    ),
    "a variable with a dash": (
        HEAD + "vars: {a-b: c}\n" + STEPS,
        "4:8: vars.a-b: found 'a-b', wanted a name of small letters, digits and '_'",
    ),
    "a variable that is a mapping": (
        HEAD + "vars: {a: {b: c}}\n" + STEPS,
        "4:11: vars.a: found a mapping, wanted a text or a list of texts",
    ),
    "a variable that is nothing": (
        HEAD + "vars: {a: }\n" + STEPS,
        "4:11: vars.a: found nothing, wanted a text or a list of texts",
    ),
}

MEANING: dict[str, tuple[str, ...]] = {
    "an operation that is misspelt": (
        step("    uses: tol\n"),
        "6:11: steps.1.uses: no operation is called 'tol', did you mean 'tool'?",
    ),
    "an operation that is none": (
        step("    uses: os.system\n"),
        "6:11: steps.1.uses: no operation is called 'os.system'; 'rocmdoctor list operations' shows them",
    ),
    "an operation with a shell": (
        step("    uses: tool; rm -rf /\n"),
        "6:11: steps.1.uses: found 'tool; rm -rf /', wanted the name of an operation, such as 'apt.install'",
    ),
    "no arguments": (
        step("    uses: tool\n"),
        "5:5: steps.1.with.name: missing: tool needs it",
    ),
    "an argument that is missing": (
        args("{count: 1}"),
        "7:11: steps.1.with.name: missing: tool needs it",
    ),
    "an argument that is misspelt": (
        args("{name: x, cout: 1}"),
        "7:21: steps.1.with.cout: unknown argument, did you mean 'count'?",
    ),
    "an argument too much": (
        args("{name: x, colour: red}"),
        "7:21: steps.1.with.colour: unknown argument; tool takes name, count, deep, side, words, env",
    ),
    "arguments for none": (
        args("{a: b}", "nothing"),
        "7:12: steps.1.with.a: unknown argument; nothing takes none",
    ),
    "a text that is a list": (
        args("{name: [x]}"),
        "7:18: steps.1.with.name: found a list, wanted a text",
    ),
    "a text that is nothing": (
        args("{name: }"),
        "7:18: steps.1.with.name: found nothing, wanted a text",
    ),
    "a number in words": (
        args("{name: x, count: many}"),
        "7:28: steps.1.with.count: found 'many', wanted a whole number",
    ),
    "a number in quotes": (
        args("{name: x, count: '3'}"),
        "7:28: steps.1.with.count: found '3', wanted a whole number, without quotes",
    ),
    "a number with a point": (
        args("{name: x, count: 1.5}"),
        "7:28: steps.1.with.count: found '1.5', wanted a whole number",
    ),
    "a number without end": (
        args("{name: x, count: " + "9" * 400 + "}"),
        "7:28: steps.1.with.count: found '999999999999999999999999999999999999999999999999999999999999', wanted a whole number",
    ),
    "a truth in words": (
        args("{name: x, deep: yes}"),
        "7:27: steps.1.with.deep: found 'yes', wanted true or false",
    ),
    "a truth in quotes": (
        args("{name: x, deep: 'true'}"),
        "7:27: steps.1.with.deep: found 'true', wanted true or false, without quotes",
    ),
    "a truth from a name": (
        HEAD
        + "vars: {v: 'true'}\n"
        + "steps:\n  - id: one\n    uses: tool\n    with: {name: x, deep: '${v}'}\n",
        "8:27: steps.1.with.deep: found '${v}', wanted true or false",
    ),
    "a word that is not among them": (
        args("{name: x, side: middle}"),
        "7:27: steps.1.with.side: found 'middle', wanted one of 'left', 'right'",
    ),
    "a list that is a text": (
        args("{name: x, words: a}"),
        "7:28: steps.1.with.words: found 'a', wanted a list",
    ),
    "a list from a text": (
        HEAD + "vars: {v: a}\n" + "steps:\n  - id: one\n    uses: tool\n    with: {name: x, words: '${v}'}\n",
        "8:28: steps.1.with.words: found '${v}', wanted a list, and this is one text; write [${v}]",
    ),
    "a text from a list": (
        HEAD + "vars: {v: [a, b]}\n" + "steps:\n  - id: one\n    uses: tool\n    with: {name: 'x${v}'}\n",
        "8:18: steps.1.with.name: found 'x${v}', wanted one text, and ${v} is a list",
    ),
    "a mapping that is a list": (
        args("{name: x, env: [A=1]}"),
        "7:26: steps.1.with.env: found a list, wanted a mapping",
    ),
    "a variable's name with a dash": (
        args("{name: x, env: {A-B: '1'}}"),
        "7:32: steps.1.with.env.A-B: found 'A-B', wanted the name of an environment variable",
    ),
    "a name in a key": (
        args("{name: x, env: {'${gfx}': '1'}}"),
        "7:37: steps.1.with.env.'${gfx}': found '${gfx}', wanted a key without '${...}': only values have their names filled in",
    ),
    "a package with a shell": (
        args("{packages: [hello, 'x; rm -rf /', '$$(reboot)', --purge]}", "packages"),
        "7:30: steps.1.with.packages.2: found 'x; rm -rf /', wanted a Debian package name",
        "7:45: steps.1.with.packages.3: found '$$(reboot)', wanted a Debian package name",
        "7:59: steps.1.with.packages.4: found '--purge', wanted a Debian package name",
    ),
    "a package that is an option": (
        args("{packages: ['-y']}", "packages"),
        "7:23: steps.1.with.packages.1: found '-y', wanted a Debian package name",
    ),
    "a path with dots": (
        args("{path: /etc/../root/.ssh/authorized_keys}", "file"),
        "7:18: steps.1.with.path: found '/etc/../root/.ssh/authorized_keys', wanted an absolute path without '..'",
    ),
    "a path that is relative": (
        args("{path: etc/x}", "file"),
        "7:18: steps.1.with.path: found 'etc/x', wanted an absolute path without '..'",
    ),
    "run without an end": (
        args("{argv: [make]}", "run"),
        "6:11: steps.1.uses: run needs 'skip_if' or 'cures' (checks), or 'creates' (a path): else it would run again each time",
    ),
    "steps of one name": (
        HEAD + STEPS + "  - id: one\n    uses: tool\n    with: {name: y}\n",
        "8:9: steps.2.id: 'one' is taken by the step in line 5",
    ),
    "after a step that is none": (
        HEAD + STEPS + "    after: [two]\n",
        "8:13: steps.1.after.1: no step is called 'two'",
    ),
    "after a step that is misspelt": (
        HEAD + STEPS + "  - id: two\n    uses: tool\n    with: {name: y}\n    after: [onee]\n",
        "11:13: steps.2.after.1: no step is called 'onee', did you mean 'one'?",
    ),
    "after itself": (
        HEAD + STEPS + "    after: [one]\n",
        "8:12: steps.1.after: the steps wait for each other in a circle: one after one",
    ),
    "in a circle": (
        HEAD
        + "steps:\n"
        + "".join(
            f"  - {{id: {a}, uses: tool, with: {{name: x}}, after: [{b}]}}\n" for a, b in ("ab", "bc", "ca")
        ),
        "5:49: steps.1.after: the steps wait for each other in a circle: a after b after c after a",
    ),
    "a check that is misspelt": (
        HEAD
        + STEPS
        + "    skip_if: driver.loadd\n    cures: [gpu.presnt]\nverify: [driver.loaded, rocm.there]\n",
        "8:14: steps.1.skip_if: no check is called 'driver.loadd', did you mean 'driver.loaded'?",
        "9:13: steps.1.cures.1: no check is called 'gpu.presnt', did you mean 'gpu.present'?",
        "10:25: verify.2: no check is called 'rocm.there'; 'rocmdoctor list checks' shows them",
    ),
    "a name that is not known": (
        args("{name: '${colour}'}"),
        "7:18: steps.1.with.name: ${colour}: no variable above and no fact is called so; names here are codename, env, gcc, gfx, home, jobs, kernel, python, rocm, rocm_home, src, system, user",
    ),
    "a name that is misspelt": (
        args("{name: '${gfxx}'}"),
        "7:18: steps.1.with.name: ${gfxx}: no variable above and no fact is called so, did you mean 'gfx'?",
    ),
    "a name that one release has": (
        HEAD
        + "releases:\n  - {version: '2.0', vars: {extra: x}}\n  - {version: '1.0'}\n"
        + "steps:\n  - id: one\n    uses: tool\n    with: {name: '${extra}-${version}'}\n",
        "10:18: steps.1.with.name: ${extra}: not every release says it; names here are codename, env, gcc, gfx, home, jobs, kernel, python, rocm, rocm_home, src, system, user, version",
    ),
    "a name without a release": (
        args("{name: '${version}'}"),
        "7:18: steps.1.with.name: ${version}: no variable above and no fact is called so; names here are codename, env, gcc, gfx, home, jobs, kernel, python, rocm, rocm_home, src, system, user",
    ),
    "a name that stands below": (
        HEAD + "vars: {a: '${b}', b: x}\n" + STEPS,
        "4:11: vars.a: ${b}: no variable above and no fact is called so; names here are codename, env, gcc, gfx, home, jobs, kernel, python, rocm, rocm_home, src, system, user",
    ),
    "a name that is a fact's": (
        HEAD + "vars: {gfx: gfx90a}\n" + STEPS,
        "4:8: vars.gfx: 'gfx' is a name that every recipe has; call the variable something else",
    ),
    "a dollar alone": (
        args("{name: 'a $ b'}"),
        "7:18: steps.1.with.name: found '$ ': write '${name}' for a name and '$$' for a dollar sign",
    ),
    "a variable of a shell": (
        args("{name: '$HOME/x'}"),
        "7:18: steps.1.with.name: found '$HOME': write '${name}' for a name and '$$' for a dollar sign",
    ),
    "a command of a shell": (
        args("{name: '$(id)'}"),
        "7:18: steps.1.with.name: found '$(': write '${name}' for a name and '$$' for a dollar sign",
    ),
    "an expression": (
        args("{name: '${gfx:-none}'}"),
        "7:18: steps.1.with.name: found '${gfx:-none}': write '${name}' for a name and '$$' for a dollar sign",
    ),
    "a name that does not end": (
        args("{name: '${gfx'}"),
        "7:18: steps.1.with.name: found '${gfx': write '${name}' for a name and '$$' for a dollar sign",
    ),
    "a list inside a variable": (
        HEAD + "vars: {a: [x, y], b: 'z ${a}'}\n" + STEPS,
        "4:22: vars.b: ${a} is a list and must stand alone",
    ),
    "much at once": (
        "schema: 2\nid: A\ntitle: t\nsteps:\n  - id: one\n    uses: tol\n    aftr: [x]\n  - id: one\n    uses: tool\n    with: {nam: x, count: no}\n    after: [x]\nverify: [a.b]\n",
        "1:9: schema: found '2', wanted 1, without quotes",
        "2:5: id: found 'A', wanted an id in kebab-case, such as 'rocm-tools'",
        "6:11: steps.1.uses: no operation is called 'tol', did you mean 'tool'?",
        "7:5: steps.1.aftr: unknown key, did you mean 'after'?",
        "8:9: steps.2.id: 'one' is taken by the step in line 5",
        "10:11: steps.2.with.name: missing: tool needs it",
        "10:12: steps.2.with.nam: unknown argument, did you mean 'name'?",
        "10:27: steps.2.with.count: found 'no', wanted a whole number",
        "11:13: steps.2.after.1: no step is called 'x'",
        "12:10: verify.1: no check is called 'a.b'; 'rocmdoctor list checks' shows them",
    ),
}

STACK: dict[str, tuple[str, ...]] = {
    "nothing": (
        "",
        "1:1: found nothing, wanted a mapping",
    ),
    "no recipes": (
        "schema: 1\nid: s\ntitle: t\nrecipes: []\n",
        "4:10: recipes: found an empty list, wanted at least one",
    ),
    "a wrong key": (
        "schema: 1\nid: s\ntitle: t\nrecipes: [a]\nsteps: []\n",
        "5:1: steps: unknown key; keys here are schema, id, title, about, recipes, pins, default",
    ),
    "a default in words": (
        "schema: 1\nid: s\ntitle: t\nrecipes: [a]\ndefault: yes\n",
        "5:10: default: found 'yes', wanted true or false",
    ),
    "recipes that are a text": (
        "schema: 1\nid: s\ntitle: t\nrecipes: a\n",
        "4:10: recipes: found 'a', wanted a list",
    ),
}


@pytest.mark.parametrize("name", YAML)
def test_what_is_not_read_of_yaml(name: str) -> None:
    text, *said = YAML[name]
    assert refused(text) == said


@pytest.mark.parametrize("name", SHAPE)
def test_keys_and_their_values(name: str) -> None:
    text, *said = SHAPE[name]
    assert refused(text) == said


@pytest.mark.parametrize("name", MEANING)
def test_what_is_named_and_what_is_given(name: str) -> None:
    text, *said = MEANING[name]
    assert refused(text) == said


@pytest.mark.parametrize("nothing", ["", "null", "~"])
def test_nothing_is_no_text(nothing: str) -> None:
    (said,) = refused(args(f"{{name: {nothing}}}"))
    assert said.endswith("steps.1.with.name: found nothing, wanted a text")
    recipe = load_recipe(args(f"{{path: /x, text: {nothing}}}", "file"), "f", None, OPERATIONS)
    assert recipe.steps[0].with_["text"] is None


@pytest.mark.parametrize("name", STACK)
def test_stacks(name: str) -> None:
    text, *said = STACK[name]
    assert refused(text, stack=True) == said


def test_traits_that_are_none() -> None:
    (said,) = refused(HEAD + "fits: {lacks: [dragons]}\n" + STEPS)
    assert said.startswith("4:16: fits.lacks.1: no trait is called 'dragons'; traits are amd-gpu, ")


@pytest.mark.parametrize("opening", ["[", "{a: ", "- "])
def test_a_nesting_bomb_costs_nothing(opening: str) -> None:
    (said,) = refused("a: " * (opening != "- ") + opening * 100_000)
    assert said.endswith(": is nested deeper than 16 levels; no recipe is")


RECIPE = "schema: 1\nid: {0}\ntitle: {0}\nafter: [{1}]\nsteps:\n  - id: one\n    uses: reboot\n    with: {{why: x}}\n"
STACKED = "schema: 1\nid: {}\ntitle: t\nrecipes: [{}]\ndefault: {}\n"

# Files below recipes/, and what is said of them together.
TOGETHER: dict[str, tuple[dict[str, str], list[str]]] = {
    "two recipes of one id": (
        {"a.yaml": RECIPE.format("a", ""), "b.yaml": RECIPE.format("a", "")},
        ["b.yaml:2:5: id: 'a' is taken by a.yaml:2:5; each id stands for one thing"],
    ),
    "a stack with the id of a recipe": (
        {"a.yaml": RECIPE.format("a", ""), "stacks/a.yaml": STACKED.format("a", "a", "false")},
        ["stacks/a.yaml:2:5: id: 'a' is taken by a.yaml:2:5; each id stands for one thing"],
    ),
    "after a recipe that is misspelt": (
        {"rocm.yaml": RECIPE.format("rocm", ""), "torch.yaml": RECIPE.format("torch", "rocmm")},
        ["torch.yaml:4:9: after.1: no recipe is called 'rocmm', did you mean 'rocm'?"],
    ),
    "a stack of what is none": (
        {"rocm.yaml": RECIPE.format("rocm", ""), "stacks/s.yaml": STACKED.format("s", "rocm, voodoo", "true")},
        ["stacks/s.yaml:4:17: recipes.2: no recipe is called 'voodoo'; 'rocmdoctor list recipes' shows them"],
    ),
    "recipes in a circle": (
        {"a.yaml": RECIPE.format("a", "b"), "b.yaml": RECIPE.format("b", "c"), "c.yaml": RECIPE.format("c", "a")},
        ["a.yaml:4:8: after: the recipes wait for each other in a circle: a after b after c after a"],
    ),
    "two defaults": (
        {
            "a.yaml": RECIPE.format("a", ""),
            "stacks/s.yaml": STACKED.format("s", "a", "true"),
            "stacks/t.yaml": STACKED.format("t", "a", "true"),
        },
        ["stacks/t.yaml:5:10: default: stacks/s.yaml:5:10 says so too; one stack is meant when nothing is named"],
    ),
    "faults of several files at once": (
        {"a.yaml": "- x\n", "b.yaml": "schema: [\n"},
        [
            "a.yaml:1:1: found a list, wanted a mapping",
            "b.yaml:2:1: is not YAML: expected the node content, but found '<stream end>' (while parsing a flow node)",
        ],
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", TOGETHER)
def test_files_beside_each_other(name: str, tmp_path: Path) -> None:
    files, said = TOGETHER[name]
    recipes = tmp_path / "recipes"
    (recipes / "stacks").mkdir(parents=True)
    for path, text in files.items():
        (recipes / path).write_text(text, encoding="utf-8")
    with pytest.raises(BadRecipeError) as error:
        load_recipes([tmp_path])
    assert [str(p).replace(f"{recipes}/", "") for p in error.value.problems] == said


def test_a_folder_that_is_none(tmp_path: Path) -> None:
    with pytest.raises(ContentError, match="is not a folder"):
        load_recipes([tmp_path / "none"])


def said_of(path: Path) -> str:
    with pytest.raises(BadRecipeError) as error:
        read_recipes([path])
    return str(error.value).removeprefix(str(path))


def test_files_that_are_no_text(tmp_path: Path) -> None:
    path = tmp_path / "a.yaml"
    assert said_of(path) == ":1:1: cannot be read: No such file or directory"
    path.mkdir()
    assert said_of(path) == ":1:1: cannot be read: Is a directory"
    path = tmp_path / "b.yaml"
    path.write_bytes(b"schema: 1\nid: \xff\n")
    assert said_of(path) == ":2:1: is not UTF-8 text: byte 0xff at 14"
    with path.open("wb") as file:
        file.truncate(1 << 40)
    assert said_of(path) == ":1:1: is larger than 1 MiB; no recipe is"
    path.write_text(f"{GOOD}# {'é' * 600_000}", encoding="utf-8")
    assert said_of(path) == ":1:1: is larger than 1 MiB; no recipe is"


@pytest.mark.timeout(30)
def test_what_is_no_file_is_not_waited_for(tmp_path: Path) -> None:
    import os

    os.mkfifo(tmp_path / "a.yaml")
    assert said_of(tmp_path / "a.yaml") == ":1:1: is not a regular file"
    assert said_of(Path("/dev/zero")) == ":1:1: is not a regular file"
