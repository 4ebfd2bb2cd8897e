"""What faults are made with: a server with users, an apt repository of our own on loopback, recipes of small packages."""

from __future__ import annotations

import gzip
import hashlib
import http.server
import inspect
import json
import os
import shlex
import shutil
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pexpect

from tests.conftest import CHECKOUT
from tests.e2e.boxes import HOME, Box, copy_checkout, layer
from tests.e2e.images import one_at_a_time
from tests.e2e.installer import INSTALLER, PASSWORD, Machine, running, state_of, with_users
from tests.e2e.processes import bounded, good

OWN = "/opt/own"  # recipes of the tests' own, inside
STATE = "/var/lib/rocmdoctor"
INSTALL = ("install", "--arch", "gfx90a", "--content", OWN)
_SOURCES = "/etc/apt/sources.list.d/faults.sources"
_KEYRING = "/etc/apt/keyrings/faults.asc"


# ---------------------------------------------------------------- machines


def users_layer() -> Path:
    """A layer over the image with users and the doctor's environments, made once: it takes half a minute."""
    shaped = [INSTALLER.path.name, inspect.getsource(with_users), inspect.getsource(_users)]
    files = [(CHECKOUT / name).read_bytes() for name in ("pyproject.toml", "run")]
    key = hashlib.sha256("\n".join(shaped).encode() + b"".join(files)).hexdigest()[:12]
    kept = INSTALLER.path.parent / f"users-{key}"
    with one_at_a_time(kept) as missing:
        if not missing:
            return kept
        aside = Path(tempfile.mkdtemp(prefix=".users.", dir=kept.parent))
        with layer(INSTALLER, aside / "layer", keep=True) as root:
            copy_checkout(root / HOME[1:])
            _users(Box(root))
            shutil.rmtree(root / HOME[1:])
        (aside / "layer" / "upper").rename(kept)
        shutil.rmtree(aside, ignore_errors=True)
    return kept


def _users(fresh: Box) -> None:
    with_users(fresh)
    # bob may not use sudo. Packages come from a repository of the tests' own and from nowhere else.
    fresh.good(f"useradd -m -s /bin/bash bob && printf 'bob:{PASSWORD}\\n' | chpasswd")
    fresh.good("./run --version", user="bob", seconds=300)
    fresh.good("rm -rf /etc/apt/sources.list /etc/apt/sources.list.d/* /var/lib/apt/lists/*")


@contextmanager
def server(folder: Path, repository: Repository | None = None, *more: str) -> Iterator[Machine]:
    """A booted server with ann, who may use sudo, bob, who may not, and the repository as the only source of packages."""
    with layer(INSTALLER, folder, (users_layer(),)) as root:
        copy_checkout(root / HOME[1:])
        inside = Box(root)
        (root / OWN[1:] / "recipes").mkdir(parents=True)
        if repository is not None:
            inside.write(_KEYRING, repository.key)
            inside.write(_SOURCES, repository.sources(_KEYRING))
            # apt tries three times, with pauses; once tells as much.
            inside.write("/etc/apt/apt.conf.d/faults", 'Acquire::Retries "0";\n')
        with running(root, folder, *more) as booted:
            yield booted


# ---------------------------------------------------------------- recipes


def _recipe(name: str, steps: str) -> str:
    return f"schema: 1\nid: {name}\ntitle: For a test\nsteps:\n{steps}\n"


def recipe(booted: Machine, name: str, *steps: tuple[str, Mapping[str, Any]], own: str = OWN) -> str:
    """A recipe of these operations with their arguments, in this order; its name."""
    lines = []
    for number, (uses, arguments) in enumerate(steps, 1):
        # JSON is YAML.
        lines += [f"  - id: s{number}", f"    uses: {uses}"]
        lines += [f"    with: {json.dumps(arguments)}"] if arguments else []
        lines += [f"    after: [s{number - 1}]"] if number > 1 else []
    booted.write(f"{own}/recipes/{name}.yaml", _recipe(name, "\n".join(lines)))
    return name


def packages(*names: str) -> tuple[str, dict[str, Any]]:
    """The step that installs packages."""
    return "apt.install", {"packages": list(names)}


# ---------------------------------------------------------------- a repository


@dataclass
class _Mischief:
    """What the server does wrong. `cut`: the connection is closed after so many bytes of a package, then nobody answers.

    `wants` is a header with its value without which nothing is given, and the code of that answer.
    """

    cut: int | None = None
    wants: tuple[str, str, int] | None = None
    seen: list[str] = field(default_factory=list)


class _Handler(http.server.SimpleHTTPRequestHandler):
    server: _Server

    def log_message(self, *_args: object) -> None:
        """Says nothing."""

    def do_GET(self) -> None:
        mischief = self.server.mischief
        # As a proxy it is given whole addresses.
        self.path = self.path.removeprefix(f"http://127.0.0.1:{self.server.server_port}")
        mischief.seen.append(self.path)
        if mischief.wants is not None and self.headers.get(mischief.wants[0]) != mischief.wants[1]:
            self.send_error(mischief.wants[2])
            return
        if mischief.cut is None or not self.path.endswith((".deb", ".bin")):
            super().do_GET()
            return
        data = Path(self.translate_path(self.path)).read_bytes()
        self.send_response(200)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data[: mischief.cut])
        self.wfile.flush()
        self.close_connection = True
        self.server.gone.set()
        self.server.socket.close()


class _Server(http.server.ThreadingHTTPServer):
    daemon_threads = True
    allow_reuse_address = True

    def __init__(self, folder: Path, port: int, mischief: _Mischief) -> None:
        self.mischief = mischief
        self.gone = threading.Event()
        super().__init__(("127.0.0.1", port), lambda *a, **k: _Handler(*a, directory=str(folder), **k))

    def handle_error(self, *_args: object) -> None:
        """A client that went away is nothing to tell."""

    def service_actions(self) -> None:
        if self.gone.is_set():
            raise SystemExit


class Repository:
    """A signed repository of packages that are built here, served on loopback. The machines share the host's network."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.mischief = _Mischief()
        self._built = folder / "built"
        self._served = folder / "served"
        self._gnupg = folder / "gnupg"
        for path in (self._built, self._served, self._gnupg):
            path.mkdir(parents=True)
        self._gnupg.chmod(0o700)
        self._gpg(
            "--quick-generate-key", "--passphrase", "", "faults@example.invalid", "ed25519", "sign", "never"
        )
        self.key = self._gpg("--armor", "--export")
        self.port = 0
        self.up()
        self.add("fault-other")
        self.publish()

    def _gpg(self, *argv: str) -> str:
        return good(["gpg", "--homedir", self._gnupg, "--batch", "--yes", "--quiet", *argv])

    # ------------------------------------------------------------ the server

    def up(self) -> None:
        """Answers again, on the same port."""
        self.mischief.cut = None
        self._http = _Server(self._served, self.port, self.mischief)
        self.port = self._http.server_address[1]
        self._thread = threading.Thread(target=self._serve, args=(self._http,), daemon=True)
        self._thread.start()

    @staticmethod
    def _serve(http_server: _Server) -> None:
        with suppress(SystemExit, OSError, ValueError):
            http_server.serve_forever(poll_interval=0.05)

    def down(self) -> None:
        """Nobody answers; connections are refused."""
        if self._thread.is_alive():
            self._http.shutdown()
            self._thread.join(5)
        self._http.server_close()

    def close(self) -> None:
        """The end of it."""
        self.down()
        bounded(["gpgconf", "--homedir", self._gnupg, "--kill", "all"])

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def sources(self, keyring: str, url: str = "") -> str:
        """The text of a .sources file."""
        return f"Types: deb\nURIs: {url or self.url}\nSuites: ./\nSigned-By: {keyring}\n"

    # ------------------------------------------------------------ what is in it

    def add(
        self,
        name: str,
        version: str = "1",
        *,
        size: int = 0,
        scripts: Mapping[str, str] | None = None,
        **fields: str,
    ) -> None:
        """A package with a file below /usr/share and maintainer scripts; `size` bytes of it cannot be compressed."""
        tree = self._built / f"{name}_{version}"
        shutil.rmtree(tree, ignore_errors=True)
        (tree / "DEBIAN").mkdir(parents=True)
        more = "".join(f"{key.replace('_', '-')}: {value}\n" for key, value in fields.items())
        (tree / "DEBIAN" / "control").write_text(
            f"Package: {name}\nVersion: {version}\nArchitecture: all\nMaintainer: a test <faults@example.invalid>\n"
            f"Installed-Size: {size // 1024 + 1}\nDescription: for a test\n{more}",
            encoding="utf-8",
        )
        for script, text in (scripts or {}).items():
            path = tree / "DEBIAN" / script
            path.write_text(f"#!/bin/sh\n{text}\n", encoding="utf-8")
            path.chmod(0o755)
        content = tree / "usr" / "share" / name
        content.mkdir(parents=True)
        (content / "text").write_text(f"{name} {version}\n", encoding="utf-8")
        if size:
            (content / "blob").write_bytes(os.urandom(size))
        good(
            [
                "dpkg-deb",
                "--build",
                "--root-owner-group",
                "-Zxz",
                "-z0",
                tree,
                self._served / f"{name}_{version}.deb",
            ]
        )
        shutil.rmtree(tree)

    def remove(self, name: str, version: str = "1") -> None:
        """Takes a package out."""
        (self._served / f"{name}_{version}.deb").unlink()

    def file(self, name: str, data: bytes) -> str:
        """A plain file beside the packages; its address."""
        (self._served / name).write_bytes(data)
        return f"{self.url}/{name}"

    def spoil(self, name: str, version: str = "1") -> None:
        """The package becomes another of the same size, the list of packages stays."""
        path = self._served / f"{name}_{version}.deb"
        data = bytearray(path.read_bytes())
        data[-1] ^= 1
        path.write_bytes(data)

    def publish(self, *, ahead: timedelta = timedelta(0)) -> None:
        """Writes and signs the lists. `ahead`: as a server does whose clock is so much before the machine's."""
        text = "".join(map(self._entry, sorted(self._served.glob("*.deb"))))
        (self._served / "Packages").write_text(text, encoding="utf-8")
        (self._served / "Packages.gz").write_bytes(gzip.compress(text.encode(), mtime=0))
        date = (datetime.now(timezone.utc) + ahead).strftime("%a, %d %b %Y %H:%M:%S UTC")
        lines = [f"Date: {date}", "Architectures: amd64 all", "SHA256:"]
        for name in ("Packages", "Packages.gz"):
            data = (self._served / name).read_bytes()
            lines.append(f" {hashlib.sha256(data).hexdigest()} {len(data)} {name}")
        (self.folder / "Release").write_text("\n".join(lines) + "\n", encoding="utf-8")
        self._gpg("--clearsign", "--output", str(self._served / "InRelease"), str(self.folder / "Release"))

    @staticmethod
    def _entry(path: Path) -> str:
        data = path.read_bytes()
        control = good(["dpkg-deb", "--field", path]).strip()
        return f"{control}\nFilename: {path.name}\nSize: {len(data)}\nSHA256: {hashlib.sha256(data).hexdigest()}\n\n"


# ---------------------------------------------------------------- what is asked of a machine


def installed(booted: Box, name: str) -> str:
    """dpkg's words for a package, such as `install ok installed`; empty where there is none of it."""
    said = booted.run("dpkg-query -W -f '${Status}' \"$1\" 2>/dev/null", name).stdout
    return "" if said == "unknown ok not-installed" else said


def newest_run(booted: Box) -> str:
    """The folder of the newest run, inside."""
    numbers = sorted(int(n) for n in booted.good(f"ls {STATE}/runs").split())
    return f"{STATE}/runs/{numbers[-1]}"


def events(booted: Box, folder: str = "") -> list[str]:
    """The events of a run's journal, each with its action."""
    text = (booted.root / (folder or newest_run(booted))[1:] / "journal.jsonl").read_text(encoding="ascii")
    lines: list[dict[str, Any]] = [json.loads(line) for line in text.splitlines()]
    return [f"{line['event']} {line['action']}".strip() for line in lines]


def state(booted: Box) -> dict[str, str]:
    """As `state_of`, without the tests' own recipes and what sudo and the shell leave behind by themselves."""
    left_out = (".sudo_as_admin_successful", ".bash_history")
    found = state_of(booted)
    return {k: v for k, v in found.items() if not k.endswith(left_out) and not k.startswith(f"{OWN}/")}


def differing(one: Mapping[str, str], other: Mapping[str, str]) -> dict[str, tuple[str | None, str | None]]:
    """What two states have not in common."""
    return {k: (one.get(k), other.get(k)) for k in sorted({*one, *other}) if one.get(k) != other.get(k)}


def until(holds: Callable[[], object], what: str, seconds: float = 60) -> None:
    """Waits for what another process does, and looks often."""
    end = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < end, f"{what}: not within {seconds:.0f} s"
        time.sleep(0.02)


def reboot(booted: Machine) -> None:
    """Lets the machine reboot, and waits until it has."""
    with booted.begin("systemctl reboot"):
        booted.wait_for_reboot()


def recovered(booted: Machine) -> None:
    """After a failed test: nothing of it is left that would make the next ones fail, too."""
    gate(booted, opened=True)
    for run in reversed(booted.doctor("history")["data"]["runs"]):
        if run["state"] not in ("done", "undone", "empty"):
            booted.run('./run undo --yes "$1"', str(run["run"]))
    booted.run("apt-get -y -q purge 'fault-*'; rm -f /etc/fault*", seconds=60)


# ---------------------------------------------------------------- a person


class Talk:
    """What a person types on a terminal. All that was shown is in `said`."""

    def __init__(self, booted: Machine, *argv: str, user: str = "ann", cwd: str = HOME) -> None:
        self.spawned = booted.terminal(f"cd {cwd} && " + shlex.join(["./run", *argv]), user, 60)
        self.said = ""

    def hears(self, pattern: str) -> Talk:
        """Waits for it."""
        self.spawned.expect(pattern)
        self.said += self.spawned.before + self.spawned.after
        return self

    def types(self, line: str) -> Talk:
        """A line."""
        self.spawned.sendline(line)
        return self

    def agrees(self) -> Talk:
        """To the plan, and types the password where it is asked for."""
        self.hears(r"\[y/N\]").types("y")
        return self.gives_password()

    def gives_password(self) -> Talk:
        """Once."""
        return self.hears("Password of ann:").types(PASSWORD)

    def ctrl_c(self) -> Talk:
        """Presses it."""
        self.spawned.sendintr()
        return self

    def ends(self) -> int:
        """The exit code."""
        self.spawned.expect(pexpect.EOF)
        self.said += self.spawned.before
        self.spawned.close()
        assert "Traceback" not in self.said, self.said
        code: int | None = self.spawned.exitstatus
        assert code is not None, self.said
        return code


# ---------------------------------------------------------------- a step that waits

_GATE = "var/tmp/gate"
# A maintainer script that says that it is there, and goes on when it may; it never waits for ever.
GATED = f"""\
mkdir -p /{_GATE}
: > /{_GATE}/$DPKG_MAINTSCRIPT_PACKAGE
for i in $(seq 600); do [ -e /{_GATE}/open ] && exit 0; sleep 0.1; done
exit 1
"""


def waiting(booted: Machine, name: str) -> None:
    """Until the package's script stands at the gate."""
    until((booted.root / _GATE / name).exists, f"{name} at the gate")


def gate(booted: Machine, *, opened: bool) -> None:
    """Opens the gate, or closes it and forgets who stood there."""
    folder = booted.root / _GATE
    if opened:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "open").touch()
    else:
        shutil.rmtree(folder, ignore_errors=True)
