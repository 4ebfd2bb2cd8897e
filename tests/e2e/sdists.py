"""Sdists as their projects published them: fetched once, held to their digests, unpacked as often as they are wanted."""

from __future__ import annotations

import hashlib
import re
import sys
import tarfile
import urllib.request
from functools import cache
from pathlib import Path

import pytest

from tests.e2e.processes import bounded

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

KEPT = Path("~/.cache/rocmdoctor/sdists").expanduser()
DIGESTS: dict[str, dict[str, str]] = tomllib.loads(
    Path(__file__).with_suffix(".toml").read_text(encoding="utf-8")
)


def unpacked(name: str, version: str, folder: Path) -> Path:
    """The top of an sdist's tree, in this folder."""
    with tarfile.open(_fetched(name, version)) as archive:
        members = [item for item in archive if item.isfile() or item.isdir()]
        for item in members:
            item.uid = item.gid = 0
            item.mode = 0o755 if item.isdir() else 0o644
        if sys.version_info >= (3, 12):
            archive.extractall(folder, members, filter="data")
        else:
            archive.extractall(folder, members)
    return folder / f"{name}-{version}"


def texts(name: str, version: str, paths: tuple[str, ...]) -> dict[str, str]:
    """Some files of an sdist, without unpacking it."""
    found = {}
    with tarfile.open(_fetched(name, version)) as archive:
        for item in archive:
            path = item.name.partition("/")[2]
            file = archive.extractfile(item) if path in paths and item.isfile() else None
            if file is not None:
                found[path] = file.read().decode("utf-8")
    return found


def _fetched(name: str, version: str) -> Path:
    path = KEPT / f"{name}-{version}.tar.gz"
    wanted = DIGESTS[name][version]
    if path.is_file() and hashlib.sha256(path.read_bytes()).hexdigest() == wanted:
        return path
    url = address(name, version)
    try:
        with urllib.request.urlopen(url, timeout=120) as answer:
            data = answer.read()
    except OSError as error:
        pytest.skip(f"{path.name} cannot be downloaded: {error}")
    assert hashlib.sha256(data).hexdigest() == wanted, f"{path.name} is another file than before"
    KEPT.mkdir(parents=True, exist_ok=True)
    aside = path.with_name(f"{path.name}.{hashlib.sha256(str(id(data)).encode()).hexdigest()[:8]}")
    aside.write_bytes(data)
    aside.replace(path)
    return path


def address(name: str, version: str) -> str:
    """Where an sdist is to be had."""
    file = f"{name}-{version}.tar.gz"
    url = next((link for link in _links(name) if link.rpartition("/")[2] == file), "")
    if not url:
        pytest.skip(f"pip finds no {file}")
    return url


@cache
def _links(name: str) -> tuple[str, ...]:
    """Where pip would take the sdists of a project from; pip itself would run their setup.py."""
    argv = [
        sys.executable,
        "-m",
        "pip",
        "download",
        "-vv",
        "--no-deps",
        "--no-binary",
        ":all:",
        f"{name}==0.0.0",
    ]
    done = bounded(argv, 180)
    found = re.findall(r"Found link (https?://\S+?\.tar\.gz)(?:#\S*)? ", done.stdout + done.stderr)
    if not found:
        pytest.skip(
            f"pip cannot list the sdists of {name}: {(done.stderr.strip().splitlines() or ['?'])[-1][:200]}"
        )
    return tuple(dict.fromkeys(found))
