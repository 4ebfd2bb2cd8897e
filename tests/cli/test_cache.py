"""`cache`: what is kept is shown, cleared away, and carried to another machine, with every digest compared."""

from __future__ import annotations

import hashlib
import io
import json
import os
import stat
import tarfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from rocmdoctor import wheel_key
from rocmdoctor.applying import wheels
from rocmdoctor.applying.wheel_moves import DAY
from rocmdoctor.cli.main import run

Cli = Callable[..., tuple[int, str, str]]


class Cache:
    """A cache folder with entries that nobody built."""

    def __init__(self, home: Path) -> None:
        self.path = home / "rocmdoctor"

    def add(
        self, name: str = "tiny", data: bytes = b"a wheel", days: float = 0, **parts: Any
    ) -> wheels.Entry:
        given = {"name": name, "gfx": ["gfx90a"], "python": "3.12", "tag": "", **parts}
        file = self.path.parent / f"{name}-1.0-py3-none-any.whl"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(data)
        digest = hashlib.sha256(data).hexdigest()
        key = wheel_key.digest(given)
        entry = wheels.Entry(key, name, "1.0", file.name, digest, len(data), 1.0, given, {}, 42.0)
        wheels.keep(self.path, file, entry)
        then = time.time() - days * DAY
        os.utime(self.folder(entry), (then, then))
        return entry

    def folder(self, entry: wheels.Entry) -> Path:
        return wheels.folder_of(self.path) / entry.key

    def held(self) -> set[str]:
        return {path.name for path, _ in wheels.entries(self.path)}

    def damage(self, entry: wheels.Entry) -> None:
        (self.folder(entry) / entry.wheel).write_bytes(b"another")


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Cache:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return Cache(tmp_path / "cache")


@pytest.fixture
def cli(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> Cli:
    def call(*words: object) -> tuple[int, str, str]:
        code = run(["cache", *map(str, words)])
        said = capsys.readouterr()
        return code, said.out.replace(str(tmp_path), "<tmp>"), said.err.replace(str(tmp_path), "<tmp>")

    return call


def test_nothing_is_kept(cache: Cache, cli: Cli) -> None:
    said = "<tmp>/cache/rocmdoctor/wheels holds no wheel; those that are built from source are kept there.\n"
    assert cli("list") == (0, said, "")
    assert cli("gc") == (0, "Nothing to clear away.\n", "")


def test_what_is_kept(cache: Cache, cli: Cli) -> None:
    entry = cache.add(days=3)
    code, out, _ = cli("list")
    assert code == 0
    row = next(line for line in out.splitlines() if "tiny" in line)
    assert row.split() == [
        entry.key[:12],
        "tiny",
        "1.0",
        "gfx90a",
        "3.12",
        "0.0",
        "MB",
        "3",
        "days",
        "42",
        "s",
    ]


def test_what_is_kept_for_programs(cache: Cache, cli: Cli) -> None:
    entry = cache.add()
    said = json.loads(cli("list", "--json")[1])
    assert (said["status"], said["exit_code"]) == ("ok", 0)
    (row,) = said["data"]["wheels"]
    assert (row["key"], row["name"], row["gfx"], row["sha256"]) == (
        entry.key,
        "tiny",
        ["gfx90a"],
        entry.sha256,
    )


def test_a_damaged_wheel_is_found(cache: Cache, cli: Cli) -> None:
    entry = cache.add()
    cache.damage(entry)
    assert cli("list")[0] == 0
    code, _, err = cli("list", "--verify")
    assert code == 1
    assert err == (
        f"✗ <tmp>/cache/rocmdoctor/wheels/{entry.key}/tiny-1.0-py3-none-any.whl is damaged: its sha256 is"
        f" {hashlib.sha256(b'another').hexdigest()}, it was kept with {entry.sha256}; 'rocmdoctor cache gc' clears it"
        " away\n"
    )


def test_a_description_that_was_changed_is_found(cache: Cache, cli: Cli) -> None:
    entry = cache.add()
    about = cache.folder(entry) / wheels.ABOUT
    about.write_text(about.read_text().replace("gfx90a", "gfx942"))
    code, out, err = cli("list")
    assert (code, "damaged" in out) == (1, True)
    assert f"about.json is not about {entry.key}" in err


def test_clearing_away_takes_what_is_damaged_or_half(cache: Cache, cli: Cli) -> None:
    whole, broken = cache.add("whole"), cache.add("broken")
    (cache.folder(broken) / wheels.ABOUT).write_text("{")
    aside = wheels.folder_of(cache.path) / f"{broken.key}.damaged-1"
    aside.mkdir()
    left = cache.path / "src" / f"build-{whole.key}"
    left.mkdir(parents=True)
    os.utime(left, (1, 1))
    code, out, _ = cli("gc", "-n")
    assert code == 0
    assert [line.split(" ")[0:2] for line in out.splitlines()[:-1]] == [["would", "go:"]] * 3
    assert broken.key in cache.held()
    code, out, _ = cli("gc")
    assert (code, out.splitlines()[-1]) == (0, "3 removed, 0.0 MB")
    assert cache.held() == {whole.key}
    assert not aside.exists()
    assert not left.exists()


def test_a_build_that_runs_is_left_alone(cache: Cache, cli: Cli) -> None:
    entry = cache.add()
    left = cache.path / "src" / f"build-{entry.key}"
    left.mkdir(parents=True)
    os.utime(left, (1, 1))
    with wheels.alone(cache.path, entry.key, print):
        assert cli("gc")[1] == "Nothing to clear away.\n"
    assert cli("gc")[1].splitlines()[-1] == "1 removed, 0.0 MB"


def test_clearing_away_by_age(cache: Cache, cli: Cli) -> None:
    old, new = cache.add("old", days=91), cache.add("new", days=89)
    assert cli("gc")[1] == "Nothing to clear away.\n"
    out = cli("gc", "--older-than", 90)[1]
    assert out == (
        f"removed: <tmp>/cache/rocmdoctor/wheels/{old.key}  0.0 MB  (not used for 91 days)\n1 removed, 0.0 MB\n"
    )
    assert cache.held() == {new.key}


def test_clearing_away_by_size(cache: Cache, cli: Cli) -> None:
    entries = [cache.add(f"w{n}", bytes(1_000_000), days=n) for n in range(4)]
    said = json.loads(cli("gc", "--max-size", "2.5M", "--json")[1])
    assert said["data"]["removed"] is True
    assert len(said["data"]["items"]) == 2
    # The ones that were of use last stay.
    assert cache.held() == {entries[0].key, entries[1].key}


def test_clearing_away_sources(cache: Cache, cli: Cli) -> None:
    for path in ("src/tiny-0123", "downloads/0123-tiny.tar.gz"):
        file = cache.path / path / "file"
        file.parent.mkdir(parents=True)
        file.touch()
    assert cli("gc")[1] == "Nothing to clear away.\n"
    assert cli("gc", "--sources")[1].splitlines()[-1] == "2 removed, 0.0 MB"


def test_no_size(cache: Cache, cli: Cli) -> None:
    code, _, err = cli("gc", "--max-size", "much")
    assert (code, "'much' is no size; write it as 500M or 20G" in err) == (2, True)


@pytest.mark.parametrize("target", ["wheels.tar", "share"])
def test_from_one_machine_to_another(
    cache: Cache, cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, target: str
) -> None:
    entry = cache.add()
    cache.add("other")
    code, out, _ = cli("export", tmp_path / target, "tiny==1.0")
    assert code == 0
    digest = out.splitlines()[-1].split()[-1] if target.endswith(".tar") else ""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "there"))
    there = Cache(tmp_path / "there")
    more = ["--sha256", digest] if digest else []
    assert cli("import", tmp_path / target, *more) == (0, f"taken: tiny 1.0 for gfx90a  {entry.key}\n", "")
    assert wheels.find(there.path, entry.key) == entry
    assert cli("import", tmp_path / target)[1] == f"there already: tiny 1.0 for gfx90a  {entry.key}\n"
    assert not [p for p in there.path.rglob("*") if p.stat().st_mode & stat.S_IWOTH]
    assert [p.name for p in wheels.folder_of(there.path).iterdir()] == [entry.key]


def test_equal_wheels_make_equal_files(cache: Cache, cli: Cli, tmp_path: Path) -> None:
    cache.add()
    said = [json.loads(cli("export", tmp_path / f"{n}.tar", "--json")[1])["data"]["sha256"] for n in (1, 2)]
    assert said[0] == said[1] == hashlib.sha256((tmp_path / "1.tar").read_bytes()).hexdigest()


def test_a_damaged_wheel_is_not_exported(cache: Cache, cli: Cli, tmp_path: Path) -> None:
    cache.damage(cache.add())
    code, _, err = cli("export", tmp_path / "x.tar")
    assert (code, "is damaged: its sha256 is" in err) == (4, True)
    assert not (tmp_path / "x.tar").exists()


def test_nothing_is_overwritten(cache: Cache, cli: Cli, tmp_path: Path) -> None:
    cache.add()
    (tmp_path / "x.tar").write_text("mine")
    code, _, err = cli("export", tmp_path / "x.tar")
    assert (code, err) == (
        4,
        "rocmdoctor: cache export: <tmp>/x.tar is there already; name a place that is not\n",
    )
    assert (tmp_path / "x.tar").read_text() == "mine"


def test_a_wheel_that_is_not_there(cache: Cache, cli: Cli, tmp_path: Path) -> None:
    cache.add()
    assert cli("export", tmp_path / "x", "torch") == (
        4,
        "",
        "rocmdoctor: cache export: the cache has no wheel 'torch'; 'rocmdoctor cache list' shows what there is\n",
    )


def _exported(cache: Cache, cli: Cli, folder: Path) -> wheels.Entry:
    entry = cache.add()
    cache.add("zother")
    assert cli("export", folder)[0] == 0
    for item in [entry.key for _, entry in wheels.entries(cache.path)]:  # type: ignore[union-attr]
        for file in (wheels.folder_of(cache.path) / item).iterdir():
            file.unlink()
        (wheels.folder_of(cache.path) / item).rmdir()
    return entry


def test_one_wrong_digest_and_nothing_is_taken(cache: Cache, cli: Cli, tmp_path: Path) -> None:
    entry = _exported(cache, cli, tmp_path / "share")
    (tmp_path / "share" / "SHA256SUMS").unlink()
    (tmp_path / "share" / entry.key / entry.wheel).write_bytes(b"evil")
    code, _, err = cli("import", tmp_path / "share")
    assert code == 4
    assert err == (
        f"rocmdoctor: cache import: {entry.key}/tiny-1.0-py3-none-any.whl is damaged: its sha256 is"
        f" {hashlib.sha256(b'evil').hexdigest()}, wanted is {entry.sha256}; nothing was taken\n"
    )
    assert cache.held() == set()


def test_a_description_and_its_wheel_changed_together(cache: Cache, cli: Cli, tmp_path: Path) -> None:
    entry = _exported(cache, cli, tmp_path / "share")
    folder = tmp_path / "share" / entry.key
    (folder / entry.wheel).write_bytes(b"evil")
    about = folder / wheels.ABOUT
    about.write_text(about.read_text().replace(entry.sha256, hashlib.sha256(b"evil").hexdigest()))
    code, _, err = cli("import", tmp_path / "share")
    assert (code, err) == (
        4,
        f"rocmdoctor: cache import: {entry.key}/about.json is not what it was when it was exported; nothing was taken\n",
    )
    assert cache.held() == set()


def test_another_file_than_was_exported(cache: Cache, cli: Cli, tmp_path: Path) -> None:
    cache.add()
    cli("export", tmp_path / "x.tar")
    code, _, err = cli("import", tmp_path / "x.tar", "--sha256", "0" * 64)
    assert code == 4
    assert err.endswith(f"wanted is {'0' * 64}; nothing was taken\n")


@pytest.mark.parametrize(
    "name", ["../evil.whl", "/tmp/evil.whl", "0" * 32 + "/run.sh", "0" * 32 + "/a/b.whl"]
)
def test_a_file_that_holds_something_else(cache: Cache, cli: Cli, tmp_path: Path, name: str) -> None:
    with tarfile.open(tmp_path / "x.tar", "w") as archive:
        info = tarfile.TarInfo(name)
        info.size = 4
        archive.addfile(info, io.BytesIO(b"evil"))
    code, _, err = cli("import", tmp_path / "x.tar")
    assert (code, err) == (
        4,
        f"rocmdoctor: cache import: <tmp>/x.tar holds {name!r}, and an export holds no such thing; nothing was taken\n",
    )
    assert cache.held() == set()


def test_a_link_in_a_file(cache: Cache, cli: Cli, tmp_path: Path) -> None:
    with tarfile.open(tmp_path / "x.tar", "w") as archive:
        info = tarfile.TarInfo(f"{'0' * 32}/x.whl")
        info.type, info.linkname = tarfile.SYMTYPE, "/etc/passwd"
        archive.addfile(info)
    assert cli("import", tmp_path / "x.tar")[0] == 4


def test_a_file_that_is_none(cache: Cache, cli: Cli, tmp_path: Path) -> None:
    (tmp_path / "x.tar").write_text("nothing")
    code, _, err = cli("import", tmp_path / "x.tar")
    assert (code, "is no file that 'rocmdoctor cache export' wrote" in err) == (4, True)
    (tmp_path / "empty").mkdir()
    assert "holds no wheel that 'rocmdoctor cache export' wrote" in cli("import", tmp_path / "empty")[2]


@pytest.mark.parametrize("verb", ["list", "gc", "export", "import"])
def test_each_verb_says_how_it_is_used(cli: Cli, verb: str) -> None:
    code, out, _ = cli(verb, "--help")
    assert code == 0
    assert f"rocmdoctor cache {verb}" in out
    assert "Exit codes:" in out
