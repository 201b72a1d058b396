"""The form of signed messages: whatever is changed on the way is noticed, and nothing is read that was not signed."""

from __future__ import annotations

import json

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from edgematrix.errors import CodecError, SignatureError
from edgematrix.identity.signing_keys import KeyRing, SigningKey
from edgematrix.protocol.codec import decode, encode_event
from edgematrix.protocol.event import Event
from edgematrix.protocol.signature import Stamp, attach, detach, signed_bytes

KEY = SigningKey.make()
RING = KeyRing({"pi": [KEY.public]})
TOPIC = "em/out/home/lamp/out"
VALUES = st.recursive(st.none() | st.booleans() | st.integers(-9, 9) | st.text(max_size=9), lambda inner: st.lists(inner, max_size=3))


def signed(payload: bytes, topic: str = TOPIC, *, epoch: int = 3, sequence: int = 4, until_s: int = 5) -> bytes:
    stamp = Stamp(KEY.algorithm, KEY.key_id, epoch, sequence, until_s)
    return attach(payload, stamp, KEY.sign(signed_bytes(topic, stamp, payload)))


def opened(payload: bytes, topic: str = TOPIC) -> bytes | None:
    try:
        body, token = detach(payload)
    except SignatureError:
        return None
    is_right = RING.verify(token.stamp.key_id, signed_bytes(topic, token.stamp, body), token.signature)
    return body if is_right and token.stamp.algorithm == RING.algorithm else None


def event(value: object) -> bytes:
    return encode_event(Event(specversion="1.0", id="1", source="/home/lamp", type="em.out.out", data=value))


@given(VALUES)
@example(',"signature":"ed25519.0000000000000000.1.1.1.AAAAAAAAAAAAAAAAAAAAAAAA"}')
def test_what_is_signed_is_read_by_whoever_checks_it_and_by_whoever_does_not(value: object) -> None:
    payload = event(value)
    assert opened(signed(payload)) == payload
    assert decode(TOPIC, signed(payload)).value == value
    assert json.loads(signed(payload))["data"] == value


@given(st.data(), VALUES)
def test_no_byte_can_be_changed_left_out_or_added(data: st.DataObject, value: object) -> None:
    whole = signed(event(value))
    at = data.draw(st.integers(0, len(whole) - 1))
    how = data.draw(st.sampled_from(["other", "left out", "added", "cut off", "begun late"]))
    byte = bytes([data.draw(st.integers(0, 255).filter(lambda byte: byte != whole[at]))])
    altered = {
        "other": whole[:at] + byte + whole[at + 1 :],
        "left out": whole[:at] + whole[at + 1 :],
        "added": whole[:at] + byte + whole[at:],
        "cut off": whole[:at],
        "begun late": whole[at + 1 :],
    }[how]
    assert opened(altered) is None or altered == whole


@given(st.text("abc/+#é", min_size=1, max_size=12), st.text("abc/+#é", min_size=1, max_size=12))
def test_a_message_is_for_one_topic(one: str, other: str) -> None:
    payload = event(1)
    assert (opened(signed(payload, one), other) is not None) is (one == other)


def test_each_bit_of_a_signature_counts() -> None:
    whole = signed(event(1))
    start = whole.rindex(b".") + 1
    letters = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    for at in range(start, len(whole) - 2):
        for letter in letters:
            if letter != whole[at]:
                assert opened(whole[:at] + bytes([letter]) + whole[at + 1 :]) is None


def test_a_second_signature_or_a_key_twice_smuggles_nothing_in() -> None:
    whole = signed(event(1))
    token = whole[whole.rindex(b',"signature"') :]
    assert opened(whole[:-1] + token) is None
    assert opened(whole[:-1] + b',"data":2}') is None
    assert opened(event(2)[:-1] + token) is None
    assert opened(b'{"data":2,' + whole[1:]) is None


@pytest.mark.parametrize("payload", [b"", b"5", b"[]", b"{}", b'"a"', b"on", b"{1}"])
def test_what_is_no_object_is_not_signed(payload: bytes) -> None:
    stamp = Stamp(KEY.algorithm, KEY.key_id, 1, 1, 1)
    with pytest.raises(CodecError, match="only a JSON object"):
        attach(payload, stamp, b"0" * 64)
    with pytest.raises(SignatureError, match="it is not signed"):
        detach(payload)


@given(st.binary(max_size=300))
def test_whatever_comes_is_refused_in_order(payload: bytes) -> None:
    for tried in (payload, b'{"a":1' + payload, event(1)[:-1] + b',"signature":"' + payload + b'"}'):
        assert opened(tried) is None
