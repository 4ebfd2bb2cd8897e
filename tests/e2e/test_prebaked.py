"""An image with ROCm baked in without booting it, and two machines made of it: what docs/how-to/pre-baked-images.md says to do.

Both machines are containers of a Debian 13; cloud-init finds no cloud and is there for what it remembers.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.e2e.boxes import HOME, Box, copy_checkout, layer
from tests.e2e.installer import INSTALLER, Machine, archives, running
from tests.e2e.processes import good

pytestmark = pytest.mark.slow
_KEYS = "[Service]\nExecStartPre=\nExecStartPre=/usr/bin/ssh-keygen -A\nExecStartPre=/usr/sbin/sshd -t\n"
_BAKE = "./run install base --arch gfx90a --driver kernel --yes --allow-remove"


@dataclass(frozen=True)
class Image:
    """The layer that was baked, and what the last steps said."""

    folder: Path
    upper: Path
    refused: str


def _bake(root: Path) -> str:
    copy_checkout(root / HOME[1:])
    for file in archives(INSTALLER).glob("*.deb"):
        shutil.copyfile(file, root / "var/cache/apt/archives" / file.name)
    fresh = Box(root)
    install = (
        "DEBIAN_FRONTEND=noninteractive apt-get -qy --no-install-recommends install openssh-server cloud-init"
    )
    fresh.good(f"apt-get -q update && {install}", seconds=400)
    # Without a cloud nobody makes the keys.
    fresh.write("/etc/systemd/system/ssh.service.d/keys.conf", _KEYS)
    fresh.good(_BAKE, seconds=900)
    fresh.good("./run verify --arch gfx90a", seconds=300)
    fresh.write("/etc/systemd/system/rocmdoctor-resume.service", "")
    refused = fresh.run("smoke/clean-image.sh")
    assert refused.returncode == 3
    (root / "etc/systemd/system/rocmdoctor-resume.service").unlink()
    fresh.write("/root/rocmdoctor-smoke/summary.json", "{}")
    fresh.good("smoke/clean-image.sh --keep-environments")
    return refused.stderr


@pytest.fixture(scope="module")
def image(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Image]:
    folder = tmp_path_factory.mktemp("baked")
    with layer(INSTALLER, folder / "image", keep=True) as root:
        refused = _bake(root)
    yield Image(folder, folder / "image/upper", refused)
    good(["rm", "-rf", folder], 120)


@pytest.fixture(scope="module")
def machines(image: Image) -> Iterator[list[Machine]]:
    with ExitStack() as stack:
        found = []
        for name in ("one", "two"):
            here = image.folder / name
            root = stack.enter_context(layer(INSTALLER, here, (image.upper,)))
            # A loopback of its own each: two ssh servers share no port.
            found.append(stack.enter_context(running(root, here, "--private-network")))
        yield found


def test_an_image_is_not_taken_while_an_installation_waits(image: Image) -> None:
    assert "an installation has not ended" in image.refused


def test_nothing_of_the_build_machine_is_left(image: Image) -> None:
    with layer(INSTALLER, image.folder / "look", (image.upper,)) as root:
        assert (root / "etc/machine-id").read_bytes() == b""
        assert list(root.glob("etc/ssh/ssh_host_*")) == []
        assert not (root / "var/lib/rocmdoctor").exists()
        assert not (root / "root/rocmdoctor-smoke").exists()
        assert list(root.glob("var/lib/apt/lists/*")) == list(root.glob("var/cache/apt/archives/*.deb")) == []
        logs = [f for f in root.glob("var/log/**/*") if f.is_file() and not f.is_symlink()]
        assert logs
        assert [f for f in logs if f.stat().st_size] == []


def test_each_machine_is_its_own(machines: list[Machine]) -> None:
    numbers = {m.good("cat /etc/machine-id") for m in machines}
    assert len(numbers) == 2
    assert all(len(number.strip()) == 32 for number in numbers)
    assert len({m.good("cat /etc/ssh/ssh_host_ed25519_key.pub") for m in machines}) == 2


def test_it_works_without_a_network_at_the_first_start(machines: list[Machine]) -> None:
    for machine in machines:
        assert machine.good("systemctl --failed --no-legend") == ""
        done = machine.doctor("verify", "--arch", "gfx90a")
        assert (done["exit_code"], done["data"]["verified"]) == (0, "compiled")
        assert machine.doctor("check")["exit_code"] == 0
        assert machine.doctor("history")["data"]["runs"] == []


def test_installing_again_adds_only_what_wants_a_booted_machine(machines: list[Machine]) -> None:
    said = machines[0].doctor("install", "base", "--arch", "gfx90a", "--driver", "kernel", "--yes")
    assert (said["exit_code"], said["data"]["verified"]) == (0, "compiled")
    assert [step["id"] for step in said["data"]["steps"]] == ["gpu-access.rule"]


def test_accounts_of_the_first_start_may_use_the_gpus(machines: list[Machine]) -> None:
    machines[0].good("adduser --quiet --disabled-password --comment '' eve")
    assert {"render", "video"} <= set(machines[0].good("id -Gn eve").split())
