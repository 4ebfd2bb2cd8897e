"""The reference page of recipes, made from the models, the operations and the traits themselves."""

from __future__ import annotations

import inspect
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from rocmdoctor.ops.registry import Operation
from rocmdoctor.ops.traits import TRAITS
from rocmdoctor.recipe import FACTS, kinds
from rocmdoctor.recipe.names import OF_RELEASE
from rocmdoctor.recipe.page import MAX_BYTES, MAX_DEPTH, MAX_ENTRIES
from rocmdoctor.recipe.schema import recipe_schema, stack_schema

_HEAD = """\
# Recipes

Made by `python docs/generate.py` from `rocmdoctor/recipe/` and `rocmdoctor/ops/`; edit those, not this page.

A recipe says how one component gets onto a machine, a stack names recipes that belong together. Recipes are
`recipes/<id>.yaml`, stacks `recipes/stacks/<id>.yaml`. Those of your own lie in a folder that `--content` names, or in
`~/.local/share/rocmdoctor/content`; an id that is taken is an error, so nothing of ours is ever replaced unseen.

`rocmdoctor recipe lint FILE` says what is wrong, each fault with its line and column; lists count from 1 there:
`deepspeed.yaml:17:5: steps.2.aftr: unknown key, did you mean 'after'?`. Editors complete recipes by the schema, with this
first line: `# yaml-language-server: $schema=<folder>/docs/reference/schema/recipe.json`.

## Not all of YAML

Everything is text, so that `3.10` is not 3.1 and `no` is not false. Only where a number, or `true` or `false`, is wanted is
an unquoted one read as such. Quote versions all the same, since editors and other programs read YAML's own way.
Anchors, aliases, merge keys, tags and second documents are refused: with them a file says something other than what is seen
in it.
"""
_NAMES = """\
## Names in texts

`${name}` in the arguments of a step, and in the values of variables, becomes the value of a variable or of a fact; `$$` is a
dollar sign. There are no expressions. Variables stand in the order of the file: one may use those above it. A release's stand in for
the recipe's. A variable that is a list takes the place of one item of a list, or of a whole list. A step that uses a fact which
cannot be told is left out of the plan, with the reason.

A step's arguments are checked again once the names are filled in. Programs get their words one by one, so a `;` or `$(...)` in a
value is just text; what goes into a package's name or a path must look like one.
"""


def recipes_page(operations: Mapping[str, Operation], example: str) -> str:
    """The page. `example` is a whole recipe with comments."""
    recipe = recipe_schema(operations)
    parts = recipe["$defs"]
    lines = [
        _HEAD,
        f"A file has at most {MAX_BYTES >> 20} MiB, {MAX_ENTRIES} steps and {MAX_DEPTH} levels.\n",
    ]
    lines += ["## An example\n", "```yaml", example.rstrip("\n"), "```\n"]
    lines += _keys("The keys of a recipe", recipe)
    lines += _keys("`releases`, each", parts["ReleaseModel"])
    lines += _keys("`steps`, each", parts["StepModel"])
    lines += _keys("`fits`", parts["FitsModel"])
    lines += _keys("`but` of a release, each", parts["ExemptionModel"])
    lines += _traits()
    lines += [_NAMES, *_names()]
    lines += _keys("The keys of a stack", stack_schema())
    lines.append("## Operations\n")
    for operation in operations.values():
        lines += _operation(operation)
    return "\n".join(lines).rstrip("\n") + "\n"


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> Iterator[str]:
    yield f"| {' | '.join(head)} |"
    yield f"|{' --- |' * len(head)}"
    for row in rows:
        yield f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in row)} |"
    yield ""


def _keys(title: str, schema: Mapping[str, Any]) -> Iterator[str]:
    required = schema.get("required", ())
    rows = [
        (f"`{name}`", _value(item), "yes" if name in required else "", item.get("description", ""))
        for name, item in schema["properties"].items()
    ]
    yield f"## {title}\n"
    yield from _table(("key", "value", "must", "meaning"), rows)


def _value(item: Mapping[str, Any]) -> str:
    if "const" in item:
        return f"`{item['const']}`"
    if "$ref" in item:
        return "mapping"
    if "anyOf" in item:
        return " or ".join(_value(part) for part in item["anyOf"])
    return {"array": "list", "object": "mapping", "boolean": "`true` or `false`"}.get(
        str(item.get("type")), "text"
    )


def _traits() -> Iterator[str]:
    yield "### Traits, for `has` and `lacks`\n"
    yield from _table(
        ("trait", "this machine has"), [(f"`{name}`", trait.says) for name, trait in TRAITS.items()]
    )


def _names() -> Iterator[str]:
    rows = [(f"`${{{name}}}`", says) for name, says in FACTS.items()]
    rows += [
        (f"`${{{name}}}`", f"the `{name}` of the release that was chosen, where it has one")
        for name in OF_RELEASE
    ]
    yield from _table(("name", "is"), rows)


def _operation(operation: Operation) -> Iterator[str]:
    yield f"### {operation.name}\n"
    yield f"{inspect.getdoc(operation.function) or ''}\n"
    rows = [
        (
            f"`{name}`",
            kinds.words(parameter.kind),
            "must be given" if parameter.required else _default(parameter.default),
        )
        for name, parameter in operation.parameters.items()
    ]
    if rows:
        yield from _table(("argument", "value", "when it is left out"), rows)


def _default(value: object) -> str:
    if value is None or value in ("", [], {}):
        return "none"
    return f"`{str(value).lower()}`" if isinstance(value, bool) else f"`{value}`"
