"""The files as pydantic sees them: what keys there are, what each means, and what its value must look like."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any, Literal

from packaging.requirements import InvalidRequirement
from packaging.requirements import Requirement as Wanted
from packaging.specifiers import InvalidSpecifier, SpecifierSet
from packaging.version import InvalidVersion, Version
from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PlainValidator,
    WithJsonSchema,
)
from pydantic_core import PydanticCustomError

from rocmdoctor.ops.arguments import SHA256, URL, Shape
from rocmdoctor.recipe.page import Scalar

ID = Shape("an id in kebab-case, such as 'rocm-tools'", r"[a-z0-9]+(?:-[a-z0-9]+)*")
CHECK = Shape("the id of a check, such as 'driver.kfd-access'", r"[a-z]+\.[a-z0-9]+(?:-[a-z0-9]+)*")
OPERATION = Shape("the name of an operation, such as 'apt.install'", r"[a-z][a-z0-9.-]*")
VARIABLE = Shape("a name of small letters, digits and '_'", r"[a-z][a-z0-9_]*")
SYSTEM = Shape("a system such as 'debian-13' or 'ubuntu'", r"[a-z][a-z0-9._]*(?:-[a-z0-9._]+)?")
TARGET = Shape("a gfx target such as 'gfx90a', or a pattern such as 'gfx11*'", r"gfx[0-9a-f*?\[\]!-]+")
COMMIT = Shape("40 hexadecimal digits (a commit)", r"[0-9a-f]{40}")
LINE = Shape("a text of one line", r"(?=[^\r\n]*\S)[^\r\n]+")

# No version is longer, and packaging takes its time.
_LONG = 200


def _refused(wanted: str) -> PydanticCustomError:
    return PydanticCustomError("wanted", "{wanted}", {"wanted": wanted})


def _after(fits: Callable[[str], bool], wanted: str) -> AfterValidator:
    def validate(value: str) -> str:
        if not fits(value):
            raise _refused(wanted)
        return value

    return AfterValidator(validate)


def _schema(shape: Shape) -> WithJsonSchema:
    return WithJsonSchema({"type": "string", "pattern": f"^(?:{shape.pattern})$"})


def _is_specifier(text: str) -> bool:
    try:
        SpecifierSet(text[:_LONG])
    except InvalidSpecifier:
        return False
    return bool(text.strip()) and len(text) < _LONG


def _is_version(text: str) -> bool:
    try:
        Version(text[:_LONG])
    except InvalidVersion:
        return False
    return len(text) < _LONG


def _is_requirement(text: str) -> bool:
    try:
        found = Wanted(text[:_LONG])
    except InvalidRequirement:
        return False
    plain = not (found.extras or found.marker or found.url)
    return plain and bool(str(found.specifier)) and len(text) < _LONG


def _truth(value: object) -> object:
    plain = isinstance(value, Scalar) and value.plain
    return {"true": True, "false": False}.get(str(value), value) if plain else value


def _one(value: object) -> object:
    return 1 if isinstance(value, Scalar) and value.plain and value == "1" else value


def _words(value: object) -> str | list[str]:
    if isinstance(value, list) and all(isinstance(item, str) for item in value):
        return [str(item) for item in value]
    if isinstance(value, str):
        return str(value)
    raise _refused("a text or a list of texts")


Id = Annotated[str, _after(ID.fits, ID.wanted), _schema(ID)]
CheckId = Annotated[str, _after(CHECK.fits, CHECK.wanted), _schema(CHECK)]
OperationName = Annotated[str, _after(OPERATION.fits, OPERATION.wanted), _schema(OPERATION)]
VariableName = Annotated[str, _after(VARIABLE.fits, VARIABLE.wanted), _schema(VARIABLE)]
System = Annotated[str, _after(SYSTEM.fits, SYSTEM.wanted), _schema(SYSTEM)]
Target = Annotated[str, _after(TARGET.fits, TARGET.wanted), _schema(TARGET)]
Commit = Annotated[str, _after(COMMIT.fits, COMMIT.wanted), _schema(COMMIT)]
Sha256 = Annotated[str, _after(SHA256.fits, SHA256.wanted), _schema(SHA256)]
Url = Annotated[str, _after(URL.fits, URL.wanted), _schema(URL)]
Line = Annotated[str, _after(LINE.fits, LINE.wanted), _schema(LINE)]
Specifier = Annotated[str, _after(_is_specifier, "a set of versions such as '>=6.1,<7'")]
Requirement = Annotated[str, _after(_is_requirement, "a requirement such as 'torch==2.3.*'")]
ReleaseNumber = Annotated[str, _after(_is_version, "a version such as '6.4.1'")]
Truth = Annotated[bool, BeforeValidator(_truth)]
One = Annotated[Literal[1], BeforeValidator(_one)]
WordsValue = Annotated[
    Any,
    PlainValidator(_words),
    # An editor reads an unquoted 12 as a number; as a text it is the same.
    WithJsonSchema(
        {
            "anyOf": [
                {"type": ["string", "integer"]},
                {"type": "array", "items": {"type": ["string", "integer"]}},
            ]
        }
    ),
]


class _Model(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


class FitsModel(_Model):
    """The machines that it is for; every key that stands here must hold."""

    os: list[System] = Field(
        default=[], description="Systems, as `<id>` or `<id>-<VERSION_ID>` of /etc/os-release."
    )
    gfx: list[Target] = Field(
        default=[],
        description="Targets that are compiled for, with patterns such as `gfx11*`; all must be matched.",
    )
    kernel: Specifier = Field(default="", description="Versions of the running kernel.")
    rocm: Specifier = Field(default="", description="Versions of ROCm.")
    python: Specifier = Field(default="", description="Versions of the environment's Python.")
    has: list[Id] = Field(default=[], description="Traits that the machine has.")
    lacks: list[Id] = Field(default=[], description="Traits that the machine does not have.")


class ExemptionModel(FitsModel):
    """Machines that a version is not for though it fits them; every key that stands here must hold, none means all."""

    why: Line = Field(description="Why it is not for them; it is said as it stands here.")


class ExtraModel(FitsModel):
    """What a version needs besides on some machines; every key that stands here must hold."""

    needs: dict[Id, Specifier] = Field(
        min_length=1, description="Other components and the versions of them that it works with there."
    )


class ReleaseModel(_Model):
    """One version. The first that fits is taken, so the newest stands first."""

    version: ReleaseNumber = Field(
        description="The version. Quote it, so that editors do not take 3.10 for 3.1."
    )
    source: Id = Field(
        default="", description="Where it comes from, such as `distro`; `--rocm-source` chooses by it."
    )
    needs: dict[Id, Specifier] = Field(
        default={}, description="Other components and the versions of them that it works with."
    )
    prefers: dict[Id, Specifier] = Field(
        default={}, description="Versions of other components that are taken first where several would do."
    )
    bounds: dict[Id, Specifier] = Field(
        default={},
        description="Other components that may be left out, and the versions that it works with where they are not.",
    )
    provides: dict[Id, ReleaseNumber] = Field(
        default={}, description="Components that come with it and have no recipe, with their versions."
    )
    alike: dict[Id, Id] = Field(
        default={},
        description="Pairs of components whose versions must be of one series, which are their first two numbers.",
    )
    beside: dict[Id, list[Id]] = Field(
        default={}, description="Sources of other components that it goes with; without one, any."
    )
    also: list[ExtraModel] = Field(default=[], description="More needs on some machines.")
    fits: FitsModel = Field(default=FitsModel(), description="The machines that this version is for.")
    but: list[ExemptionModel] = Field(
        default=[], description="Machines that it is not for though they fit, each with `why`."
    )
    why: str = Field(
        default="",
        description="Why it is taken before those behind it; the plan says so where they fall out for it.",
    )
    untrusted: str = Field(
        default="",
        description="Why its packages cannot be trusted as they are: it is taken only with `--rocm` and `--trust-key`.",
    )
    pinned: str = Field(
        default="", description="Why it is taken only where `--pin` or a stack names its version."
    )
    verify: list[CheckId] | None = Field(
        default=None, description="Checks that must be ok afterwards, in place of the recipe's."
    )
    vars: dict[VariableName, WordsValue] = Field(
        default={}, description="Values of this version; they stand before those of the recipe."
    )
    url: Url = Field(
        default="", description="The address of its archive; `sha256` or `commit` must stand beside it."
    )
    sha256: Sha256 = Field(default="", description="The sha256 that the archive must have.")
    commit: Commit = Field(default="", description="The commit of its source.")


class StepModel(_Model):
    """One call of an operation."""

    id: Id = Field(description="The name of the step, once in the recipe.")
    uses: OperationName = Field(description="The operation that is called.")
    with_: dict[str, Any] = Field(
        default={}, alias="with", description="The operation's arguments; texts may hold `${name}`."
    )
    after: list[Id] = Field(default=[], description="Steps of this recipe that come before.")
    fits: FitsModel = Field(
        default=FitsModel(),
        description="The machines that the step is for; it is left out elsewhere, with the reason.",
    )
    skip_if: CheckId = Field(default="", description="A check: the step is left out when it is ok.")
    cures: list[CheckId] = Field(
        default=[], description="Checks: the step is done only where one of them warns or fails."
    )
    source: list[Id] = Field(
        default=[],
        description="Sources of releases: the step is done only where the chosen release comes from one of them.",
    )


class RecipeModel(_Model):
    """How one component gets onto a machine."""

    schema_: One = Field(alias="schema", description="The version of this form, 1.")
    id: Id = Field(description="The name of the recipe, as it is typed after `install`.")
    title: Line = Field(description="What is there afterwards, in one line.")
    about: str = Field(
        default="", description="What else a reader wants to know: why it is done so, and where that stands."
    )
    fits: FitsModel = Field(
        default=FitsModel(),
        description="The machines that the recipe is for; elsewhere the plan is refused with the reason.",
    )
    after: list[Id] = Field(default=[], description="Recipes that come before when both are in a plan.")
    brings: list[Id] = Field(default=[], description="Recipes that are planned whenever this one is.")
    serves: Truth = Field(
        default=False,
        description="`true` where its version is chosen after all others, by what they need.",
    )
    anywhere: Truth = Field(
        default=False,
        description="`true` where it needs neither a GPU nor a target: it is planned where none can be told, too.",
    )
    by_hand: Truth = Field(
        default=False,
        description="`true` where `fix` does not run it: named alone, it does more than to cure a fault.",
    )
    instead: str = Field(
        default="", description="What to do where none of its versions is for a machine; a refusal says it."
    )
    releases: list[ReleaseModel] = Field(default=[], description="The versions that there are, newest first.")
    vars: dict[VariableName, WordsValue] = Field(
        default={},
        description="Values for `${name}`: a text, or a list that takes the place of one item. What is called `mirror` or "
        "`key` is a server of packages and the fingerprint of its key; `--mirror` and `--trust-key` stand in for them.",
    )
    steps: list[StepModel] = Field(
        min_length=1, description="What is done, in this order where `after` does not say otherwise."
    )
    verify: list[CheckId] = Field(default=[], description="Checks that must be ok afterwards.")


class StackModel(_Model):
    """Recipes under one name."""

    schema_: One = Field(alias="schema", description="The version of this form, 1.")
    id: Id = Field(description="The name of the stack, as it is typed after `install`.")
    title: Line = Field(description="What is there afterwards, in one line.")
    about: str = Field(default="", description="What else a reader wants to know.")
    recipes: list[Id] = Field(min_length=1, description="The recipes, by id.")
    pins: list[Requirement] = Field(
        default=[], description="Versions that the stack is held to, such as `torch==2.3.*`."
    )
    default: Truth = Field(
        default=False, description="`true` for the stack that is meant when nothing is named."
    )
