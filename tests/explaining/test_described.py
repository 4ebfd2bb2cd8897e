"""The captured cases that are prose: each as machine evidence, which `check` names. They are no texts that a program prints."""

from __future__ import annotations

import pytest

from tests.judging import judge
from tests.machines import env_faults
from tests.machines.families import family
from tests.machines.faults import planted
from tests.machines.healthy import machine

assert env_faults

_PM = "/sys/class/drm/card{}/device/power/runtime_status"
ASLEEP = {
    "glob:/sys/class/drm/card*/device/power/runtime_status": {
        "ok": True,
        "files": {_PM.format(0): "active\n", _PM.format(1): "suspended\n"},
    }
}
FISH = {
    "read:/home/ann/.config/fish/config.fish": {
        "ok": True,
        "text": "set -U HSA_OVERRIDE_GFX_VERSION 10.3.0\n",
    }
}

# The case, its fault, the machine that shows it, and what is planted there. A machine that still works is warned of.
PLANTED = [
    ("d03-dkms-backported-api", "dkms-build-failure", "mi210-dkms", "does-not-build"),
    ("d11-cpu-torch-old-python", "python-version-no-wheel", "mi210-training", "python-without-wheels"),
    (
        "d12-axolotl-overwrites-torch",
        "torch-overwritten-by-pip",
        "mi210-training",
        "cpu-torch-over-a-rocm-one",
    ),
    ("d17-ddp-hang-iommu", "iommu", "mi300x-cpx", "translated"),
    ("d20-miopen-cache-readonly", "miopen-cache", "mi210", "cache-of-root"),
    ("d21-deepspeed-version-file", "deepspeed-rocm-detect", "mi210-training", "deepspeed-that-misreads-rocm"),
    ("d26-hipblaslt-arch", "hipblaslt-arch", "mi210-training", "hipblaslt-without-this-gpu"),
]
SET = [
    ("d10-override-not-exported", "hsa-override-wrong", "rx6600xt", FISH, "environment.hsa-override"),
    ("d23-igpu-is-device0", "hip-visible-devices", "igpu-first", {}, "environment.visible-devices"),
    ("d27-second-7900xtx-sleeps", "gpu-power-hang", "rx7900xtx-2x", ASLEEP, "hardware.runtime-power"),
]


@pytest.mark.parametrize(("case", "fault", "name", "label"), PLANTED, ids=[p[0] for p in PLANTED])
def test_a_described_case_is_named_on_a_machine(case, fault, name, label):
    said = judge(planted((label,), name, family(name))).diagnosis
    causes = [said.verdict(cause).fault for cause in said.root_causes]
    warned = [v.fault for v in said.verdicts if v.status == "warn" and v.fault]
    assert (causes or warned)[0] == fault


@pytest.mark.parametrize(("case", "fault", "name", "more", "check"), SET, ids=[s[0] for s in SET])
def test_a_described_case_of_choices_is_warned_of(case, fault, name, more, check):
    said = judge(machine(name) | more).diagnosis
    assert said.root_causes == ()
    verdict = said.verdict(check)
    assert (verdict.status, verdict.fault) == ("warn", fault)


def test_every_described_case_is_here(corpus):
    listed = {c[0] for c in (*PLANTED, *SET)}
    files = (corpus / "cases").glob("*.toml")
    described = {p.stem for p in files if 'symptom_form = "described"' in p.read_text(encoding="utf-8")}
    assert listed == described
