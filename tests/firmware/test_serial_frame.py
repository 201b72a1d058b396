"""Frames on a serial line: the vectors hold for every form of them, and whatever comes in leaves nothing broken behind."""

from __future__ import annotations

import ctypes
import itertools
import json
import random
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from serial_bench import AVR, Noise, compiled, library

from edgematrix.errors import UsageError
from firmware_bridge import micropython
from firmware_bridge.upy.serial_frame import PAYLOAD_MAX, Reader, check, pack, slow_check, stuff, unstuff

PLACE = Path(micropython.__file__).parent / "vectors" / "serial_frames.json"
VECTORS: dict[str, list[dict[str, Any]]] = json.loads(PLACE.read_text())

FRAME = st.tuples(st.integers(0, 255), st.integers(0, 255), st.integers(0, 255), st.binary(max_size=PAYLOAD_MAX))


def read_all(data: bytes, cuts: list[int] | None = None) -> tuple[list[tuple[int, int, int, bytes]], dict[str, int]]:
    reader, frames = Reader(), []
    edges = [0, *sorted(cut % (len(data) + 1) for cut in cuts or ()), len(data)]
    for first, last in itertools.pairwise(edges):
        frames += reader.feed(data[first:last])
    return frames, {reason: times for reason, times in reader.damaged.items() if times}


def textbook(data: bytes) -> bytes:
    """COBS as its authors tell it, for at most 254 bytes: pieces between zeros, each behind its length and one more."""
    return b"".join(bytes([len(piece) + 1]) + piece for piece in data.split(b"\0"))


def test_the_check_has_its_known_value() -> None:
    assert check(b"123456789") == slow_check(b"123456789") == 0xD64E


@given(st.binary(max_size=254))
def test_both_ways_to_the_check_agree(data: bytes) -> None:
    assert check(data) == slow_check(data)


def test_the_vectors_hold_here() -> None:
    for vector in VECTORS["crc"]:
        assert check(vector["text"].encode()) == vector["crc"]
    for vector in VECTORS["frames"]:
        data = bytes.fromhex(vector["bytes"])
        payload = bytes.fromhex(vector["payload"])
        assert pack(vector["address"], vector["kind"], vector["number"], payload) == data, vector
        assert read_all(data) == ([(vector["address"], vector["kind"], vector["number"], payload)], {}), vector
    for vector in VECTORS["streams"]:
        frames, damaged = read_all(bytes.fromhex(vector["bytes"]))
        assert [[*frame[:3], frame[3].hex()] for frame in frames] == vector["frames"], vector
        assert damaged == vector["damaged"], vector


def test_the_vectors_hold_for_micropython(tmp_path: Path) -> None:
    program = tmp_path / "vectors.py"
    program.write_text(
        "import json, sys\nfrom upy.serial_frame import Reader, check, pack\n"
        "unhex = lambda text: bytes([int(text[at:at + 2], 16) for at in range(0, len(text), 2)])\n"
        "known = json.load(open(sys.argv[1]))\n"
        "for one in known['crc']:\n    assert check(one['text'].encode()) == one['crc'], one\n"
        "for one in known['frames']:\n"
        "    data, payload = unhex(one['bytes']), unhex(one['payload'])\n"
        "    assert pack(one['address'], one['kind'], one['number'], payload) == data, one\n"
        "    assert Reader().feed(data) == [(one['address'], one['kind'], one['number'], payload)], one\n"
        "for one in known['streams']:\n"
        "    reader = Reader()\n"
        "    found = reader.feed(unhex(one['bytes']))\n"
        "    assert [(a, k, n, p) for a, k, n, p in found] == [(a, k, n, unhex(p)) for a, k, n, p in one['frames']], one\n"
        "    for reason, times in reader.damaged.items():\n        assert one['damaged'].get(reason, 0) == times, one\n"
        "print('all hold')\n"
    )
    try:
        words = micropython.command()
    except UsageError as error:
        pytest.skip(str(error))
    done = subprocess.run(
        [*words, str(program), str(PLACE)], check=False, env=micropython.environment(), capture_output=True, text=True, timeout=60
    )
    assert done.stdout == "all hold\n", done.stderr


def test_the_vectors_hold_for_c(tmp_path: Path) -> None:
    found = library(tmp_path)
    for vector in VECTORS["crc"]:
        text = vector["text"].encode()
        assert found.em_crc(text, len(text)) == vector["crc"]
    for vector in VECTORS["frames"]:
        data, body = bytes.fromhex(vector["bytes"]), bytes((vector["address"], vector["kind"], vector["number"]))
        body += bytes.fromhex(vector["payload"])
        body += found.em_crc(body, len(body)).to_bytes(2, "big")
        frame = ctypes.create_string_buffer(b"\xee" + body, 300)
        size = found.em_stuff(frame, ctypes.c_uint8(len(body)))
        assert b"\0" + frame.raw[:size] + b"\0" == data, vector
        assert found.em_unstuff(frame, ctypes.c_uint8(size)) == len(body)
        assert frame.raw[1 : len(body) + 1] == body, vector


def test_the_firmware_in_c_reads_the_damaged_streams_as_the_host_does(tmp_path: Path) -> None:
    """What it counts as damaged it says in HERE: as many as the host finds."""
    from serial_bench import CDevice  # the library is loaded with it

    board = CDevice(library(tmp_path))
    for vector in VECTORS["streams"]:
        board.restart()
        board.take(b"\0" + pack(0, 0x82, 0, b"\0\7"))
        board.sent.clear()
        board.take(bytes.fromhex(vector["bytes"]) + b"\0" + pack(0, 0x83, 0, b"\0\7"))
        ((_, kind, _, payload),) = Reader().feed(bytes(board.sent))
        unfinished = vector["about"] == "a frame that never ends"
        assert (kind, int.from_bytes(payload[2:], "big")) == (2, sum(vector["damaged"].values()) + unfinished), vector


def test_the_firmware_in_c_lives_through_anything(tmp_path: Path) -> None:
    """Half a million bytes, good, spoilt and made up, with every check of memory that the compiler has."""
    main = tmp_path / "main.c"
    main.write_text(
        '#include <stdio.h>\n#include "em_device.h"\n'
        "static unsigned sent;\n"
        "static void put(uint8_t byte) { sent += byte; }\n"
        "static uint8_t command(uint8_t port, const char *value, uint8_t size) {\n"
        "    for (uint8_t at = 0; at <= size; at++) sent += value[at];\n"
        '    em_event(0, "21"); return port; }\n'
        'static const em_device device = {"pump >echo <set", 0, put, command};\n'
        "int main(void) {\n"
        "    int byte; uint16_t now = 0;\n"
        "    em_begin(&device);\n"
        '    while ((byte = getchar()) != EOF) { em_take(byte); em_tick(now++); if (now % 97 == 0) em_emit(0, "7"); }\n'
        '    printf("%u\\n", sent); return 0; }\n'
    )
    sources = [str(main), *(str(AVR / name) for name in ("em_frame.c", "em_device.c"))]
    options = ("-fsanitize=address,undefined", "-fno-sanitize-recover=all", "-UEM_PAYLOAD_MAX", "-DEM_PAYLOAD_MAX=64")
    program = compiled(tmp_path, sources, *options, out="lives")
    seed = 20261123
    chance = random.Random(seed)
    noise = Noise(seed, 0.004, 0.004, 0.004)
    data = bytearray(pack(0, 0x82, 0, b"\0\7"))
    while len(data) < 500_000:
        payload = chance.randbytes(chance.choice((0, 2, 5, 9, 64, 249)))
        frame = pack(
            chance.choice((0, 0, 0, 3)), chance.choice((0x81, 0x82, 0x83, 0x84, 0x85, 0x85, 3, 0x90)), chance.randrange(256), payload
        )
        data += chance.choice((frame, noise.spoil(frame), frame, chance.randbytes(20)))
    done = subprocess.run([str(program)], input=bytes(data), capture_output=True, check=False, timeout=60)
    assert done.returncode == 0, f"seed {seed}: {done.stderr.decode()[:2000]}"
    assert int(done.stdout) > 0


@given(st.binary(max_size=254))
def test_stuffing_is_that_of_the_textbook(data: bytes) -> None:
    assert stuff(data) == textbook(data)
    assert unstuff(stuff(data)) == data
    assert 0 not in stuff(data)


@given(st.lists(FRAME, max_size=6), st.lists(st.integers(0, 5_000), max_size=12))
def test_what_is_written_is_read_however_it_is_cut(frames: list[tuple[int, int, int, bytes]], cuts: list[int]) -> None:
    assert read_all(b"".join(pack(*frame) for frame in frames), cuts) == (frames, {})


@given(st.lists(st.binary(max_size=80) | FRAME.map(lambda frame: pack(*frame)), max_size=8), st.lists(st.integers(0, 5_000), max_size=6))
def test_after_any_garbage_the_next_whole_frame_is_read(pieces: list[bytes], cuts: list[int]) -> None:
    good = (1, 2, 3, b"good")
    frames, _ = read_all(b"".join(pieces) + pack(*good), cuts)
    assert frames[-1] == good


@given(FRAME, st.integers(0, 10_000), st.integers(0, 7))
def test_no_flipped_bit_goes_unnoticed(frame: tuple[int, int, int, bytes], place: int, bit: int) -> None:
    """Any one bit: the check finds it, or the zeros lie wrong."""
    data = bytearray(pack(*frame))
    inside = 1 + place % (len(data) - 2)
    data[inside] ^= 1 << bit
    found, damaged = read_all(bytes(data))
    assert found == []
    assert sum(damaged.values()) >= 1


@given(FRAME, st.integers(0, 10_000), st.integers(1, 255))
def test_no_byte_too_many_or_too_few_goes_unnoticed(frame: tuple[int, int, int, bytes], place: int, byte: int) -> None:
    """One stray byte before the end would be a zero behind the frame, which a check that is not complemented does not see."""
    data = pack(*frame)
    inside = 1 + place % (len(data) - 1)
    for spoilt in (data[:inside] + bytes([byte]) + data[inside:], data[:-1] + b"\x01\0", data[: inside - 1] + data[inside:]):
        found, _ = read_all(spoilt)
        assert found in ([], [frame])


@pytest.mark.parametrize("feed", [lambda data: [data], lambda data: [data[at : at + 1] for at in range(len(data))]], ids=["whole", "bytes"])
def test_a_frame_of_64_kib_takes_no_memory_and_counts_once(feed: Callable[[bytes], list[bytes]]) -> None:
    reader = Reader()
    found = []
    for piece in feed(b"\0" + b"\x07" * 65_536 + b"\0" + pack(0, 1, 2, b"after")):
        found += reader.feed(piece)
        assert len(reader._found) <= 255
    assert found == [(0, 1, 2, b"after")]
    assert reader.damaged == {"crc": 0, "cut": 0, "too_long": 1}


def test_too_long_a_payload_is_refused() -> None:
    with pytest.raises(ValueError, match="249 is the most"):
        pack(0, 1, 2, bytes(250))
