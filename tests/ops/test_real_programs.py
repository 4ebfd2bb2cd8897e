"""What operations write, given to the programs that read it; and summaries of apt-get that nobody wrote."""

from __future__ import annotations

import hashlib
import re
import shutil
import subprocess
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from rocmdoctor.actions import WriteFile
from rocmdoctor.model import Answer
from rocmdoctor.ops.apt import predicted
from tests.machines.healthy import machine
from tests.ops.test_operations import HERE, ground_of, planned

# ---------------------------------------------------------------- apt's summaries

_LINES = [line for path in sorted((HERE / "apt").glob("*.txt")) for line in path.read_text().splitlines()]


@given(st.lists(st.one_of(st.sampled_from(_LINES), st.text(max_size=40))).map("\n".join))
@example(
    "1 upgraded, 0 newly installed\nNeed to get 1.2.3 kB of archives\nAfter this operation, , kB of additional"
)
@example("99999999999999999999 upgraded, 0 newly installed,")
def test_any_summary_is_read_or_left(text: str) -> None:
    said = predicted(Answer(ok=True, exit_code=1, stdout=text))
    if said is not None:
        assert all(re.fullmatch(r"\S+", name) for name in said.installs + said.removes)
        assert said.download >= 0
        assert said.disk >= 0


def test_captured_summaries_are_read_in_full() -> None:
    found = {
        path.stem: predicted(Answer(ok=True, stdout=path.read_text()))
        for path in (HERE / "apt").glob("*.txt")
    }
    assert {n for n, said in found.items() if said is None} == {"install-unknown", "install-while-broken"}
    whole = found["install-cached"]
    assert whole is not None
    # The summary's own count: 86 newly installed.
    assert len(whole.installs) == len(set(whole.installs)) == 86
    assert {"hipcc", "libstdc++-14-dev", "rpcsvc-proto", "binutils"} <= set(whole.installs)


# ---------------------------------------------------------------- a signed repository


def _gpg(home: Path, *words: str) -> str:
    return subprocess.run(
        ["gpg", "--homedir", str(home), "--batch", "--quiet", "--passphrase", "", *words],
        capture_output=True,
        check=True,
        timeout=60,
        text=True,
    ).stdout


def _key(home: Path, name: str) -> tuple[str, str]:
    """Fingerprint and armored text of a new key."""
    home.mkdir(mode=0o700)
    _gpg(home, "--quick-gen-key", f"{name} <{name}@example.org>", "ed25519", "sign")
    fingerprint = re.search(
        r"^fpr:+([0-9A-F]{40}):", _gpg(home, "--with-colons", "--list-keys"), re.MULTILINE
    )
    assert fingerprint is not None
    return fingerprint.group(1), _gpg(home, "--armor", "--export")


def _repository(folder: Path, gpg_home: Path) -> None:
    lists = folder / "dists" / "stable" / "main" / "binary-amd64" / "Packages"
    lists.parent.mkdir(parents=True)
    lists.write_text("")
    digest = hashlib.sha256(b"").hexdigest()
    release = folder / "dists" / "stable" / "Release"
    release.write_text(
        "Suite: stable\nCodename: stable\nArchitectures: amd64\nComponents: main\nDate: Thu, 01 Jan 2026 00:00:00 UTC\n"
        f"SHA256:\n {digest} 0 main/binary-amd64/Packages\n"
    )
    _gpg(gpg_home, "--clearsign", "--output", str(release.parent / "InRelease"), str(release))


def _update(tmp_path: Path, source: str) -> subprocess.CompletedProcess[str]:
    (tmp_path / "x.sources").write_text(source)
    lists = tmp_path / "lists"
    shutil.rmtree(lists, ignore_errors=True)
    (lists / "partial").mkdir(parents=True)
    settings = {
        "Dir::Etc::sourcelist": tmp_path / "x.sources",
        "Dir::Etc::sourceparts": "/dev/null",
        "Dir::State::lists": lists,
        "Dir::Cache": tmp_path,
        "APT::Update::Error-Mode": "any",
        "APT::Sandbox::User": "root",
        "APT::Architecture": "amd64",
        "APT::Update::Post-Invoke::": "true",
        "Debug::NoLocking": "1",
    }
    words = [word for name, value in settings.items() for word in ("-o", f"{name}={value}")]
    return subprocess.run(
        ["apt-get", "-q", *words, "update"],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        check=False,
        timeout=60,
        text=True,
        env={"LC_ALL": "C", "PATH": "/usr/bin:/bin"},
    )


@pytest.mark.touches_machine
@pytest.mark.skipif(
    not (shutil.which("gpg-agent") and shutil.which("apt-get")), reason="needs gpg and apt-get"
)
def test_apt_takes_a_repository_signed_by_that_key_and_no_other_of_the_same_file(
    tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    for name in ("right", "other"):
        # gpg starts an agent for each of its folders, which would stay behind.
        words = ["gpgconf", "--homedir", str(tmp_path / name), "--kill", "gpg-agent"]
        request.addfinalizer(lambda words=words: subprocess.run(words, check=False, timeout=20))
    right, right_text = _key(tmp_path / "right", "right")
    other, other_text = _key(tmp_path / "other", "other")
    _repository(tmp_path / "repo", tmp_path / "right")
    (tmp_path / "both.asc").write_text(f"{right_text}{other_text}")
    for fingerprint, taken in ((right, True), (other, False)):
        _, actions = planned(
            "apt.repository",
            {
                "id": "t",
                "uri": f"file://{tmp_path}/repo",
                "suite": "stable",
                "components": ["main"],
                "fingerprint": fingerprint,
                "key": right_text,
            },
            ground_of(machine("mi210-no-rocm")),
        )
        written = {a.do.path: a.do.text for a in actions if isinstance(a.do, WriteFile)}
        keyring, source = written
        assert written[keyring] == right_text
        done = _update(tmp_path, (written[source] or "").replace(keyring, str(tmp_path / "both.asc")))
        assert (done.returncode == 0) is taken, done.stdout
        assert ("is not signed" in done.stdout) is not taken, done.stdout


@pytest.mark.touches_machine
@pytest.mark.skipif(not shutil.which("apt-cache"), reason="no apt-cache here")
def test_apt_reads_a_pin_as_it_is_meant(tmp_path: Path) -> None:
    _, actions = planned(
        "apt.pin",
        {"id": "t", "pin": "version *", "priority": 877, "packages": ["base-files", "/^libc6$/"]},
        ground_of(machine("mi210")),
    )
    (tmp_path / "pins").write_text(actions[0].do.text)  # type: ignore[union-attr]
    own = ("-o", f"Dir::Etc::preferences={tmp_path}/pins", "-o", "Dir::Etc::preferencesparts=/dev/null")
    said = subprocess.run(
        ["apt-cache", *own, "policy", "base-files", "libc6", "dpkg"],
        stdout=subprocess.PIPE,
        check=True,
        timeout=60,
        text=True,
    ).stdout
    parts = re.split(r"^(\S+):$", said, flags=re.MULTILINE)[1:]
    by_name = dict(zip(parts[::2], parts[1::2], strict=True))
    assert {name: " 877" in part for name, part in by_name.items()} == {
        "base-files": True,
        "libc6": True,
        "dpkg": False,
    }


# ---------------------------------------------------------------- the kernel's command line


@pytest.mark.touches_machine
@pytest.mark.parametrize("before", ["", "quiet splash", "console=tty1 console=ttyS0"])
def test_a_shell_appends_the_parameters_as_grub_mkconfig_reads_them(tmp_path: Path, before: str) -> None:
    answers = machine("mi210")
    answers["stat:/run/systemd/system"] = {"ok": True, "text": "dir 0755 root root"}
    answers["stat:/usr/sbin/update-grub"] = {"ok": True, "text": "file 0755 root root"}
    wanted = ["iommu=pt", "pci=realloc=off", "amdgpu.x=a:b,c/d+e"]
    _, actions = planned("kernel.cmdline", {"parameters": wanted}, ground_of(answers))
    (tmp_path / "grub").write_text(f'GRUB_CMDLINE_LINUX_DEFAULT="{before}"\n')
    (tmp_path / "90.cfg").write_text(actions[0].do.text)  # type: ignore[union-attr]
    out = subprocess.run(
        [
            "sh",
            "-ec",
            'cd "$1"; . ./grub; . ./90.cfg; printf %s "$GRUB_CMDLINE_LINUX_DEFAULT"',
            "x",
            str(tmp_path),
        ],
        stdout=subprocess.PIPE,
        check=True,
        timeout=20,
        text=True,
    ).stdout
    assert out == " ".join(filter(None, [before, *wanted]))
