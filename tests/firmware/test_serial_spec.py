"""The two short forms in docs/spec/serial.md: they do what the vectors say, and the one in C is the one that is shipped."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

from serial_bench import AVR

from firmware_bridge.serial.kind import Kind

PAGE = Path(__file__).parents[2] / "docs" / "spec" / "serial.md"
VECTORS = json.loads((AVR.parent / "vectors" / "serial_frames.json").read_text())


def block(language: str) -> str:
    found = re.search(rf"```{language}\n(.*?)```", PAGE.read_text(), re.DOTALL)
    assert found is not None
    return found[1]


def test_the_form_in_c_is_the_one_that_is_shipped() -> None:
    assert (AVR / "em_frame.c").read_text() == '#include "em_frame.h"\n\n' + block("c")


def test_the_form_in_python_does_what_the_vectors_say() -> None:
    forms: dict[str, Any] = {}
    exec(block("python"), forms)  # noqa: S102 - it is ours
    for one in VECTORS["crc"]:
        assert forms["check"](one["text"].encode()) == one["crc"]
    for one in VECTORS["frames"]:
        data, payload = bytes.fromhex(one["bytes"]), bytes.fromhex(one["payload"])
        assert forms["pack"](one["address"], one["kind"], one["number"], payload) == data
        assert forms["unpack"](data[1:-1]) == (one["address"], one["kind"], one["number"], payload)
    for one in VECTORS["streams"]:
        pieces = bytes.fromhex(one["bytes"]).split(b"\0")[:-1]
        found = [forms["unpack"](piece) for piece in pieces if piece]
        assert [[*frame[:3], frame[3].hex()] for frame in found if frame] == one["frames"], one
        assert found.count(None) == sum(one["damaged"].values()), one


def test_every_kind_is_told() -> None:
    rows = dict(re.findall(r"^\| ([0-9a-f]{2}) \| ([A-Z]+) \|", PAGE.read_text(), re.MULTILINE))
    assert {int(number, 16): name for number, name in rows.items()} == {kind.value: kind.name for kind in Kind}
