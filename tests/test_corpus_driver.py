"""Published captures hold a GPU and little else: no check of the driver may raise an alarm on one."""

from __future__ import annotations

import json

import pytest
from click.testing import CliRunner

from rocmdoctor.cli.main import cli
from tests.test_corpus_gpus import _machines, _root


@pytest.mark.parametrize(
    ("kind", "name"), [(kind, name) for kind in ("kfd", "drm") for name in _machines(kind)]
)
def test_a_capture_raises_no_alarm(kind, name, corpus, tmp_path):
    root = _root(corpus, kind, name, tmp_path)
    told = CliRunner().invoke(cli, ["check", "--root", str(root), "--json"])
    verdicts = {v["id"]: v for v in json.loads(told.stdout)["data"]["verdicts"]}
    alarms = [
        (name, v["why"])
        for name, v in verdicts.items()
        if name.startswith(("driver.", "hardware.")) and v["status"] in ("fail", "broken")
    ]
    assert alarms == []
    if kind == "kfd":
        assert verdicts["driver.present"]["status"] == "ok"
