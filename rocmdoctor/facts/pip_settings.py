"""From which indexes pip and uv take packages, and where pip puts them: their files and variables; conda's channels."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, ClassVar

from rocmdoctor.facts.base import Evidence, Fact, Table, UnknownError
from rocmdoctor.facts.host import home_of
from rocmdoctor.facts.python_env import CHOOSERS, SYSTEM, chosen
from rocmdoctor.frozen import frozen
from rocmdoctor.model import Env, Query, Read

_PIP_INDEXES = ("PIP_INDEX_URL", "PIP_EXTRA_INDEX_URL")
_PIP = ("PIP_CONSTRAINT", "PIP_USER", "PIP_TARGET")
_UV = ("UV_INDEX_URL", "UV_EXTRA_INDEX_URL")
# The later one goes before the earlier. Source: pip's _internal/locations and configuration.py, get_configuration_files.
_ETC = ("/etc/xdg/pip/pip.conf", "/etc/pip.conf")
# Some indexes take a token as a part of the path: a long part ends what is kept.
_URL = r"(?:https?|file)://(?:[^\s/@'\"]{0,300}@)?[\w.:-]{0,200}(?:/[\w.+-]{1,15}(?![\w.+-]))*/?"
_PLACE = r"[\w./~+-]{1,200}"
_KEEP = (
    r"^\[[\w.-]{1,40}\]"
    rf"|^[ \t]{{0,8}}(?:extra[-_])?index[-_]url[ \t]*[=:](?:[ \t]*(?:\n[ \t]+)?{_URL}){{0,8}}"
    rf"|^[ \t]{{0,8}}find[-_]links[ \t]*[=:](?:[ \t]*(?:\n[ \t]+)?(?:{_URL}|[~.]?/{_PLACE})){{0,8}}"
    rf"|^[ \t]{{0,8}}target[ \t]*[=:][ \t]*{_PLACE}"
    rf"|^[ \t]{{0,8}}constraint[ \t]*[=:](?:[ \t]*(?:\n[ \t]+)?{_PLACE}){{0,8}}"
    r"|^[ \t]{0,8}(?:user|no[-_]index)[ \t]*[=:][ \t]*\w{1,5}\b"
)
# A channel may be a URL with a token in it: only names are kept.
_CHANNELS = r"^channels:(?:[ \t]*\n[ \t]*-[ \t]+[A-Za-z][A-Za-z0-9_-]{0,40}(?=[ \t]*$))+"


@frozen
class Setting:
    """One setting with its words. `where` is the file or the variable, `section` "" for a variable.

    `spelled` is the name as the file has it: pip reads `index_url` like `index-url`, and unsets the latter alone.
    """

    name: str
    values: tuple[str, ...]
    where: str
    section: str
    spelled: str = ""

    @property
    def true(self) -> bool:
        """Whether it says yes. Source: pip's _internal/utils/misc.py, strtobool."""
        return self.values[:1] != () and self.values[0].lower() in ("y", "yes", "t", "true", "on", "1")


@frozen
class PipSettings(Fact):
    """What holds for `pip install` and uv in the environment that is judged, by the name of the setting.

    Source: pip's _internal/configuration.py and cli/parser.py: [install] goes before [global] whatever the file, a
    variable before both, and the environment's file before the user's and the machine's. uv reads no file of pip's.
    """

    pip: Mapping[str, Setting]
    uv: Mapping[str, Setting]
    channels: tuple[str, ...]

    templates: ClassVar[tuple[str, ...]] = (
        "read:<HOME>/.pip/pip.conf",
        "read:<HOME>/.config/pip/pip.conf",
        "read:<HOME>/.condarc",
        "read:<environment>/pip.conf",
    )

    @classmethod
    def queries(cls) -> Mapping[str, Query]:
        return {
            "env": Env((*CHOOSERS, "HOME", *_PIP)),
            "indexes": Env((*_PIP_INDEXES, *_UV), keep=_URL),
            **{path: Read(path, keep=_KEEP, limit=16384) for path in _ETC},
        }

    @classmethod
    def follow_up(cls, ev: Evidence) -> Mapping[str, Query]:
        home, (prefix, _) = home_of(ev), chosen(ev)
        paths = [f"{home}/.pip/pip.conf", f"{home}/.config/pip/pip.conf"] if home else []
        asked: dict[str, Query] = {path: Read(path, keep=_KEEP, limit=16384) for path in paths}
        if prefix != SYSTEM:
            asked[f"{prefix}/pip.conf"] = pip_conf_question(prefix)
        if home:
            asked["conda"] = Read(f"{home}/.condarc", keep=_CHANNELS, limit=16384)
        return asked

    @classmethod
    def parse(cls, ev: Evidence) -> PipSettings:
        found: list[Setting] = []
        for path in ev.names():
            # Snapshots of earlier releases were not asked for the first of these.
            if path == _ETC[0] and ev[path].why == "not-asked":
                continue
            if path not in ("env", "indexes", "conda"):
                found += read_settings(path, ev.text(path, absent=""))
        found.sort(key=lambda s: ("global", "install").index(s.section))
        found += _variables(ev, (*_PIP_INDEXES, *_PIP), "PIP_")
        channels = ev["conda"].text.split() if "conda" in ev and ev["conda"].ok else []
        return cls(
            pip={s.name: s for s in found},
            uv={s.name: s for s in _variables(ev, _UV, "UV_")},
            channels=tuple(c for c in channels if c not in ("-", "channels:")),
        )


def pip_conf_question(env: str) -> Read:
    """The question for what pip reads in an environment's folder."""
    return Read(f"{env}/pip.conf", keep=_KEEP, limit=16384)


def read_settings(path: str, text: str) -> list[Setting]:
    """The settings in what was kept of a file, of the sections that `pip install` heeds."""
    section, found = "", []
    # A value may go on in further lines, which are indented or begin with a scheme.
    for piece in re.split(r"\n(?=\[|[ \t]*[a-z_-]+[ \t]*[=:](?!//))", text, flags=re.IGNORECASE):
        head = re.match(r"\[([\w.-]+)\]", piece)
        if head:
            section = head.group(1)
            continue
        name, _, value = re.sub(r"[=:]", "\n", piece, count=1).partition("\n")
        words = tuple(value.split())
        if section in ("global", "install") and words:
            spelled = name.strip()
            found.append(Setting(spelled.lower().replace("_", "-"), words, path, section, spelled))
    return found


def _variables(ev: Evidence, names: tuple[str, ...], prefix: str) -> list[Setting]:
    found = []
    for variable in names:
        try:
            words = tuple((ev.env(variable) or "").split())
        except UnknownError:
            continue  # of a mounted image nobody can tell them
        if words:
            name = variable[len(prefix) :].lower().replace("_", "-")
            found.append(Setting(name, words, variable, ""))
    return found


@frozen
class PipTable(Table):
    """Kinds of package indexes by what their addresses look like, and channels of conda with builds for CUDA."""

    file: ClassVar[str] = "pip.toml"
    default: str
    kinds: Mapping[str, re.Pattern[str]]
    cuda_channels: tuple[str, ...]

    @classmethod
    def load(cls, data: Mapping[str, Any]) -> PipTable:
        kinds = {row["kind"]: re.compile("|".join(row["patterns"])) for row in data["index"]}
        return cls(data["default"], kinds, tuple(data["conda"]["cuda_channels"]))

    def kind(self, url: str) -> str:
        """`rocm`, `cuda`, `cpu`, `pypi`, or "" for an index of which nothing is known."""
        return next((kind for kind, pattern in self.kinds.items() if pattern.search(url)), "")
