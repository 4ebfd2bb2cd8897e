"""Tables are kept as JSON beside Python's byte code, and never served stale."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from rocmdoctor import content


@pytest.fixture
def table(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(sys, "dont_write_bytecode", False)
    path = tmp_path / "things.toml"
    path.write_text('word = "first"\n', encoding="utf-8")
    content.toml_of.cache_clear()
    return path


def _kept(table: Path) -> list[Path]:
    return sorted((table.parent / "__pycache__").glob("*"))


def test_a_table_is_parsed_once(table: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert content.toml_of(table) == {"word": "first"}
    content.toml_of.cache_clear()
    monkeypatch.setattr(content.tomllib, "loads", lambda _text: pytest.fail("parsed again"))
    assert content.toml_of(table) == {"word": "first"}


def test_a_changed_table_is_read_anew_and_the_old_one_dropped(table: Path) -> None:
    content.toml_of(table)
    content.toml_of.cache_clear()
    table.write_text('word = "second one"\n', encoding="utf-8")
    assert content.toml_of(table) == {"word": "second one"}
    assert len(_kept(table)) == 1


def test_a_spoilt_copy_is_not_believed(table: Path) -> None:
    content.toml_of(table)
    content.toml_of.cache_clear()
    _kept(table)[0].write_text("{", encoding="utf-8")
    assert content.toml_of(table) == {"word": "first"}


def test_nothing_is_written_where_byte_code_is_not(table: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    assert content.toml_of(table) == {"word": "first"}
    assert _kept(table) == []


def test_a_folder_that_cannot_be_written_is_no_error(table: Path) -> None:
    (table.parent / "__pycache__").write_text("a file in the way", encoding="utf-8")
    assert content.toml_of(table) == {"word": "first"}
