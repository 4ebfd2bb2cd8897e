"""Keys of repositories: which a file holds, and one of them alone."""

from __future__ import annotations

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rocmdoctor.applying.openpgp import NoKeyError, alone, fingerprints

ONE = "6BE81FB77495D44D429D0CC0B1ED554F07B53FCB"
TWO = "35D41577E70E6522C883D6C76BB470F685EAA1B8"
# Made by gpg 2.4 for these tests; their secret halves are gone.
KEY_ONE = """\
-----BEGIN PGP PUBLIC KEY BLOCK-----

mDMEawgmZRYJKwYBBAHaRw8BAQdAy7/Mf+ddI/4nX/THmUnp1K2A0Ew3ko5Du3b3
bzRLV/a0IExvb2stYWxpa2Ugb25lIDxvbmVAZXhhbXBsZS5vcmc+iJAEExYIADgW
IQRr6B+3dJXUTUKdDMCx7VVPB7U/ywUCawgmZQIbAwULCQgHAgYVCgkICwIEFgID
AQIeAQIXgAAKCRCx7VVPB7U/ywbTAP9mh/OhzHN9wk2AMsJ6eVPyL3e7OGjan+t8
bxGyL9xfSAEA7E+5z0jEg8fJB5Qxx/IeyebQsM+ogqjkgb+U/++5VwU=
=MZPY
-----END PGP PUBLIC KEY BLOCK-----
"""
BOTH = """\
-----BEGIN PGP PUBLIC KEY BLOCK-----

mDMEawgmZRYJKwYBBAHaRw8BAQdAy7/Mf+ddI/4nX/THmUnp1K2A0Ew3ko5Du3b3
bzRLV/a0IExvb2stYWxpa2Ugb25lIDxvbmVAZXhhbXBsZS5vcmc+iJAEExYIADgW
IQRr6B+3dJXUTUKdDMCx7VVPB7U/ywUCawgmZQIbAwULCQgHAgYVCgkICwIEFgID
AQIeAQIXgAAKCRCx7VVPB7U/ywbTAP9mh/OhzHN9wk2AMsJ6eVPyL3e7OGjan+t8
bxGyL9xfSAEA7E+5z0jEg8fJB5Qxx/IeyebQsM+ogqjkgb+U/++5VwWYMwRrCCZm
FgkrBgEEAdpHDwEBB0Chb4OideLg+zznKRec78EasEq8oJiGoOvznlxKnXiwI7Qg
TG9vay1hbGlrZSB0d28gPHR3b0BleGFtcGxlLm9yZz6IjwQTFggAOBYhBDXUFXfn
DmUiyIPWx2u0cPaF6qG4BQJrCCZmAhsDBQsJCAcCBhUKCQgLAgQWAgMBAh4BAheA
AAoJEGu0cPaF6qG4lB4BAMb7eU7gpH8/xyEsBrINXgtDquenBOk3nCoEaNLd+D+/
APjuNgb7j0hHG45tURhyR1um9JWdy5QuSHn6yENlXWAB
=gdoA
-----END PGP PUBLIC KEY BLOCK-----
"""


def plain(text: str) -> bytes:
    return base64.b64decode("".join(x for x in text.splitlines()[2:-1] if not x.startswith("=")))


@pytest.mark.parametrize(
    ("data", "found"),
    [
        (KEY_ONE.encode(), (ONE,)),
        (BOTH.encode(), (ONE, TWO)),
        (plain(BOTH), (ONE, TWO)),
        (
            KEY_ONE.replace("BLOCK-----\n\n", "BLOCK-----\nVersion: x\n\n").replace("\n", "\r\n").encode(),
            (ONE,),
        ),
        (b"Hello\n" + KEY_ONE.encode() + BOTH.encode(), (ONE, ONE, TWO)),
        (b"", ()),
        (b"<html>404</html>", ()),
        (plain(KEY_ONE)[:20], ()),
    ],
)
def test_which_keys_a_file_holds(data: bytes, found: tuple[str, ...]) -> None:
    assert fingerprints(data) == found


def test_a_key_alone_is_what_gpg_writes() -> None:
    assert alone(plain(BOTH), ONE) == KEY_ONE
    assert fingerprints(alone(BOTH.encode(), TWO).encode()) == (TWO,)


def test_another_key_is_named() -> None:
    with pytest.raises(NoKeyError, match=f"^the key {ONE}$"):
        alone(KEY_ONE.encode(), TWO)
    with pytest.raises(NoKeyError, match=r"^no OpenPGP key$"):
        alone(b"<html>", ONE)


def test_a_changed_key_has_another_fingerprint() -> None:
    data = bytearray(plain(KEY_ONE))
    data[30] ^= 1
    assert len(fingerprints(bytes(data))) == 1
    assert fingerprints(bytes(data)) != (ONE,)


@given(st.binary(max_size=400))
def test_any_bytes_are_read_to_their_end(data: bytes) -> None:
    for name in fingerprints(data):
        assert name == "" or len(name) == 40


@given(st.integers(0, 600), st.integers(0, 255))
def test_a_key_that_was_cut_or_bent_never_passes_for_another(at: int, byte: int) -> None:
    data = bytearray(plain(BOTH))
    data[at % len(data)] = byte
    assert set(fingerprints(bytes(data[: at or None]))) <= {ONE, TWO, *fingerprints(bytes(data))}
