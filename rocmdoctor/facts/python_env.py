"""The Python environment that is judged: which one it is, of what kind, and where its modules lie."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import ClassVar

from rocmdoctor.facts.base import Evidence, Fact, UnknownError
from rocmdoctor.facts.host import home_of, plain_path
from rocmdoctor.frozen import frozen
from rocmdoctor.model import Env, Glob, Link, List, Query, Read, Stat

# Asked by every fact about environments. The first of these that is set names the one that is judged.
CHOOSERS = ("ROCMDOCTOR_ENV", "VIRTUAL_ENV", "CONDA_PREFIX")
VARIABLES = Env((*CHOOSERS, "HOME"))
SYSTEM = "/usr"
# Below the home folder: the environment that is meant where none is named and none is active.
MANAGED = ".local/share/rocmdoctor/env"
_SITE = "lib/python3*/site-packages"
SYSTEM_SITES = (
    "/usr/local/lib/python3*/dist-packages",
    "/usr/local/lib/python3*/site-packages",
    "/usr/local/lib64/python3*/site-packages",
    "/usr/lib/python3/dist-packages",
    "/usr/lib/python3*/site-packages",
    "/usr/lib64/python3*/site-packages",
)
# Where other environments usually lie, below the home folder and elsewhere.
_HOMES = ("miniconda3", "anaconda3", "miniforge3", "mambaforge", ".conda")
_ELSEWHERE = ("/opt/conda", "/opt/conda/envs/*", "/opt/venv")
_CFG = r"^(?:home|version|version_info|include-system-site-packages|uv)[ \t]*=[^\n]{0,300}"


def chosen(ev: Evidence) -> tuple[str, str]:
    """The environment's folder and the variable that names it; the system's when none does."""
    for name in CHOOSERS:
        try:
            path = plain_path(ev.env(name))
        except UnknownError:
            continue
        if path:
            return path, name
    return SYSTEM, ""


def user_site(ev: Evidence) -> str | None:
    """Where `pip install --user` puts modules."""
    home = home_of(ev)
    return f"{home}/.local/{_SITE}" if home else None


def own_sites(ev: Evidence) -> tuple[str, ...]:
    """Patterns of the folders whose modules the environment's Python imports, in its order.

    A venv leaves the user's own modules out; conda's Pythons and the system's take them first.
    Source: CPython Lib/site.py, main().
    """
    prefix, variable = chosen(ev)
    user = user_site(ev)
    if prefix != SYSTEM:
        first = (user,) if user and variable == "CONDA_PREFIX" else ()
        return (*first, f"{prefix}/{_SITE}")
    return ((user,) if user else ()) + SYSTEM_SITES


def other_sites(ev: Evidence) -> tuple[str, ...]:
    """Patterns of the folders of environments that are there but not judged."""
    home = home_of(ev)
    roots = [f"{home}/{name}{tail}" for name in _HOMES for tail in ("", "/envs/*")] if home else []
    roots += [f"{home}/.pyenv/versions/*"] if home else []
    found = [f"{root}/{_SITE}" for root in (*roots, *_ELSEWHERE)]
    user = user_site(ev)
    every = (*([user] if user else ()), *SYSTEM_SITES, *found)
    own = own_sites(ev)
    return tuple(site for site in every if site not in own)


def site_templates(*files: str) -> tuple[str, ...]:
    """The templates of questions about files below the sites of an environment."""
    return tuple(f"{file.replace('SITE', '<site of the environment>')}" for file in files)


@frozen
class PythonEnv(Fact):
    """The environment that is judged. `kind`: venv, conda, folder, system, or missing when it is not there.

    `chosen` is the variable that named it, "" by default. `python` is None where nothing tells the version.
    `inherits`: a venv that also sees the system's modules. `pip` is the interpreter that its pip starts.
    """

    prefix: str
    kind: str
    chosen: str
    python: tuple[int, int] | None
    inherits: bool
    pip: str | None
    conda: Mapping[str, str]

    templates: ClassVar[tuple[str, ...]] = (
        "stat:<environment>",
        "read:<environment>/pyvenv.cfg",
        "list:<environment>/conda-meta",
        "link:<environment>/bin/python3",
        "read:<environment>/bin/pip",
    )

    @classmethod
    def queries(cls) -> Mapping[str, Query]:
        return {"env": VARIABLES}

    @classmethod
    def follow_up(cls, ev: Evidence) -> Mapping[str, Query]:
        prefix, _ = chosen(ev)
        asked: dict[str, Query] = {"python": Link(f"{prefix}/bin/python3")}
        if prefix != SYSTEM:
            asked["folder"] = Stat(prefix)
            asked["cfg"] = Read(f"{prefix}/pyvenv.cfg", keep=_CFG, limit=8192)
            asked["conda"] = List(f"{prefix}/conda-meta")
            asked["names"] = Glob(
                f"{prefix}/lib/python3*/site-packages/pip/__init__.py", keep="(?!)", limit=16
            )
            asked["pip"] = Read(f"{prefix}/bin/pip", keep=r"\A#!/[^\n]{1,300}", limit=512)
        return asked

    @classmethod
    def parse(cls, ev: Evidence) -> PythonEnv:
        prefix, variable = chosen(ev)
        if prefix == SYSTEM:
            if ev["python"].why == "not-asked":
                raise UnknownError(f"{ev.key('python')}: not asked")
            return cls(SYSTEM, "system", "", _version(ev["python"].text), inherits=False, pip=None, conda={})
        if ev["folder"].why == "not-asked":
            raise UnknownError(f"{ev.key('folder')}: not asked")
        cfg = dict(_setting(line) for line in ev["cfg"].text.splitlines() if "=" in line)
        conda = dict(_package(name) for name in ev["conda"].text.splitlines() if name.endswith(".json"))
        return cls(
            prefix=prefix,
            kind=_kind(ev),
            chosen=variable,
            python=_python(ev, cfg, conda),
            inherits=cfg.get("include-system-site-packages", "").lower() == "true",
            pip=ev["pip"].text.strip()[2:].strip() or None if ev["pip"].ok else None,
            conda=conda,
        )

    @property
    def command(self) -> str:
        """How its pip is started, so that no other environment is meant."""
        return "python3 -m pip" if self.kind == "system" else f"{self.prefix}/bin/python -m pip"


def _kind(ev: Evidence) -> str:
    if ev["cfg"].ok:
        return "venv"
    if ev["conda"].ok:
        return "conda"
    return "missing" if ev["folder"].why == "absent" else "folder"


def _setting(line: str) -> tuple[str, str]:
    name, _, value = line.partition("=")
    return name.strip(), value.strip()


def _package(name: str) -> tuple[str, str]:
    """Name and version from `pytorch-2.5.1-py3.11_cuda12.4_0.json`."""
    parts = name[: -len(".json")].rsplit("-", 2)
    return parts[0], parts[1] if len(parts) > 1 else ""


def _version(text: str) -> tuple[int, int] | None:
    match = re.search(r"(?:^|python)(\d+)\.(\d+)", text)
    return (int(match.group(1)), int(match.group(2))) if match else None


def _python(ev: Evidence, cfg: Mapping[str, str], conda: Mapping[str, str]) -> tuple[int, int] | None:
    said = cfg.get("version") or cfg.get("version_info") or conda.get("python", "")
    found = _version(said) or _version(ev["python"].text.rpartition("/")[2])
    if found is not None:
        return found
    folders = (
        {path.split("/lib/", 1)[1].split("/")[0] for path in ev["names"].files} if ev["names"].ok else set()
    )
    return _version(folders.pop()) if len(folders) == 1 else None


def python_of(path: str) -> tuple[int, int] | None:
    """The Python whose modules lie in a folder such as `.../lib/python3.11/site-packages`."""
    match = re.search(r"/lib(?:64)?/python(\d+)\.(\d+)/", path + "/")
    return (int(match.group(1)), int(match.group(2))) if match else None


def fits(path: str, env: PythonEnv) -> bool:
    """Whether the environment's Python looks into this folder: that of another Python is none of its."""
    python = python_of(path)
    return python is None or env.python is None or python == env.python
