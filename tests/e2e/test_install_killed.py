"""The plan of `install base` on Debian killed with SIGKILL after every line of its journal, and in the middle of apt."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.e2e.boxes import HOME, Box, copy_checkout, layer
from tests.e2e.installer import INSTALLER, archives, with_users
from tests.e2e.killing import (
    Lab,
    Undisturbed,
    add_stand_in,
    installing,
    kill_after_lines,
    part,
    pull_the_plug,
    told,
)
from tests.e2e.processes import good

_PARTS = 3  # of the full tier, so that none is long
_STEP = 6  # of the quick tier: every so many lines
_STATES = ("half-installed", "unpacked", "half-configured", "installed")


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory, pytestconfig: pytest.Config) -> Iterator[Lab]:
    folder = tmp_path_factory.mktemp("killed")
    with layer(INSTALLER, folder / "fresh", keep=True) as root:
        copy_checkout(root / HOME[1:])
        fresh = Box(root)
        with_users(fresh)
        fresh.write("/usr/local/bin/nvcc", "#!/bin/sh\necho stand-in for nvcc\n", 0o755)
        add_stand_in(fresh)
    packages = f"--bind={archives(INSTALLER)}:/var/cache/apt/archives"
    install = installing("--rocm-source", "distro")
    made = Lab(folder, INSTALLER, (folder / "fresh" / "upper",), install, (packages,))
    with told(made, pytestconfig):
        yield made
    good(["rm", "-rf", folder], 120)


@pytest.fixture(scope="module")
def undisturbed(lab: Lab) -> Undisturbed:
    return lab.undisturbed()


@pytest.mark.slow
@pytest.mark.parametrize("number", range(1, _PARTS + 1))
def test_killed_after_every_line_of_the_journal(lab: Lab, undisturbed: Undisturbed, number: int) -> None:
    assert kill_after_lines(lab, undisturbed, part(undisturbed, number, _PARTS)) == {}


def test_killed_after_some_lines_of_the_journal(lab: Lab, undisturbed: Undisturbed) -> None:
    assert kill_after_lines(lab, undisturbed, range(1, len(undisturbed.events), _STEP)) == {}


@pytest.mark.parametrize(
    ("state", "count"),
    [("unpacked", 90), ("half-configured", 40)]
    + [pytest.param(s, n, marks=pytest.mark.slow) for s in _STATES for n in (1, 2, 25, 60)],
)
def test_the_plug_is_pulled_in_the_middle_of_apt(
    lab: Lab, undisturbed: Undisturbed, state: str, count: int
) -> None:
    """dpkg has noted so many packages with that state when every process of the machine ends."""
    assert pull_the_plug(lab, undisturbed, state, count) == []
