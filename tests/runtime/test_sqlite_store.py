"""The store: what was saved is there after a restart, and a damaged file is set aside and said."""

import logging
import sqlite3
from pathlib import Path

import pytest

from edgematrix.errors import StateError
from edgematrix.runtime.sqlite_store import SqliteStore


def test_what_was_saved_is_there_after_reopening(tmp_path: Path) -> None:
    file = tmp_path / "deep" / "home.sqlite"
    store = SqliteStore(file)
    store.save({"a": b"1", "b": b"2"})
    store.save({"a": b"3", "b": None, "c": b"\x00\xff"})
    store.close()
    assert SqliteStore(file).load() == {"a": b"3", "c": b"\x00\xff"}


def test_a_store_that_nobody_closed_keeps_what_was_saved(tmp_path: Path) -> None:
    file = tmp_path / "home.sqlite"
    SqliteStore(file).save({"a": b"1"})
    assert SqliteStore(file).load() == {"a": b"1"}


@pytest.mark.parametrize("damage", [b"this is no database, and never was one" * 40, b""])
def test_a_damaged_file_is_set_aside_and_said(tmp_path: Path, damage: bytes, caplog: pytest.LogCaptureFixture) -> None:
    file = tmp_path / "home.sqlite"
    file.write_bytes(damage)
    with caplog.at_level(logging.WARNING):
        store = SqliteStore(file)
    assert store.load() == {}
    store.save({"a": b"1"})
    if damage:
        assert (tmp_path / "home.sqlite.damaged").read_bytes() == damage
        assert "home.sqlite.damaged" in caplog.text


def test_a_truncated_file_is_set_aside(tmp_path: Path) -> None:
    file = tmp_path / "home.sqlite"
    store = SqliteStore(file)
    store.save({str(number): b"x" * 1_000 for number in range(100)})
    store.close()
    whole = file.read_bytes()
    file.write_bytes(whole[: len(whole) // 3])
    assert SqliteStore(file).load() == {}
    assert (tmp_path / "home.sqlite.damaged").exists()


def test_a_newer_store_is_refused_and_left_alone(tmp_path: Path) -> None:
    file = tmp_path / "home.sqlite"
    with sqlite3.connect(file) as connection:
        connection.execute("PRAGMA user_version = 99")
    connection.close()
    before = file.read_bytes()
    with pytest.raises(StateError, match="version 99"):
        SqliteStore(file)
    assert file.read_bytes() == before


def test_a_place_that_cannot_be_written_is_an_error_with_its_name(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StateError, match="file/home.sqlite"):
        SqliteStore(tmp_path / "file" / "home.sqlite")


def test_a_failed_save_stores_nothing_of_it(tmp_path: Path) -> None:
    store = SqliteStore(tmp_path / "home.sqlite")
    store.save({"a": b"1"})
    with pytest.raises(StateError):
        store.save({"b": b"2", "c": "no bytes" * 2, "d": object()})  # type: ignore[dict-item]
    assert store.load() == {"a": b"1"}
