"""Repository lines, keys and pins."""

from __future__ import annotations

import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rocmdoctor.facts.apt import AptKeys, AptPins, AptSources
from rocmdoctor.facts.base import Evidence, UnknownError, read
from rocmdoctor.hosts.replay import from_raw

LIST = "/etc/apt/sources.list.d/rocm.list"
STANZA = "/etc/apt/sources.list.d/rocm.sources"


def _kept(fact: type, name: str, text: str) -> str:
    keep = fact.queries()[name].keep
    return "".join(m.group(0) + "\n" for m in re.finditer(keep, text, re.MULTILINE))


def _sources(one: str = "", many: str = "", stanzas: str = "") -> tuple[Any, ...]:
    answers = {
        "read:/etc/apt/sources.list": {"ok": True, "text": _kept(AptSources, "list", one)},
        "glob:/etc/apt/sources.list.d/*.list": {
            "ok": True,
            "files": {LIST: _kept(AptSources, "lists", many)},
        },
        "glob:/etc/apt/sources.list.d/*.sources": {
            "ok": True,
            "files": {STANZA: _kept(AptSources, "stanzas", stanzas)},
        },
    }
    return read(AptSources, from_raw({"schema": 1, "answers": answers}).answers).sources


def test_a_line_with_options() -> None:
    (source,) = _sources(
        many="deb [arch=amd64,i386 signed-by=/etc/apt/keyrings/rocm.gpg trusted=yes] "
        "https://repo.radeon.com/rocm/apt/6.2.4/ jammy main proprietary # a note\n"
    )
    assert (source.host, source.path, source.suite) == ("repo.radeon.com", "rocm/apt/6.2.4", "jammy")
    assert source.components == ("main", "proprietary")
    assert source.signed_by == "/etc/apt/keyrings/rocm.gpg"
    assert source.trusted


def test_only_lines_of_vendors_leave_the_machine() -> None:
    text = (
        "deb [arch=amd64] https://***@packages.example.com/private stable main\n"
        "# deb https://repo.radeon.com/rocm/apt/5.7 jammy main\n"
        "deb-src https://repo.radeon.com/rocm/apt/5.7 jammy main\n"
    )
    assert "example.com" not in _kept(AptSources, "list", text)
    assert _sources(one=text) == ()


def test_stanzas() -> None:
    found = _sources(
        stanzas="Types: deb\nURIs: https://stable.repo.amd.com/rocm/core/packages/ubuntu2404/\nSuites: stable\n"
        "Components: main\nSigned-By: /etc/apt/keyrings/amdrocm.gpg\n\n"
        "Types: deb\nEnabled: no\nURIs: https://repo.radeon.com/rocm/apt/6.2 \nSuites: noble\n\n"
        "Types: deb\nURIs: https://packages.example.com/x\nSuites: private-name\n\n"
        "Types: deb\nURIs: https://packages.example.com/y\n https://repo.radeon.com/rocm/apt/6.0\nSuites: noble\n\n"
        "Types: deb deb-src\nURIs:\n https://repo.radeon.com/rocm/apt/6.1\n https://repo.radeon.com/rocm/apt/6.2\n"
        "Suites: noble\nSigned-By:\n -----BEGIN PGP PUBLIC KEY BLOCK-----\n .\n mQINBF\n"
    )
    assert [(s.path, s.suite, s.signed_by) for s in found] == [
        ("rocm/core/packages/ubuntu2404", "stable", "/etc/apt/keyrings/amdrocm.gpg"),
        ("rocm/apt/6.0", "noble", ""),
        ("rocm/apt/6.1", "noble", "inline"),
        ("rocm/apt/6.2", "noble", "inline"),
    ]


def test_nobody_asked() -> None:
    with pytest.raises(UnknownError):
        read(AptSources, {})


@given(st.text(), st.text())
def test_any_text_is_read(one: str, two: str) -> None:
    _sources(one, one, two)


def _keys(colons: str, code: int = 0, stderr: str = "", **stat: Any) -> Any:
    line = "deb [signed-by=/k.gpg] https://repo.radeon.com/rocm/apt/6.2.4 jammy main\n"
    answers = {
        "read:/etc/apt/sources.list": {"ok": True, "text": line},
        "stat:/k.gpg": stat or {"ok": True, "text": "file 0644 root root"},
    }
    more = AptKeys.follow_up(Evidence(from_raw({"schema": 1, "answers": answers}).answers, AptKeys.queries()))
    assert set(more) == {"stat /k.gpg", "keys /k.gpg"}
    run = f"run:{' '.join(more['keys /k.gpg'].argv)}"
    answers[run] = {"ok": True, "exit_code": code, "stdout": colons, "stderr": stderr}
    return read(AptKeys, from_raw({"schema": 1, "answers": answers}).answers).named["/k.gpg"]


# Printed by gpg 2.2.40 for a key made for this test.
EXPIRED = """pub:e:255:22:AAAAAAAAAAAAAAAA:1577880000:1578484800::-:::sc::::::23::0:
fpr:::::::::0000000000000000000000000000000000000001:
uid:e::::1577880000::0000000000000000000000000000000000000002::Test <test@example.org>::::::::::0:
sub:e:255:18:BBBBBBBBBBBBBBBB:1577880000:1578484800:::::e::::::23:
fpr:::::::::0000000000000000000000000000000000000003:
pub:-:255:22:CCCCCCCCCCCCCCCC:1577880000:::-:::sc::::::23::0:
fpr:::::::::0000000000000000000000000000000000000004:
"""


def test_keys_of_a_file() -> None:
    first, second = _keys(EXPIRED).keys
    assert (first.fingerprint[-1], first.validity, first.expires, first.owner) == (
        "1", "e", 1578484800, "Test <test@example.org>",
    )  # fmt: skip
    assert (second.fingerprint[-1], second.validity, second.expires) == ("4", "-", None)


@pytest.mark.parametrize(
    ("stderr", "known"),
    [("gpg: no valid OpenPGP data found.\n", True), ("gpg: Fatal: can't open '/proc/trustdb.gpg'\n", False)],
)
def test_a_file_without_keys_and_a_gpg_that_fails(stderr: str, known: bool) -> None:
    file = _keys("", code=2, stderr=stderr)
    assert (file.keys == ()) is known
    assert (file.keys is None) is not known


def test_a_file_that_is_not_there() -> None:
    assert _keys("", ok=False, why="absent").there is False


@given(st.text())
def test_any_listing_is_read(text: str) -> None:
    _keys(text)


def _pins(text: str) -> Any:
    answers = {
        "read:/etc/apt/preferences": {"ok": False, "why": "absent"},
        "glob:/etc/apt/preferences.d/*": {
            "ok": True,
            "files": {
                "/etc/apt/preferences.d/rocm-pin-600": _kept(AptPins, "many", text),
                "/etc/apt/preferences.d/old.bak": "Package: *\nPin: release o=bak\nPin-Priority: 1\n",
            },
        },
    }
    return read(AptPins, from_raw({"schema": 1, "answers": answers}).answers).pins


def test_pins() -> None:
    first, second, third = _pins(
        "Explanation: mine\nPackage: *\nPin: release o=repo.radeon.com\nPin-Priority: 600\n\n"
        'Package: rocm* /^hip/\nPin: origin "repo.radeon.com"\nPin-Priority: 1001\n\n'
        "Package: *\nPin: release o=\nPin-Priority: x\n"
    )
    assert (first.origin(), first.priority, first.covers("hipcc")) == ("repo.radeon.com", 600, True)
    assert (second.site(), second.origin(), second.covers("hipcc"), second.covers("bash")) == (
        "repo.radeon.com", None, True, False,
    )  # fmt: skip
    assert (third.origin(), third.priority) == ("", None)


# What apt 2.6 did with a repository of this origin: the pin's priority was given to its packages, or not.
@pytest.mark.parametrize(
    ("pin", "works"),
    [
        ("release o=repo.radeon.com", True),
        ("release o=Repo.Radeon.com", True),
        ("release o=repo.radeon.*", True),
        ("release a=jammy, o=repo.radeon.com", True),
        ('release o="repo.radeon.com"', False),
        ("release o=", False),
    ],
)
def test_pins_work_as_in_apt(pin: str, works: bool) -> None:
    (found,) = _pins(f"Package: *\nPin: {pin}\nPin-Priority: 600\n")
    assert found.prefers("repo.radeon.com") is works


@given(st.text())
def test_any_pin_is_read(text: str) -> None:
    for pin in _pins(text):
        pin.covers("rocminfo")
        pin.prefers("repo.radeon.com")
