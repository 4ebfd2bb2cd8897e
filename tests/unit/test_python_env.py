"""Which Python environment is judged, and what lies in it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rocmdoctor.content import DataTables, bundled
from rocmdoctor.facts.base import UnknownError, read
from rocmdoctor.facts.distributions import _KEEP, Dists, InstalledDists
from rocmdoctor.facts.python_env import PythonEnv, fits, python_of
from rocmdoctor.facts.requirements import Pins, holds
from rocmdoctor.facts.torch_build import TorchStackTable
from rocmdoctor.hosts.collector import _kept
from rocmdoctor.model import Answer

_ABSENT = Answer(False, "absent")
_METADATA = """Metadata-Version: 2.4
Name: Flash_Attn
Version: 2.8.3
Author-email: Somebody <somebody@example.org>
Requires-Dist: torch
Requires-Dist: einops; python_version >= "3.8"
Requires-Dist: pytest; extra == "dev"
Requires-Dist: secret @ https://example.org/x.whl
Requires-Python: >=3.9
Provides-Extra: dev
Provides-Extra: device-gfx90a

# A description that names things
License: none
"""


def _env(**answers: Answer) -> dict[str, Answer]:
    return {"env:HOME": Answer(True, text="/home/ann"), **answers}


def test_metadata_leaves_names_and_requirements_alone() -> None:
    kept = _kept(_METADATA, _KEEP)
    assert "somebody" not in kept
    assert "pytest" not in kept
    assert "description" not in kept
    path = "/home/ann/ft/lib/python3.11/site-packages/Flash_Attn-2.8.3.dist-info/METADATA"
    answers = _env(**{
        "env:VIRTUAL_ENV": Answer(True, text="/home/ann/ft"),
        "glob:/home/ann/ft/lib/python3*/site-packages/*.dist-info/METADATA": Answer(True, files={path: kept}),
    })  # fmt: skip
    (dist,) = read(InstalledDists, answers).dists
    assert (dist.name, dist.version, dist.devices) == ("flash-attn", "2.8.3", ("gfx90a",))
    assert dist.requires[:2] == ("torch", 'einops; python_version >= "3.8"')


@pytest.mark.parametrize(
    ("variables", "prefix", "chosen"),
    [
        ({}, "/usr", ""),
        ({"CONDA_PREFIX": "/opt/conda"}, "/opt/conda", "CONDA_PREFIX"),
        ({"CONDA_PREFIX": "/opt/conda", "VIRTUAL_ENV": "/v"}, "/v", "VIRTUAL_ENV"),
        ({"VIRTUAL_ENV": "/v", "ROCMDOCTOR_ENV": "/e/"}, "/e", "ROCMDOCTOR_ENV"),
        ({"VIRTUAL_ENV": "relative"}, "/usr", ""),
        ({"VIRTUAL_ENV": "/v*"}, "/usr", ""),
    ],
)
def test_the_one_that_is_chosen(variables: dict[str, str], prefix: str, chosen: str) -> None:
    answers = _env(**{f"env:{k}": Answer(True, text=v) for k, v in variables.items()})
    answers["link:/usr/bin/python3"] = Answer(True, text="python3.11")
    answers[f"stat:{prefix}"] = _ABSENT
    env = read(PythonEnv, answers)
    assert (env.prefix, env.chosen) == (prefix, chosen)
    assert env.kind == ("system" if prefix == "/usr" else "missing")


@pytest.mark.parametrize(
    "cfg",
    [
        "home = /usr/bin\nversion = 3.12.1\n",
        "home = /usr/bin\nimplementation = CPython\nuv = 0.5.0\nversion_info = 3.12.7\ninclude-system-site-packages = false\n",
        "version_info = 3.12.0.final.0\n",
    ],
)
def test_the_python_of_a_venv(cfg: str) -> None:
    answers = _env(**{
        "env:VIRTUAL_ENV": Answer(True, text="/v"),
        "stat:/v": Answer(True, text="dir 0755 ann ann"),
        "read:/v/pyvenv.cfg": Answer(True, text=cfg),
        "list:/v/conda-meta": _ABSENT,
    })  # fmt: skip
    env = read(PythonEnv, answers)
    assert (env.kind, env.python) == ("venv", (3, 12))
    assert env.command == "/v/bin/python -m pip"


def test_a_conda_environment() -> None:
    names = "history\npython-3.11.9-h955ad1f_0_cpython.json\npytorch-2.5.1-py3.11_cuda12.4_0.json\n"
    answers = _env(**{
        "env:CONDA_PREFIX": Answer(True, text="/c"),
        "stat:/c": Answer(True, text="dir 0755 ann ann"),
        "list:/c/conda-meta": Answer(True, text=names),
    })  # fmt: skip
    env = read(PythonEnv, answers)
    assert (env.kind, env.python, env.conda["pytorch"]) == ("conda", (3, 11), "2.5.1")


def test_nobody_asked() -> None:
    for fact in (PythonEnv, InstalledDists):
        with pytest.raises(UnknownError):
            read(fact, {})


def _dists(env: PythonEnv, texts: dict[str, str]) -> Dists:
    site = "/v/lib/python3.12/site-packages"
    files = {f"{site}/{name}.dist-info/METADATA": text for name, text in texts.items()}
    answers = _env(**{
        "env:VIRTUAL_ENV": Answer(True, text="/v"),
        "glob:/v/lib/python3*/site-packages/*.dist-info/METADATA": Answer(True, files=files),
    })  # fmt: skip
    return Dists.derive(env, read(InstalledDists, answers))


_TABLE = DataTables(bundled())(TorchStackTable)
_ENV = PythonEnv("/v", "venv", "VIRTUAL_ENV", (3, 12), inherits=False, pip=None, conda={})


def test_pins_that_apply_here() -> None:
    texts = {
        "torch-2.4.0+rocm6.1": "Name: torch\nVersion: 2.4.0+rocm6.1\n",
        "a-1": 'Name: a\nVersion: 1\nRequires-Dist: torch==2.4.0\nRequires-Dist: torch<2; python_version < "3.8"\n',
        "b-1": "Name: b\nVersion: 1\nRequires-Dist: torch (>=2.5)\nRequires-Dist: Flash_Attn\nRequires-Dist: !!\n",
        "c-1": "Name: c\nVersion: 1\nRequires-Dist: numpy>=2\n",
        "~orch-2.3.0": "Name: torch\nVersion: 2.3.0\n",
    }
    dists = _dists(_ENV, texts)
    assert [d.leftover for d in dists.all("torch")] == [False, True]
    pins = Pins.derive(dists, _TABLE)
    assert [(p.owner.name, p.met, p.exact) for p in pins.on("torch")] == [
        ("a", True, True),
        ("b", False, False),
    ]
    assert [(p.name, p.met) for p in pins.by("b")] == [("torch", False), ("flash-attn", None)]
    assert pins.by("c") == ()


def test_modules_of_another_python_are_none_of_its() -> None:
    assert python_of("/v/lib/python3.10/site-packages") == (3, 10)
    assert not fits("/v/lib/python3.10/site-packages", _ENV)
    assert fits("/usr/lib/python3/dist-packages", _ENV)


@given(st.text(max_size=30), st.text(max_size=30))
def test_any_requirement(specifiers: str, version: str) -> None:
    assert holds(specifiers, version) in (True, False, None)


@given(st.dictionaries(st.text(alphabet="ab-.~1", min_size=1, max_size=8), st.text(max_size=80), max_size=4))
def test_any_metadata(texts: dict[str, str]) -> None:
    Pins.derive(_dists(_ENV, texts), _TABLE)
