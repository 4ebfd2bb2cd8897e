"""Settings of pip: what leaves the machine, and what is read from it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from rocmdoctor.asking import as_question
from rocmdoctor.content import DataTables, bundled
from rocmdoctor.facts.base import Evidence, read
from rocmdoctor.facts.pip_settings import PipSettings, PipTable, Setting
from rocmdoctor.hosts.collector import ask
from rocmdoctor.hosts.replay import from_raw

SECRET = "hunter2" + "0c4e6f1a9bd1"
TABLE: PipTable = DataTables(bundled())(PipTable)
_SETS = {
    "env:ROCMDOCTOR_ENV": {"ok": True, "text": "/srv/env"},
    "env:HOME": {"ok": True, "text": "/home/ann"},
}

_NOTHING = {"read:/etc/pip.conf": {"ok": False, "why": "absent"}}


def _collected(root: Path, files: dict[str, str]) -> dict[str, Any]:
    """The answers of a tree with these files, by the collector itself."""
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    first = PipSettings.queries()
    more = PipSettings.follow_up(Evidence(from_raw({"schema": 1, "answers": _SETS}).answers, first))
    said = ask([as_question(q) for q in (*first.values(), *more.values())], str(root), 60)
    return {**said, **_SETS}


def _fact(root: Path, files: dict[str, str], **variables: str) -> PipSettings:
    answers = _collected(root, files)
    answers.update({f"env:{name}": {"ok": True, "text": text} for name, text in variables.items()})
    fact: PipSettings = read(PipSettings, from_raw({"schema": 1, "answers": answers}).answers)
    return fact


_FILE = f"""
# {SECRET} https://{SECRET}.example/simple
[global]
index-url = https://ann:{SECRET}@pypi.example/simple
extra-index-url =
    https://{SECRET}@download.pytorch.org/whl/rocm6.4
    https://wheels.example/{SECRET}/simple
proxy = http://ann:{SECRET}@proxy.example:3128
password = {SECRET}
client-cert = /etc/{SECRET}.pem
trusted-host = {SECRET}.example
find-links = https://files.example/simple?token={SECRET}
user = {SECRET}
no-index = {SECRET}
[{SECRET}{SECRET}{SECRET}]
{SECRET} = 1
"""


@pytest.mark.parametrize(
    "place", ["etc/pip.conf", "home/ann/.config/pip/pip.conf", "home/ann/.pip/pip.conf", "srv/env/pip.conf"]
)
def test_tokens_never_leave(tmp_path: Path, place: str) -> None:
    answers = _collected(tmp_path, {place: _FILE})
    assert SECRET not in json.dumps(answers)
    text = answers[f"read:/{place}"]["text"]
    assert "pypi.example/simple" in text
    assert "download.pytorch.org/whl/rocm6.4" in text
    assert "proxy.example" not in text


def test_tokens_in_variables_never_leave(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PIP_INDEX_URL", f"https://ann:{SECRET}@pypi.example/{SECRET}/simple")
    monkeypatch.setenv("UV_EXTRA_INDEX_URL", f"https://a.example/x?key={SECRET} https://b.example/{SECRET}/y")
    answers = ask([as_question(PipSettings.queries()["indexes"])], deadline=60)
    assert SECRET not in json.dumps(answers)
    found = read(PipSettings, from_raw({"schema": 1, "answers": {**answers, **_NOTHING}}).answers)
    assert found.pip["index-url"].values == ("https://***@pypi.example/",)
    assert found.uv["extra-index-url"].values == ("https://a.example/x", "https://b.example/")


def test_tokens_in_channels_never_leave(tmp_path: Path) -> None:
    text = f"channels:\n  - nvidia\n  - conda-forge\n  - https://conda.example/t/{SECRET}/ann\nproxy_servers:\n  - {SECRET}\n"
    answers = _collected(tmp_path, {"home/ann/.condarc": text})
    assert SECRET not in json.dumps(answers)
    assert _fact(tmp_path, {}).channels == ("nvidia", "conda-forge")


def test_the_nearest_file_and_the_narrower_section_win(tmp_path: Path) -> None:
    files = {
        "etc/pip.conf": "[install]\nuser = no\n[global]\nindex_url: https://one.example/\ntarget = /srv/a\n",
        "home/ann/.pip/pip.conf": "[global]\nuser = true\nindex-url = https://two.example/\n",
        "home/ann/.config/pip/pip.conf": "[global]\nindex-url = https://three.example/\n[download]\ntarget = /srv/b\n",
        "srv/env/pip.conf": "[global]\nconstraint = /srv/c.txt\n",
    }
    found = _fact(tmp_path, files, PIP_CONSTRAINT="/srv/d.txt", UV_INDEX_URL="https://uv.example/").pip
    assert found["index-url"].values == ("https://three.example/",)
    assert found["target"] == Setting("target", ("/srv/a",), "/etc/pip.conf", "global", "target")
    assert (found["user"].section, found["user"].true) == ("install", False)
    assert found["constraint"] == Setting("constraint", ("/srv/d.txt",), "PIP_CONSTRAINT", "")


def test_several_addresses_in_one_setting(tmp_path: Path) -> None:
    text = "[global]\nextra-index-url = https://a.example/x https://b.example/y\n    https://c.example:8080/z/ file:///opt/wheels\ntimeout = 60\n"
    found = _fact(tmp_path, {"etc/pip.conf": text}).pip
    assert set(found) == {"extra-index-url"}
    assert found["extra-index-url"].values == (
        "https://a.example/x",
        "https://b.example/y",
        "https://c.example:8080/z/",
        "file:///opt/wheels",
    )


@pytest.mark.parametrize(
    ("url", "kind"),
    [
        ("https://download.pytorch.org/whl/rocm6.4", "rocm"),
        ("https://download.pytorch.org/whl/nightly/rocm7.2/", "rocm"),
        ("https://repo.radeon.com/rocm/manylinux/rocm-rel-6.4.4/", "rocm"),
        ("https://rocm.nightlies.amd.com/v2/gfx94X-dcgpu/", "rocm"),
        ("https://download.pytorch.org/whl/cu128", "cuda"),
        ("https://mirror.example/whl/test/cu126/", "cuda"),
        ("https://download.pytorch.org/whl/cpu", "cpu"),
        ("https://pypi.org/simple", "pypi"),
        ("https://pypi.organic.example/simple", ""),
        ("https://mirror.example/pypi/simple", ""),
    ],
)
def test_kinds_of_indexes(url: str, kind: str) -> None:
    assert TABLE.kind(url) == kind
