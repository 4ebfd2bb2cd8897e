"""What pip installed is kept without secrets, and a folder is filled and compared, with real pips and repositories."""

from __future__ import annotations

import contextlib
import hashlib
import io
import json
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest

from rocmdoctor.actions import Fetch
from rocmdoctor.applying import installed, mirror
from rocmdoctor.applying.fetch import FetchError, download
from rocmdoctor.cli.main import run
from rocmdoctor.planning.lock import read
from tests.applying.test_environments import Home, _wheel
from tests.needs import skip_without
from tests.planning.test_lock import TREE

pytestmark = [pytest.mark.touches_machine, pytest.mark.timeout(180)]
_EMPTY = {**TREE, "components": {}, "distributions": [], "wheels": []}


# ---------------------------------------------------------------- what pip said


def test_what_an_environment_got_is_in_its_lock(tmp_path: Path) -> None:
    home = Home(tmp_path)
    assert home.do("python.env", path="~/env")[1].state == "done"
    one = _wheel(home.wheels, "one", "1.0", requires="two")
    two = _wheel(home.wheels, "two", "2.0")
    assert home.pip("one==1.0")[1].state == "done"
    env = home.path / "env"
    said = installed.keep(env, _EMPTY, str(tmp_path / "own.lock"), "", done=True)
    assert said["path"] == str(tmp_path / "own.lock")
    lock = read((env / "rocmdoctor.lock").read_text())
    assert lock == read((tmp_path / "own.lock").read_text())
    assert [(row["name"], row["version"], row["sha256"], row["needs"]) for row in lock["wheels"]] == [
        ("one", "1.0", one, "two"),
        ("two", "2.0", two, ""),
    ]
    assert list(env.glob(".rocmdoctor-pip-*")) == []
    subprocess.run([env / "bin/python", "-m", "pip", "uninstall", "-qy", "two"], check=True)
    again = installed.noted(_EMPTY, env)
    assert [row["name"] for row in again["wheels"]] == ["one"]


def _reported(env: Path, url: str, digest: str = "1" * 64) -> None:
    (env / "lib/python3.11/site-packages/one-1.0.dist-info").mkdir(parents=True, exist_ok=True)
    info = {"url": url, "archive_info": {"hashes": {"sha256": digest}}}
    item = {"download_info": info, "metadata": {"name": "one", "version": "1.0"}}
    (env / ".rocmdoctor-pip-0.json").write_text(json.dumps({"install": [item]}))


def test_names_and_passwords_of_an_index_are_cut(tmp_path: Path) -> None:
    _reported(tmp_path, "https://ann:secret@index.example/one-1.0-py3-none-any.whl?token=secret")
    lock = installed.keep(tmp_path, _EMPTY, "", "", done=True)["lock"]
    assert lock["wheels"][0]["url"] == "https://***@index.example/one-1.0-py3-none-any.whl?token=***"
    assert [p.name for p in tmp_path.rglob("*") if p.is_file() and "secret" in p.read_text()] == []


def test_a_folder_that_stood_in_for_a_server_is_not_in_the_next_lock(tmp_path: Path) -> None:
    taken = tmp_path / "taken.lock"
    url = "https://index.example/one-1.0-py3-none-any.whl"
    row = {"name": "one", "version": "1.0", "url": url, "sha256": "1" * 64}
    taken.write_text(json.dumps({**_EMPTY, "wheels": [row]}))
    _reported(tmp_path, "file:///srv/parts/one-1.0-py3-none-any.whl")
    assert installed.keep(tmp_path, _EMPTY, "", str(taken), done=True)["lock"]["wheels"][0]["url"] == url


def test_what_a_run_that_failed_fetched_is_in_the_lock_of_the_next(tmp_path: Path) -> None:
    source = {"url": "https://files.example/a-1.tar.gz", "sha256": "2" * 64}
    begun = {**_EMPTY, "targets": ["other"], "sources": [source]}
    assert installed.keep(tmp_path, begun, "", "", done=False)["path"] == ""
    lock = installed.keep(tmp_path, _EMPTY, "", "", done=True)["lock"]
    assert (lock["sources"], lock["targets"]) == ([source], ["training"])


def test_what_a_kept_wheel_was_built_with_is_in_the_lock_of_an_environment_without_it(tmp_path: Path) -> None:
    first, second, cache = tmp_path / "first", tmp_path / "second", tmp_path / "cache"
    for folder in (first, second, cache):
        folder.mkdir()
    _reported(first, "https://index.example/one-1.0-py3-none-any.whl")
    installed.keep(first, _EMPTY, "", "", {str(cache): []}, done=True)
    lock = installed.keep(second, _EMPTY, "", "", {str(cache): ["One==1.0", "gone==2"]}, done=True)["lock"]
    assert [(row["name"], row["version"], row["sha256"]) for row in lock["wheels"]] == [
        ("one", "1.0", "1" * 64)
    ]


def test_a_file_that_pip_did_not_name_is_told(tmp_path: Path) -> None:
    asked = {**_EMPTY, "distributions": [{"name": "torch", "version": "2.9", "index": ""}]}
    assert installed.keep(tmp_path, asked, "", "", done=True)["wrong"] == [
        "the lock has no sha256 of torch: pip did not say which files these are (it does from 22.2 on)"
    ]


@pytest.mark.parametrize(
    "text", ["", "[]", "{", '{"installed": 3}', '{"installed": [3], "begun": {"targets": 1}}']
)
def test_notes_that_somebody_broke_are_none(tmp_path: Path, text: str) -> None:
    (tmp_path / installed.NOTES).write_text(text)
    (tmp_path / ".rocmdoctor-pip-0.json").write_text(text)
    (tmp_path / installed.LOCK).write_text(text)
    assert installed.keep(tmp_path, _EMPTY, "", "", done=True)["lock"]["wheels"] == []


# ---------------------------------------------------------------- the folder


def _git(folder: Path, *words: str) -> str:
    who = ["-c", "user.name=x", "-c", "user.email=x@x.example", "-c", "protocol.file.allow=always"]
    done = subprocess.run(["git", *who, *words], cwd=folder, capture_output=True, text=True, check=True)
    return done.stdout.strip()


@pytest.fixture
def served(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """A lock of a wheel, an archive and a repository with a submodule; https://git.example is a folder here."""
    skip_without("git")
    server = tmp_path / "git.example"
    for name in ("sub", "top"):
        (server / name).mkdir(parents=True)
        _git(server / name, "init", "-q", "-b", "main")
        (server / name / "file").write_text(name)
        _git(server / name, "add", ".")
    _git(server / "sub", "commit", "-qm", "one")
    monkeypatch.setenv("GIT_CONFIG_COUNT", "2")
    for number, (key, value) in enumerate(
        ((f"url.file://{server}/.insteadOf", "https://git.example/"), ("protocol.file.allow", "always"))
    ):
        monkeypatch.setenv(f"GIT_CONFIG_KEY_{number}", key)
        monkeypatch.setenv(f"GIT_CONFIG_VALUE_{number}", value)
    _git(server / "top", "submodule", "--quiet", "add", "../sub", "inner")
    _git(server / "top", "config", "-f", ".gitmodules", "submodule.inner.url", "../sub")
    _git(server / "top", "add", ".")
    _git(server / "top", "commit", "-qm", "two")
    wheel = _wheel(tmp_path / "wheels", "one", "1.0+rocm6.4")
    archive = tmp_path / "v1.tar.gz"
    archive.write_text("archive")
    digest = hashlib.sha256(b"archive").hexdigest()
    url = f"file://{tmp_path}/wheels/one-1.0%2Brocm6.4-py3-none-any.whl"
    (tmp_path / "folder").mkdir()
    lock = {
        **_EMPTY,
        "wheels": [{"name": "one", "version": "1.0+rocm6.4", "url": url, "sha256": wheel}],
        "sources": [
            {"url": f"file://{archive}", "sha256": digest},
            {"url": "https://git.example/top", "commit": _git(server / "top", "rev-parse", "HEAD")},
        ],
    }
    (tmp_path / "the.lock").write_text(json.dumps(lock))
    return {"lock": lock, "folder": tmp_path / "folder", "file": tmp_path / "the.lock", "digest": digest}


def _fill(served: dict[str, Any], *more: str) -> tuple[int, str]:
    return _said("fill", str(served["file"]), str(served["folder"]), *more)


def _said(*words: str) -> tuple[int, str]:
    with contextlib.redirect_stdout(io.StringIO()) as out, contextlib.redirect_stderr(out):
        code = run(["cache", *words])
    return code, out.getvalue()


def test_filled_from_a_lock_and_checked_out_without_the_servers(
    served: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    code, said = _fill(served)
    assert (code, said.count("fetched: ")) == (0, 4), said
    folder = served["folder"]
    names = ["git.example", "one-1.0+rocm6.4-py3-none-any.whl", f"{served['digest'][:12]}-v1.tar.gz"]
    assert sorted(path.name for path in folder.iterdir()) == sorted(names)
    assert _fill(served)[1].count("there: ") == 4
    for number in range(2):
        monkeypatch.delenv(f"GIT_CONFIG_KEY_{number}")
    monkeypatch.delenv("GIT_CONFIG_COUNT")
    (tmp_path / "git.example").rename(tmp_path / "gone")
    row = served["lock"]["sources"][1]
    home = Home(tmp_path)
    given = {"url": row["url"], "commit": row["commit"], "path": "~/top", "submodules": True}
    _, outcome = home.do("git.checkout", mirror=str(folder), **given)
    assert (outcome.state, outcome.message) == ("done", "")
    assert (home.path / "top/inner/file").read_text() == "sub"


def test_what_cannot_be_had_is_named_and_the_rest_comes(served: dict[str, Any]) -> None:
    lock = served["lock"]
    lock["distributions"] = [{"name": "two", "version": "2", "index": ""}]
    lock["sources"][0]["sha256"] = "0" * 64
    lock["sources"][1]["commit"] = "1" * 40
    served["file"].write_text(json.dumps(lock))
    code, said = _fill(served)
    assert code == 4
    assert said.splitlines()[0] == "fetched: one-1.0+rocm6.4-py3-none-any.whl"
    url = lock["sources"][0]["url"]
    assert (
        f"missing: 000000000000-v1.tar.gz: {url}: sha256 is {served['digest']}, wanted is {'0' * 64}: it is not the file that"
        " the plan was made for (changed there, or on the way)"
    ) in said
    assert "missing: https://git.example/top at 111111111111: " in said
    assert (
        "missing: two==2: the lock does not say which file it is; install it, the lock that this writes does"
        in said
    )
    assert said.splitlines()[-1] == f"✗ 3 of 4 missing in {served['folder']}"


def test_json_of_what_was_filled(served: dict[str, Any]) -> None:
    code, said = _fill(served, "--json")
    envelope = json.loads(said)
    assert (code, envelope["status"]) == (0, "ok")
    assert {item["state"] for item in envelope["data"]["items"]} == {"fetched"}


def test_what_is_no_lock(tmp_path: Path) -> None:
    code, said = _said("fill", str(tmp_path / "none.lock"), str(tmp_path))
    assert code == 2
    assert f"cache fill: {tmp_path}/none.lock cannot be read: No such file or directory" in " ".join(
        said.split()
    )


def test_a_folder_that_is_not_as_the_lock_says(served: dict[str, Any]) -> None:
    assert _fill(served)[0] == 0
    lock, folder = served["lock"], served["folder"]
    pieces = list(mirror.pieces(lock, folder))
    assert [mirror._wrong(piece) for piece in pieces] == ["", "", ""]
    pieces[0].path.write_text("other")
    pieces[1].path.unlink()
    moved = mirror.Piece(pieces[2].url, "1" * 40, pieces[2].path, repository=True)
    found = hashlib.sha256(b"other").hexdigest()
    assert [mirror._wrong(piece) for piece in (pieces[0], pieces[1], moved)] == [
        f"{folder}/one-1.0+rocm6.4-py3-none-any.whl: sha256 is {found}, the lock says {lock['wheels'][0]['sha256']}",
        f"{folder}/{served['digest'][:12]}-v1.tar.gz, from {lock['sources'][0]['url']}: No such file or directory",
        f"{folder}/git.example/top.git has no commit {'1' * 40} of https://git.example/top",
    ]


@pytest.mark.parametrize(
    ("url", "place"),
    [
        ("https://github.com/a/b.git", "github.com/a/b.git"),
        ("https://github.com/a/b", "github.com/a/b.git"),
        ("https://ann:pw@git.example:8443/a/../../b/", "git.example/a/b.git"),
        ("file:///srv/b", "localhost/srv/b.git"),
    ],
)
def test_where_a_repository_lies(url: str, place: str) -> None:
    assert mirror.repository(Path("/srv/parts"), url) == Path("/srv/parts", place)


def test_a_copy_in_the_folder_that_is_another_file(tmp_path: Path) -> None:
    (tmp_path / "a-1.tar.gz").write_text("other")
    found = hashlib.sha256(b"other").hexdigest()
    do = Fetch(
        "https://files.example/a-1.tar.gz", f"{tmp_path}/to", "0" * 64, instead=f"{tmp_path}/a-1.tar.gz"
    )
    with pytest.raises(FetchError) as error:
        download(do, do.path, lambda _text: None)
    assert str(error.value).startswith(f"{tmp_path}/a-1.tar.gz: sha256 is {found}, wanted is {'0' * 64}")
    assert not os.path.lexists(tmp_path / "to")
