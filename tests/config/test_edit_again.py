"""A definition that was handed over is made once more from what was kept of it, and changes are kept for the next start."""

from __future__ import annotations

import zlib
from pathlib import Path

import msgspec
import pytest

from edgematrix.config.exchange import load, write
from edgematrix.config.live_record import LiveRecord, hash_of, restore
from edgematrix.config.opening import open_matrix
from edgematrix.errors import ConfigError

FILE = """
matrix: home
agents:
  hall: !include hall.yaml
  rule: {triggers: {t: {on: {v: {topic: "${env:ROOM}/v"}}, do: [{publish: {topic: t/out, payload: 1}}]}}}
"""
HALL = "{triggers: {t: {on: {v: {topic: t/hall}}, do: [{publish: {topic: t/out, payload: 2}}]}}}"
PROGRAM = """
import edgematrix as em
home = em.Matrix("home")
"""


def test_it_is_what_was_read_whatever_has_become_of_the_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ROOM", "attic")
    (tmp_path / "home.yaml").write_text(FILE)
    (tmp_path / "hall.yaml").write_text(HALL)
    opened = open_matrix(tmp_path / "home.yaml")
    spec = opened.hand_over()
    (tmp_path / "home.yaml").write_text("matrix: [")
    (tmp_path / "hall.yaml").unlink()
    assert opened.again() == spec
    assert opened.again() == spec
    monkeypatch.delenv("ROOM")
    with pytest.raises(ConfigError, match="ROOM is not set"):
        opened.again()


def test_a_program_makes_it_again(tmp_path: Path) -> None:
    (tmp_path / "again_home.py").write_text(PROGRAM)
    opened = open_matrix(tmp_path / "again_home.py")
    spec = opened.hand_over()
    assert opened.again() == spec


HOME = load({"matrix": "home", "agents": {"a": {"python": "work:a"}}})
CHANGED = load({"matrix": "home", "agents": {"a": {"python": "work:a"}, "b": {"python": "work:b"}}})


def record(**other: object) -> LiveRecord:
    made = LiveRecord(
        base=hash_of(write(HOME)), revision=3, spec=zlib.compress(write(CHANGED)), paused=["home/b"], changes=["create home/b"]
    )
    return msgspec.structs.replace(made, **other)


def kept(found: LiveRecord) -> bytes:
    return msgspec.msgpack.encode(found)


def test_nothing_kept_changes_nothing() -> None:
    assert restore(HOME, None).spec is HOME


def test_changes_of_this_definition_are_taken_up() -> None:
    found = restore(HOME, kept(record()))
    assert (found.spec, found.warning, found.is_dropped) == (CHANGED, "", False)
    assert found.record == record()


def test_the_file_has_the_last_word_and_what_is_dropped_is_told() -> None:
    found = restore(CHANGED, kept(record()))
    assert found.spec is CHANGED
    assert found.is_dropped
    assert found.record.paused == []
    assert found.warning.endswith("for the file has changed since: create home/b, pause home/b")


@pytest.mark.parametrize(
    ("data", "what"),
    [
        (b"nonsense", "cannot be read"),
        (kept(record(version=2)), "is of version 2"),
        (kept(record(spec=b"nonsense")), "is damaged"),
        (kept(record(spec=zlib.compress(b"{}"))), "matrix"),
    ],
)
def test_what_is_damaged_is_dropped_with_a_warning(data: bytes, what: str) -> None:
    found = restore(HOME, data)
    assert found.spec is HOME
    assert what in found.warning
    assert found.record.paused == []


def test_kept_changes_that_are_wrong_by_now_are_dropped() -> None:
    wrong = load({"matrix": "home", "agents": {"a": {"triggers": {"t": {"on": {"v": {"from": "nobody"}}, "do": [{"emit": {"out": 1}}]}}}}})
    found = restore(HOME, kept(record(spec=zlib.compress(write(wrong)))))
    assert found.is_dropped
    assert "there is no agent home/nobody" in found.warning


def test_revisions_go_on_where_changes_were_dropped() -> None:
    found = restore(HOME, kept(LiveRecord(revision=7)))
    assert (found.spec, found.record.revision, found.warning) == (HOME, 7, "")
