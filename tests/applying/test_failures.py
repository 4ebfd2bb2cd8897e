"""The table of failures: what real programs print is known, and says what to do."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import pytest

from rocmdoctor.applying import failures
from tests.conftest import CHECKOUT

TABLE = failures.load(CHECKOUT / "checks" / "data" / "step-failures.toml")

# Printed by apt 2.6.1, dpkg 1.21.22, dkms 3.0.10, curl 7.88.1.
PRINTED = {
    "E: You don't have enough free space in /var/cache/apt/archives/.": "/var/cache/apt/archives/ has too little room",
    "dpkg: error processing archive /var/cache/apt/archives/x.deb (--unpack):\n cannot copy extracted data for"
    " './usr/lib/x' to '/usr/lib/x.dpkg-new': failed to write (No space left on device)": "the disk is full",
    "E: Could not get lock /var/lib/dpkg/lock-frontend. It is held by process 812 (unattended-upgr)": "process 812 (unattended-upgr) is changing packages",
    "E: dpkg was interrupted, you must manually run 'dpkg --configure -a' to correct the problem.": "an earlier package transaction was cut off",
    "E: Unable to locate package rocm-core": "no repository that is configured has the package rocm-core",
    "E: Package 'rocm' has no installation candidate": "rocm is known, but no repository offers it",
    "E: Version '9' for 'hipcc' was not found": "no repository has hipcc in version 9",
    "W: GPG error: https://repo.radeon.com/rocm/apt/6.4 jammy InRelease: The following signatures couldn't be verified"
    " because the public key is not available: NO_PUBKEY 9386B48A1A693C5C": "signed with the key 9386B48A1A693C5C",
    "E: Release file for http://deb.debian.org/debian/dists/bookworm-updates/InRelease is not valid yet (invalid for"
    " another 2d 3h 4min 5s). Updates for this repository will not be applied.": "from the future by 2d 3h 4min 5s: the clock is behind",
    "E: Release file for http://deb.debian.org/debian-security/InRelease is expired (invalid since 3d 1h 2min 3s)."
    " Updates for this repository will not be applied.": "the clock is ahead, or the mirror is no longer kept",
    "  Temporary failure resolving 'deb.debian.org'": "no address could be found for deb.debian.org",
    "curl: (6) Could not resolve host: repo.radeon.com": "no address could be found for repo.radeon.com",
    "  404  Not Found [IP: 151.101.2.132 80]": "a server answers 404 Not Found",
    "E: Failed to fetch http://x/y.deb  Hash Sum mismatch": "a mirror gave another file than its list names",
    "Error! Bad return status for module build on kernel: 6.1.0-25-amd64 (x86_64)": "does not build for kernel 6.1.0-25-amd64",
    "E: Sub-process /usr/bin/dpkg returned an error code (1)": "dpkg could not finish a package",
    "E: Sub-process /usr/bin/dpkg exited unexpectedly": "dpkg was killed",
    "touch: cannot touch '/etc/x': Read-only file system": "the file system is mounted read-only",
    "curl: (60) SSL certificate problem: certificate is not yet valid": "not valid yet by this machine's clock",
    "curl: (60) SSL certificate problem: self-signed certificate": "the server's certificate is not trusted",
    "c++: fatal error: Killed signal terminated program cc1plus": "the memory did not suffice",
    "cc: fatal error: Killed signal terminated program cc1": "the memory did not suffice",
    "clang++: error: unable to execute command: Killed": "a compiler was killed, as the kernel does when memory runs out",
    "ops.hip:4:10: fatal error: 'hipblas/hipblas.h' file not found": "refuses ops.hip, line 4: 'hipblas/hipblas.h' file",
    "csrc/a.cpp:12: error: expected ';'": "refuses csrc/a.cpp, line 12: expected ';'",
    "ERROR: No matching distribution found for torch==2.9.1+rocm6.4": "has no torch==2.9.1+rocm6.4 for this Python",
    "ERROR: THESE PACKAGES DO NOT MATCH THE HASHES FROM THE REQUIREMENTS FILE. If you have updated": "is not the one that is",
    "ModuleNotFoundError: No module named 'setuptools'": "needs the Python module setuptools",
    "fatal: unable to access 'https://github.com/a/b/': Could not connect to server": "https://github.com/a/b/ is not reached",
    "fatal: remote error: upload-pack: not our ref 0123": "the repository has no 0123",
}  # fmt: skip


@pytest.mark.parametrize(("printed", "says"), PRINTED.items())
def test_what_programs_print_is_known(printed: str, says: str) -> None:
    found = failures.meaning(printed.split("\n"), TABLE)
    assert found is not None
    assert says in found.says
    assert "{" not in str(found)
    assert found.cure


def test_the_most_telling_line_decides() -> None:
    lines = [
        "dpkg: error processing package foo (--configure):",
        " installed foo package post-installation script subprocess returned error exit status 1",
        "E: Sub-process /usr/bin/dpkg returned an error code (1)",
    ]
    assert str(failures.meaning(lines, TABLE)) == (
        "dpkg could not finish foo; resume finishes it with 'dpkg --configure -a' and tries again"
    )


def test_the_log_that_a_program_names_says_more(tmp_path: Path) -> None:
    log = tmp_path / "make.log"
    log.write_text(
        "DKMS make.log for amdgpu-6.8.5\n  CC [M]  x.o\nx.c:1:2: error: no such field\nx.c:1:2: error: no such field\n"
        "x.c:9:1: error: too few arguments\nmake: *** [Makefile:9: all] Error 2\n"
    )
    (dkms,) = [f for f in TABLE if f.log is not None]
    here = replace(dkms, log=re.compile(r"Consult (\S+)"))
    lines = [
        "Error! Bad return status for module build on kernel: 6.11.0-8-generic (x86_64)",
        f"Consult {log} for more information.",
    ]
    found = failures.meaning(lines, (here,))
    assert found is not None
    assert found.says == (
        "the kernel module does not build for kernel 6.11.0-8-generic: x.c:1:2: error: no such field"
        " / x.c:9:1: error: too few arguments"
    )
    assert "--driver kernel" in found.cure
    log.unlink()
    found = failures.meaning(lines, (here,))
    assert found is not None
    assert found.says == "the kernel module does not build for kernel 6.11.0-8-generic"


def test_good_output_means_nothing() -> None:
    lines = [
        "Reading package lists...",
        "Setting up hipcc (5.2.3-1) ...",
        "Processing triggers for libc-bin ...",
    ]
    assert failures.meaning(lines, TABLE) is None


def test_the_table_comes_along() -> None:
    assert failures.table() == TABLE


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("[[failure]]\npattern = 'x'\n", "failure 1: wanted are the texts cure, pattern, says, source"),
        ("[[failure]]\npattern='('\nsource='s'\nsays='a'\ncure='c'\n", "failure 1: missing ), unterminated subpattern at position 0"),
        ("[[failure]]\npattern='x'\nsource='s'\nsays='{y}'\ncure='c'\n", "failure 1: 'y'"),
        ("[[failure]\n", "Expected ']]' at the end of an array declaration (at line 1, column 10)"),
    ],
)  # fmt: skip
def test_a_table_that_is_wrong_names_the_entry(tmp_path: Path, text: str, says: str) -> None:
    path = tmp_path / "t.toml"
    path.write_text(text)
    with pytest.raises(failures.FailureTableError) as caught:
        failures.load(path)
    assert str(caught.value) == f"{path}: {says}"
