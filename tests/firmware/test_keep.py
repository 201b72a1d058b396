"""What a board keeps: the newest whole value, or the one before it, wherever the power went."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from firmware_bridge import micropython
from firmware_bridge.upy import keep


def test_what_is_stored_is_there(tmp_path: Path) -> None:
    place = str(tmp_path / "kept")
    assert keep.FileKeep(place).load() == b""
    for value in (b"one", b"", b"\x00" * 3_000):
        keep.FileKeep(place).store(value)
        assert keep.FileKeep(place).load() == value


@pytest.mark.parametrize("length", range(14))
def test_a_value_that_was_cut_leaves_the_one_before(tmp_path: Path, length: int) -> None:
    place = tmp_path / "kept"
    keep.FileKeep(str(place)).store(b"before")
    keep.FileKeep(str(tmp_path / "other")).store(b"after")
    (tmp_path / "kept.new").write_bytes((tmp_path / "other").read_bytes()[:length])
    assert keep.FileKeep(str(place)).load() == b"before"


def test_a_rename_that_was_cut_leaves_the_new_one(tmp_path: Path) -> None:
    keep.FileKeep(str(tmp_path / "other")).store(b"after")
    (tmp_path / "kept.new").write_bytes((tmp_path / "other").read_bytes())
    assert keep.FileKeep(str(tmp_path / "kept")).load() == b"after"


@pytest.mark.parametrize("position", range(14))
def test_a_value_with_a_flipped_bit_is_none(tmp_path: Path, position: int) -> None:
    place = tmp_path / "kept"
    keep.FileKeep(str(place)).store(b"after")
    data = bytearray(place.read_bytes())
    data[position] ^= 0x10
    place.write_bytes(data)
    assert keep.FileKeep(str(place)).load() == b""


def test_micropython_reads_what_cpython_wrote(tmp_path: Path) -> None:
    keep.FileKeep(str(tmp_path / "kept")).store(b'{"a": 1}')
    program = tmp_path / "read.py"
    program.write_text(f"from upy.keep import FileKeep\nk = FileKeep({str(tmp_path / 'kept')!r})\nprint(k.load())\nk.store(b'two')\n")
    done = subprocess.run([*micropython.command(), str(program)], env=micropython.environment(), capture_output=True, text=True, check=True)
    assert done.stdout.strip() == str(b'{"a": 1}')
    assert keep.FileKeep(str(tmp_path / "kept")).load() == b"two"
