"""What a Python environment says of itself, asked through its own interpreter in a child, as the user. Pure.

What nobody asked, as of a saved snapshot, counts as absent: planning it once more changes nothing where it is right.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import field

from rocmdoctor.facts.distributions import normalized
from rocmdoctor.facts.own import CacheFolder
from rocmdoctor.facts.pip_settings import PipSettings
from rocmdoctor.frozen import frozen
from rocmdoctor.model import Env, List, Query, Run, Stat
from rocmdoctor.ops.ground import Ground

# direct_url.json is PEP 610: from which file a distribution came. A wheel of our cache lies in a folder named by its key.
_CODE = """\
import importlib.metadata as m, os, re, sys, sysconfig
print("python", "%d.%d.%d" % sys.version_info[:3])
print("writable", int(os.access(sysconfig.get_path("purelib"), os.W_OK)))
for d in m.distributions():
    k = re.search(r"/wheels/([0-9a-f]{32})/", d.read_text("direct_url.json") or "")
    print("dist", d.metadata["Name"], d.version, k.group(1) if k else "-")
"""
# How this machine reaches the network; a run by root has none of the user's variables.
_WAYS = Env(
    (
        "HTTPS_PROXY", "HTTP_PROXY", "NO_PROXY", "https_proxy", "http_proxy", "no_proxy", "PIP_CERT", "SSL_CERT_FILE",
        "REQUESTS_CA_BUNDLE", "GIT_SSL_CAINFO",
    )
)  # fmt: skip


@frozen
class Environment:
    """A Python environment. `state`: absent, there, broken (its interpreter does not start) or unknown.

    `python` is its version, "" where it has none. `dists`: name to version and to the key of the cached wheel it came from.
    """

    path: str
    state: str
    python: str = ""
    writable: bool = True
    dists: Mapping[str, tuple[str, str]] = field(default_factory=dict)
    why: str = ""

    @property
    def minor(self) -> str:
        """X.Y of its Python, "" where it has none."""
        return ".".join(self.python.split(".")[:2])

    def version(self, name: str) -> str | None:
        """The version of a distribution, None where it is not there."""
        found = self.dists.get(normalized(name))
        return found[0] if found else None


def python_of(env: str) -> str:
    """The environment's interpreter."""
    return f"{env}/bin/python"


def env_questions(path: str) -> tuple[Query, ...]:
    """What tells what is in an environment."""
    ask = (python_of(path), "-I", "-B", "-c", _CODE)
    return (Stat(path), List(path), Run(ask, timeout=10.0, limit=1 << 20))


def environment(ground: Ground, path: str) -> Environment:
    """The environment as it is; noted as a claim."""
    stat, names, said = (ground.answer(query) for query in env_questions(path))
    there = stat.ok and not (names.ok and not names.text.strip())
    text = said.stdout if said.ok and said.exit_code == 0 else None
    found = _read(path, there, "absent" if stat.ok else stat.why, text)
    if found.state == "broken":
        told = (said.stderr.strip().splitlines() or [said.why or f"exit code {said.exit_code}"])[-1]
        found = Environment(path, "broken", why=told)
    ground.claim(f"environment {path}", f"Python {found.python}" if found.python else found.state)
    return found


def _read(path: str, there: bool, why: str, text: str | None) -> Environment:  # noqa: FBT001 - a fact
    if not there:
        return Environment(path, "absent" if why in ("absent", "not-asked") else "unknown", why=why)
    if text is None:
        return Environment(path, "broken")
    rows = [line.split(" ") for line in text.splitlines()]
    python = next((row[1] for row in rows if row[0] == "python" and len(row) == 2), "")
    writable = ["writable", "0"] not in rows
    dists: dict[str, tuple[str, str]] = {}
    for row in rows:
        if row[0] == "dist" and len(row) == 4:
            # The one that Python finds first is the one that counts.
            dists.setdefault(normalized(row[1]), (row[2], "" if row[3] == "-" else row[3]))
    return Environment(path, "there" if python else "broken", python, writable, dists)


def ways() -> Iterator[Query]:
    """What tells how this machine reaches the network."""
    yield _WAYS


def ways_of(ground: Ground) -> dict[str, str]:
    """Proxies and certificates that the person set, for programs that are started without the person's variables.

    One that holds a password is left out: plans are for everybody to read.
    """
    found = {}
    for name in _WAYS.names:
        value = ground.answer(Env((name,))).text
        if value and not re.search(r"[@\x00-\x1f]|\*\*\*", value):
            found[name] = value
    settings = ground.maybe(PipSettings)
    index = settings.pip.get("index-url") if settings else None
    if index and index.where == "PIP_INDEX_URL" and "@" not in index.values[0]:
        found["PIP_INDEX_URL"] = index.values[0]
    return found


def cache_of(ground: Ground) -> str:
    """The folder of what can be made again; XDG's variable moves it."""
    fact = ground.maybe(CacheFolder)
    base = fact.named if fact and fact.named else f"{ground.person.home}/.cache"
    return f"{base}/rocmdoctor"
