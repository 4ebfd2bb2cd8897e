"""`install base` with AMD's repository killed on the used look-alike of Ubuntu 22.04: while it clears away, and while it installs.

Once with the kernel's own driver and once with AMD's, which is built by DKMS and asks for a reboot in the middle.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import replace

import pytest

from tests.e2e.images import ROCM
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
from tests.lookalike import jammy
from tests.lookalike.build import build
from tests.lookalike.serve import HTTPS, serving

_PARTS = 3  # so that none is long
_STATES = ("half-configured", "half-installed", "unpacked", "installed")
pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory, pytestconfig: pytest.Config) -> Iterator[Lab]:
    """The used machine."""
    for name in ("gpg", "gpg-agent", "gpgconf", "openssl"):
        if shutil.which(name) is None:
            pytest.skip(f"needs {name}, to sign the look-alike repositories")
    folder = tmp_path_factory.mktemp("lookalike-killed")
    built = build(folder / "repositories")
    with serving(built.folder, HTTPS, jammy.address()) as server:
        with jammy.frozen(folder / "fresh") as box:
            jammy.fresh(box, built, server)
            add_stand_in(box)
        fresh = folder / "fresh" / "upper"
        with jammy.frozen(folder / "used", (fresh,)) as box:
            jammy.used(box, built, server)
        install = installing("--rocm", "6.2.4", "--trust-key", built.fingerprint, "--allow-remove")
        compiler = f"--bind-ro={ROCM['bookworm'].build()}:{jammy.COMPILER}"
        made = Lab(folder, jammy.IMAGE, (folder / "used" / "upper", fresh), install, (compiler,))
        with told(made, pytestconfig):
            yield made
    good(["rm", "-rf", folder], 120)


@pytest.fixture(scope="module")
def undisturbed(lab: Lab) -> Undisturbed:
    return lab.undisturbed()


@pytest.mark.parametrize("number", range(1, _PARTS + 1))
def test_killed_after_every_line_of_the_journal(lab: Lab, undisturbed: Undisturbed, number: int) -> None:
    assert kill_after_lines(lab, undisturbed, part(undisturbed, number, _PARTS)) == {}


@pytest.mark.parametrize("count", [1, 2, 12, 40])
@pytest.mark.parametrize("state", _STATES)
def test_the_plug_is_pulled_in_the_middle_of_apt(
    lab: Lab, undisturbed: Undisturbed, state: str, count: int
) -> None:
    """dpkg has noted so many packages with that state; the first ones are those that go."""
    assert pull_the_plug(lab, undisturbed, state, count) == []


# ---------------------------------------------------------------- with AMD's driver, and a reboot


@pytest.fixture(scope="module")
def driver_lab(lab: Lab, pytestconfig: pytest.Config) -> Iterator[Lab]:
    (lab.folder / "driver").mkdir()
    install = f"{lab.install} --driver dkms --reboot"
    made = replace(lab, folder=lab.folder / "driver", install=install, points=0, equal=0)
    with told(made, pytestconfig):
        yield made


@pytest.fixture(scope="module")
def with_driver(driver_lab: Lab) -> Undisturbed:
    return driver_lab.undisturbed()


def test_killed_after_every_line_of_the_driver_and_the_reboot(
    driver_lab: Lab, undisturbed: Undisturbed, with_driver: Undisturbed
) -> None:
    """The other lines are those of the same installation without them."""
    assert any(line.startswith("reboot-asked ") for line in with_driver.events), with_driver.events
    more = [n for n, line in enumerate(with_driver.events, 1) if line not in undisturbed.events]
    assert kill_after_lines(driver_lab, with_driver, more) == {}


@pytest.mark.parametrize("state", ["half-configured", "half-installed", "installed"])
def test_the_plug_is_pulled_while_the_driver_is_installed(
    driver_lab: Lab, with_driver: Undisturbed, state: str
) -> None:
    assert pull_the_plug(driver_lab, with_driver, state, 48) == []
