"""What leaves a shell file, and how it reads."""

from __future__ import annotations

import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rocmdoctor.facts.shell import NAMES, Assignment, keep_pattern, read_assignments
from rocmdoctor.hosts.collector import _kept

_KEEP = keep_pattern()
_TOKEN = "hf_PLANTEDplanted0123456789"


def _read(text: str, file: str = "/home/ann/.bashrc") -> list[tuple[int, str, str | None, bool]]:
    return [(a.line, a.name, a.value, a.exported) for a in read_assignments(file, _kept(text, _KEEP))]


@pytest.mark.parametrize(
    ("line", "name", "value", "exported"),
    [
        ("export HSA_OVERRIDE_GFX_VERSION=10.3.0", "HSA_OVERRIDE_GFX_VERSION", "10.3.0", True),
        ("  export HIP_VISIBLE_DEVICES=0,1 # both", "HIP_VISIBLE_DEVICES", "0,1", True),
        ("ROCM_PATH=/opt/rocm-6.0.0", "ROCM_PATH", "/opt/rocm-6.0.0", False),
        ('export PYTORCH_ROCM_ARCH="gfx90a;gfx942"', "PYTORCH_ROCM_ARCH", "gfx90a;gfx942", True),
        ("export HIP_VISIBLE_DEVICES=''", "HIP_VISIBLE_DEVICES", "", True),
        ("export ROCM_HOME=$(dirname $(which hipcc))", "ROCM_HOME", None, True),
        ("export ROCM_HOME=`which hipcc`", "ROCM_HOME", None, True),
        ("declare -x HSA_XNACK=1", "HSA_XNACK", "1", True),
        ("declare HSA_XNACK=1", "HSA_XNACK", "1", False),
        ("true && export HSA_XNACK=1", "HSA_XNACK", "1", True),
        ("export A=1; HSA_XNACK=1", "HSA_XNACK", "1", False),
        ("export LD_LIBRARY_PATH=/opt/rocm/lib:$LD_LIBRARY_PATH", "LD_LIBRARY_PATH", "/opt/rocm/lib:$LD_LIBRARY_PATH", True),
        ("set -gx HSA_OVERRIDE_GFX_VERSION 10.3.0", "HSA_OVERRIDE_GFX_VERSION", "10.3.0", True),
        ("set -U HSA_OVERRIDE_GFX_VERSION 10.3.0", "HSA_OVERRIDE_GFX_VERSION", "10.3.0", False),
        ("export HSA_OVERRIDE_GFX_VERSION_2=10.3.0", "HSA_OVERRIDE_GFX_VERSION_2", "10.3.0", True),
    ],
)  # fmt: skip
def test_an_assignment(line: str, name: str, value: str | None, exported: bool) -> None:
    assert _read(f"# first line\n{line}\n") == [(2, name, value, exported)]


@pytest.mark.parametrize(
    "line",
    [
        "# export HSA_OVERRIDE_GFX_VERSION=10.3.0",
        "true # HSA_XNACK=1",
        "HSA_XNACK=1 python train.py",
        "alias sd='HSA_OVERRIDE_GFX_VERSION=10.3.0 ./run'",
        'echo "set ROCM_PATH=/opt/rocm first"',
        'echo "$ROCM_PATH"',
        "unset HSA_XNACK",
        "export MY_ROCM_PATH=/x",
        "export ROCM_PATHS=/x",
    ],
)
def test_what_is_no_assignment(line: str) -> None:
    assert _read(line + "\n") == []


def test_exported_on_a_line_of_its_own() -> None:
    assert _read("HSA_XNACK=1\nexport HSA_XNACK\n") == [(1, "HSA_XNACK", "1", True)]


def test_files_that_only_hold_environment_export_all() -> None:
    assert _read("ROCM_PATH=/opt/rocm\n", "/etc/environment") == [(1, "ROCM_PATH", "/opt/rocm", True)]


@pytest.mark.parametrize(
    "line",
    [
        "export HSA_OVERRIDE_GFX_VERSION=10.3.0 HF_TOKEN={0}; echo x",
        "export HF_TOKEN={0} HSA_OVERRIDE_GFX_VERSION=10.3.0",
        'export ROCM_PATH="/opt/rocm HF_TOKEN={0}',
        'export ROCM_PATH="/opt/rocm {0}',
        'export ROCM_PATH="/opt/rocm"; export HF_TOKEN="{0}"',
        "export ROCM_PATH=$(fetch --token {0})",
        "export ROCM_PATH=`fetch {0}`",
        "export ROCM_PATH=/opt/rocm;HF_TOKEN={0} python x.py",
        "HIP_PATH=/opt/rocm curl -H 'Authorization: {0}'",
        "set -gx ROCM_PATH /opt/rocm {0}",
        "export ROCM_PATH HF_TOKEN={0}",
        "# {0}",
        "export PIP_INDEX_URL=https://ann:{0}@example.org/simple ROCM_PATH=/opt/rocm",
        "export ROCM_PATH=https://ann:{0}@example.org/x",
        "export ROCM_PATH='/opt/rocm' '{0}'",
        "export HIPCC_COMPILE_FLAGS_APPEND='-O2 -DKEY={0}'",
        "export ROCM_PATH=/opt/rocm\\ {0}",
        "export ROCM_PATH=/opt/rocm>{0}",
    ],
)
def test_a_planted_token_stays(line: str) -> None:
    from rocmdoctor.hosts.collector import without_secrets

    text = line.format(_TOKEN) + "\nexport HSA_XNACK=1\n"
    left = _kept(without_secrets(text), _KEEP)
    assert "PLANTED" not in left
    assert "HSA_XNACK=1" in left


_around = st.text(alphabet=st.sampled_from([*" \t;&|#=\"'$({`\\", *"abcXYZ_0189./-"]), max_size=30)


@given(
    before=_around, after=_around, name=st.sampled_from(NAMES), value=st.text(string.digits + ".", max_size=8)
)
def test_a_token_beside_an_assignment_stays(before: str, after: str, name: str, value: str) -> None:
    """A token that is a word of its own leaves in no surroundings; one glued to a value is part of that value."""
    for line in (
        f"{before} HF_TOKEN={_TOKEN} {name}={value} {after}",
        f"{before}; export {name}={value} HF_TOKEN={_TOKEN} {after}",
        f"export {name}={value}; export HF_TOKEN='{_TOKEN}' {after}",
    ):
        left = _kept(line + "\n", _KEEP)
        assert "PLANTED" not in left, line


@given(st.text(max_size=300))
def test_any_text_is_read(text: str) -> None:
    for a in read_assignments("/x", _kept(text, _KEEP)) + read_assignments("/x", text):
        assert isinstance(a, Assignment)


def test_a_long_file_is_read_quickly_enough_to_ask_in_time() -> None:
    text = 'export PATH=/usr/bin:$PATH\nif [ -n "$X" ]; then\n  . /etc/x # HSA\nfi\n' * 4000
    assert _read(text) == []


def test_every_name_has_a_row() -> None:
    from rocmdoctor.content import DataTables, bundled
    from rocmdoctor.facts.shell import VariableTable

    table = DataTables(bundled())(VariableTable)
    assert set(NAMES) - set(table.variables) == {"CUDA_PATH"}
    assert set(table.variables) <= set(NAMES)
