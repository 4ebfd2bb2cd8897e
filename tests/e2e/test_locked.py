"""A stack locked on one machine and reproduced on another that has no network, by users without root.

Two Debians of one image. The packages are small ones of PyPI's, one of which needs another, and an sdist that is built.
"""

from __future__ import annotations

import base64
import hashlib
import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.boxes import HOME, Box, Done, copy_checkout, layer
from tests.e2e.faults import users_layer
from tests.e2e.images import CA_INSIDE
from tests.e2e.installer import INSTALLER
from tests.e2e.sdists import DIGESTS, address

ENV = "home/ann/.local/share/rocmdoctor/env"
LOCK, PARTS, OWN = "/srv/rocmdoctor.lock", "/srv/parts", "/srv/own"
_RECIPE = """\
schema: 1
id: small
title: Small packages
after: [python]
brings: [python]
steps:
  - id: packages
    uses: pip.install
    with: {env: "${env}", packages: ["python-dateutil==2.9.0.post0"]}
  - id: build
    after: [packages]
    uses: wheel.build
    with:
      name: docopt
      version: "0.6.2"
      env: "${env}"
      url: ADDRESS
      sha256: DIGEST
      needs: ["setuptools==80.9.0", "wheel==0.45.1"]
      python: "${python}"
"""
_STACK = "schema: 1\nid: tiny\ntitle: What is small\nabout: For a test.\nrecipes: [small]\n"


def _install(machine: Box, *argv: str, network: bool) -> Done:
    script = f'./run install "$@" --arch gfx90a --no-root --yes --no-color --content {OWN}'
    certificates = {"SSL_CERT_FILE": CA_INSIDE} if network else {}
    return machine.run(script, *argv, user="ann", network=network, seconds=150, env=certificates)


def _fresh(root: Path) -> Box:
    copy_checkout(root / HOME[1:])
    machine = Box(root)
    recipe = _RECIPE.replace("ADDRESS", address("docopt", "0.6.2")).replace(
        "DIGEST", DIGESTS["docopt"]["0.6.2"]
    )
    machine.write(f"{OWN}/recipes/small.yaml", recipe)
    machine.write(f"{OWN}/recipes/stacks/tiny.yaml", _STACK)
    return machine


@pytest.fixture(scope="module")
def one(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Box]:
    """The machine with network, once the stack is installed on it and all of it put into a folder."""
    with layer(INSTALLER, tmp_path_factory.mktemp("one") / "box", (users_layer(),)) as root:
        machine = _fresh(root)
        done = _install(machine, "tiny", network=True)
        assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
        lock = f"/{ENV}/rocmdoctor.lock"
        assert f"The same on another machine: rocmdoctor install --locked {lock}" in done.stdout
        machine.good(f"./run cache fill {lock} /home/ann/parts", user="ann", env={"SSL_CERT_FILE": CA_INSIDE})
        yield machine


@pytest.fixture
def two(one: Box, tmp_path: Path) -> Iterator[Box]:
    """The machine without network, with the lock and the folder carried over."""
    with layer(INSTALLER, tmp_path / "box", (users_layer(),)) as root:
        machine = _fresh(root)
        shutil.copytree(one.root / "home/ann/parts", root / PARTS[1:])
        shutil.copy(one.root / ENV / "rocmdoctor.lock", root / LOCK[1:])
        yield machine


def _lock(machine: Box) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((machine.root / ENV / "rocmdoctor.lock").read_text(encoding="utf-8"))
    return found


def _recorded(machine: Box) -> dict[str, str]:
    """Every file that a distribution brought, with the digest that its RECORD says."""
    (site,) = (machine.root / ENV / "lib").glob("python3*/site-packages")
    found = {}
    for record in sorted(site.glob("*.dist-info/RECORD")):
        for line in record.read_text(encoding="utf-8").splitlines():
            name, digest, _ = line.rsplit(",", 2)
            # REQUESTED tells that somebody named it, as the list of a lock does with all; it is no file of a distribution.
            if digest and not name.startswith(("pip/", "pip-")) and not name.endswith(".dist-info/REQUESTED"):
                found[name] = digest
    return found


def _as_recorded(machine: Box) -> dict[str, str]:
    """The same, by the files themselves."""
    (site,) = (machine.root / ENV / "lib").glob("python3*/site-packages")
    digests = {name: hashlib.sha256((site / name).read_bytes()).digest() for name in _recorded(machine)}
    return {name: f"sha256={base64.urlsafe_b64encode(d).decode().rstrip('=')}" for name, d in digests.items()}


def test_the_same_files_come_without_network(one: Box, two: Box) -> None:
    done = _install(two, "--locked", LOCK, "--mirror-folder", PARTS, network=False)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    first, second = _recorded(one), _recorded(two)
    assert {"six.py", "dateutil/__init__.py", "docopt.py"} <= set(first)
    assert first == second
    assert _as_recorded(one) == _as_recorded(two) == first
    for key in ("components", "targets", "sources", "patches", "wheels", "gfx"):
        assert _lock(one)[key] == _lock(two)[key], key
    names = [row["name"] for row in _lock(one)["wheels"]]
    assert names == ["python-dateutil", "setuptools", "six", "wheel"]


def test_a_wheel_that_was_changed_is_refused_with_both_digests(two: Box) -> None:
    (wheel,) = (two.root / PARTS[1:]).glob("six-*.whl")
    wanted = hashlib.sha256(wheel.read_bytes()).hexdigest()
    with wheel.open("ab") as file:
        file.write(b"more")
    found = hashlib.sha256(wheel.read_bytes()).hexdigest()
    done = _install(two, "--locked", LOCK, "--mirror-folder", PARTS, network=False)
    assert done.returncode == 3
    said = " ".join(done.stderr.split())
    assert f"{PARTS}/{wheel.name}: sha256 is {found}, the lock says {wanted}" in said
    assert not (two.root / ENV).exists()
