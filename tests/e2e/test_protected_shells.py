"""An environment that is protected, entered as people and machines enter it: by login, by ssh, from cron. All real."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests import standins
from tests.e2e.boxes import Box
from tests.e2e.installer import INSTALLER, Machine, machine
from tests.e2e.processes import good

pytestmark = pytest.mark.slow
_ENV = "/home/ann/ft"
# What is looked at: pip as it is called from scripts, and what activation brings.
_LOOK = f"""\
#!/bin/sh
{_ENV}/bin/python -m pip install --dry-run axolotl 2>&1 | grep -F '(constraint) torch' | sed 's/^ *//'
{_ENV}/bin/python -m pip install --dry-run xformers 2>&1 | grep -F '(constraint) xformers' | sed 's/^ *//'
. {_ENV}/bin/activate
echo "$HIP_PLATFORM $UV_CONSTRAINT $UV_OVERRIDE"
"""
_SEEN = [
    "The user requested (constraint) torch==2.9.1+rocm6.4",
    "The user requested (constraint) xformers==0+kept.out.by.rocmdoctor",
    f"amd {_ENV}/rocmdoctor-constraints.txt {_ENV}/rocmdoctor-overrides.txt",
]
_SSH = "ssh -o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null -o LogLevel=ERROR -i /root/key ann@127.0.0.1"


def _prepare(wheels: Path, key: Path) -> object:
    def prepare(fresh: Box) -> None:
        fresh.good("useradd -m -s /bin/bash ann && apt-get -q update", seconds=900)
        fresh.good("./run --version", user="ann", seconds=900)
        fresh.good(
            "DEBIAN_FRONTEND=noninteractive apt-get -qq -y install --no-install-recommends openssh-server cron",
            seconds=900,
        )
        fresh.write("/etc/ssh/sshd_config.d/here.conf", "ListenAddress 127.0.0.1\nPort 22\n")
        fresh.write("/home/ann/.ssh/authorized_keys", key.with_suffix(".pub").read_text(encoding="utf-8"))
        fresh.good("chmod 700 /home/ann/.ssh && chown -R ann: /home/ann/.ssh")
        fresh.write("/root/key", key.read_text(encoding="utf-8"), 0o600)
        fresh.write("/usr/local/bin/nvcc", "#!/bin/sh\necho stand-in for nvcc\n", 0o755)
        fresh.write("/srv/look", _LOOK, 0o755)
        for path in wheels.iterdir():
            target = fresh.root / "srv/wheels" / path.name
            target.parent.mkdir(exist_ok=True)
            target.write_bytes(path.read_bytes())
        conf = "[global]\nno-index = true\nfind-links = /srv/wheels\n"
        fresh.good(f"python3 -m venv {_ENV}", user="ann", seconds=900)
        fresh.write(f"{_ENV}/pip.conf", conf)
        fresh.good(f"chown ann: {_ENV}/pip.conf")

    return prepare


@pytest.fixture(scope="module")
def protected(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Machine]:
    """A booted machine with servers of ssh and cron, and ann's environment after `install torch`."""
    folder = tmp_path_factory.mktemp("protected")
    standins.rocm_stack(folder / "wheels")
    standins.pypi(folder / "wheels")
    key = folder / "key"
    good(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", key])
    with machine(INSTALLER, folder / "box", _prepare(folder / "wheels", key)) as booted:  # type: ignore[arg-type]
        install = (
            f"./run install torch --arch gfx90a --pin torch==2.9.1 --env {_ENV} --no-root --yes --patience 20"
        )
        booted.good(install, user="ann", seconds=900)
        booted.good("./run env --arch gfx90a --write", user="ann", seconds=600)
        yield booted


def test_in_a_login_shell(protected: Machine) -> None:
    assert protected.good("su - ann -c /srv/look", seconds=600).splitlines() == _SEEN


def test_in_a_shell_without_anything(protected: Machine) -> None:
    said = protected.good(
        "env -i PATH=/usr/bin:/bin setpriv --reuid=ann --regid=ann --init-groups /bin/sh /srv/look",
        seconds=300,
    )
    assert said.splitlines() == _SEEN


def test_in_a_command_by_ssh(protected: Machine) -> None:
    assert protected.good(f"{_SSH} /srv/look", seconds=600).splitlines() == _SEEN


def test_from_cron(protected: Machine) -> None:
    """cron starts what is due at the next full minute."""
    said = protected.root / "home/ann/cron.txt"
    protected.write(
        "/etc/cron.d/look",
        "* * * * * ann /srv/look > /home/ann/cron.part 2>&1 && mv -n /home/ann/cron.part /home/ann/cron.txt\n",
    )
    until = time.monotonic() + 300
    while not said.exists() and time.monotonic() < until:
        time.sleep(0.5)
    protected.good("rm /etc/cron.d/look")
    assert said.read_text(encoding="utf-8").splitlines() == _SEEN


def test_what_another_user_of_the_environment_gets(protected: Machine) -> None:
    """pip.conf lies in the environment: it holds whoever may write there, root too."""
    said = protected.good(f"{_ENV}/bin/python -m pip install --dry-run triton 2>&1 || true", seconds=600)
    assert "The user requested (constraint) triton==0+kept.out.by.rocmdoctor" in said
