"""Which version a tree calls itself."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rocmdoctor.patching.versions import OtherProjectError, paths, version_of

INFO = "Metadata-Version: 2.1\nName: DeepSpeed\nVersion: 0.14.0\n\nVersion: 9\n"
CASES = [
    ({"PKG-INFO": INFO, "version.txt": "1.0\n"}, "v2.0-1-gabc", ("0.14.0", "PKG-INFO")),
    ({"METADATA": INFO}, "", ("0.14.0", "METADATA")),
    ({"version.txt": "0.16.3\n"}, "v0.16.2-10-g0dbbb70b9", ("0.16.2+10.g0dbbb70b9", "git describe")),
    ({"version.txt": "0.16.3\n"}, "v0.16.2-0-g0dbbb70b9", ("0.16.2", "git describe")),
    ({"version.txt": "0.16.3\n"}, "nightly-2-gabc", ("0.16.3", "version.txt")),
    ({"VERSION": "0.21.0\n"}, "", ("0.21.0", "VERSION")),
    ({"setup.py": 'from setuptools import setup\nsetup(name="x", version="0.4.0")\n'}, "", ("0.4.0", "setup.py")),
    ({"setup.py": 'import setuptools\nsetuptools.setup(version="0.4.0")\n'}, "", ("0.4.0", "setup.py")),
    ({"setup.py": "setup(version=read())\n", "pyproject.toml": '[project]\nversion = "1.2"\n'}, "", ("1.2", "pyproject.toml")),
    ({"pyproject.toml": '[project]\ndynamic = ["version"]\n', "src/deepspeed/__init__.py": '__version__ = "0.9"\n'}, "",
     ("0.9", "src/deepspeed/__init__.py")),
    ({"pyproject.toml": "not = = toml", "setup.py": "def ("}, "", ("", "")),
    ({"pyproject.toml": "project = 1"}, "", ("", "")),
    ({}, "", ("", "")),
]  # fmt: skip


@pytest.mark.parametrize(("tree", "described", "wanted"), CASES)
def test_a_version(tree: dict[str, str], described: str, wanted: tuple[str, str]) -> None:
    said = version_of("deepspeed", tree, described)
    assert (said.version, said.by) == wanted


def test_another_project() -> None:
    with pytest.raises(OtherProjectError, match=r"its PKG-INFO says that it is DeepSpeed 0\.14\.0"):
        version_of("axolotl", {"PKG-INFO": INFO})
    assert version_of("deep_speed", {"PKG-INFO": INFO.replace("DeepSpeed", "deep.speed")}).version == "0.14.0"


@given(st.dictionaries(st.sampled_from(paths("deepspeed")), st.text()), st.text())
def test_no_text_breaks_it(tree: dict[str, str], described: str) -> None:
    try:
        version_of("deepspeed", tree, described)
    except OtherProjectError as error:
        assert "says that it is" in str(error)  # noqa: PT017
