"""Signing keys that are made for one repository and thrown away with it."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

# Old copies of a key stop counting here; the renewed key has no end.
_LONG_AGO = "20200101T000000"


@dataclass(frozen=True)
class Key:
    """One key in a scratch home of gpg's. `expired` is a copy of before it was renewed, `public` the renewed one."""

    home: Path
    fingerprint: str
    public: str
    expired: str

    def clear_sign(self, text: bytes) -> bytes:
        return _gpg(self.home, "--local-user", self.fingerprint, "--clear-sign", given=text)

    def detached(self, text: bytes) -> bytes:
        return _gpg(self.home, "--local-user", self.fingerprint, "--armor", "--detach-sign", given=text)

    def binary(self, text: str) -> bytes:
        """An armored key as keyrings in .gpg files hold it."""
        return _gpg(self.home, "--dearmor", given=text.encode())


@contextmanager
def keys(*owners: str) -> Iterator[dict[str, Key]]:
    """A key for each owner, for as long as this lasts."""
    # gpg-agent's socket lies in the home, and paths of sockets are short.
    home = Path(tempfile.mkdtemp(prefix="look-", dir="/tmp"))
    try:
        yield {owner: _made(home, owner) for owner in owners}
    finally:
        subprocess.run(
            ["gpgconf", "--homedir", str(home), "--kill", "gpg-agent"],
            check=False,
            capture_output=True,
            timeout=20,
        )
        shutil.rmtree(home, ignore_errors=True)


def _made(home: Path, owner: str) -> Key:
    _gpg(home, f"--faked-system-time={_LONG_AGO}", "--quick-gen-key", owner, "ed25519", "sign", "1y")
    listed = _gpg(home, "--with-colons", "--fingerprint", f"={owner}").decode()
    found = re.search(r"^fpr:+([0-9A-F]{40}):", listed, re.MULTILINE)
    assert found is not None, listed
    fingerprint = found.group(1)
    expired = _export(home, fingerprint)
    _gpg(home, "--quick-set-expire", fingerprint, "0")
    return Key(home, fingerprint, _export(home, fingerprint), expired)


def _export(home: Path, fingerprint: str) -> str:
    return _gpg(home, "--armor", "--export", fingerprint).decode()


def _gpg(home: Path, *words: str, given: bytes = b"") -> bytes:
    argv = ["gpg", "--homedir", str(home), "--batch", "--quiet", "--no-tty", "--pinentry-mode", "loopback"]
    done = subprocess.run(
        [*argv, "--passphrase", "", *words],
        input=given,
        capture_output=True,
        check=False,
        timeout=60,
        env={"PATH": os.environ["PATH"], "HOME": str(home), "LC_ALL": "C"},
    )
    assert done.returncode == 0, f"gpg {words}: {done.stderr.decode(errors='replace')}"
    return done.stdout


def certificate(folder: Path, hosts: Iterable[str]) -> Path:
    """A file with a key and a certificate for servers of these names, which signs itself."""
    key, cert = folder / "server.key", folder / "server.crt"
    names = ",".join(f"DNS:{host}" for host in hosts)
    argv = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-noenc"]
    argv += [
        "-days",
        "30",
        "-subj",
        "/O=look-alike/CN=look-alike servers",
        "-addext",
        f"subjectAltName={names}",
    ]
    done = subprocess.run(
        [*argv, "-keyout", str(key), "-out", str(cert)], capture_output=True, check=False, timeout=60
    )
    assert done.returncode == 0, done.stderr.decode(errors="replace")
    return cert
