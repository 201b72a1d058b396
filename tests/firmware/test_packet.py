"""Packets against bytes written by hand from the standard, and the reader against every way of cutting them."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from firmware_bridge.upy import packet
from firmware_bridge.upy.packet import MalformedError, Reader

TEXT_BYTES_MAX = 65_535


def read_all(data: bytes, bytes_max: int, cuts: list[int]) -> list[tuple[int, int, bytes | None, int]]:
    """What a reader finds when the data arrives in pieces: kind, flags, body (None if oversize), kept packet id."""
    found = []
    reader = Reader(bytes_max)
    edges = [0, *sorted(cut % (len(data) + 1) for cut in cuts), len(data)]
    for first, last in itertools.pairwise(edges):
        piece = memoryview(data[first:last])
        start = 0
        while start < len(piece):
            start = reader.feed(piece, start, len(piece))
            if reader.complete:
                found.append((reader.kind, reader.flags, None if reader.oversize else bytes(reader.body), reader.packet_id))
                reader.reset()
    return found


def test_connect_is_as_the_standard_has_it() -> None:
    assert packet.connect("a", True, 60) == b"\x10\x0d\x00\x04MQTT\x04\x02\x00\x3c\x00\x01a"
    whole = packet.connect("a", False, 60, ("w", b"gone"), "u", "p")
    assert whole == b"\x10\x1c\x00\x04MQTT\x04\xec\x00\x3c\x00\x01a\x00\x01w\x00\x04gone\x00\x01u\x00\x01p"


def test_publish_measures_text_after_encoding_it() -> None:
    assert packet.publish("ü", b"1", 0, False, 0) == b"\x30\x05\x00\x02\xc3\xbc1"
    assert packet.publish("t", b"1", 1, True, 0x1234) == b"\x33\x06\x00\x01t\x12\x341"


def test_lengths_take_as_many_bytes_as_they_need() -> None:
    assert bytes(packet.publish("t", bytes(124), 0, False, 0)[:2]) == b"\x30\x7f"
    assert bytes(packet.publish("t", bytes(125), 0, False, 0)[:3]) == b"\x30\x80\x01"
    assert bytes(packet.publish("t", bytes(16_381), 0, False, 0)[:4]) == b"\x30\x80\x80\x01"


def test_a_text_beyond_its_length_field_is_refused() -> None:
    with pytest.raises(ValueError, match="65535 are allowed"):
        packet.publish("t" * (TEXT_BYTES_MAX + 1), b"", 0, False, 0)


@given(
    st.lists(
        st.tuples(st.text(max_size=40), st.binary(max_size=300), st.integers(0, 1), st.booleans(), st.integers(1, 65_535)), max_size=6
    ),
    st.lists(st.integers(0, 5_000), max_size=12),
)
def test_what_is_written_is_read_however_it_is_cut(messages: list[tuple[str, bytes, int, bool, int]], cuts: list[int]) -> None:
    packets = [packet.publish(*message) for message in messages]
    found = read_all(b"".join(packets), 128, cuts)
    assert len(found) == len(messages)
    for (topic, payload, qos, retain, packet_id), whole, (kind, flags, body, kept_id) in zip(messages, packets, found, strict=True):
        rest = packet.text(topic) + (packet_id.to_bytes(2, "big") if qos else b"") + payload
        assert (kind, flags) == (packet.PUBLISH, qos << 1 | retain)
        if len(rest) <= 128:
            assert body == rest
        else:
            assert body is None
            assert kept_id == (packet_id if qos else 0)
        assert bytes(whole).endswith(rest)


@given(st.integers(0, 400), st.integers(0, 400), st.integers(1, 65_535), st.lists(st.integers(0, 5_000), max_size=6))
def test_the_id_of_an_oversize_message_is_found_wherever_it_lies(topic_size: int, size: int, packet_id: int, cuts: list[int]) -> None:
    data = packet.publish("t" * topic_size, bytes(size), 1, False, packet_id)
    ((_, _, body, kept_id),) = read_all(bytes(data), 100, cuts)
    assert (body is None) == (topic_size + size + 4 > 100)
    if body is None:
        assert kept_id == packet_id


@given(st.binary(max_size=200), st.lists(st.integers(0, 300), max_size=4))
def test_garbage_is_refused_or_waited_out_but_nothing_else(data: bytes, cuts: list[int]) -> None:
    try:
        found = read_all(data, 64, cuts)
    except MalformedError:
        return
    assert all(body is None or len(body) <= 64 for _, _, body, _ in found)


@pytest.mark.parametrize(
    "data",
    [
        b"\x00\x00",  # a kind that does not exist
        b"\x10\x00",  # CONNECT is for servers
        b"\x21\x02\x00\x00",  # flags where none are
        b"\x20\x03\x00\x00\x00",  # CONNACK of three bytes
        b"\x34\x05\x00\x01t\x00\x01",  # QoS 2, which nobody asked for
        b"\x36\x05\x00\x01t\x00\x01",  # QoS 3, which does not exist
        b"\x30\x01\x00",  # a PUBLISH without a topic's length
        b"\x32\x03\x00\x01t",  # QoS 1 without room for an id
        b"\xd0\x80\x80\x80\x80\x01",  # a length of five bytes
    ],
)
def test_what_no_server_may_send_is_refused(data: bytes) -> None:
    with pytest.raises(MalformedError):
        read_all(data, 64, [])
