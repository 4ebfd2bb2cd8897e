"""A saved machine is judged as the live one, and no secret is in it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.e2e.here import doctor

TOKEN = "s3cr3t-" + "d41d8cd98f00b204"


def test_live_and_replayed_are_the_same_bytes(tmp_path: Path) -> None:
    """Free memory and disk move while we look, so a live run counts that lies between two equal snapshots."""
    saved = [tmp_path / "before.json", tmp_path / "after.json"]
    for _ in range(6):
        doctor(tmp_path, "collect", "-o", saved[0])
        live = doctor(tmp_path, "check", "--json").stdout
        doctor(tmp_path, "collect", "-o", saved[1])
        before, after = (doctor(tmp_path, "check", "--json", "--snapshot", path).stdout for path in saved)
        assert before == doctor(tmp_path, "check", "--json", "--snapshot", saved[0]).stdout
        if before == after:
            break
    else:
        pytest.fail(f"this machine never held still: {_differences(before, after)}")
    assert _differences(live, before) == []
    assert live == before


def _differences(one: str, other: str) -> list[str]:
    """The places at which two envelopes differ, with both values."""
    found: list[str] = []

    def walk(path: str, a: object, b: object) -> None:
        if isinstance(a, dict) and isinstance(b, dict):
            for key in sorted({*a, *b}):
                walk(f"{path}.{key}", a.get(key), b.get(key))
        elif isinstance(a, list) and isinstance(b, list) and len(a) == len(b):
            for number, (x, y) in enumerate(zip(a, b, strict=True)):
                walk(f"{path}[{number}]", x, y)
        elif a != b:
            found.append(f"{path}: {a!r} / {b!r}")

    walk("", json.loads(one), json.loads(other))
    return found


def _plant(root: Path) -> None:
    """Secrets where people keep them."""
    files = {
        "root/.bashrc": f"export HF_TOKEN={TOKEN}\nexport HSA_OVERRIDE_GFX_VERSION=10.3.0 # {TOKEN}\n"
        f"export ROCM_PATH=/opt/rocm PASSWORD={TOKEN}\nexport PATH=/opt/{TOKEN}/bin:$PATH\n",
        "root/.profile": f"HIP_VISIBLE_DEVICES=0 AWS_SECRET_ACCESS_KEY={TOKEN}\nexport HIP_VISIBLE_DEVICES\n",
        "root/.config/pip/pip.conf": f"[global]\nindex-url = https://ann:{TOKEN}@pypi.example/simple\n"
        f"extra-index-url = https://pypi.example/simple?token={TOKEN}\npassword = {TOKEN}\n",
        "etc/pip.conf": f"[global]\nfind-links = https://{TOKEN}@wheels.example/\n",
        "etc/environment": f"GITHUB_TOKEN={TOKEN}\nROCR_VISIBLE_DEVICES=0\n",
        "etc/profile.d/site.sh": f"export WANDB_API_KEY={TOKEN}\n",
        "etc/apt/sources.list": f"deb https://ann:{TOKEN}@repo.example/rocm/apt/6.2 jammy main\n# {TOKEN}\n",
        "etc/apt/sources.list.d/amd.sources": f"Types: deb\nURIs: https://ann:{TOKEN}@repo.example/rocm?sig={TOKEN}\n"
        "Suites: jammy\nComponents: main\n",
        "etc/apt/auth.conf": f"machine repo.example login ann password {TOKEN}\n",
        "etc/apt/auth.conf.d/x.conf": f"machine repo.example login ann password {TOKEN}\n",
        "etc/apt/apt.conf.d/99proxy": f'Acquire::http::Proxy "http://ann:{TOKEN}@proxy.example:3128";\n',
        "etc/apt/preferences.d/rocm": f"# {TOKEN}\nPackage: *\nPin: release o=repo.example\nPin-Priority: 600\n",
        "etc/os-release": 'ID=ubuntu\nVERSION_ID="22.04"\nVERSION_CODENAME=jammy\n',
        "etc/passwd": "root:x:0:0:root:/root:/bin/bash\nann:x:1000:1000::/home/ann:/bin/bash\n",
        "var/lib/dpkg/status": "Package: rocminfo\nStatus: install ok installed\nVersion: 1.0\nArchitecture: amd64\n\n",
    }
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")


_ENVIRONMENT = {
    "HF_TOKEN": TOKEN,
    "GITHUB_TOKEN": TOKEN,
    "PIP_INDEX_URL": f"https://ann:{TOKEN}@pypi.example/simple",
    "PIP_EXTRA_INDEX_URL": f"https://pypi.example/simple?access_token={TOKEN}",
    "HTTPS_PROXY": f"http://ann:{TOKEN}@proxy.example:3128",
    "https_proxy": f"http://ann:{TOKEN}@proxy.example:3128",
}


def test_planted_tokens_are_in_no_snapshot(tmp_path: Path) -> None:
    root, home = tmp_path / "root", tmp_path / "root" / "root"
    _plant(root)
    tree = doctor(tmp_path, "collect", "--root", root).stdout
    live = doctor(home, "collect", env=_ENVIRONMENT).stdout
    for text in (tree, live):
        assert json.loads(text)["answers"]
        where = [
            key for key, answer in json.loads(text)["answers"].items() if TOKEN in json.dumps([key, answer])
        ]
        assert where == []
        assert TOKEN not in text
    # The files were really read: what is no secret came through.
    assert "HSA_OVERRIDE_GFX_VERSION" in tree
    assert "repo.example" in tree


def test_planted_tokens_are_in_no_report(tmp_path: Path) -> None:
    root, home = tmp_path / "root", tmp_path / "root" / "root"
    _plant(root)
    for argv in (["-vv"], ["--json"], ["--root", str(root), "-vv"], ["--root", str(root), "--json"]):
        done = doctor(home, "check", *argv, env=_ENVIRONMENT)
        assert TOKEN not in done.stdout + done.stderr, argv
