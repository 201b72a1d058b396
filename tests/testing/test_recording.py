"""Recordings: what is written is read again, values stay what they are, and broken lines are named."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgematrix.errors import CodecError, ConfigError, UsageError
from edgematrix.protocol.codec import decode_value
from edgematrix.testing import recording
from edgematrix.testing.recording import Recorded, format_line, read_recording, read_whole, write_recording

YEAR_US = 366 * 86_400_000_000

JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda part: st.lists(part, max_size=3) | st.dictionaries(st.text(), part, max_size=3),
    max_leaves=8,
)
WIRE = st.binary(max_size=40) | st.text().map(str.encode) | JSON.map(lambda value: json.dumps(value).encode())
MESSAGES = st.builds(
    Recorded,
    at_us=st.integers(0, YEAR_US),
    topic=st.text(st.characters(exclude_characters="+#\0", exclude_categories=["Cs"]), min_size=1, max_size=20),
    payload=WIRE.map(decode_value),
    retain=st.booleans(),
    qos=st.sampled_from([0, 1]),
)


def read(path: Path, text: str | bytes) -> list[Recorded]:
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    return list(read_recording(path))


def complaints(path: Path, text: str | bytes) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        read(path, text)
    return [str(issue).removeprefix(str(path)) for issue in caught.value.issues]


@given(st.lists(MESSAGES, max_size=5).map(lambda messages: sorted(messages, key=lambda message: message.at_us)))
def test_what_is_written_is_read_again(tmp_path_factory: pytest.TempPathFactory, messages: list[Recorded]) -> None:
    path = tmp_path_factory.getbasetemp() / "again.jsonl"
    assert write_recording(path, messages) == len(messages)
    found = list(read_recording(path))
    assert found == messages
    assert list(map(repr, found)) == list(map(repr, messages)), "1 and 1.0 and true are not the same"


@given(WIRE)
def test_a_host_reads_from_the_wire_what_the_recording_says(data: bytes) -> None:
    value = decode_value(data)
    assert repr(decode_value(Recorded(0, "t", value).wire())) == repr(value)


@pytest.mark.parametrize(
    ("payload", "wire"),
    [
        ("ON", b"ON"),
        (21.5, b"21.5"),
        ("21.5", b'"21.5"'),
        ("", b""),
        (True, b"true"),
        ("true", b'"true"'),
        ({"a": 1}, b'{"a":1}'),
        (b"\xff", b"\xff"),
    ],
)
def test_text_that_looks_like_a_number_stays_text(payload: Any, wire: bytes) -> None:
    assert Recorded(0, "t", payload).wire() == wire


def test_a_line_is_as_the_specification_shows_it() -> None:
    assert (
        format_line(Recorded(5_000_000, "t/out", 1, False, 1)) == '{"at": 5.0, "topic": "t/out", "payload": 1, "retain": false, "qos": 1}'
    )
    assert format_line(Recorded(0, "t", b"\xff")) == '{"at": 0.0, "topic": "t", "payload_base64": "/w==", "retain": false, "qos": 0}'


def test_times_are_seconds_or_durations_and_flags_have_defaults(tmp_path: Path) -> None:
    text = '{"at": 1.5, "topic": "t", "payload": null}\n\n{"at": "1m30s", "topic": "ü", "payload": [], "qos": 1, "retain": true}'
    assert read(tmp_path / "r", text) == [Recorded(1_500_000, "t", None), Recorded(90_000_000, "ü", [], True, 1)]


def test_an_empty_recording_is_one(tmp_path: Path) -> None:
    assert read(tmp_path / "r", "") == []


@pytest.mark.parametrize(
    ("line", "complaint"),
    [
        ('{"at": 1, "topic": "t", "payload":: 1}', ":2:35: error: JSON is malformed: invalid character"),
        ('{"at": 1, "topic": "t"', ":2: error: Input data was truncated"),
        ("[1]", ":2: error: Expected `object`, got `array`"),
        ('{"topic": "t", "payload": 1}', ":2: error: Object missing required field `at`"),
        ('{"at": 1, "payload": 1}', ":2: error: Object missing required field `topic`"),
        ('{"at": 1, "topic": "t"}', ":2: error: `payload` is missing"),
        ('{"at": 0.5, "topic": "t", "payload": 1}', ":2: error: at: time goes back, from 1s to 500ms"),
        ('{"at": -1, "topic": "t", "payload": 1}', ":2: error: at: a duration is a number of seconds >= 0, found -1.0"),
        (
            '{"at": "noon", "topic": "t", "payload": 1}',
            ":2: error: at: expected a duration such as 500ms, 2s, 5m, 1h30m or 1d, found 'noon'",
        ),
        ('{"at": true, "topic": "t", "payload": 1}', ":2: error: Expected `float | str`, got `bool` - at `$.at`"),
        ('{"at": 1, "topic": "t/#", "payload": 1}', ":2: error: topic: topic 't/#' holds '#'"),
        ('{"at": 1, "topic": "", "payload": 1}', ":2: error: topic: the topic is empty"),
        ('{"at": 1, "topic": "t", "payload": 1, "qos": 2}', ":2: error: Invalid enum value 2 - at `$.qos`"),
        ('{"at": 1, "topic": "t", "payload": 1, "retain": 1}', ":2: error: Expected `bool`, got `int` - at `$.retain`"),
        ('{"at": 1, "topic": "t", "payload": 1, "retian": true}', ":2: error: unknown key 'retian'; did you mean 'retain'?"),
        ('{"at": 1, "topic": "t", "payload": 1, "payload_base64": ""}', ":2: error: it has both `payload` and `payload_base64`"),
    ],
)
def test_a_broken_line_is_named(tmp_path: Path, line: str, complaint: str) -> None:
    assert complaints(tmp_path / "r", '{"at": 1, "topic": "t", "payload": 1}\n' + line + "\n") == [complaint]


def test_bytes_that_are_no_text_and_no_base64_are_named(tmp_path: Path) -> None:
    assert complaints(tmp_path / "r", b'{"at": 1, "topic": "\xff", "payload": 1}')[0].startswith(":1: error: 'utf-8' codec")
    assert complaints(tmp_path / "r", '{"at": 1, "topic": "t", "payload_base64": "x"}')[0].startswith(":1: error: payload_base64: ")
    assert complaints(tmp_path / "r", '{"at": 1, "topic": "t", "payload": ' + "[" * 100_000)[0].startswith(":1: error: ")


def test_every_broken_line_is_found_before_the_first_message_is_handed_out(tmp_path: Path) -> None:
    good, bad = '{"at": 1, "topic": "t", "payload": 1}\n', '{"at": 1}\n'
    assert len(complaints(tmp_path / "r", good + bad * 3)) == 3
    assert len(complaints(tmp_path / "r", good + bad * 50)) == 20


def test_a_file_too_large_to_check_first_is_read_up_to_its_broken_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recording, "CHECK_BYTES_MAX", 10)
    path = tmp_path / "r"
    path.write_text('{"at": 1, "topic": "t", "payload": 1}\n{"at": 1}\n')
    messages = read_recording(path)
    assert next(messages) == Recorded(1_000_000, "t", 1)
    with pytest.raises(ConfigError, match=":2: error: Object missing"):
        next(messages)


def test_a_line_without_end_is_refused(tmp_path: Path) -> None:
    assert "more than 524288 bytes" in complaints(tmp_path / "r", b" " * 600_000)[0]


@pytest.mark.parametrize("name", ["", "nowhere.jsonl"])
def test_what_cannot_be_read_is_said(tmp_path: Path, name: str) -> None:
    with pytest.raises(UsageError, match="the recording cannot be read"):
        read_recording(tmp_path / name)


@pytest.mark.parametrize("payload", [float("nan"), {"a": object()}, "\ud800"])
def test_what_has_no_json_form_leaves_the_old_file_alone(tmp_path: Path, payload: Any) -> None:
    path = tmp_path / "r"
    write_recording(path, [Recorded(0, "t", 1)])
    before = path.read_bytes()
    with pytest.raises(CodecError, match="cannot be written as JSON"):
        write_recording(path, [Recorded(0, "t", 2), Recorded(1, "t", payload)])
    assert path.read_bytes() == before
    assert [file.name for file in tmp_path.iterdir()] == ["r"]


def test_a_recording_read_whole_is_the_same_and_tells_every_broken_line(tmp_path: Path) -> None:
    file = tmp_path / "a.jsonl"
    file.write_text('{"at": 1, "topic": "a", "payload": 1}\n\n{"at": 2, "topic": "b", "payload": "x"}\n')
    assert read_whole(file) == list(read_recording(file))
    file.write_text('{"at": 1, "topic": "a", "payload": 1}\nnonsense\n{"at": 0.5, "topic": "b", "payload": "x"}\n')
    with pytest.raises(ConfigError) as failure:
        read_whole(file)
    assert [issue.line for issue in failure.value.issues] == [2, 3]
    with pytest.raises(UsageError, match="cannot be read"):
        read_whole(tmp_path / "missing.jsonl")
