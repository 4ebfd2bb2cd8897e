"""Reports of ours quote what machines and logs say. Given as a log, they lead to no diagnosis; what stands around them does."""

from __future__ import annotations

import json

import pytest

from rocmdoctor.cli.main import run
from rocmdoctor.explaining import judged
from tests.explaining.known import seen
from tests.machines.families import family
from tests.machines.faults import planted

KERNEL = "kfd kfd: amdgpu: skipped device 1002:67df, PCI rejects atomics 730<0"
FAULTS = [
    ("no-atomics", "mi210"),
    ("memory-errors", "mi210"),
    ("lost", "mi210"),
    ("no-firmware", "mi210"),
    ("does-not-build", "mi210-dkms"),
    ("key-not-enrolled", "mi210-dkms"),
    ("not-in-the-groups", "mi210"),
]
FORMS = [["-v"], ["-q"], ["--json"], ["--format", "markdown"], ["-vv"]]


@pytest.mark.parametrize("words", FORMS, ids=" ".join)
@pytest.mark.parametrize(("label", "name"), FAULTS)
def test_a_report_of_check_leads_to_no_diagnosis(label, name, words, tmp_path, capsys):
    path = tmp_path / "box.json"
    path.write_text(json.dumps({"schema": 1, "answers": planted((label,), name, family(name))}))
    run(["check", *words, "--snapshot", str(path)])
    report = capsys.readouterr().out
    assert judged(seen(report)).diagnoses == ()
    around = judged(seen(f"first\n{report}\n{KERNEL}\n")).diagnoses
    assert [d.best.error.fault for d in around] == ["pcie-atomics"], report


def test_a_page_that_was_cut_hides_no_more_than_a_page():
    page = "| | |\n| --- | --- |\n| machine | x |\n" + "word word word\n" * 10_000 + KERNEL
    assert [d.best.error.fault for d in judged(seen(page)).diagnoses] == ["pcie-atomics"]
    assert judged(seen("| | |\n| --- | --- |\n| machine | x |\n" + KERNEL)).diagnoses == ()
