"""What is recorded reads back as what a host would have heard; a line is there whole or not at all."""

from __future__ import annotations

import json
import resource
import signal
import subprocess
import sys
from io import FileIO
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgematrix.errors import CodecError
from edgematrix.protocol.codec import decode_value
from edgematrix.testing.recorder import Recorder
from edgematrix.testing.recording import Recorded, read_recording

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(), lambda part: st.lists(part) | st.dictionaries(st.text(), part)
)
PAYLOADS = (
    st.binary(max_size=60) | st.text().map(lambda text: text.encode(errors="replace")) | JSON.map(lambda value: json.dumps(value).encode())
)


@settings(max_examples=300)
@given(payloads=st.lists(PAYLOADS, max_size=5), retain=st.booleans(), qos=st.integers(0, 1))
def test_any_payload_reads_back_as_a_host_hears_it(tmp_path_factory: pytest.TempPathFactory, payloads: list[bytes], retain: bool, qos: int):
    path = tmp_path_factory.getbasetemp() / "any.jsonl"
    with FileIO(path, "wb") as file:
        recorder = Recorder(file)
        taken = [payload for at, payload in enumerate(payloads) if recorder.take(at, "t/ü", payload, retain=retain, qos=qos)]

    found = list(read_recording(path))

    assert [message.payload for message in found] == [decode_value(payload) for payload in taken]
    assert all((message.topic, message.retain, message.qos) == ("t/ü", retain, qos) for message in found)
    assert len(taken) + recorder.left_out.total() == len(payloads)


def test_what_no_host_would_take_is_left_out_with_the_reason(tmp_path: Path):
    path = tmp_path / "a.jsonl"
    with FileIO(path, "wb") as file:
        recorder = Recorder(file)
        assert not recorder.take(0, "t", b"x" * 300_000, retain=False, qos=0)
        assert not recorder.take(0, "t", b"[" * 100 + b"]" * 100, retain=False, qos=0)
        assert not recorder.take(0, "t" * 2_000, b"1", retain=False, qos=0)
        assert recorder.take(0, "t", b"1", retain=False, qos=0)

    assert [message.payload for message in read_recording(path)] == [1]
    too_large, too_deep, too_long = recorder.left_out
    assert "payload_bytes_max is 262144" in too_large
    assert "deeper than depth_max, 32" in too_deep
    assert "the topic has 2000 bytes, at most 1024" in too_long
    assert (recorder.count, recorder.topics) == (1, {"t"})


def test_text_that_json_has_to_escape_sixfold_still_reads_back(tmp_path: Path):
    path, payload = tmp_path / "a.jsonl", b"\x01" * 262_000
    with FileIO(path, "wb") as file:
        assert Recorder(file).take(0, "t", payload, retain=False, qos=0)

    assert list(read_recording(path)) == [Recorded(0, "t", payload.decode())]


def test_time_never_goes_back(tmp_path: Path):
    path = tmp_path / "a.jsonl"
    with FileIO(path, "wb") as file:
        recorder = Recorder(file)
        for at_us in (5, 3, 9):
            recorder.take(at_us, "t", b"1", retain=False, qos=0)

    assert [message.at_us for message in read_recording(path)] == [5, 5, 9]


def test_a_disk_that_is_full_leaves_whole_lines(tmp_path: Path):
    path = tmp_path / "a.jsonl"
    code = f"""
from io import FileIO
from edgematrix.testing.recorder import Recorder
recorder = Recorder(FileIO({str(path)!r}, "ab"))
try:
    while True:
        recorder.take(0, "some/topic", b'{{"value": 12345678}}', retain=False, qos=0)
except OSError as error:
    print(recorder.count, error)
"""

    def small_files() -> None:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, 10_000))

    done = subprocess.run([sys.executable, "-c", code], preexec_fn=small_files, capture_output=True, text=True, check=True)

    count = int(done.stdout.split()[0])
    assert count > 50
    assert len(list(read_recording(path))) == count


def test_a_payload_without_a_json_form_is_no_crash(tmp_path: Path):
    with FileIO(tmp_path / "a.jsonl", "wb") as file:
        recorder = Recorder(file)
        try:
            decode_value(b'"\\ud800"')
        except CodecError:
            pytest.fail("the codec reads it as text")
        recorder.take(0, "t", b'"\\ud800"', retain=False, qos=0)

    assert recorder.count + recorder.left_out.total() == 1
