from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from rocmdoctor.cli.main import cli
from rocmdoctor.hosts.replay import load
from tests.conftest import CHECKOUT


def _image(tmp_path: Path) -> Path:
    root = tmp_path / "image"
    for path, said in {
        "etc/os-release": "ID=debian\nVERSION_ID=12\n",
        "proc/self/mountinfo": "29 1 8:2 / / rw shared:1 - ext4 /dev/mapper/zahrada-root rw\n",
        "etc/environment": "ROCM_PATH=/home/marlenka/rocm\nHIP_PATH=https://10.20.30.41/x\n",
    }.items():
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_text(said, encoding="utf-8")
    return root


@pytest.mark.touches_machine
def test_both_ways_to_collect_mask_alike(tmp_path: Path) -> None:
    root, mine, theirs = _image(tmp_path), tmp_path / "a.json", tmp_path / "b.json"
    result = CliRunner().invoke(cli, ["collect", "--share", "--root", str(root), "-o", str(mine)])
    assert result.exit_code == 0, result.output
    alone = [
        sys.executable,
        "-m",
        "rocmdoctor.cli.alone",
        "collect",
        "--share",
        "--root",
        str(root),
        "-o",
        str(theirs),
    ]
    subprocess.run(alone, cwd=CHECKOUT, check=True, stdin=subprocess.DEVNULL, timeout=60)
    assert load(mine).answers == load(theirs).answers
    said = mine.read_text(encoding="utf-8")
    assert not [word for word in ("marlenka", "zahrada", "10.20.30.41") if word in said]
    assert "/home/user1/rocm" in said


@pytest.mark.touches_machine
def test_without_the_option_nothing_is_masked(tmp_path: Path) -> None:
    result = CliRunner().invoke(cli, ["collect", "--json", "--root", str(_image(tmp_path))])
    answers = json.loads(result.stdout)["data"]["snapshot"]["answers"]
    assert "/home/marlenka/rocm" in answers["read:/etc/environment"]["text"]
