"""Every published sysfs capture, through the collector and the JSON report, against what is known of the machine."""

from __future__ import annotations

import json
import re
import sys
import tarfile
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from rocmdoctor.cli.asking import take
from rocmdoctor.cli.main import cli
from rocmdoctor.content import DataTables, bundled
from rocmdoctor.diagnosis.known import Known
from rocmdoctor.facts.kfd import KfdTopology
from rocmdoctor.model import Wish
from rocmdoctor.reports.json_check import facts_of
from tests.conftest import CORPUS

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

# Keys of expect.toml that describe the capture, and those that another key says already.
_ABOUT = {"schema", "machine", "kind", "complete_tree", "layout", "notes", "gpu", "gfx_target_version"}
_GPU_KEYS = {
    "node",
    "gfx",
    "pci_id",
    "bdf",
    "render_minor",
    "compute_units",
    "num_xcc",
    "vram_bytes",
    "driver",
}
# Words of a product that another source may leave out or put differently.
_FILLER = {"amd", "radeon", "instinct", "class", "family", "graphics", "apu", "series"}


def _machines(kind: str) -> list[str]:
    return sorted(p.parent.name for p in (CORPUS / kind).glob("*/expect.toml")) if CORPUS else ["no captures"]


def _root(corpus: Path, kind: str, name: str, tmp_path: Path) -> Path:
    packed = corpus / kind / name / "tree.tar.gz"
    if not packed.exists():
        return corpus / kind / name
    with tarfile.open(packed) as tar:
        members = [m for m in tar.getmembers() if m.isfile() and ".." not in m.name and m.name[0] != "/"]
        for member in members:
            path = tmp_path / member.name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(tar.extractfile(member).read())
    return tmp_path


def _expected(corpus: Path, kind: str, name: str) -> dict[str, Any]:
    return tomllib.loads((corpus / kind / name / "expect.toml").read_text(encoding="utf-8"))


def _known(root: Path) -> Known:
    return Known(take(str(root)).answers, DataTables(bundled()), Wish())


def _words(product: str) -> set[str]:
    return set(re.findall(r"[a-z0-9]+", product.lower())) - _FILLER


def _assert_gpu(found: dict[str, Any], wanted: dict[str, Any]) -> None:
    for key, value in wanted.items():
        if key == "product":
            # Sources name products differently (one by the chip, one by the card): they must share a telling word.
            assert _words(value) & _words(found["name"]), f"{found['name']!r} shares no word with {value!r}"
        elif key == "xgmi_peers":
            assert found[key] == value
        elif key not in _ABOUT:
            assert key in _GPU_KEYS, f"expect.toml has {key}, which this test does not know"
            assert found[key] == value, f"node {found['node']}: {key}"


@pytest.mark.parametrize("name", _machines("kfd"))
def test_kfd(name: str, corpus: Path, tmp_path: Path) -> None:
    expected = _expected(corpus, "kfd", name)
    known = _known(_root(corpus, "kfd", name, tmp_path))
    facts = facts_of(known)
    topology = known.get(KfdTopology)
    gpus = [g for g in facts["gpus"] if g["node"] is not None]
    found = {
        "cpu_nodes": topology.cpu_nodes,
        "gpu_nodes": len(topology.gpus),
        "physical_gpus": facts["physical_gpus"],
        "xgmi_hives": facts["xgmi_hives"],
        "gfx_targets": sorted({g["gfx"] for g in gpus}),
        "compute_partition": gpus[0]["compute_partition"],
    }
    wanted = {k: v for k, v in expected.items() if k not in _ABOUT}
    assert set(wanted) <= set(found)
    assert {k: found[k] for k in wanted} == wanted
    assert len(expected["gpu"]) == expected["gpu_nodes"] == len(facts["gpus"])
    for gpu, want in zip(gpus, expected["gpu"], strict=True):
        _assert_gpu(gpu, want)
        if "gfx_target_version" in want:
            node = next(n for n in topology.gpus if n.node == want["node"])
            assert node.gfx_target_version == want["gfx_target_version"]


@pytest.mark.parametrize("name", _machines("drm"))
def test_drm(name: str, corpus: Path, tmp_path: Path) -> None:
    expected = _expected(corpus, "drm", name)
    (gpu,) = facts_of(_known(_root(corpus, "drm", name, tmp_path)))["gpus"]
    _assert_gpu(gpu, expected)
    assert gpu["node"] is None


@pytest.mark.parametrize(
    ("name", "targets"),
    [
        ("mi210-8x-two-hives", ["gfx90a"] * 8),
        ("phoenix-apu-gfx1103", ["gfx1103"]),
        ("mi100-one-node", ["gfx908"]),
    ],
)
def test_check_of_a_folder(name: str, targets: list[str], corpus: Path, tmp_path: Path) -> None:
    root = _root(corpus, "kfd", name, tmp_path)
    result = CliRunner().invoke(cli, ["check", "--root", str(root), "--json"])
    said = json.loads(result.stdout)
    assert [g["gfx"] for g in said["data"]["facts"]["gpus"]] == targets
    assert said["data"]["readiness"]["gpu"] == "ready"
    assert [v["id"] for v in said["data"]["verdicts"] if v["status"] == "broken"] == []


@pytest.mark.parametrize("name", ["hd7870", "r9-280"])
def test_a_card_that_rocm_never_took_is_no_fault(name: str, corpus: Path, tmp_path: Path) -> None:
    root = _root(corpus, "drm", name, tmp_path)
    said = json.loads(
        CliRunner().invoke(cli, ["check", "--root", str(root), "--json", "--only", "gpu.*"]).stdout
    )
    verdict = next(v for v in said["data"]["verdicts"] if v["id"] == "gpu.present")
    assert verdict["status"] == "skip"
    assert said["data"]["readiness"]["gpu"] == "absent"
    assert said["data"]["facts"]["physical_gpus"] == 0
