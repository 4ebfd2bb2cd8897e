"""What the chore writes down of an environment: real files of stand-in distributions."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from rocmdoctor import protection
from rocmdoctor.actions import Exec
from rocmdoctor.applying.chores.protect import distributions, protect, standing
from rocmdoctor.applying.chores.running import ChoreError
from rocmdoctor.facts.protection import ProtectionTable
from tests.applying.conftest import Bench
from tests.applying.plans import action
from tests.ops.test_operations import TABLES

_TABLE: ProtectionTable = TABLES(ProtectionTable)
_BOUNDS = {name: list(row) for name, row in _TABLE.bounds.items()}
_HIP = "__version__ = '2.9.1+rocm6.4'\nhip: Optional[str] = '6.4.43484'\n"


def _env(
    tmp: Path, dists: Mapping[str, str], files: Mapping[str, str], asks: Mapping[str, str] | None = None
) -> Path:
    site = tmp / "env/lib/python3.11/site-packages"
    for name, version in dists.items():
        info = site / f"{name.replace('-', '_')}-{version}.dist-info"
        info.mkdir(parents=True)
        wish = f"Requires-Dist: {asks[name]}\n" if asks and name in asks else ""
        (info / "METADATA").write_text(
            f"Name: {name}\nVersion: {version}\n{wish}\nRequires-Dist: no, a text\n"
        )
        (info / "RECORD").write_text(f"{name}/__init__.py,,\n")
    for path, text in files.items():
        (site / path).parent.mkdir(parents=True, exist_ok=True)
        (site / path).write_text(text)
    return tmp / "env"


def _written(env: Path) -> tuple[dict[str, Any], str]:
    protect(env=str(env), keep=_TABLE.rows(), out=_TABLE.out, bounds=_BOUNDS)
    record = json.loads((env / protection.RECORD).read_text())
    return record, (env / protection.CONSTRAINTS).read_text()


def test_a_torch_for_rocm_is_held_and_others_are_not(tmp_path: Path) -> None:
    dists = {"torch": "2.9.1+rocm6.4", "bitsandbytes": "0.44.0", "Flash_Attn": "2.8.3", "numpy": "2.3.5"}
    record, constraints = _written(_env(tmp_path, dists, {"torch/version.py": _HIP}))
    assert [row["name"] for row in record["distributions"]] == ["flash-attn", "torch"]
    assert record["distributions"][1]["size"] == len("torch/__init__.py,,\n")
    assert "torch==2.9.1+rocm6.4\n" in constraints
    assert "bitsandbytes>=0.49\n" in constraints
    assert record["passed_over"] == {"bitsandbytes": "0.44.0"}


@pytest.mark.parametrize("library", ["libbitsandbytes_rocm64.so", "libbitsandbytes_hip.so"])
def test_a_bitsandbytes_with_a_library_for_rocm_is_held(tmp_path: Path, library: str) -> None:
    env = _env(tmp_path, {"bitsandbytes": "0.43.2.dev0"}, {f"bitsandbytes/{library}": ""})
    assert "bitsandbytes==0.43.2.dev0\n" in _written(env)[1]


@pytest.mark.parametrize(
    ("hip", "held"),
    [(_HIP, True), ("hip = None\n", False), ("hip: Optional[str] = None\n", False), ("", False)],
)
def test_a_torch_for_something_else_is_not_held(tmp_path: Path, hip: str, held: bool) -> None:
    env = _env(tmp_path, {"torch": "2.13.0"}, {"torch/version.py": hip})
    assert ("torch==2.13.0\n" in _written(env)[1]) is held


def test_the_triton_that_torch_itself_asks_for_is_held_and_not_kept_out(tmp_path: Path) -> None:
    dists = {"torch": "2.14.0+rocm7.2", "triton": "3.8.0"}
    env = _env(tmp_path, dists, {"torch/version.py": _HIP}, {"torch": "triton==3.8.0"})
    record, constraints = _written(env)
    assert "triton==3.8.0\n" in constraints
    assert "triton" not in record["kept_out"]
    assert "\ntriton;" not in (env / protection.OVERRIDES).read_text()


def test_pypis_triton_beside_torchs_own_is_kept_out(tmp_path: Path) -> None:
    dists = {"torch": "2.9.1+rocm6.4", "triton": "3.8.0", "pytorch-triton-rocm": "3.5.1"}
    env = _env(tmp_path, dists, {"torch/version.py": _HIP}, {"torch": "pytorch-triton-rocm==3.5.1"})
    assert f"triton=={protection.NEVER}\n" in _written(env)[1]


@pytest.mark.parametrize(("said", "held"), [('{"version": {"hip": "6.4"}}', True), ('{"hip": null}', False)])
def test_xformers_is_held_where_it_says_that_it_is_for_rocm(tmp_path: Path, said: str, held: bool) -> None:
    env = _env(tmp_path, {"xformers": "0.0.35"}, {"xformers/cpp_lib.json": said})
    assert ("xformers==0.0.35\n" in _written(env)[1]) is held


def test_what_pip_could_not_remove_does_not_count(tmp_path: Path) -> None:
    env = _env(tmp_path, {"~orch": "1", "torch": "2.9.1+rocm6.4"}, {"torch/version.py": _HIP})
    assert set(distributions(env)) == {"torch"}
    assert set(standing(distributions(env), _TABLE.rows(), _TABLE.out)) == {"torch"}


def test_nothing_to_protect_is_said(tmp_path: Path) -> None:
    with pytest.raises(
        ChoreError, match=r"env holds no distributions that could be protected; install into it first"
    ):
        _written(tmp_path / "env")


# ---------------------------------------------------------------- our own installations

_WOULD = {
    "install": [
        {
            "metadata": {"name": "torch", "version": "2.13.0"},
            "requested": False,
            "download_info": {"url": ""},
        },
        {
            "metadata": {"name": "trl", "version": "1.8.0", "requires_dist": ["torch==2.13.0"]},
            "requested": True,
            "download_info": {"url": ""},
        },
    ],
    "environment": {},
}


@pytest.mark.touches_machine
@pytest.mark.parametrize(
    ("keeps", "named", "said", "stops"),
    [
        (("torch",), ("trl",), json.dumps(_WOULD), True),
        (("torch",), ("torch", "trl"), json.dumps(_WOULD), False),
        (("deepspeed",), ("trl",), json.dumps(_WOULD), False),
        # What pip cannot tell, the step itself says in pip's words.
        (("torch",), ("trl",), "ERROR: no such option: --dry-run", False),
    ],
)
def test_a_step_stops_where_pip_would_change_what_must_stay(
    bench: Callable[..., Bench],
    tmp_path: Path,
    keeps: tuple[str, ...],
    named: tuple[str, ...],
    said: str,
    stops: bool,
) -> None:
    (tmp_path / "said").write_text(f"WARNING: before it\n{said}\n")
    done = tmp_path / "done"
    look = ("cat", str(tmp_path / "said"))
    wanted = bench(action(do=Exec(("touch", str(done)), simulate=look, keeps=keeps, named=named)))
    outcome = wanted.run()
    assert done.exists() is not stops
    if stops:
        assert outcome.message.splitlines()[0] == (
            "pip would change what was installed for the GPUs: torch 2.13.0: trl 1.8.0 asks for torch==2.13.0. Nothing was done;"
            " plan again with versions that go together"
        )
