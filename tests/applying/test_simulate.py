"""What apt-get -s says would go, against what was agreed to."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from rocmdoctor.applying.packages import difference, parse
from rocmdoctor.applying.simulate import installs, not_agreed, removals

# Printed by apt 2.6.1 (Debian 12) and 3.0.3 (Debian 13).
SAID = """\
NOTE: This is only a simulation!
Reading package lists...
The following packages will be REMOVED:
  exim4-base*
Remv exim4-base [4.96-15+deb12u6]
Purg mailutils [1:3.15-4]
Remv libfoo:i386 [1.0] [bar:amd64 ]
Inst postfix (3.7.11-0+deb12u1 Debian:12.7/stable [amd64])
Inst libc6 [2.36-9] (2.36-9+deb12u8 Debian:12.7/stable [amd64]) []
Conf postfix (3.7.11-0+deb12u1 Debian:12.7/stable [amd64])
"""


def test_removals_and_installs_are_read() -> None:
    assert removals(SAID) == ("exim4-base", "mailutils", "libfoo:i386")
    assert installs(SAID) == ("postfix", "libc6")


def test_only_what_was_agreed_to_may_go() -> None:
    assert not_agreed(SAID, ("exim4-base", "mailutils=1:3.15-4", "libfoo:i386")) == ()
    assert not_agreed(SAID, ("exim4-base", "libfoo")) == ("mailutils", "libfoo:i386")
    assert not_agreed("Reading package lists...\n", ()) == ()


@given(st.text())
def test_any_text_is_read(text: str) -> None:
    assert set(not_agreed(text, ())) == set(removals(text))


def test_packages_before_and_after() -> None:
    before = parse(
        "a\t1\tinstalled\nb:amd64\t1\tinstalled\nc\t1\tconfig-files\ngone\t2\tinstalled\nbad line\n"
    )
    after = parse(
        "a\t2\tinstalled\nb:amd64\t1\tinstalled\nc\t1\tunpacked\nd\t1\thalf-configured\ngone\t2\tconfig-files\n"
    )
    found = difference(before, after)
    assert found.as_json() == {
        "installed": ["c", "d"], "had_settings": ["c"], "upgraded": {"a": ["1", "2"]}, "removed": {"gone": "2"},
    }  # fmt: skip
