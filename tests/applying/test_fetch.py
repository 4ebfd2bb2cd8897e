"""Downloads over a real socket: cut in the middle, resumed, wrong, missing, stalled, with a clock that is wrong."""

from __future__ import annotations

import hashlib
import shutil
import stat
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from rocmdoctor.actions import Fetch
from rocmdoctor.applying import fetch
from rocmdoctor.applying.fetch import part
from rocmdoctor.applying.stopping import Stop
from tests.applying.conftest import Bench
from tests.applying.plans import action
from tests.applying.test_openpgp import BOTH, KEY_ONE, ONE, TWO, plain

pytestmark = pytest.mark.touches_machine
Make = Callable[..., Bench]
DATA = bytes(range(256)) * 4000
SHA = hashlib.sha256(DATA).hexdigest()
SERVER = Path(__file__).with_name("server.py")


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fetch, "PAUSE", 0.01)
    for name in ("http_proxy", "https_proxy", "all_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)


@contextmanager
def serving(folder: Path, *tls: str) -> Iterator[int]:
    (folder / "data").write_bytes(DATA)
    with subprocess.Popen(
        [sys.executable, str(SERVER), str(folder), *tls], stdout=subprocess.PIPE, text=True
    ) as child:
        assert child.stdout is not None
        try:
            yield int(child.stdout.readline())
        finally:
            child.kill()


@pytest.fixture
def url(tmp_path: Path) -> Iterator[str]:
    with serving(tmp_path) as port:
        yield f"http://127.0.0.1:{port}"


def requests(folder: Path) -> list[str]:
    return (folder / "requests").read_text().splitlines()


def get(url: str, path: Path, sha256: str = SHA, **more: Any) -> Any:
    return action(do=Fetch(url, str(path), sha256, 0o640), **more)


def test_a_whole_file(bench: Make, url: str, tmp_path: Path) -> None:
    one = bench(get(f"{url}/whole", tmp_path / "new/f"))
    assert one.run().state == "done"
    assert (tmp_path / "new/f").read_bytes() == DATA
    assert stat.S_IMODE((tmp_path / "new/f").stat().st_mode) == 0o640
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["f"]
    one.undo()
    assert not (tmp_path / "new").exists()


def test_what_is_there_already_is_not_fetched(bench: Make, tmp_path: Path) -> None:
    (tmp_path / "f").write_bytes(DATA)
    one = bench(get("http://127.0.0.1:1/", tmp_path / "f"))
    assert one.run().state == "done"
    one.undo()
    assert (tmp_path / "f").read_bytes() == DATA


def test_a_former_file_is_replaced_and_comes_back(bench: Make, url: str, tmp_path: Path) -> None:
    (tmp_path / "f").write_bytes(b"former")
    one = bench(get(f"{url}/whole", tmp_path / "f"))
    one.run()
    assert (tmp_path / "f").read_bytes() == DATA
    one.undo()
    assert (tmp_path / "f").read_bytes() == b"former"


def test_a_cut_download_goes_on_where_it_was(bench: Make, url: str, tmp_path: Path) -> None:
    one = bench(get(f"{url}/cut", tmp_path / "f"))
    assert one.run().state == "done"
    assert (tmp_path / "f").read_bytes() == DATA
    assert requests(tmp_path) == ["cut ", f"cut bytes={len(DATA) // 2}-"]
    told = [event.text for event in one.events if event.kind == "line"]
    assert any("the connection was cut after" in text and "; tries again in 0 s" in text for text in told)


def test_a_server_that_cannot_go_on_begins_anew(bench: Make, url: str, tmp_path: Path) -> None:
    one = bench(get(f"{url}/norange", tmp_path / "f"))
    assert one.run().state == "done"
    assert (tmp_path / "f").read_bytes() == DATA


def test_a_busy_server_is_asked_again(bench: Make, url: str, tmp_path: Path) -> None:
    assert bench(get(f"{url}/busy", tmp_path / "f")).run().state == "done"
    assert len(requests(tmp_path)) == 2


def test_three_cuts_are_enough_and_resume_goes_on(bench: Make, url: str, tmp_path: Path) -> None:
    one = bench(get(f"{url}/always-cut", tmp_path / "f"))
    outcome = one.run()
    have = len(DATA) // 2 + len(DATA) // 4 + len(DATA) // 8
    assert outcome.message == (
        f"{url}/always-cut: the connection was cut after {have} of {len(DATA)} bytes (3 tries)"
    )
    assert not (tmp_path / "f").exists()
    assert part(str(tmp_path / "f")).stat().st_size == have
    one.run()
    assert requests(tmp_path)[3] == f"always-cut bytes={have}-"
    one.undo()
    assert not part(str(tmp_path / "f")).exists()


def test_a_wrong_hash_says_both_and_deletes_nothing_else(bench: Make, url: str, tmp_path: Path) -> None:
    (tmp_path / "f").write_bytes(b"former")
    one = bench(get(f"{url}/whole", tmp_path / "f", "0" * 64))
    assert one.run().message == (
        f"{url}/whole: sha256 is {SHA}, wanted is {'0' * 64}: it is not the file that the plan was made for (changed there,"
        f" or on the way); {tmp_path}/f was left as it is"
    )
    assert (tmp_path / "f").read_bytes() == b"former"
    assert not part(str(tmp_path / "f")).exists()


def test_a_beginning_of_another_file_is_thrown_away(bench: Make, url: str, tmp_path: Path) -> None:
    part(str(tmp_path / "f")).write_bytes(b"of another file")
    assert bench(get(f"{url}/whole", tmp_path / "f")).run().state == "done"
    assert (tmp_path / "f").read_bytes() == DATA
    assert len(requests(tmp_path)) == 2


@pytest.mark.parametrize("left", [DATA, DATA + b"more"])
def test_a_part_that_has_it_all(bench: Make, url: str, tmp_path: Path, left: bytes) -> None:
    part(str(tmp_path / "f")).write_bytes(left)
    assert bench(get(f"{url}/whole", tmp_path / "f")).run().state == "done"
    assert (tmp_path / "f").read_bytes() == DATA


def test_a_link_in_place_of_the_part_is_not_followed(bench: Make, url: str, tmp_path: Path) -> None:
    (tmp_path / "victim").write_bytes(b"")
    part(str(tmp_path / "f")).symlink_to(tmp_path / "victim")
    outcome = bench(get(f"{url}/whole", tmp_path / "f")).run()
    assert outcome.state == "failed"
    assert (tmp_path / "victim").read_bytes() == b""


def test_a_server_that_falls_silent(
    bench: Make, url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fetch, "SILENCE", 0.2)
    monkeypatch.setattr(fetch, "TRIES", 1)
    assert bench(get(f"{url}/stall", tmp_path / "f")).run().message == (
        f"{url}/stall: the connection was cut (timed out)"
    )


def test_time_is_up(bench: Make, url: str, tmp_path: Path) -> None:
    assert bench(get(f"{url}/stall", tmp_path / "f", timeout=0.5)).run().message == (
        f"{url}/stall: not done within 0 s; what has come is kept, resume goes on from there"
    )


def test_a_wish_to_stop_ends_it(url: str, tmp_path: Path) -> None:
    stop = Stop()
    one = Bench(tmp_path / "state", get(f"{url}/stall", tmp_path / "f"))

    class Asks(list[Any]):
        def append(self, event: Any) -> None:
            stop.ask(1 if event.kind == "line" else 0)

    one.events = Asks()
    assert one.run(stop=stop).state == "stopped"


@pytest.mark.parametrize(
    ("address", "says"),
    [
        ("{url}/missing", "{url}/missing: the server answers 404 Not Found"),
        ("http://127.0.0.1:1/x", "http://127.0.0.1:1/x: not reached (Connection refused); look at the network, then resume (3 tries)"),
        ("http://no-such-host.invalid/x", "http://no-such-host.invalid/x: not reached ("),
        ("ftp://127.0.0.1/x", "ftp://127.0.0.1/x: an address that begins with one of https, http, file is wanted"),
        ("file:///no/such/file", "file:///no/such/file: No such file or directory"),
        ("file://other/x", "file://other/x: a file of this machine is wanted, as in file:///srv/mirror/file"),
        ("file:///", "file:///: Is a directory"),
    ],
)  # fmt: skip
def test_what_cannot_be_fetched_is_named(
    bench: Make, url: str, tmp_path: Path, address: str, says: str
) -> None:
    message = bench(get(address.format(url=url), tmp_path / "f")).run().message
    assert message.startswith(says.format(url=url))
    assert not (tmp_path / "f").exists()


def test_a_file_address(bench: Make, tmp_path: Path) -> None:
    (tmp_path / "data").write_bytes(DATA)
    part(str(tmp_path / "f")).write_bytes(DATA[:100])
    assert bench(get(f"file://{tmp_path}/data", tmp_path / "f")).run().state == "done"
    assert (tmp_path / "f").read_bytes() == DATA


def test_a_full_disk(small_disk: Path, bench: Make, url: str) -> None:
    message = bench(get(f"{url}/whole", small_disk / "f")).run().message
    assert message.startswith(
        f"{small_disk}/f: the disk is full; make room on it, then resume (0 MiB free at "
    )
    assert not (small_disk / "f").exists()


@pytest.mark.skipif(shutil.which("openssl") is None, reason="needs openssl: certificates are made")
@pytest.mark.parametrize(
    ("begins", "ends", "says"),
    [
        ("20900101000000Z", "20910101000000Z", "the server's certificate is not valid yet by this machine's clock, which says 20"),
        ("20100101000000Z", "20110101000000Z", "the server's certificate is no longer valid by this machine's clock, which says 20"),
        ("", "", "the server's certificate is not trusted (self-signed certificate)"),
    ],
)  # fmt: skip
def test_a_clock_that_is_wrong_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, begins: str, ends: str, says: str
) -> None:
    key, certificate = _certificate(tmp_path, begins or "20200101000000Z", ends or "20900101000000Z")
    if begins:
        monkeypatch.setenv("SSL_CERT_FILE", certificate)
    with serving(tmp_path, certificate, key) as port:
        address = f"https://127.0.0.1:{port}/whole"
        message = Bench(tmp_path / "state", get(address, tmp_path / "f")).run().message
    assert message.startswith(f"{address}: {says}")
    assert "then resume" in message or "ca-certificates" in message


def _certificate(folder: Path, begins: str, ends: str) -> tuple[str, str]:
    settings = f"""
[ca]
default_ca = own
[own]
database = {folder}/index
serial = {folder}/serial
new_certs_dir = {folder}
default_md = sha256
policy = any
x509_extensions = ext
[any]
commonName = supplied
[ext]
basicConstraints = critical, CA:true
subjectAltName = IP:127.0.0.1
"""
    (folder / "ca.cnf").write_text(settings)
    (folder / "index").write_text("")
    (folder / "serial").write_text("01\n")
    key, request, certificate = (str(folder / name) for name in ("key", "request", "certificate"))
    for argv in (
        ["req", "-new", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=localhost", "-keyout", key, "-out", request],
        ["ca", "-batch", "-selfsign", "-config", str(folder / "ca.cnf"), "-keyfile", key, "-in", request, "-out", certificate,
         "-startdate", begins, "-enddate", ends, "-notext"],
    ):  # fmt: skip
        subprocess.run(["openssl", *argv], check=True, capture_output=True)
    return key, certificate


# ---------------------------------------------------------------- keys


def key_from(folder: Path, data: bytes, wanted: str) -> Fetch:
    (folder / "key").write_bytes(data)
    return Fetch(f"file://{folder}/key", str(folder / "kept.asc"), "", key=wanted)


def test_a_key_is_kept_by_its_fingerprint_alone_and_armored(bench: Make, tmp_path: Path) -> None:
    do = key_from(tmp_path, plain(BOTH), ONE)
    Path(do.path).write_text("former")
    one = bench(action(do=do))
    assert one.run().state == "done"
    assert Path(do.path).read_text() == KEY_ONE
    one.undo()
    assert Path(do.path).read_text() == "former"


def test_another_key_is_shown_and_not_taken(bench: Make, tmp_path: Path) -> None:
    do = key_from(tmp_path, KEY_ONE.encode(), TWO)
    assert bench(action(do=do)).run().message == (
        f"{do.url}: found the key {ONE}, wanted the key {TWO}: what is signed by another key is not taken; when the vendor "
        f"says that it is theirs, plan with --trust-key {ONE}"
    )
    assert not Path(do.path).exists()
    assert not part(do.path).exists()


def test_what_is_no_key_is_not_taken(bench: Make, tmp_path: Path) -> None:
    do = key_from(tmp_path, b"<html>", TWO)
    assert bench(action(do=do)).run().message == (
        f"{do.url}: found no OpenPGP key, wanted the key {TWO}: what is signed by another key is not taken"
    )


def test_a_key_that_somebody_exchanged_since_is_left(bench: Make, tmp_path: Path) -> None:
    do = key_from(tmp_path, KEY_ONE.encode(), ONE)
    one = bench(action(do=do))
    one.run()
    Path(do.path).write_text("another")
    one.undo()
    assert Path(do.path).read_text() == "another"
