"""Commands as ESPHome devices read them: `edgematrix.h`, built by the machine's compiler, beside the host's own reader."""

from __future__ import annotations

import json
import math
import shutil
import struct
import subprocess
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgematrix.errors import CodecError
from edgematrix.protocol.codec import decode

HERE = Path(__file__).parent
HEADERS = HERE.parent.parent / "firmware_bridge" / "esphome"
VECTORS = HEADERS.parent / "vectors"

Read = Callable[[Sequence[bytes]], list[dict[str, Any]]]


@pytest.fixture(scope="module")
def read(tmp_path_factory: pytest.TempPathFactory) -> Read:
    compiler = shutil.which("g++") or shutil.which("clang++")
    if compiler is None:
        pytest.skip("no C++ compiler is installed")
    program = tmp_path_factory.mktemp("esphome") / "command"
    flags = ["-std=c++17", "-Wall", "-Wextra", "-Werror", "-fno-exceptions" if "clang" in compiler else "-O1", f"-I{HEADERS}"]
    subprocess.run([compiler, *flags, str(HERE / "esphome_command.cpp"), "-o", str(program)], check=True)

    def run(payloads: Sequence[bytes]) -> list[dict[str, Any]]:
        lines = "".join(f"{each.hex()}\n" for each in payloads)
        done = subprocess.run([str(program)], input=lines.encode(), capture_output=True, check=True)
        return [json.loads(line.decode("utf-8", "surrogateescape")) for line in done.stdout.split(b"\n") if line]

    return run


def event(**attributes: object) -> bytes:
    made = {"specversion": "1.0", "id": "1-2", "source": "/home/rule", "type": "em.in.set"} | attributes
    return json.dumps({key: value for key, value in made.items() if value is not None}).encode()


def test_payloads_are_what_they_are_to_the_host(read: Read) -> None:
    vectors = json.loads((VECTORS / "values.json").read_text(encoding="utf-8"))
    for vector, told in zip(vectors, read([vector["bytes"].encode() for vector in vectors]), strict=True):
        value = vector["value"]
        assert told["id"] == told["error"] == "", vector
        assert (told["bool"] is None) == (not isinstance(value, bool)), vector
        is_number = isinstance(value, int | float) and not isinstance(value, bool)
        assert (told["number"] is None) == (not is_number), vector
        assert (told["said"] is None) == (not isinstance(value, str)), vector


def test_an_event_is_its_data_and_its_id(read: Read) -> None:
    true, number, text, shape = read([event(data=True), event(data=-2.5), event(data='a "b"\n'), event(data={"x": [1]})])
    assert (true["id"], true["bool"], json.loads(true["answer"])) == ("1-2", "true", {"id": "1-2"})
    assert (number["number"], number["whole"]) == ("-2.5", None)
    assert text["said"] == 'a "b"\n'
    assert json.loads(shape["text"]) == {"x": [1]}


@pytest.mark.parametrize(
    "payload",
    [
        event(id=""),
        event(id=5),
        event(id=None),
        event(source="home"),
        event(type=None),
        event(specversion="2.0"),
        event(specversion=1),
        event(id="x" * 129),
        event(data_base64="AAAA"),
        b'{"specversion": "1.0", "id": "a", "id": "b", "source": "/x", "type": "t"}',
        b'{"specversion": "1.0", "id": "a", "source": "/x", "type": "t", "data": 1, "data": 2}',
    ],
)
def test_a_malformed_event_is_refused(read: Read, payload: bytes) -> None:
    (told,) = read([payload])
    assert told["error"]
    assert told["bool"] is told["number"] is told["said"] is None


def test_numbers_too_large_for_a_board_are_refused(read: Read) -> None:
    huge, long, whole, nested = read([b"1e99", b"2147483648", b"5.0", b"[" * 40 + b"]" * 40])
    assert huge["number"] is None
    assert long["whole"] is None
    assert whole["whole"] == "5"
    assert nested["said"] is not None, "what nests deeper than a board reads is a text to it"


NUMBERS = st.integers(-(2**31) + 1, 2**31 - 1) | st.floats(allow_nan=False, allow_infinity=False, width=32)
JSON = st.recursive(
    st.none() | st.booleans() | NUMBERS | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)
PAYLOADS = st.binary(max_size=40) | st.text().map(str.encode) | JSON.map(lambda value: json.dumps(value).encode())


@settings(max_examples=30)
@given(payloads=st.lists(PAYLOADS, max_size=20))
def test_whatever_comes_is_read_as_the_host_reads_it(read: Read, payloads: list[bytes]) -> None:
    for payload, told in zip(payloads, read(payloads), strict=True):
        try:
            value = decode("t", payload).value
        except CodecError:
            assert told["error"], payload
            continue
        if isinstance(value, bool):
            assert told["bool"] == json.dumps(value), payload
        elif isinstance(value, int | float) and abs(value) < 3e38:
            single = struct.unpack("f", struct.pack("f", value))[0]
            assert math.isclose(float(told["number"]), single, rel_tol=1e-6, abs_tol=1e-44), payload
        elif isinstance(value, str):
            assert told["said"] == value, payload
        else:
            assert told["bool"] is told["number"] is None, payload
