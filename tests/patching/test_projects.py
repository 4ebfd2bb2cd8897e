"""What trees say of our patches, by their shape; the real sources are in tests/e2e/test_here_patches.py."""

from __future__ import annotations

import pytest

from rocmdoctor.patching import CONFLICT, NEEDED, STATES, judge, misfit, patched
from tests.patching import trees
from tests.patching.trees import PROJECTS

FLAG = "0001-leave-cuda-out-on-rocm"


def said(project: str, tree: dict[str, str], version: str = "") -> dict[str, tuple[str, str]]:
    """State and reason by the patch's number."""
    return {i.patch.id[:4]: (i.state, i.why) for i in judge(PROJECTS[project], tree, version)}


def states(project: str, tree: dict[str, str], version: str = "") -> dict[str, str]:
    return {number: state for number, (state, _) in said(project, tree, version).items()}


def with_patch(project: str, number: str, tree: dict[str, str]) -> dict[str, str]:
    """The tree with a patch of ours in it."""
    (patch,) = (p for p in PROJECTS[project].patches if p.id.startswith(number))
    assert misfit(patch, tree) == ""
    return {**tree, **patched(patch, tree)}


DEEPSPEED = [
    ("the fault", trees.sdist(), "0.14.0", "needed", "is_cuda_enable compares versions of CUDA on ROCm too"),
    ("the first with it", trees.sdist(), "0.12.4", "needed", "op_builder/builder.py:"),
    ("all is caught", trees.sdist(trees.BROAD), "0.12.3", "not-for-this-version", "0.12.4 is the first that does not"),
    ("repaired", trees.sdist(trees.FIXED), "0.16.3", "fixed-upstream", "get_cuda_compile_flag compares nothing on ROCm"),
    ("no return", trees.sdist(trees.NO_RETURN), "0.17.5", "not-for-this-version", "returns nothing on ROCm: the fault of 0.17.5"),
    ("0.15.0", trees.sdist(), "0.15.0", "not-for-this-version", "deepspeed 0.15.0 is not worth a patch: on ROCm it joins paths"),
    ("0.15.0, tagged", trees.sdist(), "0.15.0+rocm", "not-for-this-version", "take 0.15.1"),
    ("another guard", trees.sdist(trees.OTHER_GUARD), "0.14.0", "applied", "by another change than ours"),
    ("a guard that enables", trees.sdist(trees.ENABLES), "0.14.0", "conflict", "never leaves CUDA out"),
    ("the post's change", trees.sdist(compare=trees.FALSE), "0.14.0", "conflict", "a post of March 2024 made"),
    ("a silent one", trees.sdist(compare=trees.SILENT), "0.14.0", "conflict", "put the file back first (git checkout op_builder/"),
    ("the post's change where it is repaired", trees.sdist(trees.FIXED, trees.FALSE), "0.16.3", "fixed-upstream", "But op_builder/"),
    ("the post's change before the fault", trees.sdist(trees.BROAD, trees.FALSE), "0.12.2", "not-for-this-version", "But op_builder/"),
    ("a checkout between releases", trees.sdist(), "0.16.3", "needed", "though these are lines of >=0.12.4,<0.16.3"),
    ("no Python", {"op_builder/builder.py": "def ("}, "0.14.0", "conflict", "no Python that can be read"),
    ("nothing there", {"version.txt": "0.14.0\n"}, "0.14.0", "not-for-this-version", "is there"),
    ("no builder for processors", {"op_builder/builder.py": trees.builder("    pass\n").replace("TorchCPUOpBuilder", "X")}, "0.19.8", "fixed-upstream", "plain C++"),
    ("before there was a flag", {"op_builder/builder.py": trees.builder("    pass\n")}, "0.6.0", "not-for-this-version", "no function asks"),
    ("a flag that compares nothing", trees.sdist("    def is_cuda_enable(self):\n        return ''\n"), "", "not-for-this-version", "compares no versions"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("tree", "version", "state", "why"), [pytest.param(*row[1:], id=row[0]) for row in DEEPSPEED]
)
def test_deepspeed(tree: dict[str, str], version: str, state: str, why: str) -> None:
    found = said("deepspeed", tree, version)["0001"]
    assert found[0] == state
    assert why in found[1]


def test_a_tree_is_as_bad_as_the_worse_of_its_two_copies() -> None:
    tree = trees.sdist()
    whole = with_patch("deepspeed", "0001", tree)
    assert states("deepspeed", whole) == {"0001": "applied"}
    for path in ("op_builder/builder.py", "deepspeed/ops/op_builder/builder.py"):
        half = {**whole, path: tree[path]}
        assert said("deepspeed", half)["0001"][0] == "needed"
        assert with_patch("deepspeed", "0001", half) == whole


@pytest.mark.parametrize("path", ["op_builder/builder.py", "deepspeed/ops/op_builder/builder.py"])
def test_a_checkout_or_what_is_installed_has_one_copy(path: str) -> None:
    tree = {path: trees.builder()}
    assert states("deepspeed", tree) == {"0001": "needed"}
    assert states("deepspeed", with_patch("deepspeed", "0001", tree)) == {"0001": "applied"}


def test_the_patch_fits_where_it_is_not_needed() -> None:
    """Why it is the sources that count: this one is of a release that needs nothing, and git would apply it."""
    tree = trees.sdist(trees.BROAD, version="0.12.2")
    (patch,) = PROJECTS["deepspeed"].patches
    assert misfit(patch, tree) == ""
    assert states("deepspeed", tree, "0.12.2") == {"0001": "not-for-this-version"}


NOT = "not-for-this-version"
AXOLOTL = [
    ("March 2024", trees.march_2024(), "0.4.0", ("needed", NOT, NOT, NOT, "needed")),
    ("0.5", trees.later("0.5.2"), "0.5.2", (NOT, "needed", NOT, NOT, "fixed-upstream")),
    ("0.7", trees.later("0.7.0", twice=True), "0.7.0", (NOT, NOT, "needed", NOT, "fixed-upstream")),
    ("0.16.1", trees.later("0.16.1", extras=True, twice=True), "0.16.1", (NOT, NOT, NOT, "needed", "fixed-upstream")),
    ("0.17", {"pyproject.toml": "", trees.FLASH_PATH: trees.FLASH_LATER}, "0.17.0", (NOT, NOT, NOT, NOT, "fixed-upstream")),
    ("nothing", {}, "", (NOT, NOT, NOT, NOT, NOT)),
]  # fmt: skip


@pytest.mark.parametrize(
    ("tree", "version", "wanted"), [pytest.param(*row[1:], id=row[0]) for row in AXOLOTL]
)
def test_axolotl(tree: dict[str, str], version: str, wanted: tuple[str, ...]) -> None:
    assert tuple(states("axolotl", tree, version).values()) == wanted
    for number in [f"{n:04}" for n, state in enumerate(wanted, 1) if state == NEEDED]:
        after = with_patch("axolotl", number, tree)
        assert states("axolotl", after, version)[number] == "applied"
        assert NEEDED not in {s for n, s in states("axolotl", after, version).items() if n == number}
        tree = after
    assert not {NEEDED, CONFLICT} & set(states("axolotl", tree, version).values())


def _without_xformers(tree: dict[str, str]) -> dict[str, str]:
    return {**tree, "requirements.txt": trees.LINES.format("")}


HALVES = [
    (_without_xformers(trees.march_2024()), "0001", "stops with a ValueError: half of the change was made"),
    ({**with_patch("axolotl", "0001", trees.march_2024()), "requirements.txt": trees.LINES.format("xformers==0.0.22\n")}, "0001",
     "setup.py names no xformers, but requirements.txt asks for xformers==0.0.22"),
    (_without_xformers(trees.later("0.5.2")), "0002", "stops with an IndexError. Put requirements.txt back first"),
    (_without_xformers(trees.later("0.16.1", extras=True, twice=True)), "0004", "setup.py looks for it there"),
]  # fmt: skip


@pytest.mark.parametrize(("tree", "number", "why"), HALVES)
def test_half_of_the_change_is_told(tree: dict[str, str], number: str, why: str) -> None:
    found = said("axolotl", tree)[number]
    assert found[0] == CONFLICT
    assert why in found[1]


def test_one_of_two_lists_is_left() -> None:
    tree = trees.later("0.7.0", twice=True)
    half = {**tree, "setup.py": with_patch("axolotl", "0003", tree)["setup.py"]}
    # The patch would fit once more, and put its lines there twice.
    (patch,) = (p for p in PROJECTS["axolotl"].patches if p.id.startswith("0003"))
    assert misfit(patch, half) == ""
    assert said("axolotl", half)["0003"] == (
        CONFLICT,
        f"setup.py leaves xformers out, and {trees.BUILD_PATH} does not: half of the change was made. Put setup.py back first",
    )


def test_an_sdist_without_requirements_is_said_to_be_one() -> None:
    tree = trees.later("0.5.0")
    del tree["requirements.txt"]
    state, why = said("axolotl", tree, "0.5.0")["0002"]
    assert state == NEEDED
    assert "requirements.txt is not in this tree, without which setup.py cannot run" in why


STUB = trees.FLASH.replace(
    "from xformers.ops import SwiGLU\n", "\nclass SwiGLU:\n    def __init__():\n        pass\n"
)
FLASHES = [
    (trees.FLASH, "needed", "imports xformers at its top"),
    (STUB, "applied", "has a stand-in for SwiGLU, by another change than ours"),
    (
        trees.FLASH.replace("def is_xformers_swiglu_available", "def other"),
        NOT,
        "checkouts from 2024-02-26 on",
    ),
    (trees.FLASH.replace("from xformers.ops import SwiGLU\n", ""), NOT, "has fused MLPs without xformers"),
    (trees.FLASH_LATER, "fixed-upstream", "a module of their own"),
    ("def (", "conflict", "no Python that can be read"),
]


@pytest.mark.parametrize(("text", "state", "why"), FLASHES)
def test_the_import_of_xformers(text: str, state: str, why: str) -> None:
    found = said("axolotl", {trees.FLASH_PATH: text})["0005"]
    assert found[0] == state
    assert why in found[1]


FORK = trees.flash_fork()
FORKS = [
    ("the fork", FORK, "2.0.4", "needed", "torch 2.0 runs out of stack at that, later ones mix copies with originals"),
    ("half of the change", trees.flash_fork(""), "2.0.4", "conflict", "tells no compiler where composable_kernel is"),
    ("no folders", {"setup.py": FORK["setup.py"].replace("include_dirs", "other")}, "2.0.4", "conflict", "names no include_dirs"),
    ("upstream", {"setup.py": FORK["setup.py"].replace("flash_attn_rocm", "flash_attn_ck")}, "2.6.3", NOT, "not that of ROCm's fork"),
    ("another function", {"setup.py": "def build():\n    pass\n"}, "", NOT, "(version unknown)"),
    ("no Python", {"setup.py": "def ("}, "2.0.4", "conflict", "no Python that can be read"),
    ("nothing", {}, "2.0.4", NOT, "setup.py is not there"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("tree", "version", "state", "why"), [pytest.param(*row[1:], id=row[0]) for row in FORKS]
)
def test_the_fork_of_flash_attention(tree: dict[str, str], version: str, state: str, why: str) -> None:
    found = said("flash-attn", tree, version)["0001"]
    assert found[0] == state
    assert why in found[1]


def test_our_patch_leaves_composable_kernel_to_the_compiler() -> None:
    whole = with_patch("flash-attn", "0001", FORK)
    assert states("flash-attn", whole, "2.0.4") == {"0001": "applied"}
    compile(whole["setup.py"], "setup.py", "exec")


@pytest.mark.parametrize("project", PROJECTS)
def test_every_tree_whatever_gives_every_patch_a_state(project: str) -> None:
    for text in ("", "def f(: x", "\0", "x = 1\n", "def parse_requirements():\n    return 1\n", "\udcff\n"):
        tree = dict.fromkeys(PROJECTS[project].paths, text)
        found = said(project, tree, "no version")
        assert set(found) == {p.id[:4] for p in PROJECTS[project].patches}
        assert {state for state, _ in found.values()} <= set(STATES) - {NEEDED}
