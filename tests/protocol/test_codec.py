"""Payloads: whatever the bytes are, they are a value, an event, or a CodecError."""

import json
import os
import random
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgematrix.errors import CodecError
from edgematrix.protocol.codec import decode, decode_value, encode_event, encode_value
from edgematrix.protocol.event import Event
from edgematrix.protocol.limits import Limits

EVENT = {
    "specversion": "1.0",
    "id": "019b76da-a800-70dd-8b80-1f778ff94754",
    "source": "/home/hall/lux",
    "type": "em.out.illuminance",
    "time": "2026-01-01T00:00:05Z",
    "data": {"lx": 21.5},
    "runid": "r1",
    "hops": 2,
    "taint": "mail",
}
json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**63) | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)


@pytest.mark.parametrize(
    ("payload", "value"),
    [
        (b"21.5", 21.5),
        (b"ON", "ON"),
        (b'"21"', "21"),
        (b"", ""),
        (b"null", None),
        (b'{"a": [1, 2]}', {"a": [1, 2]}),
        (b"NaN", "NaN"),
        (b"1e999", "1e999"),
        (b"\xff\xfe", b"\xff\xfe"),
        (b"{broken", "{broken"),
        ("ü".encode(), "ü"),
    ],
)
def test_a_bare_payload_is_json_or_text_or_bytes(payload: bytes, value: object) -> None:
    message = decode("t/x", payload)
    assert message.value == value
    assert type(message.value) is type(value)
    assert message.source == ""


def test_an_event_gives_its_data_and_how_it_came_about() -> None:
    message = decode("em/out/home/hall/lux/illuminance", json.dumps(EVENT).encode(), retained=True, qos=1)
    assert message.value == {"lx": 21.5}
    assert message.source == "home/hall/lux"
    assert message.time_us == 1_767_225_605_000_000
    assert (message.trail.runid, message.trail.hops, message.trail.taint) == ("r1", 2, "mail")
    assert message.retained


@pytest.mark.parametrize(
    ("change", "names_what"),
    [
        ({"specversion": "0.3"}, "specversion"),
        ({"id": ""}, "id"),
        ({"id": 7}, "id"),
        ({"source": "home"}, "source"),
        ({"time": "yesterday"}, "time"),
        ({"time": "2026-01-01T00:00:00"}, "offset"),
        ({"hops": -1}, "hops"),
        ({"hops": "2"}, "hops"),
        ({"data_base64": "AA=="}, "data_base64"),
        ({"expirytime": "99999-01-01T00:00:00Z"}, "expirytime"),
    ],
)
def test_a_malformed_event_is_never_guessed_at(change: dict[str, object], names_what: str) -> None:
    with pytest.raises(CodecError, match=names_what):
        decode("em/out/home/x/y", json.dumps(EVENT | change).encode())


def test_an_event_without_an_id_or_with_one_twice_is_malformed() -> None:
    with pytest.raises(CodecError, match="id"):
        decode("t", json.dumps({key: value for key, value in EVENT.items() if key != "id"}).encode())
    with pytest.raises(CodecError, match="twice"):
        decode("t", b'{"id": "x", ' + json.dumps(EVENT).encode()[1:])


def test_bytes_travel_as_base64() -> None:
    event = Event(specversion="1.0", id="1", source="/a", type="em.out.b", data_base64="//4=")
    assert decode("t", encode_event(event)).value == b"\xff\xfe"
    with pytest.raises(CodecError, match="data_base64"):
        decode("t", encode_event(Event(specversion="1.0", id="1", source="/a", type="em.out.b", data_base64="?")))


def test_limits_are_named() -> None:
    with pytest.raises(CodecError, match="payload_bytes_max"):
        decode_value(b"x" * 11, Limits(payload_bytes_max=10))
    deep = b"[" * 33 + b"]" * 33
    with pytest.raises(CodecError, match="depth_max"):
        decode_value(deep)
    assert decode_value(b"[" * 32 + b"]" * 32) is not None
    with pytest.raises(CodecError, match="depth_max"):
        decode_value(b"[" * 200_000)


def test_brackets_in_text_are_no_depth() -> None:
    assert decode_value(b'["' + b"[" * 100 + b'\\"]"]') == ["[" * 100 + '"]']


@pytest.mark.parametrize("value", [float("nan"), float("inf"), {"a": [float("nan")]}, object(), {"a": object()}, "\ud800"])
def test_what_has_no_json_form_is_not_written(value: object) -> None:
    with pytest.raises(CodecError):
        encode_value(value)


@given(json_values)
def test_a_value_written_is_read_again(value: object) -> None:
    payload = encode_value([value])
    assert decode_value(payload, Limits(depth_max=64)) == [value]


@given(st.binary(max_size=300))
def test_no_bytes_raise_anything_but_a_codec_error(payload: bytes) -> None:
    with suppress(CodecError):
        decode("t", payload)


@given(st.dictionaries(st.sampled_from(sorted(EVENT)), json_values))
def test_no_event_raises_anything_but_a_codec_error(change: dict[str, object]) -> None:
    with suppress(CodecError):
        decode("t", json.dumps(EVENT | change).encode("utf-8", "surrogatepass"))


def mutated(payload: bytes, chance: random.Random) -> bytes:
    changed = bytearray(payload)
    for _ in range(chance.randint(1, 4)):
        position = chance.randrange(len(changed) + 1)
        action = chance.randrange(3)
        if action == 0:
            changed[position:position] = chance.choice([b"[", b"{", b'"', b"\xff", b"\0", b"\\u", b"1e9", b",", b":", chance.randbytes(3)])
        elif action == 1:
            del changed[position : position + chance.randint(1, 8)]
        elif changed:
            changed[position % len(changed)] = chance.randrange(256)
    return bytes(changed)


def fuzz(count: int) -> int:
    seed = int(os.environ.get("EDGEMATRIX_SEED", random.SystemRandom().randrange(2**32)))
    chance = random.Random(seed)
    seeds = [json.dumps(EVENT).encode(), b'{"temperature": 21.5, "list": [1, [2, {"a": null}]]}', b"21.5", b"ON", b"\xff\xfe"]
    refused = 0
    for number in range(count):
        payload = chance.randbytes(chance.randrange(64)) if number % 4 == 0 else mutated(chance.choice(seeds), chance)
        try:
            decode("t", payload)
        except CodecError:
            refused += 1
        except BaseException as error:
            raise AssertionError(f"EDGEMATRIX_SEED={seed}: {payload!r} raised {error!r}") from error
    return refused


def test_twenty_thousand_mutated_payloads_raise_nothing_but_codec_errors() -> None:
    assert 0 < fuzz(20_000) < 20_000


@pytest.mark.slow
def test_a_million_mutated_payloads_raise_nothing_but_codec_errors() -> None:
    assert 0 < fuzz(1_000_000) < 1_000_000


_HEAD = b'{"specversion":"1.0","id":"a","source":"/home/a","type":"em.out.out","data":'


@pytest.mark.parametrize(
    "data", [b'{"n":1,"n":2}', b'[{"n":1,"n":2}]', b'{"a":{"n" : 1,"n":2}}', rb'{"n":1,"\u006e":2}', rb'{"s":"\":","n":1,"n":2}']
)
def test_a_key_that_is_there_twice_is_found_wherever_it_stands(data: bytes) -> None:
    with pytest.raises(CodecError, match="twice"):
        decode("em/out/home/a/out", _HEAD + data + b"}")


@pytest.mark.parametrize("data", [b'{"n":1}', b'{"s":":x","n" : 1}', rb'{"s":"\":","n":1}', b'[{"n":1},{"n":2}]'])
def test_keys_that_are_there_once_are_no_fault(data: bytes) -> None:
    assert decode("em/out/home/a/out", _HEAD + data + b"}").value == json.loads(data)
