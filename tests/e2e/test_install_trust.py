"""Who can change every file of their own cannot make root run anything; no secret is written down.

Markers tell: everything that a user can write is overwritten with what leaves a file in a folder that anybody may write to, under
the number of whoever ran it.
"""

from __future__ import annotations

import base64
import json
import shlex
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import pytest

from tests.e2e.faults import (
    INSTALL,
    STATE,
    Repository,
    Talk,
    differing,
    events,
    installed,
    newest_run,
    packages,
    reboot,
    recipe,
    recovered,
    server,
    state,
)
from tests.e2e.installer import Machine

_CHECKOUT = "/home/ann/doctor"
_CONTENT = "/home/ann/own"
_MARKERS = "/var/markers"
_FILE = "file.write", {"path": "/etc/fault", "text": "as it is to be\n"}
_SECRETS = {"environment": "hf_sEcReTtOkEn", "proxy": "pr0xysEcReT", "url": "urLsEcReT", "auth": "aUthsEcReT"}


@dataclass(frozen=True)
class Lab:
    """A machine on which ann has a checkout and recipes of her own."""

    machine: Machine
    repository: Repository

    def markers(self) -> list[str]:
        """What root ran of what ann had planted."""
        return self.machine.good(f"find {_MARKERS} -type f \\( -user root -o -name '0.*' \\)").split()


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    folder = tmp_path_factory.mktemp("trust")
    repository = Repository(folder / "repository")
    try:
        with server(folder / "box", repository) as booted:
            booted.good("apt-get -q update")
            booted.good(
                f"cp -r /opt/rocmdoctor {_CHECKOUT} && mkdir -p {_CONTENT} && install -d -m 1777 {_MARKERS}"
            )
            booted.good("echo nobody but root may change this > /etc/victim && chmod 644 /etc/victim")
            recipe(booted, "small", packages("fault-other"), _FILE)
            yield Lab(booted, repository)
    finally:
        repository.close()


@pytest.fixture(autouse=True)
def _as_before(lab: Lab, request: pytest.FixtureRequest) -> Iterator[None]:
    """What a failed test left behind must not make the next ones fail."""
    failed = request.session.testsfailed
    yield
    if request.session.testsfailed != failed:
        recovered(lab.machine)
    lab.repository.mischief.wants = None


# ---------------------------------------------------------------- where root keeps what it runs


def _with_state(lab: Lab, folder: str) -> dict[str, Any]:
    done = lab.machine.run(
        f"./run {shlex.join(INSTALL)} small --yes --json", env={"ROCMDOCTOR_STATE": folder}, seconds=60
    )
    said: dict[str, Any] = json.loads(done.stdout)
    return said


@pytest.mark.parametrize(
    ("make", "folder"),
    [
        pytest.param("install -d -o ann /srv/a", "/srv/a", id="of the user's"),
        pytest.param("install -d -o ann /srv/b", "/srv/b/state", id="below one of the user's"),
        pytest.param("install -d -m 777 /srv/c", "/srv/c", id="for everybody", marks=pytest.mark.slow),
        pytest.param("install -d -m 1777 /srv/d", "/srv/d", id="for everybody, as /tmp"),
        pytest.param("install -d -m 775 -g ann /srv/e", "/srv/e", id="for a group", marks=pytest.mark.slow),
        pytest.param(
            "install -d -o ann /srv/f && ln -s /srv/f /srv/g",
            "/srv/g",
            id="by way of a link",
            marks=pytest.mark.slow,
        ),
        pytest.param(
            "install -d /srv/h && install -d -o ann /srv/h/versions", "/srv/h", id="with the user's versions"
        ),
    ],
)
def test_a_state_folder_that_others_can_change_is_refused(lab: Lab, make: str, folder: str) -> None:
    lab.machine.good(make)
    before = state(lab.machine)
    said = _with_state(lab, folder)
    (problem,) = said["errors"]
    assert (said["exit_code"], problem["code"]) == (4, "not-begun")
    assert "can be written by others than root (owner" in problem["message"]
    assert problem["message"].endswith("nothing was changed")
    assert differing(state(lab.machine), before) == {}
    lab.machine.good("rm -rf /srv/*")


def test_what_lies_ready_in_a_state_folder_is_not_run(lab: Lab) -> None:
    """A user who knows the digest puts a program where root would look for its own, and moves the folder there."""
    assert lab.machine.doctor(*INSTALL, "small", "--yes")["exit_code"] == 0
    assert lab.machine.doctor("undo", "--yes")["exit_code"] == 0
    (digest,) = lab.machine.good(f"ls {STATE}/versions").split()
    lab.machine.good("install -d -m 1777 /srv/state")
    lab.machine.good(
        'mkdir -p "/srv/state/versions/$1" && printf \'open("/var/markers/0.start", "w")\\n\' > "/srv/state/versions/$1/start.py"',
        digest, user="ann",
    )  # fmt: skip
    assert _with_state(lab, "/srv/state")["exit_code"] == 4
    said = lab.machine.run("./run resume; ./run undo --yes", env={"ROCMDOCTOR_STATE": "/srv/state"})
    assert said.returncode == 2
    assert lab.markers() == []
    lab.machine.good("rm -rf /srv/state")


def test_runs_that_lie_ready_are_not_gone_on_with(lab: Lab) -> None:
    """Whole run folders, with a program of their own, in a folder of the user's."""
    assert lab.machine.doctor(*INSTALL, "small", "--yes")["exit_code"] == 0
    lab.machine.good(f"cp -r {STATE} /srv/state && chown -R ann /srv/state")
    lab.machine.good(
        'for f in /srv/state/versions/*/start.py; do printf \'open("/var/markers/0.start", "w")\\n\' > $f; done',
        user="ann",
    )
    done = lab.machine.run("./run undo --yes --json", env={"ROCMDOCTOR_STATE": "/srv/state"})
    said = json.loads(done.stdout)
    assert (done.returncode, said["status"]) == (2, "error")
    assert "only where nobody else could have changed it" in said["errors"][0]["message"]
    assert lab.markers() == []
    lab.machine.good("rm -rf /srv/state")
    assert lab.machine.doctor("undo", "--yes")["exit_code"] == 0


@contextmanager
def _changed(booted: Machine, command: str, back: str) -> Iterator[None]:
    booted.good(command)
    try:
        yield
    finally:
        booted.good(back)


@pytest.mark.parametrize("how", ["chown ann", "chmod o+w"])
@pytest.mark.parametrize(
    "what", ["$(readlink -f /usr/bin/python3)", pytest.param("/usr/bin", marks=pytest.mark.slow)]
)
def test_a_python_that_others_can_change_is_refused(lab: Lab, how: str, what: str) -> None:
    before = state(lab.machine)
    with _changed(lab.machine, f"{how} {what}", f"chown root {what}; chmod o-w {what}"):
        said = lab.machine.doctor(*INSTALL, "small", "--yes")
    assert (said["exit_code"], said["errors"][0]["code"]) == (3, "no-root")
    assert "can be written by others than root" in said["errors"][0]["message"]
    assert differing(state(lab.machine), before) == {}


# ---------------------------------------------------------------- a user who changes all that is theirs

_PLANT = r"""
import os, stat
PYTHON = 'import os\nos.close(os.open("/var/markers/%d.python" % os.geteuid(), os.O_CREAT | os.O_WRONLY))\n'
SHELL = '#!/bin/sh\n: > /var/markers/$(id -u).$(basename "$0")\n'
PROGRAMS = ("apt-get dpkg dpkg-query python3 python systemctl sudo touch git env sh ldconfig rocmdoctor").split()
MODULES = ("sitecustomize usercustomize rocmdoctor click plumbum psutil json os zipfile encodings").split()
def write(path, text):
    try:
        with open(path, "w") as file:
            file.write(text)
        os.chmod(path, 0o755)
    except OSError:
        pass
count = 0
for folder, folders, files in os.walk("/"):
    folders[:] = [f for f in folders if os.path.join(folder, f) not in ("/proc", "/sys", "/dev", "/var/markers")]
    for name in files:
        path = os.path.join(folder, name)
        if os.path.isfile(path) and os.access(path, os.W_OK):
            write(path, PYTHON if name.endswith((".py", ".pyc", ".pth")) else SHELL)
            count += 1
    if os.access(folder, os.W_OK):
        for name in PROGRAMS:
            write(os.path.join(folder, name), SHELL)
        for name in MODULES:
            write(os.path.join(folder, name + ".py"), PYTHON)
        write(os.path.join(folder, "evil.pth"), "import sitecustomize\n")
home = os.path.expanduser("~")
lib = home + "/.local/lib/python3.13/site-packages"
os.makedirs(lib, exist_ok=True)
for name in ("usercustomize.py", "sitecustomize.py"):
    write(lib + "/" + name, PYTHON)
write(lib + "/evil.pth", "import usercustomize\n")
units = home + "/.config/systemd/user"
os.makedirs(units, exist_ok=True)
write(units + "/rocmdoctor-resume.service", "[Service]\nExecStart=/home/ann/apt-get\n")
profile = SHELL + "export PYTHONPATH=%s PYTHONSTARTUP=%s/os.py PATH=%s:$PATH BASH_ENV=%s/.profile\n" % (home, home, home, home)
for name in (".profile", ".bash_profile", ".zshenv", ".pam_environment"):
    write(home + "/" + name, profile)
for name, target in ((".bashrc", "/etc/shadow"), (".config/rocmdoctor/env.sh", "/etc/victim")):
    path = home + "/" + name
    os.makedirs(os.path.dirname(path), exist_ok=True)
    if os.path.lexists(path):
        os.unlink(path)
    os.symlink(target, path)
print(count)
"""


def _trap_springs(lab: Lab) -> None:
    """A trap that nothing could spring would tell nothing."""
    for command in (
        "/home/ann/apt-get", f"python3 -B {_CHECKOUT}/rocmdoctor/__main__.py", f"cd {_CHECKOUT} && ./run --version",
        "PYTHONPATH=/home/ann python3 -B -c ''",
    ):  # fmt: skip
        lab.machine.run(f"(HOME=/home/ann {command})")
        assert lab.markers() != [], command
        lab.machine.good(f"rm {_MARKERS}/*")


def _agreed_to_by_ann(lab: Lab) -> None:
    """From ann's own checkout, with ann's own recipes, up to the reboot."""
    after = [
        packages("fault-other"),
        ("run", {"argv": ["systemctl", "daemon-reload"], "root": True, "creates": "/nowhere"}),
        ("run", {"argv": ["touch", "/etc/fault-touched"], "root": True, "creates": "/etc/fault-touched"}),
        ("shell.env", {"variables": {"FAULT": "1"}}),
    ]
    recipe(lab.machine, "mine", _FILE, ("reboot", {"why": "the new kernel runs"}), *after, own=_CONTENT)
    lab.machine.good("chown -R ann: /home/ann")
    talk = Talk(
        lab.machine, "install", "--arch", "gfx90a", "--content", _CONTENT, "mine", "--yes", cwd=_CHECKOUT
    )
    assert talk.gives_password().ends() == 102, talk.said


def _root_s_own(lab: Lab) -> dict[str, str]:
    return {
        k: v
        for k, v in state(lab.machine).items()
        if not k.startswith(("/home/", "/tmp/", "/var/tmp/", _MARKERS))
    }


def test_root_runs_nothing_that_the_user_changed_after_the_yes(lab: Lab) -> None:
    _agreed_to_by_ann(lab)
    before = _root_s_own(lab)
    shadow = lab.machine.good("sha256sum /etc/shadow /etc/victim")
    run = newest_run(lab.machine)
    lab.machine.write("/opt/plant.py", _PLANT)
    assert int(lab.machine.good("python3 -I /opt/plant.py", user="ann", env={"HOME": "/home/ann"})) > 500
    assert lab.machine.good("cat /home/ann/.bashrc 2>&1 || true", user="ann").endswith("Permission denied\n")
    assert lab.machine.good("find /home/ann -user root") == ""
    lab.machine.good("rm /opt/plant.py")
    _trap_springs(lab)

    reboot(lab.machine)
    # Root's steps are done, with root's own programs; the first step that meets a link of ann's is refused.
    assert events(lab.machine, run)[-2:] == ["begin mine.s6.1", "failed mine.s6.1"]
    assert "done mine.s5" in events(lab.machine, run)
    assert installed(lab.machine, "fault-other") == "install ok installed"
    _nothing_was_sprung(lab, before, shadow)

    # The same with the next link, and then to the end, for which ann's own programs are asked, by ann.
    lab.machine.good("rm /home/ann/.config/rocmdoctor/env.sh")
    said = lab.machine.doctor("resume")
    assert (said["exit_code"], said["errors"][0]["where"]) == (4, "mine.s6.2")
    assert "/home/ann/.bashrc: permission denied" in said["errors"][0]["message"]
    _nothing_was_sprung(lab, before, shadow)
    lab.machine.good("rm /home/ann/.bashrc")
    assert lab.machine.doctor("resume")["exit_code"] == 0
    _nothing_was_sprung(lab, before, shadow)
    assert (
        lab.machine.good("stat -c '%U %F' /home/ann/.bashrc /home/ann/.config/rocmdoctor/env.sh")
        == "ann regular file\n" * 2
    )
    assert lab.machine.doctor("undo", "--yes")["exit_code"] == 0
    _nothing_was_sprung(lab, before, shadow)
    lab.machine.good("rm -f /etc/fault-touched")


def _nothing_was_sprung(lab: Lab, before: dict[str, str], shadow: str) -> None:
    assert lab.markers() == []
    assert lab.machine.good("sha256sum /etc/shadow /etc/victim") == shadow
    assert lab.machine.good("find /home/ann -user root") == ""
    changed = {
        name for name in differing(_root_s_own(lab), before)
        if not name.startswith(("package fault-other", "/usr/share/fault-other", "/etc/fault", "/etc/systemd/system"))
    }  # fmt: skip
    assert changed == set()


def test_what_root_keeps_is_root_s_alone(lab: Lab) -> None:
    """Of all that was done above."""
    assert lab.machine.good(f"ls {STATE}/runs") != ""
    assert lab.machine.good(f"find {STATE} ! -user root") == ""
    assert lab.machine.good(f"find {STATE} ! -type l -perm /022") == ""
    # What files were before is for root alone: there may be anything in them.
    assert lab.machine.good(f"find {STATE}/runs/*/backup -perm /077") == ""


# ---------------------------------------------------------------- secrets


def _told(lab: Lab, *argv: str, env: dict[str, str]) -> str:
    """All that a command says, and the code it ends with."""
    done = lab.machine.run("HOME=/root ./run " + shlex.join(argv), env=env, seconds=90)
    return f"{done.stdout}{done.stderr}"


def test_no_secret_is_written_down(lab: Lab) -> None:
    """A token in the environment, a proxy with a password, a repository with one in its address and one in auth.conf."""
    booted, port, kept = lab.machine, lab.repository.port, []
    env = {
        "HF_TOKEN": _SECRETS["environment"],
        "https_proxy": f"http://u:{_SECRETS['environment']}@127.0.0.1:9/",
    }
    printing = "run", {"argv": ["printenv"], "root": True, "creates": "/nowhere"}
    recipe(booted, "secret", printing, packages("fault-other"), _FILE)
    sources = (booted.root / "etc/apt/sources.list.d/faults.sources").read_text()
    cases = {
        "proxy": (
            "etc/apt/apt.conf.d/proxy",
            f'Acquire::http::Proxy "http://u:{_SECRETS["proxy"]}@127.0.0.1:{port}";\n',
        ),
        "url": (
            "etc/apt/sources.list.d/faults.sources",
            sources.replace("http://", f"http://u:{_SECRETS['url']}@"),
        ),
        "auth": (
            "etc/apt/auth.conf.d/faults.conf",
            f"machine http://127.0.0.1:{port} login u password {_SECRETS['auth']}\n",
        ),
    }
    for name, (path, text) in cases.items():
        header = "Proxy-Authorization" if name == "proxy" else "Authorization"
        basic = base64.b64encode(f"u:{_SECRETS[name]}".encode()).decode()
        booted.write(path, text)
        # First the password is wrong, so that apt says what it does not get, then right.
        lab.repository.mischief.wants = (header, "Basic other", 407 if name == "proxy" else 401)
        kept.append(_told(lab, "plan", "secret", *INSTALL[1:], "-v", "-o", f"/opt/{name}.json", env=env))
        said = _told(lab, *INSTALL, "secret", "--yes", "-vv", env=env)
        assert "failed" in said, said
        lab.repository.mischief.wants = (header, f"Basic {basic}", 407 if name == "proxy" else 401)
        said += _told(lab, "resume", env=env)
        assert "✗" not in said.split("failed")[-1].partition("Done: ")[2], said
        assert installed(booted, "fault-other") == "install ok installed"
        kept += [
            said,
            _told(lab, "history", "--json", env=env),
            _told(lab, "collect", env=env),
            _told(lab, "check", "-vv", env=env),
        ]
        kept.append(_told(lab, "undo", "--yes", env=env))
        (booted.root / path).unlink() if name != "url" else booted.write(path, sources)
        lab.repository.mischief.wants = None
    text = "".join(kept) + booted.good(
        f"cat /opt/*.json; rm /opt/*.json; find {STATE} /root/.local -type f -exec cat {{}} + 2>/dev/null || true"
    )
    for name, secret in _SECRETS.items():
        assert secret not in text, name
        assert base64.b64encode(f"u:{secret}".encode()).decode().rstrip("=") not in text, name
    # It was looked at where it would stand.
    assert "401" in text
    assert "407" in text
    assert "PATH=/usr/sbin:/usr/bin" in text
